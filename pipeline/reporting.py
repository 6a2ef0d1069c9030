"""results/report.md and its picture. The only place where figures are rounded."""

from dataclasses import dataclass

import polars as pl

from pipeline import fitted
from pipeline.correlation import KEYS, Correlate, name_of, selected
from pipeline.params import at_least

FEW = 30  # components below which a bootstrap interval is marked as worthless


@dataclass(frozen=True)
class Report:
    """Section `report` of params.yaml."""

    false_positives: int
    """how many of the worst false positives to show for each model"""

    def __post_init__(self):
        at_least("report", self, false_positives=0)


def with_interval(row, name):
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return "undefined" if value is None else f"{value:.4f} [{low:.3f}, {high:.3f}]"


def signed(row, name):
    """A difference or slope with its interval, or nothing where there is none."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return "" if None in (value, low) else f"{value:+.4f} [{low:+.3f}, {high:+.3f}]"


def p_value(p):
    return "" if p is None else "< .0001" if p < 1e-4 else f"{p:.2g}"


def markdown_table(header, rows, left=3):
    """Header cells and rows of cells -> lines of a Markdown table; the first `left` columns are text, the others numbers."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    return ["| " + " | ".join(map(str, cells)) + " |" for cells in (header, rule, *rows)]


def reported_splits(table, subsets):
    """All splits and subsets but the split that layers were chosen on; all where no other split is left."""
    splits, chosen_on = table["split"].unique(maintain_order=True).to_list(), selected(table)[1]
    others = [split for split in splits if split != chosen_on]
    return others if set(others) - set(subsets) else splits


def results(table, split):
    """The table of one split, best first: each encoder at its selected layer."""
    rows = selected(table)[0].filter(pl.col("split") == split).sort("spearman", descending=True, nulls_last=True)
    header = ["encoder", "pooling", "similarity", "layer", "rho", "AUC", "Pearson's r", "rho / ceiling"]
    cells = [
        [
            name_of(row),
            row["pooling"] or "",
            row["similarity"],
            "" if row["layer"] is None else row["layer"],
            with_interval(row, "spearman"),
            with_interval(row, "auc") if row["positives"] is not None else "",
            "undefined" if row["pearson"] is None else f"{row['pearson']:.4f}",
            "" if row["spearman"] is None else f"{row['spearman_of_ceiling']:.3f}",
        ]
        for row in rows.iter_rows(named=True)
    ]
    return markdown_table(header, cells)


def comparison(table, split, reference):
    """Lines on what each encoder has beyond the reference on one split, and how small a difference would have been found."""
    rows = selected(table)[0].filter(pl.col("split") == split, pl.col("detectable").is_not_null()).sort("difference", descending=True)
    if rows.is_empty():
        return []
    header = ["encoder", "pooling", f"rho less that of {reference}", "p", f"rho given {reference}"]
    binary = rows["auc_difference"].is_not_null().any()
    cells = []
    for row in rows.iter_rows(named=True):
        auc = ["" if row["auc_difference"] is None else f"{row['auc_difference']:+.4f}", p_value(row["auc_difference_p"])]
        own = [name_of(row), row["pooling"] or "", signed(row, "difference"), p_value(row["difference_p"]), signed(row, "partial")]
        cells.append(own + auc * binary)
    smallest, largest = (f"{bound:.3f}" for bound in (rows["detectable"].min(), rows["detectable"].max()))
    size = smallest if smallest == largest else f"{smallest} to {largest}, depending on the encoder,"
    sentence = f"A true difference in rho of {size} would be found with 80 % power at p < .05, before Holm's correction."
    lines = markdown_table(header + ["AUC less", "p (DeLong)"] * binary, cells, left=2)
    return [f"### Against {reference} ({split})", "", *lines, "", sentence, ""]


def classification(table, split):
    """Lines on 0/1 decisions on one split, best first, and those that need no scores; none for graded labels."""
    names = ["accuracy", "f1", "balanced_accuracy", "mcc"]
    rows = selected(table)[0].filter(pl.col("split") == split, pl.col("accuracy").is_not_null()).sort("accuracy", descending=True)
    if rows.is_empty():
        return []
    share, best, n = (rows[name][0] for name in ("positives", "accuracy", "n"))
    figures = [([name_of(row), row["pooling"] or ""], [row[name] for name in names]) for row in rows.iter_rows(named=True)]
    figures += [(["*always positive*", ""], [share, 2 * share / (1 + share), 0.5, 0])]
    figures += [(["*never positive*", ""], [1 - share, 0, 0.5, 0])] * (share < 0.5)
    cells = [[*who, *("undefined" if value is None else f"{value:.4f}" for value in values)] for who, values in figures]
    lines = markdown_table(["encoder", "pooling", "accuracy", "F1", "balanced accuracy", "MCC"], cells, left=2)
    error = (best * (1 - best) / n) ** 0.5
    sentence = f"Were pairs independent, the best accuracy would have a standard error of {error:.3f}: differences of that size mean little."
    return [f"### Positive or not ({split})", "", *lines, "", sentence, ""]


