"""Probes on the page: what a linear classifier reads from each layer, beside the same of encoders without layers."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import polars as pl

from pipeline.page.charts import IN_CELL, IN_GROUPS, IN_SPLIT, NAMES, Looks, Spec, line, point, spec
from pipeline.page.rows import Rows, beside_chart, number
from pipeline.report.lines_across import apart
from pipeline.report.markdown import visible
from pipeline.report.numbers import p_value, signed
from pipeline.report.numbers import with_interval as bracketed

ROOM = 0.07
"""height of a name beside a chart, as a share of the chart's"""
TIPS = {"name": "encoder", "layer": "layer", "text": "probe", "difference": "minus word overlap's", "p": "p"}


def rows(table: pl.DataFrame, groups: Mapping[str, str], splits: Sequence[str]) -> Rows:
    """PROBES -> a row for each split, probe, encoder and layer; `groups`: {model: its group}.

    An encoder without layers is beside each probe: with its own, or with that of word overlap's measures.
    """
    table = table.filter(pl.col("split").is_in(splits))
    layered = table.filter(pl.col("layer").is_not_null())["probe"].unique(maintain_order=True).to_list()
    found: Rows = []
    for row in table.iter_rows(named=True):
        metric = row["metric"]
        shown = {"split": row["split"], "group": groups.get(row["encoder"], ""), "name": visible(row["encoder"])}
        shown |= {"layer": row["layer"], "value": number(row[metric]), "text": bracketed(row, metric)}
        shown |= {"low": number(row[f"{metric}_low"]), "high": number(row[f"{metric}_high"])}
        shown |= {"difference": signed(row, "difference") if row["difference"] is not None else ""}
        shown |= {"p": p_value(row["p"]), "selected": bool(row["selected"])}
        shown |= {"label": beside_chart(row, metric, shown["name"])}
        cells = layered if row["layer"] is None and row["probe"] not in layered else [row["probe"]]
        found += [{"cell": f"{cell.replace('_', ' ')}: {metric}"} | shown for cell in cells if cell in layered]
    return with_places(found)


def with_places(found: Rows) -> Rows:
    """The rows with `place`: where the names of encoders without layers have room beside the chart."""
    places: dict[int, float] = {}
    for split, cell in dict.fromkeys((row["split"], row["cell"]) for row in found):
        here = [(at, row) for at, row in enumerate(found) if (row["split"], row["cell"]) == (split, cell)]
        ends = [row[end] for _, row in here for end in ("value", "low", "high") if row[end] is not None]
        floors = [(row["value"], at) for at, row in here if row["layer"] is None and row["value"] is not None]
        values = np.array([value for value, _ in sorted(floors)])
        if len(values):
            apart_by = ROOM * (max(ends) - min(ends))
            places |= zip([at for _, at in sorted(floors)], apart(values, apart_by, min(ends), max(ends)).tolist())
    return [row | {"place": number(places.get(at))} for at, row in enumerate(found)]


def chart(looks: Looks, split: str) -> Spec:
    """A curve for each model, and a dashed line with its name for each encoder without layers."""
    base = alt.Chart(alt.NamedData("probes")).transform_filter(IN_SPLIT).transform_filter(IN_CELL)
    curves = base.transform_filter("datum.layer != null").transform_filter(IN_GROUPS)
    floors = base.transform_filter("datum.layer == null")
    x = alt.X("layer:Q", title="layer", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    tip = [alt.Tooltip(f"{name}:N", title=title) for name, title in TIPS.items()]
    band = curves.mark_area(opacity=0.12).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), detail="name:N")
    ring = curves.transform_filter("datum.selected").mark_point(filled=False, size=130, shape="circle")
    text = floors.mark_text(align="left", dx=5, limit=alt.ExprRef(NAMES))
    parts = [
        band.encode(color=line(looks)["color"]),
        floors.mark_rule(strokeDash=[4, 3], opacity=0.8, color="currentColor").encode(alt.Y("value:Q"), tooltip=tip),
        text.encode(alt.Y("place:Q"), alt.Text("label:N"), x=alt.value("width")),
        curves.mark_line().encode(x, y, **line(looks, "name")),
        curves.mark_point(filled=True, size=30, opacity=1).encode(x, y, **point(looks), tooltip=tip),
        ring.encode(x, y, color=line(looks)["color"], tooltip=tip),
    ]
    return spec(alt.layer(*parts), 220, split=split, cell="", shown=[look["group"] for look in looks])
