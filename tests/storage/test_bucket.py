"""Shards below a URL: claims that end, nothing partial, and one clear line for what a store refuses."""

import hashlib
import json
import os
import socket

import fsspec
import pytest

from pipeline.base.errors import InputError
from pipeline.storage import fetched, leases, places, remote
from pipeline.storage.bucket import Bucket, location_in
from pipeline.storage.folder import Folder
from pipeline.storage.leases import Lease, is_held
from pipeline.storage.remote import filesystem, put


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def published(bucket, name, data):
    """Publish some bytes -> their receipt."""
    claim = bucket.claim(name)
    claim.part.write_bytes(data)
    receipt = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    claim.publish(receipt)
    claim.release()
    return receipt


def files(url):
    """{name: bytes} of what lies below a URL."""
    fs, root = filesystem(url)
    return {path.rsplit("/", 1)[1]: fs.cat_file(path) for path in fs.find(root)}


def test_an_object_is_made_once(url):
    fs, path = filesystem(f"{url}/once")
    fs.pipe_file(path, b"first", mode="create")
    with pytest.raises(OSError) as error:  # noqa: PT011 - which error it is depends on the client
        fs.pipe_file(path, b"second", mode="create")
    assert leases._exists_already(error.value)
    assert fs.cat_file(path) == b"first"


def test_published_shards_have_receipts_and_nothing_else_stays(url):
    bucket = Bucket(f"{url}/dumps/key")
    assert bucket.receipts(["a.arrow"]) == {}
    receipts = {name: published(bucket, name, name.encode() * 100) for name in ("a.arrow", "b.arrow")}
    assert bucket.receipts(["b.arrow", "c.arrow", "a.arrow"]) == receipts
    assert files(bucket.url).keys() == {"a.arrow", "a.json", "b.arrow", "b.json"}
    assert json.loads(files(bucket.url)["a.json"]) == receipts["a.arrow"]
    assert list(bucket.here.iterdir()) == []


def test_a_shard_of_another_size_than_its_receipt_or_without_one_is_not_there(url):
    bucket = Bucket(f"{url}/key")
    for name in ("cut.arrow", "bare.arrow", "broken.arrow", "good.arrow"):
        published(bucket, name, b"12345")
    fs, root = filesystem(bucket.url)
    fs.pipe_file(f"{root}/cut.arrow", b"123")
    fs.rm_file(f"{root}/bare.json")
    fs.pipe_file(f"{root}/broken.json", b"[1]")
    assert bucket.receipts(["cut.arrow", "bare.arrow", "broken.arrow", "good.arrow"]).keys() == {"good.arrow"}
    assert bucket.claim("cut.arrow").finished() is None
    assert bucket.claim("good.arrow").finished()["bytes"] == 5


def test_a_multipart_upload_gives_the_same_bytes(s3, tmp_path, rng):
    """More than 100 MB goes in parts of 50 MB."""
    data = rng.bytes(1000) * 110_000
    (tmp_path / "large").write_bytes(data)
    fs, path = filesystem(f"{s3}/large")
    put(fs, path, tmp_path / "large", len(data))
    assert hashlib.sha256(fs.cat_file(path)).digest() == hashlib.sha256(data).digest()
    assert "-" in fs.info(path)["ETag"], "the ETag of a multipart upload has the number of its parts"


def test_what_has_another_size_after_its_upload_is_an_error(memory, tmp_path):
    (tmp_path / "file").write_bytes(b"123")
    with pytest.raises(OSError, match="it has 3 of 5 bytes after its upload"):
        put(*filesystem(f"{memory}/file"), tmp_path / "file", 5)


# claims


def test_a_claim_is_one_workers_until_it_gives_it_back(url):
    bucket = Bucket(f"{url}/key")
    assert not bucket.claimed("a.arrow")
    claim = bucket.claim("a.arrow")
    assert bucket.claimed("a.arrow")
    assert bucket.claim("a.arrow") is None
    assert bucket.claim("b.arrow") is not None
    said = json.loads(files(bucket.url)["a.arrow.claim"])
    assert (said["host"], said["process"]) == (socket.gethostname(), os.getpid())
    claim.release()
    claim.release()
    assert not bucket.claimed("a.arrow")
    assert bucket.claim("a.arrow") is not None


