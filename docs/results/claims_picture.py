"""The picture of claims.md, from the table beside it.

python docs/results/claims_picture.py docs/results/claims.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl

HERE = Path(__file__).parent
CLAIMS = {
    "C1": "the shallow layer is the best",
    "C2": "rho falls with depth",
    "C3": "every layer is below GloVe",
    "C4": "about 700 times as slow as GloVe",
    "C5": "as much memory as GloVe, on the host",
    "C6": "entropy falls with depth",
    "C7": "the mean dilutes the signal",
    "Q1": "fine-tuning passes GloVe",
    "Q2": "learned attention beats the mean",
    "Q3": "MiniLM's own vectors are better",
    "N1": "a probe reads more in deep layers",
}
MODELS = {
    "SmolLM2": "smollm2-135m",
    "MiniLM": "all-minilm-l6-v2-layers",
    "demo": "demo",
    "6v0-3m": "rwkv6-3m",
    "SmolLM2,\nuntrained": "smollm2-untrained",
    "demo,\nuntrained": "demo-untrained",
    "6v0-3m,\nuntrained": "rwkv6-3m-untrained",
}
LOOKS = {
    "supported": ("yes", "#0072b2", "white"),
    "contradicted": ("no", "#d55e00", "white"),
    "not resolvable at this n": ("open", "#d9d9d9", "black"),
    "depends on the measure": ("mixed", "#f0e442", "black"),
}


def verdict(rows):
    """The one verdict of the main measures of a claim and a model; None where nothing was tested."""
    found = rows["verdict"].unique().to_list()
    return None if not found else found[0] if len(found) == 1 else "depends on the measure"


def main():
    table = pl.read_csv(HERE / "claims.csv", infer_schema_length=None)
    figure, axes = plt.subplots(figsize=(9.2, 5.2))
    for y, claim in enumerate(CLAIMS):
        of_claim = table.filter(pl.col("main") | (pl.col("measure") == "memory"), claim=claim)
        for x, model in enumerate(MODELS.values()):
            mine = of_claim.filter(pl.col("model").str.replace(r"-tuned-\d$", "") == model)
            found = verdict(mine)
            if found is None:
                axes.text(x, y, "–", ha="center", va="center", color="#8a8a8a")
                continue
            word, colour, ink = LOOKS[found]
            axes.add_patch(plt.Rectangle((x - 0.46, y - 0.4), 0.92, 0.8, color=colour))
            axes.text(x, y, word, ha="center", va="center", color=ink, fontsize=10)
    axes.set_xlim(-0.5, len(MODELS) - 0.5)
    axes.set_ylim(len(CLAIMS) - 0.5, -0.5)
    axes.set_xticks(range(len(MODELS)), list(MODELS), fontsize=9.5)
    axes.set_yticks(range(len(CLAIMS)), [f"{text}  {claim}" for claim, text in CLAIMS.items()], fontsize=10)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.axvline(3.5, color="black", linewidth=0.8)
    axes.axhline(6.5, color="black", linewidth=0.8)
    figure.tight_layout()
    figure.savefig(sys.argv[1], dpi=160)


if __name__ == "__main__":
    main()
