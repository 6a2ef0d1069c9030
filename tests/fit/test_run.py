from dataclasses import replace
from itertools import count

import numpy as np
import polars as pl
import pytest
from scipy import stats

from pipeline.base.errors import InputError
from pipeline.fit import run
from pipeline.fit.result import CONTROL
from pipeline.formats import fits
from pipeline.pool.learned import LEARNED
from pipeline.pool.mixes import scalar_mix
from pipeline.pool.tokens import mean
from pipeline.score.similarities import cosine
from pipeline.stats.folds import folds
from tests.fit import planted
from tests.fit.planted import CPU, LONG, SETTINGS
from tests.helpers import pairs_table
from tests.pool.dumps import draw_states, run_fit, set_params, write_project, write_statistics, write_tokens

SIZES = {"train": 1200, "test": 800}


@pytest.fixture
def drawn(rng):
    """Random token states of two layers."""
    return draw_states(rng, sentences=60, layers=2, dim=6, longest=8)


@pytest.fixture
def pairs(rng):
    """Of every split; test sentences are not in train."""
    ids = np.concatenate([rng.integers(0, 40, (50, 2)), rng.integers(40, 60, (20, 2))])
    ids[-1, 1] = 59  # the last sentence, so that the pairs need all 60
    labels = np.append(rng.permutation(np.arange(50) % 2), rng.integers(0, 2, 20))
    return pairs_table(labels, ["train"] * 50 + ["test"] * 20, *ids.T, component=np.arange(70) // 2)


@pytest.fixture
def dump(tmp_path, drawn):
    return write_tokens(tmp_path / "states", drawn)


@pytest.fixture
def unguarded(monkeypatch):
    """What was learned is kept, whatever it is worth."""
    monkeypatch.setattr(run, "beyond_noise", lambda start, *_: np.ones(start.shape[1], dtype=bool))


@pytest.fixture
def last_epoch(monkeypatch, unguarded):
    """The last epoch is kept, whatever it is worth."""
    calls = count()
    monkeypatch.setattr(run, "rho_of", lambda scores, labels: np.full(scores.shape[1], float(next(calls))))


def fit(dump, pairs, **changes):
    return run.fit(dump, pairs, replace(SETTINGS, **changes), CPU, log=lambda line: None)


def scored(drawn, train, layer, pool):
    """Cosines of the train pairs at a layer in float64: pool is a function of (T, D)."""
    vectors = np.stack([pool(drawn[i][layer].astype(np.float64)) for i in range(60)])
    return cosine(vectors[train["sentence1_id"].to_numpy()], vectors[train["sentence2_id"].to_numpy()])


def rho_held_out(runs, train):
    """Spearman's rho of train pairs, each by its own run (R, n), as ranks within folds."""
    fold = folds(train["component"].to_numpy(), 2, 0)
    ranks = np.empty(len(fold))
    for number, scores in enumerate(runs):
        ranks[fold == number] = stats.rankdata(scores[fold == number]) / (fold == number).sum()
    return stats.spearmanr(ranks, train["label"]).statistic


def test_it_starts_at_the_mean_and_never_ends_below(dump, drawn, pairs):
    fitted = fit(dump, pairs)
    train = pairs.filter(split="train")
    assert fitted.layers.tolist() == fitted.report["layers"] == [0, 1]
    assert fitted.report["pairs"] == 50
    for layer in (0, 1):
        expected = rho_held_out([scored(drawn, train, layer, mean)] * 2, train)
        for name in LEARNED:
            report = {key: values[layer] for key, values in fitted.report["poolings"][name].items()}
            assert report["rho_at_start"] == pytest.approx(expected, abs=0.02)  # float32 may swap a near tie or two
            assert report["rho_held_out"] >= report["rho_at_start"]
            assert (report["epoch"] == 0) == (report["rho_held_out"] == report["rho_at_start"])


def test_what_is_kept_has_the_held_out_rho_that_is_reported(tmp_path, dump, drawn, pairs, unguarded):
    """The parameters, read back and applied by the poolings of the stage pool, give the rho of fit.json."""
    fitted = fit(dump, pairs, epochs=3)
    fits.write(tmp_path / "fitted", fitted.parameters, fitted.layers, {"model": "m"} | fitted.report)
    kept, train = fits.read(tmp_path / "fitted", "m"), pairs.filter(split="train")
    reports = fitted.report["poolings"]
    for name, pool in LEARNED.items():
        for layer in (0, 1):
            queries = [kept[name][number][layer] for number in (0, 1)]
            runs = [scored(drawn, train, layer, lambda h, q=q, pool=pool: pool(h, q)) for q in queries]
            assert reports[name]["rho_held_out"][layer] == pytest.approx(rho_held_out(runs, train), abs=0.02)
    means = {k: np.stack([mean(drawn[i][k].astype(np.float64)) for i in range(60)]) for k in (0, 1)}
    first, second = train["sentence1_id"].to_numpy(), train["sentence2_id"].to_numpy()
    mixes = [scalar_mix(means, kept["scalar_mix"][number]) for number in (0, 1)]
    runs = [cosine(vectors[first], vectors[second]) for vectors in mixes]
    assert reports["scalar_mix"]["rho_held_out"][0] == pytest.approx(rho_held_out(runs, train), abs=0.02)


def test_where_the_guard_finds_nothing_but_noise_the_mean_is_kept(dump, pairs, monkeypatch):
    monkeypatch.setattr(run, "beyond_noise", lambda start, *_: np.arange(start.shape[1]) == 1)
    fitted = fit(dump, pairs, epochs=3)
    assert fitted.report["poolings"]["attention"]["kept"] == [False, True]
    assert (fitted.parameters["attention"][:, 0] == 0).all()
    assert (fitted.parameters["diagonal"][:, 0] == 1).all()
    mix = fitted.parameters["scalar_mix"]
    assert np.array_equal(mix[0], mix[1])  # equal shares of layers of two sizes


def test_the_same_seed_gives_the_same_parameters_and_another_does_not(dump, pairs, last_epoch):
    once, again, other = (fit(dump, pairs, seed=seed).parameters["attention"] for seed in (0, 0, 1))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_training_stops_when_nothing_has_improved_for_so_many_epochs(dump, pairs, monkeypatch):
    lines, rhos = [], iter([0.1] * 100)
    monkeypatch.setattr(run, "rho_of", lambda scores, labels: np.full(scores.shape[1], next(rhos)))
    monkeypatch.setattr(run, "beyond_noise", lambda start, *_: np.zeros(start.shape[1], dtype=bool))
    run.fit(dump, pairs, replace(SETTINGS, poolings=["diagonal"], epochs=10, patience=3), CPU, lines.append)
    assert lines == ["rho of held-out train pairs before -> after training (epochs: 3): diagonal 0.100 -> 0.100"]


def test_test_pairs_and_their_states_and_labels_have_no_part_in_it(tmp_path, dump, drawn, pairs, last_epoch):
    parameters = fit(dump, pairs, epochs=5).parameters
    assert np.abs(parameters["attention"]).max() > 0
    for i in range(40, 60):
        drawn[i] = [np.full_like(layer, np.nan) for layer in drawn[i]]
    flipped = pl.when(pl.col("split") == "test").then(1 - pl.col("label")).otherwise(pl.col("label"))
    poisoned = fit(write_tokens(tmp_path / "poisoned", drawn), pairs.with_columns(label=flipped), epochs=5).parameters
    assert all(np.array_equal(poisoned[name], parameters[name]) for name in parameters)


def test_attention_finds_a_planted_direction_and_beats_the_mean_and_its_control(rng):
    drawn, pairs, u = planted.draw(rng, 24, 3, 1.0, SIZES)
    queries, scores = planted.study(drawn, pairs)
    assert (queries @ u > 0.6 * np.linalg.norm(queries, axis=1)).all()
    for other in ("mean", "diagonal"):
        assert planted.gain(scores["attention"], scores[other], pairs, confidence=0.9).low[0] > 0


def test_where_all_tokens_carry_the_signal_attention_gains_nothing(rng):
    drawn, pairs, _ = planted.draw(rng, 12, 12, 0.2, SIZES)
    _, scores = planted.study(drawn, pairs, replace(LONG, poolings=["attention"]))
    gained = planted.gain(scores["attention"], scores["mean"], pairs).value[0]
    assert abs(gained) < 0.03  # one standard error of a rho of 800 pairs


def test_from_shuffled_train_labels_nothing_is_learned(rng):
    """Leakage: in the median of seven draws the gain on test is zero: the guard keeps the mean in at least 19 of 20."""
    gains = []
    for _ in range(7):
        drawn, pairs, _ = planted.draw(rng, 24, 3, 1.0, {"train": 400, "test": 200})
        _, scores = planted.study(drawn, pairs, replace(LONG, poolings=["attention"], shuffle_labels=True))
        gains.append(planted.gain(scores["attention"], scores["mean"], pairs, resamples=200).value[0])
    assert np.median(gains) == pytest.approx(0, abs=1e-6)


def test_grades_are_learned_from_as_labels_are(rng):
    drawn, pairs, u = planted.draw(rng, 24, 3, 1.0, SIZES)
    graded = pairs.with_columns(label=pl.col("label") * 3.5 + 1)
    queries, _ = planted.study(drawn, graded, replace(LONG, poolings=["attention"]))
    assert (queries @ u > 0.6 * np.linalg.norm(queries, axis=1)).all()


def test_where_there_is_nothing_to_learn_from_it_is_said(tmp_path, dump, drawn, pairs):
    assert fit(dump, pairs, poolings=[]).report == {"nothing": "fit.poolings is empty"}
    fitted = fit(dump, pairs.with_columns(split=pl.lit("test")))
    assert (fitted.parameters, fitted.layers.tolist()) == ({}, [])
    assert fitted.report == {"nothing": "there is no train split"}
    pooled = write_statistics(tmp_path / "pooled", drawn)
    assert fit(pooled, pairs).report == {"nothing": "the dump kept statistics instead of tokens (dump.keep)"}


@pytest.mark.parametrize("missing", [4, 59])
def test_states_of_other_sentences_are_refused(tmp_path, drawn, pairs, missing):
    del drawn[missing]
    fewer = write_tokens(tmp_path / "fewer", drawn)
    with pytest.raises(InputError, match=r"fewer holds the states of 59 sentences, expected sentences 0 to 59, each"):
        fit(fewer, pairs)


def test_more_runs_than_components_are_refused(dump, pairs):
    message = r"fit.runs is 5, but the train pairs form only 1 components: lower it or empty fit.poolings"
    with pytest.raises(InputError, match=message):
        fit(dump, pairs.with_columns(component=pl.lit(0)), runs=5)


# the stage


@pytest.fixture
def project(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path, rng)
    set_params(fit={"runs": 2, "epochs": 1, "batch_pairs": 4})


def test_the_stage_writes_what_was_learned_and_how(project, capsys):
    run_fit()
    report = fits.read_report("data/fitted/toy", "toy")
    assert report["settings"]["runs"] == 2
    assert list(fits.read("data/fitted/toy", "toy")) == ["attention", "diagonal", "scalar_mix"]
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("toy: rho of held-out train pairs before -> after training (epochs: 1): attention ")


def test_nothing_is_left_of_an_earlier_fit(project):
    run_fit()
    set_params(fit={"poolings": ["diagonal"]})
    run_fit()
    assert list(fits.read("data/fitted/toy", "toy")) == ["diagonal"]
    set_params(fit={"poolings": []})
    run_fit()
    assert fits.read("data/fitted/toy", "toy") == {}
    assert fits.read_report("data/fitted/toy", "toy") == {"model": "toy", "nothing": "fit.poolings is empty"}


def test_a_control_is_learned_for_only_if_it_is_asked_for(project, capsys):
    run_fit("untrained")
    report = fits.read_report("data/fitted/untrained", "untrained")
    assert report == {"model": "untrained", "nothing": CONTROL, "control": True}
    assert "control" in CONTROL
    assert capsys.readouterr().err == f"untrained: nothing is learned, {CONTROL}\n"
    set_params(fit={"controls": True})
    run_fit("untrained")
    assert "nothing" not in fits.read_report("data/fitted/untrained", "untrained")
