"""Every reader on every kind of damage: one line that names the file and the stage, or what was written; never other
data.
"""

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import (
    attention,
    baselines,
    dumps,
    efficiency,
    fits,
    geometry,
    manifest,
    pairs,
    parquet,
    probes,
    scores,
    states,
    sweeps,
    tables,
    tokens,
    vectors,
)
from pipeline.formats.norms import Norms
from pipeline.formats.precision import Precision, scales_of
from tests.helpers import pairs_table

PAIRS = pairs_table([0, 1, 1, 0], ["train", "train", "test", "test"])
SENTENCES = pl.DataFrame({"sentence_id": range(8), "text": [f"sentence {i}" for i in range(8)]})
INFO = {"dataset": "toy", "graded": False, "splits": {"train": 2}, "shared": {}, "subsets": {}, "sentences": 8}
INFO |= {"components": 4, "source": None, "control": None}
MANIFEST = {"model": "toy", "key": "k", "parts": {}, "gate": None, "truncated": 0, "layers": [0, 2], "dim": 3}
MANIFEST |= {"sources": {}, "keep": "tokens", "store": "float16", "sentences": 2, "tokens": 3, "shards": []}
MANIFEST["readout"] = "plain"

NORMS = Norms([0, 2], [0.5, 0.9], 0.25, {"first": [1.0, 0.5], "last": [0.0, 0.5], "other": [0.0, 0.0]}, True, ["first"])


def score_table(encoder="toy", pairs_of=PAIRS):
    rows = pairs_of.select("pair_id", "split", "label").with_columns(
        encoder=pl.lit(encoder), pooling=pl.lit("mean"), correction=pl.lit("none"), similarity=pl.lit("cosine")
    )
    layers = [rows.with_columns(layer=pl.lit(i, pl.Int32), score=pl.col("pair_id") / 7.0 + i) for i in range(3)]
    return pl.concat(layers).select(list(scores.COLUMNS))


def write_sweep(path, encoder="toy", pairs_of=PAIRS):
    table = score_table(encoder, pairs_of).with_columns(listed=pl.col("pooling"), run=pl.lit(None, pl.Int32))
    writer = sweeps.Writer(path, encoder, len(pairs_of))
    writer.write(table.with_columns(option=pl.col("layer").cast(pl.String)))
    writer.close({"last": "why not"})


def write_tokens(path, model="toy"):
    ids = [np.array([1, 2, 3], np.int32), np.array([4], np.int32)]
    fields = np.arange(2), ids, {1: "a", 2: "b", 3: "c", 4: "d"}, np.array([False, True])
    tokens.write(path, tokens.Tokens(model, *fields, {"kind": "bytes"}))


def write_vectors(path, encoder="toy", store="float32"):
    numbers = np.arange(24, dtype=np.float32).reshape(8, 3)
    layers = {0: numbers, 2: -numbers}
    precision = Precision(store, dict.fromkeys(layers, scales_of(numbers.max(axis=0))) if store == "int8" else {})
    table = vectors.table(layers, precision=precision)
    with vectors.writer(path, table.schema, vectors.Info(encoder, "mean", True), NORMS, precision) as sink:
        sink.write_table(table)


def read_vectors(path):
    file = vectors.read(path, "pool@toy")
    scales = {layer: of_layer.tolist() for layer, of_layer in file.precision.scales.items()}
    return (
        file.info,
        file.norms,
        file.precision.store,
        scales,
        {layer: file.layer(layer).tolist() for layer in file.layers},
    )


def write_fit(path, model="toy"):
    parameters = {"attention": np.arange(12, dtype=np.float32).reshape(2, 2, 3)}
    report = {"model": model, "settings": {}, "layers": [0, 2], "poolings": {"attention": {}}}
    fits.write(path.parent, parameters, np.array([0, 2]), report)


def read_fit(path):
    learned = fits.read(path.parent, "toy")
    return {
        name: {run: {k: v.tolist() for k, v in of.items()} for run, of in runs.items()}
        for name, runs in learned.items()
    }


def write_attention(path, model="toy"):
    with attention.writer(path, [0, 2], model) as sink:
        columns = [np.array([0, 0, 1]), np.array([0, 1, 0], np.int32), *np.ones((2, 3), np.float32) / 2]
        sink.write_table(pa.table(columns, schema=attention.schema([0, 2])))


