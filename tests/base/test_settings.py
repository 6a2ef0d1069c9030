"""params.yaml as frozen dataclasses: what is read, what is parsed, and what is refused."""

import datetime
from dataclasses import dataclass, fields

import pytest
import yaml

from pipeline.base import settings
from pipeline.base.errors import InputError, one_of
from pipeline.base.settings import Study, Text
from tests.helpers import ROOT

COMMITTED = ROOT / "params.yaml"
STUDY = {"dataset": "toy", "models": ["a"], "baselines": ["b"], "pooling": "mean"}


@dataclass(frozen=True)
class Tokenize:
    """Stands for a section of that name."""

    max_tokens: int
    truncate: bool
    share: float = 1.0
    limit: int | None = None
    names: list[str] = None
    revision: Text | None = None


@dataclass(frozen=True)
class Name:
    """An object that is parsed from text."""

    text: str

    @classmethod
    def parse(cls, text):
        return cls(one_of(text, ("mean", "last"), "pooling"))


@dataclass(frozen=True)
class Parsed:
    """A section with such objects."""

    pooling: Name
    poolings: list[Name]


def written(tmp_path, **values):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def section(tmp_path, **values):
    return settings.section(Tokenize, written(tmp_path, tokenize={"max_tokens": 5, "truncate": True} | values))


# the choices at the top


def test_the_committed_choices_are_read():
    study = settings.study(COMMITTED)
    values = yaml.safe_load(COMMITTED.read_text())
    assert {f.name: getattr(study, f.name) for f in fields(study)} == {
        key: values[key] for key in (*STUDY, *settings.OF_THE_MACHINE)
    }


def test_settings_of_before_there_were_engines_run_in_one_process(tmp_path):
    assert "engine" not in STUDY
    assert settings.study(written(tmp_path, **STUDY)).engine == "local"
    assert settings.study(written(tmp_path, **STUDY, engine="ray")).engine == "ray"


def test_the_choices_leave_the_sections_aside(tmp_path):
    assert settings.study(written(tmp_path, **STUDY, dump={"anything": 1})) == Study(**STUDY)


def test_an_unknown_choice_is_named_with_the_near_miss(tmp_path):
    with pytest.raises(InputError, match=r"top level of .*params\.yaml: unknown poolin \(did you mean pooling\?"):
        settings.study(written(tmp_path, **STUDY, poolin="mean"))


def test_a_missing_choice_is_named(tmp_path):
    values = {key: value for key, value in STUDY.items() if key != "pooling"}
    with pytest.raises(InputError, match=r"missing pooling\. It takes dataset, models, baselines, pooling"):
        settings.study(written(tmp_path, **values))


def test_a_misspelled_section_is_named_as_unknown(tmp_path):
    with pytest.raises(InputError, match=r"unknown tokenise \(did you mean tokenize\?"):
        settings.study(written(tmp_path, **STUDY, tokenise={"max_tokens": 3}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("models", "a", r"models is 'a', expected list\[str\]"),
        ("baselines", [["b"]], r"baselines is \[\['b'\]\], expected list\[str\]"),
        ("dataset", None, r"dataset is None, expected str"),
    ],
)
def test_choices_of_another_type_are_refused(tmp_path, key, value, message):
    with pytest.raises(InputError, match=message):
        settings.study(written(tmp_path, **(STUDY | {key: value})))


@pytest.mark.parametrize("key", ["models", "baselines"])
def test_an_encoder_that_is_listed_twice_is_refused(tmp_path, key):
    with pytest.raises(InputError, match=rf"{key} lists a twice"):
        settings.study(written(tmp_path, **(STUDY | {key: ["a", "c", "a"]})))  # its scores would be in the table twice


def test_a_name_that_is_a_model_and_a_baseline_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a is in models and in baselines: their scores would share a name"):
        settings.study(written(tmp_path, **(STUDY | {"baselines": ["a"]})))


# a section


def test_a_section_is_the_dataclass_of_its_name(tmp_path):
    assert section(tmp_path, limit=3) == Tokenize(max_tokens=5, truncate=True, limit=3)


def test_unknown_and_missing_keys_of_a_section_are_both_named(tmp_path):
    path = written(tmp_path, tokenize={"max_token": 5, "trunc": True, "truncate": True})
    message = (
        r"section tokenize of .*: unknown max_token \(did you mean max_tokens\?.*\); "
        r"unknown trunc \(did you mean truncate\?.*\); missing max_tokens\. It takes max_tokens, truncate"
    )
    with pytest.raises(InputError, match=message):
        settings.section(Tokenize, path)


def test_a_section_that_is_not_there_is_named_with_its_keys(tmp_path):
    with pytest.raises(InputError, match=r"params\.yaml has no section 'tokenize': add it with max_tokens, truncate"):
        settings.section(Tokenize, written(tmp_path, **STUDY))


@pytest.mark.parametrize("value", [None, [], {}])
def test_an_empty_section_lacks_its_keys(tmp_path, value):
    with pytest.raises(InputError, match=r"missing max_tokens, truncate\. It takes"):
        settings.section(Tokenize, written(tmp_path, tokenize=value))


