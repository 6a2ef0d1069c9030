"""Token states -> sentence vectors: the poolings.

Four registries by what a pooling takes beside the states h (..., T, D) of a sentence at one layer:

    POOLINGS  nothing
    WEIGHTED  a weight for each token id, counted in the train sentences
    LEARNED   a vector for each layer, learned on train pairs (pipeline.learning)
    MIXES     the mean-pooled vectors of all layers, which it makes into one

`attention` and `diagonal` are the parameters of the first run, `attention_1` those of the second.
"""

import re
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq

from pipeline import shards, statistics, vectors
from pipeline.corrections import principal
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


def last_k(h, k):
    """(..., T, D) -> (..., D): the mean of the last k tokens, of all where there are fewer."""
    return h[..., -k:, :].mean(axis=-2)


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
    "last_K": last_k,
    "first": first,
    "max": maximum,
    "weighted_mean": weighted_mean,
    "norm_mean": norm_mean,
    "skip_first": skip_first,
    "mean_max": mean_max,
}


def idf_mean(h, idf):
    """(..., T, D), (..., T) -> (..., D): sum_t idf_t h_t / sum_t idf_t (the weights of BERTScore, arXiv 1904.09675). The mean
    where every token of a sentence is in every train sentence."""
    idf = np.where(idf.sum(axis=-1, keepdims=True) > 0, idf, 1)
    return _weighted(h, idf / idf.sum(axis=-1, keepdims=True))


def sif(h, weights):
    """(..., T, D), (..., T) -> (..., D): sum_t a / (a + p_t) h_t / T (Arora et al. 2017, openreview SyK00v5xx, algorithm 1). Its second
    half, the removal of the first singular vector of the train sentences, is `without_common`."""
    return _weighted(h, weights / h.shape[-2])


def idf_weights(counts, documents, total):
    """ln((N + 1) / (n + 1)) for a token id that n of N train sentences hold: 0 for a token of every sentence, such as a BOS."""
    return np.log((total + 1) / (documents + 1))


def sif_weights(counts, documents, total, a=1e-3):
    """a / (a + p) with p the share of a token id among the tokens of the train sentences; a is the paper's."""
    return a / (a + counts / counts.sum())


def without_common(train):
    """Train vectors (n, D) -> a function v -> v - u u^T v with u their first right singular vector, not centred."""
    _, top = principal(train.astype(np.float64), 1, "sif")
    return lambda vectors: (vectors - (vectors @ top) @ top.T).astype(np.float32)


WEIGHTED = {"idf_mean": (idf_mean, idf_weights), "sif": (sif, sif_weights)}


def attention(h, query):
    """(..., T, D), (D,) -> (..., D): sum_t alpha_t h_t with alpha of `attention_weights` (the proposal of arXiv 2502.14620)."""
    return _weighted(h, attention_weights(h, query))


def attention_weights(h, query):
    """(..., T, D), (D,) -> (..., T): alpha = softmax_t(q . h_t / sqrt(D)); q = 0 is the mean."""
    logits = h @ query / np.sqrt(h.shape[-1])
    alpha = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return alpha / alpha.sum(axis=-1, keepdims=True)


def diagonal(h, scale):
    """(..., T, D), (D,) -> (..., D): scale * mean(h). As many parameters as `attention` and no choice among tokens: its control."""
    return scale * mean(h)


LEARNED = {"attention": attention, "diagonal": diagonal}


def _weighted(h, weights):
    return (weights[..., None, :].astype(h.dtype) @ h)[..., 0, :]


def first_last(means):
    """{layer: (S, D)} -> (S, D): (v_1 + v_L) / 2, the outputs of the first and of the last block (arXiv 2103.15316)."""
    return layers_i_j(means, 1, max(means))


def layers_i_j(means, i, j):
    """{layer: (S, D)} -> (S, D): (v_i + v_j) / 2"""
    return (means[i] + means[j]) / 2


def scalar_mix(means, weights):
    """{layer: (S, D)}, {layer: weight} -> (S, D): sum_l w_l v_l, w_l = softmax(s)_l / r_l with learned s (arXiv 1802.05365, equation 1)
    and r_l the root mean square of the train vectors of a layer, since deep layers are far longer."""
    return sum(np.float32(weights[layer]) * vectors for layer, vectors in means.items())


MIXES = {"first_last": first_last, "layers_I_J": layers_i_j, "scalar_mix": scalar_mix}


