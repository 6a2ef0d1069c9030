"""Several workers fill one store: by rank, or whoever comes; and one of them is killed."""

import json
import signal

import pytest

from pipeline.dump.publish import Places, publish_once
from tests.dump.workers import agrees


def made_by(log):
    """What a worker wrote -> the numbers of the shards that it made, whether it published, all of it."""
    lines = log.read_text().splitlines()
    made = [int(line.split()[1]) for line in lines if line.startswith("made")]
    return made, "published" in lines, log.read_text()


def test_two_ranks_give_the_bytes_of_one_worker(run, tmp_path, alone):
    count = len(alone[0])
    assert count >= 4
    out = run("print([end(child) for child in [worker(f'{r}', pause=.002, rank=r, world=2) for r in range(2)]])")
    assert json.loads(out) == [0, 0]
    ends = [made_by(tmp_path / str(rank)) for rank in range(2)]
    assert [made for made, _, _ in ends] == [list(range(rank, count, 2)) for rank in range(2)]
    assert any(published for _, published, _ in ends)
    assert agrees(tmp_path, alone)


def test_a_rank_that_is_done_first_says_what_is_missing_and_the_last_publishes(run, tmp_path, alone):
    run("""
for rank in (2, 0):
    assert end(worker(f"{rank}", rank=rank, world=3)) == 0
    assert not os.path.exists("out") and not os.path.exists("out.json")
assert end(worker("1", rank=1, world=3)) == 0
""")
    left = len(alone[0])
    for rank in (2, 0, 1):
        made, published, said = made_by(tmp_path / str(rank))
        assert made == list(range(rank, len(alone[0]), 3))
        assert published == (rank == 1)
        left -= len(made)
        assert (f"rank {rank}: done; {left} shards of other ranks are missing" in said) == (left > 0)
    assert agrees(tmp_path, alone)


def test_two_workers_without_rank_share_the_work_and_publish_once(run, tmp_path, alone):
    assert json.loads(run("print([end(child) for child in [worker(name, pause=.01) for name in 'ab']])")) == [0, 0]
    ends = [made_by(tmp_path / name) for name in "ab"]
    assert all(made for made, _, _ in ends), "both had a part in it"
    assert sorted(ends[0][0] + ends[1][0]) == list(range(len(alone[0]))), "no shard was made twice"
    assert [published for _, published, _ in ends].count(True) == 1
    assert agrees(tmp_path, alone)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.suffix in (".part", ".claim")]


@pytest.mark.parametrize("stopping", [signal.SIGKILL, signal.SIGTERM])
def test_what_one_worker_leaves_another_takes_over(run, tmp_path, alone, stopping):
    """The first is in its first shard, which the second waits for when it has made all others."""
    out = run(f"""
first = worker("first", pause=1)
wait_until(lambda: list(Path("store/key").glob("*00000.arrow.*.part")))
second = worker("second")
wait_until(lambda: "waiting for 1 shards that other workers make" in Path("second").read_text())
print(len(list(Path("store/key").glob("*.arrow"))))
for _ in range(2):  # a second SIGTERM ends it at once
    os.kill(first, {int(stopping)})
    time.sleep(0.2)
print(end(first), end(second))
""")
    assert out.split() == [str(len(alone[0]) - 1), str(-stopping), "0"]
    made, published, _ = made_by(tmp_path / "second")
    assert made == [*range(1, len(alone[0])), 0]
    assert published
    assert agrees(tmp_path, alone)


def test_workers_that_are_killed_at_random_moments_lose_nothing(run, tmp_path, alone, seed):
    """Pairs of workers share the work; one of each pair is killed, and the other a little later, until all is done."""
    out = run(f"""
random.seed({seed})
made, kills, began = {{}}, 0, time.monotonic()
assert end(worker("calm")) == 0
seconds = time.monotonic() - began
for path in [*Path("store/key").iterdir(), *Path("out").iterdir()]:
    path.unlink()
def look():
    for path in Path("store/key").glob("*.arrow"):
        made.setdefault(path.name, set()).add(path.stat().st_mtime_ns)
while len(made) < {len(alone[0])}:
    ranks = random.choice([[{{}}, {{}}], [{{"rank": 0, "world": 2}}, {{"rank": 1, "world": 2}}]])
    children = [worker("log", **rank) for rank in ranks]
    random.shuffle(children)
    for child in children:
        time.sleep(random.uniform(0, seconds / 10))
        os.kill(child, signal.SIGKILL)
        kills += end(child) == -signal.SIGKILL
        look()
    seconds *= 1.2  # so that it ends on a busy machine too
dump("out", "store")
look()
print(kills, max(len(times) for times in made.values()))
""")
    kills, times = map(int, out.splitlines()[-1].split())
    assert kills >= 2
    assert times == 1, "a finished shard was made twice"
    assert agrees(tmp_path, alone)


# publishing


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A function: publish a dump of one shard, with some facts -> how often `finish` was called so far."""
    monkeypatch.chdir(tmp_path)
    calls, beside, manifest = [], tmp_path / "beside", tmp_path / "m.json"

    def finish(facts):
        assert not manifest.exists()
        calls.append(facts)
        beside.touch()
        manifest.write_text(json.dumps(facts | {"key": "key", "gate": 1.5}))

    places = Places(tmp_path / "out", "key", manifest, tmp_path / "store", (beside,), finish)
    claim = places.built.claim("shard-00000.arrow")
    claim.part.write_bytes(b"abc")
    claim.publish({"bytes": 3, "sha256": "abc"})
    claim.release()

    def publish(**facts):
        publish_once(places, {"shards": [{"name": "shard-00000.arrow"}], "layers": [0]} | facts)
        return len(calls)

    return publish


def test_what_another_worker_has_published_is_left_as_it_is(published, tmp_path):
    assert published() == 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "m.json", tmp_path / "out/shard-00000.arrow")}
    assert published() == 1
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert published(layers=[1]) == 2, "another dump"
    assert published() == 3
    for count, name in enumerate(("beside", "m.json", "out/shard-00000.arrow"), start=4):
        (tmp_path / name).unlink()
        assert published() == count, f"without {name}"
        assert published() == count
    (tmp_path / "m.json").write_text("[]")
    assert published() == 7
