"""The rows of a dataset, from the hub or from local files, under our names of columns and splits."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import yaml

from pipeline.base.errors import InputError, did_you_mean, first_line
from pipeline.catalog import fetch, revisions
from pipeline.catalog.dataset import COLUMNS, files_of
from pipeline.catalog.entries import Dataset, source_of
from pipeline.text.columns import standard
from pipeline.text.files import read_file


def read_rows(entry: Dataset, what: str) -> pl.DataFrame:
    """The rows of a dataset, in the source's order.

    Columns: split, idx (the source's own row number), sentence1, sentence2, label, and written, the label as the source
    has it; a label that is no number is null. `what` names the dataset in errors. Raises InputError for a source that
    cannot be read, and for columns or splits that are not there.
    """
    tables = _from_hub(entry, what) if source_of(entry, what) == "hub" else _from_files(entry, what)
    rows = pl.concat([standard(table, split, entry.columns, what) for split, table in tables], rechunk=False)
    if entry.splits is not None:
        ours = {str(theirs): str(name) for name, theirs in entry.splits.items()}
        _check_splits(what, ours, rows["split"].unique(maintain_order=True))
        rows = rows.filter(pl.col("split").is_in(list(ours))).with_columns(pl.col("split").replace(ours))
    if entry.no_label is not None:
        rows = rows.filter(pl.col("label").ne_missing(float(entry.no_label)))
    return rows


def pinned(entry: Dataset, what: str) -> tuple[Dataset, dict[str, str] | None]:
    """A dataset at the commit that its revision stands for, and where it comes from; local ones as they are, and None.

    Raises InputError where the hub is to say so and cannot be asked.
    """
    if source_of(entry, what) != "hub" or Path(str(entry.hub)).is_dir():
        return entry, None
    commit = revisions.commit_of(str(entry.hub), entry.revision, what, "dataset")
    return replace(entry, revision=commit), revisions.source(str(entry.hub), entry.revision, commit)


def _check_splits(what: str, wanted: Iterable[object], present: Iterable[str]) -> None:
    """Raise InputError for no split at all, or one that the source does not have."""
    wanted, present = list(wanted), sorted(present)
    if not wanted:
        raise InputError(
            f"{what}: `splits` is empty: name some of {', '.join(present)}, or leave it out for all of them"
        )
    if absent := [split for split in wanted if split not in present]:
        raise InputError(
            f"{what} has no split {', '.join(map(str, absent))}: {did_you_mean(absent[0], present)}. "
            "Mend `splits` in catalog.yaml"
        )


def _from_files(entry: Dataset, what: str) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """Each local file of a dataset with its split, None where the catalogue names none."""
    wanted = [*COLUMNS, *map(str, entry.columns.values())]
    for split, path in files_of(entry):
        file = fetch.local(path, what)
        try:
            table = read_file(file, path, entry, wanted)
        except InputError as error:
            raise InputError(f"{what}: {error}") from error
        column = str(entry.columns.get("split", "split"))
        named = set(table[column].cast(pl.String).unique()) if split is not None and column in table.columns else set()
        if named - {split}:
            raise InputError(
                f"{what}: {path} is given as split {split}, but its column {column} names others: "
                "give `path` as one file, or drop the column"
            )
        yield split, table


def _from_hub(entry: Dataset, what: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each wanted split of a hub repository with its rows, in the source's order."""
    import datasets

    place = f"{entry.hub}@{entry.revision or 'main'}"
    once = datasets.DownloadConfig(max_retries=1)
    try:
        dataset = datasets.load_dataset(entry.hub, entry.config, revision=entry.revision, download_config=once)
    except (ConnectionError, OSError, datasets.exceptions.DatasetsError) as error:
        raise InputError(
            f"{what} needs {place} from the Hugging Face hub, which did not give it ({first_line(error)}). "
            "Check the name and the network (HF_HUB_OFFLINE must not be 1), or download it elsewhere and give its "
            "files as `path`"
        ) from error
    except (ValueError, yaml.YAMLError) as error:  # of `datasets` itself: no such configuration, or damaged files
        raise InputError(
            f"{what}: {place} cannot be read with config {entry.config}: {' '.join(str(error).split())}. "
            "Mend `config` in catalog.yaml"
        ) from error
    _check_commit(entry, [file["filename"] for split in dataset.values() for file in split.cache_files], what)
    wanted = list(dataset) if entry.splits is None else [str(theirs) for theirs in entry.splits.values()]
    _check_splits(what, wanted, list(dataset))
    for split in dataset:
        if split in wanted:
            yield split, pl.DataFrame(dataset[split].data.table)


def _check_commit(entry: Dataset, files: Iterable[str], what: str) -> None:
    """Raise InputError where `datasets` has read another commit of the hub than the entry names: without a network it
    takes the latest that it has, whatever it was asked for. Its files lie in folders called after their commit.
    """
    wanted = str(entry.revision)
    if not revisions.COMMIT.fullmatch(wanted) or Path(str(entry.hub)).is_dir():
        return
    if others := sorted({Path(file).parent.name for file in files} - {wanted}):
        raise InputError(
            f"{what} is to be commit {wanted} of {entry.hub}, but the hub did not answer, and {others[0]} is what an "
            "earlier run has left. Run once with a network (HF_HUB_OFFLINE must not be 1), or name that one as "
            "`revision` in catalog.yaml"
        )
