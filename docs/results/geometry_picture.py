"""The picture of geometry.md, from the table beside it.

python docs/results/geometry_picture.py docs/results/geometry.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl

HERE = Path(__file__).parent
COLOURS = {"smollm2": "#0072b2", "all-minilm-l6-v2": "#e69f00", "demo": "#009e73", "rwkv6-3m": "#cc79a7"}
MODELS = {
    "smollm2-135m": ("smollm2", "-"),
    "smollm2-untrained": ("smollm2", ":"),
    "all-minilm-l6-v2": ("all-minilm-l6-v2", "-"),
    "demo": ("demo", "-"),
    "demo-untrained": ("demo", ":"),
    "rwkv6-3m": ("rwkv6-3m", "-"),
    "rwkv6-3m-untrained": ("rwkv6-3m", ":"),
}
LABELS = {"smollm2": "SmolLM2", "all-minilm-l6-v2": "MiniLM", "demo": "demo model", "rwkv6-3m": "6v0-3m"}
PANELS = {
    "rho": "rho on MRPC test",
    "cka": "likeness to the embedding (CKA)",
    "lexical_identity": "words in the vector (R²)",
    "homogenisation": "tokens of a sentence grow alike",
    "effective_rank": "effective rank / width",
    "dilution": "tokens n over carriers m",
}


def curve(table, model, measure):
    """The share of depth and the value of each layer."""
    rows = table.filter(model=model)
    depth = rows["layer"].max()
    if measure == "rho":
        rows = rows.unique("layer").sort("layer")
        return rows["layer"] / depth, rows["rho"]
    rows = rows.filter(measure=measure).sort("layer")
    divisor = rows["maximum"] if measure == "effective_rank" else 1
    return rows["layer"] / depth, rows["value"] / divisor


def main():
    table = pl.read_csv(HERE / "geometry-by-layer.csv")
    figure, panels = plt.subplots(2, 3, figsize=(9.6, 5.4), sharex=True)
    for axes, (measure, title) in zip(panels.flat, PANELS.items()):
        for model, (family, dashes) in MODELS.items():
            depth, values = curve(table, model, measure)
            thin = dashes == ":"
            axes.plot(depth, values, dashes, color=COLOURS[family], linewidth=1.4 if thin else 1.8, zorder=2 - thin)
        axes.set_title(title, fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    for axes in panels[1]:
        axes.set_xlabel("share of depth (0 = embedding)")
    panels[1, 2].set_yscale("log")
    panels[1, 2].set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"], minor=False)
    panels[1, 2].minorticks_off()
    handles = [plt.Line2D([], [], color=COLOURS[family], linewidth=2, label=name) for family, name in LABELS.items()]
    handles.append(plt.Line2D([], [], color="black", linestyle=":", label="the same, untrained"))
    figure.legend(handles=handles, loc="upper left", ncols=5, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.94))
    figure.savefig(sys.argv[1], dpi=160)


if __name__ == "__main__":
    main()
