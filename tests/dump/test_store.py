"""A dump whose shards lie below a URL: the bytes of a local one, and nothing partial on the way."""

import hashlib
import json
import threading

import numpy as np
import pytest

from benchmarks.flaky_s3 import serving
from pipeline.base.errors import InputError
from pipeline.formats import dumps, elsewhere, states
from pipeline.readouts import plain
from pipeline.storage import fetched
from pipeline.storage.remote import filesystem
from tests.dump.workers import shards_of
from tests.helpers import wait_until


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def below(url):
    """{name: bytes} of the shards below a URL."""
    fs, root = filesystem(url)
    return {path.rsplit("/", 1)[1]: fs.cat_file(path) for path in fs.find(root) if path.endswith(".arrow")}


def manifest_of(facts):
    return facts | {"key": "key", "model": "m"}


@pytest.mark.usefixtures("here")
def test_shards_below_a_url_have_the_bytes_of_local_ones_and_are_read_alike(model, dump, sentences, tmp_path, url):
    given = sentences(900)
    facts = dump(model, given, out="local")
    assert dump(model, given, out="elsewhere", scratch=url) == facts
    assert below(url) == shards_of(tmp_path / "local")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["location.json"]
    local, elsewhere = (dumps.read(tmp_path / name, manifest_of(facts)) for name in ("local", "elsewhere"))
    assert not fetched.FETCHED.exists(), "nothing is fetched before it is used"
    assert np.array_equal(elsewhere.sentence_ids(), local.sentence_ids())
    assert not fetched.FETCHED.exists(), "the index alone is read in place"
    elsewhere.check_sentences  # noqa: B018
    assert (elsewhere.layers, elsewhere.keep, len(elsewhere.batches)) == (local.layers, local.keep, len(local.batches))
    assert all(a.equals(b) for a, b in zip(elsewhere.batches, local.batches, strict=True))
    assert elsewhere.batches[-1].equals(local.batches[-1])
    assert [batch.num_rows for batch in elsewhere.batches[1:3]] == [batch.num_rows for batch in local.batches[1:3]]
    with pytest.raises(IndexError):
        elsewhere.batches[len(local.batches)]
    again = dumps.read(tmp_path / "elsewhere")  # by the manifest beside the shards
    assert again.batches[0].equals(local.batches[0])


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("keep", ["pooled", "state"])
def test_what_else_a_dump_keeps_is_read_from_elsewhere_too(model, dump, sentences, tmp_path, memory, keep):
    given = sentences(30)
    facts = dump(model, given, out="local", keep=keep)
    dump(model, given, out="elsewhere", scratch=memory, keep=keep)
    local, elsewhere = (dumps.read(tmp_path / name, manifest_of(facts)) for name in ("local", "elsewhere"))
    assert (elsewhere.layers, elsewhere.keep) == (local.layers, keep)
    assert all(a.equals(b) for a, b in zip(elsewhere.batches, local.batches, strict=True))


@pytest.mark.usefixtures("here")
def test_finished_shards_are_found_and_what_is_not_whole_is_made_again(
    model, dump, sentences, tmp_path, memory, monkeypatch
):
    given = sentences(900)
    facts = dump(model, given, scratch=memory)
    intact = below(memory)
    fs, root = filesystem(f"{memory}/key")
    cut, bare = sorted(intact)[:2]
    fs.pipe_file(f"{root}/{cut}", intact[cut][:-100])
    fs.rm_file(f"{root}/{bare.removesuffix('.arrow')}.json")
    ran, honest = [], plain.hidden_layers

    def counted(network, batch, wanted):
        ran.append(batch.numel())
        return honest(network, batch, wanted)

    monkeypatch.setattr(plain, "hidden_layers", counted)
    assert dump(model, given, scratch=memory) == facts
    assert below(memory) == intact
    tokens = {shard["name"]: shard["tokens"] for shard in facts["shards"]}
    assert sum(ran) == tokens[cut] + tokens[bare]


