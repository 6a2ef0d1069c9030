"""What a run over a million, 100 million and ten thousand million sentences takes, as CSV on standard output.

    python docs/scale.py > docs/scale.csv
    python docs/scale.py --picture docs/scale.png
    python docs/scale.py --layers 0 12 24 --tokens-per-second 20000

A model of the study's size, RWKV-6 of 24 x 2048, and the demo model, with each `keep` and sentences as long as those of
MRPC. Bytes and shards are those of pipeline/command/scale.py, which `drillcore describe --sentences N` uses for a study
of yours. Hours are those of one device at the rate that docs/performance.md has of an H100 for the first model, and of
one writer at a rate that is an assumption.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.material import all_lengths
from pipeline.command.scale import Kept, cost

SIZES = (10**6, 10**8, 10**10)
SHAPES = {"RWKV-6 of 24 x 2048": (24, 2048, (32, 64, 64)), "demo": (8, 192, (6, 32, 32))}
"""blocks, width and the shape of the recurrent state of a block"""
KEEPS = ("tokens", "pooled", "state")
READ = 56_000
"""tokens a second of the first model on an H100, docs/performance.md"""
WRITTEN = 1e9
"""bytes a second of one writer, an assumption"""
PLANNED = 70
"""bytes of memory for each sentence, at most: its place in the plan, and where its ids are (benchmarks.run plan)"""
LINES = {
    ("tokens", "states"): ("token states (keep: tokens)", "#d55e00", "-"),
    ("state", "states"): ("recurrent states (keep: state)", "#cc79a7", "-"),
    ("pooled", "states"): ("statistics (keep: pooled)", "#0072b2", "-"),
    ("pooled", "vectors"): ("sentence vectors, float32", "#009e73", "-"),
    ("pooled", "int8"): ("sentence vectors, int8", "#009e73", ":"),
}
BYTES = {"a disk, 8 TB": 8e12, "a large cluster, 1 PB": 1e15}
HOURS = {"an hour": 1, "a day": 24, "a year": 8766}


def costs(shape, sentences, layers=None):
    """{keep: Cost} of a model; layers: numbers of those that are kept, None for all."""
    depth, width, state = SHAPES[shape]
    kept = list(range(depth + 1)) if layers is None else layers
    found = {}
    for keep in KEEPS:
        numbers = [layer for layer in kept if layer > 0 or keep != "state"]
        size = state if keep == "state" else (width,)
        found[keep] = cost(Kept(keep, numbers, size, "float16", 16_384, 256), all_lengths(), sentences)
    return found


def rows(layers, read, written):
    """A row for each model, size and `keep`."""
    for shape in SHAPES:
        for sentences in SIZES:
            for keep, found in costs(shape, sentences, layers).items():
                device, writer = found.hours(read, written)
                yield {
                    **{"model": shape, "sentences": sentences, "keep": keep, "tokens": found.tokens},
                    **{"bytes": found.states, "shards": found.shards, "vector_bytes": found.vectors},
                    **{"vector_bytes_int8": found.vectors // 4, "pool_scratch_bytes": found.scratch},
                    **{
                        "plan_bytes": PLANNED * sentences,
                        "device_hours": round(device, 2) if shape != "demo" else None,
                    },
                    "writer_hours": round(writer, 2),
                }


def draw(path):
    """Bytes and hours against sentences, for the first model."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    sizes, shape = np.logspace(5, 10, 6).astype(int), next(iter(SHAPES))
    found = [costs(shape, int(size)) for size in sizes]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2))
    for (keep, what), (label, colour, dashes) in LINES.items():
        values = [of_size[keep].vectors / 4 if what == "int8" else getattr(of_size[keep], what) for of_size in found]
        left.plot(sizes, values, dashes, color=colour, label=label)
        if what == "states":
            right.plot(sizes, [of_size[keep].hours(READ, WRITTEN)[1] for of_size in found], color=colour)
    right.plot(sizes, [of_size["tokens"].hours(READ, WRITTEN)[0] for of_size in found], color="black", linewidth=2.2)
    arrow = {"arrowstyle": "-", "linewidth": 0.8}
    right.annotate("the model on one H100", (1e8, 12.7), (1.6e8, 1.5), fontsize=9, arrowprops=arrow)
    for axes, limits in ((left, BYTES), (right, HOURS)):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("sentences")
        axes.set_xlim(sizes[0], sizes[-1])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
        for name, value in limits.items():
            axes.axhline(value, color="grey", linewidth=0.8, linestyle="--")
            axes.annotate(
                name, (sizes[0] * 1.2, value), xytext=(0, 2), textcoords="offset points", fontsize=8, color="grey"
            )
    left.set_title("bytes", fontsize=10, loc="left")
    right.set_title("hours; coloured: to write them, one writer at 1 GB/s", fontsize=10, loc="left")
    figure.legend(loc="upper left", ncols=3, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.87))
    figure.savefig(path, dpi=160)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", help="draw it instead")
    parser.add_argument("--layers", type=int, nargs="+", help="numbers of those that are kept; all where left out")
    parser.add_argument("--tokens-per-second", type=float, default=READ, help="of one device, for the first model")
    parser.add_argument("--bytes-per-second", type=float, default=WRITTEN, help="of one writer")
    given = parser.parse_args()
    if given.picture:
        draw(given.picture)
        return
    table = list(rows(given.layers, given.tokens_per_second, given.bytes_per_second))
    writer = csv.DictWriter(sys.stdout, table[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)


if __name__ == "__main__":
    main()
