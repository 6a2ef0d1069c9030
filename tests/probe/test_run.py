"""Files of vectors in, files of probes out; what no other label can change; GloVe on MRPC against the literature."""

import numpy as np
import polars as pl
import pytest

from pipeline.base.errors import InputError
from pipeline.baselines.vectors import word_vectors
from pipeline.catalog.entries import Baseline, Dataset
from pipeline.formats import baselines, probes, vectors
from pipeline.probe import run
from pipeline.probe.features import of_vectors
from pipeline.probe.fit import fit
from pipeline.probe.settings import Probe, layers_of
from pipeline.text.pairs import prepare
from pipeline.text.settings import Prepare
from tests.helpers import pairs_table
from tests.probe.making import SETTINGS, pairs_of, write


def settings(**changes):
    return Probe(**vars(SETTINGS) | changes)


def probed(folder, layers, pairs, section=SETTINGS, encoder="toy"):
    """What is read back of a model's probes."""
    write(folder / "v.parquet", layers, encoder)
    run.probe_model(folder / "v.parquet", folder / "p.parquet", encoder, pairs, section)
    return probes.read(folder / "p.parquet", encoder, len(pairs), f"probe@{encoder}")


def test_every_layer_has_every_probe_and_its_control(tmp_path, rng):
    pairs = pairs_of(rng)
    layers = {layer: rng.standard_normal((200, 6)).astype(np.float32) for layer in (0, 3)}
    found = probed(tmp_path, layers, pairs)
    expected = [(layer, probe, control) for layer in (0, 3) for probe in SETTINGS.probes for control in (False, True)]
    assert list(found.keys.select("layer", "probe", "permuted").iter_rows()) == expected
    assert found.keys["features"].to_list() == [12, 12, 10, 10] * 2  # 2 D, and 4 * 5 / 2


def test_the_rows_are_those_of_fit_on_the_features_of_the_layer(tmp_path, rng):
    pairs, vectors = pairs_of(rng), rng.standard_normal((200, 5)).astype(np.float32)
    found = probed(tmp_path, {2: vectors}, pairs, settings(probes=["bilinear"]))
    seen = of_vectors("bilinear", vectors, *(pairs[f"sentence{i}_id"].to_numpy() for i in (1, 2)), np.arange(120), 4)
    expected = fit(seen, run.train_pairs(pairs, SETTINGS), SETTINGS.strengths)
    assert np.array_equal(found.scores, [expected.scores, expected.control])
    assert found.keys["held_out"].to_list() == [expected.held_out, None]
    assert found.keys["train"].to_list() == [expected.train, expected.control_train]


@pytest.mark.parametrize("graded", [False, True])
def test_labels_of_other_splits_change_not_one_byte(tmp_path, rng, graded):
    pairs = pairs_of(rng, graded=graded)
    vectors, test = {0: rng.standard_normal((200, 6)).astype(np.float32)}, pl.col("split") == "test"
    others = pairs.with_columns(label=pl.when(test).then(pl.col("label").max() - pl.col("label")).otherwise("label"))
    assert not others["label"].equals(pairs["label"])
    files = []
    for table in (pairs, others):
        probed(tmp_path, vectors, table)
        files.append((tmp_path / "p.parquet").read_bytes())
    assert files[0] == files[1]
    of_train = pairs.with_columns(label=pl.when(test).then("label").otherwise(pl.col("label").reverse()))
    probed(tmp_path, vectors, of_train)
    assert (tmp_path / "p.parquet").read_bytes() != files[0]


def test_the_order_of_the_two_sentences_changes_nothing(tmp_path, rng):
    pairs, vectors = pairs_of(rng), {0: rng.standard_normal((200, 6)).astype(np.float32)}
    swapped = pairs.with_columns(sentence1_id="sentence2_id", sentence2_id="sentence1_id")
    one, other = (probed(tmp_path, vectors, table) for table in (pairs, swapped))
    assert np.array_equal(one.scores, other.scores)