def depth(table, splits):
    """The slope of rho on the layer number of every model, two columns a split; none without layers."""
    rows = selected(table)[0].filter(pl.col("slope").is_not_null() & pl.col("split").is_in(splits))
    lines = {}
    for row in rows.iter_rows(named=True):
        lines.setdefault((name_of(row), row["pooling"], row["similarity"]), {})[row["split"]] = [signed(row, "slope"), p_value(row["slope_p"])]
    header = ["encoder", "pooling", "similarity"] + [cell for split in splits for cell in (f"{split}: rho per layer", "p")]
    return markdown_table(header, [[*key, *(cell for split in splits for cell in found.get(split, ["", ""]))] for key, found in lines.items()]) if lines else []


def facts(table, split, info):
    """A sentence on a split: size, components, share of positives, ceiling; and one more where layers were chosen on it."""
    row, chosen_on = table.filter(pl.col("split") == split).row(0, named=True), selected(table)[1]
    share = "" if row["positives"] is None else f", {row['positives']:.3f} positive"
    sentence = f"{row['n']} pairs in {row['components']} components{share}; the rho of untied scores cannot exceed {row['ceiling']:.4f}."
    if shared := info["shared"].get(split):
        sentence += f" {shared} of them are in components that reach into another split."
    if row["components"] < FEW:
        sentence += f" **Fewer than {FEW} components: too few for these intervals to mean anything.**"
    if chosen_on in (split, info["subsets"].get(split, [None])[0]):
        sentence += " **Layers and thresholds were chosen on these pairs, so the figures of models are inflated by that choice.**"
    return sentence


def all_layers(table, splits):
    """rho of every layer of every model, a column a split."""
    rows = table.filter(pl.col("layer").is_not_null() & pl.col("split").is_in(splits))
    keys = ["encoder", "pooling", "correction", "similarity", "layer"]
    lines = {}
    for row in rows.sort(keys, maintain_order=True).iter_rows(named=True):
        lines.setdefault(tuple(row[key] for key in keys), {})[row["split"]] = with_interval(row, "spearman")
    return markdown_table([*keys, *splits], [[*key, *(cells.get(s, "") for s in splits)] for key, cells in lines.items()], left=4)


def gate_table(manifests):
    """What each model makes of the text, in bits per byte, beside two models of frequencies."""
    rows = []
    for name, manifest in manifests.items():
        gate = manifest["gate"]
        if gate is None:
            rows.append([name, manifest["sentences"], manifest["truncated"], manifest["tokens"], "", "", "", "not measured"])
            continue
        untrained = "random" in manifest["parts"]["weights"]
        verdict = "yes" if gate["passed"] else "no (random weights)" if untrained else "**NO: check the tokenizer**"
        figures = [f"{gate[k]:.3f}" for k in ("bits_per_byte", "unigram_byte", "unigram_token")]
        rows.append([name, manifest["sentences"], manifest["truncated"], manifest["tokens"], *figures, verdict])
    header = ["model", "sentences", "truncated", "tokens", "bits per byte", "byte frequencies", "token frequencies", "reads the text"]
    return markdown_table(header, rows)


def false_positives(table, scores, pairs, sentences, split, count):
    """The pairs of a split with label 0 (or the lowest grade) that each model holds most alike, at its selected layer."""
    lines = []
    lowest = pairs.filter(pl.col("split") == split)["label"].min()
    for row in selected(table)[0].filter((pl.col("split") == split) & pl.col("layer").is_not_null()).iter_rows(named=True):
        here = scores.filter(pl.all_horizontal(pl.col(name).eq_missing(row[name]) for name in KEYS), split=split)
        here = here.with_columns(pl.col("score").rank("min", descending=True).alias("rank"))
        worst = (
            here.filter(label=lowest)
            .sort("score", "pair_id", descending=[True, False])
            .head(count)
            .join(pairs, on="pair_id", how="left", maintain_order="left")
        )
        lines += [f"**{name_of(row)}**, {row['pooling']}, layer {row['layer']}, {row['similarity']}:", ""]
        for pair in worst.iter_rows(named=True):
            first, second = (sentences["text"][pair[column]] for column in ("sentence1_id", "sentence2_id"))
            lines += [
                f"- {pair['score']:.4f} (rank {pair['rank']} of {len(here)}), pair {pair['pair_id']}  ",
                f"  {escaped(first)}  ",
                f"  {escaped(second)}",
            ]
        lines.append("")
    return lines


