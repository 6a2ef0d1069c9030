"""Every pooling x correction x similarity x layer of one model in one read of its token states.

Layer by layer, so that only one layer's vectors are held (and the means of all layers where there is a mix of them), and each column of
the shards is read once. Nothing is kept but the scores of the pairs (contract C5, a combination's pairs one behind the other in the order
of pair_id) and where attention looked, for which the states are read again.
"""

import json
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import pooling, scoring, shards, splits
from pipeline.corrections import correction_of
from pipeline.files import replacing

PAIRS_OF_LAYERS = "pairs_of_layers"
LEARNED = (*pooling.LEARNED, "scalar_mix")
KEYS = [name for name in scoring.SCHEMA if name not in ("pair_id", "split", "label", "score")]  # what tells combinations apart
GROUP = 1 << 20  # rows of a row group, at most, of whole combinations


@dataclass(frozen=True)
class Sweep:
    """Section `sweep` of params.yaml: every combination of the three lists, at every layer."""

    poolings: list[str]
    """names as in `pooling`; attention, diagonal and scalar_mix stand for all their runs, pairs_of_layers for layers_I_J of every two layers"""
    corrections: list[str]
    """as in score.corrections"""
    similarities: list[str]
    """as in score.similarities"""

    def __post_init__(self):
        if not self.poolings:
            raise ValueError("sweep.poolings is empty: expected at least one, such as mean")
        for key, parse, names in (("poolings", pooling.parse, self.poolings), ("corrections", correction_of, self.corrections)):
            for name in names:
                try:
                    if (key, name) != ("poolings", PAIRS_OF_LAYERS):
                        parse(name)
                except ValueError as error:
                    raise ValueError(f"sweep.{key}: {error}") from error
        scoring.check_names("sweep", self.similarities, self.corrections)
        for name in self.poolings:
            entry, numbers = ("", ()) if name == PAIRS_OF_LAYERS else pooling.parse(name)
            if entry in LEARNED and numbers:
                raise ValueError(f"sweep.poolings has {name}, expected {entry}: it stands for all runs, which are compared together")
        if twice := sorted({name for name in self.poolings if self.poolings.count(name) > 1}):
            raise ValueError(f"sweep.poolings lists {', '.join(twice)} twice: once is enough")


def expand(names, layers, fitted):
    """The poolings of a sweep, with all runs of learned ones and all pairs of layers -> list of names."""
    found = []
    for name in names:
        if name == PAIRS_OF_LAYERS:
            found += [f"layers_{i}_{j}" for i, j in combinations(layers, 2)]
        elif name in fitted:
            found += [f"{name}_{run}" for run in fitted[name]]
        else:
            found.append(name)
    return found


def left_out(names, batch, fitted):
    """What cannot be computed from a dump like this batch -> {pooling: why}."""
    found, layers = {}, pooling.layers_of(batch)
    for name in names:
        entry = name if name == PAIRS_OF_LAYERS else pooling.parse(name)[0]
        needed = () if name == PAIRS_OF_LAYERS else pooling.layers_needed(name)
        if entry in LEARNED and not fitted.get(entry):
            found[name] = "not fitted (fit.poolings)"
        elif not pooling.holds_tokens(batch) and entry not in (*pooling.FROM_STATISTICS, *pooling.MIXES, PAIRS_OF_LAYERS):
            found[name] = "needs every token (dump.keep)"
        elif absent := sorted(set(needed) - set(layers)):
            found[name] = f"needs layer {absent[0]} (dump.layers)"
        elif entry == PAIRS_OF_LAYERS and len(layers) < 2:
            found[name] = "needs two layers (dump.layers)"
    return found


def sentences_of(batches):
    """The sentence ids of a dump's record batches, in their order -> (S,)."""
    return np.concatenate([shards.sentence_starts(batch)[0] if pooling.holds_tokens(batch) else batch["sentence_id"].to_numpy() for batch in batches])


def vectors_of(batches, layer, name, names, weights, fitted, train):
    """One layer, read once -> {pooling: (S, D) float32 with row i = sentence_id i}."""
    functions = {one: pooling.function_of(one, layer, weights, fitted) for one in names}
    parts = []
    for batch in batches:
        if pooling.holds_tokens(batch):
            parts.append((shards.sentence_starts(batch)[0], pooling.pool_tokens(batch, name, functions)))
        else:
            parts.append((batch["sentence_id"].to_numpy(), {one: pooling.pool_statistics(batch, name, one) for one in names}))
    ids, found = np.concatenate([ids for ids, _ in parts]), {}
    for one in names:
        rows = np.concatenate([pooled.pop(one) for _, pooled in parts])
        found[one] = np.empty_like(rows)
        found[one][ids] = rows
    if "sif" in found:
        found["sif"] = pooling.without_common(found["sif"][train])(found["sif"])
    return found


