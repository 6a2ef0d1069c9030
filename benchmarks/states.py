"""What reading token states costs: pooling, a sweep, geometry, the check of their hashes."""

import contextlib
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks.common import in_turns, row, seconds, workspace
from benchmarks.material import draw_lengths
from pipeline.dump.plan import RECORD_ROWS
from pipeline.dump.shards import Shard
from pipeline.formats import dumps, states
from pipeline.geometry.states import columns
from pipeline.pool.batches import pool_layer
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN, Correction, Pooling
from pipeline.pool.run import pool
from pipeline.pool.weighted import token_weights
from pipeline.score.settings import Sweep
from pipeline.score.similarities import Similarity
from pipeline.score.sweep import sweep, vectors_of
from pipeline.score.swept import SweptPooling
from pipeline.storage.folder import Folder

TEN = ["mean", "weighted_mean", "norm_mean", "skip_first", "last_4", "last", "max", "mean_max", "idf_mean", "sif"]
"""of those in params.yaml"""
SENTENCES, LAYERS, DIM = 1000, 13, 768
TRACED = 100
"""as in params.yaml"""


class TokenStates:
    """Random token states of MRPC's lengths, shortest sentence first: as a shard, and as a raw file for each layer."""

    def __init__(self, folder, sentences):
        rng = np.random.default_rng(0)
        self.folder = folder
        self.lengths = np.sort(draw_lengths(rng, sentences))
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self.segment = torch.from_numpy(np.repeat(np.arange(sentences), self.lengths))
        (folder / "states").mkdir()
        schema = states.schema(list(range(LAYERS)), DIM, "float16")
        shard = Shard(Folder(folder / "states").claim("shard-00000.arrow"), schema)
        with contextlib.ExitStack() as files:
            raw = [files.enter_context((folder / f"raw-{layer}").open("wb")) for layer in range(LAYERS)]
            for start, end in self.record_batches():
                index, of_layers = self.draw(rng, start, end)
                shard.write(states.record_batch([*index, *of_layers], schema))
                for file, of_layer in zip(raw, of_layers):
                    of_layer.tofile(file)
        receipt = shard.finish()
        self.manifest = {
            "model": "random",
            "layers": list(range(LAYERS)),
            "shards": [{"name": "shard-00000.arrow", **receipt}],
        }

    def record_batches(self):
        """The first sentence of each record batch, and the one after its last."""
        start = 0
        while start < len(self.lengths):
            sentences = int(np.searchsorted(np.cumsum(self.lengths[start:]), RECORD_ROWS))
            end = start + max(1, sentences)
            yield start, min(end, len(self.lengths))
            start = end

    def draw(self, rng, start, end):
        """Index and states of a record batch: two arrays (tokens,), and (tokens, DIM) for each layer."""
        lengths = self.lengths[start:end]
        positions = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        shape = lengths.sum(), DIM
        of_layers = [rng.standard_normal(shape, dtype=np.float32).astype(np.float16) for _ in range(LAYERS)]
        return (np.repeat(np.arange(start, end), lengths), positions), of_layers

    def raw_mean(self, layer):
        """The mean of each sentence (S, D), by a memory-mapped read of the raw file and a segment sum."""
        sentences = len(self.lengths)
        mapped = np.memmap(self.folder / f"raw-{layer}", np.float16, "r", shape=(self.starts[-1], DIM))
        sums = torch.zeros(sentences, DIM)
        for first in range(0, sentences, 32):
            start, end = self.starts[first], self.starts[min(first + 32, sentences)]
            rows = torch.from_numpy(np.asarray(mapped[start:end], dtype=np.float32))
            sums.index_add_(0, self.segment[start:end], rows)
        return sums / torch.from_numpy(self.lengths)[:, None]

    def all_raw_means(self):
        """The raw means of all layers, one after the other."""
        for layer in range(LAYERS):
            self.raw_mean(layer)

    def read(self):
        """The states, unchecked."""
        return dumps.read(self.folder / "states")

    def mean(self, layer):
        """The same mean by the library."""
        dump = self.read()
        pooled = [pool_layer(batch, dump.layers[layer], layer, [MEAN], Inputs())[MEAN] for batch in dump.batches]
        return np.concatenate(pooled)

    def all_means(self):
        """The means of all layers by the library, one after the other."""
        for layer in range(LAYERS):
            self.mean(layer)

    def __str__(self):
        return f"{len(self.lengths)} sentences, {self.lengths.sum()} tokens, {LAYERS} layers of {DIM}"


@contextmanager
def token_states(sentences):
    """Token states in a temporary folder."""
    with workspace() as folder:
        yield TokenStates(Path(folder), sentences)


def pooling(rounds=5, sentences=SENTENCES):
    """Pooling (mean) of token states against a raw memory-mapped read and a segment mean, of all layers and of one."""
    with token_states(sentences) as material:
        assert np.allclose(material.raw_mean(3).numpy(), material.mean(3), atol=1e-5)
        vectors = material.folder / "vectors.parquet"
        functions = {
            "raw": lambda: seconds(material.all_raw_means),
            "ours": lambda: seconds(material.all_means),
            "stage": lambda: seconds(lambda: pool(material.read(), MEAN, vectors, "random", Inputs())),
            "raw_layer": lambda: seconds(material.raw_mean, 5),
            "our_layer": lambda: seconds(material.mean, 5),
        }
        in_turns(1, **functions)
        times = in_turns(rounds, **functions)
    of_all = f"{times['ours']:.3f} / {times['raw']:.3f} s; {material}"
    of_layer = f"{times['our_layer']:.4f} / {times['raw_layer']:.4f} s"
    return [
        row("pooling all layers / raw read and segment mean", times["ours"] / times["raw"], of_all),
        row("the same with its Parquet file written", times["stage"] / times["raw"], f"{times['stage']:.3f} s"),
        row("pooling one layer / raw read and segment mean", times["our_layer"] / times["raw_layer"], of_layer),
    ]