def parse(name):
    """A pooling's name -> (its entry in one of the registries, its numbers): last_4 -> last_K, (4,). ValueError that lists the entries."""
    stem, numbers = re.fullmatch(r"(.*?)((?:_\d+)*)", name).groups()
    numbers = tuple(map(int, numbers.split("_")[1:]))
    entry = stem + {"last": "_K", "layers": "_I_J"}.get(stem, "") * bool(numbers)
    takes = {"last_K": (1,), "layers_I_J": (2,), **dict.fromkeys((*LEARNED, "scalar_mix"), (0, 1))}.get(entry, (0,))
    if entry not in POOLINGS | WEIGHTED | LEARNED | MIXES or len(numbers) not in takes or (entry == "last_K" and numbers == (0,)):
        entries = ", ".join(POOLINGS | WEIGHTED | LEARNED | MIXES)
        raise ValueError(f"pooling is {name!r}, expected one of {entries}; K, I and J are numbers")
    return entry, numbers


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


def token_weights(sentence_ids, ids, train, poolings):
    """Token ids of S sentences, and the ids of the train sentences -> {pooling: {sentence_id: (T,) weights}} for those of WEIGHTED."""
    if not set(poolings) & set(WEIGHTED):
        return {}
    size = 1 + max(int(one.max()) for one in ids)
    fitted = [ids[i] for i in np.flatnonzero(np.isin(sentence_ids, train))]
    counts = np.bincount(np.concatenate(fitted), minlength=size)
    documents = np.bincount(np.concatenate([np.unique(one) for one in fitted]), minlength=size)
    found = {}
    for pooling in set(poolings) & set(WEIGHTED):
        weights = WEIGHTED[pooling][1](counts, documents, len(fitted)).astype(np.float32)
        found[pooling] = {int(name): weights[one] for name, one in zip(sentence_ids, ids)}
    return found


def function_of(name, layer, weights, fitted):
    """A pooling of tokens -> a function (h (b, T, D), sentence_ids (b,)) -> (b, D).

    weights: what `token_weights` gave; fitted: {entry: {run: {layer: parameters}}}. ValueError for what was not fitted.
    """
    entry, numbers = parse(name)
    if entry in WEIGHTED:
        return lambda h, ids: WEIGHTED[entry][0](h, np.stack([weights[entry][i] for i in ids.tolist()]))
    if entry in LEARNED:
        parameters = parameters_of(name, fitted)[layer]
        return lambda h, ids: LEARNED[entry](h, parameters)
    return lambda h, ids: POOLINGS[entry](h, *numbers)


def parameters_of(name, fitted):
    """What the fit stage learned for a pooling: {layer: (D,) or a number}. ValueError where it was not asked to, or has fewer runs."""
    entry, numbers = parse(name)
    run = numbers[0] if numbers else 0
    if run not in fitted.get(entry, {}):
        raise ValueError(f"pooling {name} was not fitted ({len(fitted.get(entry, {}))} runs of {entry}): fit.poolings and fit.runs in params.yaml say what is")
    return fitted[entry][run]


def layers_needed(name):
    """The layers without which a mix cannot be computed."""
    entry, numbers = parse(name)
    return {"first_last": (1,), "layers_I_J": numbers}.get(entry, ())


def mix_of(name, fitted):
    """A pooling of MIXES -> a function {layer: (S, D)} -> (S, D). ValueError for a layer that the dump does not hold."""
    entry, numbers = parse(name)
    extra = (parameters_of(name, fitted),) if entry == "scalar_mix" else numbers

    def mix(means):
        if missing := sorted(set(layers_needed(name)) - set(means)):
            raise ValueError(f"pooling {name} needs layer {missing[0]}, but the dump holds {', '.join(map(str, means))}: see dump.layers in params.yaml")
        return MIXES[entry](means, *extra)

    return mix


def pool_tokens(batch, name, functions):
    """One layer of a record batch of tokens -> {pooling: (S, D) float32}, a row a sentence. Neighbours of one length are pooled
    together, and all poolings while their states are in the cache."""
    states, (ids, starts) = shards.layer(batch, name), shards.sentence_starts(batch)
    lengths = np.diff(starts)
    runs = np.append(np.flatnonzero(np.diff(lengths, prepend=-1)), len(lengths))
    pooled = {pooling: [] for pooling in functions}
    for i, j in pairwise(runs):
        for k in range(i, j, CHUNK):
            end = min(k + CHUNK, j)
            h = states[starts[k] : starts[end]].reshape(end - k, lengths[i], -1).astype(np.float32)
            for pooling, function in functions.items():
                pooled[pooling].append(function(h, ids[k:end]))
    return {pooling: np.concatenate(parts) for pooling, parts in pooled.items()}


