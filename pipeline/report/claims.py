"""results/claims.md: a verdict on each claim of arXiv 2502.14620, and the lines on it at the top of report.md."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.claims.decide import UNTESTED, VERDICTS
from pipeline.claims.evidence import Relations
from pipeline.claims.judge import MIXED, main_rows, of_models
from pipeline.claims.paper import CLAIMS
from pipeline.claims.rules import of_claim
from pipeline.report.markdown import Cell, escaped, section, table, visible, words
from pipeline.report.material import Method
from pipeline.report.methods import of_claims
from pipeline.report.numbers import decimals, fixed, interval, is_defined, p_value, signed, significant
from pipeline.report.sentences import listed

MOST_ROWS = 10
TINY = 5e-5
"""what is nearer to 0 has no digits that anybody wants"""
PAPER = "arXiv 2502.14620"
OF_SCORES = ("C1", "C2", "C3", "Q3")
"""what scores and correlations alone can judge"""


def opening(judged: pl.DataFrame | None) -> list[str]:
    """For the top of report.md: the verdicts that need scores and correlations only; nothing without models."""
    if judged is None or judged.is_empty():
        return []
    split = judged["split"].drop_nulls()[0]
    lead = f"**What of {PAPER} holds here?** [claims.md](claims.md) judges all of its claims. On {escaped(split)}:"
    return [lead, "", *bullets(judged, split, OF_SCORES), ""]


def bullets(judged: pl.DataFrame, split: str, claims: Sequence[str]) -> list[str]:
    """A list item for each claim: which verdict it has, for which models."""
    found = by_verdict(judged, split)
    return [f"- {CLAIMS[claim].statement[:-1]} ({claim}): {found[claim]}." for claim in claims]


def verdicts(judged: pl.DataFrame, split: str, letters: str) -> list[str]:
    """A table with a row for each claim whose name begins with one of some letters."""
    found = by_verdict(judged, split)
    cells: list[list[Cell]] = [
        [name, claim.statement, claim.figures, found[name]] for name, claim in CLAIMS.items() if name[0] in letters
    ]
    header = ["", "claim" if "C" in letters else "answer", "the paper", "verdict"]
    return table(header, cells, text=header)


def by_verdict(judged: pl.DataFrame, split: str) -> dict[str, str]:
    """{claim: `supported for a, b; contradicted for c`}, the first verdict that of the first model."""
    texts = {}
    for claim, verdicts in of_models(judged, split).items():
        models: dict[str, list[str]] = {}
        for model, verdict in verdicts.items():
            if verdict == MIXED:
                verdict = f"{MIXED} ({agreement(main_rows(judged, split).filter(claim=claim, model=model))})"
            models.setdefault(verdict, []).append(escaped(model))
        found = [f"{verdict} for {listed(names)}" for verdict, names in models.items()]
        texts[claim] = UNTESTED if set(models) <= {UNTESTED} else "; ".join(found)
    return texts


def agreement(rows: pl.DataFrame) -> str:
    """How many of a model's main measures have which verdict: `4 of 6 supported, 1 contradicted`."""
    tested = rows.filter(pl.col("verdict") != UNTESTED)["verdict"]
    first, *others = [f"{(tested == verdict).sum()}" + " {}" + verdict for verdict in VERDICTS if verdict in tested]
    return ", ".join([first.format(f"of {len(tested)} "), *(other.format("") for other in others)])


def page(judged: pl.DataFrame, conditions: pl.DataFrame, related: Relations, split: str, method: Method) -> str:
    """The text of the page from CLAIMS and CONDITIONS (formats.claims); `split`: of the verdicts."""
    dataset = judged["dataset"][0] if len(judged) else ""
    lines = [f"# {escaped(dataset)}: what holds of {PAPER}?".replace("# : w", "# W"), ""]
    if judged.is_empty():
        return "\n".join([*lines, "There are no models to judge the paper by.", ""])
    lines += [f"Its claims, on {escaped(split)}:", "", *verdicts(judged, split, "C"), ""]
    lines += ["Its questions and its first next check (N1), put as the answers that would be news:", ""]
    lines += [*verdicts(judged, split, "QN"), "", *notes(judged, related, split)]
    for claim in CLAIMS:
        lines += of_one(judged.filter(claim=claim), claim, split)
    lines += same_weights(conditions.filter(split=split), split)
    lines += of_claims(method)
    return "\n".join(lines).rstrip("\n") + "\n"


def notes(judged: pl.DataFrame, related: Relations, split: str) -> list[str]:
    """What to know of the models, and whether other splits have other verdicts."""
    lines = []
    for names, what in (
        (related.untrained, "random weights: nobody trained it, and it is a control"),
        ([name for name in related.unread if name not in related.untrained], "failed the language-model check"),
    ):
        if names:
            lines.append(f"- {', '.join(map(escaped, names))}: {what}.")
    lines += [
        f"- {escaped(model)}: read as {words(readout)}, where the paper took hidden layers."
        for model, readout in related.readouts.items()
    ]
    poolings = judged.filter(pl.col("pooling") != "mean").unique("model", maintain_order=True)
    lines += [
        f"- {escaped(row['model'])}: pooled by {words(row['pooling'])}, where the paper took the mean."
        for row in poolings.iter_rows(named=True)
    ]
    lines += [
        f"- On {escaped(other)} otherwise: {text}."
        for other in judged["split"].drop_nulls().unique(maintain_order=True)
        if (text := otherwise(judged, split, other))
    ]
    return section("Beware", lines) if lines else []