@pytest.mark.usefixtures("here")
def test_a_shard_that_was_changed_there_is_refused_when_it_is_fetched(model, dump, sentences, tmp_path, memory):
    facts = dump(model, sentences(30), scratch=memory)
    fs, root = filesystem(f"{memory}/key")
    data = bytearray(fs.cat_file(f"{root}/shard-00000.arrow"))
    data[-50] ^= 1
    fs.pipe_file(f"{root}/shard-00000.arrow", bytes(data))
    read = dumps.read(tmp_path / "out", manifest_of(facts))
    again = r"make it again \(dvc repro -f -s dump@m\)"
    with pytest.raises(InputError, match=rf"00\.arrow is not what was written \(another sha256\): remove it .*{again}"):
        read.batches[0]
    assert not list(fetched.FETCHED.iterdir())
    fs.pipe_file(f"{root}/shard-00000.arrow", bytes(data[:-10]))
    with pytest.raises(
        InputError, match=rf"00\.arrow is not what was written \(\d+ of \d+ bytes\): remove it .*{again}"
    ):
        read.batches[0]
    with pytest.raises(InputError, match=rf"00\.arrow is no whole shard \(.*\): remove it there, then {again}"):
        read.sentence_ids()
    fs.rm_file(f"{root}/shard-00000.arrow")
    for look in (lambda: read.batches[0], read.sentence_ids):
        with pytest.raises(InputError, match=rf"00\.arrow is not there .*{again}"):
            look()
    fs.rm_file(f"{root}/manifest.json")
    with pytest.raises(InputError, match=r"manifest\.json is not there .*dvc repro -f -s dump@out"):
        dumps.read(tmp_path / "out")
    with pytest.raises(InputError, match="expected key other"):
        dumps.read(tmp_path / "out", manifest_of(facts) | {"key": "other"})


@pytest.mark.usefixtures("here")
def test_the_oldest_that_was_fetched_goes_beyond_the_limit(model, dump, sentences, tmp_path, memory, monkeypatch):
    given = sentences(900)
    facts = dump(model, given, scratch=memory)
    dump(model, given, out="local")
    local = [batch for batch in dumps.read(tmp_path / "local").batches]
    sizes = [shard["bytes"] for shard in facts["shards"]]
    monkeypatch.setenv("DRILLCORE_FETCHED_GB", str((sizes[0] + sizes[1]) * 1.01 / 1e9))
    held = list(dumps.read(tmp_path / "out", manifest_of(facts)).batches)
    assert sum(path.stat().st_size for path, _ in fetched.contents()) <= (sizes[0] + sizes[1]) * 1.01
    assert {path.stem for path, _ in fetched.contents()} >= {facts["shards"][-1]["sha256"]}
    assert all(a.equals(b) for a, b in zip(held, local, strict=True)), "whoever has it open keeps it"
    monkeypatch.setenv("DRILLCORE_FETCHED_GB", "many")
    with pytest.raises(InputError, match="DRILLCORE_FETCHED_GB is 'many', expected a number"):
        dumps.read(tmp_path / "out", manifest_of(facts)).batches[0]


@pytest.mark.usefixtures("here")
def test_the_next_shard_is_fetched_ahead_and_what_is_wrong_with_it_is_said_when_it_is_used(
    model, dump, sentences, tmp_path, memory
):
    facts = dump(model, sentences(1500), scratch=memory)
    shards, read = facts["shards"], dumps.read(tmp_path / "out", manifest_of(facts))
    assert len(shards) > 2
    first = range(shards[0]["batches"])
    read.batches[0]
    wait_until(lambda: (fetched.FETCHED / f"{shards[1]['sha256']}.arrow").exists())
    assert not list(fetched.FETCHED.glob(f"{shards[2]['sha256']}*"))
    fs, root = filesystem(f"{memory}/key")
    fs.rm_file(f"{root}/{shards[2]['name']}")
    for number in range(shards[0]["batches"] + shards[1]["batches"]):
        assert read.batches[number].num_rows
    with pytest.raises(InputError, match=rf"{shards[2]['name']} is not there"):
        read.batches[number + 1]
    assert read.batches[first[-1]].num_rows


@pytest.mark.usefixtures("here")
def test_a_shard_that_another_reader_drops_before_it_is_opened_is_fetched_again(
    model, dump, sentences, tmp_path, memory, monkeypatch
):
    facts = dump(model, sentences(30), scratch=memory)
    honest, dropped = elsewhere.fetched, []

    def drop(*args):
        path = honest(*args)
        if not dropped:
            path.unlink()
            dropped.append(path)
        return path

    monkeypatch.setattr(elsewhere, "fetched", drop)
    assert dumps.read(tmp_path / "out", manifest_of(facts)).batches[0].num_rows
    assert dropped