def read_attention(path):
    return {i: weights.tolist() for i, weights in attention.read(path, 2, "toy").items()}


def write_baseline(path, name="toy", count=4):
    baselines.write(path.parent, name, baselines.Result(scores={"dice": np.arange(count) / 3}, info={"dim": 2}))


def write_table(path):
    tables.write(path, pl.DataFrame({"encoder": ["toy"], "layer": [1], "spearman": [0.25]}), tables.CURVES)


def write_efficiency(path):
    row = dict.fromkeys(efficiency.EFFICIENCY) | {"name": "toy", "encoder": "toy"}
    row |= dict.fromkeys(efficiency.MEASURED, 0.25)
    efficiency.write(path, pl.DataFrame([row], schema=tables.schema_of(efficiency.EFFICIENCY)))


def write_geometry(path):
    row = dict.fromkeys(geometry.MEASURED) | {"encoder": "toy", "measure": "norm", "layer": 1, "value": 0.25}
    facts = {"measures": {"norm": {"title": "a"}, "curvature": {"title": "b"}}, "left_out": {}}
    table = pl.DataFrame([row], schema=geometry.polars_schema(geometry.MEASURED))
    geometry.write(path, table, facts | {"confidence": 0.95, "resamples": 100})


def read_geometry(path):
    table, facts = geometry.read(path)
    return table.to_dicts(), list(facts["measures"].items())


def write_environment(path):
    counts = dict.fromkeys(("cores", "threads", "pairs", "repeats"), 2)
    nothing = dict.fromkeys(("quota", "gpu", "load_before", "load_after"))
    others = {"cpu": "a", "versions": {}, "date": "2026-01-02", "interleaved": True}
    efficiency.write_environment(path, counts | nothing | others)


def write_probes(path, encoder="toy", pairs_of=PAIRS):
    row = {"probe": "bilinear", "layer": 2, "features": 3, "strength": 0.5, "train": 0.75}
    fitted = {"held_out": 0.25, "permuted": False, "scores": np.arange(len(pairs_of)) / 3}
    control = {"held_out": None, "permuted": True, "scores": -np.ones(len(pairs_of))}
    probes.write(path, encoder, [row | fitted, row | control], None)


def read_probes(path):
    found = probes.read(path, "toy", len(PAIRS), "probe@toy")
    return found.encoder, found.keys.to_dicts(), found.scores.tolist(), found.left_out


def read_tokens(path):
    found = tokens.read(path, "toy", pieces=True)
    return found.model, [ids.tolist() for ids in found.ids], found.pieces, found.truncated.tolist(), found.fingerprint


def read_scores(path):
    found = scores.read(path, PAIRS)
    return found.keys.to_dicts(), found.values.tolist(), found.norms


def read_sweep(path):
    found = sweeps.read(path, PAIRS, "toy")
    return found.keys.to_dicts(), found.scores.tolist(), found.left_out


@dataclass
class Format:
    file: str
    write: Any
    read: Any
    stage: str
    hashed: bool = True
    """whether any change of a byte is noticed: CSV and JSON are for people, who may edit them"""


def write_pairs(path):
    pairs.write(path.parent, PAIRS, SENTENCES, INFO)


