"""SIGINT and SIGTERM: the first is granted when a shard is finished, the second at once."""

import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from pipeline.dump.signals import finishing_first
from tests.helpers import contents

STAGE = """
import json
sys.argv = ["stage"]

def main() -> None:
    dump("out", "store", pause=0.01)

try:
    cli.run(main)
except SystemExit as end:
    code = end.code
finished = len(list(Path("store/key").glob("*.arrow")))
left = [str(path) for path in [*Path().rglob("*.part"), Path("out")] if path.exists()]
dump("out", "store")
print(json.dumps([code, finished, left]))
"""


def shards_of(folder):
    """{name: bytes} of a folder's shards."""
    return {os.path.basename(path): data for path, data in contents(folder).items() if path.endswith(".arrow")}


@pytest.fixture(scope="module")
def undisturbed(program_in, tmp_path_factory):
    """{name: bytes} of the shards of a dump that nothing stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = program_in(folder, "\ndump('out', 'store')\n")
    process.communicate(timeout=60)
    assert process.returncode == 0
    return shards_of(folder / "out")


def wait_for_a_shard_in_progress(process, folder):
    while not list(folder.glob("store/key/*.part")):
        time.sleep(0.01)
        assert process.poll() is None, process.stderr.read()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_dump_after_the_shard_at_hand_and_it_goes_on(program, undisturbed, tmp_path, name):
    process = program(STAGE, stdout=subprocess.PIPE)
    wait_for_a_shard_in_progress(process, tmp_path)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    code, finished, left = json.loads(out.splitlines()[-1])
    assert code == 130
    assert left == []
    assert f"{name}: stopping after the shard at hand" in err
    stopped = re.search(
        rf"stopped by {name} after shard (\d+) of (\d+), which store/key keeps: run again to go on", err
    )
    assert finished == int(stopped[1]) < int(stopped[2])
    assert f"{finished} of them finished before" in err
    assert shards_of(tmp_path / "out") == undisturbed


def test_a_second_signal_ends_a_dump_at_once(program, tmp_path):
    process = program("\ndump('out', 'store', pause=0.5)\n")
    wait_for_a_shard_in_progress(process, tmp_path)
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    assert process.wait(timeout=10) == -signal.SIGTERM
    process.stderr.close()
    assert not list(tmp_path.glob("store/key/*.arrow"))


def test_the_first_is_named_and_handlers_are_given_back(capfd):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with finishing_first() as stop:
        assert stop() is None
        signal.raise_signal(signal.SIGTERM)
        assert stop() == "SIGTERM"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert "SIGTERM: stopping after the shard at hand (once more: at once)" in capfd.readouterr().err


def test_another_thread_leaves_signals_to_whoever_runs_it():
    asked = []

    def work():
        with finishing_first() as stop:
            asked.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [None]
