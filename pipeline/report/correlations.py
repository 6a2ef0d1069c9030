"""Sections of report.md on one split: its pairs, the correlations, differences from the reference, 0/1 decisions."""

import polars as pl

from pipeline.formats import splits
from pipeline.report import numbers
from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.material import Material, Method
from pipeline.report.numbers import (
    decimals,
    decimals_of,
    few_components,
    fixed,
    if_any,
    is_defined,
    p_value,
    signed,
    significant,
    whole_percent,
    with_interval,
)
from pipeline.report.rows import selected
from pipeline.report.sentences import significantly

TEXT = ("pooling", "similarity")


def sections(material: Material, method: Method, split: str) -> list[str]:
    """Everything on one split."""
    best = selected(material.table, split)
    lines = section(escaped(split), [facts(material, split)], results(best))
    return [*lines, *comparison(best, split, method.reference), *classification(best, split)]


def facts(material: Material, split: str) -> str:
    """Size, components, share of positives and ceiling of a split, and what to beware of."""
    row = material.table.filter(split=split).row(0, named=True)
    subsets, shared = material.info["subsets"], material.info["shared"].get(split)
    positive = f"; {whole_percent(row['positives'])} of them are positive" if is_defined(row["positives"]) else ""
    sentences = [f"{row['n']} pairs in {row['components']} components{positive}."]
    if is_defined(row["ceiling"]):
        sentences.append(f"Rho of scores without ties cannot exceed {fixed(row['ceiling'], 2)}.")
    if shared:
        sentences.append(f"{shared} of the pairs are in components that reach into another split.")
    if caution := few_components(row["effective_components"]):
        sentences.append(caution)
    source = subsets[split][0] if split in subsets else split
    if source == splits.chosen_on(material.table["split"]):
        sentences.append(
            "**Layers and thresholds were chosen on these pairs, which inflates the figures of the models.**"
        )
    return " ".join(sentences)


def results(best: pl.DataFrame) -> list[str]:
    """The table of a split: each encoder at its selected layer, the largest rho first."""
    header = ["encoder", "pooling", "similarity", "layer", "rho", "AUC", "Pearson's r", "rho / ceiling"]
    header += ["rho minus the best", "p"]
    cells: list[list[Cell]] = [
        [
            escaped(row["name"]),
            words(row["pooling"] or ""),
            words(row["similarity"]),
            row["layer"],
            with_interval(row, "spearman"),
            "" if row["positives"] is None else with_interval(row, "auc"),
            fixed(row["pearson"], decimals_of(row, "pearson")),
            if_any(row["spearman_of_ceiling"], decimals_of(row, "spearman")),
            signed(row, "below_best") if is_defined(row["below_best_low"]) else "",
            p_value(row["below_best_p"]),
        ]
        for row in best.sort("spearman", descending=True, nulls_last=True).iter_rows(named=True)
    ]
    return table(header, cells, text=TEXT)


def comparison(best: pl.DataFrame, split: str, reference: str | None) -> list[str]:
    """How each encoder differs from the reference on a split, and how small a difference would have been found."""
    compared = best.filter(pl.col("name") != (reference or ""))
    if reference is None or compared["difference"].is_null().all():
        return []
    name = escaped(reference)
    header = ["encoder", "pooling", f"rho minus that of {name}", "p", f"partial rho given {name}"]
    header += [f"AUC minus that of {name}", "p (DeLong)"]
    cells: list[list[Cell]] = [
        [
            escaped(row["name"]),
            words(row["pooling"] or ""),
            signed(row, "difference"),
            p_value(row["difference_p"]),
            signed(row, "partial"),
            if_any(row["auc_difference"], decimals_of(row, "difference"), "+"),
            p_value(row["auc_difference_p"]),
        ]
        for row in compared.sort("difference", descending=True, nulls_last=True).iter_rows(named=True)
    ]
    rows = best.sort("spearman", descending=True, nulls_last=True).rows(named=True)
    found = [significantly(rows, "difference_p", name, lambda row: escaped(row["name"]))]
    lines = table(header, cells, text=TEXT)
    return section(f"Against {name} ({escaped(split)})", found, lines, detectable(compared), level=3)


def detectable(compared: pl.DataFrame) -> list[str]:
    """The paragraph on the smallest difference that would have been found."""
    if compared["detectable"].is_null().all():
        return []
    differences = numbers.span(compared["detectable"])
    depending = ", depending on the encoder" if " to " in differences else ""
    return [
        f"Minimum detectable difference in rho: {differences}{depending}. A test at p < .05 finds a true difference of "
        "that size with 80 % power, before Holm's correction."
    ]


def classification(best: pl.DataFrame, split: str) -> list[str]:
    """0/1 decisions on a split, most often right first, and those that need no scores; nothing for graded labels."""
    decided = best.filter(pl.col("accuracy").is_not_null()).sort("accuracy", descending=True)
    if decided.is_empty():
        return []
    header = ["encoder", "pooling", "accuracy", "F1", "balanced accuracy", "MCC"]
    share, accuracy, n = (decided[column][0] for column in ("positives", "accuracy", "n"))
    error = (accuracy * (1 - accuracy) / n) ** 0.5
    places = decimals(accuracy - 2 * error, accuracy + 2 * error)
    cells: list[list[Cell]] = [
        [
            escaped(row["name"]),
            words(row["pooling"] or ""),
            *(fixed(row[measure], places) for measure in ("accuracy", "f1", "balanced_accuracy", "mcc")),
        ]
        for row in decided.iter_rows(named=True)
    ]
    caption = (
        f"If pairs were independent, the best accuracy would have a standard error of {significant(error)}. "
        "Differences of that size mean little."
    )
    lines = table(header, [*cells, *without_scores(share, places)], text=TEXT)
    return section(f"Positive or not ({escaped(split)})", lines, [caption], level=3)


def without_scores(share: float, places: int) -> list[list[Cell]]:
    """Accuracy, F1, balanced accuracy and MCC of calling every pair positive and, where most are not, none of them."""
    floors: list[list[Cell]] = [
        ["*always positive*", "", *(fixed(one, places) for one in (share, 2 * share / (1 + share), 0.5, 0.0))],
    ]
    if share < 0.5:
        floors.append(["*never positive*", "", *(fixed(one, places) for one in (1 - share, 0.0, 0.5, 0.0))])
    return floors
