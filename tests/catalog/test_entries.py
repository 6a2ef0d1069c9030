"""Entries of catalog.yaml: the committed ones, what fields may hold, and what is refused."""

import datetime

import pytest
import yaml

from pipeline.base.errors import InputError
from pipeline.base.settings import read_yaml
from pipeline.catalog import entries
from pipeline.catalog.dataset import COLUMNS
from pipeline.catalog.entries import (
    BASELINE_KINDS,
    ENTRIES,
    TOKENIZER_KINDS,
    Baseline,
    Dataset,
    Model,
    TokenizerSource,
    entry,
    local_paths,
    one_source,
    source_of,
    tokenizer_source,
)
from tests.helpers import ROOT

COMMITTED = ROOT / "catalog.yaml"
NAMES = [(kind, name) for kind, names in yaml.safe_load(COMMITTED.read_text()).items() for name in names]


def written(tmp_path, **kinds):
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(kinds))
    return path


# the committed catalogue


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_every_entry_of_the_committed_catalogue_parses_and_has_one_source(kind, name):
    given = entry(kind, name, COMMITTED)
    assert type(given) is ENTRIES[kind]
    if kind == "datasets":
        assert source_of(given, name) in ("hub", "path")
        assert given.columns.keys() <= set(COLUMNS)
    elif kind == "models":
        assert source_of(given, name) in ("hub", "path", "random")
        assert tokenizer_source(given).kind in TOKENIZER_KINDS
        assert given.is_control is (source_of(given, name) == "random")
    else:
        assert given.kind in BASELINE_KINDS
        assert (source_of(given, name) is None) is (given.kind in ("overlap", "random"))


def test_the_committed_catalogue_has_no_other_kinds():
    assert {kind for kind, _ in NAMES} == {"datasets", "models", "baselines"} == ENTRIES.keys()


def test_dvc_sees_in_the_committed_catalogue_what_we_see():
    """Also where an entry takes the fields of another: else its results would go stale when that one changes."""
    load_yaml = pytest.importorskip("dvc.utils.serialize").load_yaml
    ours = read_yaml(COMMITTED)
    assert load_yaml(COMMITTED) == ours
    assert ours["models"]["demo-shuffled"] == {"path": "data/demo/model", "shuffle_words": 0}


def test_local_files_of_the_committed_catalogue_exist():
    paths = {path for kind, name in NAMES for path in local_paths(entry(kind, name, COMMITTED))}
    assert {"data/sample/hard.tsv", "data/demo/model", "data/demo/vectors.txt.gz"} <= paths
    assert all((ROOT / path).exists() for path in paths)


# fields


