import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline.base.errors import InputError
from pipeline.base.settings import section
from pipeline.fit.settings import Fit
from tests.helpers import ROOT

COMMITTED = section(Fit, ROOT / "params.yaml")


def test_controls_are_not_learned_for_unless_asked():
    assert COMMITTED.controls is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poolings": ["attention", "atention"]}, "fit.poolings is 'atention': did you mean attention"),
        ({"poolings": ["mean"]}, "fit.poolings is 'mean': .*xpected one of attention, diagonal, scalar_mix"),
        ({"poolings": ["attention", "attention"]}, "fit.poolings lists attention twice"),
        ({"runs": 1}, "fit.runs is 1, expected at least 2"),
        ({"epochs": 0}, "fit.epochs is 0, expected at least 1"),
        ({"patience": 0}, "fit.patience is 0, expected at least 1"),
        ({"batch_pairs": 1}, "fit.batch_pairs is 1, expected at least 2"),
        ({"seed": -1}, "fit.seed is -1, expected at least 0"),
        ({"seed": 1 << 64}, r"fit.seed is \d+, expected less than 2\^63"),
        ({"learning_rate": 0.0}, "fit.learning_rate is 0.0, expected a finite number above 0"),
        ({"learning_rate": float("inf")}, "fit.learning_rate is inf, expected a finite number above 0"),
        ({"learning_rate": float("nan")}, "fit.learning_rate is nan, expected a finite number above 0"),
        ({"scale": -1.0}, "fit.scale is -1.0, expected a finite number above 0"),
        ({"scale": float("nan")}, "fit.scale is nan, expected a finite number above 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        replace(COMMITTED, **changes)


def test_settings_load_nothing_heavy():
    heavy = ("torch", "polars", "pyarrow", "pandas", "scipy")
    program = f"import sys, pipeline.fit.settings; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