def pool_statistics(batch, name, pooling):
    """One layer of a record batch of statistics -> (S, D) float32. ValueError for a pooling that needs tokens."""
    if pooling not in FROM_STATISTICS:
        raise ValueError(
            f"pooling {pooling} needs the state of every token, but the dump kept statistics only, which give {', '.join(FROM_STATISTICS)}: "
            "set dump.keep to tokens and run the dump again"
        )
    return FROM_STATISTICS[pooling](partial(statistics.read, batch, name), batch["tokens"].to_numpy().astype(np.float32))


def holds_tokens(batch):
    """Whether the rows of a record batch are tokens rather than sentences with statistics."""
    return "position" in batch.schema.names


def layers_of(batch):
    """The layers of a record batch of either kind: {number: name}."""
    names = dict.fromkeys("_".join(name.split("_")[:2]) for name in batch.schema.names[2:])
    return {shards.layer_number(name): name for name in names}


def pool_batch(batch, pooling, weights=None, fitted=None):
    """A record batch of either kind -> (sentence_ids (S,), {layer number: (S, D) float32}); a mix has one layer, 0."""
    entry, _ = parse(pooling)
    of_tokens = "mean" if entry in MIXES else pooling
    if holds_tokens(batch):
        ids, _ = shards.sentence_starts(batch)
        functions = {number: function_of(of_tokens, number, weights, fitted) for number in layers_of(batch)}
        found = {number: pool_tokens(batch, name, {"": functions[number]})[""] for number, name in layers_of(batch).items()}
    else:
        ids = batch["sentence_id"].to_numpy()
        found = {number: pool_statistics(batch, name, of_tokens) for number, name in layers_of(batch).items()}
    return ids, {0: mix_of(pooling, fitted)(found)} if entry in MIXES else found


def pool(folder, pooling, out, info, weights=None, fitted=None, train=None):
    """A folder of shards -> one Parquet file of vectors, record batch by record batch, in bounded memory.

    `info` (encoder, pooling) goes into the file's metadata, with whether it has layers. Rows are in the order of the dump, shortest
    sentence first. weights: `token_weights`; fitted: `fitted.read`; train: ids of the train sentences, for `sif`.
    Raises ValueError for a pooling that there is not, that was not fitted, or that needs tokens where only statistics were kept, and
    FileNotFoundError for a folder without shards.
    """
    entry, _ = parse(pooling)
    info = info | {"layers": entry not in MIXES}
    held, writer = [], None
    with replacing(out) as part:
        for batch in shards.record_batches(folder):
            held.append(pool_batch(batch, pooling, weights, fitted))
            if sum(len(ids) for ids, _ in held) >= ROW_GROUP:
                writer = _flush(held, part, info, writer)
        if held:
            writer = _flush(held, part, info, writer)
        if writer is None:
            raise FileNotFoundError(f"no shards in {folder}: run the dump stage first")
        writer.close()
        if entry == "sif":
            raw = part.rename(part.with_suffix(".raw"))
            try:
                _remove_common(raw, train, part)
            finally:
                raw.unlink()


def _flush(held, part, info, writer):
    layers = {number: np.concatenate([layers[number] for _, layers in held]) for number in held[0][1]}
    table = vectors.table(np.concatenate([ids for ids, _ in held]), layers, info)
    writer = writer or pq.ParquetWriter(part, table.schema, compression="none", use_dictionary=False)
    writer.write_table(table)
    held.clear()
    return writer


def _remove_common(raw, train, part):
    """A file of vectors -> the same with the first singular vector of its train sentences taken out of every layer."""
    info, numbers = vectors.read_info(raw)
    remove = {number: without_common(vectors.read_layer(raw, number)[train]) for number in numbers}
    file = pq.ParquetFile(raw)
    with pq.ParquetWriter(part, file.schema_arrow, compression="none", use_dictionary=False) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            layers = {number: remove[number](vectors.rows_of(table, number)) for number in numbers}
            writer.write_table(vectors.table(table["sentence_id"].to_numpy(), layers, info))
