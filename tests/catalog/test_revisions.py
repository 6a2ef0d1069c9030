"""A name on the hub stands for one commit in a folder: the first, whatever its owner does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline.base.errors import InputError
from pipeline.catalog import revisions
from pipeline.catalog.entries import Baseline, Model
from pipeline.catalog.revisions import RECORD, commit_of
from pipeline.models import weights

REPO = "owner/name"
OLD, NEW = {"config.json": b"{}", "model.safetensors": b"old"}, {"config.json": b"{}", "model.safetensors": b"new"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A project's folder, the current one."""
    monkeypatch.chdir(tmp_path)


def noted():
    return json.loads(RECORD.read_text())


@pytest.mark.parametrize("revision", ["main", None])
def test_the_first_run_notes_the_commit_and_says_the_line_for_the_catalogue_once(hub_cache, capsys, revision):
    commit = hub_cache.commit(REPO, OLD)
    assert commit_of(REPO, revision, "model m") == commit
    said = capsys.readouterr().err
    assert said.startswith(f"model m: owner/name@main is commit {commit}, and stays so in this folder.")
    assert said.endswith(f"put this beside `hub` in catalog.yaml: revision: {commit}\n")
    assert said.count("\n") == 1
    assert noted() == {"model owner/name@main": commit}
    assert commit_of(REPO, revision, "model m") == commit
    assert capsys.readouterr().err == ""


def test_a_name_that_has_moved_is_said_with_both_commits_and_stands_for_the_first(hub_cache, capsys):
    first = hub_cache.commit(REPO, OLD)
    commit_of(REPO, None, "model m")
    second = hub_cache.commit(REPO, NEW)
    assert first != second
    capsys.readouterr()
    for _ in range(2):  # each run says so
        assert commit_of(REPO, None, "model m") == first
        said = capsys.readouterr().err
        assert said.startswith(
            f"WARNING: model m: owner/name@main was commit {first} when it was first used here and is "
        )
        assert f"is {second} now. This run stays with the first." in said
        assert f"`revision: {first}` beside `hub` in catalog.yaml to keep it, or `revision: {second}` to change" in said
        assert said.count("\n") == 1
    assert noted() == {"model owner/name@main": first}


def test_weights_are_those_of_the_first_commit_until_the_entry_says_otherwise(hub_cache, capsys):
    def weights_of(**fields):
        path = weights.locate(Model(hub=REPO, **fields), "m")
        return (path / "model.safetensors").read_bytes()

    hub_cache.commit(REPO, OLD)
    assert weights_of() == b"old"
    second = hub_cache.commit(REPO, NEW)
    assert weights_of() == b"old"
    capsys.readouterr()
    assert weights_of(revision=second) == b"new"
    assert capsys.readouterr().err == ""
    RECORD.unlink()  # a fresh clone
    assert weights_of() == b"new"


def test_where_weights_come_from_is_said_with_the_name_and_the_commit(hub_cache):
    commit = hub_cache.commit(REPO, OLD, "step1")
    entry = Model(hub=REPO, revision="step1")
    assert weights.source(entry, weights.locate(entry, "m")) == {"hub": REPO, "revision": "step1", "commit": commit}
    assert weights.source(Model(path="x"), hub_cache.folder) is None
    assert weights.source(Model(random=0), None) is None


def test_a_commit_needs_no_note_and_nobody_is_asked(hub_cache, monkeypatch, capsys):
    monkeypatch.setattr(revisions, "_asked", None)
    assert commit_of(REPO, "0123456789" * 4, "model m") == "0123456789" * 4
    assert not RECORD.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("almost", ["0123456789" * 4 + "a", "0123456789" * 3, "G" * 40])
def test_what_is_no_whole_commit_is_a_name(hub_cache, almost):
    commit = hub_cache.commit(REPO, OLD, almost)
    assert commit_of(REPO, almost, "model m") == commit


def test_a_revision_that_yaml_reads_as_a_number_is_a_name(hub_cache):
    commit = hub_cache.commit(REPO, OLD, "1")
    assert commit_of(REPO, Model(hub=REPO, revision=1).revision, "model m") == commit
    assert commit_of(REPO, 1, "model m") == commit


def test_names_repositories_and_kinds_are_noted_apart(hub_cache):
    commits = {}
    for repo, name, kind in [
        (REPO, "main", "model"),
        (REPO, "step1", "model"),
        (REPO, "main", "dataset"),
        ("a/b", "main", "model"),
    ]:
        commits[repo, name, kind] = hub_cache.commit(repo, {"x": f"{repo} {name} {kind}".encode()}, name, kind)
        assert commit_of(repo, name, "it", kind) == commits[repo, name, kind]
    assert len(set(commits.values())) == 4
    assert noted() == {f"{kind} {repo}@{name}": commit for (repo, name, kind), commit in commits.items()}