# a server that fails, and workers that are killed


@pytest.fixture
def flaky(s3_server, s3, monkeypatch, seed):
    """The same S3 behind one that fails with a tenth of all writes -> (what failed, a URL)."""
    with serving(0.1, seed) as (app, address):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        filesystem(s3)[0].clear_instance_cache()
        yield app, s3


@pytest.mark.usefixtures("here")
def test_a_tenth_of_all_uploads_failing_changes_nothing(model, dump, sentences, tmp_path, flaky):
    app, url = flaky
    given = sentences(1500)
    facts, rounds = dump(model, given, out="local"), 0
    while not all(app.failed.values()):
        assert dump(model, given, out="elsewhere", scratch=f"{url}/{rounds}") == facts
        assert below(f"{url}/{rounds}") == shards_of(tmp_path / "local")
        rounds += 1
        assert rounds < 40
    print(app.failed, rounds)


class Watch(threading.Thread):
    """Looks again and again at what can be seen below a URL, and notes every shard that is not what it will be."""

    def __init__(self, url, expected):
        super().__init__(daemon=True)
        self.url, self.sha256 = url, {name: hashlib.sha256(data).hexdigest() for name, data in expected.items()}
        self.over, self.looks, self.seen, self.partial = threading.Event(), 0, set(), []

    def run(self):
        while not self.over.is_set():
            for name, data in below(self.url).items():
                self.seen.add(name)
                if hashlib.sha256(data).hexdigest() != self.sha256[name]:
                    self.partial.append((name, len(data)))
            self.looks += 1


@pytest.mark.usefixtures("here")
def test_workers_killed_at_random_moments_never_show_half_a_shard_and_another_goes_on(
    run, alone, flaky, tmp_path, seed, monkeypatch
):
    """Among these moments are those of uploads, in parts as large shards are, some of which the server refuses."""
    import os

    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    url = flaky[1]
    watch = Watch(url, alone[0])
    watch.start()
    out = run(f"""
import s3fs  # takes a second, in each worker
s3fs.core.calculate_chunksize = lambda size, chunksize=None: size // 5
random.seed({seed})
os.environ.update({ {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}!r})
kills, seconds = 0, 1.0
while True:
    children = [worker(name, {url!r}, pause=0.001) for name in "ab"]
    time.sleep(random.uniform(0, seconds))
    os.kill(children[0], signal.SIGKILL)
    kills += end(children[0]) == -signal.SIGKILL
    time.sleep(random.uniform(0, seconds))
    if os.waitpid(children[1], os.WNOHANG)[0]:
        break
    os.kill(children[1], signal.SIGKILL)
    kills += end(children[1]) == -signal.SIGKILL
    seconds *= 1.3
assert end(worker("last", {url!r})) == 0
print(kills)
""")
    watch.over.set()
    watch.join(60)
    assert int(out) >= 2
    assert watch.looks > 5
    assert watch.partial == []
    assert watch.seen == set(alone[0])
    assert below(url) == alone[0]
    assert json.loads((tmp_path / "out/location.json").read_text()) == {"url": f"{url}/key"}
    fs, root = filesystem(url)
    assert json.loads(fs.cat_file(f"{root}/key/manifest.json"))["shards"] == alone[1]["shards"]
    assert not [path for path in fs.find(root) if not path.endswith((".arrow", ".json"))], "no claim is left"
    assert all("-" in fs.info(path)["ETag"] for path in fs.find(root) if path.endswith(".arrow")), "uploaded in parts"
    begun = [upload["Key"] for upload in fs.list_multipart_uploads("bucket")]
    assert not [key for key in begun if f"bucket/{key}".startswith(root)], (
        "what killed workers had begun to upload is gone"
    )
    read = dumps.read(tmp_path / "out")
    assert len(np.unique(read.sentence_ids())) == sum(shard["sentences"] for shard in alone[1]["shards"])
    assert states.layer(read.batches[0], "layer_01").dtype == np.float16
