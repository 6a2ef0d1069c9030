"""The picture of encoders.md, from the two tables beside it.

python docs/results/encoders_picture.py docs/results/encoders.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl

HERE = Path(__file__).parent
SETS = {"mrpc": "MRPC", "stsb": "STS-B"}
CURVES = {  # encoder -> what it is called, its colour and its mark
    "minilm-layers": ("MiniLM, a sentence encoder", "#0072b2", "o"),
    "smollm2-135m": ("SmolLM2 135M, a language model", "#c8242b", "s"),
    "smollm2-untrained": ("the same without training", "#8a8a8a", "^"),
}
LINES = {  # encoder and similarity -> what it is called
    ("all-minilm-l6-v2", "cosine"): "MiniLM's own vectors",
    ("overlap", "dice"): "word overlap",
    ("glove-50d", "cosine"): "GloVe",
}


def panel(axes, table, first_token, title):
    """rho by layer of one data set."""
    for encoder, (label, colour, mark) in CURVES.items():
        rows = table.filter(pl.col("encoder") == encoder, pl.col("layer").is_not_null()).sort("layer")
        axes.plot(rows["layer"], rows["rho"], color=colour, marker=mark, markersize=4, label=label)
        axes.fill_between(rows["layer"], rows["low"], rows["high"], color=colour, alpha=0.12, linewidth=0)
    rows = first_token.filter(model="smollm2-135m").sort("layer")
    for name, dashes, left_out in (("skip_first", (0, (2, 2)), "the first token"), ("skip_outliers", "-", "outliers")):
        label = f"SmolLM2 without {left_out}"
        axes.plot(rows["layer"], rows[f"rho_{name}"], color="#e69f00", linestyle=dashes, label=label, linewidth=1.6)
    lowest = -1.0
    for (encoder, similarity), label in sorted(LINES.items(), key=lambda item: value_of(table, *item[0])):
        value = value_of(table, encoder, similarity)
        axes.axhline(value, color="black", linewidth=0.8, linestyle=":")
        lowest = max(value, lowest + 0.034)  # so that names of near lines do not touch
        axes.annotate(f" {label}", (30.6, lowest), va="center", fontsize=9, annotation_clip=False)
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    axes.set_xlabel("layer (0 = embedding)")
    axes.set_xlim(-0.6, 30.6)
    axes.set_xticks(range(0, 31, 5))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def value_of(table, encoder, similarity):
    return table.filter(encoder=encoder, similarity=similarity)["rho"][0]


def main():
    table, first_token = (pl.read_csv(HERE / name) for name in ("encoders.csv", "first-token.csv"))
    figure, panels = plt.subplots(1, 2, figsize=(12, 4.9), sharey=True)
    for axes, (name, title) in zip(panels, SETS.items()):
        of_set = table.filter(dataset=name)
        n = of_set["n"][0]
        panel(axes, of_set, first_token.filter(dataset=name), f"{title} test ({n:,} pairs)")
    panels[0].set_ylabel("Spearman's rho with the labels")
    panels[0].set_ylim(0, 0.9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", ncols=3, frameon=False, bbox_to_anchor=(0.03, 1.0), fontsize=9.5)
    figure.tight_layout(rect=(0, 0, 1, 0.9), w_pad=6)
    figure.subplots_adjust(right=0.88)
    figure.savefig(sys.argv[1], dpi=160)


if __name__ == "__main__":
    main()
