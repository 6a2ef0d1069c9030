"""What docs/scale.md predicts, beside what dumps of two sizes take: bytes, files and time.

    python -m benchmarks.scale --threads 1

Sentences of MRPC's lengths and random ids go through an RWKV-6 of 4 x 64 with random weights, with each `keep`, and are
pooled. Bytes and files are predicted from the lengths (`pipeline.command.scale`). The time of the large dump is
predicted from that of the small one: both are of CPU, since the machine may be busy, and measured in turns. Where the
prediction is exact the ratio is 1, and not about 1; else the program ends with an error.
"""

import argparse
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import cpu_seconds, in_turns, workspace
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
DIM, DEPTH = 64, 4
SHARD_MB = 8


def predicted(model, keep, lengths, store):
    """What the formula says of some sentences."""
    readout = readout_of(keep, DUMP.readout)
    layers = layer_numbers(DUMP.layers, depth_of(model), readout.first)
    kept = Kept(keep, layers, readout.shape_of(model), DUMP.store, DUMP.batch_tokens, SHARD_MB)
    return cost(kept, lengths, len(lengths), store)


def measured(model, keep, ids, folder, store):
    """What a dump of them, pooled, takes; the numbers of its vectors are those of the file's columns of lists."""
    settings = replace(DUMP, keep=keep, shard_mb=SHARD_MB)
    places = Places(folder / "out", "key", store=folder / "store")
    facts = dump(model, ids, np.arange(len(ids)), settings, places, readout=readout_of(keep, DUMP.readout))
    states = dumps.read(folder / "out")
    pooling = Pooling.parse("state" if keep == "state" else "mean")
    pool(states, pooling, folder / "vectors.parquet", "tiny", Inputs(), store)
    rows = sum(batch.num_rows for batch in states.batches)
    files = list((folder / "out").iterdir())
    assert sum(file.stat().st_size for file in files) == sum(shard["bytes"] for shard in facts["shards"])
    size = sum(file.stat().st_size for file in files)
    numbers = len(ids) * sum(states.batches[0].schema.field(at).type.list_size for at in vector_columns(states))
    written = (folder / "vectors.parquet").stat().st_size
    return Cost(len(ids), facts["tokens"], rows, len(files), size, 4 * numbers, written)


def vector_columns(states):
    """One column of lists for each layer."""
    names = states.batches[0].schema.names
    return [next(names.index(name) for name in names if name.startswith(prefix)) for prefix in states.layers.values()]


def times(model, keep, every_ids, folder, rounds):
    """CPU seconds of a dump of each size, medians of some rounds in turns."""
    settings, numbers = replace(DUMP, keep=keep, shard_mb=SHARD_MB), itertools.count()

    def dump_all(ids):  # each time under another key, so that no shard is there yet
        places = Places(folder / "again", f"run{next(numbers)}", store=folder / "store")
        dump(model, ids, np.arange(len(ids)), settings, places, readout=readout_of(keep, DUMP.readout))

    sized = {str(len(ids)): lambda ids=ids: cpu_seconds(dump_all, ids) for ids in every_ids}
    return list(in_turns(rounds, **sized).values())


def compare(rounds):
    """A line for each `keep` and size."""
    model, rng = random_model(DIM, DEPTH), np.random.default_rng(0)
    lengths = [draw_lengths(rng, size) for size in SIZES]
    every_ids = [draw_ids(rng, of_size) for of_size in lengths]
    yield "| keep | sentences | bytes of states | shards | bytes of vectors | CPU seconds, predicted / measured |"
    yield "|---|---:|---:|---:|---:|---:|"
    for keep in KEEPS:
        with workspace() as name:
            small, large = times(model, keep, every_ids, Path(name), rounds)
        guess = small * lengths[1].sum() / lengths[0].sum()
        for ids, of_size, ratio in zip(every_ids, lengths, ("", f"{guess / large:.2f}")):
            with workspace() as name:
                found, said = (
                    measured(model, keep, ids, Path(name), "float32"),
                    predicted(model, keep, of_size, "float32"),
                )
            assert replace(said, vectors=found.vectors) == found, f"{keep}: {said} was predicted of {found}"
            vectors = f"{said.vectors / found.vectors:.3f}"
            yield f"| {keep} | {len(ids):,} | {found.states:,} | {found.shards} | {vectors} | {ratio} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for line in compare(given.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