FORMATS = {
    "pairs": Format("pairs.parquet", write_pairs, lambda path: pairs.read_pairs(path).to_dicts(), "prepare"),
    "sentences": Format(
        "sentences.parquet", write_pairs, lambda path: pairs.read_sentences(path, PAIRS).to_dicts(), "prepare"
    ),
    "texts": Format("sentences.parquet", write_pairs, lambda path: list(pairs.Texts(path)), "prepare"),
    "info": Format("info.json", write_pairs, pairs.read_info, "prepare", hashed=False),
    "tokens": Format("toy.parquet", write_tokens, read_tokens, "tokenize@toy"),
    "manifest": Format(
        "toy.json", partial(manifest.write, manifest=MANIFEST), partial(manifest.read, model="toy"), "dump@toy", False
    ),
    "fit": Format("attention.safetensors", write_fit, read_fit, "fit@toy"),
    "fit.json": Format("fit.json", write_fit, read_fit, "fit@toy", hashed=False),
    "vectors": Format("vectors.parquet", write_vectors, read_vectors, "pool@toy"),
    "vectors in float16": Format("vectors.parquet", partial(write_vectors, store="float16"), read_vectors, "pool@toy"),
    "vectors in int8": Format("vectors.parquet", partial(write_vectors, store="int8"), read_vectors, "pool@toy"),
    "baseline": Format(
        "scores.parquet", write_baseline, lambda p: baselines.read_scores(p.parent, "toy", 4).to_dicts(), "baseline@toy"
    ),
    "baseline.json": Format(
        "info.json", write_baseline, lambda p: baselines.read_info(p.parent, "toy"), "baseline@toy", hashed=False
    ),
    "scores": Format(
        "scores.parquet", lambda path: scores.write(path, [score_table()], {"toy": NORMS}), read_scores, "score"
    ),
    "sweep": Format("scores.parquet", write_sweep, read_sweep, "sweep@toy"),
    "probes": Format("toy.parquet", write_probes, read_probes, "probe@toy"),
    "attention": Format("attention.parquet", write_attention, read_attention, "sweep@toy"),
    "table": Format(
        "t.csv", write_table, lambda path: tables.read(path, tables.CURVES, "compare").to_dicts(), "compare", False
    ),
    "efficiency": Format(
        "e.csv", write_efficiency, lambda path: efficiency.read(path).to_dicts(), efficiency.COMMAND, False
    ),
    "geometry": Format("geometry.parquet", write_geometry, read_geometry, geometry.COMMAND),
    "efficiency.json": Format("e.json", write_environment, efficiency.read_environment, efficiency.COMMAND, False),
}


@pytest.fixture(params=FORMATS)
def written(request, tmp_path):
    chosen = FORMATS[request.param]
    path = tmp_path / chosen.file
    chosen.write(path)
    return chosen, path


def complains(chosen, path):
    with pytest.raises(InputError) as failed:
        chosen.read(path)
    message = str(failed.value)
    assert path.name in message, message
    assert chosen.stage in message, message
    assert "\n" not in message
    return message


def test_what_was_written_is_read(written):
    chosen, path = written
    assert chosen.read(path)


@pytest.mark.parametrize("keep", [0, 1, 0.3, 0.9, -1])
def test_a_cut_file_is_named(written, keep):
    chosen, path = written
    data = path.read_bytes()
    size = int(len(data) * keep) if isinstance(keep, float) else keep
    if path.suffix == ".csv" and size not in (0, 1):
        pytest.skip("a CSV without its last line is a CSV")
    path.write_bytes(data[:-3] if path.suffix == ".json" and size < 0 else data[:size])  # not its last newline alone
    complains(chosen, path)


def test_an_absent_file_is_named(written):
    chosen, path = written
    path.unlink()
    complains(chosen, path)


def test_another_files_content_is_named(written):
    chosen, path = written
    path.write_bytes(b"something else altogether\n" * 20)
    complains(chosen, path)


def test_a_flipped_bit_is_never_read_as_other_data(written, rng):
    chosen, path = written
    if not chosen.hashed:
        pytest.skip("a text file for people")
    data, intact = path.read_bytes(), chosen.read(path)
    silent = []
    for at in rng.permutation(len(data))[:300]:
        flipped = bytearray(data)
        flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with contextlib.suppress(InputError):
            if chosen.read(path) != intact:
                silent.append(int(at))
    assert silent == []


def test_an_edited_json_that_lacks_a_key_is_named(written):
    chosen, path = written
    if path.suffix != ".json":
        pytest.skip("no JSON")
    path.write_text("{}")
    assert "has no " in complains(chosen, path)


# foreign: whole files of something else


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("tokens", partial(write_tokens, model="other")),
        ("fit", partial(write_fit, model="other")),
        ("attention", partial(write_attention, model="other")),
        ("sweep", partial(write_sweep, encoder="other")),
        ("baseline", partial(write_baseline, name="other")),
        ("manifest", partial(manifest.write, manifest=MANIFEST | {"model": "other"})),
    ],
)
def test_a_file_of_another_model_is_named(tmp_path, name, write):
    path = tmp_path / FORMATS[name].file
    write(path)
    with pytest.raises(InputError, match=r"of other.*another run|holds the scores of other"):
        FORMATS[name].read(path)


