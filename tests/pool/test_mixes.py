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
    "scalar_mix": 5.0,
    "scalar_mix_1": 10.0,
}


def test_every_entry_is_tested():
    assert {Pooling.parse(name).entry for name in BY_HAND} == set(MIXES)


@pytest.mark.parametrize("name", BY_HAND)
def test_mixes_of_layers_by_hand(name):
    mixed = mix_of(Pooling.parse(name), Inputs(fits=LEARNED))(MEANS)
    assert mixed.shape == (2, 3)
    assert (mixed == BY_HAND[name]).all()


@pytest.mark.parametrize(("name", "missing"), [("layers_0_4", 4), ("layers_7_0", 7), ("first_last", 1)])
def test_a_layer_that_the_dump_lacks_is_named(name, missing):
    means = {layer: vectors for layer, vectors in MEANS.items() if layer != missing}
    holds = ", ".join(map(str, means))
    message = rf"pooling {name} needs layer {missing}, but the dump holds {holds}: see dump.layers in params.yaml"
    with pytest.raises(InputError, match=message):
        mix_of(Pooling.parse(name), Inputs())(means)
