"""A whole dump: what is stored, that it goes on where it was, and that nothing half done is seen."""

import errno
import io
import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest
import torch
from tqdm import tqdm

from pipeline.base.errors import InputError
from pipeline.dump import plan, run, shards
from pipeline.dump.keep import KEEPS
from pipeline.dump.publish import Places
from pipeline.dump.work import sizes_of, work_of
from pipeline.engine.local import LOCAL
from pipeline.formats import dumps, manifest, states
from pipeline.models.layers import hidden_layers
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.readouts import plain
from pipeline.readouts.registry import readout_named
from pipeline.storage import folder, space


def shards_of(folder):
    """{name: bytes} of a folder's shards."""
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.arrow"))}


def by_sentence(folder):
    """{sentence: [its states at each layer (T, D)]} of a dump of tokens, each sentence once and in one place."""
    stored = {}
    for batch in dumps.read(folder).batches:
        sentence_ids, starts = states.sentence_starts(batch)
        for sentence, start, end in zip(sentence_ids.tolist(), starts[:-1], starts[1:]):
            assert sentence not in stored, "a sentence is split or repeated"
            assert batch["position"].to_pylist()[start:end] == list(range(end - start))
            stored[sentence] = [states.layer(batch, column)[start:end] for column in batch.schema.names[2:]]
    return stored


# what is stored


def test_stored_states_are_those_of_the_sentence_alone(model, dump, sentences, tmp_path):
    """Read back by memory map and compared with a pass of each sentence by itself; float16 keeps 11 bits."""
    ids, names = sentences(60)
    facts = dump(model, (ids, names))
    tokens = sum(map(len, ids))
    assert (facts["sentences"], facts["tokens"], facts["layers"], facts["dim"]) == (60, tokens, [0, 1, 2], 32)
    stored = by_sentence(tmp_path / "out")
    assert set(stored) == set(names)
    for array, sentence in zip(ids, names):
        exact_layers = hidden_layers(model, torch.as_tensor(array, dtype=torch.long)[None])
        for layer, exact in zip(stored[sentence], exact_layers, strict=True):
            assert layer.dtype == np.float16
            assert np.abs(layer - exact[0].numpy()).max() <= 1e-3 * max(1, exact.abs().max())


def test_shards_are_plain_arrow_that_other_tools_read(model, dump, sentences, tmp_path):
    facts = dump(model, sentences(30))
    table = pyarrow.dataset.dataset(tmp_path / "out", format="ipc").to_table()
    assert table.schema.field("layer_02").type == pa.list_(pa.float16(), 32)
    assert table.num_rows == facts["tokens"]
    assert [shard["name"] for shard in facts["shards"]] == sorted(path.name for path in (tmp_path / "out").iterdir())


def test_shards_stay_near_the_wanted_size(model, dump, sentences):
    sizes = [shard["bytes"] for shard in dump(model, sentences(800))["shards"]]
    assert len(sizes) > 2
    assert max(sizes) < 1.2e6
    assert min(sizes[:-1]) > 0.5e6


@pytest.mark.parametrize("keep", KEEPS)
def test_the_facts_are_those_of_the_files_and_complete_a_manifest(model, dump, sentences, tmp_path, monkeypatch, keep):
    monkeypatch.chdir(tmp_path)  # a reader notes here what it has verified
    facts = dump(model, sentences(900), keep=keep)
    reading = {"model": "m", "key": "k", "parts": {}, "sources": {}, "gate": None, "truncated": 0}
    manifest.write(tmp_path / "m.json", reading | facts)
    read = manifest.read(tmp_path / "m.json", "m")
    assert dumps.read(tmp_path / "out", read).layers.keys() == ({1, 2} if keep == "state" else {0, 1, 2})
    counts = [sum(shard[name] for shard in facts["shards"]) for name in ("sentences", "tokens")]
    assert counts == [facts["sentences"], facts["tokens"]]
    for shard in facts["shards"]:
        reader = pa.ipc.open_file(pa.memory_map(str(tmp_path / "out" / shard["name"])))
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        assert shard["sentences"] == sum(len(states.sentences_of(batch)) for batch in batches)


def test_same_key_same_bytes_and_reading_is_zero_copy(model, dump, sentences, tmp_path):
    given = sentences(50)
    for name in ("a", "b"):
        dump(model, given, out=name, scratch=f"scratch-{name}")
    assert shards_of(tmp_path / "a") == shards_of(tmp_path / "b")
    before = pa.total_allocated_bytes()
    views = [states.layer(batch, "layer_01") for batch in dumps.read(tmp_path / "a").batches]
    assert sum(view.nbytes for view in views) == sum(map(len, given[0])) * 32 * 2
    assert pa.total_allocated_bytes() - before < 10_000


