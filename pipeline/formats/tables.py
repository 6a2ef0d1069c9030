"""The tables of `results/`: CSV for people and other tools, with declared columns. Nothing in them is rounded."""

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.base.files import replacing, write_json
from pipeline.formats.damage import absent, damaged, read_json

Columns = dict[str, tuple[Any, str]]
"""name -> (polars type, what it holds)"""

STATISTICS = ("spearman", "pearson", "auc")
NUMBER, TEXT = pl.Float64, pl.String

CORRELATIONS: Columns = {
    "name": (TEXT, "the encoder as pages and pictures call it"),
    "encoder": (TEXT, "name of the model or baseline"),
    "pooling": (TEXT, "how token states became one vector"),
    "correction": (TEXT, "what was done to the vectors"),
    "layer": (pl.Int32, "0 is what enters the first block"),
    "similarity": (TEXT, "of two vectors, or the measure of an encoder without vectors"),
    "selected": (pl.Boolean, "whether the layer is the one with the largest rho on train"),
    "split": (TEXT, "a split or a named subset of one"),
    "n": (pl.Int64, "pairs"),
    "components": (pl.Int64, "components of pairs that share sentences"),
    "effective_components": (NUMBER, "of equal size that would say as much; below 5 there is no interval and no p"),
    "positives": (NUMBER, "share of pairs with label 1; empty for grades"),
    "spearman": (NUMBER, "Spearman's rho of scores and labels"),
    "spearman_low": (NUMBER, "its interval, by a bootstrap over components"),
    "spearman_high": (NUMBER, ""),
    "pearson": (NUMBER, "Pearson's r"),
    "pearson_low": (NUMBER, ""),
    "pearson_high": (NUMBER, ""),
    "auc": (NUMBER, "probability that a positive pair scores above a negative one"),
    "auc_low": (NUMBER, ""),
    "auc_high": (NUMBER, ""),
    "ceiling": (NUMBER, "the largest rho that scores without ties can reach against these labels"),
    "spearman_of_ceiling": (NUMBER, "rho / ceiling"),
    "ties": (NUMBER, "share of pairs whose score another pair has too"),
    "resamples": (pl.Int64, "resamples in which rho is defined"),
    "spearman_band_low": (NUMBER, "band of rho that holds for all layers of the curve at once"),
    "spearman_band_high": (NUMBER, ""),
    "slope": (NUMBER, "least-squares slope of rho on the layer number; in selected rows, as all that follows"),
    "slope_low": (NUMBER, ""),
    "slope_high": (NUMBER, ""),
    "slope_p": (NUMBER, "of a slope of 0; Holm over the curves of a split"),
    "below_best": (NUMBER, "rho minus the largest of the split"),
    "below_best_low": (NUMBER, "its interval, which holds for all pairs of encoders at once"),
    "below_best_high": (NUMBER, ""),
    "below_best_p": (NUMBER, "of no difference, whichever encoder came out best; adjusted for all pairs of encoders"),
    "below_best_detectable": (NUMBER, "the difference that this test finds with 80 % power"),
    "difference": (NUMBER, "rho minus that of the reference"),
    "difference_low": (NUMBER, ""),
    "difference_high": (NUMBER, ""),
    "difference_p": (NUMBER, "of no difference; Holm over the encoders of a split"),
    "detectable": (NUMBER, "minimum detectable difference: found with 80 % power at p < .05, before Holm"),
    "pairs_needed": (
        NUMBER,
        "pairs like these with which a true difference of .05 would be detectable in the same sense",
    ),
    "partial": (NUMBER, "partial rho given the reference's scores"),
    "partial_low": (NUMBER, ""),
    "partial_high": (NUMBER, ""),
    "auc_difference": (NUMBER, "AUC minus that of the reference"),
    "auc_difference_p": (NUMBER, "by DeLong's test over components; Holm over the encoders of a split"),
    "accuracy": (NUMBER, "at the threshold that is most often right on train"),
    "f1": (NUMBER, "of the positives"),
    "balanced_accuracy": (NUMBER, "mean of both recalls"),
    "mcc": (NUMBER, "Matthews' correlation coefficient"),
}

POOLINGS: Columns = {
    "encoder": (TEXT, "name of the model"),
    "family": (TEXT, "pooling, correction, similarity, layer without labels, or best of all: what is compared"),
    "pooling": (TEXT, "as params.yaml lists it"),
    "correction": (TEXT, ""),
    "similarity": (TEXT, ""),
    "layer": (TEXT, "chosen on train: a layer, two layers such as 0+2, or none; by LOES in a layer without labels"),
    "against": (TEXT, "the pooling it is compared with; empty for the reference itself"),
    "split": (TEXT, ""),
    "n": (pl.Int64, "pairs"),
    "effective_components": (NUMBER, "of equal size that would say as much; below 5 there is no interval and no p"),
    "runs": (pl.Int64, "runs of a learned pooling, else 1"),
    "train": (NUMBER, "rho on train, by which the layer was chosen"),
    "spearman": (NUMBER, "rho on the split, the mean over runs"),
    "spread": (NUMBER, "standard deviation over runs"),
    "low": (NUMBER, "interval of rho"),
    "high": (NUMBER, ""),
    "choice_low": (NUMBER, "the same with the layer selected anew in every resample (nested selection)"),
    "choice_high": (NUMBER, ""),
    "difference": (NUMBER, "rho minus that of the pooling it is compared with"),
    "difference_low": (NUMBER, ""),
    "difference_high": (NUMBER, ""),
    "choice_difference_low": (NUMBER, "the same with nested selection"),
    "choice_difference_high": (NUMBER, ""),
    "p": (NUMBER, "of no difference; Holm over the family on the split"),
    "detectable": (NUMBER, "minimum detectable difference: found with 80 % power at p < .05, before Holm"),
}

