"""A sweep against pooling and scoring through files, one pooling at a time, and against the definitions in float64."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline import fitted, pooling, scoring, shards, statistics, sweeping
from pipeline.sweeping import Sweep
from tests.test_pooling import write

DIM, LAYERS, SENTENCES, RUNS = 6, 3, 26, 3
EVERY = ["mean", "weighted_mean", "norm_mean", "skip_first", "last_4", "last", "first", "max", "mean_max", "idf_mean", "sif"]
EVERY += ["attention", "diagonal", "first_last", "scalar_mix", "layers_0_2"]
CORRECTIONS = ["none", "centre", "standardise", "all_but_the_top_1", "whitening_3"]
COLUMNS = ["pooling", "correction", "layer", "similarity"]


class Given:
    """Token states of a few sentences as shards, their token ids, pairs, and invented parameters of learned poolings."""

    def __init__(self, folder):
        rng = np.random.default_rng()
        self.folder = folder
        self.ids = {int(i): rng.integers(0, 12, t) for i, t in zip(rng.permutation(SENTENCES), rng.integers(1, 9, SENTENCES))}
        self.states = {i: [(rng.standard_normal((len(one), DIM)) + 1).astype(np.float16) for _ in range(LAYERS)] for i, one in self.ids.items()}
        write(folder / "states", self.states)
        first, second = rng.permutation(SENTENCES).reshape(2, -1)
        columns = {"pair_id": rng.permutation(len(first)), "split": ["train"] * 9 + ["test"] * 4, "label": rng.integers(0, 2, len(first)).astype(float)}
        self.pairs = pl.DataFrame(columns | {"component": range(len(first)), "sentence1_id": first, "sentence2_id": second})
        self.train = np.unique(np.concatenate([first[:9], second[:9]]))
        shapes = {"attention": (RUNS, LAYERS, DIM), "diagonal": (RUNS, LAYERS, DIM), "scalar_mix": (RUNS, LAYERS)}
        parameters = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        fitted.write(folder / "fits", parameters, np.arange(LAYERS), {})
        self.fitted = fitted.read(folder / "fits")

    def weights(self, poolings):
        return pooling.token_weights(np.array(list(self.ids)), list(self.ids.values()), self.train, poolings)

    def sweep(self, *poolings, corrections=("none",), similarities=("cosine",), states="states", fits=None):
        """-> {(pooling, correction, layer, similarity): scores in the order of pair_id}, {what was left out: why}."""
        settings = Sweep(list(poolings), list(corrections), list(similarities))
        out, fits = self.folder / "scores.parquet", self.fitted if fits is None else fits
        said = sweeping.sweep(self.folder / states, self.pairs, out, "m", settings, self.weights(poolings), fits)
        keys, scores, missing = sweeping.read(out, self.pairs)
        assert said == missing
        assert set(keys["encoder"]) == {"m"}
        return dict(zip(keys.select(COLUMNS).iter_rows(), scores)), missing


@pytest.fixture
def given(tmp_path):
    return Given(tmp_path)


def write_statistics(folder, states, store="float16"):
    """{sentence_id: [(T, D) a layer]} -> a shard of two batches of what a dump with `keep: pooled` holds."""
    folder.mkdir()
    schema = statistics.schema(range(LAYERS), DIM, store)
    with pa.ipc.new_file(folder / "shard-00000.arrow", schema) as writer:
        for names in np.array_split(np.array(list(states)), 2):
            columns = [names, np.array([len(states[i][0]) for i in names], dtype=np.int32)]
            for layer in range(LAYERS):
                each = [statistics.of(torch.from_numpy(states[i][layer])[None], torch.float16) for i in names]
                for column, field in zip(zip(*each), list(schema)[len(columns) :]):
                    kind = field.type.value_type if pa.types.is_fixed_size_list(field.type) else field.type
                    columns.append(torch.cat(column).numpy().astype(kind.to_pandas_dtype()))
            writer.write_batch(shards.record_batch(columns, schema))


def through_files(given, name, corrections, similarities, states="states"):
    """The same scores by the pool and score stages: {(pooling, correction, layer, similarity): scores in the order of pair_id}."""
    out = given.folder / f"one-{name}" / "vectors.parquet"
    weights = given.weights([name])
    pooling.pool(given.folder / states, name, out, {"encoder": "m", "pooling": name}, weights, given.fitted, given.train)
    table = scoring.score_encoder(out.parent, given.pairs, scoring.Score(list(similarities), list(corrections)))
    return {key: one.sort("pair_id")["score"].to_numpy() for key, one in table.partition_by(COLUMNS, as_dict=True).items()}


def test_every_kind_of_pooling_is_swept():
    assert {pooling.parse(name)[0] for name in EVERY} == set(pooling.POOLINGS | pooling.WEIGHTED | pooling.LEARNED | pooling.MIXES)


def test_a_sweep_is_pooling_and_scoring_one_by_one(given):
    corrections, similarities = CORRECTIONS, ["cosine", "neg_manhattan"]
    found, missing = given.sweep(*EVERY, "pairs_of_layers", corrections=corrections, similarities=similarities)
    assert missing == {}
    names = [name for name in EVERY if name not in given.fitted] + [f"{name}_{run}" for name in given.fitted for run in range(RUNS)]
    expected = {}
    for name in [*names, "layers_0_1", "layers_1_2"]:
        expected |= through_files(given, name, corrections, similarities)
    assert found.keys() == expected.keys()
    assert len({one.tobytes() for key, one in found.items() if key[1:] in (("none", 1, "cosine"), ("none", None, "cosine"))}) == 10 + 2 * RUNS + 3 + 1 + RUNS
    for key, one in expected.items():
        # the vectors are float32 and the same but for the order of sums in BLAS; whitening divides by what may be small
        assert found[key] == pytest.approx(one, rel=1e-4, abs=1e-4), key


def test_token_weights_attention_and_removal_by_their_definitions(given):
    """In float64, by loops over tokens; the removed component by an SVD of the train sentences alone."""
    found, _ = given.sweep("idf_mean", "sif", "attention")
    order = given.pairs.sort("pair_id")
    in_train = [given.ids[i] for i in given.train]
    tokens = np.concatenate(in_train)
    share = {w: (tokens == w).sum() / len(tokens) for w in range(12)}
    idf = {w: np.log((len(in_train) + 1) / (sum(w in one for one in in_train) + 1)) for w in range(12)}
    for layer in range(LAYERS):
        vectors = {name: np.zeros((SENTENCES, DIM)) for name in ("idf_mean", "sif", "attention_2")}
        for i, ids in given.ids.items():
            h, query = given.states[i][layer].astype(np.float64), given.fitted["attention"][2][layer].astype(np.float64)
            total = sum(idf[w] for w in ids)
            heard = sum(np.exp(x @ query / np.sqrt(DIM)) for x in h)
            for w, x in zip(ids, h):
                vectors["idf_mean"][i] += (idf[w] / total if total else 1 / len(h)) * x
                vectors["sif"][i] += 1e-3 / (1e-3 + share[w]) * x / len(h)
                vectors["attention_2"][i] += np.exp(x @ query / np.sqrt(DIM)) / heard * x
        common = np.linalg.svd(vectors["sif"][given.train])[2][0]
        vectors["sif"] -= np.outer(vectors["sif"] @ common, common)
        for name, v in vectors.items():
            pairs = zip(order["sentence1_id"], order["sentence2_id"])
            exact = [v[a] @ v[b] / (np.linalg.norm(v[a]) * np.linalg.norm(v[b])) for a, b in pairs]
            assert found[name, "none", layer, "cosine"] == pytest.approx(exact, abs=1e-4)  # float32, less what is removed


def test_from_statistics_what_they_give_is_the_same_and_the_rest_is_left_out(given):
    write_statistics(given.folder / "pooled", given.states)
    tokens, _ = given.sweep(*EVERY, "pairs_of_layers")
    found, missing = given.sweep(*EVERY, "pairs_of_layers", states="pooled", fits={"scalar_mix": given.fitted["scalar_mix"]})
    dropped = [name for name in EVERY if name not in (*pooling.FROM_STATISTICS, "first_last", "scalar_mix", "layers_0_2")]
    needs, unfitted = "needs every token (dump.keep)", "not fitted (fit.poolings)"
    assert missing == {name: unfitted if name in ("attention", "diagonal") else needs for name in dropped}
    assert found.keys() == {key for key in tokens if not key[0].startswith(tuple(dropped)) or key[0] == "last"}
    for key, one in found.items():
        assert one == pytest.approx(tokens[key], abs=1e-5), key  # within the rounding of float32 sums
    _, missing = given.sweep(*EVERY, states="pooled")
    assert missing == dict.fromkeys(dropped, needs)


def test_what_is_not_fitted_and_layers_that_are_not_there_are_left_out_with_the_reason(given):
    some = {i: layers[:1] for i, layers in given.states.items()}
    write(given.folder / "one", some)
    found, missing = given.sweep(*EVERY, "pairs_of_layers", states="one", fits={})
    assert missing == {name: "not fitted (fit.poolings)" for name in ("attention", "diagonal", "scalar_mix")} | {
        "first_last": "needs layer 1 (dump.layers)",
        "layers_0_2": "needs layer 2 (dump.layers)",
        "pairs_of_layers": "needs two layers (dump.layers)",
    }
    assert [key[0] for key in found] == [name for name in EVERY if name not in missing]
    whole, _ = given.sweep("mean")
    assert np.array_equal(found["mean", "none", 0, "cosine"], whole["mean", "none", 0, "cosine"])


def test_a_correction_with_too_few_dimensions_is_left_out_where_it_has_and_nothing_else_is(given):
    """At layer 1 all states have two dimensions."""
    for layers in given.states.values():
        layers[1][:, 2:] = 0
    write(given.folder / "flat", given.states)
    found, missing = given.sweep("mean", "first_last", corrections=["none", "whitening_3"], states="flat")
    assert missing == {"mean with whitening_3": "too few dimensions at layer 1"}
    assert found.keys() == {
        *(("mean", "none", layer, "cosine") for layer in range(LAYERS)),
        *(("mean", "whitening_3", layer, "cosine") for layer in (0, 2)),
        *(("first_last", correction, None, "cosine") for correction in ("none", "whitening_3")),
    }
    _, missing = given.sweep("mean", "first_last", corrections=[f"whitening_{2 * DIM}", "none"], states="flat")
    wide = f"with whitening_{2 * DIM}"
    assert missing == {f"mean {wide}": "too few dimensions at layers 0, 1, 2", f"first_last {wide}": "too few dimensions"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"poolings": ["attention"]}, r"\(attention: not fitted \(fit.poolings\)\)"),
        ({"corrections": ["whitening_99"]}, r"\(mean with whitening_99: too few dimensions at layers 0, 1, 2\)"),
    ],
)
def test_a_sweep_of_nothing_is_refused_and_writes_nothing(given, settings, why):
    settings = {"poolings": ["mean"]} | settings
    with pytest.raises(ValueError, match=rf"^nothing of the section sweep can be computed for m {why}: add mean to its poolings"):
        given.sweep(*settings.pop("poolings"), fits={}, **settings)
    assert not list(given.folder.glob("scores*"))


@pytest.mark.parametrize("kind", ["states", "pooled"])
def test_each_column_is_read_once(given, monkeypatch, kind):
    write_statistics(given.folder / "pooled", given.states)
    names = EVERY if kind == "states" else [*pooling.FROM_STATISTICS, "first_last", "scalar_mix"]
    seen, name = [], ("layer", "read")[kind == "pooled"]
    module = shards if kind == "states" else statistics
    original = getattr(module, name)
    monkeypatch.setattr(module, name, lambda batch, *which: seen.append((batch["sentence_id"][0].as_py(), *which)) or original(batch, *which))
    _, missing = given.sweep(*names, "pairs_of_layers", corrections=CORRECTIONS, states=kind)
    assert missing == {}
    batches = list(shards.record_batches(given.folder / kind))
    assert len(batches) > 1
    every = [(batch["sentence_id"][0].as_py(), shards.layer_name(layer)) for layer in range(LAYERS) for batch in batches]
    if kind == "states":
        assert seen == every
    else:  # a pooling takes what it needs; the file is mapped
        assert {one[:2] for one in seen} == set(every)


def test_the_order_of_sentences_and_of_pairs_does_not_matter(given):
    names, corrections = [*EVERY, "pairs_of_layers"], ["none", "centre"]
    found, _ = given.sweep(*names, corrections=corrections)
    rng = np.random.default_rng()
    shuffled = {int(i): given.states[int(i)] for i in rng.permutation(SENTENCES)}
    write(given.folder / "again", shuffled, sentences_a_batch=5)
    given.pairs = given.pairs.sample(fraction=1, shuffle=True)
    again, _ = given.sweep(*names, corrections=corrections, states="again")
    assert list(again) == list(found)
    for key, one in again.items():
        assert one == pytest.approx(found[key], abs=1e-4), key  # sums of float32 in another order, less a common vector


def test_row_groups_hold_whole_combinations(given, monkeypatch):
    """Written a few combinations a group, as those of hundreds of thousands of pairs are, and read as from one group."""
    arguments = {"corrections": CORRECTIONS, "similarities": ["cosine", "dot", "rank_cosine"]}
    whole, _ = given.sweep("mean", "first_last", **arguments)
    few = pq.ParquetFile(given.folder / "scores.parquet").num_row_groups
    for rows in (1, 13 * 2 + 5):
        monkeypatch.setattr(sweeping, "GROUP", rows)
        found, _ = given.sweep("mean", "first_last", **arguments)
        assert pq.ParquetFile(given.folder / "scores.parquet").num_row_groups > few
        assert list(found) == list(whole)
        assert all(np.array_equal(found[key], one) for key, one in whole.items())


def test_the_file_is_a_table_of_c5(given):
    given.sweep("mean", "first_last", "sif", corrections=["none", "centre"])
    table = pl.read_parquet(given.folder / "scores.parquet")
    assert dict(table.schema) == scoring.SCHEMA
    assert len(table) == 13 * (2 * LAYERS + 1) * 2
    named = table.join(given.pairs, on=["pair_id", "split", "label"], how="semi")
    assert len(named) == len(table)


def test_a_pair_can_hold_the_last_sentence_and_the_first_pair_none_of_train(given):
    """No train split: corrections, weights and the removed component are those of all pairs' sentences."""
    given.pairs = given.pairs.with_columns(pl.lit("test").alias("split"))
    given.train = np.arange(SENTENCES)
    found, _ = given.sweep("sif", "idf_mean", corrections=["standardise"])
    for name in ("sif", "idf_mean"):
        for key, one in through_files(given, name, ["standardise"], ["cosine"]).items():
            assert found[key] == pytest.approx(one, abs=1e-4)


