"""What a dump adds to running the model, and how it grows with the sentences.

python -m benchmarks.dumps 1000 --threads 1     # one size, in a process of its own, whose memory is measured
"""

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import ROOT, in_turns, row, seconds, workspace, write_to_disk
from benchmarks.material import DUMP, VOCABULARY, draw_ids, draw_lengths, planned_passes, random_model, run_all
from pipeline.dump.run import Places, dump
from pipeline.formats.ragged import Ragged
from pipeline.models.layers import hidden_layers

BYTES_OF_INDEX = 12
"""of a token: sentence_id and position"""
LENGTH = 8
"""tokens of the sentences of `many_sentences`"""


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
        command = [sys.executable, "-m", "benchmarks.dumps", str(size), "--threads", str(torch.get_num_threads())]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        cost = json.loads(done.stdout.splitlines()[-1])
        microseconds, peak = 1e6 * cost["seconds"] / size, cost["peak"] / 2**30
        shape = f"2 x 64, {LENGTH} tokens each, keep: pooled"
        rows.append(row(f"{size:,} sentences, microseconds each", microseconds, shape))
        rows.append(
            row(f"{size:,} sentences, peak GiB beyond weights and one batch", peak, "ids of all sentences included")
        )
    return rows


def cost_of(sentences):
    """Dump short synthetic sentences with keep: pooled -> {seconds, peak: bytes beyond weights and one batch}."""
    model, rng = random_model(64, 2), np.random.default_rng(0)
    settings = replace(DUMP, keep="pooled", shard_mb=64)
    hidden_layers(model, torch.randint(1, VOCABULARY, (DUMP.batch_tokens // LENGTH, LENGTH)))
    with workspace() as name:
        places = Places(Path(name) / "out", "key", store=Path(name) / "store")
        gc.collect()
        before = memory("VmRSS")
        every_id = rng.integers(1, VOCABULARY, sentences * LENGTH, dtype=np.int32)
        ids = Ragged(every_id, np.arange(0, len(every_id) + 1, LENGTH))
        took = seconds(dump, model, ids, np.arange(sentences), settings, places)
    return {"seconds": took, "peak": memory("VmHWM") - before}


def memory(kind):
    """Bytes that this process holds (VmRSS), or held at most (VmHWM).

    getrusage would count what its parent held when it was forked.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(kind))
    return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description="the time and the memory of one dump, as JSON")
    parser.add_argument("sentences", type=int)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(json.dumps(cost_of(arguments.sentences)))


if __name__ == "__main__":
    main()
