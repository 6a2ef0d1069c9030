import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import dumps, precision, vectors
from pipeline.pool import run
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import Pooling
from pipeline.pool.tokens import POOLINGS
from pipeline.pool.weighted import token_weights
from tests.helpers import contents
from tests.pool.dumps import draw_recurrent, draw_states, write_recurrent, write_tokens

OF_TOKENS = ["last_4" if name == "last_K" else name for name in POOLINGS]


def pool(dump, name, path, inputs=None, store="float32"):
    run.pool(dump, Pooling.parse(name), path, "m", inputs or Inputs(), store=store)
    return vectors.read(path, "pool@m")


@pytest.mark.parametrize("name", OF_TOKENS)
@pytest.mark.parametrize("store", ["float16", "float32"])
def test_vectors_of_a_dump_equal_float64_pooling_of_each_sentence(tmp_path, rng, name, store, monkeypatch):
    monkeypatch.setattr(run, "ROW_GROUP", 5)
    drawn, pooling = draw_states(rng), Pooling.parse(name)
    file = pool(write_tokens(tmp_path / "states", drawn, store), name, tmp_path / "v.parquet")
    assert file.file.num_row_groups > 1
    assert file.info == vectors.Info("m", name, True)
    assert file.layers == [0, 1, 2]
    for layer in file.layers:
        pooled = file.layer(layer)
        assert pooled.dtype == np.float32
        for i, layers in drawn.items():
            exact = pooling.function(layers[layer].astype(np.float64), *pooling.numbers)
            assert np.abs(pooled[i] - exact).max() <= 1e-5