@pytest.fixture
def clock(monkeypatch):
    """A clock of ours that stands still: [seconds]."""
    now = [1000.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: now[0])
    return now


def foreign(path, fs, host="elsewhere", process=1):
    """A claim of another machine."""
    fs.pipe_file(path, json.dumps({"host": host, "process": process, "token": "theirs", "time": 0}).encode())


def test_a_claim_of_another_machine_ends_when_it_is_not_renewed(memory, clock):
    """By our own clock, from when we first saw it: what time the other machine has does not matter."""
    fs, path = filesystem(f"{memory}/a.claim")
    foreign(path, fs)
    assert is_held(fs, path)
    clock[0] += leases.LEASE - 1
    assert not Lease(fs, path).make()
    fs.pipe_file(path, b'{"renewed": true}')
    clock[0] += leases.LEASE - 1
    assert is_held(fs, path), "it was renewed meanwhile"
    clock[0] += leases.LEASE - 1
    assert is_held(fs, path)
    clock[0] += 1
    assert not is_held(fs, path)
    assert Lease(fs, path).make()


def test_a_claim_is_renewed_now_and_then(memory, clock):
    fs, path = filesystem(f"{memory}/a.claim")
    lease = Lease(fs, path)
    assert lease.make()
    first = fs.cat_file(path)
    clock[0] += leases.RENEWED
    lease.renew()
    assert fs.cat_file(path) == first
    clock[0] += 1
    lease.renew()
    assert fs.cat_file(path) != first
    lease.release()
    assert not fs.exists(path)


def test_a_claim_of_a_process_of_this_machine_ends_with_it(memory):
    fs, path = filesystem(f"{memory}/a.claim")
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    foreign(path, fs, socket.gethostname(), child)
    assert not is_held(fs, path)
    foreign(path, fs, socket.gethostname(), os.getpid())
    assert is_held(fs, path)
    foreign(path, fs, "elsewhere", child)
    assert is_held(fs, path)


def test_a_claim_that_another_took_over_is_left_to_it(memory):
    fs, path = filesystem(f"{memory}/a.claim")
    lease = Lease(fs, path)
    assert lease.make()
    foreign(path, fs)
    lease.release()
    assert b"theirs" in fs.cat_file(path)


def test_a_server_that_cannot_make_an_object_once_still_has_claims(failing):
    """It says so (501), as some that imitate S3 do; then one looks first."""
    app, url = failing
    honest = app.app

    def old(environ, start_response):
        if "HTTP_IF_NONE_MATCH" not in environ:
            return honest(environ, start_response)
        return refusal(app, environ, start_response, "501 Not Implemented", "NotImplemented")

    app.app = old
    bucket = Bucket(f"{url}/key")
    claim = bucket.claim("a.arrow")
    assert claim is not None
    assert bucket.claim("a.arrow") is None
    claim.release()
    assert bucket.claim("a.arrow") is not None


def refusal(app, environ, start_response, status, code):
    """What S3 answers that refuses something."""
    app.read(environ)
    start_response(status, [("Content-Type", "application/xml")])
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def test_a_claim_whose_first_answer_was_lost_is_ours(memory, monkeypatch):
    """The client tries again, and hears that there is one."""
    fs, path = filesystem(f"{memory}/a.claim")
    honest = type(fs).pipe_file

    def lost(self, path, value, mode="overwrite", **more):
        honest(self, path, value, mode=mode)
        raise FileExistsError(path)

    monkeypatch.setattr(type(fs), "pipe_file", lost)
    assert Lease(fs, path).make()