def test_fields_that_are_left_out_have_their_defaults(tmp_path):
    path = written(tmp_path, models={"a": {"random": 3}}, datasets={"d": {"path": "x.csv"}})
    assert entry("models", "a", path) == Model(random=3)
    assert entry("models", "a", path).bos is None
    assert entry("models", "a", path).special_tokens is False
    assert entry("datasets", "d", path) == Dataset(path="x.csv", columns={}, splits=None, subsets={})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1a2b", "1a2b"),
        (1, "1"),
        (12345678, "12345678"),
        (1.5, "1.5"),
        (datetime.date(2026, 11, 25), "2026-11-25"),
        (None, None),
    ],
)
def test_a_revision_may_look_like_a_number_or_a_date(tmp_path, value, text):
    kinds = {
        "datasets": {"x": {"hub": "a/b", "revision": value, "config": value}},
        "models": {
            "x": {"hub": "a/b", "revision": value, "tokenizer": {"kind": "hf", "hub": "c/d", "revision": value}}
        },
        "baselines": {"x": {"kind": "vectors", "path": "x", "revision": value}},
    }
    path = written(tmp_path, **kinds)
    assert [entry(kind, "x", path).revision for kind in kinds] == [text] * 3
    assert entry("datasets", "x", path).config == text
    assert tokenizer_source(entry("models", "x", path)) == TokenizerSource("hf", hub="c/d", revision=text)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("models", {"random": "zero"}, r"models\.x of .*: random is 'zero', expected int \| None"),
        ("models", {"random": 0, "bos": True}, r"bos is True, expected int \| None"),
        ("models", {"random": 0, "bos": 0.0}, r"bos is 0\.0, expected int \| None"),
        ("models", {"random": 0, "special_tokens": 1}, r"special_tokens is 1, expected bool"),
        ("models", {"random": 0, "config": "rwkv6"}, r"config is 'rwkv6', expected dict"),
        ("models", {"random": 0, "tokenizer": None}, r"tokenizer is None, expected str \| dict"),
        ("models", {"hub": ["a", "b"]}, r"hub is \['a', 'b'\], expected str \| None"),
        ("models", {"hub": "a/b", "revision": ["1"]}, r"revision is \['1'\], expected str"),
        ("models", {"hub": "a/b", "revision": True}, r"revision is True, expected str"),
        ("datasets", {"path": 5}, r"datasets\.x of .*: path is 5, expected str \| list \| dict \| None"),
        ("datasets", {"path": "a.csv", "splits": ["train"]}, r"splits is \['train'\], expected dict \| None"),
        ("datasets", {"path": "a.csv", "columns": None}, r"columns is None, expected dict"),
        ("datasets", {"path": "a.csv", "permute_labels": True}, r"permute_labels is True, expected int \| None"),
        ("datasets", {"path": "a.csv", "pair_at_random": "0"}, r"pair_at_random is '0', expected int \| None"),
        (
            "models",
            {"random": 0, "shuffle_words": 0.5},
            r"shuffle_words is 0\.5, expected int \| None",
        ),
        ("baselines", {"kind": "random", "dim": "300"}, r"baselines\.x of .*: dim is '300', expected int"),
        ("baselines", {"kind": "random", "seed": None}, r"seed is None, expected int"),
        ("baselines", ["overlap"], r"baselines\.x of .* is \['overlap'\]: expected a mapping with kind, hub"),
        ("baselines", "overlap", r"baselines\.x of .* is 'overlap': expected a mapping with kind, hub"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path, kind, fields, message):
    with pytest.raises(InputError, match=message):
        entry(kind, "x", written(tmp_path, **{kind: {"x": fields}}))


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (
            "baselines",
            {"kind": "randm"},
            r"kind is 'randm': did you mean random\? Expected one of overlap, random, vect",
        ),
        ("baselines", {"kind": "random", "dim": 0}, r"baseline\.dim is 0, expected at least 1"),
        ("baselines", {"kind": "random", "seed": -1}, r"baseline\.seed is -1, expected at least 0"),
        (
            "datasets",
            {"path": "a", "permute_labels": 0, "pair_at_random": 0},
            r"permute_labels and pair_at_random are two controls: give each an entry of its own",
        ),
        ("datasets", {"path": "a", "columns": {"labels": "x"}}, r"columns has unknown 'labels': did you mean label\?"),
        (
            "models",
            {"random": 0, "tokenizer": "wrld"},
            r"tokenizer is 'wrld': did you mean world\? Expected one of world",
        ),
        ("models", {"random": 0, "tokenizer": {"path": "x"}}, r"tokenizer is None: expected one of world, hf"),
        (
            "models",
            {"random": 0, "tokenizer": {"kind": "hf", "folder": "x"}},
            r"tokenizer has unknown folder: it takes",
        ),
    ],
)
def test_values_that_cannot_be_are_refused_with_the_entry(tmp_path, kind, fields, message):
    with pytest.raises(InputError, match=rf"^{kind}\.x of .*catalog\.yaml: {message}"):
        entry(kind, "x", written(tmp_path, **{kind: {"x": fields}}))


def test_unknown_and_missing_keys_are_both_named(tmp_path):
    path = written(tmp_path, baselines={"g": {"knid": "overlap", "sed": 1}})
    message = (
        r"baselines\.g of .*: unknown knid \(did you mean kind\?.*\); unknown sed \(did you mean seed\?.*\); missing "
        r"kind\. It takes kind, hub, path, url, member, sha256, revision, pooling, prompt, dim, seed"
    )
    with pytest.raises(InputError, match=message):
        entry("baselines", "g", path)


def test_only_unknown_or_only_missing_keys_are_named_alone(tmp_path):
    path = written(tmp_path, baselines={"a": {"kind": "overlap", "heads": "x"}, "b": {}, "c": None})
    with pytest.raises(InputError, match=r"baselines\.a of [^;]*: unknown heads \([^;]*\)\. It takes"):
        entry("baselines", "a", path)
    for name in "bc":
        with pytest.raises(InputError, match=rf"baselines\.{name} of [^;]*: missing kind\. It takes"):
            entry("baselines", name, path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "overlap", "hub": "x"}, "kind overlap has no hub: it takes nothing else"),
        ({"kind": "random", "path": "x"}, "kind random has no path: it takes dim, seed"),
        ({"kind": "encoder", "path": "x", "member": "y"}, "kind encoder has no member: it takes hub, path, revision"),
    ],
)
def test_a_field_of_another_kind_of_baseline_is_refused(tmp_path, fields, message):
    with pytest.raises(InputError, match=rf"baselines\.a of .*: {message}"):
        entry("baselines", "a", written(tmp_path, baselines={"a": fields}))


