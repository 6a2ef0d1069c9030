import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.pool.batches import mix_of
from pipeline.pool.inputs import Inputs
from pipeline.pool.mixes import MIXES
from pipeline.pool.names import Pooling

MEANS = {0: np.full((2, 3), 1.0), 1: np.full((2, 3), 3.0), 5: np.full((2, 3), 10.0)}
LEARNED = {"scalar_mix": {0: {0: 1.0, 1: 0.5, 5: 0.25}, 1: {0: 0.0, 1: 0.0, 5: 1.0}}}
BY_HAND = {  # of MEANS and LEARNED; add a row for a new mix
    "first_last": 6.5,
    "layers_0_5": 5.5,
    "layers_1_1": 3.0,
    "mean_layers": 14 / 3,
    "updates": 3**-0.5,  # every update is along (1, 1, 1)
    "updates_1_5": 3**-0.5,
    "scalar_mix": 5.0,
    "scalar_mix_1": 10.0,
}


def test_every_entry_is_tested():
    assert {Pooling.parse(name).entry for name in BY_HAND} == set(MIXES)


@pytest.mark.parametrize("name", BY_HAND)
def test_mixes_of_layers_by_hand(name):
    mixed = mix_of(Pooling.parse(name), Inputs(fits=LEARNED))(MEANS)
    assert mixed.shape == (2, 3)
    assert mixed == pytest.approx(np.full((2, 3), BY_HAND[name]), rel=1e-12)


def draw_means(rng, layers=(0, 1, 2, 3, 4), sentences=7, dim=5):
    """Means whose layers grow tenfold, as those of real models do."""
    return {layer: (10.0**layer * rng.standard_normal((sentences, dim))).astype(np.float32) for layer in layers}


@pytest.mark.parametrize(("name", "layers"), [("updates", [0, 1, 2, 3, 4]), ("updates_1_3", [1, 2, 3])])
def test_updates_by_a_loop_over_sentences_and_blocks(name, layers, rng):
    means = draw_means(rng)
    mixed = mix_of(Pooling.parse(name), Inputs())(means)
    for sentence, row in enumerate(mixed):
        total = np.zeros(5)
        for layer in layers[1:]:
            added = means[layer][sentence].astype(float) - means[layer - 1][sentence]
            total += added / np.sqrt((added**2).sum())
        assert row == pytest.approx(total / (len(layers) - 1), abs=1e-6)


def test_of_updates_the_length_does_not_count_and_the_direction_does(rng):
    means = draw_means(rng)
    mixed = mix_of(Pooling.parse("updates"), Inputs())(means)
    last = means[4] - means[3]
    longer = means | {4: means[3] + 1000 * last}
    assert mix_of(Pooling.parse("updates"), Inputs())(longer) == pytest.approx(mixed, abs=1e-5)
    turned = means | {4: means[3] - last}
    expected = mixed - 2 / 4 * last / np.linalg.norm(last, axis=1, keepdims=True)
    assert mix_of(Pooling.parse("updates"), Inputs())(turned) == pytest.approx(expected, abs=1e-5)
    still = means | {4: means[3]}  # a block that adds nothing
    rest = mixed - 1 / 4 * last / np.linalg.norm(last, axis=1, keepdims=True)
    assert mix_of(Pooling.parse("updates"), Inputs())(still) == pytest.approx(rest, abs=1e-5)


def test_between_layers_that_are_not_neighbours_the_update_is_that_of_all_blocks_between(rng):
    means = draw_means(rng, layers=(0, 4))
    added = means[4] - means[0]
    expected = added / np.linalg.norm(added, axis=1, keepdims=True)
    for name in ("updates", "updates_0_4"):
        assert mix_of(Pooling.parse(name), Inputs())(means) == pytest.approx(expected, abs=1e-6)


def test_one_layer_has_no_updates():
    with pytest.raises(InputError, match=r"pooling updates needs two layers, but the dump holds 3: see dump.layers"):
        mix_of(Pooling.parse("updates"), Inputs())({3: np.ones((2, 3))})


@pytest.mark.parametrize("text", ["updates_3_3", "updates_5_2"])
def test_a_range_of_updates_without_blocks_is_refused(text):
    with pytest.raises(InputError, match=rf"pooling is '{text}': I is \d there, expected less than J, \d"):
        Pooling.parse(text)


MISSING = [("layers_0_4", 4), ("layers_7_0", 7), ("first_last", 1), ("updates_1_4", 4)]


@pytest.mark.parametrize(("name", "missing"), MISSING)
def test_a_layer_that_the_dump_lacks_is_named(name, missing):
    means = {layer: vectors for layer, vectors in MEANS.items() if layer != missing}
    holds = ", ".join(map(str, means))
    message = rf"pooling {name} needs layer {missing}, but the dump holds {holds}: see dump.layers in params.yaml"
    with pytest.raises(InputError, match=message):
        mix_of(Pooling.parse(name), Inputs())(means)