def test_scores_of_other_pairs_are_named(tmp_path):
    path = tmp_path / "scores.parquet"
    for other in (PAIRS.with_columns(label=1 - pl.col("label")), PAIRS.with_columns(split=pl.lit("test"))):
        scores.write(path, [score_table(pairs_of=other)])
        with pytest.raises(InputError, match=r"contradicts the pairs in their column (label|split)"):
            scores.read(path, PAIRS)
        write_sweep(path, pairs_of=other)
        with pytest.raises(InputError, match=r"contradicts the pairs in their column (label|split)"):
            sweeps.read(path, PAIRS, "toy")


def test_doubled_and_missing_rows_of_scores_are_named(tmp_path):
    path, table = tmp_path / "scores.parquet", score_table()
    for damaged in (pl.concat([table, table]), pl.concat([table, table.head(1)]), table.slice(1)):
        scores.write(path, [damaged])
        with pytest.raises(InputError, match="does not have each of 4 pairs once"):
            scores.read(path, PAIRS)


def test_another_number_of_pieces_than_of_ids_is_named_where_pieces_are_read(tmp_path):
    path, schema = tmp_path / "toy.parquet", parquet.schema_of(tokens.COLUMNS)
    columns = [[0, 1], [[1, 2], [3]], [["a"], ["b", "c"]], [False, False], [0, 0], [2, 1], [0, 0], [2, 1]]
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, schema)], schema=schema)
    parquet.write(path, table, {"encoder": "toy", "fingerprint": {}})
    assert [ids.tolist() for ids in tokens.read(path, "toy").ids] == [[1, 2], [3]]
    with pytest.raises(InputError, match=r"has another number of pieces than of ids in a sentence: .*tokenize@toy"):
        tokens.read(path, "toy", pieces=True)


@pytest.mark.parametrize("spans", [[[0, 3], [0, 1]], [[1, 1], [0, 1]], [[-1, 2], [0, 1]], [[1, 0], [0, 1]]])
def test_a_span_outside_its_sentence_or_without_a_token_is_named(tmp_path, spans):
    fields = (np.arange(2), [np.array([1, 2], np.int32), np.array([3], np.int32)], dict.fromkeys((1, 2, 3), "x"))
    given = tokens.Tokens("toy", *fields, np.zeros(2, bool), {}, spans=np.array(spans))
    tokens.write(tmp_path / "toy.parquet", given)
    with pytest.raises(InputError, match=r"has a span that is not within its sentence: .*tokenize@toy"):
        tokens.read(tmp_path / "toy.parquet", "toy")


def test_some_combinations_of_a_sweep_are_those_of_the_whole(tmp_path):
    write_sweep(tmp_path / "s.parquet")
    whole = sweeps.read(tmp_path / "s.parquet", PAIRS, "toy")
    wanted = pl.DataFrame({"listed": ["mean", "mean", "max"], "option": ["2", "0", "1"]})
    some = sweeps.read_some(tmp_path / "s.parquet", PAIRS, "toy", wanted)
    rows = [row for row, option in enumerate(whole.keys["option"]) if option in ("0", "2")]
    assert some.keys.rows() == whole.keys[rows].rows()
    assert np.array_equal(some.scores, whole.scores[rows])
    assert some.left_out == whole.left_out
    nothing = sweeps.read_some(tmp_path / "s.parquet", PAIRS, "toy", wanted[2:])
    assert nothing.scores.shape == (0, len(PAIRS))


def test_a_combination_that_is_there_twice_is_named(tmp_path):
    writer = sweeps.Writer(tmp_path / "s.parquet", "toy", len(PAIRS))
    table = score_table().with_columns(listed=pl.col("pooling"), run=pl.lit(None, pl.Int32), option=pl.lit("0"))
    writer.write(pl.concat([table, table]))
    writer.close({})
    with pytest.raises(InputError, match="has a combination twice"):
        sweeps.read(tmp_path / "s.parquet", PAIRS, "toy")


