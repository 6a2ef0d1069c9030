"""The thread that writes: order, errors, and what it leaves behind."""

import threading
import time

import numpy as np
import pytest

from pipeline.dump.shards import finished
from pipeline.dump.writer import Writer
from pipeline.formats import dumps, states

SCHEMA = states.schema([0], 4, "float32")


def index(*ids):
    return lambda: (np.array(ids), np.arange(len(ids), dtype=np.int32))


def values(rows, value):
    return [np.full((rows, 4), value, dtype=np.float32)]


def nothing():
    """What has arrived already."""


def test_what_is_put_is_written_in_order(tmp_path):
    path = tmp_path / "a.arrow"
    with Writer() as writer:
        writer.open(path, SCHEMA)
        writer.put(nothing, index(3, 3), values(2, 1.0))
        writer.put(nothing, index(5), values(1, 2.0))
        job = writer.finish()
    assert job.result() == finished(path)
    batches = dumps.read(tmp_path).batches
    assert [batch["sentence_id"].to_pylist() for batch in batches] == [[3, 3], [5]]
    assert [states.layer(batch, "layer_00")[0, 0] for batch in batches] == [1.0, 2.0]


def test_a_record_batch_is_read_only_when_it_is_ready(tmp_path):
    columns, ready = values(1, 0.0), threading.Event()

    def wait():
        assert ready.wait(10)

    with Writer() as writer:
        writer.open(tmp_path / "a.arrow", SCHEMA)
        writer.put(wait, index(1), columns)
        columns[0][:] = 7.0
        ready.set()
        writer.finish()
    assert states.layer(dumps.read(tmp_path).batches[0], "layer_00")[0, 0] == 7.0


def test_the_caller_goes_on_while_a_record_batch_is_written_and_waits_before_the_next(tmp_path):
    order = []

    def slow():
        time.sleep(0.2)
        order.append("written")

    with Writer() as writer:
        writer.open(tmp_path / "a.arrow", SCHEMA)
        writer.put(slow, index(1), values(1, 0.0))
        order.append("computed")
        writer.put(nothing, index(2), values(1, 0.0))
        order.append("handed over")
        writer.finish()
    assert order == ["computed", "written", "handed over"]


def fail():
    raise OSError("the disk is gone")


@pytest.mark.parametrize("after", ["put", "finish", "wait", "exit"])
def test_an_error_of_the_thread_is_raised_at_the_next_step_and_leaves_nothing(tmp_path, after):
    def give_and_go_on():
        with Writer() as writer:
            writer.open(tmp_path / "a.arrow", SCHEMA)
            writer.put(fail, index(1), values(1, 0.0))
            if after == "put":
                writer.put(nothing, index(2), values(1, 0.0))
            elif after != "exit":
                getattr(writer, after)()

    with pytest.raises(OSError, match="the disk is gone"):
        give_and_go_on()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_caller_leaves_no_half_of_a_shard(tmp_path):
    def give_and_fail():
        with Writer() as writer:
            writer.open(tmp_path / "a.arrow", SCHEMA)
            writer.put(nothing, index(1), values(1, 0.0))
            raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        give_and_fail()
    assert list(tmp_path.iterdir()) == []
