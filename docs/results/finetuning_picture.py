"""The picture of finetuning.md, from the table beside it.

python docs/results/finetuning_picture.py docs/results/finetuning.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl

HERE = Path(__file__).parent
LINES = {"word overlap": ("overlap", "dice"), "GloVe": ("glove-50d", "cosine")}


def main():
    table = pl.read_csv(HERE / "finetuning.csv").sort("layer")
    encoders = pl.read_csv(HERE / "encoders.csv").filter(dataset="mrpc")
    figure, axes = plt.subplots(figsize=(7.2, 4))
    before, tuned = (table.filter(seed=0), [table.filter(seed=seed) for seed in (0, 1)])
    axes.plot(before["layer"], before["rho_before"], color="#8a8a8a", marker="^", markersize=5, label="as it was")
    axes.fill_between(tuned[0]["layer"], tuned[0]["low"], tuned[0]["high"], color="#0072b2", alpha=0.12, linewidth=0)
    for rows, dashes in zip(tuned, ("-", (0, (2, 2)))):
        label = f"fine-tuned, seed {rows['seed'][0]}"
        axes.plot(rows["layer"], rows["rho"], color="#0072b2", linestyle=dashes, marker="o", markersize=4, label=label)
    for name, (encoder, similarity) in LINES.items():
        value = encoders.filter(encoder=encoder, similarity=similarity)["rho"][0]
        axes.axhline(value, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(f" {name}", (8.15, value), va="center", fontsize=9, annotation_clip=False)
    axes.set_xlim(-0.15, 8.15)
    axes.set_ylim(0, 0.5)
    axes.set_xlabel("layer (0 = embedding; the last was trained)")
    axes.set_ylabel("Spearman's rho on MRPC test")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left", fontsize=9.5)
    figure.tight_layout()
    figure.subplots_adjust(right=0.83)
    figure.savefig(sys.argv[1], dpi=160)


if __name__ == "__main__":
    main()
