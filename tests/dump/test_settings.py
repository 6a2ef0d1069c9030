from dataclasses import replace

import pytest
import yaml

from pipeline.base.errors import InputError
from pipeline.base.settings import build, section
from pipeline.dump import keep
from pipeline.dump.settings import KEEPS, STORES, Dump
from pipeline.formats import states
from tests.helpers import ROOT


def test_the_committed_settings_are_read():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())["dump"]
    assert section(Dump, ROOT / "params.yaml") == Dump(**values)


def test_names_are_those_that_the_code_has():
    """They are repeated here, since the first stage reads settings and must not load torch and pyarrow."""
    assert set(KEEPS) == set(keep.KEEPS)
    assert set(STORES) == set(states.STORES)


@pytest.mark.parametrize("layers", ["all", 1, 7, [0], [-1, 3]])
def test_layers_that_a_model_may_have(settings, layers):
    assert replace(settings, layers=layers).layers == layers


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_tokens": 0}, r"dump\.batch_tokens is 0, expected at least 1"),
        ({"shard_mb": 0}, r"dump\.shard_mb is 0, expected at least 1"),
        ({"gate_tokens": -1}, r"dump\.gate_tokens is -1, expected at least 0"),
        ({"dtype": "float8"}, r"dump\.dtype is 'float8': .*xpected one of float32, bfloat16"),
        ({"store": "float8"}, r"dump\.store is 'float8': .*xpected one of float16, float32"),
        ({"keep": "token"}, r"dump\.keep is 'token': did you mean tokens\?"),
        ({"layers": "al"}, r"dump\.layers is 'al': give all, a list of layers, or n for every n-th layer"),
        ({"layers": 0}, r"dump\.layers is 0"),
        ({"layers": []}, r"dump\.layers is \[\]"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, changes, message):
    with pytest.raises(InputError, match=message):
        replace(settings, **changes)


def test_layers_are_whole_numbers(settings):
    values = vars(settings) | {"layers": [0, 1.5]}
    with pytest.raises(InputError, match=r"section dump: layers is \[0, 1\.5\], expected"):
        build(Dump, values, "section dump")