def test_rows_are_in_the_order_of_sentence_id(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(run, "ROW_GROUP", 5)
    drawn = draw_states(rng)
    pool(write_tokens(tmp_path / "states", drawn), "mean", tmp_path / "v.parquet")
    table = pq.read_table(tmp_path / "v.parquet")
    assert table["sentence_id"].to_pylist() == list(range(17)) != list(drawn)
    means = [drawn[i][2].astype(np.float64).mean(axis=0) for i in range(17)]
    assert np.array(table["layer_02"].to_pylist()) == pytest.approx(np.stack(means), abs=1e-5)


def test_a_dump_that_lacks_a_sentence_is_refused(tmp_path, rng):
    drawn = draw_states(rng)
    del drawn[3]
    with pytest.raises(InputError, match="states holds the states of 16 sentences, expected sentences 0 to 15"):
        pool(write_tokens(tmp_path / "states", drawn), "mean", tmp_path / "v.parquet")


@pytest.mark.parametrize("name", ["mean", "mean_max", "sif", "layers_0_2"])
@pytest.mark.parametrize("store", ["float16", "int8"])
def test_a_smaller_type_rounds_the_same_vectors(tmp_path, rng, name, store, monkeypatch):
    """Over row groups, one scale for each dimension of all of them, after the correction of sif; by definition."""
    monkeypatch.setattr(run, "ROW_GROUP", 5)
    drawn = draw_states(rng)
    dump = write_tokens(tmp_path / "states", drawn)
    weights = {"sif": {i: rng.random(len(layers[0])).astype(np.float32) for i, layers in drawn.items()}}
    inputs = Inputs(weights, train=np.arange(11))
    exact = pool(dump, name, tmp_path / "exact.parquet", inputs)
    file = pool(dump, name, tmp_path / "v.parquet", inputs, store)
    assert (file.info, file.layers, file.norms) == (exact.info, exact.layers, exact.norms)
    assert file.precision.store == store
    for layer in file.layers:
        rows = exact.layer(layer).astype(np.float64)
        step = np.abs(rows).max(axis=0) / 127 if store == "int8" else np.abs(rows) * 2**-10
        apart = np.abs(file.layer(layer) - rows)
        assert (apart <= 0.501 * step + 1e-7).all()
        assert apart.max() > 0


@pytest.mark.parametrize(
    ("store", "says"),
    [
        (
            "float16",
            "pool.store is float16, but the vector of sentence 4 at layer 1 has a number of 70,000, and float16",
        ),
        ("int8", "the vector of sentence 2 at layer 0 has a number that is not finite: set pool.store to float32"),
    ],
)
def test_vectors_that_do_not_fit_leave_the_earlier_ones_as_they_were(tmp_path, rng, store, says):
    drawn = {i: [layer.astype(np.float32) for layer in layers] for i, layers in draw_states(rng).items()}
    drawn[4][1][:] = 70000
    dump = write_tokens(tmp_path / "states", drawn, "float32")
    path = tmp_path / "v.parquet"
    pool(dump, "mean", path)
    if store == "int8":
        pool(dump, "mean", path, store=store)
        drawn[2][0][0, 0] = np.inf
        dump = write_tokens(tmp_path / "others", drawn, "float32")
    before = path.read_bytes()
    with pytest.raises(InputError, match=says), np.errstate(invalid="ignore"):  # infinity by infinity, on purpose
        pool(dump, "mean", path, store=store)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["v.parquet"]


def test_recurrent_states_with_more_numbers_than_scales_are_refused_before_anything_is_pooled(
    tmp_path, rng, monkeypatch
):
    dump = write_recurrent(tmp_path / "states", draw_recurrent(rng))  # 2 layers of 2 x 3 x 4
    monkeypatch.setattr(precision, "MOST_SCALES", 48)
    assert pool(dump, "state", tmp_path / "v.parquet", store="int8").layer(1).shape == (17, 24)
    monkeypatch.setattr(precision, "MOST_SCALES", 47)
    monkeypatch.setattr(run, "pool_batch", None)
    with pytest.raises(InputError, match=r"each of the 48 numbers of a sentence, but at most 47 are kept.*float16"):
        pool(dump, "state", tmp_path / "w.parquet", store="int8")
    assert not (tmp_path / "w.parquet").exists()


def test_no_token_of_another_sentence_is_pooled(tmp_path, rng):
    """Poison: one sentence's states are infinite; no other vector may notice."""
    drawn = draw_states(rng)
    poisoned = next(iter(drawn))
    drawn[poisoned] = [np.full_like(layer, np.inf) for layer in drawn[poisoned]]
    dump = write_tokens(tmp_path / "states", drawn)
    for name in OF_TOKENS:
        with np.errstate(invalid="ignore"):  # infinity by infinity, on purpose
            pooled = pool(dump, name, tmp_path / "v.parquet").layer(1)
        assert [i for i in range(17) if not np.isfinite(pooled[i]).all()] == [poisoned]


def test_sif_takes_the_common_direction_of_the_train_sentences_out_of_every_layer(tmp_path, rng, monkeypatch):
    """Over several row groups, against scikit-learn's truncated SVD of the train sentences' weighted means."""
    from sklearn.decomposition import TruncatedSVD

    monkeypatch.setattr(run, "ROW_GROUP", 5)
    drawn, train = draw_states(rng), np.arange(11)
    ids = [rng.integers(0, 6, len(drawn[i][0])).astype(np.int32) for i in range(17)]
    weights = token_weights(np.arange(17), ids, train, ["sif"])
    dump = write_tokens(tmp_path / "states", drawn)
    file = pool(dump, "sif", tmp_path / "v.parquet", Inputs(weights, train=train))
    assert file.info == vectors.Info("m", "sif", True)
    for layer in range(3):
        raw = np.stack([weights["sif"][i] @ drawn[i][layer].astype(np.float64) / len(ids[i]) for i in range(17)])
        u = TruncatedSVD(1, algorithm="arpack").fit(raw[train]).components_[0]
        assert file.layer(layer) == pytest.approx(raw - np.outer(raw @ u, u), abs=1e-5)
    assert pq.read_table(tmp_path / "v.parquet")["sentence_id"].to_pylist() == list(range(17))
    assert [path.name for path in tmp_path.glob("v.*")] == ["v.parquet"]


def test_a_mix_has_one_vector_of_all_layers(tmp_path, rng):
    drawn = draw_states(rng)
    file = pool(write_tokens(tmp_path / "states", drawn), "layers_0_2", tmp_path / "v.parquet")
    assert (file.info.layers, file.layers) == (False, [0])
    means = [[layer.astype(np.float64).mean(axis=0) for layer in drawn[i]] for i in range(17)]
    assert file.layer(0) == pytest.approx(np.stack([(m[0] + m[2]) / 2 for m in means]), abs=1e-5)


def test_each_run_has_its_own_parameters(tmp_path, rng):
    drawn = draw_states(rng)
    dump = write_tokens(tmp_path / "states", drawn)
    queries = rng.standard_normal((2, 3, 8)).astype(np.float32)
    fits = {"diagonal": {n: dict(enumerate(of_run)) for n, of_run in enumerate(queries)}}
    for name, of_run in (("diagonal", 0), ("diagonal_1", 1)):
        pooled = pool(dump, name, tmp_path / "v.parquet", Inputs(fits=fits)).layer(2)
        means = np.stack([drawn[i][2].astype(np.float64).mean(axis=0) for i in range(17)])
        assert pooled == pytest.approx(queries[of_run, 2] * means, abs=1e-5)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("name", ["attention", "layers_0_7"])
def test_what_cannot_be_pooled_leaves_the_earlier_vectors_as_they_were(tmp_path, rng, name, existing):
    dump, path = write_tokens(tmp_path / "states", draw_states(rng)), tmp_path / "pooled" / "v.parquet"
    if existing:
        vectors.write(path, {0: np.ones((1, 4))}, vectors.Info("m", "mean", True))
    before = contents(tmp_path)
    with pytest.raises(InputError, match=rf"^pooling {name} "):
        pool(dump, name, path)
    assert contents(tmp_path) == before


def test_a_stop_while_the_common_component_is_removed_leaves_nothing(tmp_path, rng, monkeypatch):
    drawn, train = draw_states(rng), np.arange(11)
    weights = {"sif": {i: np.ones(len(layers[0]), np.float32) for i, layers in drawn.items()}}

    def stop(train):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "without_common", stop)
    dump = write_tokens(tmp_path / "states", drawn)
    with pytest.raises(KeyboardInterrupt):
        pool(dump, "sif", tmp_path / "out/v.parquet", Inputs(weights, train=train))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("spot", [-20, 200])
def test_a_broken_shard_is_named(tmp_path, rng, spot):
    write_tokens(tmp_path / "states", draw_states(rng))
    last = sorted((tmp_path / "states").glob("*.arrow"))[-1]
    last.write_bytes(last.read_bytes()[:spot])
    with pytest.raises(InputError, match=rf"{last.name} is not a whole shard .*dvc repro dump@states"):
        pool(dumps.read(tmp_path / "states"), "mean", tmp_path / "v.parquet")
    assert not (tmp_path / "v.parquet").exists()
