"""Evidence from scores: planted curves, a plain loop, and whether the tests keep their level."""

import numpy as np
import pytest

from pipeline.analyse.settings import Correlate
from pipeline.claims import from_scores
from pipeline.claims.conditions import conditions
from pipeline.claims.decide import CONTRADICTED, SUPPORTED, UNRESOLVED, UNTESTED, decide
from pipeline.claims.judge import verdict
from pipeline.claims.remedies import NO_ENCODER, NO_OVERLAP, NO_VECTORS, NOT_TUNED
from pipeline.claims.rules import RULES
from pipeline.stats.bootstrap import resample_weights, stream_seed
from tests.analyse.making import rho
from tests.claims.making import SECTION, curve, drawn, scored

FALLING, RISING, FLAT = np.linspace(1.5, 0.1, 9), np.linspace(0.1, 1.5, 9), np.full(9, 0.5)
ONE = {("m", layer): "one" for layer in range(20)}
"""the noise of all layers of m is the same, so that signals alone tell them apart"""


def of(study, measure, split="test"):
    """The one row of a measure of model m."""
    found = drawn(study, split)
    every = [
        *from_scores.of_depth(found, study.correlations, study.related),
        *from_scores.of_choice(found, study.correlations, study.related),
    ]
    rows = [verdict(one, study.related) for one in every if one.measure == measure and one.model == "m"]
    [row] = rows
    return row


@pytest.mark.parametrize(
    ("signals", "wanted"), [(FALLING, SUPPORTED), (RISING, CONTRADICTED)], ids=["falling", "rising"]
)
def test_a_curve_that_falls_or_rises(rng, signals, wanted):
    study = scored(rng, curve("m", signals), noise=ONE)
    assert of(study, "slope")["verdict"] == wanted
    assert of(study, "slope_of_the_first_half")["verdict"] == wanted
    row = of(study, "shallow_minus_others")
    assert (row["verdict"], row["layer"], row["compared"]) == (wanted, 1, 7)
    assert row["other_layer"] == (2 if wanted == SUPPORTED else row["other_layer"])
    assert row["ours"] - row["other"] == pytest.approx(row["value"])
    assert row["command"] == "dvc repro claims"


def test_a_curve_that_does_neither(rng):
    study = scored(rng, curve("m", FLAT), noise=ONE)  # the same scores at every layer
    for measure in ("slope", "shallow_minus_others"):
        assert of(study, measure)["verdict"] == UNRESOLVED
    assert of(study, "shallow_minus_others")["value"] == 0


def test_layer_0_is_no_rival_of_the_shallow_layer(rng):
    study = scored(rng, curve("m", [3.0, *FALLING]), noise=ONE)
    assert of(study, "shallow_minus_others")["verdict"] == SUPPORTED
    study = scored(rng, curve("m", [0.5, 0.6]), noise=ONE)
    row = of(study, "shallow_minus_others")
    assert (row["verdict"], row["command"]) == (UNTESTED, "dvc exp run -S 'score.similarities=[cosine]'")


@pytest.mark.parametrize(
    ("vectors", "wanted"), [(3.0, SUPPORTED), (0.2, CONTRADICTED)], ids=["vectors above", "vectors below"]
)
def test_layers_against_word_vectors(rng, vectors, wanted):
    related = {"vectors": "glove"}
    study = scored(rng, curve("m", FLAT * 2) | {("glove", None): vectors}, related=related)
    row = of(study, "layers_minus_vectors")
    assert (row["verdict"], row["against"], row["compared"]) == (wanted, "glove", 8)
    one_above = [0.5, 3.0, *[0.1] * 7]
    row = of(scored(rng, curve("m", one_above) | {("glove", None): 1.0}, related=related), "layers_minus_vectors")
    assert (row["verdict"], row["layer"], row["opposing"]) == (CONTRADICTED, 1, 1)
    assert row["agreeing"] >= 6


