"""Files behind an entry: found, hashed, and fetched once."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline.base.errors import InputError
from pipeline.catalog import fetch
from pipeline.catalog.fetch import digest, download, local, snapshot


def test_a_local_path_that_does_not_exist_is_shown_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        local("weights/model.pth", "model m")
    assert "model m: weights/model.pth does not exist" in str(error.value)
    assert str(tmp_path / "weights/model.pth") in str(error.value)
    assert "Mend `path` in catalog.yaml" in str(error.value)


def test_a_local_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model.pth").write_bytes(b"")
    assert local("~/model.pth", "model m") == tmp_path / "model.pth"


# digest


@pytest.fixture
def files(tmp_path):
    """Two files in each of two folders, with equal names and contents."""
    made = {}
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name, text in (("a.json", "alpha"), ("b.json", "beta")):
            (tmp_path / folder / name).write_text(text)
        made[folder] = [tmp_path / folder / "a.json", tmp_path / folder / "b.json"]
    return made


def test_digest_by_hand(files):
    a, b = (hashlib.sha256(text).hexdigest() for text in (b"alpha", b"beta"))
    assert digest(files["one"]) == hashlib.sha256(f"a.json\0{a}\nb.json\0{b}\n".encode()).hexdigest()


def test_digest_does_not_depend_on_the_order_or_the_folder(files):
    assert digest(files["one"]) == digest(files["one"][::-1]) == digest(files["two"])


def test_digest_depends_on_names_contents_and_number_of_files(files):
    before = digest(files["one"])
    assert digest(files["one"][:1]) != before
    renamed = files["one"][1].rename(files["one"][1].with_name("c.json"))
    assert digest([files["one"][0], renamed]) != before
    files["two"][1].write_text("beta ")
    assert digest(files["two"]) != before


def test_digest_depends_on_which_file_holds_what(files):
    before = digest(files["one"])
    files["one"][0].write_text("beta")
    files["one"][1].write_text("alpha")
    assert digest(files["one"]) != before


def test_digest_follows_links(files, tmp_path):
    (tmp_path / "links").mkdir()
    for file in files["one"]:  # as in the hub's cache
        (tmp_path / "links" / file.name).symlink_to(file)
    assert digest((tmp_path / "links").iterdir()) == digest(files["one"])


# downloads


def test_download_fetches_a_file_once(tmp_path):
    source = tmp_path / "vectors.txt"
    source.write_text("cat 1 2\n")
    fetched = download(source.as_uri(), cache=tmp_path / "cache")
    assert fetched.name == "vectors.txt"
    assert fetched.read_text() == "cat 1 2\n"
    source.unlink()
    assert download(source.as_uri(), cache=tmp_path / "cache") == fetched


def test_downloads_of_equal_names_from_different_places_stay_apart(tmp_path):
    fetched = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vectors.txt").write_text(folder)
        fetched.append(download((tmp_path / folder / "vectors.txt").as_uri(), cache=tmp_path / "cache"))
    assert [file.read_text() for file in fetched] == ["one", "two"]


def zipped(tmp_path, **members):
    path = tmp_path / "vectors.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path.as_uri()


def test_download_takes_a_member_out_of_a_zip_and_keeps_no_zip(tmp_path):
    url = zipped(tmp_path, **{"a.50d.txt": "cat 1\n", "a.100d.txt": "cat 1 2\n"})
    fetched = download(url, "a.100d.txt", cache=tmp_path / "cache")
    assert fetched.read_text() == "cat 1 2\n"
    left = sorted(file.name for file in (tmp_path / "cache").rglob("*") if file.is_file())
    assert left == ["a.100d.txt", "a.100d.txt.sha256"]


def test_download_takes_a_member_out_of_a_folder_of_a_zip(tmp_path):
    fetched = download(zipped(tmp_path, **{"glove/a.txt": "cat 1\n"}), "glove/a.txt", cache=tmp_path / "cache")
    assert fetched.read_text() == "cat 1\n"


def test_a_member_that_the_zip_lacks_is_refused_with_what_it_holds_and_can_be_mended(tmp_path):
    url = zipped(tmp_path, **{"a.50d.txt": "cat 1\n", "readme": ""})
    message = r"vectors\.zip has no 'a\.60d\.txt': it holds a\.50d\.txt, readme\. Mend `member`"
    with pytest.raises(InputError, match=message):
        download(url, "a.60d.txt", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("a.60d.txt"))
    assert download(url, "a.50d.txt", cache=tmp_path / "cache").read_text() == "cat 1\n"


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "vectors.zip").write_text("<html>moved</html>")
    with pytest.raises(InputError, match=r"vectors\.zip is not a zip: leave `member` out"):
        download((tmp_path / "vectors.zip").as_uri(), "a.txt", cache=tmp_path / "cache")


def test_a_download_that_fails_names_the_url_and_leaves_no_file(tmp_path):
    url = (tmp_path / "nowhere.txt").as_uri()
    message = r"could not download file:///.*nowhere\.txt .*Check the network, or .* give the file as `path`"
    with pytest.raises(InputError, match=message):
        download(url, cache=tmp_path / "cache")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    (tmp_path / "nowhere.txt").write_text("here after all")
    assert download(url, cache=tmp_path / "cache").read_text() == "here after all"


def test_a_download_that_breaks_off_is_not_taken_for_whole(tmp_path, monkeypatch):
    source = tmp_path / "vectors.txt"
    source.write_text("cat 1 2\n")

    def broken(source, sink, length):
        sink.write(source.read(4))
        raise ConnectionResetError("connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(fetch.shutil, "copyfileobj", broken)
        with pytest.raises(InputError, match=r"could not download .*vectors\.txt \(connection reset\)"):
            download(source.as_uri(), cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("vectors.txt"))
    assert download(source.as_uri(), cache=tmp_path / "cache").read_text() == "cat 1 2\n"


# sha256


class Place:
    """A URL on this machine, the bytes that it gives, and how often it was asked."""

    def __init__(self):
        self.data, self.asked = b"", 0
        place = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                place.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(place.data)))
                self.end_headers()
                self.wfile.write(place.data)

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.server.server_port}/{name}"


@pytest.fixture
def place(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    place = Place()
    yield place
    place.server.shutdown()
    place.server.server_close()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def zip_of(**members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return data.getvalue()


def kept(tmp_path):
    """The files of the cache, but for notes."""
    return sorted(p.name for p in (tmp_path / "c").rglob("*") if p.is_file() and p.suffix != ".sha256")


def test_the_first_download_without_a_sha256_prints_the_line_for_the_catalogue(tmp_path, place, capsys):
    place.data = b"cat 1 2\n"
    download(place.url("a.txt"), cache=tmp_path / "c")
    said = capsys.readouterr().err
    assert said.startswith(f"{place.url('a.txt')} has sha256 {sha256(b'cat 1 2' + bytes([10]))}. ")
    assert said.endswith(f"put this beside `url` in catalog.yaml: sha256: {sha256(place.data)}\n")
    assert said.count("\n") == 1
    download(place.url("a.txt"), cache=tmp_path / "c")
    assert capsys.readouterr().err == ""
    assert place.asked == 1


def test_a_download_with_the_sha256_that_was_printed_is_used_without_a_word(tmp_path, place, capsys):
    place.data = b"cat 1 2\n"
    for _ in range(2):
        assert download(place.url("a.txt"), None, sha256(place.data), tmp_path / "c").read_bytes() == place.data
    assert place.asked == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("member", [None, "a.txt"])
def test_a_download_with_another_sha256_is_refused_and_not_kept_and_the_next_run_tries_again(tmp_path, place, member):
    good, bad = (zip_of(**{"a.txt": text}) for text in ("cat 1", "cat 2"))
    place.data, url = bad, place.url("a.zip")
    message = rf"a\.zip has sha256 {sha256(bad)}, expected {sha256(good)}: .* not kept.*catalog\.yaml$"
    with pytest.raises(InputError, match=message) as error:
        download(url, member, sha256(good), tmp_path / "c")
    assert "\n" not in str(error.value)
    assert kept(tmp_path) == []
    place.data = good
    fetched = download(url, member, sha256(good), tmp_path / "c")
    assert fetched.read_bytes() == (b"cat 1" if member else good)


def test_the_sha256_is_that_of_the_zip_and_not_of_its_member(tmp_path, place):
    place.data = zip_of(**{"a.txt": "cat 1"})
    with pytest.raises(InputError, match=f"has sha256 {sha256(place.data)}, expected"):
        download(place.url("a.zip"), "a.txt", sha256(b"cat 1"), tmp_path / "c")
    assert download(place.url("a.zip"), "a.txt", sha256(place.data), tmp_path / "c").read_bytes() == b"cat 1"


@pytest.mark.parametrize("member", [None, "a.txt"])
def test_a_file_of_an_earlier_run_is_compared_too_and_not_fetched_again(tmp_path, place, member):
    place.data, url = zip_of(**{"a.txt": "cat 1"}), place.url("a.zip")
    first = download(url, member, cache=tmp_path / "c")
    other = "0" * 64
    message = rf"was downloaded from .*a\.zip with sha256 {sha256(place.data)}, expected {other}\. Mend .* or remove "
    with pytest.raises(InputError, match=message) as error:
        download(url, member, other, tmp_path / "c")
    assert str(first.parent) in str(error.value)
    assert download(url, member, sha256(place.data), tmp_path / "c") == first
    assert place.asked == 1


@pytest.mark.parametrize("member", [None, "a.txt"])
def test_a_file_whose_sha256_nobody_noted_is_hashed_or_if_its_zip_is_gone_fetched_again(tmp_path, place, member):
    place.data, url = zip_of(**{"a.txt": "cat 1"}), place.url("a.zip")
    fetched = download(url, member, cache=tmp_path / "c")
    (note,) = (tmp_path / "c").rglob("*.sha256")
    note.unlink()
    assert download(url, member, cache=tmp_path / "c") == fetched  # nothing is asked for
    assert place.asked == 1
    assert download(url, member, sha256(place.data), tmp_path / "c") == fetched
    assert place.asked == (2 if member else 1)
    with pytest.raises(InputError, match="expected"):
        download(url, member, "0" * 64, tmp_path / "c")


def test_two_members_of_a_zip_that_changed_in_between_are_told_apart(tmp_path, place):
    old, new = zip_of(a="cat 1", b="dog 1"), zip_of(a="cat 2", b="dog 2")
    place.data, url = old, place.url("x.zip")
    download(url, "a", sha256(old), tmp_path / "c")
    place.data = new
    assert download(url, "b", sha256(new), tmp_path / "c").read_text() == "dog 2"
    with pytest.raises(InputError, match=f"with sha256 {sha256(old)}, expected {sha256(new)}"):
        download(url, "a", sha256(new), tmp_path / "c")
    assert download(url, "a", sha256(old), tmp_path / "c").read_text() == "cat 1"


def test_a_zip_whose_member_was_named_wrongly_is_compared_before_it_is_opened(tmp_path, place):
    place.data, url = zip_of(a="cat 1"), place.url("x.zip")
    with pytest.raises(InputError, match="Mend `member`"):
        download(url, "b", sha256(place.data), tmp_path / "c")
    with pytest.raises(InputError, match=f"with sha256 {sha256(place.data)}, expected {'0' * 64}"):
        download(url, "a", "0" * 64, tmp_path / "c")
    assert download(url, "a", sha256(place.data), tmp_path / "c").read_text() == "cat 1"
    assert place.asked == 1


# the hub


def test_a_hub_that_fails_without_a_message_is_still_one_clear_error(monkeypatch):
    import huggingface_hub

    def timed_out(*args, **kwargs):
        raise TimeoutError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", timed_out)
    message = r"model m needs a/b@main from the Hugging Face hub, which did not answer \(TimeoutError\)"
    with pytest.raises(InputError, match=message):
        snapshot("a/b", None, ["*.json"], "model m")


def test_the_hub_without_a_network_says_what_is_needed_and_what_to_do(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    message = r"model big needs nobody-at-all/nothing@abc from the Hugging Face hub.*HF_HUB_OFFLINE.* as `path`"
    with pytest.raises(InputError, match=message):
        snapshot("nobody-at-all/nothing", "abc", ["*.json"], "model big")


def test_python_files_are_never_fetched_from_the_hub(monkeypatch, tmp_path):
    import huggingface_hub

    asked = {}

    def remember(repo, **kwargs):
        asked.update(kwargs, repo=repo)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", remember)
    assert snapshot("a/b", "abc123", ["*.json"], "model m") == tmp_path
    assert asked == {"repo": "a/b", "revision": "abc123", "allow_patterns": ["*.json"], "ignore_patterns": ["*.py"]}


@pytest.mark.parametrize("url", ["no scheme", "http://", "http://a b/c", "htp://localhost/x"])
def test_what_is_no_url_is_one_line(tmp_path, url):
    with pytest.raises(InputError, match="could not download"):
        fetch.download(url, cache=tmp_path)


def test_a_home_of_nobody_is_one_line():
    with pytest.raises(InputError, match="~no-such-user-at-all/x cannot be found"):
        fetch.local("~no-such-user-at-all/x", "model toy")


def test_a_name_that_the_hub_cannot_have_is_one_line():
    with pytest.raises(InputError, match=r"is no repository of the hub .*expected owner/name"):
        fetch.snapshot("a/b/c d", None, ["*"], "model toy")
