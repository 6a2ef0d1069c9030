"""The dump on Ray: the bytes of one process, whatever is killed."""

import importlib.util
import os
import signal
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra ray is not installed", allow_module_level=True)

from pipeline.catalog.entries import Model
from pipeline.dump.network import unembedding_in
from pipeline.dump.publish import Places
from pipeline.dump.run import Shards, fill
from pipeline.dump.work import work_of
from pipeline.engine.on_ray import RAY
from pipeline.readouts.plain import PLAIN
from pipeline.storage.remote import filesystem
from tests.dump.conftest import SETTINGS
from tests.engine.dumped import Noted, dump, finished, process_and_sizes, started, workers_at_it
from tests.helpers import contents, wait_until
from tests.study import CATALOG, SIZES, commands, quick_params, run_stage, write_settings


@pytest.fixture(scope="module")
def seed():
    """Of all dumps here: they are compared with one."""
    return int(os.environ.get("DRILLCORE_SEED") or int.from_bytes(os.urandom(4), "big"))


@pytest.fixture(scope="module")
def alone(seed, tmp_path_factory):
    """{name: bytes} of the shards that one process makes."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        facts = dump(seed, "local", "out")
    return facts, shards_in(folder / "out")


def shards_in(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.arrow"))}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRILLCORE_THREADS", "1")
    monkeypatch.setenv("DRILLCORE_DEVICE", "cpu")


def test_states_unembedding_and_manifest_of_the_stage_are_those_of_one_process(cluster, tmp_path, monkeypatch):
    results = []
    for engine in ("local", "ray"):
        folder = tmp_path / engine
        folder.mkdir()
        monkeypatch.chdir(folder)
        write_settings(folder, CATALOG, prepare={"limit": None}, engine=engine)
        of_stages = commands(quick_params())
        for stage in ("prepare", "tokenize@tiny", "dump@tiny"):
            assert run_stage(of_stages[stage][0]) == 0
        results.append({name.split("/data/")[1]: data for name, data in contents(folder / "data").items()})
    assert results[0] == results[1]
    assert {"states/tiny/shard-00000.arrow", "unembeddings/tiny.safetensors", "manifests/tiny.json"} <= set(results[0])


def test_the_shards_of_both_machines_are_those_of_one_process(cluster, seed, alone):
    assert len(alone[1]) > 8
    assert dump(seed, "ray", "out") == alone[0]
    assert shards_in("out") == alone[1]
    assert not list(Path("store").rglob("*.part"))


def test_a_worker_loads_the_network_once_though_it_is_looked_at_before_and_after(cluster, rng):
    """Both have a part in the shards; one has looked at the network before, and one gives its unembedding after."""
    network = Noted(Model(random=0, config=SIZES), None, "tiny", "float32", "cpu", 1)
    surveyor, sizes = RAY.once(partial(process_and_sizes, network), network=True)
    ids = [rng.integers(0, 64, rng.integers(1, 40)).astype(np.int32) for _ in range(3000)]
    work = work_of(sizes, ids, np.arange(len(ids)), replace(SETTINGS, store="float32"), PLAIN)
    places = Places(Path("out"), "key", store="store")
    fill(Shards(network, work, places.built), places, engine=RAY)
    RAY.once(partial(unembedding_in, network), network=True)
    loads = Path("loads").read_text().split()
    assert len(loads) == len(set(loads)) == 2
    assert str(surveyor) in loads


def test_shards_in_a_bucket_are_those_of_one_process(cluster, seed, alone, s3):
    assert dump(seed, "ray", "out", store=f"{s3}/dumps") == alone[0]
    fs, root = filesystem(f"{s3}/dumps/key")
    there = {path.rsplit("/", 1)[1]: fs.cat_file(path) for path in fs.find(root) if path.endswith(".arrow")}
    assert there == alone[1]


def test_a_driver_that_was_killed_goes_on_after_the_shards_that_were_finished(cluster, seed, alone, tmp_path):
    driver = started(tmp_path, seed, "ray", "out", 0.01)
    wait_until(lambda: len(finished()) >= 2)
    driver.kill()
    driver.communicate()
    wait_until(lambda: not list(Path("store").rglob("*.part")) or len(finished()) < len(alone[1]))
    before = finished()
    assert 2 <= len(before) < len(alone[1])
    assert not Path("out").exists()
    assert dump(seed, "ray", "out") == alone[0]
    after = finished()
    assert {name: after[name] for name in before} == before, "none of them was made again"
    assert shards_in("out") == alone[1]


def test_a_driver_that_is_asked_to_stop_keeps_the_shards_at_hand(cluster, seed, alone, tmp_path):
    driver = started(tmp_path, seed, "ray", "out", 0.01)
    wait_until(lambda: finished())
    driver.send_signal(signal.SIGTERM)
    said = driver.communicate()[1]
    assert "InterruptedError: stopped by SIGTERM after shard" in said
    assert not list(Path("store").rglob("*.part"))
    assert not Path("out").exists()
    before = finished()
    assert 0 < len(before) < len(alone[1])
    assert dump(seed, "local", "out") == alone[0], "on the other engine"
    assert {name: found for name, found in finished().items() if name in before} == before
    assert shards_in("out") == alone[1]


def test_a_machine_that_is_lost_changes_no_byte(cluster, seed, alone, capfd):
    """The last test: it takes a machine away."""

    def kill_it():
        wait_until(lambda: len(finished()) >= 2 and len(workers_at_it()) == 2)  # else the other machine has nothing yet
        os.kill(cluster.second_raylet, signal.SIGKILL)

    killer = threading.Thread(target=kill_it)
    killer.start()
    assert dump(seed, "ray", "out", 0.01) == alone[0]
    killer.join()
    assert "dump: a worker was lost, and others do its work" in capfd.readouterr().err
    assert shards_in("out") == alone[1]
