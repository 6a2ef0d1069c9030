"""What a dump adds to running the model, and how it grows with the sentences.

python -m benchmarks.dumps cost TOKENS.parquet --threads 1     # a process of its own, whose memory is measured
"""

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import ROOT, in_turns, row, seconds, workspace, write_to_disk
from benchmarks.material import DUMP, VOCABULARY, draw_ids, draw_lengths, planned_passes, random_model, run_all
from pipeline.cost.clock import memory
from pipeline.dump.gate import sample
from pipeline.dump.key import digest_of_ids
from pipeline.dump.run import Places, dump
from pipeline.dump.work import Sizes, work_of
from pipeline.formats import tokens
from pipeline.formats.ragged import Ragged
from pipeline.models.layers import hidden_layers
from pipeline.readouts.plain import PLAIN

BYTES_OF_INDEX = 12
"""of a token: sentence_id and position"""
LENGTH = 8
"""tokens of the sentences of `many_sentences`"""
NAME = "m"
PAUSE = 0.002
"""seconds between two looks at the memory of this process"""


def wall_time(rounds=3, sentences=400):
    """The whole dump, in several shards, against the larger of computing alone and writing the same bytes alone."""
    settings, model, rng = replace(DUMP, shard_mb=40), random_model(768, 12), np.random.default_rng(0)
    lengths = draw_lengths(rng, sentences)
    ids = draw_ids(rng, lengths)
    passes = planned_passes(lengths, DUMP.batch_tokens)
    batches = [torch.from_numpy(np.stack([ids[i] for i in of_pass])).long() for of_pass in passes]
    with workspace() as name:
        folder, numbers = Path(name), itertools.count()

        def dump_all():  # each time under another key, so that no shard is there yet
            places = Places(folder / "out", f"run{next(numbers)}", store=folder / "store")
            dump(model, ids, np.arange(sentences), settings, places)

        data = os.urandom(int(lengths.sum()) * (13 * 768 * 2 + BYTES_OF_INDEX))
        times = in_turns(
            rounds,
            compute=lambda: seconds(run_all, model, batches),
            dump=lambda: seconds(dump_all),
            write=lambda: seconds(write_to_disk, folder / "raw", data),
        )
    ratio = times["dump"] / max(times["compute"], times["write"])
    detail = (
        f"{times['dump']:.2f} s / max({times['compute']:.2f} s, {times['write']:.2f} s); "
        f"12 x 768, {lengths.sum()} tokens, {len(data) / 1e6:.0f} MB"
    )
    return [row("dump, wall / max(compute alone, raw write alone)", ratio, detail)]


def many_sentences(sizes=(1000, 10_000, 100_000, 1_000_000)):
    """Time per sentence and peak memory against the number of sentences."""
    rows = []
    for size in sizes:
        took = in_process("cost", size, LENGTH)
        microseconds, peak = 1e6 * took["seconds"] / size, took["peak"] / 2**30
        shape = f"2 x 64, {LENGTH} tokens each, keep: pooled"
        rows.append(row(f"{size:,} sentences, microseconds each", microseconds, shape))
        detail = "of its own (RssAnon): ids are on disk, all else of all sentences is included"
        rows.append(row(f"{size:,} sentences, peak GiB beyond weights and one batch", peak, detail))
    return rows


def planned(sizes=(5_000_000,), lengths=(8, 26)):
    """Bytes of memory that a process holds for each sentence before the network runs: its own (RssAnon)."""
    rows = []
    for size, length in itertools.product(sizes, lengths):
        took = in_process("plan", size, length)
        for kind, when in (("peak", "at most, while the plan is made"), ("held", "from then on")):
            figure = f"{size:,} sentences of {length} tokens, bytes each {when}"
            rows.append(row(figure, took[kind] / size, "of its own (RssAnon), beside ids on disk"))
    return rows


def in_process(what, sentences, length):
    """What `cost` or `plan` of synthetic sentences gives, in a process that has not written them."""
    with workspace() as name:
        path = Path(name) / "tokens.parquet"
        write_tokens(path, sentences, length)
        command = [sys.executable, "-m", "benchmarks.dumps", what, str(path), "--threads", str(torch.get_num_threads())]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_tokens(path, sentences, length):
    """Token ids of synthetic sentences, after one token that is not kept."""
    values = np.random.default_rng(0).integers(1, VOCABULARY, sentences * length, dtype=np.int32)
    ids = Ragged(values, np.arange(0, len(values) + 1, length))
    inside, whole = np.tile(np.array([1, length], np.int32), (sentences, 1)), np.zeros(sentences, bool)
    pieces = dict.fromkeys(range(VOCABULARY), "a")
    tokens.write(path, tokens.Tokens(NAME, np.arange(sentences), ids, pieces, whole, {}, spans=inside, slots=inside))


def cost(path):
    """Dump sentences with keep: pooled -> {seconds, peak: bytes beyond weights and one batch}."""
    model, settings = random_model(64, 2), replace(DUMP, keep="pooled", shard_mb=64)
    hidden_layers(model, torch.randint(1, VOCABULARY, (DUMP.batch_tokens // LENGTH, LENGTH)))
    with workspace() as name, watched() as seen:
        places = Places(Path(name) / "out", "key", store=Path(name) / "store")
        read = tokens.read(path, NAME)
        took = seconds(dump, model, read.ids, read.sentence_ids, settings, places, read.spans)
    return {"seconds": took, "peak": max(seen) - seen[0]}


def plan(path):
    """What the stage does before the network runs -> {peak: bytes at most, held: bytes when it is done}."""
    small = path.with_name("small.parquet")
    write_tokens(small, 1000, LENGTH)
    steps(small)  # imports, and what Arrow keeps
    with watched() as seen:
        work = steps(path)
        gc.collect()
    assert len(work.shards)
    return {"peak": max(seen) - seen[0], "held": seen[-1] - seen[0]}


def steps(path):
    """Read token ids, choose sentences of the language-model check, hash all of them, plan."""
    read = tokens.read(path, NAME)
    sample(read.plain_lengths, 10_000)
    digest_of_ids(read)
    return work_of(Sizes(2, (64,)), read.ids, read.sentence_ids, DUMP, PLAIN, read.spans)


@contextmanager
def watched():
    """A list of what this process held of its own (RssAnon), in bytes: before, again and again, and after."""
    gc.collect()
    seen, over = [memory()["own_bytes"]], threading.Event()

    def look():
        while not over.wait(PAUSE):
            seen.append(memory()["own_bytes"])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        seen.append(memory()["own_bytes"])


def main():
    parser = argparse.ArgumentParser(description="the time and the memory of one dump, or of its plan, as JSON")
    parser.add_argument("what", choices=("cost", "plan"))
    parser.add_argument("tokens", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(json.dumps({"cost": cost, "plan": plan}[arguments.what](arguments.tokens)))


if __name__ == "__main__":
    main()
