"""A sweep against pooling and scoring through files, one pooling at a time, and against the definitions in float64."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import InputError
from pipeline.base.settings import build
from pipeline.formats import attention as attention_files
from pipeline.formats import pairs as pair_files
from pipeline.formats import states, statistics, sweeps, vectors
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import KINDS, Pooling
from pipeline.pool.run import pool
from pipeline.pool.statistics import FROM_STATISTICS
from pipeline.pool.weighted import token_weights
from pipeline.score import combinations
from pipeline.score import sweep as sweep_module
from pipeline.score.loes import order_of
from pipeline.score.run import score_model
from pipeline.score.settings import Score, Sweep
from pipeline.score.sweep import nothing, sweep
from tests.helpers import contents, pairs_table
from tests.pool.dumps import (
    draw_recurrent,
    draw_states,
    draw_unembedding,
    run_fit,
    run_sweep,
    set_params,
    write_project,
    write_recurrent,
    write_statistics,
    write_tokens,
)

DIM, LAYERS, SENTENCES, RUNS = 6, 3, 26, 3
EVERY = ["mean", "weighted_mean", "norm_mean", "skip_first", "last_4", "last", "first", "max", "mean_max", "idf_mean"]
EVERY += ["skip_outliers", "sif", "attention", "diagonal", "first_last", "scalar_mix", "layers_0_2", "mean_layers"]
EVERY += ["updates", "updates_0_1"]
OF_STATES = ["state", "state_rank_1", "state_per_head"]
LEARNED = {"attention": (RUNS, LAYERS, DIM), "diagonal": (RUNS, LAYERS, DIM), "scalar_mix": (RUNS, LAYERS)}
CORRECTIONS = ["none", "centre", "remove_mean_direction", "standardise", "all_but_the_top_1", "whitening_3"]
MIXED = ["first_last", "scalar_mix", "layers_0_2", "mean_layers", "updates", "updates_0_1"]
COLUMNS = ["pooling", "correction", "layer", "similarity"]


class Given:
    """Token states of a few sentences, their token ids, pairs, and invented parameters of learned poolings."""

    def __init__(self, folder, rng):
        self.folder, self.rng = folder, rng
        drawn = draw_states(rng, SENTENCES, LAYERS, DIM, longest=8)
        self.states = {i: [layer + np.float16(1) for layer in layers] for i, layers in drawn.items()}
        self.ids = {i: rng.integers(0, 12, len(layers[0])) for i, layers in self.states.items()}
        self.dump = write_tokens(folder / "states", self.states)
        self.pooled = write_statistics(folder / "pooled", self.states)
        first, second = rng.permutation(SENTENCES).reshape(2, -1)
        self.pairs = pairs_table(rng.integers(0, 2, 13), ["train"] * 9 + ["test"] * 4, first, second)
        self.pairs = self.pairs.with_columns(pair_id=pl.Series(rng.permutation(13)))
        self.train = np.unique(np.concatenate([first[:9], second[:9]]))
        self.fits = {}
        for name, shape in LEARNED.items():
            runs = rng.standard_normal(shape).astype(np.float32)
            self.fits[name] = {run: dict(enumerate(of_run)) for run, of_run in enumerate(runs)}

    def inputs(self, names, fits=None, unembedding=None):
        entries = [name for name in names if KINDS.get(name) == "weighted"]
        weights = token_weights(np.array(list(self.ids)), list(self.ids.values()), self.train, entries)
        return Inputs(weights, self.fits if fits is None else fits, self.train, unembedding)

    def sweep(self, *names, corrections=("none",), similarities=("cosine",), dump=None, fits=None, unembedding=None):
        """-> {(pooling, correction, layer, similarity): scores in the order of pair_id}, {what was left out: why}."""
        values = {"poolings": list(names), "corrections": list(corrections), "similarities": list(similarities)}
        settings = build(Sweep, values | {"controls": False}, "sweep")
        path = self.folder / "scores.parquet"
        said = sweep(dump or self.dump, self.pairs, path, "m", settings, self.inputs(names, fits, unembedding))
        swept = sweeps.read(path, self.pairs, "m")
        assert said == swept.left_out
        assert set(swept.keys["encoder"]) == {"m"}
        self.keys, self.loes = swept.keys, swept.loes
        return dict(zip(swept.keys.select(COLUMNS).iter_rows(), swept.scores)), swept.left_out

    def through_files(self, name, corrections, similarities):
        """The same scores by the rooms' files: {(pooling, correction, layer, similarity): scores by pair_id}."""
        path = self.folder / f"one-{name}" / "vectors.parquet"
        pool(self.dump, Pooling.parse(name), path, "m", self.inputs([name]))
        values = {"similarities": list(similarities), "corrections": list(corrections)}
        table = pl.concat(score_model(path, "m", self.pairs, build(Score, values, "score"))).sort("pair_id")
        return {key: rows["score"].to_numpy() for key, rows in table.partition_by(COLUMNS, as_dict=True).items()}


