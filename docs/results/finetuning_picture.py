"""The picture of finetuning.md, from the table beside it.

python docs/results/finetuning_picture.py docs/results/finetuning.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
from matplotlib.ticker import MultipleLocator

HERE = Path(__file__).parent
MODELS = {"smollm2-135m": "SmolLM2, 135 M parameters", "demo": "demo model, 7 M", "6v0-3m": "6v0-3m, 3 M"}
GREY, BLUE = "#8a8a8a", "#0072b2"
TOP, BOTTOM = 0.58, 0.15


def main():
    table = pl.read_csv(HERE / "finetuning.csv")
    floors = pl.read_csv(HERE / "encoders.csv").filter(dataset="mrpc")
    overlap = floors.filter(encoder="overlap", similarity="dice")["rho"][0]
    glove = floors.filter(encoder="glove-50d")["rho"][0]
    figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.9), sharey=True, width_ratios=[1.4, 1, 1])
    for axes, (model, title) in zip(panels, MODELS.items()):
        rows = table.filter(model=model, loss="cosent", learned_from="MRPC", against="as it was", learning_rate=0.0005)
        rows = rows.filter(pl.col("trained_layer") == rows["trained_layer"].max()).sort("layer")
        mean = rows.filter(runs=3)
        axes.plot(mean["layer"], mean["rho"] - mean["difference"], color=GREY, marker="^", markersize=4)
        axes.fill_between(mean["layer"], mean["low"], mean["high"], color=BLUE, alpha=0.13, linewidth=0)
        for seed in rows["seed"].drop_nulls().unique(maintain_order=True):
            of_seed = rows.filter(seed=seed)
            axes.plot(of_seed["layer"], of_seed["rho"], color=BLUE, linewidth=0.8, alpha=0.8)
        axes.plot(mean["layer"], mean["rho"], color=BLUE, marker="o", markersize=4, linewidth=1.8)
        for value in (overlap, glove):
            axes.axhline(value, color="black", linewidth=0.8, linestyle=":")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("layer; the last was trained" if axes is panels[0] else "layer")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
        axes.xaxis.set_major_locator(MultipleLocator(5 if mean["layer"].max() > 12 else 2))
        axes.set_xlim(-0.02 * mean["layer"].max(), 1.02 * mean["layer"].max())
    panels[0].set_ylim(BOTTOM, TOP)
    panels[0].set_ylabel("Spearman's rho on MRPC test")
    panels[0].annotate("fine-tuned", (26, 0.46), (15.5, 0.49), color=BLUE, fontsize=10)
    panels[0].annotate("as it was", (20, 0.30), (18, 0.265), color=GREY, fontsize=10)
    for name, value in {"word overlap": overlap, "GloVe": glove}.items():
        panels[2].annotate(f" {name}", (12.25, value), va="center", fontsize=9, annotation_clip=False)
    figure.tight_layout()
    figure.subplots_adjust(right=0.9)
    figure.savefig(sys.argv[1], dpi=160)


if __name__ == "__main__":
    main()