@pytest.mark.parametrize(
    ("spec", "numbers", "ran"), [([0], [0], 0), ([1], [1], 1), (2, [0, 2], 2), ([0, -1], [0, 2], 2)]
)
def test_chosen_layers_are_those_of_the_whole_dump_and_no_block_runs_after_the_last(
    model, dump, sentences, tmp_path, spec, numbers, ran
):
    given, calls = sentences(40), []
    handles = [
        block.feed_forward.register_forward_pre_hook(lambda module, args, i=i: calls.append(i))
        for i, block in enumerate(model.rwkv.blocks)
    ]
    handles.append(model.rwkv.ln_out.register_forward_pre_hook(lambda module, args: calls.append("norm")))
    facts = dump(model, given, key="some", out="some", layers=spec)
    assert facts["layers"] == numbers
    assert set(calls) == set(range(ran))
    for handle in handles:
        handle.remove()
    dump(model, given, key="all", out="all")
    some, every = by_sentence(tmp_path / "some"), by_sentence(tmp_path / "all")
    assert some.keys() == every.keys()
    for sentence, layers in some.items():
        assert all(np.array_equal(layer, every[sentence][n]) for n, layer in zip(numbers, layers, strict=True))


def test_memory_does_not_grow_with_the_number_of_sentences(model, dump, sentences, monkeypatch):
    """At no time are more states alive than two record batches hold: they lie in the same two places every time."""
    places, most, honest = set(), [], states.record_batch

    def counted(columns, schema):
        places.add(columns[2].__array_interface__["data"][0])
        most.append(sum(column.nbytes for column in columns[2:]))
        return honest(columns, schema)

    monkeypatch.setattr(states, "record_batch", counted)
    dump(model, sentences(900))
    assert len(most) > 4
    assert len(places) == 2
    assert max(most) <= plan.RECORD_ROWS * 3 * 32 * 2


def test_out_of_memory_changes_nothing_but_the_rounding(model, dump, sentences, tmp_path, monkeypatch):
    given, honest = sentences(200), plain.hidden_layers
    dump(model, given, key="calm", out="calm")

    def small(network, batch, wanted):
        if batch.numel() > 39 and len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(network, batch, wanted)

    monkeypatch.setattr(plain, "hidden_layers", small)
    dump(model, given, key="tight", out="tight")
    calm, tight = by_sentence(tmp_path / "calm"), by_sentence(tmp_path / "tight")
    assert list(calm) == list(tight)
    for sentence, layers in calm.items():
        for a, b in zip(layers, tight[sentence], strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["token_prepending_1", "values", "attention_output"])
def test_each_readout_is_dumped_as_it_reads_and_out_of_memory_changes_nothing(
    model, dump, sentences, tmp_path, name, monkeypatch
):
    given, readout = sentences(60), readout_named(name)
    honest = type(readout).read

    def small(self, network, batch, wanted):
        if batch.numel() > 39 and len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, network, batch, wanted)

    facts = dump(model, given, key="calm", out="calm", readout=name)
    monkeypatch.setattr(type(readout), "read", small)
    assert dump(model, given, key="tight", out="tight", readout=name).keys() == facts.keys()
    assert (facts["readout"], facts["layers"], facts["dim"]) == (name, readout.layers(model), 32)
    calm, tight = by_sentence(tmp_path / "calm"), by_sentence(tmp_path / "tight")
    for ids, sentence in zip(*given):
        exact = honest(readout, model, torch.as_tensor(ids)[None].long())
        for a, b, layer in zip(calm[sentence], tight[sentence], exact, strict=True):
            np.testing.assert_allclose(a, layer[0], rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(b, layer[0], rtol=2e-3, atol=2e-3)


@pytest.fixture
def wider(seeded):
    """A model of layers wide enough for threads to share."""
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=128, num_hidden_layers=3, head_size=32)).eval()