@pytest.fixture
def given(tmp_path, rng):
    return Given(tmp_path, rng)


def test_every_kind_of_pooling_is_swept():
    assert {Pooling.parse(name).entry for name in EVERY + OF_STATES} == set(KINDS)


def test_recurrent_states_are_swept_by_their_own_poolings(given, tmp_path, rng):
    """Against pooling and scoring through files; what takes token states is left out in one line."""
    given.dump = write_recurrent(tmp_path / "recurrent", draw_recurrent(rng, SENTENCES, 2))
    corrections = ["none", "centre", "whitening_3"]
    found, left_out = given.sweep("mean", *OF_STATES, "attention", "pairs_of_layers", corrections=corrections)
    assert left_out == {"poolings of token states": "the dump kept recurrent states"}
    expected = {}
    for name in OF_STATES:
        expected |= given.through_files(name, corrections, ["cosine"])
    assert found.keys() == expected.keys()
    assert {key[2] for key in found} == {1, 2}
    for key, scores in expected.items():
        assert found[key] == pytest.approx(scores, rel=1e-6, abs=1e-6), key


def test_of_recurrent_states_the_plain_one_is_swept_where_the_list_has_none(given, tmp_path, rng):
    dump = write_recurrent(tmp_path / "recurrent", draw_recurrent(rng, SENTENCES, 2))
    found, left_out = given.sweep("mean", "sif", dump=dump)
    assert {key[0] for key in found} == {"state"}
    assert list(left_out) == ["poolings of token states"]
    again, left_out = given.sweep("state", dump=dump)
    assert left_out == {}
    assert all(np.array_equal(again[key], scores) for key, scores in found.items())


def test_poolings_of_recurrent_states_are_left_out_of_other_sweeps(given):
    why = "needs the recurrent state after the last token (keep: state)"
    for dump in (given.dump, given.pooled):
        found, left_out = given.sweep("mean", *OF_STATES, dump=dump)
        assert {key[0] for key in found} == {"mean"}
        assert left_out == dict.fromkeys(OF_STATES, why)


def test_a_sweep_is_pooling_and_scoring_one_by_one(given):
    similarities = ["cosine", "neg_manhattan"]
    found, left_out = given.sweep(*EVERY, "pairs_of_layers", corrections=CORRECTIONS, similarities=similarities)
    assert left_out == {}
    names = [name for name in EVERY if name not in LEARNED] + [
        f"{name}_{run}" for name in LEARNED for run in range(RUNS)
    ]
    expected = {}
    for name in [*names, "layers_0_1", "layers_1_2"]:
        corrections = CORRECTIONS[:1] if name.startswith("layers_") else CORRECTIONS  # there are many pairs of layers
        expected |= given.through_files(name, corrections, similarities)
    assert found.keys() == expected.keys()
    at_one_layer = {scores.tobytes() for key, scores in found.items() if key[1:] == ("none", 1, "cosine")}
    mixes = {scores.tobytes() for key, scores in found.items() if key[1:] == ("none", None, "cosine")}
    assert len(at_one_layer) == 11 + 2 * RUNS  # no two are the same
    assert len(mixes - at_one_layer) == 6 + RUNS  # but first_last, which is layers_1_2 here
    for key, scores in expected.items():
        # the vectors are float32 and the same but for the order of sums in BLAS; whitening divides by what may be small
        assert found[key] == pytest.approx(scores, rel=1e-4, abs=1e-4), key