def test_more_baseline_scores_than_pairs_are_named(tmp_path):
    write_baseline(tmp_path / "scores.parquet", count=5)
    with pytest.raises(InputError, match="holds 5 scores, but there are 4 pairs"):
        baselines.read_scores(tmp_path, "toy", 4)


def test_repeated_sentences_of_vectors_are_named(tmp_path):
    path = tmp_path / "v.parquet"
    table = vectors.table({0: np.ones((3, 2))})
    repeated = table.set_column(0, "sentence_id", pa.array([0, 1, 1]))
    parquet.write(path, repeated, vars(vectors.Info("toy", "mean", True)))
    with pytest.raises(InputError, match=r"has 3 sentence ids that are not 0 to 2 in order.*pool@toy"):
        vectors.read(path, "pool@toy").layer(0)


# token states


def write_states(folder, model="toy", numbers=(0, 1, 2)):
    """Two shards of one sentence each, and their manifest."""
    import hashlib

    folder.mkdir(exist_ok=True)
    schema, entries = states.schema([0, 2], 3, "float16"), []
    for shard in range(2):
        rows = np.full((2, 3), shard, np.float16) + np.array(numbers, np.float16)
        columns = [np.full(2, shard), np.arange(2, dtype=np.int32), rows, -rows]
        path = folder / f"shard-{shard:05d}.arrow"
        with pa.ipc.new_file(str(path), schema) as sink:
            sink.write_batch(states.record_batch(columns, schema))
        data = path.read_bytes()
        entries.append({"name": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    return MANIFEST | {"model": model, "shards": entries}


@pytest.fixture
def dumped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "states", write_states(tmp_path / "states")


def test_states_are_read_as_they_were_written(dumped):
    found = dumps.read(*dumped)
    assert list(found.layers) == [0, 2]
    assert found.sentence_ids().tolist() == [0, 1]
    assert states.layer(found.batches[1], "layer_02").tolist() == [[-1, -2, -3]] * 2


def test_a_flipped_bit_of_a_shard_is_named(dumped, rng):
    folder, about = dumped
    path = folder / "shard-00001.arrow"
    data = bytearray(path.read_bytes())
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"shard-00001\.arrow is not what was written.*dump@toy"):
        dumps.read(folder, about)


def test_a_shard_that_was_checked_is_checked_again_when_it_changes(dumped):
    folder, about = dumped
    dumps.read(folder, about)
    dumps.read(folder, about)
    path = folder / "shard-00000.arrow"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(InputError, match="is not what was written"):
        dumps.read(folder, about)


def test_a_shard_is_hashed_once_while_it_stays(dumped, monkeypatch):
    dumps.read(*dumped)
    monkeypatch.setattr("hashlib.file_digest", lambda *arguments: pytest.fail("hashed again"))
    assert dumps.read(*dumped).of_tokens


def test_another_dumps_shards_are_named(dumped):
    folder, about = dumped
    write_states(folder, numbers=(3, 4, 5))
    with pytest.raises(InputError, match="is not what was written"):
        dumps.read(folder, about)


def test_cut_missing_and_extra_shards_are_named(dumped):
    folder, about = dumped
    path = folder / "shard-00001.arrow"
    data = path.read_bytes()
    path.write_bytes(data[:-8])
    with pytest.raises(InputError, match=rf"has {len(data) - 8} of {len(data)} bytes"):
        dumps.read(folder, about)
    path.unlink()
    with pytest.raises(InputError, match=r"differ in shard-00001\.arrow"):
        dumps.read(folder, about)
    path.write_bytes(data)
    Path(folder / "shard-00002.arrow").write_bytes(data)
    with pytest.raises(InputError, match=r"differ in shard-00002\.arrow"):
        dumps.read(folder, about)


def test_no_shards_are_named_with_the_stage_that_makes_them(tmp_path):
    with pytest.raises(InputError, match=r"is not there: run the stage that writes it \(dvc repro dump@toy\)"):
        dumps.read(tmp_path, MANIFEST)


def test_a_shard_that_is_no_arrow_file_is_named_without_a_manifest_too(tmp_path):
    (tmp_path / "shard-00000.arrow").write_bytes(b"ARROW1 no more")
    with pytest.raises(InputError, match="is not a whole shard"):
        dumps.read(tmp_path)