def test_other_thread_counts_agree_within_the_rounding_of_float32(wider, dump, sentences, tmp_path):
    """Stated in docs/performance.md: float32 on another number of threads, 1e-4 of the largest state."""
    given, before = sentences(25), torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            dump(wider, given, key=f"on{threads}", out=f"on{threads}", store="float32")
    finally:
        torch.set_num_threads(before)
    one_thread, two_threads = by_sentence(tmp_path / "on1"), by_sentence(tmp_path / "on2")
    largest = max(np.abs(layer).max() for layers in one_thread.values() for layer in layers)
    for sentence, layers in one_thread.items():
        for a, b in zip(layers, two_threads[sentence], strict=True):
            assert np.abs(a - b).max() <= 1e-4 * largest


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("keep", KEEPS)
def test_a_gpu_dumps_the_states_of_the_cpu(wider, dump, sentences, tmp_path, keep):
    """Within 1e-3 of the largest state in float32 (TF32 is off), through page-locked memory, in several shards."""
    given = sentences(1500)
    for device in ("cpu", "cuda"):
        dump(wider.to(device), given, key=device, out=device, keep=keep)
    batches = [dumps.read(tmp_path / device).batches for device in ("cpu", "cuda")]
    assert len(batches[0]) > 1
    for a, b in zip(*batches, strict=True):
        assert a["sentence_id"].equals(b["sentence_id"])
        for name in a.schema.names[2:]:
            columns = [batch[name] for batch in (a, b)]
            is_list = pa.types.is_fixed_size_list(columns[0].type)
            first, second = (np.asarray(column.flatten() if is_list else column, np.float32) for column in columns)
            assert np.abs(first - second).max() <= 1e-3 * np.abs(first).max()


# refusals


def test_no_sentences_are_refused(model, dump):
    with pytest.raises(InputError, match="there are no sentences to dump: the tokenize stage gave none"):
        dump(model, ([], np.array([])))


def test_an_unusable_folder_is_said_before_anything_is_computed(model, dump, sentences, tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "hidden_layers", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be a folder: .*file is a file"):
        dump(model, sentences(5), out="file")


def test_too_little_disk_is_refused_before_anything_is_written(model, dump, sentences, tmp_path, monkeypatch, capsys):
    given = sentences(900)
    tokens = sum(map(len, given[0]))
    size = tokens * (3 * 32 * 2 + 12)
    usage = type("Usage", (), {"free": int(1.05 * size) - 10})
    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"the dump needs 0\.00 GB more, with 5 % to spare"):
        dump(model, given)
    assert f"{tokens:,} tokens x 3 layers x 32: {size / 1e6:.1f} MB" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.arrow*"))
    usage.free += 20
    facts = dump(model, given)
    written = sum(shard["bytes"] for shard in facts["shards"])
    assert written == pytest.approx(size, rel=0.02), "what was announced is what was written"
    usage.free = 0
    assert dump(model, given) == facts, "a finished dump needs no more space"


def test_a_dump_whose_store_is_being_cleared_is_refused(model, dump, sentences, tmp_path):
    given = sentences(30)
    with (
        folder.Folder(tmp_path / "scratch/key").alone(),
        pytest.raises(InputError, match=r"is being cleared: run again"),
    ):
        dump(model, given)
    assert not (tmp_path / "out").exists()
    assert dump(model, given)["sentences"] == 30, "the lock went with its holder"


# going on


def test_finished_shards_are_reused_and_damaged_ones_redone(model, dump, sentences, tmp_path, monkeypatch):
    given = sentences(900)
    facts = dump(model, given)
    intact = shards_of(tmp_path / "out")
    assert len(intact) >= 3
    damaged, missing = sorted(intact)[:2]
    (tmp_path / "scratch/key" / damaged).unlink()
    (tmp_path / "scratch/key" / damaged).write_bytes(intact[damaged][:-100])
    (tmp_path / "scratch/key" / missing).unlink()
    ran, honest = [], plain.hidden_layers

    def counted(network, batch, wanted):
        ran.append(batch.numel())
        return honest(network, batch, wanted)

    monkeypatch.setattr(plain, "hidden_layers", counted)
    assert dump(model, given, out="again") == facts
    assert shards_of(tmp_path / "again") == intact
    redone = {shard["name"]: shard["tokens"] for shard in facts["shards"]}
    assert sum(ran) == redone[damaged] + redone[missing]


class ElsewhereEngine:
    """Runs what an engine sends to another process, where the bar is not."""

    def each(self, start, items, *rest, **options):
        """The results."""
        again, arguments = start.__reduce__()
        return LOCAL.each(again(*arguments), items, *rest, **options)


