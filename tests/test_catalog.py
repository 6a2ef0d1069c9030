import hashlib
import zipfile
from pathlib import Path

import pytest
import yaml

from pipeline import catalog
from pipeline.baselines import BASELINES
from pipeline.catalog import Baseline, Dataset, Model
from pipeline.tokenizers import TOKENIZERS

COMMITTED = Path(__file__).resolve().parents[1] / "catalog.yaml"
ENTRIES = [(kind, name) for kind, names in yaml.safe_load(COMMITTED.read_text()).items() for name in names]
CLASSES = {"datasets": Dataset, "models": Model, "baselines": Baseline}


def written(tmp_path, **kinds):
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(kinds))
    return path


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_of_the_committed_catalogue_parses_and_has_one_source(kind, name):
    entry = catalog.entry(kind, name, COMMITTED)
    assert type(entry) is CLASSES[kind]
    if kind == "datasets":
        assert catalog.one_source(name, {"hub": entry.hub, "path": entry.path}) in ("hub", "path")
        assert entry.columns.keys() <= {"sentence1", "sentence2", "label", "split", "idx"}
    elif kind == "models":
        assert catalog.one_source(name, {"hub": entry.hub, "path": entry.path, "random": entry.random}) in ("hub", "path", "random")
        assert (entry.tokenizer if isinstance(entry.tokenizer, str) else entry.tokenizer["kind"]) in TOKENIZERS
    else:
        assert entry.kind in BASELINES


def test_the_committed_catalogue_has_no_other_kinds():
    assert {kind for kind, _ in ENTRIES} == CLASSES.keys() == catalog.ENTRIES.keys()


def test_local_files_of_the_committed_catalogue_exist():
    paths = [catalog.entry(kind, name, COMMITTED).path for kind, name in ENTRIES]
    files = [COMMITTED.parent / path for path in paths if path is not None]
    assert files
    assert all(file.exists() for file in files)


def test_fields_that_are_left_out_have_their_defaults(tmp_path):
    path = written(tmp_path, models={"a": {"random": 3}}, datasets={"d": {"path": "x.csv"}})
    assert catalog.entry("models", "a", path) == Model(random=3)
    assert catalog.entry("models", "a", path).bos is None
    assert catalog.entry("models", "a", path).special_tokens is False
    assert catalog.entry("datasets", "d", path) == Dataset(path="x.csv", columns={}, splits=None, subsets={})


def test_an_unknown_name_is_refused_with_its_near_misses():
    with pytest.raises(KeyError, match=r"no dataset 'mprc' in .*catalog\.yaml: did you mean mrpc"):
        catalog.entry("datasets", "mprc", COMMITTED)
    with pytest.raises(KeyError, match=r"no model 'finch-1b5' in .*did you mean finch-1b6"):
        catalog.entry("models", "finch-1b5", COMMITTED)


def test_an_unknown_name_without_near_misses_lists_what_there_is(tmp_path):
    path = written(tmp_path, models={"one": {"random": 0}, "two": {"random": 0}}, baselines=None)
    with pytest.raises(KeyError, match=r"no model 'zzzzzzzz' in .*it has one, two"):
        catalog.entry("models", "zzzzzzzz", path)
    with pytest.raises(KeyError, match=r"no baseline 'glove' in .*it has none"):
        catalog.entry("baselines", "glove", path)
    with pytest.raises(KeyError, match=r"no dataset 'mrpc' in .*it has none"):
        catalog.entry("datasets", "mrpc", path)


@pytest.mark.parametrize("name", ["a/b", "../a", "a b", "a.b", ""])
def test_a_name_that_cannot_be_a_file_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"use letters, digits, - and _ only"):
        catalog.entry("models", name, written(tmp_path, models={name: {"random": 0}}))


def test_unknown_and_missing_keys_are_both_named(tmp_path):
    path = written(tmp_path, baselines={"g": {"knid": "overlap", "sed": 1}})
    with pytest.raises(ValueError, match=r"baselines\.g of .*: unknown knid, sed; missing kind\. It takes kind, path, url, member, revision, dim, seed"):
        catalog.entry("baselines", "g", path)


