"""What a word of the command line stands for."""

import pytest
import yaml

from pipeline.base.errors import InputError
from pipeline.catalog import revisions
from pipeline.command import words
from pipeline.command.words import Named
from tests.command.conftest import COLUMNS

NAMED = dict(zip(("sentence1", "sentence2", "label", "split"), COLUMNS[1::2]))


@pytest.fixture
def catalogue(folder):
    return yaml.safe_load((folder / "catalog.yaml").read_text())


def test_names_of_the_catalogue_stand_for_themselves(catalogue):
    assert words.pairs("sample", {}, {}, None, catalogue) == Named("datasets", "sample")
    assert words.model("tiny", {}, None, catalogue) == Named("models", "tiny")


def test_a_file_becomes_an_entry_that_says_what_it_holds(catalogue, folder):
    named = words.pairs("pairs.csv", NAMED, {}, None, catalogue)
    assert (named.kind, named.name) == ("datasets", "pairs")
    mark = named.fields.pop("revision")
    assert named.fields == {"path": "pairs.csv", "columns": NAMED}
    (folder / "pairs.csv").write_text((folder / "pairs.csv").read_text() + "a,b,1,test\n")
    changed = words.pairs("./pairs.csv", NAMED, {}, None, catalogue)
    assert changed.fields["path"] == "pairs.csv"
    assert changed.fields["revision"] != mark
    assert words.pairs("pairs.csv", NAMED, {}, "other", catalogue).name == "other"


def test_an_entry_of_the_same_file_is_found_and_one_that_says_more_is_not_taken_for_a_plain_one(catalogue):
    assert words.pairs("data/sample/hard.tsv", {}, {}, None, catalogue) == Named("datasets", "sample")  # not control
    entry = {"path": "pairs.csv", "columns": NAMED, "revision": "sha256-0"}
    known = {"datasets": {"careful": entry | {"subsets": {}}, "plain": entry}}
    assert words.pairs("pairs.csv", {}, {}, None, known).name == "plain"
    assert words.pairs("pairs.csv", NAMED, {}, None, known).name == "plain"
    only = {"datasets": {"careful": known["datasets"]["careful"]}}
    assert words.pairs("pairs.csv", {}, {}, None, only).name == "careful"
    assert words.pairs("pairs.csv", NAMED, {}, None, only).fields is not None


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (
            {},
            "has no column sentence1, sentence2, label: it has question, answer, grade, fold. Say which is which: --",
        ),
        (NAMED | {"label": "grad"}, "--label is 'grad', no column of pairs.csv: did you mean grade?"),
        ({"sentence1": "question"}, "has no column sentence2, label: .* which: --sentence2 answer --label grade"),
    ],
)
def test_columns_that_are_not_there_are_named_with_the_options_to_give(catalogue, columns, complaint):
    with pytest.raises(InputError, match=complaint.replace("?", r"\?")):
        words.pairs("pairs.csv", columns, {}, None, catalogue)


@pytest.mark.parametrize(
    ("word", "complaint"),
    [("samle", "did you mean sample"), ("absent.csv", "neither a file here nor a name"), ("data", "neither a file")],
)
def test_pairs_that_are_nothing_are_refused(catalogue, word, complaint):
    with pytest.raises(InputError, match=complaint):
        words.pairs(word, {}, {}, None, catalogue)


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("tny", "did you mean tiny"),
        ("overlap", "is a baseline, not a model: name it with --baseline overlap"),
        ("data/absent", "neither a folder or file here"),
        ("hub:nothing", "expected hub:owner/name"),
        ("/absent/model", "neither a folder or file here"),
    ],
)
def test_models_that_are_nothing_are_refused(catalogue, word, complaint):
    with pytest.raises(InputError, match=complaint):
        words.model(word, {}, None, catalogue)


def test_options_of_a_file_do_not_change_an_entry(catalogue):
    with pytest.raises(InputError, match=r"sample is a data set of catalog.yaml, which says what its columns are"):
        words.pairs("sample", NAMED, {}, None, catalogue)
    with pytest.raises(InputError, match=r"catalog.yaml has a dataset sample already, .* \(--pairs-name\)"):
        words.pairs("pairs.csv", NAMED, {}, "sample", catalogue)


def test_a_folder_of_weights_is_marked_by_all_that_decides_what_it_does(catalogue, folder):
    place = folder / "My model.v2"
    place.mkdir()
    (place / "model.safetensors").write_bytes(b"weights")
    first = words.model("My model.v2", {}, None, catalogue)
    assert (first.name, first.fields["path"]) == ("my-model-v2", "My model.v2")
    (place / "README.md").write_text("a card decides nothing")
    assert words.model("My model.v2", {}, None, catalogue) == first
    (place / "tokenizer.json").write_text("{}")
    assert words.model("My model.v2", {}, None, catalogue) != first
    (folder / "blink.pth").write_bytes(b"")
    assert words.model("blink.pth", {}, None, catalogue).fields["tokenizer"] == "world"
    assert words.model("blink.pth", {"tokenizer": "bytes"}, None, catalogue).fields["tokenizer"] == "bytes"


@pytest.mark.parametrize("word", ["hub:owner/Name.1", "owner/Name.1"])
def test_a_model_of_the_hub_is_pinned_where_it_may_be_asked_for(catalogue, hub_cache, word):
    commit = hub_cache.commit("owner/Name.1", {"config.json": b"{}"})
    named = words.model(word, {}, None, catalogue)
    assert (named.name, named.fields) == ("name-1", {"hub": "owner/Name.1", "revision": commit})
    assert words.model(word, {}, None, catalogue, ask=False).fields["revision"] == revisions.MAIN
    known = {"models": {"ours": {"hub": "owner/Name.1", "revision": "0" * 40, "special_tokens": True}}}
    assert words.model(word, {}, None, known) == Named("models", "ours")
    assert words.model(f"{word}@main", {}, None, known).fields["revision"] == commit


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Pairs (2).csv", "my-pairs-2-csv"),
        ("2026", "my-2026"),
        ("null", "my-null"),
        ("Ü", "my-"),
        ("a_b-c", "a_b-c"),
    ],
)
def test_a_slug_is_a_name_that_yaml_reads_as_text(text, name):
    assert words.slug(text) == name
    assert yaml.safe_load(words.slug(text)) == name
