from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import yaml

from pipeline import params
from pipeline.correlation import Correlate
from pipeline.dumping import Dump
from pipeline.learning import Fit
from pipeline.pairs import Prepare
from pipeline.pooling import parse
from pipeline.reporting import Report
from pipeline.scoring import Score
from pipeline.sweeping import Sweep
from pipeline.tokenizers import Tokenize

COMMITTED = Path(__file__).resolve().parents[1] / "params.yaml"
CLASSES = {"prepare": Prepare, "tokenize": Tokenize, "dump": Dump, "fit": Fit, "score": Score, "sweep": Sweep, "correlate": Correlate, "report": Report}
STUDY = {"dataset": "toy", "models": ["a"], "baselines": ["b"], "pooling": "mean"}


def written(tmp_path, **values):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def changed(tmp_path, section, **values):
    """The committed section with some values changed, as its dataclass."""
    committed = yaml.safe_load(COMMITTED.read_text())[section]
    return params.section(section, CLASSES[section], written(tmp_path, **{section: committed | values}))


def test_there_is_a_dataclass_for_every_section():
    assert set(CLASSES) <= set(params.SECTIONS) <= yaml.safe_load(COMMITTED.read_text()).keys()


@pytest.mark.parametrize("section", CLASSES)
def test_every_section_of_the_committed_file_parses(section):
    found = params.section(section, CLASSES[section], COMMITTED)
    assert {f.name: getattr(found, f.name) for f in fields(found)} == yaml.safe_load(COMMITTED.read_text())[section]


def test_the_committed_choices_parse():
    study = params.study(COMMITTED)
    values = yaml.safe_load(COMMITTED.read_text())
    assert {f.name: getattr(study, f.name) for f in fields(study)} == {key: values[key] for key in ("dataset", "models", "baselines", "pooling")}
    assert parse(study.pooling) == ("mean", ())


def test_the_choices_leave_the_sections_aside(tmp_path):
    assert params.study(written(tmp_path, **STUDY, dump={"anything": 1})) == params.Study(**STUDY)


def test_an_unknown_and_a_missing_choice_are_both_named(tmp_path):
    values = {key: value for key, value in STUDY.items() if key != "pooling"}
    with pytest.raises(ValueError, match=r"top level of .*params\.yaml: unknown poolin; missing pooling\. It takes dataset, models, baselines, pooling"):
        params.study(written(tmp_path, **values, poolin="mean"))


def test_a_misspelled_section_is_named_as_unknown(tmp_path):
    with pytest.raises(ValueError, match=r"unknown tokenise\. It takes"):
        params.study(written(tmp_path, **STUDY, tokenise={"max_tokens": 3}))


def test_unknown_and_missing_keys_of_a_section_are_both_named(tmp_path):
    path = written(tmp_path, tokenize={"max_token": 5, "trunc": True, "truncate": True})
    with pytest.raises(ValueError, match=r"section tokenize of .*: unknown max_token, trunc; missing max_tokens\. It takes max_tokens, truncate"):
        params.section("tokenize", Tokenize, path)


def test_a_section_that_is_not_there_is_named_with_its_keys(tmp_path):
    with pytest.raises(ValueError, match=r"params\.yaml has no section 'tokenize': add it with max_tokens, truncate"):
        params.section("tokenize", Tokenize, written(tmp_path, **STUDY))


@pytest.mark.parametrize(("value", "message"), [(None, r"missing max_tokens, truncate"), ([], r"missing max_tokens, truncate|expected a mapping")])
def test_an_empty_section_lacks_its_keys(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        params.section("tokenize", Tokenize, written(tmp_path, tokenize=value))


def test_a_section_that_is_no_mapping_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"section tokenize of .* is 1024: expected a mapping with max_tokens, truncate"):
        params.section("tokenize", Tokenize, written(tmp_path, tokenize=1024))


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("prepare", {"limit": "100"}, r"section prepare of .*: limit is '100', expected int \| None"),
        ("prepare", {"limit": True}, r"limit is True, expected int \| None"),
        ("prepare", {"limit": 10.0}, r"limit is 10\.0, expected int \| None"),
        ("tokenize", {"truncate": "no"}, r"truncate is 'no', expected bool"),
        ("tokenize", {"truncate": 0}, r"truncate is 0, expected bool"),
        ("tokenize", {"max_tokens": None}, r"max_tokens is None, expected int"),
        ("dump", {"store": 16}, r"store is 16, expected str"),
        ("dump", {"shard_mb": 0.5}, r"shard_mb is 0\.5, expected int"),
        ("score", {"similarities": "cosine"}, r"similarities is 'cosine', expected list\[str\]"),
        ("score", {"similarities": [1]}, r"similarities is \[1\], expected list\[str\]"),
        ("correlate", {"confidence": "0.95"}, r"confidence is '0\.95', expected float"),
        ("correlate", {"confidence": True}, r"confidence is True, expected float"),
        ("correlate", {"resamples": 1e4}, r"resamples is 10000\.0, expected int"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path, section, values, message):
    with pytest.raises(ValueError, match=message):
        changed(tmp_path, section, **values)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("models", "a", r"models is 'a', expected list\[str\]"),
        ("baselines", [["b"]], r"baselines is \[\['b'\]\], expected list\[str\]"),
        ("dataset", None, r"dataset is None, expected str"),
    ],
)
def test_choices_of_another_type_are_refused(tmp_path, key, value, message):
    with pytest.raises(ValueError, match=message):
        params.study(written(tmp_path, **(STUDY | {key: value})))