def test_without_word_vectors_the_command_names_some(rng):
    row = of(scored(rng, curve("m", FLAT) | {("overlap", None): 1.0}), "layers_minus_vectors")
    assert (row["verdict"], row["why"]) == (UNTESTED, NO_VECTORS)
    assert row["command"] == "dvc exp run -S 'baselines=[overlap,glove-6b-50d]'"


TUNED = {"models": ["base", "m"], "tuned": {"m": "base"}, "vectors": "glove", "overlap": "overlap"}


@pytest.mark.parametrize(
    ("tuned", "wanted"), [(3.0, SUPPORTED), (0.2, CONTRADICTED), (1.0, UNRESOLVED)], ids=["above", "below", "same"]
)
def test_a_tuned_model_against_base_vectors_and_overlap(rng, tuned, wanted):
    signals = curve("base", [1.0] * 3) | curve("m", [tuned] * 3) | {("glove", None): 1.0, ("overlap", None): 1.0}
    alike = dict.fromkeys(signals, "one")
    study = scored(rng, signals, related=TUNED, noise=alike)
    for measure in (
        "tuned_minus_vectors",
        "tuned_minus_base",
        "tuned_minus_overlap",
        "tuned_minus_base_at_each_layer",
    ):
        assert of(study, measure)["verdict"] == wanted, measure


def test_what_a_tuned_model_lacks_is_said(rng):
    related = {"models": ["base", "m"], "tuned": {"m": "base"}}
    study = scored(rng, curve("base", [1.0] * 3) | curve("m", [1.0] * 3), related=related)
    assert of(study, "tuned_minus_vectors")["why"] == NO_VECTORS
    assert of(study, "tuned_minus_overlap")["why"] == NO_OVERLAP
    assert of(study, "encoder_minus_model")["why"] == NO_ENCODER
    row = of(scored(rng, curve("m", FLAT)), "tuned_minus_vectors")
    assert row["why"] == NOT_TUNED
    assert "models=[m,m-finetuned]" in row["command"]


def test_several_entries_of_one_base_have_a_mean_and_a_spread_by_hand(rng):
    signals = curve("m", [0.5] * 2) | curve("a", [1.0] * 2) | curve("b", [2.0] * 2) | curve("c", [1.5] * 2)
    related = {"models": ["m", "a", "b", "c"], "tuned": {"a": "m", "b": "m", "c": "m"}}
    study = scored(rng, signals, related=related)
    row = of(study, "tuned_minus_base_on_average")
    chosen = study.correlations.filter("selected", split="test")
    of_test = dict(chosen.select("encoder", "spearman").iter_rows())
    gains = [of_test[name] - of_test["m"] for name in "abc"]
    assert row["value"] == pytest.approx(np.mean(gains))
    assert row["spread"] == pytest.approx(np.std(gains, ddof=1))
    assert row["against"] == "a, b, c"
    assert row["verdict"] == SUPPORTED


def test_encoders_are_compared_with_holms_correction(rng):
    signals = curve("m", [0.5] * 3) | {("e", None): 3.0, ("f", None): 0.5, ("g", None): 0.1}
    study = scored(rng, signals, related={"encoders": ["e", "f", "g"]})
    found = list(from_scores.encoders(drawn(study), "m", {"m": 1}, ["e", "f", "g"]))
    raw = [drawn(study).apart(drawn(study).at(name, [None]), drawn(study).at("m", [1])).p[0] for name in "efg"]
    ordered = np.sort(raw)
    by_hand = {p: min(1, max(ordered[j] * (3 - j) for j in range(i + 1))) for i, p in enumerate(ordered)}
    assert [one.effects.p[0] for one in found] == pytest.approx([by_hand[p] for p in raw])
    assert decide(RULES["encoder_minus_model"], found[0].effects).verdict == SUPPORTED