def test_what_a_killed_process_left_on_this_machine_is_taken_away(memory):
    bucket = Bucket(f"{memory}/key")
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    bucket.here.mkdir(parents=True)
    names = [f"a.arrow.{socket.gethostname()}-{process}-abcd.part" for process in (child, os.getpid())]
    for name in [*names, "a.arrow.else-where-7-abcd.part"]:
        (bucket.here / name).touch()
    with bucket.held():
        assert {path.name for path in bucket.here.iterdir()} == {names[1], "a.arrow.else-where-7-abcd.part"}
    (bucket.here / names[0]).touch()
    with Bucket(f"{memory}/other").held():
        assert {path.name for path in bucket.here.iterdir()} == {names[1], "a.arrow.else-where-7-abcd.part"}


# publishing


def test_claims_that_killed_workers_left_go_when_all_is_published(url, tmp_path):
    bucket = Bucket(f"{url}/key")
    published(bucket, "a.arrow", b"abc")
    left = bucket.claim("a.arrow")  # as if killed between the receipt and the release
    bucket.publish(["a.arrow"], tmp_path / "out", {"key": "key"})
    assert files(bucket.url).keys() == {"a.arrow", "a.json", "manifest.json"}
    left.release()
    assert files(bucket.url).keys() == {"a.arrow", "a.json", "manifest.json"}


def test_what_killed_uploads_left_goes_when_all_is_published(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    fs, root = filesystem(s3)
    begun = {}
    for name in ("key/a.arrow", "key2/a.arrow"):
        begun[name] = fs.call_s3("create_multipart_upload", Bucket="bucket", Key=f"{root.split('/')[1]}/{name}")
        at = {key: begun[name][key] for key in ("Bucket", "Key", "UploadId")}
        fs.call_s3("upload_part", **at, PartNumber=1, Body=b"x" * 100)
    bucket = Bucket(f"{s3}/key")
    assert bucket.receipts(["a.arrow"]) == {}
    published(bucket, "a.arrow", b"abc")
    bucket.publish(["a.arrow"], tmp_path / "out", {"key": "key"})
    left = [upload["UploadId"] for upload in fs.list_multipart_uploads("bucket")]
    assert begun["key/a.arrow"]["UploadId"] not in left
    assert begun["key2/a.arrow"]["UploadId"] in left, "it is another's"
    assert files(bucket.url)["a.arrow"] == b"abc"


def test_a_server_that_does_not_tell_of_uploads_does_not_end_a_dump(failing, tmp_path):
    app, url = failing
    honest, asked = app.app, []

    def deny(environ, start_response):
        if "uploads" not in environ["QUERY_STRING"]:
            return honest(environ, start_response)
        asked.append(environ["REQUEST_METHOD"])
        return refusal(app, environ, start_response, "403 Forbidden", "AccessDenied")

    app.app = deny
    published(Bucket(f"{url}/key"), "a.arrow", b"abc")
    Bucket(f"{url}/key").publish(["a.arrow"], tmp_path / "out", {"key": "key"})
    assert asked == ["GET"]
    assert location_in(tmp_path / "out") == f"{url}/key"


def test_an_upload_whose_last_answer_was_lost_is_sent_again(failing, tmp_path, rng, monkeypatch):
    """The client asks again, and hears that there is no such upload."""
    app, url = failing
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize=None: 1000)
    honest, lost = app.app, []

    def lose(environ, start_response):
        query = environ["QUERY_STRING"]
        if query in lost:  # as MinIO does; Amazon and moto would give the answer again
            return refusal(app, environ, start_response, "404 Not Found", "NoSuchUpload")
        answer = list(honest(environ, start_response))
        if environ["REQUEST_METHOD"] == "POST" and "uploadId" in query and not lost:
            lost.append(query)
            return app.end(environ)
        return answer

    app.app = lose
    data = rng.bytes(5500)
    (tmp_path / "file").write_bytes(data)
    fs, path = filesystem(f"{url}/file")
    put(fs, path, tmp_path / "file", len(data))
    assert lost
    assert fs.cat_file(path) == data