SHA = "0123456789abcdef" * 4
URL = "https://example.org/a.zip"


@pytest.mark.parametrize("given", [SHA, SHA.upper()])
def test_a_sha256_of_a_download_is_kept_in_small_letters(tmp_path, given):
    fields = {"kind": "vectors", "url": URL, "sha256": given}
    assert entry("baselines", "a", written(tmp_path, baselines={"a": fields})).sha256 == SHA


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "vectors", "url": URL, "sha256": SHA[1:]}, "sha256 is '123.*', expected 64 hexadecimal digits"),
        ({"kind": "vectors", "url": URL, "sha256": SHA + "0"}, "sha256 is '0.*', expected 64 hexadecimal digits"),
        ({"kind": "vectors", "url": URL, "sha256": "g" * 64}, "sha256 is 'gg.*', expected 64 hexadecimal digits"),
        ({"kind": "vectors", "url": URL, "sha256": f"sha256:{SHA[7:]}"}, "sha256 is 'sha256:.*', expected 64 hexad"),
        ({"kind": "vectors", "url": URL, "sha256": ""}, "sha256 is '', expected 64 hexadecimal digits"),
        ({"kind": "vectors", "url": URL, "sha256": 12345}, "sha256 is 12345, expected str"),
        ({"kind": "vectors", "path": "a.txt", "sha256": SHA}, "sha256 is given without `url`: .* leave it out"),
        ({"kind": "encoder", "hub": "a/b", "sha256": SHA}, "kind encoder has no sha256: it takes hub, path, revision"),
        ({"kind": "overlap", "sha256": SHA}, "kind overlap has no sha256: it takes nothing else"),
    ],
)
def test_a_sha256_that_is_none_or_of_no_download_is_refused(tmp_path, fields, message):
    with pytest.raises(InputError, match=rf"baselines\.a of .*: {message}"):
        entry("baselines", "a", written(tmp_path, baselines={"a": fields}))


@pytest.mark.parametrize(("kind", "fields"), [("models", {"hub": "a/b"}), ("datasets", {"hub": "a/b"})])
def test_entries_that_take_no_url_take_no_sha256(tmp_path, kind, fields):
    with pytest.raises(InputError, match="unknown sha256"):
        entry(kind, "a", written(tmp_path, **{kind: {"a": fields | {"sha256": SHA}}}))


# names


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [("datasets", "mprc", "mrpc"), ("models", "finch-1b5", "finch-1b6"), ("models", "dmo", "demo")],
)
def test_an_unknown_name_is_refused_with_its_near_misses(kind, name, near):
    with pytest.raises(InputError, match=rf"no {kind[:-1]} '{name}' in .*catalog\.yaml: did you mean .*{near}"):
        entry(kind, name, COMMITTED)


def test_an_unknown_name_without_near_misses_lists_what_there_is(tmp_path):
    path = written(tmp_path, models={"one": {"random": 0}, "two": {"random": 0}}, baselines=None)
    with pytest.raises(InputError, match=r"no model 'zzzzzzzz' in .*: expected one of one, two"):
        entry("models", "zzzzzzzz", path)
    with pytest.raises(InputError, match=r"no baseline 'glove' in .*: there are none to choose from"):
        entry("baselines", "glove", path)
    with pytest.raises(InputError, match=r"no dataset 'mrpc' in .*: there are none to choose from"):
        entry("datasets", "mrpc", path)


@pytest.mark.parametrize("name", ["a/b", "../a", "a b", "a.b", "", "a\n", "ä"])
def test_a_name_that_cannot_be_a_file_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"use letters, digits, - and _ only"):
        entry("models", name, written(tmp_path, models={name: {"random": 0}}))


# the file


@pytest.mark.parametrize("text", ["- datasets\n- models\n", "models: [a, b]\n", "just text\n"])
def test_a_catalogue_of_another_shape_is_refused(tmp_path, text):
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"catalog\.yaml.*expected a mapping"):
        entry("models", "a", path)