def test_only_unknown_or_only_missing_keys_are_named_alone(tmp_path):
    path = written(tmp_path, baselines={"a": {"kind": "overlap", "hub": "x"}, "b": {}, "c": None})
    with pytest.raises(ValueError, match=r"baselines\.a of [^;]*: unknown hub\. It takes"):
        catalog.entry("baselines", "a", path)
    for name in "bc":
        with pytest.raises(ValueError, match=rf"baselines\.{name} of [^;]*: missing kind\. It takes"):
            catalog.entry("baselines", name, path)


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
        ("models", {"hub": "a/b", "revision": 12345678}, r"revision is 12345678, expected str \| None"),
        ("datasets", {"path": 5}, r"datasets\.x of .*: path is 5, expected str \| dict \| None"),
        ("datasets", {"path": "a.csv", "splits": ["train"]}, r"splits is \['train'\], expected dict \| None"),
        ("datasets", {"path": "a.csv", "columns": None}, r"columns is None, expected dict"),
        ("baselines", {"kind": "random", "dim": "300"}, r"baselines\.x of .*: dim is '300', expected int"),
        ("baselines", {"kind": "random", "seed": None}, r"seed is None, expected int"),
        ("baselines", ["overlap"], r"baselines\.x of .* is \['overlap'\]: expected a mapping with kind, path"),
        ("baselines", "overlap", r"baselines\.x of .* is 'overlap': expected a mapping with kind, path"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path, kind, fields, message):
    with pytest.raises(ValueError, match=message):
        catalog.entry(kind, "x", written(tmp_path, **{kind: {"x": fields}}))


@pytest.mark.parametrize("text", ["- datasets\n- models\n", "models: [a, b]\n", "just text\n"])
def test_a_catalogue_of_another_shape_is_refused(tmp_path, text):
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"catalog\.yaml.*expected a mapping"):
        catalog.entry("models", "a", path)


def test_a_catalogue_with_broken_yaml_is_refused_with_its_name_and_line(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text("models:\n  a: {random: 0\n  b: {random: 1}\n")
    with pytest.raises(ValueError, match=r"catalog\.yaml.*line 3"):
        catalog.entry("models", "a", path)


def test_a_catalogue_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        catalog.entry("models", "a", tmp_path / "nowhere.yaml")


def test_one_source_is_exactly_one():
    assert catalog.one_source("it", {"hub": None, "path": "x"}) == "path"
    assert catalog.one_source("it", {"path": None, "random": 0}) == "random"  # 0 is a seed, not nothing
    with pytest.raises(ValueError, match=r"model m has no source: give exactly one of hub, path, random"):
        catalog.one_source("model m", {"hub": None, "path": None, "random": None})
    with pytest.raises(ValueError, match=r"model m has hub and random: give exactly one of hub, path, random"):
        catalog.one_source("model m", {"hub": "a/b", "path": None, "random": 0})


def test_a_local_path_that_does_not_exist_is_shown_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        catalog.local("weights/model.pth", "model m")
    assert "model m: weights/model.pth does not exist" in str(error.value)
    assert str(tmp_path / "weights" / "model.pth") in str(error.value)
    assert "Mend `path` in catalog.yaml" in str(error.value)


def test_a_local_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model.pth").write_bytes(b"")
    assert catalog.local("~/model.pth", "model m") == tmp_path / "model.pth"


@pytest.fixture
def files(tmp_path):
    """Two files in each of two folders, with equal names and contents."""
    found = {}
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name, text in (("a.json", "alpha"), ("b.json", "beta")):
            (tmp_path / folder / name).write_text(text)
        found[folder] = [tmp_path / folder / "a.json", tmp_path / folder / "b.json"]
    return found


def test_digest_by_hand(files):
    a, b = (hashlib.sha256(text).hexdigest() for text in (b"alpha", b"beta"))
    assert catalog.digest(files["one"]) == hashlib.sha256(f"a.json\0{a}\nb.json\0{b}\n".encode()).hexdigest()


def test_digest_does_not_depend_on_the_order_or_the_folder(files):
    assert catalog.digest(files["one"]) == catalog.digest(files["one"][::-1]) == catalog.digest(files["two"])


def test_digest_depends_on_names_contents_and_number_of_files(files):
    before = catalog.digest(files["one"])
    assert catalog.digest(files["one"][:1]) != before
    renamed = files["one"][1].rename(files["one"][1].with_name("c.json"))
    assert catalog.digest([files["one"][0], renamed]) != before
    files["two"][1].write_text("beta ")
    assert catalog.digest(files["two"]) != before


def test_digest_depends_on_which_file_holds_what(files):
    before = catalog.digest(files["one"])
    files["one"][0].write_text("beta")
    files["one"][1].write_text("alpha")
    assert catalog.digest(files["one"]) != before


def test_digest_follows_links(files, tmp_path):
    (tmp_path / "links").mkdir()
    for file in files["one"]:  # as in the hub's cache
        (tmp_path / "links" / file.name).symlink_to(file)
    assert catalog.digest((tmp_path / "links").iterdir()) == catalog.digest(files["one"])


def test_download_fetches_a_file_once(tmp_path):
    source = tmp_path / "vectors.txt"
    source.write_text("cat 1 2\n")
    found = catalog.download(source.as_uri(), cache=tmp_path / "cache")
    assert found.name == "vectors.txt"
    assert found.read_text() == "cat 1 2\n"
    source.unlink()
    assert catalog.download(source.as_uri(), cache=tmp_path / "cache") == found


def test_downloads_of_equal_names_from_different_places_stay_apart(tmp_path):
    found = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vectors.txt").write_text(folder)
        found.append(catalog.download((tmp_path / folder / "vectors.txt").as_uri(), cache=tmp_path / "cache"))
    assert [file.read_text() for file in found] == ["one", "two"]


def zipped(tmp_path, **members):
    path = tmp_path / "vectors.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path.as_uri()


def test_download_takes_a_member_out_of_a_zip_and_keeps_no_zip(tmp_path):
    url = zipped(tmp_path, **{"a.50d.txt": "cat 1\n", "a.100d.txt": "cat 1 2\n"})
    found = catalog.download(url, "a.100d.txt", cache=tmp_path / "cache")
    assert found.read_text() == "cat 1 2\n"
    assert [file.name for file in (tmp_path / "cache").rglob("*") if file.is_file()] == ["a.100d.txt"]


def test_download_takes_a_member_out_of_a_folder_of_a_zip(tmp_path):
    found = catalog.download(zipped(tmp_path, **{"glove/a.txt": "cat 1\n"}), "glove/a.txt", cache=tmp_path / "cache")
    assert found.read_text() == "cat 1\n"


def test_a_member_that_the_zip_lacks_is_refused_with_what_it_holds_and_can_be_mended(tmp_path):
    url = zipped(tmp_path, **{"a.50d.txt": "cat 1\n", "readme": ""})
    with pytest.raises(ValueError, match=r"vectors\.zip has no 'a\.60d\.txt': it holds a\.50d\.txt, readme\. Mend `member`"):
        catalog.download(url, "a.60d.txt", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("a.60d.txt"))
    assert catalog.download(url, "a.50d.txt", cache=tmp_path / "cache").read_text() == "cat 1\n"


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "vectors.zip").write_text("<html>moved</html>")
    with pytest.raises(ValueError, match=r"vectors\.zip.*not a zip"):
        catalog.download((tmp_path / "vectors.zip").as_uri(), "a.txt", cache=tmp_path / "cache")