@pytest.mark.parametrize("names", [["last", "mean"], ["last", "first_last"]])
def test_the_order_of_layers_without_labels_is_that_of_the_means_of_the_train_sentences(given, names):
    given.sweep(*names)
    pool(given.dump, Pooling.parse("mean"), given.folder / "v.parquet", "m", given.inputs([]))
    file = vectors.read(given.folder / "v.parquet", "pool@m")
    expected = order_of({layer: file.layer(layer)[given.train] for layer in range(LAYERS)})
    assert [layer for layer, _ in given.loes] == [layer for layer, _ in expected]
    assert [score for _, score in given.loes] == pytest.approx([score for _, score in expected], abs=1e-4)
    given.pairs = given.pairs.with_columns(label=1 - pl.col("label"))
    before = given.loes
    given.sweep(*names)
    assert given.loes == before  # whatever the labels


def test_where_no_means_are_swept_there_is_no_order_of_layers(given):
    given.sweep("last", "max")
    assert given.loes == []


def test_combinations_say_what_they_are_options_of(given):
    given.sweep("mean", "attention", "first_last", "scalar_mix", "layers_0_2", "pairs_of_layers")
    rows = set(given.keys.select("pooling", "listed", "run", "layer", "option").iter_rows())
    expected = {("mean", "mean", None, layer, str(layer)) for layer in range(LAYERS)}
    for run in range(RUNS):
        expected |= {(f"attention_{run}", "attention", run, layer, str(layer)) for layer in range(LAYERS)}
        expected |= {(f"scalar_mix_{run}", "scalar_mix", run, None, None)}
    expected |= {("first_last", "first_last", None, None, None)}
    expected |= {(f"layers_{i}_{j}", "pairs_of_layers", None, None, f"{i}+{j}") for i, j in ((0, 1), (0, 2), (1, 2))}
    assert rows == expected
    assert len(given.keys) == len(expected)  # layers_0_2 is listed twice and computed once


def test_token_weights_attention_and_removal_by_their_definitions(given):
    """In float64, by loops over tokens; the removed component by an SVD of the train sentences alone."""
    found, _ = given.sweep("idf_mean", "sif", "attention")
    in_train = [given.ids[i] for i in given.train]
    tokens = np.concatenate(in_train)
    share = {w: (tokens == w).sum() / len(tokens) for w in range(12)}
    idf = {w: np.log((len(in_train) + 1) / (sum(w in ids for ids in in_train) + 1)) for w in range(12)}
    for layer in range(LAYERS):
        vectors = {name: np.zeros((SENTENCES, DIM)) for name in ("idf_mean", "sif", "attention_2")}
        query = given.fits["attention"][2][layer].astype(np.float64)
        for i, ids in given.ids.items():
            h = given.states[i][layer].astype(np.float64)
            total = sum(idf[w] for w in ids)
            heard = sum(np.exp(x @ query / np.sqrt(DIM)) for x in h)
            for w, x in zip(ids, h):
                vectors["idf_mean"][i] += (idf[w] / total if total else 1 / len(h)) * x
                vectors["sif"][i] += 1e-3 / (1e-3 + share[w]) * x / len(h)
                vectors["attention_2"][i] += np.exp(x @ query / np.sqrt(DIM)) / heard * x
        common = np.linalg.svd(vectors["sif"][given.train])[2][0]
        vectors["sif"] -= np.outer(vectors["sif"] @ common, common)
        order = given.pairs.sort("pair_id")
        for name, v in vectors.items():
            pairs = zip(order["sentence1_id"], order["sentence2_id"])
            exact = [v[a] @ v[b] / (np.linalg.norm(v[a]) * np.linalg.norm(v[b])) for a, b in pairs]
            assert found[name, "none", layer, "cosine"] == pytest.approx(
                exact, abs=1e-4
            )  # float32, minus what is removed