def sweep(folder, pairs, out, encoder, params: Sweep, weights, fitted):
    """A folder of shards and pairs (C2) -> a Parquet file of C5, in row groups of whole combinations.

    weights: `pooling.token_weights`; fitted: `fitted.read`. Poolings that this dump or fit cannot give are left out, and named in
    the file's metadata with the reason. Raises FileNotFoundError for a folder without shards, ValueError for states of another
    dataset and where nothing is left.
    """
    batches = list(shards.record_batches(folder))
    if not batches:
        raise FileNotFoundError(f"no shards in {folder}: run the dump stage first")
    pairs, train = pairs.sort("pair_id"), splits.train_sentences(pairs)
    missing = left_out(params.poolings, batches[0], fitted)
    layers = pooling.layers_of(batches[0])
    names = list(dict.fromkeys(expand([name for name in params.poolings if name not in missing], layers, fitted)))
    group = len(pairs) * max(1, GROUP // len(pairs))
    ids, needed = sentences_of(batches), int(max(pairs["sentence1_id"].max(), pairs["sentence2_id"].max())) + 1
    if not np.array_equal(np.sort(ids), np.arange(needed)):
        raise ValueError(f"{folder} holds the states of {len(ids)} sentences, expected sentences 0 to {needed - 1}, each once: it belongs to another dataset")
    mixes = {name: pooling.mix_of(name, fitted) for name in names if pooling.parse(name)[0] in pooling.MIXES}
    of_tokens = [name for name in names if name not in mixes]
    means, few, scored = {}, {}, 0
    schema = pl.DataFrame(schema=scoring.SCHEMA).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with replacing(out) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:

        def score(name, layer, encoded):
            """Write the scores of one pooling and layer -> how many."""
            table, missed = scoring.score_vectors(encoded, pairs, train, encoder, name, layer, params)
            for correction in missed:
                few.setdefault(f"{name} with {correction}", []).append(layer)
            if len(table):
                writer.write_table(pa.table(table.to_arrow(compat_level=pl.CompatLevel.oldest())).cast(schema), row_group_size=group)
            return len(table)

        for layer, column in layers.items():
            wanted = of_tokens + ["mean"] * (bool(mixes) and "mean" not in of_tokens)
            pooled = vectors_of(batches, layer, column, wanted, weights, fitted, train)
            if mixes:
                means[layer] = pooled["mean"]
            for name in of_tokens:
                scored += score(name, layer, pooled.pop(name))
        for name, mix in mixes.items():
            scored += score(name, None, mix(means))
        for name, at in few.items():
            missing[name] = "too few dimensions" + f" at layer{'s' * (len(at) > 1)} {', '.join(map(str, at))}" * (at != [None])
        if not scored:
            reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
            raise ValueError(f"nothing of the section sweep can be computed for {encoder} ({reasons}): add mean to its poolings and none to its corrections")
        writer.add_key_value_metadata({"drillcore": json.dumps({"encoder": encoder, "left_out": missing}, sort_keys=True)})
    return missing


def read(path, pairs):
    """A file of `sweep` -> (its combinations as a table of encoder, pooling, correction, layer, similarity, their scores (K, P) in the
    order of pair_id, {pooling left out: why}). ValueError where its pairs are others."""
    file = pq.ParquetFile(path)
    ids, keys, scores = np.sort(pairs["pair_id"].to_numpy()), [], np.empty(file.metadata.num_rows)
    at = 0
    for i in range(file.num_row_groups):  # all rows' names at once would be far larger than their scores
        table = file.read_row_group(i, columns=["pair_id", *KEYS, "score"])
        found = table["pair_id"].to_numpy()
        if len(found) % len(ids) or (found.reshape(-1, len(ids)) != ids).any():
            raise ValueError(f"{path} holds the scores of other pairs: run the sweep stage again")
        keys.append(pl.from_arrow(table.select(KEYS)).gather_every(len(ids)))
        scores[at : at + len(found)] = table["score"].to_numpy()
        at += len(found)
    missing = json.loads(file.metadata.metadata[b"drillcore"])["left_out"]
    return pl.concat(keys), scores.reshape(-1, len(ids)), missing


def read_attention(path, layer):
    """A file of `write_attention` -> {sentence_id: (T,) weights} at a layer, {} where it has none."""
    file = pq.ParquetFile(path)
    if shards.layer_name(layer) not in file.schema_arrow.names:
        return {}
    table = file.read(columns=["sentence_id", shards.layer_name(layer)])
    ids, starts = shards.sentence_starts(table)
    return dict(zip(ids.tolist(), np.split(table[shards.layer_name(layer)].to_numpy(), starts[1:-1])))


def write_attention(folder, out, fitted):
    """Where the first run of attention looked: a Parquet file with a row for each token, columns sentence_id, position and layer_00 ...
    (float32 weights that sum to 1 over a sentence). Without a fit it has no rows."""
    queries = fitted.get("attention", {}).get(0, {})
    fields = [("sentence_id", pa.int64()), ("position", pa.int32()), *((shards.layer_name(layer), pa.float32()) for layer in queries)]
    schema = pa.schema(fields)
    with replacing(out) as part, pq.ParquetWriter(part, schema) as writer:
        for batch in shards.record_batches(folder) if queries else ():
            columns, (_, starts) = [batch["sentence_id"], batch["position"]], shards.sentence_starts(batch)
            for layer, query in queries.items():
                states = shards.layer(batch, shards.layer_name(layer))
                columns.append(pa.array(np.concatenate([pooling.attention_weights(states[a:b].astype(np.float32), query) for a, b in pairwise(starts)])))
            writer.write_batch(pa.record_batch(columns, schema=schema))
