"""Contract C2: sentence pairs of any source as `pairs` that point at distinct `sentences`.

pairs: pair_id (row order of the source, all splits), split, idx (the source's own row number), sentence1_id, sentence2_id,
label (float64), component. sentences: sentence_id, text. `info.json`: dataset, graded or not, named subsets, counts.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.catalog import Dataset, local, one_source, reason
from pipeline.files import replacing

NEEDED = ("sentence1", "sentence2", "label")
COLUMNS = (*NEEDED, "split", "idx")
WHOLE = {"infer_schema_length": None}  # types from all rows: a grade of 0.5 may come late
READERS = {
    ".csv": lambda file: pl.read_csv(file, **WHOLE),
    ".tsv": lambda file: pl.read_csv(file, separator="\t", quote_char=None, **WHOLE),  # quotes in MRPC's TSV are text
    ".jsonl": lambda file: pl.read_ndjson(file, **WHOLE),
    ".parquet": pl.read_parquet,
}


@dataclass(frozen=True)
class Prepare:
    """Section `prepare` of params.yaml."""

    limit: int | None
    """keep only the first so many pairs of each split; null keeps all"""

    def __post_init__(self):
        if self.limit is not None and self.limit < 2:
            raise ValueError(f"prepare.limit is {self.limit}: at least 2 pairs of a split are needed for a correlation")


def read_source(entry: Dataset, what):
    """The rows of a dataset as one table with columns split, idx, sentence1, sentence2, label, in the source's order."""
    if unknown := entry.columns.keys() - set(COLUMNS):
        raise ValueError(f"{what}: columns has unknown {', '.join(sorted(unknown))}: it takes {', '.join(COLUMNS)}")
    source = one_source(what, {"hub": entry.hub, "path": entry.path})
    parts = _from_hub(entry, what) if source == "hub" else _from_files(entry, what)
    rows = pl.concat([_standard(table, split, entry.columns, what) for split, table in parts], how="vertical_relaxed")
    if entry.splits is None:
        return rows
    ours = {str(theirs): name for name, theirs in entry.splits.items()}
    _known_splits(what, ours, rows["split"].unique(maintain_order=True))
    return rows.filter(pl.col("split").is_in(list(ours))).with_columns(pl.col("split").replace(ours))


def _known_splits(what, wanted, have):
    if absent := [split for split in wanted if split not in have]:
        raise ValueError(f"{what} has no split {', '.join(absent)}: it has {', '.join(sorted(have))}. Mend `splits` in catalog.yaml")


def _standard(table, split, columns, what):
    """One table of a source under our names of columns."""
    renames = {theirs: ours for ours, theirs in columns.items()}
    have = ", ".join(table.columns)
    if absent := [column for column in renames if column not in table.columns]:
        raise ValueError(f"{what} has no column {', '.join(absent)}: it has {have}. Mend `columns` in catalog.yaml")
    table = table.drop([c for c in renames.values() if c in table.columns and c not in renames]).rename(renames)
    if absent := [column for column in NEEDED if column not in table.columns]:
        raise ValueError(f"{what} has no column {', '.join(absent)}: it has {have}. Say which is which with `columns: {{{absent[0]}: ...}}` in catalog.yaml")
    if table.is_empty():
        raise ValueError(f"{what}, split {split or 'all'}, is empty: expected at least one pair")
    if split is not None or "split" not in table.columns:
        table = table.with_columns(pl.lit(split or "all").alias("split"))
    if "idx" not in table.columns:
        table = table.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("idx"))
    idx = table["idx"].cast(pl.Int64, strict=False)
    if idx.is_null().any():
        raise ValueError(f"{what}: idx {table['idx'][int(idx.is_null().arg_max())]!r} is not a whole number: point `columns.idx` at another column or drop it")
    label = pl.col("label").cast(pl.Float64) if table["label"].dtype.is_numeric() else pl.col("label")
    return table.select(pl.col("split").cast(pl.String), idx.alias("idx"), "sentence1", "sentence2", label)


def _from_files(entry, what):
    files = entry.path.items() if isinstance(entry.path, dict) else [(None, entry.path)]
    for split, path in files:
        file = local(path, what)
        if file.suffix not in READERS:
            raise ValueError(f"{what}: cannot read {path}, its ending is not one of {', '.join(READERS)}")
        if file.stat().st_size == 0:
            raise ValueError(f"{what}: {path} is empty: expected a header and at least one pair")
        try:
            table = READERS[file.suffix](file)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"{what}: {path} is not what its ending says, or is damaged: {reason(error)}") from error
        column = entry.columns.get("split", "split")
        if split is not None and column in table.columns and set(table[column].cast(pl.String)) - {split}:
            raise ValueError(f"{what}: {path} is given as split {split}, but its column {column} names others: give `path` as one file, or drop the column")
        yield split, table


def _from_hub(entry, what):
    import datasets

    try:
        dataset = datasets.load_dataset(entry.hub, entry.config, revision=entry.revision, download_config=datasets.DownloadConfig(max_retries=1))
    except (ConnectionError, OSError, datasets.exceptions.DatasetsError) as error:
        raise ConnectionError(
            f"{what} needs {entry.hub}@{entry.revision or 'main'} from the Hugging Face hub, which did not give it ({reason(error)}). "
            "Check the name and the network (HF_HUB_OFFLINE must not be 1), or download it elsewhere and give its files as `path`"
        ) from error
    wanted = list(dataset) if entry.splits is None else entry.splits.values()
    _known_splits(what, wanted, list(dataset))
    for split in dataset:  # in the source's order
        if split in wanted:
            yield split, pl.from_arrow(dataset[split].data.table.combine_chunks())


