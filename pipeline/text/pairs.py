"""Contract C2: the rows of any source as `pairs` that point at distinct `sentences`. Nothing is encoded twice."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Dataset
from pipeline.text import controls
from pipeline.text.columns import missing_label
from pipeline.text.distinct import sentences_of
from pipeline.text.settings import Prepare
from pipeline.text.sources import pinned, read_rows


@dataclass(frozen=True)
class Prepared:
    """A dataset as the stage prepare writes it; the columns are those of pipeline/formats/pairs.py."""

    pairs: pl.DataFrame
    """P rows, in the row order of the source"""
    sentences: pl.DataFrame
    """S distinct texts, in order of first appearance"""
    info: dict[str, Any]
    """name, counts, and whether the labels are grades"""


def prepare(entry: Dataset, name: str, settings: Prepare) -> Prepared:
    """A dataset of the catalogue, by its entry and name. InputError for what cannot be read or correlated."""
    what = f"dataset {name}"
    entry, source = pinned(entry, what)
    rows = read_rows(entry, what)
    if settings.limit is not None:
        beginning = rows.filter(pl.int_range(pl.len()).over("split") < settings.limit)
        check_beginning(beginning, rows, what, f"prepare.limit ({settings.limit})")
        rows = beginning
    check(rows, what)
    rows = controls.applied(entry, rows, what)
    first, second, texts = sentences_of(rows)
    pairs = pl.DataFrame(
        {
            "pair_id": np.arange(len(rows)),
            "split": rows["split"],
            "idx": rows["idx"],
            "sentence1_id": first,
            "sentence2_id": second,
            "label": rows["label"],
            "component": components(first, second, len(texts)),
        }
    )
    sentences = pl.DataFrame({"sentence_id": np.arange(len(texts)), "text": texts})
    info = {
        "dataset": name,
        "source": source,
        "control": entry.control,
        "graded": bool(set(pairs["label"].unique()) - {0.0, 1.0}),
        "splits": {split: int(n) for split, n in pairs.group_by("split", maintain_order=True).len().iter_rows()},
        "shared": shared(pairs),
        "subsets": subsets(entry.subsets, pairs, what),
        "sentences": len(sentences),
        "components": int(pairs["component"].n_unique()),
    }
    return Prepared(pairs, sentences, info)


def check(rows: pl.DataFrame, what: str) -> None:
    """Raise InputError for the first thing that makes a pair useless.

    That is text without a word, a label that is not a number, or only one label in a split.
    """
    for column in ("sentence1", "sentence2"):
        if empty := without_a_word(rows[column]):
            raise InputError(
                f"{what}: {column} is empty in {len(empty)} pairs, first in split {rows['split'][empty[0]]}, "
                f"idx {rows['idx'][empty[0]]}: remove or fill them"
            )
    labels = rows["label"]
    useless = labels.is_null() | ~labels.is_finite().fill_null(False)
    if useless.any():
        row = int(useless.arg_max())  # type: ignore[arg-type]
        raise InputError(
            f"{what}: label {rows['written'][row]!r} (split {rows['split'][row]}, idx {rows['idx'][row]}) is not a "
            "number: map it to 0/1 or to a grade, or point `columns.label` at another column"
        )
    for split in rows["split"].unique(maintain_order=True):
        several_labels(labels.filter(rows["split"] == split), what, f"split {split}")
    if (odd := missing_label(labels)) is not None:
        raise InputError(
            f"{what}: label {odd:g} in {int((labels == odd).sum())} of {len(labels)} pairs, all others are 0 or more. "
            f"If it means that there is no label, set `no_label: {odd:g}` to leave them out; "
            "if it is a grade, raise all grades so that none is negative"
        )


def without_a_word(texts: pl.Series) -> list[int]:
    """The rows of texts that are null, empty or nothing but white space."""
    unclear = (~texts.str.contains(r"\w")).fill_null(True).arg_true()
    return [row for row in unclear if texts[row] is None or not texts[row].split()]


def check_beginning(first: pl.DataFrame, rows: pl.DataFrame, what: str, limit: str) -> None:
    """Raise InputError where the first pairs of a split have one label and those behind them another: it is sorted."""
    for split in first["split"].unique(maintain_order=True):
        beginning, whole = (table.filter(split=split)["label"] for table in (first, rows))
        if beginning.n_unique() == 1 and whole.n_unique() > 1 and whole[0] is not None:
            raise InputError(
                f"{what}: the first {len(beginning)} of {len(whole)} pairs of split {split} all have the label "
                f"{whole[0]:g}, and others follow: the source is sorted by label. Raise {limit}, or shuffle its rows"
            )


def several_labels(labels: pl.Series, what: str, group: str) -> None:
    """Raise InputError where all labels of a group of pairs are the same."""
    if labels.n_unique() == 1:
        raise InputError(
            f"{what}: all {len(labels)} labels of {group} are {labels[0]:g}, so nothing can be correlated. "
            "Hidden test labels? List the other splits under `splits` in catalog.yaml"
        )


def components(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """Connected components of n sentences joined by pairs (P,), (P,) -> component of each pair, (P,).

    They are numbered by first appearance.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    of_sentence = connected_components(graph, directed=False)[1]
    _, where, inverse = np.unique(of_sentence[first], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(where))[inverse]


def shared(pairs: pl.DataFrame) -> dict[str, int]:
    """How many pairs of each split are in components that reach into another split."""
    reaches = pl.col("split").n_unique().over("component") > 1
    counts = (
        pairs.with_columns(reaches.alias("reaches")).group_by("split", maintain_order=True).agg(pl.col("reaches").sum())
    )
    return dict(counts.iter_rows())


def subsets(wanted: Mapping[str, object], pairs: pl.DataFrame, what: str) -> dict[str, list]:
    """Subsets {name: "split[:n]"}, checked against the pairs -> {name: [split, n]}."""
    checked, splits = {}, pairs["split"].unique(maintain_order=True).to_list()
    for name, text in wanted.items():
        match = re.fullmatch(r"(.+)\[:(\d+)\]", str(text))
        if not match or match[1] not in splits or int(match[2]) < 2:
            raise InputError(
                f"{what}: subset {name} is {text!r}, expected split[:n] with one of {', '.join(splits)} "
                "and n of 2 or more"
            )
        if name in splits:
            raise InputError(f"{what}: subset {name} has the name of a split: give it another")
        split, count = match[1], int(match[2])
        beginning = pairs.filter(split=split).head(count)
        check_beginning(beginning, pairs, what, f"the number of subset {name} ({text})")
        several_labels(beginning["label"], what, f"subset {name} ({text})")
        checked[name] = [split, count]
    return checked
