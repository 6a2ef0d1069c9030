"""The picture of benchmarks/lengths.py: time per token and memory against length, and attention's share."""

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from pipeline.report.pictures import BLUE, GREY, ORANGE, RED, styled

LOOKS = {
    "RWKV-6": {"color": BLUE, "marker": "o"},
    "Llama": {"color": RED, "marker": "s"},
    "Llama, eager": {"color": ORANGE, "marker": "^"},
    "Llama without attention": {"color": GREY, "marker": "", "linestyle": "--"},
}


def draw(table, size):
    """The table of `lengths.table_of` and the size of the models -> a figure of three panels."""
    with styled():
        figure = Figure(figsize=(9.6, 3.1), layout="constrained")
        time, memory, share = figure.subplots(1, 3)
        for name, look in LOOKS.items():
            rows = table.filter(model=name).sort("length")
            style = {"markersize": 4, "linewidth": 1.4} | look
            time.plot(rows["length"], rows["us_per_token"], label=name, **style)
            time.fill_between(
                rows["length"], rows["us_per_token_low"], rows["us_per_token_high"], color=look["color"], alpha=0.2
            )
            memory.plot(rows["length"], rows["bytes_of_a_sentence"] / 2**20, **style)
        rows = table.filter(pl.col("attention_share").is_not_null()).sort("length")
        share.plot(
            rows["length"], 100 * rows["attention_share"], **({"markersize": 4, "linewidth": 1.4} | LOOKS["Llama"])
        )
        for axis, title in (
            (time, "microseconds per token"),
            (memory, "MiB for a sentence, beyond its states"),
            (share, "attention, % of Llama's time"),
        ):
            axis.set_xscale("log", base=2)
            axis.set_xticks(sorted(set(table["length"]))[::2])
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
            axis.set_xlabel("tokens of a sentence")
            axis.set_title(title, fontsize=8.5)
        time.set_yscale("log", base=2)
        memory.set_yscale("log")
        for axis in (time, memory):
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
            axis.yaxis.set_minor_formatter(NullFormatter())
        time.plot([], [], " ", label=size)
        handles, labels = time.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False)
    return figure