def ten_poolings(rounds=5, sentences=SENTENCES):
    """Ten poolings in one read of token states (in the page cache) against the mean alone, and against ten reads."""
    ten = [Pooling.parse(name) for name in TEN]
    section = Sweep(
        poolings=[SweptPooling.parse(name) for name in TEN],
        corrections=[Correction.parse("none")],
        similarities=[Similarity.parse("cosine")],
        controls=False,
    )
    with token_states(sentences) as material:
        pairs, inputs = pairs_and_inputs(material, ten)

        def pooled(poolings):
            """The vectors of all layers, a layer at a time; none is kept."""
            dump = material.read()
            for layer in dump.layers:
                vectors_of(dump, layer, poolings, inputs)

        def one_after_the_other():
            for of_ten in ten:
                pooled([of_ten])

        def swept():
            sweep(material.read(), pairs, material.folder / "scores.parquet", "random", section, inputs)

        functions = {
            "raw": lambda: seconds(material.all_raw_means),
            "mean": lambda: seconds(pooled, [MEAN]),
            "ten": lambda: seconds(pooled, ten),
            "one_by_one": lambda: seconds(one_after_the_other),
            "sweep": lambda: seconds(swept),
        }
        in_turns(1, **functions)
        times = in_turns(rounds, **functions)
    in_one_read = f"{times['ten']:.3f} / {times['raw']:.3f} s; {material}"
    scored = f"{times['sweep']:.3f} s; cosines of {len(pairs)} pairs"
    ratio = "ten poolings in one read"
    return [
        row(f"{ratio} / raw read and segment mean", times["ten"] / times["raw"], in_one_read),
        row(f"{ratio} / pooling the mean alone", times["ten"] / times["mean"], f"the mean: {times['mean']:.3f} s"),
        row(
            f"{ratio} / the same ten one after the other",
            times["ten"] / times["one_by_one"],
            f"{times['one_by_one']:.3f} s",
        ),
        row(f"the same with scores written / {ratio}", times["sweep"] / times["ten"], scored),
    ]


def geometry(rounds=5, sentences=SENTENCES, traced=TRACED):
    """What geometry computes of token states, in one read, against a raw memory-mapped read and a segment mean."""
    with token_states(sentences) as material:
        every, none, some = np.arange(sentences), np.zeros(sentences, dtype=bool), np.arange(sentences) < traced

        def measured(of_sentences, looked_at):
            dump = material.read()
            for layer in dump.layers:
                columns(dump, layer, of_sentences, looked_at)

        spread = np.random.default_rng(0).permutation(some)
        functions = {
            "raw": lambda: seconds(material.all_raw_means),
            "sums": lambda: seconds(measured, every, none),
            "all": lambda: seconds(measured, every, spread),
            "tenth": lambda: seconds(measured, every[::10], spread[::10]),
        }
        in_turns(1, **functions)
        times = in_turns(rounds, **functions)
    of_all = f"{times['all']:.3f} / {times['raw']:.3f} s; {traced} traced, {material}"
    return [
        row("geometry of all sentences in one read / raw read and segment mean", times["all"] / times["raw"], of_all),
        row("the same without those that are traced", times["sums"] / times["raw"], f"{times['sums']:.3f} s"),
        row("the same of every tenth sentence", times["tenth"] / times["raw"], f"{times['tenth']:.3f} s"),
    ]


def pairs_and_inputs(material, poolings):
    """Pairs of all sentences, each in one of them and all of train, and the weights of random token ids."""
    rng, sentences = np.random.default_rng(0), np.arange(len(material.lengths))
    ids = [rng.integers(1, 5000, length) for length in material.lengths]
    first, second = rng.permutation(sentences).reshape(2, -1)
    columns = {
        "pair_id": np.arange(len(first)),
        "split": ["train"] * len(first),
        "label": rng.integers(0, 2, len(first)).astype(float),
        "sentence1_id": first,
        "sentence2_id": second,
    }
    entries = [pooling.entry for pooling in poolings if pooling.kind == "weighted"]
    return pl.DataFrame(columns), Inputs(token_weights(sentences, ids, sentences, entries), train=sentences)


def verify(rounds=5, sentences=SENTENCES):
    """Comparing shards with the hashes of their manifest, at the first read and later, against pooling the mean."""
    with token_states(sentences) as material, contextlib.chdir(material.folder):  # where it is noted what was compared

        def checked():
            dumps.read("states", material.manifest)

        def first_read():
            shutil.rmtree(dumps.VERIFIED, ignore_errors=True)
            return seconds(checked)

        functions = {
            "means": lambda: seconds(material.all_means),
            "unchecked": lambda: seconds(material.read),
            "first": first_read,
            "later": lambda: seconds(checked),
        }
        in_turns(1, **functions)
        times = in_turns(rounds, **functions)
        size = material.manifest["shards"][0]["bytes"]
    of_first = f"{times['first']:.3f} / {times['means']:.3f} s; {size / 1e6:.0f} MB, {material}"
    of_later = f"{1e3 * times['later']:.2f} ms; without a check {1e3 * times['unchecked']:.2f} ms"
    return [
        row("first read, with hashing / pooling the mean of all layers", times["first"] / times["means"], of_first),
        row("later reads / pooling the mean of all layers", times["later"] / times["means"], of_later),
    ]