def test_a_catalogue_with_broken_yaml_is_refused_with_its_name_and_line(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text("models:\n  a: {random: 0\n  b: {random: 1}\n")
    with pytest.raises(InputError, match=r"catalog\.yaml.*line 3"):
        entry("models", "a", path)


def test_a_catalogue_that_is_not_there_is_named(tmp_path):
    """By the system, whose errors the command line shows as one line."""
    with pytest.raises(FileNotFoundError) as error:
        entry("models", "a", tmp_path / "nowhere.yaml")
    assert error.value.filename == str(tmp_path / "nowhere.yaml")


# sources


def test_one_source_is_exactly_one():
    assert one_source("it", {"hub": None, "path": "x"}) == "path"
    assert one_source("it", {"path": None, "random": 0}) == "random"  # 0 is a seed, not nothing
    with pytest.raises(InputError, match=r"model m has no source: give exactly one of hub, path, random"):
        one_source("model m", {"hub": None, "path": None, "random": None})
    with pytest.raises(InputError, match=r"model m has hub and random: give exactly one of hub, path, random"):
        one_source("model m", {"hub": "a/b", "path": None, "random": 0})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Dataset(hub="a/b"), "hub"),
        (Dataset(path="a.csv"), "path"),
        (Model(random=0), "random"),
        (Model(random=0, path="x"), "random"),
        (Model(random=0, hub="a/b"), "random"),
        (Model(path="x", revision="1"), "path"),
        (Baseline(kind="vectors", url="https://example.org/a.txt"), "url"),
        (Baseline(kind="overlap"), None),
        (Baseline(kind="random"), None),
    ],
)
def test_the_source_of_an_entry(given, expected):
    assert source_of(given, "it") == expected


@pytest.mark.parametrize("given", [Dataset(), Model(), Baseline(kind="vectors"), Model(random=0, hub="a/b", path="x")])
def test_an_entry_without_a_source_or_with_two_is_refused(given):
    with pytest.raises(InputError, match=r"it has (no source|hub and path and random): give exactly one of"):
        source_of(given, "it")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"path": "weights"}, TokenizerSource("hf", path="weights")),
        ({"hub": "a/b", "revision": "1"}, TokenizerSource("hf", hub="a/b", revision="1")),
        ({"hub": "a/b", "tokenizer": "world"}, TokenizerSource("world")),
        ({"random": 0, "tokenizer": {"kind": "hf", "path": "x"}}, TokenizerSource("hf", path="x")),
        ({"hub": "a/b", "tokenizer": {"kind": "gpt2", "hub": "c/d"}}, TokenizerSource("gpt2", hub="c/d")),
        ({"random": 0}, TokenizerSource("hf")),
        ({"random": 0, "path": "weights"}, TokenizerSource("hf", path="weights")),
    ],
)
def test_a_tokenizer_is_the_models_own_unless_it_is_named(fields, expected):
    assert tokenizer_source(Model(**fields)) == expected


def test_local_paths_are_those_of_all_files_of_an_entry():
    assert list(local_paths(Dataset(path={"train": "a.csv", "test": "b.csv"}))) == ["a.csv", "b.csv"]
    assert list(local_paths(Model(path="w", tokenizer={"kind": "hf", "path": "t"}))) == ["w", "t"]
    assert list(local_paths(Model(random=0, tokenizer="world"))) == []
    assert list(local_paths(Dataset(hub="a/b"))) == []


def test_a_model_that_nobody_trained_is_a_control():
    assert Model(random=0, tokenizer="world").is_control
    assert not Model(path="x").is_control
    assert not Model(path="x", shuffle_words=0).is_control, "it was trained, so poolings and probes are fitted to it"


def test_an_entry_after_training_is_its_base_but_for_its_adapter_and_its_own_readout(tmp_path):
    base = {"path": "m", "readout": "values"}
    tuned = {"same": {"finetune": "base"}, "other": {"finetune": "base", "readout": "plain"}}
    wrong = {"wrong": {"finetune": "base", "bos": 0, "readout": "plain"}}
    path = written(tmp_path, models={"base": base} | tuned | wrong)
    same, other = (entry("models", name, path) for name in tuned)
    assert same == Model(path="m", readout="values", finetune="base", adapter="data/finetuned/same")
    assert other == Model(path="m", readout="plain", finetune="base", adapter="data/finetuned/other")
    with pytest.raises(InputError, match="an entry with `finetune` has no bos: all else is that of the model it st"):
        entry("models", "wrong", path)


def test_what_one_yaml_entry_takes_of_another_is_in_it(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text("models:\n  a: &a {path: x, bos: 0}\n  b: {<<: *a, bos: 1, shuffle_words: 2}\n  c: {<<: *d}\n")
    with pytest.raises(InputError, match=r"catalog\.yaml is not YAML: found undefined alias.*line 4"):
        entry("models", "b", path)
    path.write_text(path.read_text().replace("*d", "*a, random: 0"))
    assert entry("models", "a", path) == Model(path="x", bos=0)
    assert entry("models", "b", path) == Model(path="x", bos=1, shuffle_words=2)


def test_every_registry_has_each_kind_once():
    for kinds in (BASELINE_KINDS, TOKENIZER_KINDS):
        assert len(set(kinds)) == len(kinds)
    assert set(entries.TOKENIZERS_FROM_FILES) <= set(TOKENIZER_KINDS)
