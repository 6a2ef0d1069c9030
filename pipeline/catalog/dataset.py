"""An entry of `datasets` in catalog.yaml."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.base.errors import InputError, did_you_mean
from pipeline.base.settings import Text
from pipeline.catalog.fields import as_text

COLUMNS = ("sentence1", "sentence2", "label", "split", "idx")


@dataclass(frozen=True)
class Dataset:
    """Sentence pairs: a repository of the Hugging Face hub, or local files."""

    hub: str | None = None
    """repository id on the hub, or a local folder in the same layout; read through `datasets`"""
    config: Text | None = None
    """configuration of the repository"""
    revision: Text | None = None
    """a commit, branch or tag of the repository; for local files any text: change it when a file changed in place"""
    path: str | list | dict | None = None
    """a CSV, TSV, JSONL, JSON or Parquet file, a list of files, or {split: file or files}; .gz may follow the ending"""
    columns: dict = field(default_factory=dict)
    """our column (sentence1, sentence2, label, split, idx) -> the source's name, or its number (from 0) without a
    header; same names where left out
    """
    header: bool = True
    """whether the first line of a CSV or TSV file names its columns"""
    separator: str | None = None
    """between the cells of a line, such as ";"; a comma in .csv and a tab in .tsv where left out"""
    quoting: bool | None = None
    """whether quotes enclose cells rather than being text; where left out they do in .csv, and are text in .tsv"""
    encoding: str | None = None
    """of a text file, such as cp1252; UTF-8 where left out, or UTF-16 if it begins with that mark"""
    no_label: int | float | None = None
    """the label that means "no gold label", such as -1: these pairs are left out"""
    splits: dict | None = None
    """our split -> the source's split; all of the source's where left out"""
    subsets: dict = field(default_factory=dict)
    """name -> "split[:n]": the first n pairs of a split, reported beside the splits"""
    permute_labels: int | None = None
    """seed of a control: the labels of each split are permuted, so that no score should order its pairs"""
    pair_at_random: int | None = None
    """seed of a control: first sentences meet other second sentences of their split, and keep their labels"""

    def __post_init__(self) -> None:
        as_text(self, "config", "revision")
        if unknown := [name for name in self.columns if name not in COLUMNS]:
            raise InputError(f"columns has unknown {unknown[0]!r}: {did_you_mean(unknown[0], COLUMNS)}")
        for mapping, name in ((self.columns, "columns"), (self.splits or {}, "splits")):
            wrong = [value for value in mapping.values() if isinstance(value, bool) or not isinstance(value, str | int)]
            if wrong:
                raise InputError(f"{name} has {wrong[0]!r}, expected a name or a number of the source")
            theirs = [str(value) for value in mapping.values()]
            if twice := sorted({value for value in theirs if theirs.count(value) > 1}):
                raise InputError(f"{name} has {twice[0]} of the source twice: one of ours would be lost")
        if self.permute_labels is not None and self.pair_at_random is not None:
            raise InputError("permute_labels and pair_at_random are two controls: give each an entry of its own")
        files_of(self)

    @property
    def control(self) -> dict[str, int] | None:
        """{permute_labels or pair_at_random: its seed}; None for the pairs as they are."""
        given = {name: getattr(self, name) for name in ("permute_labels", "pair_at_random")}
        return {name: seed for name, seed in given.items() if seed is not None} or None


def files_of(entry: Dataset) -> list[tuple[str | None, str]]:
    """The local files of a dataset, each with its split; None where the entry names no split.

    Raises InputError where `path` holds anything but names of files.
    """
    if entry.path is None:
        return []
    of_splits: dict[Any, Any] = entry.path if isinstance(entry.path, dict) else {None: entry.path}
    if not of_splits:
        raise InputError("`path` is an empty mapping: give a file, or a file for each split")
    files = []
    for split, paths in of_splits.items():
        where = "path" if split is None else f"path of split {split}"
        listed = paths if isinstance(paths, list) else [paths]
        if not listed:
            raise InputError(f"{where} is an empty list: give a file")
        for path in listed:
            if not isinstance(path, str) or not path.strip():
                raise InputError(f"{where} is {path!r}, expected the name of a file, in quotes if it looks otherwise")
            files.append((None if split is None else str(split), path))
    return files
