"""Section `correlate` of params.yaml."""

import pytest

from pipeline.analyse.settings import Correlate
from pipeline.base.errors import InputError
from pipeline.base.settings import build

GOOD = {"resamples": 100, "confidence": 0.95, "seed": 0}


def test_the_reference_may_be_left_out_or_empty():
    assert build(Correlate, GOOD, "correlate").reference is None
    assert build(Correlate, GOOD | {"reference": None}, "correlate").reference is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resamples": 99}, r"correlate\.resamples is 99, expected at least 100"),
        ({"seed": -1}, r"correlate\.seed is -1, expected at least 0"),
        ({"confidence": 95}, r"correlate\.confidence is 95, expected 0\.5 to 1 \(0\.95 for 95 %\)"),
        ({"confidence": 1.0}, r"correlate\.confidence is 1\.0, expected 0\.5 to 1"),
        ({"confidence": 0.49}, r"correlate\.confidence is 0\.49, expected 0\.5 to 1"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_limit(change, message):
    with pytest.raises(InputError, match=message):
        build(Correlate, GOOD | change, "correlate")