def test_from_statistics_what_they_give_is_the_same_and_the_rest_is_left_out(given):
    by_tokens, _ = given.sweep(*EVERY, "pairs_of_layers")
    only_mix = {"scalar_mix": given.fits["scalar_mix"]}
    found, left_out = given.sweep(*EVERY, "pairs_of_layers", dump=given.pooled, fits=only_mix)
    dropped = [name for name in EVERY if name not in (*FROM_STATISTICS, *MIXED)]
    needs, unfitted = "needs every token (dump.keep)", "not fitted (section fit)"
    assert left_out == {name: unfitted if name in LEARNED else needs for name in dropped}
    assert found.keys() == {key for key in by_tokens if not key[0].startswith(tuple(dropped)) or key[0] == "last"}
    for key, scores in found.items():
        assert scores == pytest.approx(by_tokens[key], abs=1e-5), key  # within the rounding of float32 sums
    _, left_out = given.sweep(*EVERY, dump=given.pooled)
    assert left_out == dict.fromkeys(dropped, needs)


def test_what_is_not_fitted_and_layers_that_are_not_there_are_left_out_with_the_reason(given):
    dump = write_tokens(given.folder / "one", {i: layers[:1] for i, layers in given.states.items()})
    found, left_out = given.sweep(*EVERY, "pairs_of_layers", dump=dump, fits={})
    assert left_out == dict.fromkeys(LEARNED, "not fitted (section fit)") | {
        "first_last": "needs layer 1 (dump.layers)",
        "layers_0_2": "needs layer 2 (dump.layers)",
        "pairs_of_layers": "needs two layers (dump.layers)",
        "updates": "needs two layers (dump.layers)",
        "updates_0_1": "needs layer 1 (dump.layers)",
    }
    assert [key[0] for key in found] == [name for name in EVERY if name not in left_out]
    of_all, _ = given.sweep("mean")
    assert np.array_equal(found["mean", "none", 0, "cosine"], of_all["mean", "none", 0, "cosine"])


def test_a_correction_with_too_few_dimensions_is_left_out_where_it_has_and_nothing_else_is(given):
    """At layer 1 all states have two dimensions."""
    for layers in given.states.values():
        layers[1][:, 2:] = 0
    dump = write_tokens(given.folder / "flat", given.states)
    found, left_out = given.sweep("mean", "first_last", corrections=["none", "whitening_3"], dump=dump)
    assert left_out == {"whitening_3": "too few dimensions for mean at layer 1"}
    assert found.keys() == {
        *(("mean", "none", layer, "cosine") for layer in range(LAYERS)),
        *(("mean", "whitening_3", layer, "cosine") for layer in (0, 2)),
        *(("first_last", correction, None, "cosine") for correction in ("none", "whitening_3")),
    }
    wide = f"whitening_{2 * DIM}"
    names = ("mean", "attention", "first_last", "max", "pairs_of_layers")
    _, left_out = given.sweep(*names, corrections=[wide, "none"], dump=dump)
    pairs = "0+1, 0+2, 1+2"
    assert left_out == {
        wide: "too few dimensions for mean, attention, max at layers 0, 1, 2; "
        f"first_last; pairs_of_layers at layers {pairs}"
    }


