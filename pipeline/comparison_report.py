"""results/poolings.md and its picture: what `comparing` found, and what attention looks at."""

from itertools import groupby

import numpy as np
import polars as pl
from scipy import stats

from pipeline import comparing
from pipeline.reporting import escaped, markdown_table, p_value, signed, with_interval

RARE = 10  # tokens seen less often are not listed
LISTED = 12  # tokens at either end
EXAMPLES = 3  # sentences with their weights


def page(table, left_out, fits, looks, info, params, chosen_on):
    """The lines of the page: table of `comparing.compare` for all encoders, {encoder: {what was left out: why}}, {encoder: fit.json},
    {encoder: lines of `look`}, the info of the pairs, the section `correlate` and the split that layers were chosen on."""
    lines = [f"# {info['dataset']}: which pooling?", ""]
    lines += [
        f"Spearman's rho of scores and labels. The layer of each line is the one with the largest rho on {chosen_on}. Brackets: {100 * params.confidence:g} % "
        f"intervals by a bootstrap over components ({params.resamples:,} resamples), paired for differences. `choosing again`: the same with the "
        f"layer chosen anew in every resample of {chosen_on}, for what the choice adds to the uncertainty. p: Holm's over the poolings of a table, over its "
        "corrections, and over its similarities, so an interval without 0 can stand beside a large p; `{comparing.ALL}` is one test of its own, of "
        f"{comparing.ALL_RESAMPLES:,} resamples. `found from`: the difference that a test finds in 80 % of samples, before that correction. "
        "Learned poolings are means over their runs, with the standard deviation between runs; "
        "their layers are chosen by train pairs that a run had held out. Intervals and p take these runs as they are: they are about other test pairs, "
        "not about learning from other train pairs.",
        "",
    ]
    if chosen_on in table["split"]:
        lines += [f"**There is no split but {chosen_on}**: rho is of the pairs that the layers were chosen on, which flatters a choice among many.", ""]
    if table.is_empty():
        lines += ["There are no models: `models` in params.yaml is empty.", ""]
    lines += ["![rho by layer, and differences from the mean](poolings.png)", ""]
    for encoder in table["encoder"].unique(maintain_order=True):
        here = table.filter(encoder=encoder)
        lines += [f"## {encoder}", ""]
        parts = here.partition_by("split", maintain_order=True)
        for part in parts:
            lines += [f"**{part['split'][0]}** ({part['n'][0]} pairs). {answer(part)}", ""]
        last = main_split(table, info["subsets"])
        lines += [f"### {encoder}, every pooling, {last}", "", *results(here.filter(split=last)), ""]
        lines += [*learned(fits[encoder], here), *looks.get(encoder, [])]
        if left_out[encoder]:
            lines += ["Left out: " + "; ".join(f"{name} ({why})" for name, why in left_out[encoder].items()) + ".", ""]
    return lines


def main_split(table, subsets):
    """The last split of a table of `comparing.compare` that is no subset of another, of which the page shows everything; None without models."""
    return next((split for split in table["split"].unique(maintain_order=True).reverse() if split not in subsets), None)


def answer(part):
    """What can be said of learned attention on one split, in a sentence or two."""
    found = {row["against"]: row for row in part.filter(family="pooling", pooling=comparing.CONTROL[0]).iter_rows(named=True)}
    row, control = found.get("mean"), found.get(comparing.CONTROL[1])
    if row is None or row["p"] is None:
        return "Learned attention was not compared with the mean."
    if is_mean(part, comparing.CONTROL[0]):
        return "Attention has learned nothing beyond noise at the layer chosen: it is the mean."
    verdict = "differs from" if row["p"] < 0.05 else "cannot be told from"
    text = f"Learned attention {verdict} the mean: {signed(row, 'difference')}, p {equals(row['p'])}"
    if control and is_mean(part, comparing.CONTROL[1]):
        text += ". Its control of as many parameters has learned nothing beyond noise at the layer chosen and is the mean"
    elif control and control["p"] is not None:
        verdict = "and differs from" if control["p"] < 0.05 else "but cannot be told from" if row["p"] < 0.05 else "nor from"
        text += f"; {verdict} its control of as many parameters: {signed(control, 'difference')}, p {equals(control['p'])}"
    return f"{text}."


