"""The picture of a training run: bits per byte against tokens seen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def loss_curve(history: pl.DataFrame, final: float, bits_per_nat: float, bars: Mapping[str, float]) -> "Figure":
    """Training (running mean), the held-out sample and all of it, and n-gram models as lines.

    history: of `pretraining.train`; final: bits per byte of all held-out text; bits_per_nat: bits per byte of training
    text that one nat of loss per token stands for; bars: {name: bits per byte}.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    looked = history.drop_nulls("held_out")
    sampled = looked["held_out"].to_numpy()
    smooth = max(1, len(history) // 100)
    training = history["loss"].rolling_mean(smooth) * bits_per_nat
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axis = figure.subplots()
        millions, sample = history["tokens"] / 1e6, "held-out sample, each document from a fresh state"
        axis.plot(millions, training, color="0.65", linewidth=1, label=f"training, mean of {smooth} steps")
        axis.plot(looked["tokens"] / 1e6, sampled, "o-", markersize=3, color="C0", linewidth=1.2, label=sample)
        axis.plot(
            millions[-1], final, "*", markersize=11, color="C3", clip_on=False, label=f"all held-out text: {final:.2f}"
        )
        for name, bits in bars.items():
            axis.axhline(bits, color="0.3", linewidth=0.8, linestyle="--")
            label, right_edge = f"{name}  {bits:.2f}", ("axes fraction", "data")
            axis.annotate(label, (1, bits), xycoords=right_edge, ha="right", va="bottom", fontsize=8, color="0.3")
        axis.set(xlabel="tokens seen, millions", ylabel="bits per byte", xlim=(0, None))
        axis.set_ylim(0.93 * min(final, sampled.min()), 1.05 * max(*bars.values(), sampled.max()))
        axis.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.92))
    return figure