def test_a_filter_by_the_unembedding_filters_what_is_as_wide_as_the_model(given):
    corrections, unembedding = ["none", "embed_filter_2"], draw_unembedding(given.rng, DIM)
    found, left_out = given.sweep("mean", "mean_max", corrections=corrections, unembedding=unembedding)
    assert left_out == {"embed_filter_2": "not as wide as the model for mean_max at layers 0, 1, 2"}
    middle = unembedding.directions[1:4] * unembedding.gain  # 3 of 6, one fewer of the largest than of the smallest
    pool(given.dump, Pooling.parse("mean"), given.folder / "v.parquet", "m", given.inputs([]))
    for layer in range(LAYERS):
        v = vectors.read(given.folder / "v.parquet", "pool@m").layer(layer).astype(np.float64) @ middle.T
        pairs = given.pairs.sort("pair_id").select("sentence1_id", "sentence2_id").iter_rows()
        exact = [v[a] @ v[b] / (np.linalg.norm(v[a]) * np.linalg.norm(v[b])) for a, b in pairs]
        assert found["mean", "embed_filter_2", layer, "cosine"] == pytest.approx(exact, abs=1e-5)
    found, left_out = given.sweep("mean", "mean_max", corrections=corrections)
    assert left_out == {"embed_filter_2": "there is no unembedding"}
    assert {key[1] for key in found} == {"none"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"poolings": ["attention"]}, r"\(attention: not fitted \(section fit\)\)"),
        ({"corrections": ["whitening_99"]}, r"\(whitening_99: too few dimensions for mean at layers 0, 1, 2\)"),
    ],
)
def test_a_sweep_of_nothing_is_refused_and_writes_nothing(given, settings, why):
    settings = {"poolings": ["mean"]} | settings
    message = rf"^nothing of the section sweep can be computed for m {why}: add mean to its poolings"
    with pytest.raises(InputError, match=message):
        given.sweep(*settings.pop("poolings"), fits={}, **settings)
    assert not list(given.folder.glob("scores*"))


def test_each_column_of_tokens_is_read_once(given, monkeypatch):
    seen, read = [], states.layer

    def count(batch, name):
        seen.append((batch["sentence_id"][0].as_py(), name))
        return read(batch, name)

    monkeypatch.setattr(states, "layer", count)
    _, left_out = given.sweep(*EVERY, "pairs_of_layers", corrections=CORRECTIONS)
    assert left_out == {}
    batches = [batch["sentence_id"][0].as_py() for batch in given.dump.batches]
    assert len(batches) > 1
    assert seen == [(batch, states.layer_name(layer)) for layer in range(LAYERS) for batch in batches]


def test_every_column_of_statistics_is_read(given, monkeypatch):
    """A pooling takes what it needs; the file is mapped."""
    seen, read = set(), statistics.read

    def count(batch, name, statistic):
        seen.add((batch["sentence_id"][0].as_py(), name))
        return read(batch, name, statistic)

    monkeypatch.setattr(statistics, "read", count)
    given.sweep(*FROM_STATISTICS, "first_last", "scalar_mix", dump=given.pooled)
    batches = [batch["sentence_id"][0].as_py() for batch in given.pooled.batches]
    assert seen == {(batch, states.layer_name(layer)) for layer in range(LAYERS) for batch in batches}


def test_the_order_of_sentences_and_of_pairs_does_not_matter(given):
    names, corrections = [*EVERY, "pairs_of_layers"], ["none", "centre"]
    found, _ = given.sweep(*names, corrections=corrections)
    shuffled = {int(i): given.states[int(i)] for i in given.rng.permutation(SENTENCES)}
    dump = write_tokens(given.folder / "again", shuffled, sentences_a_batch=5)
    given.pairs = given.pairs[given.rng.permutation(13)]
    again, _ = given.sweep(*names, corrections=corrections, dump=dump)
    assert list(again) == list(found)
    for key, scores in again.items():
        assert scores == pytest.approx(found[key], abs=1e-4), (
            key
        )  # float32 sums in another order, minus a common vector


@pytest.mark.parametrize("rows", [1, 13 * 2 + 5])
def test_row_groups_hold_whole_combinations(given, monkeypatch, rows):
    """Written a few combinations a group, as those of very many pairs are, and read as from one group."""
    arguments = {"corrections": CORRECTIONS, "similarities": ["cosine", "dot", "rank_cosine"]}
    at_once, _ = given.sweep("mean", "first_last", **arguments)
    few = pq.ParquetFile(given.folder / "scores.parquet").num_row_groups
    monkeypatch.setattr(sweeps, "ROWS", rows)
    monkeypatch.setattr(combinations, "ROWS_AT_ONCE", 2 * rows)
    found, _ = given.sweep("mean", "first_last", **arguments)
    assert pq.ParquetFile(given.folder / "scores.parquet").num_row_groups > few
    assert list(found) == list(at_once)
    assert all(np.array_equal(found[key], scores) for key, scores in at_once.items())


