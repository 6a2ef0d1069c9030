"""Small dumps of invented states, and projects with one, for the tests of pool, score and fit and of their stages."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import torch
import yaml

from pipeline.formats import dumps, manifest, pairs, recurrent, states, statistics, tokens, unembeddings
from pipeline.formats.unembeddings import Unembedding
from tests.helpers import ROOT, pairs_table

MODELS = ("toy", "untrained")


def draw_states(rng, sentences=17, layers=3, dim=8, longest=11):
    """{sentence_id: [(T, D) float16 a layer]} in a random order."""
    lengths = zip(rng.permutation(sentences).tolist(), rng.integers(1, longest + 1, sentences).tolist())
    return {i: [rng.standard_normal((t, dim)).astype(np.float16) for _ in range(layers)] for i, t in lengths}


def write_tokens(folder, drawn, store="float16", sentences_a_batch=3, batches_a_shard=2):
    """{sentence_id: [(T, D) a layer]} -> a dump of tokens in this order, in several batches and shards."""
    first = next(iter(drawn.values()))
    schema = states.schema(list(range(len(first))), first[0].shape[1], store)
    batches, ids = [], list(drawn)
    for start in range(0, len(ids), sentences_a_batch):
        part = ids[start : start + sentences_a_batch]
        lengths = [len(drawn[i][0]) for i in part]
        positions = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        columns = [np.repeat(np.array(part), lengths), positions]
        for layer in range(len(first)):
            columns.append(np.concatenate([drawn[i][layer] for i in part]).astype(states.STORES[store]))
        batches.append(states.record_batch(columns, schema))
    return _write(folder, schema, batches, batches_a_shard)


def write_statistics(folder, drawn, store="float16"):
    """The same -> a dump of what `keep: pooled` holds, in two batches."""
    first = next(iter(drawn.values()))
    schema = statistics.schema(list(range(len(first))), first[0].shape[1], store)
    kept, batches = {"float16": torch.float16, "float32": torch.float32}[store], []
    for ids in np.array_split(np.array(list(drawn)), 2):
        columns = [ids, np.array([len(drawn[i][0]) for i in ids], dtype=np.int32)]
        for layer in range(len(first)):
            of_sentences = [statistics.of(torch.from_numpy(drawn[i][layer])[None], kept) for i in ids]
            for column, field in zip(zip(*of_sentences), list(schema)[len(columns) :]):
                kind = field.type.value_type if pa.types.is_fixed_size_list(field.type) else field.type
                columns.append(torch.cat(column).numpy().astype(kind.to_pandas_dtype()))
        batches.append(states.record_batch(columns, schema))
    return _write(folder, schema, batches, 2)


def write_recurrent(folder, drawn, store="float16"):
    """{sentence_id: [(H, N, M) a layer]} of layers 1 to L -> a dump of what `keep: state` holds, in two batches."""
    first = next(iter(drawn.values()))
    schema = recurrent.schema(list(range(1, len(first) + 1)), first[0].shape, store)
    batches = []
    for ids in np.array_split(np.array(list(drawn)), 2):
        columns = [ids, np.full(len(ids), 3, dtype=np.int32)]
        for layer in range(len(first)):
            rows = np.stack([drawn[i][layer] for i in ids.tolist()]).reshape(len(ids), -1)
            columns.append(rows.astype(states.STORES[store]))
        batches.append(states.record_batch(columns, schema))
    return _write(folder, schema, batches, 1)


def draw_recurrent(rng, sentences=17, layers=2, shape=(2, 3, 4)):
    """{sentence_id: [(H, N, M) float16 a layer]} in a random order."""
    drawn = rng.standard_normal((sentences, layers, *shape)).astype(np.float16)
    return {i: list(drawn[i]) for i in rng.permutation(sentences).tolist()}


def _write(folder, schema, batches, batches_a_shard):
    folder.mkdir(parents=True)
    for start in range(0, len(batches), batches_a_shard):
        with pa.ipc.new_file(str(folder / f"shard-{start:05d}.arrow"), schema) as sink:
            for batch in batches[start : start + batches_a_shard]:
                sink.write_batch(batch)
    return dumps.read(folder)


def write_project(folder, rng, **changes):
    """A project with everything that the stages before `fit` write, for a model `toy` and a control `untrained`.

    Its 26 sentences have 3 layers of 6 dimensions; 9 of 13 pairs are of train. `changes` go into params.yaml.
    """
    drawn = draw_states(rng, sentences=26, dim=6, longest=8)
    table = pairs_table([0, 1] * 6 + [0], ["train"] * 9 + ["test"] * 4, *rng.permutation(26).reshape(2, -1))
    sentences = pl.DataFrame({"sentence_id": np.arange(26), "text": [f"sentence {i}" for i in range(26)]})
    pairs.write(folder / "data/pairs", table, sentences, {"subsets": {}})
    ids = [rng.integers(0, 12, len(drawn[i][0])).astype(np.int32) for i in range(26)]
    for model in MODELS:
        dump = write_tokens(folder / f"data/states/{model}", drawn)
        pieces = dict.fromkeys(range(12), "x")
        read = tokens.Tokens(model, np.arange(26), ids, pieces, np.zeros(26, dtype=bool), {})
        tokens.write(folder / f"data/tokens/{model}.parquet", read)
        manifest.write(folder / f"data/manifests/{model}.json", manifest_of(dump, model, drawn))
        unembeddings.write(folder / f"data/unembeddings/{model}.safetensors", draw_unembedding(rng, 6), model)
    entries = {"toy": {"path": "toy"}, "untrained": {"random": 0, "config": {}, "tokenizer": "bytes"}}
    (folder / "catalog.yaml").write_text(yaml.safe_dump({"models": entries}))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"models": list(MODELS), "baselines": []} | changes))


def manifest_of(dump, model, drawn):
    """The manifest of a dump that was written here."""
    shards = []
    for path in sorted(dump.folder.glob("*.arrow")):
        data = path.read_bytes()
        shards.append({"name": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    counts = {"sentences": len(drawn), "tokens": sum(len(layers[0]) for layers in drawn.values()), "truncated": 0}
    facts = {"key": "k", "parts": {}, "sources": {}, "gate": None, "dim": 6, "keep": "tokens", "store": "float16"}
    facts["readout"] = "plain"
    return {"model": model, "layers": list(dump.layers), "shards": shards} | counts | facts


def set_params(**changes):
    """Change params.yaml of the project in the current folder; a mapping is merged into what is there."""
    values = yaml.safe_load(Path("params.yaml").read_text())
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    Path("params.yaml").write_text(yaml.safe_dump(values))


def run_stage(main, model, *names, out):
    """A stage that has one folder or file of a model for each of its inputs, in the project in the current folder."""
    files = {"states": f"states/{model}", "manifest": f"manifests/{model}.json", "tokens": f"tokens/{model}.parquet"}
    files |= {"pairs": "pairs/pairs.parquet", "fits": f"fitted/{model}"}
    files |= {"unembedding": f"unembeddings/{model}.safetensors"}
    main(model, **{name: Path("data") / files[name] for name in names}, out=Path("data") / out)


def run_fit(model="toy"):
    """The stage fit."""
    import stages.fit

    run_stage(stages.fit.main, model, "states", "manifest", "pairs", out=f"fitted/{model}")


def run_pool(model="toy"):
    """The stage pool."""
    import stages.pool

    inputs = ("states", "manifest", "tokens", "pairs", "fits")
    run_stage(stages.pool.main, model, *inputs, out=f"pooled/{model}/vectors.parquet")


def run_sweep(model="toy"):
    """The stage sweep."""
    import stages.sweep

    inputs = ("states", "manifest", "unembedding", "tokens", "pairs", "fits")
    run_stage(stages.sweep.main, model, *inputs, out=f"sweeps/{model}")


def draw_unembedding(rng, dim, centred=False):
    """The unembedding of a model that is not there."""
    directions = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
    values = np.sort(rng.random(dim).astype(np.float32))[::-1]
    return Unembedding(directions, values, rng.uniform(0.5, 2, dim).astype(np.float32), centred)
