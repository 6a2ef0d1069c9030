"""results/datasets.md: the same encoders on several data sets, and what each of these can tell."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.formats import splits as splits_of
from pipeline.report import numbers
from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.material import Method
from pipeline.report.numbers import few_components, fixed, is_defined, is_significant, p_value, percent
from pipeline.report.rows import reported_splits, without_nan
from pipeline.report.sentences import significantly

ROWS = 10
"""a table on the page has no more; datasets.csv has all"""
OWN_POOLING = "own"
"""the pooling of a baseline that is a sentence encoder"""
TEXT = ("best word overlap", "best sentence encoder")
READING_OF_ABILITIES = (
    "A test at p < .05 finds a difference of the size in the last column with 80 % power, before Holm's correction; a "
    "range is over the encoders. *Best* means the largest rho on these pairs, which flatters it a little. Labels of 0 "
    "and 1 limit rho more than grades do: compare encoders within a data set, not data sets by their rho."
)
Row = dict[str, Any]


def joined(found: Mapping[str, tuple[pl.DataFrame, Mapping[str, Any]]]) -> pl.DataFrame:
    """{data set: its CORRELATIONS and what there is to say of its pairs} -> DATASETS (formats.datasets)."""
    tables = []
    for name, (rows, info) in found.items():
        shown = reported_splits(rows, info["subsets"])
        main = splits_of.main_split(shown, info["subsets"]) or shown[-1]
        tables.append(rows.select(pl.lit(name).alias("dataset"), (pl.col("split") == main).alias("reported"), pl.all()))
    return pl.concat(tables)


def page(
    joined: pl.DataFrame, method: Method, failed: Sequence[str] = (), controls: Mapping[str, str] | None = None
) -> str:
    """The text of the page, with datasets.png beside it.

    controls: {data set: what makes it a control, or nothing} (`controls.in_words`).
    """
    joined = without_nan(joined)
    best = joined.filter("reported", "selected")
    names = best["dataset"].unique(maintain_order=True).to_list()
    lines = [f"# {len(names)} data sets, the same encoders" if len(names) > 1 else f"# {escaped(names[0])}", ""]
    if failed:
        lines += [f"**Missing, because the run failed: {', '.join(map(escaped, failed))}.**", ""]
    lines += [*answers(best, method.reference, controls or {}), ""]
    lines += ["![Spearman's rho by layer on each data set](datasets.png)", "", caption(method), ""]
    lines += section("Rho", *encoders(best, "spearman", method.reference))
    if method.reference:
        against = encoders(best, "difference", method.reference)
        lines += section(f"Rho minus that of {escaped(method.reference)}", *against)
    lines += section("What each data set can tell", *abilities(joined, method.reference))
    return "\n".join(lines).rstrip("\n") + "\n"


def answers(best: pl.DataFrame, reference: str | None, controls: Mapping[str, str]) -> list[str]:
    """A line for each data set: whether it is a control, who is best, and who is significantly above the reference."""
    lines = []
    for (name,), rows in best.filter(pl.col("spearman").is_not_null()).group_by("dataset", maintain_order=True):
        first = rows.sort("spearman", descending=True).row(0, named=True)
        what = f" (a control: {control})" if (control := controls.get(str(name))) else ""
        rho = numbers.with_interval(first, "spearman")
        line = f"- {escaped(str(name))}{what}: {called(first)} has the largest rho, {rho}."
        if reference:
            ordered = rows.sort("spearman", descending=True).rows(named=True)
            line += f" {significantly(ordered, 'difference_p', escaped(reference), called)}"
        lines.append(line)
    return lines


def called(row: Mapping[str, Any]) -> str:
    """An encoder on the page, with its pooling where that is not the mean."""
    pooling = row["pooling"]
    return escaped(row["name"]) + ("" if pooling in (None, "mean", OWN_POOLING) else f" ({words(pooling)})")


def _above(row: Row) -> bool:
    return is_significant(row["difference_p"]) and row["difference"] > 0


def caption(method: Method) -> str:
    """What the picture shows, in sentences."""
    share = percent(method.confidence)
    reference = f"; dashed is {escaped(method.reference)}" if method.reference else ""
    return (
        "A panel is a data set, a curve a model's rho at each layer, ringed at the one selected there, and a square an "
        f"encoder without layers, with its {share} interval. Shaded is the {share} band of the model with the largest "
        f"rho over the data sets, which holds for all its layers at once{reference}."
    )


def encoders(best: pl.DataFrame, statistic: str, reference: str | None) -> list[list[str]]:
    """A table of rho or of the difference, a row an encoder and a column a data set, and how to read it."""
    names = best["dataset"].unique(maintain_order=True).to_list()
    by_encoder: dict[str, dict[str, Row]] = {}
    for row in best.iter_rows(named=True):
        by_encoder.setdefault(called(row), {})[row["dataset"]] = row
    if statistic == "difference":
        by_encoder = {name: rows for name, rows in by_encoder.items() if _first(rows)["name"] != reference}
    ordered = sorted(by_encoder, key=lambda name: _importance(by_encoder[name], reference))
    shown = sorted(ordered[:ROWS], key=lambda name: -_mean(by_encoder[name]))
    cells: list[list[Cell]] = [[name, *(_cell(by_encoder[name].get(of), statistic) for of in names)] for name in shown]
    header = ["encoder", *(f"{escaped(of)}, {escaped(best.filter(dataset=of)['split'][0])}" for of in names)]
    return [table(header, cells), [_reading(statistic, reference, len(ordered) - len(shown))]]


def _first(rows: Mapping[str, Row]) -> Row:
    return next(iter(rows.values()))


def _importance(rows: Mapping[str, Row], reference: str | None) -> tuple[bool, bool, float]:
    """Sorts first what is to be shown: the reference, encoders with vectors, then measures; the largest rho first."""
    first = _first(rows)
    return first["name"] != reference, first["pooling"] is None, -_mean(rows)


def _mean(rows: Mapping[str, Row]) -> float:
    values = [row["spearman"] for row in rows.values() if is_defined(row["spearman"])]
    return sum(values) / len(values) if values else -1.0


def _cell(row: Row | None, statistic: str) -> str:
    """A figure with its interval; nothing where the encoder was not run on the data set."""
    if row is None:
        return ""
    text = numbers.with_interval(row, statistic, sign="+" if statistic == "difference" else "")
    marked = is_significant(row["difference_p"]) if statistic == "difference" else _above(row)
    return f"**{text}**" if marked else text


def _reading(statistic: str, reference: str | None, left_out: int) -> str:
    sentences = []
    if reference:
        where = "different from" if statistic == "difference" else "above"
        scope = "over the encoders of a data set, none over data sets"
        sentences.append(
            f"Bold: significantly {where} {escaped(reference)} (p < {numbers.ALPHA:g} after Holm's correction {scope})."
        )
    if statistic == "spearman":
        sentences.append("Models are at the layer selected in each data set. Brackets are of one figure, by itself.")
    if left_out:
        more = f"{left_out} more encoder{'s are' if left_out > 1 else ' is'} in"
        sentences.append(f"{more} [datasets.csv](datasets.csv), with every layer and split.")
    else:
        sentences.append("[datasets.csv](datasets.csv) has every layer and split.")
    return " ".join(sentences)


def abilities(joined: pl.DataFrame, reference: str | None) -> list[list[str]]:
    """A table with a row for each data set, and what to beware of in some of them."""
    header = ["data set", "pairs", "largest rho possible", "best word overlap", "best sentence encoder", "its rho"]
    header += [f"minus {escaped(reference or '')}", "p", "detectable difference"]
    cells: list[list[Cell]] = []
    cautions = []
    for (name,), rows in list(joined.group_by("dataset", maintain_order=True))[:ROWS]:
        best = rows.filter("reported", "selected")
        cells.append([_linked(str(name)), best["n"][0], fixed(best["ceiling"][0], 2), *_yardsticks(best)])
        if best["split"][0] == splits_of.chosen_on(rows["split"]):
            cautions.append(
                f"- **{escaped(str(name))}: layers were chosen on the pairs that are reported, which inflates the "
                "figures of the models.**"
            )
        if caution := few_components(best["effective_components"][0]):
            cautions.append(f"- {escaped(str(name))}: {caution}")
    return [table(header, cells, text=TEXT), cautions, [READING_OF_ABILITIES]]


def _linked(name: str) -> str:
    return f"[{escaped(name)}](<datasets/{name}/report.md>)"


def _yardsticks(best: pl.DataFrame) -> list[Cell]:
    """The best word overlap, the best sentence encoder, their difference and what could have been found."""
    ordered = best.sort("spearman", descending=True, nulls_last=True)
    overlap = next(ordered.filter(pl.col("pooling").is_null()).iter_rows(named=True), None)
    encoder = next(ordered.filter(pooling=OWN_POOLING).iter_rows(named=True), None)
    found = best["detectable"].drop_nulls()
    cells: list[Cell] = [f"{escaped(overlap['name'])} {numbers.with_interval(overlap, 'spearman')}" if overlap else ""]
    if encoder:
        difference = numbers.signed(encoder, "difference") if is_defined(encoder["difference"]) else ""
        rho = numbers.with_interval(encoder, "spearman")
        cells += [escaped(encoder["name"]), rho, difference, p_value(encoder["difference_p"])]
    else:
        cells += [""] * 4
    return [*cells, numbers.span(found) if len(found) else ""]