@pytest.mark.parametrize("value", [1024, "text", [1]])
def test_a_section_that_is_no_mapping_is_refused(tmp_path, value):
    with pytest.raises(InputError, match=r"section tokenize of .* is .*: expected a mapping with max_tokens, truncate"):
        settings.section(Tokenize, written(tmp_path, tokenize=value))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"limit": "100"}, r"section tokenize of .*: limit is '100', expected int \| None"),
        ({"limit": True}, r"limit is True, expected int \| None"),
        ({"limit": 10.0}, r"limit is 10\.0, expected int \| None"),
        ({"truncate": "no"}, r"truncate is 'no', expected bool"),
        ({"truncate": 0}, r"truncate is 0, expected bool"),
        ({"max_tokens": None}, r"max_tokens is None, expected int"),
        ({"max_tokens": 1e4}, r"max_tokens is 10000\.0, expected int"),
        ({"names": "cosine"}, r"names is 'cosine', expected list\[str\]"),
        ({"names": [1]}, r"names is \[1\], expected list\[str\]"),
        ({"share": "0.95"}, r"share is '0\.95', expected float"),
        ({"share": True}, r"share is True, expected float"),
        ({"revision": True}, r"revision is True, expected str"),
        ({"revision": ["a"]}, r"revision is \['a'\], expected str"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        section(tmp_path, **values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("share", 1),
        ("share", 0.5),
        ("limit", None),
        ("limit", 3),
        ("names", []),
        ("revision", "1a2b"),
        ("revision", 1),
        ("revision", 1.5),
        ("revision", datetime.date(2026, 11, 25)),
    ],
)
def test_whole_numbers_pass_for_floats_null_for_optional_values_and_dates_for_text(tmp_path, key, value):
    assert getattr(section(tmp_path, **{key: value}), key) == value


def test_settings_cannot_be_changed_after_they_are_read(tmp_path):
    with pytest.raises(AttributeError):
        section(tmp_path).max_tokens = 5


# names that become objects


def test_names_are_parsed_into_objects(tmp_path):
    path = written(tmp_path, parsed={"pooling": "mean", "poolings": ["last", "mean"]})
    assert settings.section(Parsed, path) == Parsed(Name("mean"), [Name("last"), Name("mean")])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pooling": "men"}, r"section parsed of .*: pooling: pooling is 'men': did you mean mean\?"),
        ({"poolings": ["mean", "lats"]}, r"section parsed of .*: poolings: pooling is 'lats': did you mean last\?"),
        ({"pooling": 5}, r"pooling is 5, expected str"),
        ({"pooling": None}, r"pooling is None, expected str"),
        ({"poolings": "mean"}, r"poolings is 'mean', expected list\[str\]"),
        ({"poolings": ["mean", 1]}, r"poolings is \['mean', 1\], expected list\[str\]"),
    ],
)
def test_names_that_cannot_be_parsed_are_refused_with_their_key(tmp_path, values, message):
    path = written(tmp_path, parsed={"pooling": "mean", "poolings": []} | values)
    with pytest.raises(InputError, match=message):
        settings.section(Parsed, path)


# limits


def test_a_field_below_its_limit_is_named_with_both():
    values = Tokenize(max_tokens=0, truncate=True, share=0.5)
    with pytest.raises(InputError, match=r"tokenize\.max_tokens is 0, expected at least 1"):
        settings.at_least("tokenize", values, share=0.5, max_tokens=1)
    settings.at_least("tokenize", values, share=0.5, max_tokens=0)


def test_names_that_a_list_has_twice_are_refused():
    settings.once(["a", "b"], "models")
    with pytest.raises(InputError, match=r"models lists a, b twice: once is enough"):
        settings.once(["b", "a", "c", "a", "b"], "models")


# the file


def test_a_file_that_is_not_there_says_where_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no params\.yaml here: run from the project's folder"):
        settings.study()


@pytest.mark.parametrize(("text", "kind"), [("", "NoneType"), ("- a\n- b\n", "list"), ("text\n", "str")])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path, text, kind):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"params\.yaml holds {kind}, expected a mapping"):
        settings.study(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"dataset: toy\nmodels: [a\nbaselines: [b]\n", r"params\.yaml is not YAML: .*line 3"),
        (b"dataset: caf\xe9\n", r"params\.yaml is not text in UTF-8 \(byte 12\)"),
        (b"a: " + b"[" * 5000, r"params\.yaml is not YAML"),
        (b"a: !!python/object/apply:os.system [ls]\n", r"params\.yaml is not YAML"),
        (b"a: {x: 1}\nb: 2\na: 3\n", r"params\.yaml has 'a' a second time in line 3: rename or remove one"),
        (b"a:\n- b: {x: 1}\n- b: {x: 1,\n  x: 2}\n", r"params\.yaml has 'x' a second time in line 4"),
    ],
    ids=["unclosed", "latin-1", "nested", "python", "twice", "twice in a list"],
)
def test_a_broken_file_is_refused_in_one_line_with_its_name_and_place(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message) as error:
        settings.study(path)
    assert "\n" not in str(error.value)


def test_fields_that_come_from_another_entry_may_be_given_anew(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text("a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, x: 3}\nd: *b\n")
    expected = {"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 3, "y": 2}, "d": {"x": 1, "y": 2}}
    assert settings.read_yaml(path) == yaml.safe_load(path.read_text()) == expected
