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

from pipeline.catalog import Dataset, local, one_source

NEEDED = ("sentence1", "sentence2", "label")
READERS = {
    ".csv": pl.read_csv,
    ".tsv": lambda file: pl.read_csv(file, separator="\t", quote_char=None),  # quotes in MRPC's TSV are text
    ".jsonl": pl.read_ndjson,
    ".parquet": pl.read_parquet,
}


@dataclass(frozen=True)
class Prepare:
    """Section `prepare` of params.yaml."""

    limit: int | None
    """keep only the first so many pairs of each split; null keeps all"""


def read_source(entry: Dataset, what):
    """The rows of a dataset as one table with columns split, idx, sentence1, sentence2, label, in the source's order."""
    source = one_source(what, {"hub": entry.hub, "path": entry.path})
    parts = _from_hub(entry, what) if source == "hub" else _from_files(entry, what)
    tables = []
    for split, table in parts:
        renames = {theirs: ours for ours, theirs in entry.columns.items()}
        if absent := [column for column in renames if column not in table.columns]:
            raise ValueError(f"{what} has no column {', '.join(absent)}: it has {', '.join(table.columns)}. Mend `columns` in catalog.yaml")
        table = table.drop([c for c in renames.values() if c in table.columns and c not in renames]).rename(renames)
        if absent := [column for column in NEEDED if column not in table.columns]:
            raise ValueError(
                f"{what} has no column {', '.join(absent)}: it has {', '.join(table.columns)}. "
                f"Say which is which with `columns: {{{absent[0]}: ...}}` in catalog.yaml"
            )
        if table.is_empty():
            raise ValueError(f"{what}, split {split or 'all'}, is empty: expected at least one pair")
        if split is not None:
            table = table.with_columns(pl.lit(split).alias("split"))
        elif "split" not in table.columns:
            table = table.with_columns(pl.lit("all").alias("split"))
        if "idx" not in table.columns:
            table = table.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("idx"))
        tables.append(table.select("split", pl.col("idx").cast(pl.Int64), *NEEDED))
    rows = pl.concat(tables)
    if entry.splits is not None:
        ours = {theirs: name for name, theirs in entry.splits.items()}
        if absent := sorted(ours.keys() - set(rows["split"])):
            raise ValueError(f"{what} has no split {', '.join(absent)}: it has {', '.join(sorted(set(rows['split'])))}. Mend `splits` in catalog.yaml")
        rows = rows.filter(pl.col("split").is_in(list(ours))).with_columns(pl.col("split").replace(ours))
    return rows


def _from_files(entry, what):
    files = entry.path.items() if isinstance(entry.path, dict) else [(None, entry.path)]
    for split, path in files:
        file = local(path, what)
        if file.suffix not in READERS:
            raise ValueError(f"{what}: cannot read {path}, its ending is not one of {', '.join(READERS)}")
        if file.stat().st_size == 0:
            raise ValueError(f"{what}: {path} is empty: expected a header and at least one pair")
        yield split, READERS[file.suffix](file)


def _from_hub(entry, what):
    import datasets

    try:
        dataset = datasets.load_dataset(entry.hub, entry.config, revision=entry.revision, split=None)
    except (ConnectionError, OSError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConnectionError(
            f"{what} needs {entry.hub}@{entry.revision or 'main'} from the Hugging Face hub, which did not give it ({reason}). "
            "Check the name and the network (HF_HUB_OFFLINE must not be 1), or download it elsewhere and give its files as `path`"
        ) from error
    for split, part in dataset.items():
        if entry.splits is None or split in entry.splits.values():
            yield split, pl.from_arrow(part.data.table.combine_chunks())


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
        kept = labels.filter(rows["split"] == split)
        if kept.n_unique() == 1:
            raise ValueError(
                f"{what}: all {len(kept)} labels of split {split} are {kept[0]:g}, so nothing can be correlated. "
                "Hidden test labels? List the other splits under `splits` in catalog.yaml"
            )


def components(first, second, n):
    """Connected components of n sentences joined by pairs (P,), (P,) -> component of each pair, (P,), numbered by first appearance."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(n, n))
    of_pair = connected_components(graph, directed=False)[1][first]
    _, where, inverse = np.unique(of_pair, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(where))[inverse]


def subsets(spec, rows, what):
    """Check {name: "split[:n]"} against the rows -> {name: [split, n]}."""
    checked = {}
    for name, text in spec.items():
        match = re.fullmatch(r"(\w+)\[:(\d+)\]", str(text))
        if not match or match[1] not in set(rows["split"]):
            raise ValueError(f"{what}: subset {name} is {text!r}, expected split[:n] with one of {', '.join(rows['split'].unique(maintain_order=True))}")
        checked[name] = [match[1], int(match[2])]
    return checked


def prepare(entry: Dataset, name, params: Prepare):
    """A dataset -> (pairs, sentences, info). Distinct texts get ids in order of first appearance."""
    what = f"dataset {name}"
    rows = read_source(entry, what)
    if params.limit is not None:
        if params.limit < 2:
            raise ValueError(f"prepare.limit is {params.limit}: at least 2 pairs of a split are needed for a correlation")
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
    info = {
        "dataset": name,
        "graded": bool(set(pairs["label"].unique()) - {0.0, 1.0}),
        "splits": {split: int(n) for split, n in pairs.group_by("split", maintain_order=True).len().iter_rows()},
        "subsets": subsets(entry.subsets, rows, what),
        "sentences": len(sentences),
        "components": int(pairs["component"].n_unique()),
    }
    return pairs, sentences, info


def write(folder, pairs, sentences, info):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pairs.write_parquet(folder / "pairs.parquet")
    sentences.write_parquet(folder / "sentences.parquet")
    (folder / "info.json").write_text(json.dumps(info, indent=2) + "\n")