def test_publishing_says_where_the_shards_are_and_a_folder_after_it_takes_that_back(memory, tmp_path):
    out, bucket = tmp_path / "out", Bucket(f"{memory}/key")
    out.mkdir()
    (out / "a.arrow").write_bytes(b"of an earlier dump")
    assert not bucket.published(["a.arrow"], out)
    bucket.publish(["a.arrow"], out, {"key": "key"})
    assert bucket.published(["a.arrow"], out)
    assert location_in(out) == f"{memory}/key"
    assert [path.name for path in out.iterdir()] == ["location.json"]
    assert json.loads(files(bucket.url)["manifest.json"]) == {"key": "key"}
    folder = Folder(tmp_path / "key")
    claim = folder.claim("a.arrow")
    claim.part.write_bytes(b"abc")
    claim.publish({"bytes": 3, "sha256": "abc"})
    folder.publish(["a.arrow"], out, {})
    assert [path.name for path in out.iterdir()] == ["a.arrow"]
    assert folder.published(["a.arrow"], out)
    assert location_in(out) is None


# refusals


def test_an_unknown_protocol_names_those_that_are_known():
    with pytest.raises(InputError, match=r"no protocol 's4', expected one of s3, gs, "):
        filesystem("s4://bucket/x")


def test_a_protocol_whose_package_is_missing_names_the_extra(monkeypatch):
    def missing(*args, **options):
        raise ImportError("Install gcsfs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    said = r"gs://b needs a package that is not installed: pip install -c constraints.txt -e '\.\[gcs\]'"
    with pytest.raises(InputError, match=said):
        filesystem("gs://b")


def test_a_bucket_that_is_not_there_is_one_line_before_anything_is_computed(s3, monkeypatch):
    monkeypatch.setenv("DRILLCORE_STORE", "s3://nobodys/x")
    with pytest.raises(InputError, match=r"s3://nobodys/x is not there \(.*bucket does not exist.*make the bucket"):
        places.check_store()
    monkeypatch.setenv("DRILLCORE_STORE", s3)
    places.check_store()
    assert files(s3) == {}


def test_no_credentials_and_no_server_are_one_line(s3, monkeypatch):
    monkeypatch.setitem(remote.OPTIONS, "s3", {"config_kwargs": {"retries": {"max_attempts": 1}}})
    monkeypatch.setenv("DRILLCORE_STORE", s3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=r"s3://bucket/\S+ cannot be used: Could not connect to the endpoint"):
        places.check_store()


def operation(environ):
    """What a request wants."""
    method, listing = environ["REQUEST_METHOD"], "list-type" in environ["QUERY_STRING"]
    return "list" if listing else {"PUT": "write", "GET": "read", "HEAD": "read", "DELETE": "remove"}[method]


@pytest.mark.parametrize("denied", ["write", "list", "read", "remove"])
def test_what_is_not_allowed_is_said_before_anything_is_computed(failing, monkeypatch, denied):
    app, url = failing
    honest = app.app

    def deny(environ, start_response):
        if operation(environ) != denied:
            return honest(environ, start_response)
        return refusal(app, environ, start_response, "403 Forbidden", "AccessDenied")

    monkeypatch.setenv("DRILLCORE_STORE", url)
    places.check_store()
    app.app = deny
    with pytest.raises(InputError, match=rf"{url} refuses us \(.*\): look at the credentials"):
        places.check_store()


def test_a_receipt_that_cannot_be_read_is_an_error_and_not_a_shard_that_is_missing(failing):
    """A dump would make it again, or say that another rank is to make it."""
    app, url = failing
    bucket, honest = Bucket(f"{url}/key"), app.app
    receipt = published(bucket, "a.arrow", b"abc")

    def deny(environ, start_response):
        if not environ["PATH_INFO"].endswith("a.json"):
            return honest(environ, start_response)
        return refusal(app, environ, start_response, "403 Forbidden", "AccessDenied")

    app.app = deny
    with pytest.raises(InputError, match="refuses us"):
        bucket.receipts(["a.arrow"])
    app.app = honest
    assert bucket.receipts(["a.arrow"]) == {"a.arrow": receipt}


def test_permission_is_one_line():
    with (
        pytest.raises(InputError, match=r"s3://b refuses us \(Access Denied\): look at the credentials"),
        remote.explained("s3://b"),
    ):
        raise PermissionError("Access Denied")


def test_a_mistake_of_ours_and_a_full_disk_stay_what_they_are():
    for error in (KeyError("ours"), OSError(28, "No space left on device")):
        with pytest.raises(type(error)) as raised, remote.explained("s3://b"):
            raise error
        assert raised.value is error


# places


@pytest.mark.parametrize(
    ("given", "store"),
    [
        (None, Folder(places.Path(".drillcore/dumps/key"))),
        ("/shared/x/", Folder(places.Path("/shared/x/dumps/key"))),
        ("~/x", Folder(places.Path.home() / "x/dumps/key")),
        ("file:///shared/x", Folder(places.Path("/shared/x/dumps/key"))),
        ("s3://bucket/x", Bucket("s3://bucket/x/dumps/key")),
    ],
)
def test_the_store_of_a_key_is_where_the_environment_says(monkeypatch, given, store):
    monkeypatch.delenv("DRILLCORE_STORE", raising=False)
    if given:
        monkeypatch.setenv("DRILLCORE_STORE", given)
    assert places.store_at(places.dumps(), "key") == store


@pytest.mark.parametrize("kind", ["s3", "folders"])
def test_names_with_characters_of_patterns_and_escapes_are_taken_as_they_are(kind, tmp_path, monkeypatch, request):
    monkeypatch.setenv("DRILLCORE_STORE", f"{request.getfixturevalue(kind)}/my [1]*/100%20{{a}}/")
    places.check_store()
    bucket = places.store_at(places.dumps(), "key")
    receipt = published(bucket, "a.arrow", b"abc")
    bucket.claim("b.arrow")
    assert bucket.receipts(["a.arrow"]) == {"a.arrow": receipt}
    bucket.publish(["a.arrow"], tmp_path / "out", {})
    assert set(bucket.sizes()) == {"a.arrow", "a.json", "manifest.json"}
    at = f"{location_in(tmp_path / 'out')}/a.arrow"
    assert fetched.fetched(at, 3, receipt["sha256"], "dump@m").read_bytes() == b"abc"


@pytest.mark.parametrize("given", ["s3:/bucket", "s3://", "s3//bucket", "file:/x", "https:x"])
def test_what_is_neither_a_folder_nor_a_url_is_one_line(monkeypatch, given):
    monkeypatch.setenv("DRILLCORE_STORE", given)
    with pytest.raises(InputError, match=r"DRILLCORE_STORE is '\w+[:/].*', expected a folder or a URL such as s3://"):
        places.check_store()


def test_a_store_that_the_next_stage_would_not_see_is_one_line(monkeypatch, memory):
    monkeypatch.setenv("DRILLCORE_STORE", memory)
    with pytest.raises(InputError, match=r"DRILLCORE_STORE is 'memory://.*', which ends with this process"):
        places.check_store()


def test_a_folder_that_cannot_be_one_is_said_before_anything_is_computed(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DRILLCORE_STORE", str(tmp_path / "file/store"))
    with pytest.raises(InputError, match=r"file/store cannot be a folder: \S+/file is a file"):
        places.check_store()
    monkeypatch.setenv("DRILLCORE_STORE", str(tmp_path / "with 100% space/store"))
    places.check_store()


def test_a_body_is_sent_without_asking_first(s3):
    """A client that asks and gets no answer waits without end; one that has sent all waits for its time limit."""
    heads = []
    fs, path = filesystem(f"{s3}/file")
    fs.s3.meta.events.register("before-send.s3", lambda request, **more: heads.append(request.headers))
    fs.pipe_file(path, b"abc")
    put_headers = [{name.lower() for name in head} for head in heads]
    assert put_headers
    assert not any("expect" in names for names in put_headers)
