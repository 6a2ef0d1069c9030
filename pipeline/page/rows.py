"""The rows behind each chart: figures for its marks, and as `text` the same figures as pages print them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.page.series import with_names
from pipeline.report import cost_rows
from pipeline.report.layers_picture import together
from pipeline.report.lines_across import apart
from pipeline.report.markdown import visible
from pipeline.report.numbers import decimals, fixed, interval, is_significant, p_value, signed, significant
from pipeline.report.numbers import with_interval as bracketed

Rows = list[dict[str, Any]]
DIGITS = 6
"""significant digits of what marks are placed by; no screen shows more"""
BINS = 24
NAME_HEIGHT = 0.045
"""height of a name beside a chart of layers, as a share of the chart's"""


def number(value: float | None) -> float | None:
    """A figure as a mark is placed by it, None for what is undefined."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.{DIGITS}g}")


def layers(table: pl.DataFrame, seeds: Mapping[str, str], splits: Sequence[str]) -> Rows:
    """CORRELATIONS -> a row for each split, curve and layer. Models that differ in their seed are one curve: the mean,
    with the range as its band.
    """
    curves = together(table.filter(pl.col("layer").is_not_null(), pl.col("split").is_in(splits)), seeds)
    rows = []
    for row in with_names(curves, seeds).iter_rows(named=True):
        low, high = row["spearman_band_low"], row["spearman_band_high"]
        several = row["models"] > 1
        places = decimals(low, high)
        text = fixed(row["spearman"], places) if several else bracketed(row, "spearman")
        rows.append(
            {
                "split": row["split"],
                "group": row["group"],
                "layer": row["layer"],
                "rho": number(row["spearman"]),
                "low": number(low),
                "high": number(high),
                "text": text,
                "band": f"{interval(low, high)}{', range of seeds' if several else ''}",
                "auc": "" if several or row["positives"] is None else bracketed(row, "auc"),
                "selected": bool(row["selected"]),
            }
        )
    return rows


def floors(table: pl.DataFrame, splits: Sequence[str]) -> Rows:
    """CORRELATIONS -> a row for each split and encoder without layers; `place`: where its `label` has room."""
    named = with_names(table.filter(pl.col("layer").is_null(), pl.col("split").is_in(splits)), {})
    low, high = span(table.filter(pl.col("split").is_in(splits)))
    rows: Rows = []
    for split in splits:
        of_split = named.filter(pl.col("spearman").is_not_null(), split=split).sort("spearman")
        places = apart(of_split["spearman"].to_numpy(), NAME_HEIGHT * (high - low), low, high)
        for row, place in zip(of_split.iter_rows(named=True), places):
            figures = {"rho": number(row["spearman"]), "place": number(place), "text": bracketed(row, "spearman")}
            names = {"group": row["group"], "label": beside_chart(row, "spearman", row["group"])}
            rows.append({"split": split} | names | figures)
    return rows


def beside_chart(row: Mapping[str, Any], statistic: str, name: str) -> str:
    """A name beside a chart with its figure in front: names that need room do not stand at their lines."""
    return f"{fixed(row[statistic], decimals(row[f'{statistic}_low'], row[f'{statistic}_high']))} {name}"


def span(table: pl.DataFrame) -> tuple[float, float]:
    """From the smallest to the largest rho or end of a band, with some room."""
    ends = table.select(pl.concat_list("spearman", "spearman_band_low", "spearman_band_high").explode().drop_nulls())
    values = ends.to_series().to_numpy()
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 0.04 * (high - low) or 0.1
    return low - room, high + room


def heat(curves: pl.DataFrame, poolings: pl.DataFrame) -> Rows:
    """CURVES and POOLINGS -> a row for each split, model, pooling and layer."""
    chosen = poolings.filter(family="pooling").select("encoder", "pooling", "layer").unique()
    chosen_layers = {(encoder, pooling): layer for encoder, pooling, layer in chosen.iter_rows()}
    return [
        {
            "split": row["split"],
            "cell": visible(row["encoder"]),
            "pooling": row["pooling"].replace("_", " "),
            "layer": "mix" if row["layer"] is None else str(row["layer"]),
            "rho": number(row["spearman"]),
            "text": fixed(row["spearman"]) + spread(row),
            "chosen": chosen_layers.get((row["encoder"], row["pooling"])) == str(row["layer"]),
        }
        for row in curves.iter_rows(named=True)
    ]


def spread(row: Mapping[str, Any]) -> str:
    """The range over the runs of a learned pooling, nothing for one that is not learned."""
    return "" if row["least"] == row["most"] else f" (runs {fixed(row['least'])} to {fixed(row['most'])})"


def against_reference(table: pl.DataFrame, seeds: Mapping[str, str], splits: Sequence[str]) -> Rows:
    """CORRELATIONS -> how each encoder, at its selected layer, differs from the reference."""
    named = with_names(table, seeds).filter(
        "selected", pl.col("difference").is_not_null(), pl.col("split").is_in(splits)
    )
    return [
        {"split": row["split"], "group": row["group"], "label": at_layer(row["series"], row["layer"])}
        | difference(row, "difference_p")
        for row in named.iter_rows(named=True)
    ]


def against_mean(poolings: pl.DataFrame) -> Rows:
    """POOLINGS -> how each pooling of a model, at the layer chosen on train, differs from the mean's."""
    rows = poolings.filter(pl.col("difference").is_not_null(), family="pooling")
    first = poolings.filter(pl.col("against").is_null(), family="pooling").select("encoder", against="pooling").unique()
    return [
        {"split": row["split"], "cell": visible(row["encoder"])}
        | {"label": at_layer(row["pooling"].replace("_", " "), row["layer"])}
        | difference(row, "p")
        for row in rows.join(first, on=["encoder", "against"], maintain_order="left").iter_rows(named=True)
    ]