CURVES: Columns = {
    "encoder": (TEXT, "name of the model"),
    "pooling": (TEXT, "as params.yaml lists it"),
    "layer": (pl.Int32, ""),
    "split": (TEXT, ""),
    "spearman": (NUMBER, "rho, the mean over runs"),
    "least": (NUMBER, "over runs"),
    "most": (NUMBER, "over runs"),
}

PROBES: Columns = {
    "encoder": (TEXT, "name of the model or baseline"),
    "probe": (TEXT, "difference_product, bilinear, or measures for those of word overlap"),
    "layer": (pl.Int32, "0 is what enters the first block"),
    "selected": (pl.Boolean, "whether the layer is the one that is best on held-out folds of train"),
    "features": (pl.Int64, "numbers that the probe sees of a pair"),
    "strength": (NUMBER, "scikit-learn's C, chosen on the same folds; for grades, alpha of the ridge is 1 / C"),
    "metric": (TEXT, "accuracy or, for grades, spearman: what held_out to p are in"),
    "held_out": (NUMBER, "on train pairs of held-out folds, by which layer and C were chosen"),
    "train": (NUMBER, "on the train pairs themselves"),
    "split": (TEXT, "a split or a named subset of one; never train"),
    "n": (pl.Int64, "pairs"),
    "effective_components": (NUMBER, "of equal size that would say as much; below 5 there is no interval and no p"),
    "majority": (NUMBER, "accuracy of the label that is most frequent on train; empty for grades"),
    "accuracy": (NUMBER, "share of pairs that are classified rightly; empty for grades"),
    "accuracy_low": (NUMBER, "its interval, by a bootstrap over components"),
    "accuracy_high": (NUMBER, ""),
    "f1": (NUMBER, "of the positives"),
    "f1_low": (NUMBER, ""),
    "f1_high": (NUMBER, ""),
    "auc": (NUMBER, "of the probe's scores"),
    "auc_low": (NUMBER, ""),
    "auc_high": (NUMBER, ""),
    "spearman": (NUMBER, "rho of the probe's scores and the labels"),
    "spearman_low": (NUMBER, ""),
    "spearman_high": (NUMBER, ""),
    "control": (NUMBER, "of a probe that is fitted to permuted train labels with the same C"),
    "control_train": (NUMBER, "of that one on the permuted labels it was fitted to: how much it memorises"),
    "selectivity": (NUMBER, "the probe minus its control"),
    "selectivity_low": (NUMBER, ""),
    "selectivity_high": (NUMBER, ""),
    "difference": (NUMBER, "the probe minus that of word overlap's measures; in selected rows, as p"),
    "difference_low": (NUMBER, ""),
    "difference_high": (NUMBER, ""),
    "p": (NUMBER, "of no difference; Holm over the probes of a split"),
    "zero_shot": (TEXT, "the score without a probe: correction and similarity with the largest rho on train"),
    "zero_shot_spearman": (NUMBER, "rho of that score at the same layer"),
    "zero_shot_auc": (NUMBER, "its AUC"),
    "gain": (NUMBER, "rho of the probe's scores minus that of the zero-shot score"),
    "gain_low": (NUMBER, ""),
    "gain_high": (NUMBER, ""),
    "gain_p": (NUMBER, "of no gain; Holm over the layers of an encoder's probe"),
}


def schema_of(columns: Columns) -> dict[str, Any]:
    """{name: polars type} of some columns."""
    return {name: kind for name, (kind, _) in columns.items()}


def write(path: str | Path, table: pl.DataFrame, columns: Columns) -> None:
    """A table as CSV, in the order of its columns; those that it lacks are empty."""
    missing = [pl.lit(None, kind).alias(name) for name, (kind, _) in columns.items() if name not in table.columns]
    with replacing(path) as part:
        table.with_columns(missing).select(list(columns)).write_csv(part)


def read(path: str | Path, columns: Columns, stage: str) -> pl.DataFrame:
    """A table that a stage wrote. InputError where it is cut, or has other columns or types."""
    if not Path(path).is_file():
        raise absent(path, stage)
    if not Path(path).read_bytes().endswith(b"\n"):
        raise damaged(path, "ends in the middle of a line", stage)
    try:
        table = pl.read_csv(path, schema_overrides=schema_of(columns))
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise damaged(
            path, f"is not the table that was written ({' '.join(str(error).split())[:160]})", stage
        ) from error
    if table.columns != list(columns):
        differing = sorted(set(table.columns) ^ set(columns)) or table.columns
        raise damaged(path, f"has other columns than were written ({differing[0]})", stage)
    return table


SUMMARY: dict[str, tuple[type | tuple[type, ...], str]] = {
    "dataset": (str, "its name in catalog.yaml"),
    "control": ((dict, type(None)), "permute_labels or pair_at_random -> its seed; null for the pairs as they are"),
    "chosen_on": (str, "the split that layers were chosen on"),
    "subsets": (dict, "name -> [split, n]"),
    "models": (dict, "model -> what was left out, learned and looked at, and the order and scores of layers by LOES"),
}
"""`results/poolings.json`: what the stage compare found besides tables"""


def write_summary(path: str | Path, summary: dict[str, Any]) -> None:
    """The keys of SUMMARY as JSON."""
    write_json(path, summary)


def read_summary(path: str | Path) -> dict[str, Any]:
    """The keys of SUMMARY."""
    return read_json(path, {key: kind for key, (kind, _) in SUMMARY.items()}, "compare")