def test_scores_of_other_pairs_are_refused(given):
    given.sweep("mean", "last")
    moved = given.pairs.with_columns(pl.col("pair_id") + 13)
    for others in (given.pairs[:-1], moved, pl.concat([given.pairs, moved])):
        with pytest.raises(ValueError, match=r"scores\.parquet holds the scores of other pairs: run the sweep stage again"):
            sweeping.read(given.folder / "scores.parquet", others)


def test_states_of_other_sentences_are_refused(given):
    message = r"states of {} sentences, expected sentences 0 to 25, each once: it belongs to another dataset"
    for name, keep in (("fewer", [i for i in given.states if i != 4]), ("gap", [i for i in given.states if i != 25])):
        write(given.folder / name, {i: given.states[i] for i in keep})
        with pytest.raises(ValueError, match=message.format(25)):
            given.sweep("mean", states=name)
    write(given.folder / "more", given.states | {26: given.states[0]})
    with pytest.raises(ValueError, match=message.format(27)):
        given.sweep("mean", states="more")


def test_a_folder_without_shards_is_refused(given):
    (given.folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no shards in .*empty: run the dump stage first"):
        given.sweep("mean", states="empty")


def test_attention_weights_are_those_of_the_pooling_and_sum_to_one(given):
    sweeping.write_attention(given.folder / "states", given.folder / "attention.parquet", given.fitted)
    for layer in range(LAYERS):
        found = sweeping.read_attention(given.folder / "attention.parquet", layer)
        assert found.keys() == given.states.keys()
        for i, weights in found.items():
            h, query = given.states[i][layer].astype(np.float64), given.fitted["attention"][0][layer].astype(np.float64)
            exact = np.exp(h @ query / np.sqrt(DIM))
            assert weights == pytest.approx(exact / exact.sum(), rel=1e-5)
            assert weights.sum() == pytest.approx(1, abs=len(weights) * 2**-23)
            assert weights == pytest.approx(pooling.attention_weights(given.states[i][layer].astype(np.float32), given.fitted["attention"][0][layer]), rel=1e-6)
            assert weights.astype(np.float64) @ h == pytest.approx(
                pooling.attention(given.states[i][layer].astype(np.float32), given.fitted["attention"][0][layer]), rel=1e-4, abs=1e-5
            )
    assert sweeping.read_attention(given.folder / "attention.parquet", LAYERS) == {}
    positions = pl.read_parquet(given.folder / "attention.parquet").group_by("sentence_id").agg("position")
    assert all(one == list(range(len(given.ids[i]))) for i, one in positions.iter_rows())


def test_without_a_fit_attention_looked_nowhere(given):
    sweeping.write_attention(given.folder / "states", given.folder / "attention.parquet", {})
    assert sweeping.read_attention(given.folder / "attention.parquet", 0) == {}
    assert len(pl.read_parquet(given.folder / "attention.parquet")) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"poolings": ["mean", "median"]}, r"sweep\.poolings: pooling is 'median', expected one of mean, last, last_K"),
        ({"poolings": ["last_0"]}, r"sweep\.poolings: pooling is 'last_0', expected one of"),
        ({"poolings": []}, r"sweep\.poolings is empty: expected at least one, such as mean"),
        ({"poolings": ["mean", "max", "mean"]}, r"sweep\.poolings lists mean twice: once is enough"),
        ({"poolings": ["pairs_of_layers"] * 2}, r"sweep\.poolings lists pairs_of_layers twice"),
        ({"poolings": ["attention_0"]}, r"sweep\.poolings has attention_0, expected attention: it stands for all runs"),
        ({"poolings": ["mean", "scalar_mix_1"]}, r"sweep\.poolings has scalar_mix_1, expected scalar_mix"),
        ({"corrections": ["center"]}, r"sweep\.corrections: correction is 'center', expected one of none, centre"),
        ({"corrections": ["pairs_of_layers"]}, r"sweep\.corrections: correction is 'pairs_of_layers'"),
        ({"corrections": []}, r"sweep\.corrections is empty: expected at least one, such as none"),
        ({"corrections": ["none", "none"]}, r"sweep\.corrections lists none twice: once is enough"),
        ({"similarities": ["cosin"]}, r"sweep\.similarities has \['cosin'\], expected some of cosine"),
        ({"similarities": []}, r"sweep\.similarities has nothing, expected some of cosine"),
        ({"similarities": ["dot", "dot"]}, r"sweep\.similarities lists dot twice: once is enough"),
    ],
)
def test_unknown_empty_and_repeated_names_are_refused(change, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        Sweep(**{"poolings": ["mean"], "corrections": ["none"], "similarities": ["cosine"]} | change)
    assert "\n" not in str(caught.value)
