"""Which pairs of C2 something is fitted on, chosen on and reported on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl


def groups(pairs: pl.DataFrame, subsets: Mapping[str, Sequence]) -> dict[str, np.ndarray]:
    """The splits, in the order of the data, then the named subsets {name: (split, n)} -> {name: row numbers}."""
    splits = pairs["split"]
    rows = {
        split: (splits == split).arg_true().to_numpy().astype(np.intp) for split in splits.unique(maintain_order=True)
    }
    return rows | {name: rows[split][:n] for name, (split, n) in subsets.items()}


def main_split(names: Sequence[str], subsets: Mapping[str, Any]) -> str | None:
    """The last split that is no subset of another, of which a page shows most; None where there is none."""
    return next((name for name in reversed(names) if name not in subsets), None)


def chosen_on(splits: pl.Series) -> str:
    """The split on which layers and thresholds are chosen: train, or the first where there is no train."""
    return "train" if "train" in splits else splits[0]


def train_sentences(pairs: pl.DataFrame) -> np.ndarray:
    """Distinct sentence ids of the train pairs, of all pairs where there is no train split -> sorted (n,)."""
    train = pairs.filter(pl.col("split") == "train")
    return np.unique((train if len(train) else pairs).select("sentence1_id", "sentence2_id").to_numpy())