def otherwise(judged: pl.DataFrame, split: str, other: str) -> str:
    """Which verdicts another split has: `C2 contradicted for a, b; Q2 supported for a`, without those not tested."""
    here, found = of_models(judged, split), of_models(judged, other)
    differing: dict[str, list[str]] = {}
    for claim, verdicts in found.items():
        for model, verdict in verdicts.items():
            if verdict not in (here[claim].get(model), UNTESTED):
                differing.setdefault(f"{claim} {verdict}", []).append(escaped(model))
    return "; ".join(f"{what} for {', '.join(models)}" for what, models in differing.items())


def of_one(rows: pl.DataFrame, claim: str, split: str) -> list[str]:
    """The section of one claim: what the paper says, the rules, a table, and what was not tested."""
    about = CLAIMS[claim]
    rules = [f"- *{words(name)}*{'' if rule.main else ' (beside it)'}: {rule.says}." for name, rule in of_claim(claim)]
    shown = rows.filter(pl.col("split").is_null() | (pl.col("split") == split))
    tested = shown.filter(pl.col("verdict") != UNTESTED).sort("main", descending=True, maintain_order=True)
    cells = [_cells(row) for row in tested[:MOST_ROWS].iter_rows(named=True)]
    more = len(tested) - MOST_ROWS
    rest = [f"{more} more are in [claims.csv](claims.csv)."] if more > 0 else []
    body = table(HEADER, cells, text=TEXT) if cells else []
    heading = f"{claim}: {about.statement[:-1]}"
    return section(heading, [about.said], rules, body, rest, not_tested(shown))


HEADER = ["model", "measure", "against", "layers", "ours", "other", "paper", "effect", "p", "n", "for / against"]
HEADER += ["verdict"]
TEXT = ("measure", "against", "layers", "verdict")


def _cells(row: Mapping[str, Any]) -> list[Cell]:
    names = [words(row[name]) for name in ("measure", "variant") if row[name]][row["measure"] == "entropy" :]
    layers = [str(row[name]) for name in ("layer", "other_layer") if row[name] is not None]
    counts = f"{row['agreeing']} / {row['opposing']} of {row['compared']}" if row["compared"] > 1 else ""
    places = decimals(row["low"], row["high"])
    figures = [figure(row[name], row["unit"], places) for name in ("ours", "other")]
    against = escaped(row["against"] or "")
    cells: list[Cell] = [escaped(row["model"]), ", ".join(names), against, " and ".join(dict.fromkeys(layers))]
    return [*cells, *figures, row["paper"] or "", effect(row), p_value(row["p"]), row["n"], counts, row["verdict"]]


def figure(value: float | None, unit: str | None, places: int) -> str:
    """One of the two figures of a comparison, in its unit."""
    if not is_defined(value):
        return ""
    assert value is not None
    if unit == "bytes":
        return f"{significant(value / 1e6)} MB"
    return (
        fixed(value, places)
        if unit in ("rho", "rho / layer", "metric")
        else f"{significant(value, 3)} {unit or ''}".strip()
    )


def effect(row: Mapping[str, Any]) -> str:
    """The difference or ratio of a row and its interval."""
    if row["unit"] == "rho / layer":
        return f"{fixed(row['value'], 4, '+')} [{fixed(row['low'], 4, '+')}, {fixed(row['high'], 4, '+')}]"
    if row["unit"] in ("ms", "bytes"):
        ends = [significant(row[name], 3) for name in ("value", "low", "high")]
        return f"{ends[0]} times" + (f" [{ends[1]}, {ends[2]}]" if ends[1] != ends[2] else "")
    sign = "" if row["ours"] is None else "+"  # a value of its own, or a difference
    places = decimals(row["low"], row["high"])
    return f"{fixed(row['value'], places, sign)} {interval(row['low'], row['high'], sign)}".rstrip()


def not_tested(rows: pl.DataFrame) -> list[str]:
    """A list item for each reason, with the models that it is of and the command for the first of them."""
    lines = []
    kept = rows.filter(verdict=UNTESTED)
    for (why,), group in kept.group_by("why", maintain_order=True):
        names = list(map(escaped, group["model"].unique(maintain_order=True)))
        example = "To test it" if group["command"].n_unique() == 1 else f"To test {names[0]}"
        lines.append(f"- Not tested for {listed(names)}: {escaped(str(why))}. {example}: {code(group['command'][0])}")
    return lines[:MOST_ROWS]


def code(text: str) -> str:
    """A command in a code span that nothing in it can end."""
    return f"`{visible(text).replace('`', '')}`"


def same_weights(rows: pl.DataFrame, split: str) -> list[str]:
    """The same weights in another condition: how many layers differ, and where most."""
    cells: list[list[Cell]] = []
    for _, group in rows.group_by("condition", "model", "against", maintain_order=True):
        most = group.sort(pl.col("difference").abs(), descending=True, nulls_last=True).row(0, named=True)
        different = group.filter(pl.col("p") < 0.05)
        above, below = (len(different.filter(sign)) for sign in (pl.col("difference") > 0, pl.col("difference") < 0))
        names = [words(most["condition"]), escaped(most["model"]), escaped(most["against"])]
        counts = [
            f"{above} / {below} of {len(group)}",
            most["layer"],
            signed(most, "difference"),
            p_value(most["p"]),
            significant(most["detectable"]),
        ]
        cells.append([*names, *counts])
    if not cells:
        return []
    header = ["condition", "model", "compared with", "layers above / below", "layer that differs most"]
    header += ["difference in rho", "p", "minimum detectable difference"]
    lead = (
        f"On {escaped(split)}: the same weights, one thing changed. [conditions.csv](conditions.csv) has every layer; "
        "bands hold for all layers at once, and p has Holm's correction over them."
    )
    more = [f"{len(cells) - MOST_ROWS} more are there."] if len(cells) > MOST_ROWS else []
    shown = table(header, cells[:MOST_ROWS], text=("model", "compared with"))
    return section("The same weights in another condition", [lead], shown, more)