def is_mean(part, name):
    """Whether the runs of a learned pooling are all the mean of the same layer, which the guard of the fit keeps."""
    rows = part.filter(pl.col("against") == "mean", family="pooling", pooling=name)
    mean = part.filter(pl.col("against").is_null(), family="pooling", pooling="mean")
    return bool(len(rows)) and bool(len(mean)) and rows["layer"][0] == mean["layer"][0] and rows["spread"][0] == 0 and abs(rows["difference"][0]) < 1e-9


def equals(p):
    """= p, or < a bound."""
    return shown if (shown := p_value(p)).startswith("<") else f"= {shown}"


def results(part):
    """The table of one encoder and split."""
    header = ["what", "layer", "rho", "sd of runs", "difference", "against", "choosing again", "p", "found from"]
    shown = {"pooling": lambda row: row["pooling"], "correction": lambda row: f"{row['pooling']}, {row['correction']}"}
    shown["similarity"] = lambda row: f"{row['pooling']}, {row['similarity']}"
    cells = []
    for row in part.iter_rows(named=True):
        name = shown.get(row["family"], lambda row: f"{row['family']}: {row['pooling']}, {row['correction']}, {row['similarity']}")(row)
        again = "" if row["choice_difference_low"] is None else f"[{row['choice_difference_low']:+.3f}, {row['choice_difference_high']:+.3f}]"
        cells.append(
            [
                name.replace("_", " "),
                row["layer"],
                with_interval(row | {"spearman_low": row["low"], "spearman_high": row["high"]}, "spearman"),
                "" if row["spread"] is None else f"{row['spread']:.4f}",
                signed(row, "difference"),
                row["against"] or "",
                again,
                p_value(row["p"]),
                "" if row["detectable"] is None else f"{row['detectable']:.3f}",
            ]
        )
    return markdown_table(header, cells, left=2)


def learned(fit, here):
    """What was learned, at the layer that was chosen: the epoch, and rho of train pairs, each scored by the run that held it out."""
    if "nothing" in fit:
        return [f"Nothing was learned: {fit['nothing']}.", ""]
    cells = []
    for name, found in fit["poolings"].items():
        row = here.filter(family="pooling", pooling=name).head(1)
        if len(row):
            at = fit["layers"].index(int(row["layer"][0])) if row["layer"][0] else 0
            before, after, epoch, kept = (found[key][at] for key in ("rho_at_start", "rho_held_out", "epoch", "kept"))
            figures = ["undefined" if one is None else f"{one:.4f}" for one in (before, after)]
            cells.append([name.replace("_", " "), row["layer"][0], fit["settings"]["runs"], *figures, epoch, "yes" if kept else "no: the mean is kept"])
    header = ["learned", "layer", "runs", "rho of held-out train pairs at the start", "at the best epoch", "epoch", "beyond noise"]
    note = " Train labels were permuted: a control in which there is nothing to learn." * fit["settings"]["shuffle_labels"]
    return [f"{fit['pairs']} train pairs.{note}", "", *markdown_table(header, cells, left=2), ""] if cells else []


def look(weights, pieces, idf, pairs, layer):
    """What the first run of attention looks at, in the sentences of the last split: weights, text and idf of the tokens, {sentence_id:
    (T,)} each, at a layer -> lines. A weight is shown as a multiple of 1 / T, which is what the mean gives."""
    if not weights:
        return []
    ids = (
        pairs.filter(split=pairs["split"][-1])
        .sort("pair_id")
        .select(pl.concat_list("sentence1_id", "sentence2_id").explode())
        .to_series()
        .unique(maintain_order=True)
    )
    relative, pieces, idf = [weights[i] * len(weights[i]) for i in ids], [pieces[i] for i in ids], [idf[i] for i in ids]
    flat = pl.DataFrame({"piece": [p for one in pieces for p in one], "weight": np.concatenate(relative), "idf": np.concatenate(idf)})
    position = np.concatenate([np.arange(len(one)) / max(1, len(one) - 1) for one in relative])
    lines = [f"### What attention looks at (first run, layer {layer}, {len(pieces)} sentences)", ""]
    if flat["weight"].max() - flat["weight"].min() < 1e-4:
        return [*lines, "Every token weighs the same: the mean was kept.", ""]
    by_idf, by_position = (stats.spearmanr(flat["weight"], other).statistic for other in (flat["idf"], position))
    lines += [f"Spearman's rho of a token's weight and its idf: {by_idf:.2f}; and its place in the sentence: {by_position:.2f}.", ""]
    common = flat.group_by("piece").agg(pl.len().alias("count"), pl.col("weight").mean()).filter(pl.col("count") >= RARE).sort("weight", "piece")
    readable = common.filter(pl.col("piece").str.strip_chars().str.contains(r"^[\x21-\x7e]+$"))
    for title, rows in (("most", readable.tail(LISTED).reverse()), ("least", readable.head(LISTED))):
        shown = ", ".join(f"{escaped(piece.strip())} {weight:.2f}" for piece, weight in rows.select("piece", "weight").iter_rows())
        lines += [f"- weighs {title}, in multiples of the mean's weight: {shown}"]
    lines += [""]
    if np.mean([len(p) for one in pieces for p in one]) > 1.5:  # letters one by one are nothing to read
        lines += ["Bold: at least 1.5 times the mean's weight; small: at most half.", ""]
        lines += [f"- {marked(*one)}" for one in list(zip(pieces, relative))[:EXAMPLES]] + [""]
    return lines


