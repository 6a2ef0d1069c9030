"""The vectors or scores of one encoder -> its rows of contract C5."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from pipeline.formats import baselines, vectors
from pipeline.formats.arrays import OnDisk, Rows
from pipeline.formats.damage import foreign
from pipeline.formats.norms import Norms
from pipeline.formats.pairs import sentence_count
from pipeline.formats.splits import train_sentences
from pipeline.formats.unembeddings import Unembedding
from pipeline.pool.train_vectors import NUMBERS_AT_ONCE
from pipeline.score.combinations import Table, at_layers, score_vectors, usable
from pipeline.score.settings import Score

Log = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Say something to whoever runs the stage."""
    print(line, file=sys.stderr)


def score_model(
    path: str | Path,
    model: str,
    pairs: pl.DataFrame,
    settings: Score,
    log: Log = to_stderr,
    unembedding: Unembedding | None = None,
) -> Iterator[pl.DataFrame]:
    """A model's vectors (C4) at every layer, after every correction, by every similarity -> rows of C5, in parts."""
    yield from _score_file(vectors.read(path, f"pool@{model}"), model, pairs, settings, log, unembedding)


def norms_of_model(path: str | Path, model: str) -> dict[str, Norms]:
    """{model: how the norms of its states are spread}, from the file of its vectors; nothing where it does not say."""
    norms = vectors.read(path, f"pool@{model}").norms
    return {model: norms} if norms else {}


def score_baseline(
    folder: str | Path, name: str, pairs: pl.DataFrame, settings: Score, log: Log = to_stderr
) -> Iterator[pl.DataFrame]:
    """A baseline's vectors like those of a model, or the scores that it brings, as they are -> rows of C5, in parts."""
    measures = baselines.read_info(folder, name)["measures"]
    if not measures:
        file = vectors.read(Path(folder) / "vectors.parquet", f"baseline@{name}")
        yield from _score_file(file, name, pairs, settings, log, None)
        return
    table, brought = Table(pairs), baselines.read_scores(folder, name, len(pairs))
    for measure in measures:
        scores = brought[measure].to_numpy()
        table.add(scores, encoder=name, pooling=None, correction=None, layer=None, similarity=measure)
    yield from table.parts(whole=False)


def rows_of(file: vectors.Vectors, layer: int) -> Rows:
    """One layer (S, D) float32, on disk where a process had better not hold all of it."""
    is_large = file.sentences * file.width(layer) > NUMBERS_AT_ONCE
    return OnDisk(file.parts(layer)) if is_large else file.layer(layer)


def _score_file(
    file: vectors.Vectors,
    encoder: str,
    pairs: pl.DataFrame,
    settings: Score,
    log: Log,
    unembedding: Unembedding | None,
) -> Iterator[pl.DataFrame]:
    """Layer by layer. A correction that the vectors cannot have is left out, and logged with the reason."""
    if file.info.encoder != encoder:
        raise foreign(file.path, f"holds the vectors of {file.info.encoder}", file.stage)
    train, needed = train_sentences(pairs), sentence_count(pairs)
    corrections, without = usable(settings.corrections, unembedding)
    left_out: dict[tuple[str, str], list[int | None]] = {item: [] for item in without.items()}
    for number in file.layers:
        table = Table(pairs)
        rows = rows_of(file, number)
        if len(rows) != needed:
            raise foreign(file.path, f"holds {len(rows)} sentences, but the pairs have {needed}", file.stage)
        layer = number if file.info.layers else None
        scored = score_vectors(rows, pairs, train, corrections, settings.similarities, unembedding)
        for correction, similarity, scores in scored.scores:
            table.add(
                scores,
                encoder=encoder,
                pooling=file.info.pooling,
                correction=str(correction),
                layer=layer,
                similarity=str(similarity),
            )
        for correction, why in scored.left_out:
            left_out.setdefault((str(correction), why), []).append(layer)
        yield from table.parts(whole=False)
    for (name, why), layers in left_out.items():
        log(f"{encoder}: {name} is left out{at_layers(layers)}: {why}")