def escaped(text):
    """Text that Markdown shows as it is."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|~$" else c for c in text)


def report(table, scores, pairs, sentences, info, manifests, baselines, correlate: Correlate, params: Report):
    """Everything -> the lines of results/report.md, with results/layers.png beside it."""
    splits = reported_splits(table, info["subsets"])
    lines = [f"# {info['dataset']}: similarity scores against labels", ""]
    for name, manifest in manifests.items():
        if manifest["gate"] and not manifest["gate"]["passed"]:
            lines += [f"> **Warning:** {name} does not read this text. {why(manifest)}", ""]
    chosen_on, share = selected(table)[1], f"{100 * correlate.confidence:g} %"
    lines += [
        f"Spearman's rho, AUC and Pearson's r of each pair's score with its label. Brackets: {share} intervals, one by one, by a "
        f"bootstrap over components of pairs that share sentences ({correlate.resamples:,} resamples). "
        f"The layer of each model is the one with the largest rho on {chosen_on}. p-values are Holm's over the rows of their table, "
        "column by column, so an interval without 0 can stand beside a large p.",
        "",
    ]
    if learned := [name for name in table["pooling"].drop_nulls().unique() if name.startswith(tuple(fitted.NAMES))]:
        lines += [
            f"**{', '.join(learned)} was learned from the labels of the train pairs**, which no baseline here has seen. Here is one run, and its layer "
            "and threshold are chosen on pairs it has learned from; [poolings.md](poolings.md) has the mean of all runs, chooses by pairs held out, and tests "
            "it against the mean and its control.",
            "",
        ]
    if correlate.reference:
        lines += [
            f"*Against {correlate.reference}*: differences are paired over the same resamples (p: bootstrap); those of AUC are tested a second way, by "
            f"DeLong's method over components. *rho given {correlate.reference}* is the partial rho: what is left of the ranks of scores and labels after "
            f"their regressions on the ranks of {correlate.reference}; its interval is not corrected for the number of encoders. A second "
            "measure of overlap can have some left too, so it alone is no evidence of more than words.",
            "",
        ]
    if table["accuracy"].is_not_null().any():
        lines += [f"*Positive or not*: a pair is called positive above the threshold that is most often right on {chosen_on}.", ""]
    lines += ["![rho by layer](layers.png)", ""]
    if table["layer"].is_not_null().any():
        lines += [f"Shaded: {share} bands that hold for all layers of a curve at once. Bars: {share} intervals of encoders without layers, one by one.", ""]
    for split in splits:
        lines += [f"## {split}", "", facts(table, split, info), "", *results(table, split), ""]
        lines += [*comparison(table, split, correlate.reference), *classification(table, split)]
    if trends := depth(table, splits):
        lines += ["## Does rho rise or fall with depth?", "", *trends, ""]
        lines += [
            "Least-squares slope of rho on the layer number over the whole curve, with the intervals and tests of the same resamples (p: Holm's over the "
            "models of a split). No choice of a layer enters. A curve that rises and falls again can have a slope of 0.",
            "",
        ]
    lines += ["## Does each model read the text?", "", *gate_table(manifests), ""]
    lines += [
        "Bits per byte of UTF-8 on a sample of the sentences, the first token of each charged log2(vocabulary) bits. A model that is no better than the "
        "frequencies of bytes, or of its own tokens (both leave-one-out), is untrained or is fed another model's ids.",
        "",
    ]
    if covered := {name: about for name, about in baselines.items() if "coverage" in about}:
        header = ["baseline", "dimensions", "share of words known", "sentences without a known word"]
        rows = [[name, about["dim"], f"{about['coverage']:.4f}", about["sentences_without_a_known_word"]] for name, about in covered.items()]
        lines += ["## Coverage of word vectors", "", *markdown_table(header, rows), ""]
    if params.false_positives:
        split = [split for split in splits if split not in info["subsets"]][-1]
        lines += [f"## Worst false positives ({split})", "", *false_positives(table, scores, pairs, sentences, split, params.false_positives)]
    lines += ["## Every layer", "", "rho, with the interval of each layer by itself.", "", *all_layers(table, splits), ""]
    return [*lines, "## Where the states come from", "", *provenance(manifests), ""]


def provenance(manifests):
    """What determined each dump, shortened; data/manifests/MODEL.json has all of it."""
    rows = []
    for name, manifest in manifests.items():
        parts = manifest["parts"]
        weights = f"seed {parts['weights']['random']}" if "random" in parts["weights"] else f"sha256 {parts['weights']['sha256'][:12]}"
        types = f"{parts['dtype']}, stored as {parts['store']}"
        kept = f"{parts['keep']} of {len(parts['layers'])} layers"
        versions = ", ".join(f"{package} {version}" for package, version in parts["versions"].items())
        rows.append([name, weights, parts["tokens"]["tokenizer"]["kind"], types, kept, versions, manifest["key"]])
    return markdown_table(["model", "weights", "tokenizer", "types", "kept", "versions", "key of the dump"], rows, left=7)


def why(manifest):
    """One sentence or two on a failed gate."""
    gate = manifest["gate"]
    cause = "its weights are random" if "random" in manifest["parts"]["weights"] else "it is untrained, or its tokenizer is not the one it was trained with"
    return (
        f"It needs {gate['bits_per_byte']:.2f} bits per byte, byte frequencies need {gate['unigram_byte']:.2f} and token frequencies "
        f"{gate['unigram_token']:.2f}: {cause}. Whatever its layers show here is not language understanding."
    )


def layer_curve(table, splits, path):
    """rho by layer with the band of its curve, one panel a split, and the encoders without layers with their intervals beside them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    table = table.filter(pl.col("split").is_in(splits))
    deep, flat = table.filter(pl.col("layer").is_not_null()), table.filter(pl.col("layer").is_null())
    keys = ["encoder", "pooling", "correction", "similarity"]
    curves = deep.select(keys).unique(maintain_order=True).rows()
    colours = dict(zip(curves, plt.get_cmap("tab10").colors * (1 + len(curves) // 10)))
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.6}):
        names = [name_of(row) + f" {row['pooling']}" * (row["pooling"] not in (None, "mean")) for row in flat.filter(split=splits[0]).iter_rows(named=True)]
        widths = [3.6 if curves else 0.4, max(0.6, 0.24 * len(names))] * len(splits)  # a mix of layers leaves no curve
        figure, axes = plt.subplots(1, 2 * len(splits), figsize=(sum(widths) + 1.2, 3.6), sharey=True, width_ratios=widths, layout="constrained", squeeze=False)
        figure.get_layout_engine().set(wspace=0, w_pad=0.02)
        for i, split in enumerate(splits):
            left, right = axes[0][2 * i], axes[0][2 * i + 1]
            for curve in curves:
                rows = deep.filter(pl.col("split") == split, *(pl.col(key) == value for key, value in zip(keys, curve))).sort("layer")
                left.fill_between(rows["layer"], rows["spearman_band_low"], rows["spearman_band_high"], color=colours[curve], alpha=0.15, linewidth=0)
                shown = " ".join([curve[0], curve[1]] + [curve[2]] * (curve[2] != "none") + [curve[3]] * (curve[3] != "cosine"))
                left.plot(rows["layer"], rows["spearman"], color=colours[curve], marker="o", markersize=3, linewidth=1.4, label=shown)
            left.set_title(split, loc="left", fontweight="bold")
            if curves:
                left.set_xlabel("layer (0 = embedding)")
                left.xaxis.get_major_locator().set_params(integer=True)
            else:
                left.set_xticks([])
            rows = flat.filter(split=split)
            x = range(len(rows))
            errors = [(rows["spearman"] - rows["spearman_low"]).clip(0).to_list(), (rows["spearman_high"] - rows["spearman"]).clip(0).to_list()]
            right.errorbar(x, rows["spearman"], yerr=errors, fmt="s", markersize=3.5, color="0.35", ecolor="0.7", elinewidth=2.5)
            right.set_xticks(x, names, rotation=60, ha="right", rotation_mode="anchor")
            right.set_xlim(-0.6, max(len(rows) - 0.4, 0.4))
            right.spines["left"].set_visible(False)
            right.tick_params(axis="y", length=0)
            right.grid(axis="x", visible=False)
            if (table["spearman_low"] < 0).any() or (table["spearman_band_low"] < 0).any():
                for axis in (left, right):
                    axis.axhline(0, color="0.4", linewidth=0.8)
        axes[0][0].set_ylabel("Spearman's rho with the labels")
        if curves:
            figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False)
        figure.savefig(path, dpi=160, format="png")
        plt.close(figure)