def test_a_download_that_fails_names_the_url_and_leaves_no_file(tmp_path):
    url = (tmp_path / "nowhere.txt").as_uri()
    with pytest.raises(ConnectionError, match=r"could not download file:///.*nowhere\.txt .*Check the network, or .* give the file as `path`"):
        catalog.download(url, cache=tmp_path / "cache")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    (tmp_path / "nowhere.txt").write_text("here after all")
    assert catalog.download(url, cache=tmp_path / "cache").read_text() == "here after all"


def test_a_download_that_breaks_off_is_not_taken_for_whole(tmp_path, monkeypatch):
    source = tmp_path / "vectors.txt"
    source.write_text("cat 1 2\n")

    def broken(source, sink, length):
        sink.write(source.read(4))
        raise ConnectionResetError("connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(catalog.shutil, "copyfileobj", broken)
        with pytest.raises(ConnectionError, match=r"could not download .*vectors\.txt \(connection reset\)"):
            catalog.download(source.as_uri(), cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("vectors.txt"))
    assert catalog.download(source.as_uri(), cache=tmp_path / "cache").read_text() == "cat 1 2\n"


def test_a_hub_that_fails_without_a_message_is_still_one_clear_error(monkeypatch):
    import huggingface_hub

    def timed_out(*args, **kwargs):
        raise TimeoutError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", timed_out)
    with pytest.raises(ConnectionError, match=r"model m needs a/b@main from the Hugging Face hub, which did not answer \(TimeoutError\)"):
        catalog.snapshot("a/b", None, ["*.json"], "model m")


def test_python_files_are_never_fetched_from_the_hub(monkeypatch, tmp_path):
    import huggingface_hub

    asked = {}

    def remember(repo, **kwargs):
        asked.update(kwargs, repo=repo)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", remember)
    assert catalog.snapshot("a/b", "abc123", ["*.json"], "model m") == tmp_path
    assert asked == {"repo": "a/b", "revision": "abc123", "allow_patterns": ["*.json"], "ignore_patterns": ["*.py"]}
