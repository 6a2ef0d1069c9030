"""Token states, or statistics of them -> sentence vectors: the poolings."""

from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq

from pipeline import shards, statistics, vectors
from pipeline.files import replacing

ROW_GROUP = 1024  # vectors are written when so many sentences have been pooled
CHUNK = 32  # sentences that are converted to float32 at once: what fits a cache is several times faster


def mean(h):
    """(..., T, D) -> (..., D): sum_t h_t / T."""
    return h.mean(axis=-2)


def last(h):
    """(..., T, D) -> (..., D): h_T, the only token of a causal model that has seen the whole sentence."""
    return h[..., -1, :]


def first(h):
    """(..., T, D) -> (..., D): h_1. In a causal model it has seen itself alone."""
    return h[..., 0, :]


def maximum(h):
    """(..., T, D) -> (..., D): the largest value of each dimension."""
    return h.max(axis=-2)


def weighted_mean(h):
    """(..., T, D) -> (..., D): sum_t t h_t / sum_t t, t = 1..T, so that later tokens, which saw more, count more (SGPT, arXiv 2202.08904)."""
    weights = np.arange(1, h.shape[-2] + 1, dtype=h.dtype)
    return weights @ h / weights.sum()


def norm_mean(h):
    """(..., T, D) -> (..., D): sum_t |h_t| h_t / sum_t |h_t|: tokens with long states count more. A sentence of zeros stays zero."""
    norms = np.linalg.norm(h, axis=-1, keepdims=True)
    return (norms * h).sum(axis=-2) / np.maximum(norms.sum(axis=-2), np.finfo(h.dtype).tiny)


def last_4(h):
    """(..., T, D) -> (..., D): the mean of the last four tokens, of all where there are fewer."""
    return h[..., -4:, :].mean(axis=-2)


def skip_first(h):
    """(..., T, D) -> (..., D): the mean without the first token, which has seen no context and in many models carries outlying
    values (massive activations, arXiv 2402.17762). A single token stays."""
    return h[..., min(1, h.shape[-2] - 1) :, :].mean(axis=-2)


def mean_max(h):
    """(..., T, D) -> (..., 2 D): mean and max side by side (concat pooling, arXiv 1801.06146)."""
    return np.concatenate([mean(h), maximum(h)], axis=-1)


POOLINGS = {
    "mean": mean,
    "last": last,
    "first": first,
    "max": maximum,
    "weighted_mean": weighted_mean,
    "norm_mean": norm_mean,
    "last_4": last_4,
    "skip_first": skip_first,
    "mean_max": mean_max,
}


def _mean_of(s, n):
    return (s("first") + s("rest_sum")) / n[:, None]


FROM_STATISTICS = {  # the same from what `dump.keep: pooled` holds: (a function name -> (S, D), tokens (S,) as float32) -> (S, D)
    "mean": _mean_of,
    "last": lambda s, n: s("last"),
    "first": lambda s, n: s("first"),
    "max": lambda s, n: s("max"),
    "weighted_mean": lambda s, n: s("position_sum") / (n * (n + 1) / 2)[:, None],
    "skip_first": lambda s, n: np.where(n[:, None] > 1, s("rest_sum"), s("first")) / np.maximum(n - 1, 1)[:, None],
    "mean_max": lambda s, n: np.concatenate([_mean_of(s, n), s("max")], axis=1),
}


def pooling_of(name):
    """A pooling by name. ValueError that lists them."""
    if name not in POOLINGS:
        raise ValueError(f"pooling is {name!r}, expected one of {', '.join(POOLINGS)}")
    return POOLINGS[name]


def pool_tokens(batch, name, function):
    """One layer of a record batch of tokens -> (S, D) float32 (2 D for mean_max), a row a sentence. Neighbours of one length are pooled together."""
    states, (_, starts) = shards.layer(batch, name), shards.sentence_starts(batch)
    lengths = np.diff(starts)
    runs = np.append(np.flatnonzero(np.diff(lengths, prepend=-1)), len(lengths))
    pooled = []
    for i, j in pairwise(runs):
        for k in range(i, j, CHUNK):
            end = min(k + CHUNK, j)
            pooled.append(function(states[starts[k] : starts[end]].reshape(end - k, lengths[i], -1).astype(np.float32)))
    return np.concatenate(pooled)


def pool_batch(batch, pooling):
    """A record batch of either kind -> (sentence_ids (S,), {layer number: (S, D) float32})."""
    function = pooling_of(pooling)
    if "position" in batch.schema.names:
        ids, _ = shards.sentence_starts(batch)
        return ids, {shards.layer_number(name): pool_tokens(batch, name, function) for name in batch.schema.names[2:]}
    if pooling not in FROM_STATISTICS:
        raise ValueError(
            f"pooling {pooling} needs the state of every token, but the dump kept statistics only, which give {', '.join(FROM_STATISTICS)}: "
            "set dump.keep to tokens and run the dump again"
        )
    names = dict.fromkeys(f"layer_{name.split('_')[1]}" for name in batch.schema.names[2:])
    function, tokens = FROM_STATISTICS[pooling], batch["tokens"].to_numpy().astype(np.float32)
    return batch["sentence_id"].to_numpy(), {shards.layer_number(name): function(partial(statistics.read, batch, name), tokens) for name in names}


def pool(folder, pooling, out, info):
    """A folder of shards -> one Parquet file of vectors, record batch by record batch, in bounded memory.

    `info` (encoder, pooling) goes into the file's metadata. Rows are in the order of the dump, shortest sentence first.
    Raises ValueError for a pooling that POOLINGS does not have, or that needs tokens where only statistics were kept, and
    FileNotFoundError for a folder without shards.
    """
    pooling_of(pooling)
    held, writer = [], None
    with replacing(out) as part:
        for batch in shards.record_batches(folder):
            held.append(pool_batch(batch, pooling))
            if sum(len(ids) for ids, _ in held) >= ROW_GROUP:
                writer = _flush(held, part, info, writer)
        if held:
            writer = _flush(held, part, info, writer)
        if writer is None:
            raise FileNotFoundError(f"no shards in {folder}: run the dump stage first")
        writer.close()


def _flush(held, part, info, writer):
    layers = {number: np.concatenate([layers[number] for _, layers in held]) for number in held[0][1]}
    table = vectors.table(np.concatenate([ids for ids, _ in held]), layers, info)
    writer = writer or pq.ParquetWriter(part, table.schema, compression="none", use_dictionary=False)
    writer.write_table(table)
    held.clear()
    return writer
