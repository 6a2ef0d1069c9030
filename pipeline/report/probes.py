"""results/probes.md: what linear probes read from the vectors, beside what needs no labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.formats.splits import main_split
from pipeline.report import controls, methods, sentences
from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.material import Method
from pipeline.report.numbers import (
    decimals_of,
    few_components,
    if_any,
    is_significant,
    p_equals,
    p_value,
    signed,
    whole_percent,
)
from pipeline.report.numbers import with_interval as figure
from pipeline.report.rows import without_nan

MOST_ROWS = 10
FLOOR = "measures"
TEXT = ("probe", "zero-shot score")


def page(rows: pl.DataFrame, left_out: Mapping[str, str], info: Mapping[str, Any], method: Method) -> str:
    """The text of the page from PROBES (formats.tables), {encoder: why it was not probed} and INFO (formats.pairs),
    with probes.png beside it.
    """
    rows, split = without_nan(rows), shown_split(rows, info["subsets"])
    lines = [f"# {escaped(info['dataset'])}: what can a probe read?", "", *controls.of_pairs(info["control"])]
    best = rows.filter("selected", split=split or "")
    lines += verdicts(best)
    lines += sentences.left_out({escaped(name): escaped(reason) for name, reason in left_out.items()}, "probed")
    if rows.is_empty() and not left_out:
        lines.append("There is nothing to probe: `models` and `baselines` in params.yaml are empty.")
    lines.append("")
    if split:
        lines += ["![Probes by layer, with their controls and word overlap](probes.png)", "", caption(split), ""]
        for name in rows["split"].unique(maintain_order=True):
            lines += of_split(rows.filter("selected", split=name))
        lines += methods.of_probes(method, rows["metric"][0])
    return "\n".join(lines).rstrip("\n") + "\n"


def shown_split(rows: pl.DataFrame, subsets: Mapping[str, Sequence]) -> str | None:
    """The split that the picture and the first lines show; None without probes."""
    names = rows["split"].unique(maintain_order=True).to_list()
    return main_split(names, subsets) or (names[-1] if names else None)


def verdicts(best: pl.DataFrame) -> list[str]:
    """A line for each encoder on one split: its better probe by held-out train pairs, against word overlap."""
    ordered = best.sort("held_out", descending=True, nulls_last=True, maintain_order=True)
    chosen = ordered.unique("encoder", keep="first", maintain_order=True)
    return [_verdict(row) for row in chosen.sort(pl.col(_metric(best)), descending=True).iter_rows(named=True)]


def _metric(rows: pl.DataFrame) -> str:
    return rows["metric"][0] if len(rows) else "accuracy"


def _verdict(row: Mapping[str, Any]) -> str:
    name = {"accuracy": "accuracy", "spearman": "rho"}[row["metric"]]
    by = "" if row["probe"] == FLOOR else f" with {words(row['probe'])}"
    line = f"- **{_called(row)}**: {name} {figure(row, row['metric'])}{by}"
    if row["probe"] == FLOOR:
        return f"{line}, the floor."
    if row["difference"] is None:
        return f"{line}."
    than = "than word overlap's probe"
    if not is_significant(row["p"]):
        return f"{line}, not significantly different from word overlap's probe ({p_equals(row['p'])})."
    return f"{line}, {'better' if row['difference'] > 0 else 'worse'} {than} ({p_equals(row['p'])})."


def _called(row: Mapping[str, Any]) -> str:
    return escaped(row["encoder"]) + (f", layer {row['layer']}" if row["layer"] is not None else "")


def caption(split: str) -> str:
    """What the picture shows."""
    return (
        f"Left, on {escaped(split)}: a curve is a probe of one model at each layer, and dashed its control, fitted to "
        "permuted labels; where they meet, the probe reads nothing. Right: rho of the probes' scores and, in black, of "
        "the zero-shot score of the same layer; the line across is word overlap. "
        "[How to read this page](#how-to-read-this-page) explains the figures."
    )


def of_split(best: pl.DataFrame) -> list[str]:
    """The tables of one split: each probe at its selected layer, the best first."""
    metric, split = _metric(best), escaped(best["split"][0])
    ordered = best.sort(metric, descending=True, nulls_last=True, maintain_order=True)
    floor = best["majority"][0]
    facts = f"{best['n'][0]} pairs."
    if floor is not None:
        facts += f" Always giving the label that is most frequent on train is right for {whole_percent(floor)} of them."
    caution = few_components(best["effective_components"][0])
    more = f"{len(ordered) - MOST_ROWS} more are in probes.csv." if len(ordered) > MOST_ROWS else ""
    shown = list(ordered[:MOST_ROWS].iter_rows(named=True))
    against = section(f"Against control and floor ({split})", table(AGAINST, [_against(row) for row in shown]), level=3)
    blocks = [[line] for line in (f"{facts} {caution}".strip(), *([more] if more else []))]
    return section(split, blocks[0], table(HEADER, [_cells(row) for row in shown], text=TEXT), *blocks[1:]) + against


HEADER = ["encoder", "probe", "layer", "accuracy", "F1", "AUC", "rho", "zero-shot score", "zero-shot rho", "gain", "p"]
AGAINST = ["encoder and probe", "held out", "train", "control", "selectivity", "minus word overlap", "p"]


def _cells(row: Mapping[str, Any]) -> list[Cell]:
    of_labels = ["", "", ""]
    if row["metric"] == "accuracy":
        of_labels = [figure(row, "accuracy"), figure(row, "f1"), figure(row, "auc")]
    names = [escaped(row["encoder"]), words(row["probe"]), row["layer"]]
    without = [words(row["zero_shot"]), if_any(row["zero_shot_spearman"], decimals_of(row, "spearman"))]
    return [*names, *of_labels, figure(row, "spearman"), *without, signed(row, "gain"), p_value(row["gain_p"])]


def _against(row: Mapping[str, Any]) -> list[Cell]:
    against = "" if row["difference"] is None else signed(row, "difference")
    places = decimals_of(row, row["metric"])
    figures = [if_any(row[name], places) for name in ("held_out", "train", "control")]
    return [f"{_called(row)}, {words(row['probe'])}", *figures, signed(row, "selectivity"), against, p_value(row["p"])]
