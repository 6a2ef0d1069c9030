"""What docs/scale.md predicts, beside what dumps of two sizes take: bytes, files and time.

    python -m benchmarks.scale --threads 1

Sentences of MRPC's lengths and random ids go through an RWKV-6 of 2 x 64 with random weights, with each `keep`, and are
pooled. Bytes and shards are predicted from the lengths (`pipeline.command.scale`), and the program ends with an error
where they are not met to the last byte. Of vectors the numbers are predicted; Parquet adds where lists end. The
time of the large dump is predicted from that of the small one: of CPU, since the machine may be busy, in turns. What
one core hashes is printed first.
"""

import argparse
import hashlib
import itertools
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import cpu_seconds, workspace
from benchmarks.material import DUMP, draw_ids, draw_lengths, random_model
from pipeline.command.scale import Cost, Kept, cost
from pipeline.dump.keep import KEEPS
from pipeline.dump.run import Places, dump
from pipeline.formats import dumps
from pipeline.models.layers import depth_of, layer_numbers
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import Pooling
from pipeline.pool.run import pool
from pipeline.readouts.registry import readout_of

SIZES = 2_000, 20_000
DIM, DEPTH = 64, 2
SHARD_MB = 8


def predicted(model, keep, lengths):
    """What the formula says of some sentences."""
    readout = readout_of(keep, DUMP.readout)
    layers = layer_numbers(DUMP.layers, depth_of(model), readout.first)
    kept = Kept(keep, layers, readout.shape_of(model), DUMP.store, DUMP.batch_tokens, SHARD_MB)
    return cost(kept, lengths, len(lengths))


def measured(model, keep, ids, folder):
    """What a dump of them, pooled, takes, and CPU seconds of the dump."""
    settings, readout = replace(DUMP, keep=keep, shard_mb=SHARD_MB), readout_of(keep, DUMP.readout)
    places, start = Places(folder / "out", "key", store=folder / "store"), time.process_time()
    facts = dump(model, ids, np.arange(len(ids)), settings, places, readout=readout)
    took = time.process_time() - start
    states = dumps.read(folder / "out")
    pooling = Pooling.parse("state" if keep == "state" else "mean")
    pool(states, pooling, folder / "vectors.parquet", "tiny", Inputs())
    files = [file.stat().st_size for file in (folder / "out").iterdir()]
    rows, numbers = sum(batch.num_rows for batch in states.batches), len(ids) * len(states.layers) * facts["dim"]
    written = (folder / "vectors.parquet").stat().st_size
    return Cost(len(ids), facts["tokens"], rows, len(files), sum(files), 4 * numbers, written), took


def compare(rounds):
    """A line for each `keep` and size."""
    model, rng = random_model(DIM, DEPTH), np.random.default_rng(0)
    lengths = [draw_lengths(rng, size) for size in SIZES]
    every_ids = [draw_ids(rng, of_size) for of_size in lengths]
    yield "predicted / measured; states and shards are as predicted"
    yield "| keep | sentences | bytes of states | shards | bytes of vectors | CPU seconds |"
    yield "|---|---:|---:|---:|---:|---:|"
    for keep in KEEPS:
        took = [[] for _ in SIZES]
        for _, (of_size, ids, seconds) in itertools.product(range(rounds), zip(lengths, every_ids, took)):
            with workspace() as name:
                found, once = measured(model, keep, ids, Path(name))
            said = predicted(model, keep, of_size)
            assert replace(said, vectors=found.vectors) == found, f"{keep}: {said} was predicted of {found}"
            seconds.append((once, said, found))
        small, large = (statistics.median(once for once, _, _ in seconds) for seconds in took)
        guess = small * lengths[1].sum() / lengths[0].sum()
        for seconds, ratio in zip(took, ("", f"{guess / large:.2f}")):
            _, said, found = seconds[0]
            vectors = f"{said.vectors / found.vectors:.3f}"
            yield f"| {keep} | {found.sentences:,} | {found.states:,} | {found.shards} | {vectors} | {ratio} |"


def hashing(size=1 << 27):
    """10^9 bytes a second of one core, of CPU time: sha256 as of every shard, md5 as DVC's of every file."""
    data = np.random.default_rng(0).bytes(size)
    for name in ("sha256", "md5"):
        yield f"{name}: {size / cpu_seconds(hashlib.new, name, data) / 1e9:.2f} GB/s"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for line in itertools.chain(hashing(), compare(given.rounds)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
