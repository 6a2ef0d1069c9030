"""One layer of pooled vectors as a file that other tools open: NumPy, a projector's TSV, Parquet with the texts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import InputError, did_you_mean
from pipeline.base.files import replacing, write_text
from pipeline.formats import pairs, vectors
from pipeline.formats.arrays import to_arrow

POOLED, PAIRS = Path("data/pooled"), Path("data/pairs")


def npy(path: Path, layer: np.ndarray, sentences: pl.DataFrame) -> list[Path]:
    """(S, D) float32 for numpy.load; row i is sentence i."""
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, layer)
    return [path]


def tsv(path: Path, layer: np.ndarray, sentences: pl.DataFrame) -> list[Path]:
    """A line for each vector and, in NAME-texts.tsv, one for each text: the two files of TensorFlow's projector.

    White space within a text becomes one space, since a tab or a newline would end the cell. Nine digits give every
    float32 back.
    """
    texts = path.with_name(f"{path.stem}-texts.tsv")
    with replacing(path) as part:
        np.savetxt(part, layer, fmt="%.9g", delimiter="\t")
    write_text(texts, "".join(" ".join(text.split()) + "\n" for text in sentences["text"]))
    return [path, texts]


def parquet(path: Path, layer: np.ndarray, sentences: pl.DataFrame) -> list[Path]:
    """Columns sentence_id, text and vector: `embedding-atlas FILE --text text --vector vector` shows it."""
    flat = to_arrow(np.ascontiguousarray(layer).reshape(-1))
    columns = {
        "sentence_id": sentences["sentence_id"].to_arrow(),
        "text": pa.array(sentences["text"].to_list(), pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(flat, layer.shape[1]),
    }
    with replacing(path) as part:
        pq.write_table(pa.table(columns), part)
    return [path]


FORMATS: dict[str, Callable[[Path, np.ndarray, pl.DataFrame], list[Path]]] = {
    ".npy": npy,
    ".tsv": tsv,
    ".parquet": parquet,
}
"""ending of a file -> a function of its path, a layer (S, D) and the sentences (C2) -> what it wrote"""


def writer_of(path: Path) -> Callable[[Path, np.ndarray, pl.DataFrame], list[Path]]:
    """What writes a file of this ending. InputError for one that is unknown."""
    if path.suffix not in FORMATS:
        raise InputError(f"the ending of {path} is {path.suffix!r}: {did_you_mean(path.suffix, FORMATS)}")
    return FORMATS[path.suffix]


def export(model: str, layer: int, path: Path, pooling: str | None = None) -> tuple[list[Path], str, int]:
    """A layer of data/pooled/MODEL (negative numbers count from the last) -> the files, the pooling and the layer.

    InputError for a layer that was not kept, and where another `pooling` is wanted than was computed.
    """
    write = writer_of(path)
    found = vectors.read(POOLED / model / "vectors.parquet", f"pool@{model}")
    if pooling not in (None, found.info.pooling):
        raise InputError(
            f"data/pooled/{model} holds {found.info.pooling}, not {pooling}: run dvc exp run -S pooling={pooling} first"
        )
    number = found.layers[layer] if -len(found.layers) <= layer < 0 else layer
    if number not in found.layers:
        raise InputError(f"layer {layer} of {model} is not there: it has {', '.join(map(str, found.layers))}")
    sentences = pairs.read_sentences(PAIRS / "sentences.parquet")
    return write(path, found.layer(number), sentences), found.info.pooling, number
