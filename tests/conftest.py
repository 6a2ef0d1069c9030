import hashlib
import logging
import os
import secrets
import signal
import urllib.request
from pathlib import Path

import numpy as np
import pytest

# A shell lets what it starts in the background ignore Ctrl-C, and all that this starts: tests that send it would wait.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """The slowest file first: with a process for each core, the others run beside it (--no-loadscope-reorder)."""
    items.sort(key=lambda item: item.path.name != "test_dvc.py")


@pytest.fixture(scope="session")
def testdata():
    """Folder of real data and real small weights, which are not part of this repository (DRILLCORE_TESTDATA)."""
    folder = Path(os.environ.get("DRILLCORE_TESTDATA") or Path(__file__).parents[2] / "shared/data")
    if not folder.is_dir():
        pytest.skip(f"no test material in {folder}: set DRILLCORE_TESTDATA to its folder")
    return folder


@pytest.fixture
def seed():
    """A fresh seed; DRILLCORE_SEED repeats one. It is shown with the output of a test that fails."""
    value = int(os.environ.get("DRILLCORE_SEED") or secrets.randbits(32))
    print(f"DRILLCORE_SEED={value}")
    return value


@pytest.fixture
def rng(seed):
    """A generator with a fresh seed."""
    return np.random.default_rng(seed)


class HubCache:
    """What the hub's clients have downloaded, without a network: a commit is a folder, a name a file that names it."""

    def __init__(self, folder):
        self.folder = folder

    def repository(self, repo, kind="model"):
        return self.folder / f"{kind}s--{repo.replace('/', '--')}"

    def commit(self, repo, files, name="main", kind="model"):
        """Add a commit that holds some files, {name: bytes}, and move a branch or tag to it -> the commit."""
        content = repr((repo, sorted(files.items()))).encode()
        commit = hashlib.sha1(content).hexdigest()
        for file, data in files.items():
            path = self.repository(repo, kind) / "snapshots" / commit / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.move(repo, commit, name, kind)
        return commit

    def move(self, repo, commit, name="main", kind="model"):
        """Let a branch or tag stand for a commit."""
        ref = self.repository(repo, kind) / "refs" / name
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """The cache of the hub's clients, empty, and no network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return HubCache(tmp_path / "hub")


@pytest.fixture(scope="session")
def s3_server():
    """The URL of a server that keeps S3 in memory, with a bucket called bucket."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed (extra dev)")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    urllib.request.urlopen(urllib.request.Request(f"{url}/bucket", method="PUT")).close()
    yield url
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """A fresh URL below the bucket, and the environment that finds it."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
    s3fs.S3FileSystem.clear_instance_cache()  # clients of other tests have another server
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anything")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    return f"s3://bucket/{secrets.token_hex(4)}"


@pytest.fixture
def memory():
    """A fresh URL in the memory of this process."""
    return f"memory://{secrets.token_hex(4)}"


@pytest.fixture
def folders(tmp_path):
    """A fresh URL of a place that is no object store: it has folders, and shows a file while it is written."""
    (tmp_path / "mounted").mkdir()
    return f"local://{tmp_path}/mounted"


@pytest.fixture(params=["memory", "s3", "folders"])
def url(request):
    """A fresh URL of each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def failing(s3_server, s3, monkeypatch, seed):
    """The same S3 behind a server that fails when it is told to -> (its application, a URL)."""
    from benchmarks.flaky_s3 import serving
    from pipeline.storage.remote import filesystem

    with serving(0, seed, reads=True) as (app, address):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        filesystem(s3)[0].clear_instance_cache()
        yield app, s3