def marked(pieces, weights):
    """A sentence in which heavy pieces are bold and light ones small; neighbours of one kind share their tags, and spaces stand outside."""
    tags, text = {1: ("<b>", "</b>"), 0: ("", ""), -1: ("<sub>", "</sub>")}, ""
    for kind, group in groupby(zip(pieces, weights), key=lambda one: int(one[1] >= 1.5) - int(one[1] <= 0.5)):
        part = "".join(piece for piece, _ in group)
        inner = part.strip()
        opening, closing = tags[kind] if inner else ("", "")
        text += " " * part[:1].isspace() + opening + escaped(inner) + closing + " " * (part[-1:].isspace() and len(part) > 1)
    return text.strip()


def picture(table, layers, split, path):
    """For each encoder: rho of some poolings by layer on a split, and the differences of all from the mean with their intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    encoders = table["encoder"].unique(maintain_order=True).to_list()
    lines = {
        "mean": "0.15",
        "attention": "tab:red",
        "diagonal": "tab:orange",
        "idf_mean": "tab:blue",
        "sif": "tab:cyan",
        "last": "tab:green",
        "max": "tab:purple",
    }
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.6}):
        count = max(1, len(encoders))
        figure, axes = plt.subplots(count, 2, figsize=(9.6, 3.7 * count), layout="constrained", squeeze=False, width_ratios=[1.15, 1])
        for (left, right), encoder in zip(axes, encoders):
            for name, colour in lines.items():
                rows = layers.filter(pl.col("layer").is_not_null(), encoder=encoder, split=split, pooling=name).sort("layer")
                if len(rows):
                    # where learned poolings kept the mean their lines coincide, and all three can still be seen
                    look = {"mean": {"linewidth": 3.2, "alpha": 0.75}, "diagonal": {"linestyle": (0, (2, 2)), "zorder": 3}}.get(name, {})
                    left.plot(rows["layer"], rows["spearman"], **{"color": colour, "marker": "o", "markersize": 3, "linewidth": 1.4, "label": name} | look)
                    left.fill_between(rows["layer"], rows["least"], rows["most"], color=colour, alpha=0.2, linewidth=0)
            left.set_title(f"{encoder}, {split}", loc="left", fontweight="bold")
            left.set_xlabel("layer (0 = embedding)")
            left.set_ylabel("Spearman's rho with the labels")
            left.xaxis.get_major_locator().set_params(integer=True)
            rows = table.filter(pl.col("against") == "mean", pl.col("family") == "pooling", pl.col("p").is_not_null(), encoder=encoder, split=split)
            rows = rows.sort("difference")
            colours = ["tab:red" if p < 0.05 else "0.55" for p in rows["p"]]
            y = np.arange(len(rows))
            right.hlines(y, rows["difference_low"], rows["difference_high"], color=colours, linewidth=2)
            right.scatter(rows["difference"], y, color=colours, s=22, zorder=3)
            layer = [f", layer {layer}" if layer else "" for layer in rows["layer"]]
            right.set_yticks(y, [name.replace("_", " ") + at for name, at in zip(rows["pooling"], layer)])
            right.axvline(0, color="0.3", linewidth=0.8)
            right.set_xlabel("rho less that of the mean (red: p < .05 after Holm)")
            right.grid(axis="y", visible=False)
        handles = {name: handle for left in axes[:, 0] for handle, name in zip(*left.get_legend_handles_labels())}
        if handles:
            figure.legend(handles.values(), [name.replace("_", " ") for name in handles], loc="outside upper left", ncols=len(handles), frameon=False)
        figure.savefig(path, dpi=160, format="png")
        plt.close(figure)