def difference(row: Mapping[str, Any], p: str) -> dict[str, Any]:
    """The figures of a difference, and which way it is significant."""
    side = "above" if row["difference"] > 0 else "below"
    found = is_significant(row[p])
    return {
        **{name: number(row[name]) for name in ("difference", "difference_low", "difference_high")},
        "verdict": f"significantly {side}" if found else "not significant",
        "p": p_value(row[p]),
        "text": signed(row, "difference"),
        "detectable": significant(row["detectable"]),
    }


def at_layer(name: str, layer: int | str | None) -> str:
    """`demo, layer 3`, `attention, layers 0+2`."""
    if layer in (None, ""):
        return name
    return f"{name}, layer{'s' if '+' in str(layer) else ''} {layer}"


def costs(efficiency: pl.DataFrame, table: pl.DataFrame, seeds: Mapping[str, str], splits: Sequence[str]) -> Rows:
    """EFFICIENCY and CORRELATIONS -> a row for each split, encoder and layer that both have."""
    rows: Rows = []
    for split in splits:
        of_split = cost_rows.rows(efficiency, table, split)
        known = with_names(of_split.with_columns(correction=pl.lit("none")), seeds)
        for row in known.iter_rows(named=True):
            figures = {"ms": number(row["ms"]), "rho": number(row["spearman"]), "front": bool(row["front"])}
            figures |= {"low": number(row["spearman_low"]), "high": number(row["spearman_high"])}
            texts = {"text": bracketed(row, "spearman"), "time": f"{significant(row['ms'])} ms"}
            rows.append({"split": split, "group": row["group"], "series": row["series"], "layer": row["layer"]})
            rows[-1] |= {"selected": bool(row["selected"]), "label": at_layer(row["series"], row["layer"])}
            rows[-1] |= figures | texts
    return rows


def histograms(named: pl.DataFrame, scores: Mapping[tuple, np.ndarray], labels: np.ndarray, members: Mapping) -> Rows:
    """`with_names` of selected rows, {key of C5: (P,) scores}, labels (P,), {split: rows of pairs} -> a row for each
    split, encoder, class of labels and bin: the share of the class's pairs in it.
    """
    rows: Rows = []
    classes = classes_of(labels)
    for row in named.iter_rows(named=True):
        at = members[row["split"]]
        values = scores[tuple(row[key] for key in ("encoder", "pooling", "correction", "layer", "similarity"))][at]
        edges = np.histogram_bin_edges(values, BINS)
        for label, inside in classes.items():
            counts, _ = np.histogram(values[inside[at]], edges)
            steps = zip(edges, [*edges[1:], edges[-1]], [*counts, counts[-1]])  # the last again, to end its step
            for start, end, count in steps:
                one = {"split": row["split"], "group": row["group"], "cell": at_layer(row["series"], row["layer"])}
                place = {"start": number(start), "end": number(end), "pairs": int(count)}
                rows.append(one | {"label": label, "share": number(count / max(1, counts.sum()))} | place)
    return rows


def classes_of(labels: np.ndarray) -> dict[str, np.ndarray]:
    """(P,) labels -> {what a class is called: (P,) bool}: each label where there are two, else thirds of the grades."""
    distinct = np.unique(labels)
    if len(distinct) <= 2:
        return {f"label {label:g}": labels == label for label in distinct}
    low, high = np.quantile(labels, [1 / 3, 2 / 3])
    middle = (labels > low) & (labels <= high)
    names = [f"label up to {low:g}", f"label up to {high:g}", f"label above {high:g}"]
    return {name: inside for name, inside in zip(names, (labels <= low, middle, labels > high)) if inside.any()}


def shapes(curves: pl.DataFrame, facts: Mapping[str, Any], groups: Mapping[str, str]) -> Rows:
    """The rows of JOINED (formats.geometry) that are curves -> a row for each measure, model and layer; `groups`:
    {model: its group}.
    """
    rows: Rows = []
    for name, about in facts.get("measures", {}).items():
        title = about["title"] + (f" ({about['unit']})" if about["unit"] else "")
        cell = f"{title}, tokens" if about["level"] == "tokens" else title
        for row in curves.filter(measure=name).iter_rows(named=True):
            text = significant(row["value"], 3)
            if row["low"] is not None and row["high"] is not None:
                text += f" [{significant(row['low'], 3)}, {significant(row['high'], 3)}]"
            figures = {end: number(row[end]) for end in ("value", "low", "high")}
            names = {"cell": cell, "group": groups.get(row["encoder"], ""), "model": visible(row["encoder"])}
            rows.append(names | {"layer": row["layer"], "text": text} | figures)
    return rows


def squares(joined: pl.DataFrame) -> Rows:
    """JOINED -> CKA of all pairs of layers, both triangles and the diagonal."""
    rows: Rows = []
    pairs = joined.filter(pl.col("other").is_not_null(), measure="cka")
    for (model,), of_model in pairs.group_by("encoder", maintain_order=True):
        name = visible(str(model))
        for layer, other, value in of_model.select("layer", "other", "value").iter_rows():
            for x, y in ((layer, other), (other, layer)):
                rows.append({"cell": name, "x": x, "y": y, "value": number(value), "text": fixed(value)})
        for layer in sorted({*of_model["layer"], *of_model["other"]}):
            rows.append({"cell": name, "x": layer, "y": layer, "value": 1.0, "text": "1, the layer itself"})
    return rows


def columns(rows: Rows) -> dict[str, list]:
    """Rows -> columns, which take a third of the bytes."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