def test_a_difference_in_resamples_is_that_of_a_plain_loop(rng):
    study = scored(rng, curve("m", [0.2, 0.6, 0.4]), sizes={"train": 20, "test": 40})
    found = drawn(study)
    apart = found.apart(found.at("m", [1]), found.at("m", [2]))
    rows = study.pairs["split"].to_numpy() == "test"
    labels, component = (study.pairs[name].to_numpy()[rows] for name in ("label", "component"))
    weights = resample_weights(component, SECTION.resamples, np.random.default_rng(stream_seed(SECTION.seed, "test")))
    scores = {layer: study.scores.values[study.scores.keys["layer"].to_list().index(layer)][rows] for layer in (1, 2)}
    values = np.array(
        [
            rho(*(np.repeat(x, w) for x in (scores[1], labels))) - rho(*(np.repeat(x, w) for x in (scores[2], labels)))
            for w in weights.T
        ]
    )
    values = values[np.isfinite(values)]
    true = rho(scores[1], labels) - rho(scores[2], labels)
    assert apart.value[0] == pytest.approx(true)
    assert [apart.low[0], apart.high[0]] == pytest.approx(np.quantile(values, [0.025, 0.975]))
    extreme = np.abs(values - true) >= abs(true) - 1e-12
    assert apart.p[0] == pytest.approx((1 + extreme.sum()) / (1 + len(values)))


def test_conditions_layer_by_layer(rng):
    signals = curve("m", [0.2, 2.0, 0.2]) | curve("n", [0.2, 0.2, 0.2, 0.2])
    alike = {key: key[1] for key in signals}
    study = scored(rng, signals, related={"models": ["m", "n"]}, noise=alike)
    found = drawn(study)
    table = conditions([found], [("n", "m", "tokenizer")])
    assert table["layer"].to_list() == [0, 1, 2]  # those that both have
    assert table["difference"].to_list() == pytest.approx((table["spearman"] - table["against_spearman"]).to_list())
    assert table["difference"].to_list()[::2] == [0, 0]
    row = table.row(1, named=True)
    assert row["difference"] < 0
    assert row["difference_high"] < 0
    assert row["p"] < 0.05
    rho_of = study.correlations.filter(encoder="m", split="test").sort("layer")["spearman"].to_list()
    assert table["against_spearman"].to_list() == pytest.approx(rho_of)
    assert conditions([found], []).is_empty()


def counts(rng, signals, measure, noise=None, runs=400):
    """How often each verdict comes out in drawn studies."""
    section = Correlate(resamples=200, confidence=0.95, seed=0)
    found = []
    for _ in range(runs):
        study = scored(rng, signals, {"test": 120}, {"vectors": "v"}, noise, section=section)
        curves = drawn(study, section=section)
        one = from_scores.shallow(curves, "m") if measure == "C1" else from_scores.below_vectors(curves, "m", "v")
        found.append(decide(RULES[one.measure], one.effects).verdict)
    return {name: found.count(name) / runs for name in (SUPPORTED, CONTRADICTED)}


def bound(runs=400, level=0.05):
    return level + 6 * np.sqrt(level * (1 - level) / runs)


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["C1", "C3"])
def test_where_nothing_differs_a_claim_is_hardly_ever_judged(rng, measure):
    found = counts(rng, curve("m", [0.5] * 6) | {("v", None): 0.5}, measure)
    assert found[CONTRADICTED] <= bound()
    assert found[SUPPORTED] <= bound()


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["C1", "C3"])
def test_a_claim_that_one_layer_breaks_is_seldom_supported(rng, measure):
    """The worst case of a comparison that every layer must pass: all others pass it with certainty."""
    signals = curve("m", [9.0, 3.0, 0.0, 3.0, 0.0, 0.0]) | {("v", None): 3.0}
    if measure == "C3":
        signals = curve("m", [0.0, 0.5, 0.0, 0.0, 0.0, 0.0]) | {("v", None): 0.5}
        signals |= {("m", layer): -3.0 for layer in (2, 3, 4, 5)}
    found = counts(rng, signals, measure)
    assert found[SUPPORTED] <= bound()