def test_whole_components_are_held_out_and_the_control_permutes_train_labels_alone(rng):
    pairs = pairs_of(rng).with_columns(component=pl.col("pair_id") // 7)
    train = run.train_pairs(pairs, SETTINGS)
    assert train.rows.tolist() == list(range(60))
    for component in range(9):
        assert len(np.unique(train.fold[pairs["component"].to_numpy()[:60] == component])) == 1
    assert sorted(train.permuted) == sorted(train.labels)
    assert not np.array_equal(train.permuted, train.labels)
    again = run.train_pairs(pairs, SETTINGS)
    assert np.array_equal(again.permuted, train.permuted)
    assert not np.array_equal(run.train_pairs(pairs, settings(seed=1)).permuted, train.permuted)


def test_grades_in_one_split_are_grades_in_all(rng):
    pairs = pairs_table([0, 1] * 20 + [0.5, 1], ["train"] * 40 + ["test"] * 2)
    assert run.train_pairs(pairs, SETTINGS).graded
    assert not run.train_pairs(pairs_table([0, 1] * 20, ["train"] * 38 + ["test"] * 2), SETTINGS).graded


@pytest.mark.parametrize(
    ("labels", "split", "component", "reason"),
    [
        ([0, 1] * 4, "test", None, "there is no split train"),
        ([0, 1] * 4, "train", None, "there is no split but train"),
        ([0, 1] * 4, ["train"] * 6 + ["test"] * 2, [0, 0, 0, 1, 1, 1, 2, 3], "in 2 components, too few for 3 folds"),
        ([1, 0, 0, 0, 0, 0, 0, 1], ["train"] * 6 + ["test"] * 2, None, "outside of some fold have the same label"),
    ],
)
def test_where_nothing_can_be_fitted_the_file_says_why(tmp_path, rng, labels, split, component, reason):
    pairs = pairs_table(labels, split, component=component)
    found = probed(tmp_path, {0: rng.standard_normal((16, 3)).astype(np.float32)}, pairs)
    assert reason in found.left_out
    assert found.scores.shape == (0, 8)


def test_no_probes_are_a_reason_too(tmp_path, rng):
    pairs = pairs_of(rng)
    found = probed(tmp_path, {0: rng.standard_normal((200, 3)).astype(np.float32)}, pairs, settings(probes=[]))
    assert found.left_out == "probe.probes lists nothing"


def test_a_baseline_is_probed_by_its_measures_or_its_vectors(tmp_path, rng):
    pairs = pairs_of(rng)
    informative = pairs["label"].to_numpy() + rng.uniform(-0.1, 0.1, 100)
    baselines.write(tmp_path / "a", "words", baselines.Result(scores={"x": informative, "y": rng.random(100)}))
    run.probe_baseline(tmp_path / "a", tmp_path / "p.parquet", "words", pairs, settings(strengths=[100.0]))
    found = probes.read(tmp_path / "p.parquet", "words", 100, "probe_baselines")
    assert list(found.keys.select("probe", "layer", "features").iter_rows()) == [("measures", None, 2)] * 2
    assert np.array_equal(found.scores[0] > 0, pairs["label"] == 1)
    baselines.write(tmp_path / "b", "vecs", baselines.Result(vectors=rng.standard_normal((200, 6))))
    run.probe_baseline(tmp_path / "b", tmp_path / "p.parquet", "vecs", pairs, settings(layers=[5]))
    found = probes.read(tmp_path / "p.parquet", "vecs", 100, "probe_baselines")
    assert found.keys["probe"].to_list() == ["difference_product"] * 2 + ["bilinear"] * 2
    assert found.keys["layer"].to_list() == [None] * 4


@pytest.mark.parametrize(
    ("setting", "expected"), [("all", [0, 4, 8]), (2, [0, 8]), ([-1], [8]), ([4, 0], [0, 4]), ([8, -1], [8])]
)
def test_layers_by_hand(setting, expected):
    assert layers_of(setting, [0, 4, 8]) == expected


def test_a_layer_that_was_not_kept_is_named():
    with pytest.raises(InputError, match=r"probe\.layers has -2, but the vectors have layers 0, 4, 8"):
        layers_of([0, -2], [0, 4, 8])


def test_foreign_or_broken_vectors_are_named(tmp_path, rng):
    pairs, rows = pairs_of(rng), rng.standard_normal((200, 3)).astype(np.float32)
    write(tmp_path / "v.parquet", {0: rows}, "other")
    with pytest.raises(InputError, match="holds the vectors of other"):
        run.probe_model(tmp_path / "v.parquet", tmp_path / "p.parquet", "toy", pairs, SETTINGS)
    with pytest.raises(InputError, match="holds 199 sentences, but the pairs have 200"):
        probed(tmp_path, {0: rows[1:]}, pairs)
    rows[7, 1] = np.inf
    with pytest.raises(InputError, match="not finite at layer 0"):
        probed(tmp_path, {0: rows}, pairs)


def test_glove_on_mrpc_is_within_a_point_and_a_half_of_the_published_accuracy(tmp_path, testdata):
    """Averaged GloVe by this protocol: about 72.5 % (SentEval, arXiv 1803.05449, with 300 dimensions; 50 here)."""
    columns = {"sentence1": "glue_sentence1", "sentence2": "glue_sentence2"}
    mrpc = prepare(Dataset(path=str(testdata / "mrpc.parquet"), columns=columns), "mrpc", Prepare(limit=None))
    entry = Baseline(kind="vectors", path=str(testdata / "glove.6B.50d.trimmed.txt"))
    vectors = word_vectors(entry, mrpc.pairs, mrpc.sentences, "glove").vectors
    write(tmp_path / "v.parquet", {0: vectors}, of_layers=False)
    section = settings(probes=["difference_product"], strengths=[1e-3, 1e-2, 1e-1], folds=5)
    run.probe_model(tmp_path / "v.parquet", tmp_path / "p.parquet", "toy", mrpc.pairs, section)
    scores = probes.read(tmp_path / "p.parquet", "toy", len(mrpc.pairs), "probe@toy").scores[0]
    test = (mrpc.pairs["split"] == "test").to_numpy()
    accuracy = np.mean((scores > 0)[test] == (mrpc.pairs["label"] == 1).to_numpy()[test])
    assert accuracy == pytest.approx(0.725, abs=0.015)


def test_recurrent_states_are_probed_by_their_principal_components_alone(tmp_path, rng, capsys):
    """A layer of them has up to a hundred thousand dimensions; `difference_product` would see twice as many."""
    pairs, rows = pairs_of(rng), {1: rng.standard_normal((200, 6)).astype(np.float32)}
    found = probed(tmp_path, rows, pairs)
    assert set(found.keys["probe"]) == set(SETTINGS.probes)
    assert capsys.readouterr().err == ""
    vectors.write(tmp_path / "v.parquet", rows, vectors.Info("toy", "state_rank_2", True))
    assert run.probe_model(tmp_path / "v.parquet", tmp_path / "p.parquet", "toy", pairs, SETTINGS) is None
    found = probes.read(tmp_path / "p.parquet", "toy", len(pairs), "probe@toy")
    assert set(found.keys["probe"]) == {"bilinear"}
    said = "toy: difference_product left out, recurrent states have too many dimensions for it\n"
    assert capsys.readouterr().err == said