def check(rows, what):
    """Raise ValueError for the first thing that makes a pair useless: empty text, a label that is not a number, one label only."""
    for column in ("sentence1", "sentence2"):
        if rows[column].dtype != pl.String:
            raise ValueError(f"{what}: column {column} holds {rows[column].dtype}, expected text")
        bad = rows.filter(pl.col(column).is_null() | (pl.col(column).str.strip_chars() == ""))
        if len(bad):
            raise ValueError(f"{what}: {column} is empty in {len(bad)} pairs, first in split {bad['split'][0]}, idx {bad['idx'][0]}: remove or fill them")
    labels = rows["label"].cast(pl.Float64, strict=False)
    if labels.is_null().any() or not labels.is_finite().all():
        row = int((labels.is_null() | ~labels.is_finite().fill_null(False)).arg_max())
        raise ValueError(
            f"{what}: label {rows['label'][row]!r} (split {rows['split'][row]}, idx {rows['idx'][row]}) is not a number: "
            "map it to 0/1 or to a grade, or point `columns.label` at another column"
        )
    for split in rows["split"].unique(maintain_order=True):
        _several_labels(labels.filter(rows["split"] == split), f"{what}: all {{}} labels of split {split}")


def _several_labels(labels, what):
    if labels.n_unique() == 1:
        raise ValueError(
            f"{what.format(len(labels))} are {labels[0]:g}, so nothing can be correlated. "
            "Hidden test labels? List the other splits under `splits` in catalog.yaml"
        )


def components(first, second, n):
    """Connected components of n sentences joined by pairs (P,), (P,) -> component of each pair, (P,), numbered by first appearance."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    of_pair = connected_components(graph, directed=False)[1][first]
    _, where, inverse = np.unique(of_pair, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(where))[inverse]


def subsets(spec, pairs, what):
    """Check {name: "split[:n]"} against the pairs -> {name: [split, n]}."""
    checked, splits = {}, pairs["split"].unique(maintain_order=True).to_list()
    for name, text in spec.items():
        match = re.fullmatch(r"(.+)\[:(\d+)\]", str(text))
        if not match or match[1] not in splits or int(match[2]) < 2:
            raise ValueError(f"{what}: subset {name} is {text!r}, expected split[:n] with one of {', '.join(splits)} and n of 2 or more")
        if name in splits:
            raise ValueError(f"{what}: subset {name} has the name of a split: give it another")
        checked[name] = [match[1], int(match[2])]
        _several_labels(pairs.filter(split=match[1])["label"].head(int(match[2])), f"{what}: all {{}} labels of subset {name} ({text})")
    return checked


def prepare(entry: Dataset, name, params: Prepare):
    """A dataset -> (pairs, sentences, info). Distinct texts get ids in order of first appearance."""
    what = f"dataset {name}"
    rows = read_source(entry, what)
    if params.limit is not None:
        rows = rows.filter(pl.int_range(pl.len()).over("split") < params.limit)
    check(rows, what)
    texts = pl.concat([rows["sentence1"], rows["sentence2"]]).to_list()
    interleaved = [text for pair in zip(texts[: len(rows)], texts[len(rows) :]) for text in pair]
    ids = {text: i for i, text in enumerate(dict.fromkeys(interleaved))}
    first, second = (np.array([ids[text] for text in rows[column]]) for column in ("sentence1", "sentence2"))
    pairs = pl.DataFrame(
        {
            "pair_id": np.arange(len(rows)),
            "split": rows["split"],
            "idx": rows["idx"],
            "sentence1_id": first,
            "sentence2_id": second,
            "label": rows["label"].cast(pl.Float64),
            "component": components(first, second, len(ids)),
        }
    )
    sentences = pl.DataFrame({"sentence_id": np.arange(len(ids)), "text": list(ids)})
    reach = pl.col("split").n_unique().over("component") > 1
    shared = pairs.with_columns(reach.alias("reach")).group_by("split", maintain_order=True).agg(pl.col("reach").sum())
    info = {
        "dataset": name,
        "graded": bool(set(pairs["label"].unique()) - {0.0, 1.0}),
        "splits": {split: int(n) for split, n in pairs.group_by("split", maintain_order=True).len().iter_rows()},
        "shared": {split: n for split, n in shared.iter_rows()},  # pairs in components that reach into another split
        "subsets": subsets(entry.subsets, pairs, what),
        "sentences": len(sentences),
        "components": int(pairs["component"].n_unique()),
    }
    return pairs, sentences, info


def write(folder, pairs, sentences, info):
    """pairs.parquet, sentences.parquet and info.json in a folder."""
    for name, table in (("pairs", pairs), ("sentences", sentences)):
        with replacing(Path(folder) / f"{name}.parquet") as part:
            table.write_parquet(part)
    with replacing(Path(folder) / "info.json") as part:
        part.write_text(json.dumps(info, indent=2) + "\n")