@pytest.mark.parametrize("key", ["models", "baselines"])
def test_an_encoder_that_is_listed_twice_is_refused(tmp_path, key):
    with pytest.raises(ValueError, match=rf"{key}.*'?a'?.*twice"):
        params.study(written(tmp_path, **(STUDY | {key: ["a", "c", "a"]})))  # its scores would be in the table twice


def test_an_integer_passes_for_a_float_and_null_for_an_optional_value():
    @dataclass(frozen=True)
    class Both:
        share: float
        count: int | None

    assert params.build(Both, {"share": 1, "count": None}, "here") == Both(1, None)
    assert params.build(Both, {"share": 0.5, "count": 3}, "here") == Both(0.5, 3)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("prepare", {"limit": 1}, r"prepare\.limit is 1\b.*at least 2"),
        ("tokenize", {"max_tokens": 0}, r"tokenize\.max_tokens is 0, expected at least 1"),
        ("tokenize", {"max_tokens": -5}, r"tokenize\.max_tokens is -5, expected at least 1"),
        ("dump", {"batch_tokens": 0}, r"dump\.batch_tokens is 0, expected at least 1"),
        ("dump", {"shard_mb": 0}, r"dump\.shard_mb is 0, expected at least 1"),
        ("dump", {"gate_tokens": -1}, r"dump\.gate_tokens is -1, expected at least 0"),
        ("dump", {"store": "float8"}, r"dump\.store is 'float8', expected one of float16, float32"),
        ("dump", {"store": "bfloat16"}, r"dump\.store is 'bfloat16', expected one of float16, float32"),
        ("score", {"similarities": []}, r"score\.similarities has nothing, expected some of cosine, dot, neg_euclidean"),
        ("score", {"similarities": ["cosine", "cosin"]}, r"score\.similarities has \['cosin'\], expected some of cosine, dot, neg_euclidean"),
        ("score", {"similarities": ["dot", "cosine", "dot"]}, r"score\.similarities.*dot.*twice"),  # every score would be in the table twice
        ("correlate", {"resamples": 99}, r"correlate\.resamples is 99, expected at least 100"),
        ("correlate", {"confidence": 95}, r"correlate\.confidence is 95, expected 0\.5 to 1"),
        ("correlate", {"confidence": 1}, r"correlate\.confidence is 1, expected 0\.5 to 1"),
        ("correlate", {"confidence": 0.05}, r"correlate\.confidence is 0\.05, expected 0\.5 to 1"),
        ("correlate", {"seed": -1}, r"correlate\.seed is -1, expected at least 0"),
        ("report", {"false_positives": -1}, r"report\.false_positives is -1, expected at least 0"),
    ],
)
def test_values_out_of_range_are_refused_with_the_limit(tmp_path, section, values, message):
    with pytest.raises(ValueError, match=message):
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
    ],
)
def test_values_on_the_limit_are_taken(tmp_path, section, values):
    found = changed(tmp_path, section, **values)
    assert {name: getattr(found, name) for name in values} == values


def test_settings_cannot_be_changed_after_they_are_read():
    settings = params.section("tokenize", Tokenize, COMMITTED)
    with pytest.raises(AttributeError):
        settings.max_tokens = 5


def test_a_file_that_is_not_there_says_where_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no params\.yaml here: run from the project's folder"):
        params.study()


@pytest.mark.parametrize(("text", "kind"), [("", "NoneType"), ("- a\n- b\n", "list"), ("text\n", "str")])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path, text, kind):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"params\.yaml holds {kind}, expected a mapping"):
        params.study(path)


def test_a_file_with_broken_yaml_is_refused_with_its_name_and_line(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("dataset: toy\nmodels: [a\nbaselines: [b]\n")
    with pytest.raises(ValueError, match=r"params\.yaml.*line 3"):
        params.study(path)