def test_the_bar_goes_on_where_the_dump_does(model, dump, sentences, settings, tmp_path, monkeypatch):
    """What was finished before is there from the outset and has no part in the rate, by which the rest is foreseen."""
    given, bars = sentences(900), []
    read = {shard["name"]: shard["tokens"] for shard in dump(model, given)["shards"]}
    assert len(read) >= 3
    missing = sorted(read)[::2]

    class Bar(tqdm):
        def __init__(self, **options):
            super().__init__(**options | {"disable": False, "file": io.StringIO()})
            self.updates = []
            bars.append(self)

        def update(self, n=1):
            self.updates.append(n)
            return super().update(n)

    monkeypatch.setattr(run, "tqdm", Bar)
    work = work_of(sizes_of(model, plain.PLAIN), *given, settings, plain.PLAIN)
    places = Places(tmp_path / "out", "key", None, tmp_path / "scratch")
    for engine in (LOCAL, ElsewhereEngine()):
        for name in missing:
            (tmp_path / "scratch/key" / name).unlink()
        run.fill(run.Shards(lambda: model, work, places.built), places, engine=engine)
        bar = bars.pop()
        assert bar.total == bar.n == sum(read.values())
        assert bar.initial == bar.total - sum(read[name] for name in missing)
    assert [update for update in bar.updates if update] == [read[name] for name in missing]


def test_another_key_never_sees_a_shard(model, dump, sentences, tmp_path):
    ids, names = sentences(20)
    dump(model, (ids, names), key="one")
    reversed_ids = [array[::-1].copy() for array in ids]
    dump(model, (reversed_ids, names), key="two")
    (tmp_path / "out/shard-00099.arrow").write_bytes(b"of an earlier dump with more shards")
    dump(model, (reversed_ids, names), key="two")
    dump(model, (reversed_ids, names), key="three", out="fresh", scratch="elsewhere")
    assert shards_of(tmp_path / "out") == shards_of(tmp_path / "fresh")


def test_an_earlier_manifest_is_gone_before_its_shards_are(model, dump, sentences, tmp_path, monkeypatch):
    earlier, existed = tmp_path / "manifest.json", []
    earlier.write_text("{}")
    monkeypatch.setattr(folder.Folder, "publish", lambda *args: existed.append(earlier.exists()))
    dump(model, sentences(20), manifest=earlier)
    assert existed == [False]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_what_was_finished(model, dump, sentences, tmp_path, monkeypatch, number):
    given, honest, written = sentences(900), shards.Hashing.write, [0]

    def write(self, data):
        written[0] += len(memoryview(data).cast("B"))
        if written[0] > 1.5e6:
            raise OSError(number, os.strerror(number))
        honest(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(shards.Hashing, "write", write)
        with pytest.raises(InputError, match=r"the disk of .*scratch/key is full"):
            dump(model, given)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "scratch/key").glob("*.arrow")}
    assert len(kept) == 1
    assert not list(tmp_path.rglob("*.part"))
    assert len(dump(model, given)["shards"]) >= 3
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def test_a_failed_flush_of_a_finished_shard_leaves_no_part(model, dump, sentences, tmp_path, monkeypatch):
    """The second shard's flush fails while the third is being computed."""
    honest, calls = os.fsync, []

    def fsync(number):
        calls.append(number)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "no space left")
        honest(number)

    monkeypatch.setattr(folder.os, "fsync", fsync)
    with pytest.raises(InputError, match="is full"):
        dump(model, sentences(900))
    assert len(list((tmp_path / "scratch/key").glob("*.arrow"))) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_another_error_of_the_system_is_not_called_a_full_disk(model, dump, sentences, monkeypatch):
    def write(self, data):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(shards.Hashing, "write", write)
    with pytest.raises(OSError, match="input/output error"):
        dump(model, sentences(20))


def test_twenty_kills_at_random_moments_lose_nothing_and_change_nothing(program, tmp_path, seed):
    """A fork of one process dumps and is killed, again and again, at moments from its first to its last byte; at the
    end the shards are those of a calm run, and each was made once: a finished one keeps its time of writing.
    """
    lines = f"""
random.seed({seed})
dump("calm", "elsewhere")
made, kills = {{}}, 0
def look():
    for name in os.listdir("store/key") if os.path.isdir("store/key") else []:
        if name.endswith(".arrow"):
            made.setdefault(name, set()).add(os.stat(f"store/key/{{name}}").st_mtime_ns)
while kills < 20:
    child = os.fork()
    if not child:
        dump("out", "store", pause=0.002)
        os._exit(0)
    time.sleep(random.uniform(0.005, 0.09))
    look()
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    look()
    if not os.WIFSIGNALED(status):
        break
    kills += 1
dump("out", "store")
look()
print(kills, max(len(times) for times in made.values()))
"""
    process = program(lines, stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    kills, times = map(int, out.splitlines()[-1].split())
    assert kills == 20, f"the dump was over after {kills} kills"
    assert times == 1, "a finished shard was made twice"
    assert len(shards_of(tmp_path / "calm")) >= 4
    assert shards_of(tmp_path / "out") == shards_of(tmp_path / "calm")
