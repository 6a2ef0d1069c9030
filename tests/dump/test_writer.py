"""The thread that writes: order, errors, and what it leaves behind."""

import threading
import time

import numpy as np
import pytest

from pipeline.dump.writer import Writer
from pipeline.formats import dumps, states
from pipeline.storage.folder import Folder, finished

SCHEMA = states.schema([0], 4, "float32")


def index(*ids):
    return lambda: (np.array(ids), np.arange(len(ids), dtype=np.int32))


def values(rows, value):
    return [np.full((rows, 4), value, dtype=np.float32)]


def nothing():
    """What has arrived already."""


@pytest.fixture
def claim(tmp_path):
    """A shard to be made."""
    return Folder(tmp_path).claim("a.arrow")


def test_what_is_put_is_written_in_order(tmp_path, claim):
    writer = Writer()
    writer.open(claim, SCHEMA)
    writer.put(nothing, index(3, 3), values(2, 1.0))
    writer.put(nothing, index(5), values(1, 2.0))
    assert writer.finish().result() == finished(tmp_path / "a.arrow")
    batches = dumps.read(tmp_path).batches
    assert [batch["sentence_id"].to_pylist() for batch in batches] == [[3, 3], [5]]
    assert [states.layer(batch, "layer_00")[0, 0] for batch in batches] == [1.0, 2.0]


def test_a_record_batch_is_read_only_when_it_is_ready(tmp_path, claim):
    columns, ready = values(1, 0.0), threading.Event()

    def wait():
        assert ready.wait(10)

    writer = Writer()
    writer.open(claim, SCHEMA)
    writer.put(wait, index(1), columns)
    columns[0][:] = 7.0
    ready.set()
    writer.finish().result()
    assert states.layer(dumps.read(tmp_path).batches[0], "layer_00")[0, 0] == 7.0


def test_the_caller_goes_on_while_a_record_batch_is_written_and_waits_before_the_next(claim):
    order = []

    def slow():
        time.sleep(0.2)
        order.append("written")

    writer = Writer()
    writer.open(claim, SCHEMA)
    writer.put(slow, index(1), values(1, 0.0))
    order.append("computed")
    writer.put(nothing, index(2), values(1, 0.0))
    order.append("handed over")
    writer.finish().result()
    assert order == ["computed", "written", "handed over"]


def test_the_next_shard_is_written_while_the_last_is_published_and_closed_after_it(tmp_path, claim):
    order, honest, going = [], claim.publish, threading.Event()

    def slow(receipt):
        assert going.wait(10)
        time.sleep(0.1)
        order.append("published")
        honest(receipt)

    claim.publish, writer = slow, Writer()
    writer.open(claim, SCHEMA)
    writer.put(nothing, index(1), values(1, 0.0))
    first = writer.finish()
    writer.open(Folder(tmp_path).claim("b.arrow"), SCHEMA)
    for ids in (2, 3):
        writer.put(nothing, index(ids), values(1, 0.0))
    order.append("written")
    going.set()
    second = writer.finish()
    order.append("closed")
    assert [first.result(), second.result()] == [finished(tmp_path / name) for name in ("a.arrow", "b.arrow")]
    assert order == ["written", "published", "closed"]


def test_an_error_while_a_shard_is_published_is_raised_when_the_next_is_closed(tmp_path, claim):
    def refuse(receipt):
        raise OSError("the store is gone")

    claim.publish, writer = refuse, Writer()
    writer.open(claim, SCHEMA)
    writer.put(nothing, index(1), values(1, 0.0))
    first = writer.finish()
    writer.open(Folder(tmp_path).claim("b.arrow"), SCHEMA)
    writer.put(nothing, index(2), values(1, 0.0))
    with pytest.raises(OSError, match="the store is gone"):
        writer.finish()
    writer.abandon()
    with pytest.raises(OSError, match="the store is gone"):
        first.result()
    assert list(tmp_path.iterdir()) == []


def fail():
    raise OSError("the disk is gone")


@pytest.mark.parametrize("after", ["put", "finish"])
def test_an_error_of_the_thread_is_raised_at_the_next_step_and_abandoning_leaves_nothing(tmp_path, claim, after):
    writer = Writer()
    writer.open(claim, SCHEMA)
    writer.put(fail, index(1), values(1, 0.0))
    with pytest.raises(OSError, match="the disk is gone"):
        writer.put(nothing, index(2), values(1, 0.0)) if after == "put" else writer.finish()
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_abandoning_waits_for_the_thread_and_leaves_no_half_of_a_shard(tmp_path, claim):
    writer = Writer()
    writer.open(claim, SCHEMA)
    writer.put(lambda: time.sleep(0.1), index(1), values(1, 0.0))
    writer.abandon()
    assert list(tmp_path.iterdir()) == []
    assert Folder(tmp_path).claim("a.arrow") is not None, "the claim was given back"


def test_a_shard_that_cannot_be_begun_gives_its_claim_back(tmp_path, claim):
    claim.part = tmp_path / "nowhere" / "a.part"
    with pytest.raises(FileNotFoundError):
        Writer().open(claim, SCHEMA)
    assert Folder(tmp_path).claim("a.arrow") is not None
