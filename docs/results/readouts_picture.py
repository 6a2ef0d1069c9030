"""The two pictures of readouts.md, from the tables beside it.

python docs/results/readouts_picture.py docs/results/readouts.png docs/results/states.png
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl

HERE = Path(__file__).parent
DATASETS = {"mrpc": "MRPC", "stsb": "STS-B"}
CURVES = {  # readout -> its name, colour and marker
    "plain": ("mean of the tokens", "#8a8a8a", "^"),
    "echo": ("echo", "#d55e00", "o"),
    "prompteol": ("PromptEOL", "#56b4e9", "s"),
    "prompteol_one_shot": ("PromptEOL with an example", "#0072b2", "D"),
}
READOUTS = {  # those of the lower panels, from the top
    "prompteol_one_shot": "PromptEOL with an example",
    "pretended_cot": "pretended chain of thought",
    "prompteol": "PromptEOL",
    "prompteol-attention": "PromptEOL, attention's output",
    "echo": "echo",
    "task": "task prompt",
    "values": "values",
    "attention": "attention's output",
    "prepending-7": "token prepending, to layer 7",
    "prompteol-prepending-3": "PromptEOL, token prepending to 3",
    "prompteol-prepending-7": "PromptEOL, token prepending to 7",
}


def curves(axes, dataset, table, dice):
    for readout, (name, colour, marker) in CURVES.items():
        rows = table.filter(dataset=dataset, readout=readout, pooling="mean", correction="none").sort("layer")
        axes.plot(rows["layer"], rows["rho"], color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=name)
    axes.axhline(dice, color="black", linewidth=0.8, linestyle=":")
    axes.annotate("word overlap", (5.5, dice), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8)
    axes.set_title(DATASETS[dataset], fontsize=10)
    axes.set_xlabel("layer")


def differences(axes, dataset, table):
    rows = table.filter(dataset=dataset, model="smollm2-135m", pooling="mean", correction="none")
    for place, readout in enumerate(READOUTS):
        (row,) = rows.filter(readout=readout).iter_rows(named=True)
        colour = "#b3261e" if row["p"] < 0.05 else "#444444"
        axes.plot([row["difference_low"], row["difference_high"]], [place, place], color=colour, linewidth=1.4)
        axes.plot(row["difference"], place, marker="o", markersize=5, color=colour)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(READOUTS)), READOUTS.values() if dataset == "mrpc" else [""] * len(READOUTS), fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("rho, minus that of the mean of the tokens")


STATES = {  # of the state or of tokens -> what the line says, colour, line
    ("plain", "mean", "none"): ("mean of the tokens", "#8a8a8a", "-"),
    ("state", "state", "none"): ("state", "#0072b2", "-"),
    ("state", "state", "centre"): ("state, centred", "#0072b2", ":"),
    ("state", "state_per_head", "none"): ("state, each head of length 1", "#d55e00", "-"),
}
MODELS = {"demo": "demo model", "6v0-3m": "6v0-3m"}


def of_states(layers, path):
    figure, panels = plt.subplots(2, 2, figsize=(9.6, 5.6), sharex="row")
    for row, (model, title) in zip(panels, MODELS.items()):
        for (readout, pooling, correction), (name, colour, line) in STATES.items():
            rows = layers.filter(dataset="mrpc", model=model, readout=readout, pooling=pooling, correction=correction)
            rows = rows.sort("layer")
            for axes, column in zip(row, ("mean_cosine", "rho")):
                axes.plot(
                    rows["layer"], rows[column], color=colour, linestyle=line, marker="o", markersize=3, label=name
                )
        row[0].set_ylabel(f"{title}\nmean cosine of the pairs")
        row[1].set_ylabel("Spearman's rho on test")
        row[0].set_ylim(0.4, 1.02)
        row[1].set_ylim(0, 0.42)
    tidy(panels)
    for axes in panels[1]:
        axes.set_xlabel("layer")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.legend(handles, names, loc="upper center", ncols=4, fontsize=9, frameon=False)
    figure.savefig(path, dpi=160)


def tidy(panels):
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)


def main():
    table, layers = (pl.read_csv(HERE / f"readouts{end}.csv", infer_schema_length=None) for end in ("", "-by-layer"))
    smollm2 = layers.filter(model="smollm2-135m")
    figure, panels = plt.subplots(2, 2, figsize=(9.6, 7), height_ratios=[1, 0.95])
    for column, dataset in enumerate(DATASETS):
        plain = table.filter(dataset=dataset, model="smollm2-135m", readout="plain", pooling="mean", correction="none")
        curves(panels[0, column], dataset, smollm2, plain["rho"][0] - plain["above_dice"][0])
        differences(panels[1, column], dataset, table)
    panels[0, 0].set_ylabel("Spearman's rho on test")
    panels[0, 0].set_ylim(0, 0.45)
    panels[0, 1].set_ylim(0, 0.75)
    tidy(panels)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 0.96))
    figure.legend(handles, names, loc="upper center", bbox_to_anchor=(0.62, 1), ncols=4, fontsize=9, frameon=False)
    figure.savefig(sys.argv[1], dpi=160)
    of_states(layers, sys.argv[2])


if __name__ == "__main__":
    main()