def test_without_an_answer_what_is_noted_is_taken(hub_cache, capsys):
    commit = hub_cache.commit(REPO, OLD)
    commit_of(REPO, None, "model m")
    (hub_cache.repository(REPO) / "refs/main").unlink()
    capsys.readouterr()
    assert commit_of(REPO, None, "model m") == commit
    assert capsys.readouterr().err == ""


def test_without_an_answer_and_a_note_it_is_one_line(hub_cache):
    message = r"model m needs owner/name@v2 from the Hugging Face hub, .*HF_HUB_OFFLINE.* as `path`$"
    with pytest.raises(InputError, match=message) as error:
        commit_of(REPO, "v2", "model m")
    assert "\n" not in str(error.value)
    assert not RECORD.exists()


def test_another_process_that_was_first_is_right(hub_cache, monkeypatch, capsys):
    first = hub_cache.commit(REPO, OLD)

    def slow(repo, name, kind):
        revisions._note(f"{kind} {repo}@{name}", first)  # meanwhile
        return hub_cache.commit(REPO, NEW)

    monkeypatch.setattr(revisions, "_asked", slow)
    assert commit_of(REPO, None, "model m") == first
    assert noted() == {"model owner/name@main": first}


def test_many_at_once_lose_no_note():
    threads = [threading.Thread(target=revisions._note, args=(f"model a/b@{i}", f"{i}")) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert noted() == {f"model a/b@{i}": f"{i}" for i in range(20)}


def test_a_damaged_record_is_named(hub_cache):
    hub_cache.commit(REPO, OLD)
    RECORD.parent.mkdir()
    RECORD.write_text('{"model owner/name@main": ')
    with pytest.raises(InputError, match=r"\.drillcore/revisions\.json is not YAML"):
        commit_of(REPO, None, "model m")


def test_a_record_of_something_else_is_named_with_what_to_do(hub_cache):
    hub_cache.commit(REPO, OLD)
    RECORD.parent.mkdir()
    RECORD.write_text('{"model owner/name@main": "abc"}')
    with pytest.raises(InputError, match=r"revisions\.json has 'abc' for model owner/name@main, .*remove that line"):
        commit_of(REPO, None, "model m")


# encoders


def test_an_encoder_is_that_of_the_first_commit(hub_cache):
    encoders = pytest.importorskip("pipeline.baselines.encoders")
    first = hub_cache.commit(REPO, OLD)
    entry = Baseline(kind="encoder", hub=REPO)
    assert encoders.located(entry, "baseline e").name == first
    hub_cache.commit(REPO, NEW)
    assert encoders.located(entry, "baseline e").name == first


# a hub that answers


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on this machine, {path: commit}; it knows nothing but which commit a name stands for."""
    import huggingface_hub

    commits = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            commit = commits.get(self.path)
            body = json.dumps({"id": REPO, "sha": commit} if commit else {"error": "not found"}).encode()
            self.send_response(200 if commit else 404)
            if not commit:
                self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
    yield commits
    server.shutdown()
    server.server_close()
    huggingface_hub.close_session()


@pytest.mark.parametrize(("kind", "revision", "path"), [("model", None, "main"), ("dataset", "v1", "v1")])
def test_a_hub_is_asked_each_time_and_the_first_answer_stands(hub, capsys, kind, revision, path):
    place = f"/api/{kind}s/owner/name/revision/{path}"
    hub[place] = "a" * 40
    assert commit_of(REPO, revision, "it", kind) == "a" * 40
    hub[place] = "b" * 40
    capsys.readouterr()
    assert commit_of(REPO, revision, "it", kind) == "a" * 40
    assert f"is {'b' * 40} now" in capsys.readouterr().err


def test_a_name_that_the_hub_does_not_know_is_one_line(hub):
    with pytest.raises(InputError, match=r"model m needs owner/name@mian from the .* hub.*Check the name") as error:
        commit_of(REPO, "mian", "model m")
    assert "\n" not in str(error.value)


def test_a_name_that_is_gone_from_the_hub_stands_for_what_is_noted(hub):
    hub["/api/models/owner/name/revision/main"] = "a" * 40
    commit_of(REPO, None, "model m")
    hub.clear()
    assert commit_of(REPO, None, "model m") == "a" * 40