def test_without_a_train_split_all_pairs_are_of_train(given):
    """Corrections, weights and the removed component are those of all pairs' sentences."""
    given.pairs = given.pairs.with_columns(pl.lit("test").alias("split"))
    given.train = np.arange(SENTENCES)
    found, _ = given.sweep("sif", "idf_mean", corrections=["standardise"])
    for name in ("sif", "idf_mean"):
        for key, scores in given.through_files(name, ["standardise"], ["cosine"]).items():
            assert found[key] == pytest.approx(scores, abs=1e-4)


def test_states_of_other_sentences_are_refused(given):
    message = r"states of {} sentences, expected sentences 0 to 25, each once: it belongs to another run.*dump@"
    for name, missing in (("fewer", 4), ("gap", 25)):
        dump = write_tokens(given.folder / name, {i: given.states[i] for i in given.states if i != missing})
        with pytest.raises(InputError, match=message.format(25)):
            given.sweep("mean", dump=dump)
    dump = write_tokens(given.folder / "more", given.states | {26: given.states[0]})
    with pytest.raises(InputError, match=message.format(27)):
        given.sweep("mean", dump=dump)


def test_a_sweep_that_was_not_asked_for_is_a_file_without_combinations(given):
    nothing(given.folder / "none.parquet", given.pairs, "m", "why not")
    swept = sweeps.read(given.folder / "none.parquet", given.pairs, "m")
    assert (len(swept.keys), swept.scores.shape, swept.left_out) == (0, (0, 13), {"everything": "why not"})


# the stage


@pytest.fixture
def project(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path, rng)
    set_params(fit={"runs": 2, "epochs": 1, "batch_pairs": 4})
    set_params(sweep={"poolings": ["mean", "sif", "attention"], "corrections": ["none"], "similarities": ["cosine"]})

    def read(model):
        pairs = pair_files.read_pairs("data/pairs/pairs.parquet")
        looked = attention_files.read(f"data/sweeps/{model}/attention.parquet", 1, model)
        return SimpleNamespace(swept=sweeps.read(f"data/sweeps/{model}/scores.parquet", pairs, model), looked=looked)

    return read


def test_the_stage_writes_scores_and_where_attention_looked(project):
    run_fit()
    run_sweep()
    written = project("toy")
    assert set(written.swept.keys["listed"]) == {"mean", "sif", "attention"}
    assert len(written.looked) == 26


def test_a_control_is_swept_only_if_it_is_asked_for(project, capsys):
    run_fit("untrained")
    run_sweep("untrained")
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"untrained: not swept, {sweep_module.CONTROL}"
    written = project("untrained")
    assert (len(written.swept.keys), written.looked) == (0, {})
    assert written.swept.left_out == {"everything": sweep_module.CONTROL}
    set_params(sweep={"controls": True})
    run_sweep("untrained")
    written = project("untrained")
    assert set(written.swept.keys["listed"]) == {"mean", "sif"}
    assert written.swept.left_out == {"attention": "not fitted (section fit)"}
    set_params(fit={"controls": True})
    run_fit("untrained")
    run_sweep("untrained")
    assert set(project("untrained").swept.keys["listed"]) == {"mean", "sif", "attention"}


def test_a_stage_that_fails_leaves_the_earlier_sweep_as_it_was(project):
    run_fit()
    run_sweep()
    before = contents("data")
    set_params(sweep={"poolings": ["maen"]})
    with pytest.raises(InputError, match=r"poolings: pooling is 'maen': did you mean mean"):
        run_sweep()
    assert contents("data") == before
