"""Every section of params.yaml, whichever room it belongs to: the committed values, and the limits of each."""

import importlib
from dataclasses import fields

import pytest
import yaml

from pipeline.base import settings
from pipeline.base.errors import InputError
from tests.helpers import ROOT

COMMITTED = yaml.safe_load((ROOT / "params.yaml").read_text())
ROOMS = {"prepare": "text", "tokenize": "text", "sweep": "score", "correlate": "analyse", "efficiency": "cost"}


def class_of(section):
    """The dataclass of a section, in the settings of its room."""
    module = importlib.import_module(f"pipeline.{ROOMS.get(section, section)}.settings")
    return getattr(module, section.capitalize())


def changed(tmp_path, section, **values):
    """The committed section with some values changed."""
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({section: COMMITTED[section] | values}))
    return settings.section(class_of(section), path)


def as_text(value):
    """A value as params.yaml has it."""
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return str(value) if hasattr(value, "parse") else value


def test_the_committed_file_has_these_sections_and_no_other():
    assert COMMITTED.keys() == {"dataset", "models", "baselines", "pooling", "engine", *settings.SECTIONS}


@pytest.mark.parametrize("section", settings.SECTIONS)
def test_every_section_of_the_committed_file_is_read_as_it_is_written(section):
    values = settings.section(class_of(section), ROOT / "params.yaml")
    assert {f.name: as_text(getattr(values, f.name)) for f in fields(values)} == COMMITTED[section]


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("prepare", {"limit": 1}, r"prepare\.limit is 1\b.*at least 2"),
        ("tokenize", {"max_tokens": 0}, r"tokenize\.max_tokens is 0, expected at least 1"),
        ("tokenize", {"max_tokens": -5}, r"tokenize\.max_tokens is -5, expected at least 1"),
        ("dump", {"batch_tokens": 0}, r"dump\.batch_tokens is 0, expected at least 1"),
        ("dump", {"shard_mb": 0}, r"dump\.shard_mb is 0, expected at least 1"),
        ("dump", {"shard_mb": 0.5}, r"shard_mb is 0\.5, expected int"),
        ("dump", {"gate_tokens": -1}, r"dump\.gate_tokens is -1, expected at least 0"),
        ("dump", {"store": "float8"}, r"dump\.store is 'float8': .*xpected one of float16, float32"),
        ("dump", {"store": "bfloat16"}, r"dump\.store is 'bfloat16': .*xpected one of float16, float32"),
        ("dump", {"store": 16}, r"store is 16, expected str"),
        ("pool", {"store": "int4"}, r"pool\.store is 'int4': did you mean int8.*float32, float16, int8"),
        ("pool", {"store": 16}, r"store is 16, expected str"),
        ("fit", {"runs": 1}, r"fit\.runs is 1, expected at least 2"),
        ("score", {"similarities": []}, r"score\.similarities is empty: expected at least one, such as cosine"),
        ("score", {"similarities": ["cosine", "cosin"]}, r"similarity is 'cosin': did you mean cosine"),
        ("score", {"similarities": ["dot", "cosine", "dot"]}, r"score\.similarities lists dot twice"),
        ("score", {"similarities": "cosine"}, r"similarities is 'cosine', expected list\[str\]"),
        ("score", {"similarities": [1]}, r"similarities is \[1\], expected list\[str\]"),
        ("score", {"corrections": ["nune"]}, r"correction is 'nune': did you mean none"),
        ("sweep", {"poolings": ["mean", "men"]}, r"pooling is 'men': did you mean mean"),
        ("sweep", {"poolings": ["mean", "mean"]}, r"sweep\.poolings lists mean twice"),
        ("correlate", {"resamples": 99}, r"correlate\.resamples is 99, expected at least 100"),
        ("correlate", {"resamples": 1e4}, r"resamples is 10000\.0, expected int"),
        ("correlate", {"confidence": 95}, r"correlate\.confidence is 95, expected 0\.5 to 1"),
        ("correlate", {"confidence": 1}, r"correlate\.confidence is 1, expected 0\.5 to 1"),
        ("correlate", {"confidence": 0.05}, r"correlate\.confidence is 0\.05, expected 0\.5 to 1"),
        ("correlate", {"confidence": "0.95"}, r"confidence is '0\.95', expected float"),
        ("correlate", {"seed": -1}, r"correlate\.seed is -1, expected at least 0"),
        ("report", {"false_positives": -1}, r"report\.false_positives is -1, expected at least 0"),
        ("probe", {"probes": ["bilinar"]}, r"probe\.probes is 'bilinar': did you mean bilinear"),
        ("probe", {"probes": ["bilinear", "bilinear"]}, r"probe\.probes lists bilinear twice"),
        ("probe", {"strengths": []}, r"probe\.strengths is \[\], expected at least one number above 0"),
        ("probe", {"strengths": [0.1, 0]}, r"probe\.strengths is \[0\.1, 0\], expected at least one number above 0"),
        ("probe", {"strengths": [1, 1.0]}, r"probe\.strengths lists 1\.0 twice"),
        ("probe", {"folds": 1}, r"probe\.folds is 1, expected at least 2"),
        ("probe", {"dimensions": 0}, r"probe\.dimensions is 0, expected at least 1"),
        ("probe", {"layers": 0}, r"probe\.layers is 0: give all, a list of layers"),
        ("efficiency", {"encoders": []}, r"efficiency\.encoders is empty: name at least one, or leave null"),
        ("efficiency", {"encoders": ["demo", "demo"]}, r"efficiency\.encoders lists demo twice"),
        ("efficiency", {"repeats": 2}, r"efficiency\.repeats is 2, expected at least 3"),
        ("efficiency", {"pairs": 0}, r"efficiency\.pairs is 0, expected at least 1"),
        ("efficiency", {"batch_sizes": [0]}, r"efficiency\.batch_sizes has 0, expected 1 to 32"),
        ("efficiency", {"batch_sizes": [33]}, r"efficiency\.batch_sizes has 33, expected 1 to 32"),
        ("geometry", {"sentences": 19}, r"geometry\.sentences is 19, expected at least 20"),
        ("geometry", {"traced": 1}, r"geometry\.traced is 1, expected at least 20"),
        ("geometry", {"resamples": 2}, r"geometry\.resamples is 2, expected at least 20"),
        ("geometry", {"confidence": 95}, r"geometry\.confidence is 95, expected 0\.5 to 1"),
        ("geometry", {"seed": -1}, r"geometry\.seed is -1, expected at least 0"),
        ("efficiency", {"layers": 0}, r"efficiency\.layers is 0: give all, a list of layers"),
    ],
)
def test_values_out_of_range_are_refused_with_the_limit(tmp_path, section, values, message):
    with pytest.raises(InputError, match=message):
        changed(tmp_path, section, **values)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("prepare", {"limit": 2}),
        ("tokenize", {"max_tokens": 1}),
        ("dump", {"batch_tokens": 1, "shard_mb": 1, "gate_tokens": 0, "store": "float32"}),
        ("score", {"similarities": ["neg_euclidean", "dot"]}),
        ("correlate", {"resamples": 100, "confidence": 0.5, "seed": 0}),
        ("report", {"false_positives": 0}),
        ("efficiency", {"pairs": 1, "repeats": 3, "batch_sizes": [1], "layers": [-1], "encoders": ["a"]}),
        ("efficiency", {"batch_sizes": []}),
        ("geometry", {"sentences": 20, "traced": 20, "resamples": 20, "confidence": 0.5}),
        ("probe", {"probes": [], "layers": [-1], "strengths": [1e-9], "folds": 2, "dimensions": 1}),
    ],
)
def test_values_on_the_limit_are_taken(tmp_path, section, values):
    read = changed(tmp_path, section, **values)
    assert {name: as_text(getattr(read, name)) for name in values} == values
