"""The charts of the page as Vega-Lite. Data come by name, and the page sets what they are filtered by: `split`, the
groups that are `shown`, and the `cell` of a chart that is repeated.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

INK, GRID = "currentColor", "#8888"
ZERO: dict[str, Any] = {"clip": True, "color": INK, "opacity": 0.7, "strokeWidth": 1}
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "titleColor": INK, "domainColor": GRID, "tickColor": GRID, "gridColor": GRID},
    "legend": {"labelColor": INK, "titleColor": INK, "orient": "top", "symbolStrokeWidth": 2},
    "title": {"color": INK, "anchor": "start", "fontSize": 12},
    "text": {"color": INK, "fontSize": 11},
}
CONFIG["axis"] |= {"gridOpacity": 0.35, "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
CONFIG["legend"] |= {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "offset": 4}
ABOVE, BELOW, NEITHER = "significantly above", "significantly below", "not significant"
VERDICTS = alt.Scale(domain=[ABOVE, BELOW, NEITHER], range=["#0072b2", "#d55e00", "#7a7a7a"])
VERDICT_SHAPES = alt.Scale(domain=[ABOVE, BELOW, NEITHER], range=["triangle-up", "triangle-down", "circle"])
NAMES = "containerSize()[0] < 480 ? 135 : 190"
"""points for a name beside a chart: fewer on a phone"""
IN_SPLIT, IN_GROUPS, IN_CELL = "datum.split == split", "indexof(shown, datum.group) >= 0", "datum.cell == cell"

Spec = dict[str, Any]
Looks = Sequence[dict[str, Any]]


def of_groups(looks: Looks, key: str) -> alt.Scale:
    """Colour, dashes or shape of each group."""
    return alt.Scale(domain=[look["group"] for look in looks], range=[look[key] for look in looks])


def line(looks: Looks, by: str = "group") -> dict[str, Any]:
    """The channels of a group's lines, one for each value of `by`; the page has one legend for all charts."""
    return {
        "color": alt.Color("group:N", scale=of_groups(looks, "colour"), legend=None),
        "strokeDash": alt.StrokeDash("group:N", scale=of_groups(looks, "dash"), legend=None),
        "detail": f"{by}:N",
    }


def point(looks: Looks) -> dict[str, Any]:
    """The channels of a group's marks."""
    return {
        "color": alt.Color("group:N", scale=of_groups(looks, "colour"), legend=None),
        "shape": alt.Shape("group:N", scale=of_groups(looks, "shape"), legend=None),
    }


def spec(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int, **parameters: Any) -> Spec:
    """A chart as JSON: as wide as its place on the page, with the parameters that the page sets."""
    chart = chart.add_params(*[alt.param(name=name, value=value) for name, value in parameters.items()])
    size = {"width": "container", "height": height, "padding": {"left": 4, "top": 6, "right": 8, "bottom": 4}}
    size["autosize"] = {"type": "fit-x", "contains": "padding"}
    found = chart.to_dict(validate=True)
    return {key: value for key, value in found.items() if key != "config"} | size | {"config": CONFIG}


def layers(looks: Looks, low: float, high: float, split: str) -> Spec:
    """rho of each curve by layer with bands, and a dashed line with its name for each encoder without layers."""
    groups = [look["group"] for look in looks]
    x = alt.X("layer:Q", title="layer (0 = embedding)", axis=alt.Axis(tickMinStep=1, format="d", grid=False))
    y = alt.Y("rho:Q", title="Spearman's rho with the labels", scale=alt.Scale(domain=[low, high], nice=False))
    curves = alt.Chart(alt.NamedData("layers")).transform_filter(IN_SPLIT).transform_filter(IN_GROUPS)
    tip = [alt.Tooltip(name, title=title) for name, title in TIPS.items()]
    band = curves.transform_filter("bands").mark_area(opacity=0.13, interpolate="linear")
    chosen = curves.transform_filter("datum.selected")
    floor = alt.Chart(alt.NamedData("floors")).transform_filter(IN_SPLIT).transform_filter(IN_GROUPS)
    floor_tip = [alt.Tooltip("group:N", title="encoder"), alt.Tooltip("text:N", title="rho")]
    name = floor.mark_text(align="left", dx=5, limit=alt.ExprRef(NAMES)).encode(alt.Y("place:Q"), x=alt.value("width"))
    parts = [
        alt.Chart(alt.NamedData("zero")).mark_rule(**ZERO).encode(alt.Y("rho:Q")),
        band.encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color=line(looks)["color"], detail="group:N"),
        floor.mark_rule(strokeDash=[4, 3], opacity=0.8, color=INK).encode(alt.Y("rho:Q"), tooltip=floor_tip),
        name.encode(alt.Text("label:N"), tooltip=floor_tip),
        curves.mark_line(strokeWidth=2).encode(x, y, **line(looks)),
        curves.mark_point(filled=True, size=34, opacity=1).encode(x, y, **point(looks), tooltip=tip),
        chosen.mark_point(filled=False, size=150, strokeWidth=1.5, shape="circle").encode(
            x, y, color=line(looks)["color"], tooltip=tip
        ),
    ]
    chart = alt.layer(*parts).resolve_scale(x="shared", y="shared")
    return spec(chart, 360, split=split, shown=groups, bands=True)


TIPS = {"group:N": "encoder", "layer:Q": "layer", "text:N": "rho", "band:N": "band of all layers", "auc:N": "AUC"}


def heat(poolings: Sequence[str], layers: Sequence[str], ends: tuple[float, float], split: str) -> Spec:
    """rho of each pooling and layer of one model; the layer chosen on train has a dot."""
    base = alt.Chart(alt.NamedData("heat")).transform_filter(IN_SPLIT).transform_filter(IN_CELL)
    axis = alt.Axis(labelAngle=0, labelOverlap=True, ticks=False, domain=False)
    x = alt.X("layer:O", title="layer", sort=list(layers), axis=axis)
    y = alt.Y("pooling:N", title=None, sort=list(poolings), axis=alt.Axis(ticks=False, domain=False))
    colour = alt.Color(
        "rho:Q",
        title="rho",
        scale=alt.Scale(scheme="viridis", domain=list(ends)),
        legend=alt.Legend(gradientLength=120, gradientThickness=8, titleOrient="left", direction="horizontal"),
    )
    tip = [alt.Tooltip(f"{name}:N", title=name) for name in ("pooling", "layer")]
    tip.append(alt.Tooltip("text:N", title="rho"))
    cells = base.mark_rect().encode(x, y, colour, tooltip=tip)
    dot = base.transform_filter("datum.chosen").mark_point(
        filled=True, size=42, fill="white", stroke="black", strokeWidth=1.2, opacity=1
    )
    return spec(alt.layer(cells, dot.encode(x, y, tooltip=tip)), 17 * len(poolings), split=split, cell="")


def forest(data: str, count: int, filters: Sequence[str], split: str, **parameters: Any) -> Spec:
    """Differences with their intervals, the largest on top, the corrected p beside each; `count`: rows of a split."""
    base = alt.Chart(alt.NamedData(data))
    for one in filters:
        base = base.transform_filter(one)
    order = alt.EncodingSortField("difference", op="max", order="descending")
    y = alt.Y(
        "label:N", title=None, sort=order, axis=alt.Axis(labelLimit=alt.ExprRef(NAMES), ticks=False, domain=False)
    )
    colour = alt.Color("verdict:N", scale=VERDICTS, legend=None)
    tip = [alt.Tooltip(f"{name}:N", title=what) for name, what in DIFFERENCE.items()]
    x = alt.X("difference:Q", title="difference in rho", axis=alt.Axis(tickCount=5, labelOverlap=True))
    ends = alt.X("difference_low:Q"), alt.X2("difference_high:Q")
    marks = base.mark_point(filled=True, size=90, opacity=1)
    shape = alt.Shape("verdict:N", scale=VERDICT_SHAPES, legend=None)
    parts = [
        alt.Chart(alt.NamedData("zero")).mark_rule(**ZERO).encode(x=alt.X("rho:Q")),
        base.mark_rule(strokeWidth=2).encode(*ends, y, colour, tooltip=tip),
        marks.encode(x, y, colour, shape, tooltip=tip),
        base.mark_text(align="left", dx=6).encode(y=y, text="p:N", x=alt.value("width")),
        alt.Chart(alt.NamedData("zero"))
        .mark_text(align="left", dx=6, fontStyle="italic")
        .encode(text=alt.value("p"), x=alt.value("width"), y=alt.value(-7)),
    ]
    return spec(alt.layer(*parts), 21 * count, split=split, **parameters)


DIFFERENCE = {"label": "encoder", "text": "difference", "p": "corrected", "detectable": "would be found from"}


def cost(looks: Looks, low: float, high: float, split: str) -> Spec:
    """rho against the milliseconds of a pair, models by layer, with the front of what nothing beats."""
    base = alt.Chart(alt.NamedData("cost")).transform_filter(IN_SPLIT)
    shown = base.transform_filter(IN_GROUPS)
    x = alt.X(
        "ms:Q",
        title="milliseconds for one pair (log)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format="~r", tickCount=5, grid=False),
    )
    y = alt.Y("rho:Q", title="Spearman's rho with the labels", scale=alt.Scale(domain=[low, high], nice=False))
    tip = [alt.Tooltip(f"{name}:N", title=what) for name, what in COST.items()]
    chosen = shown.transform_filter("datum.selected")
    parts = [
        base.transform_filter("datum.front")
        .mark_line(interpolate="step-after", strokeDash=[5, 3], color=INK, strokeWidth=1.2, opacity=0.8)
        .encode(x, y),
        shown.transform_filter("datum.layer != null")
        .mark_line()
        .encode(x, y, order="layer:Q", **line(looks, "series")),
        chosen.mark_rule(opacity=0.7).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color=line(looks)["color"]),
        shown.mark_point(filled=True, size=40, opacity=1).encode(x, y, **point(looks), tooltip=tip),
        chosen.transform_filter("datum.layer == null")
        .mark_text(align="left", angle=270, dx=5, limit=alt.ExprRef(NAMES))
        .encode(x, alt.Y("high:Q"), alt.Text("group:N")),
    ]
    return spec(alt.layer(*parts), 360, split=split, shown=[look["group"] for look in looks])


COST = {"label": "encoder", "text": "rho", "time": "time of a pair"}


def histogram(classes: Sequence[str], split: str) -> Spec:
    """How the scores of one encoder are spread, a step for each class of labels."""
    colours = ["#d55e00", "#7a7a7a", "#0072b2"] if len(classes) > 2 else ["#d55e00", "#0072b2"]
    dashes = [[2, 2], [6, 3], [1, 0]] if len(classes) > 2 else [[3, 2], [1, 0]]
    base = alt.Chart(alt.NamedData("histograms")).transform_filter(IN_SPLIT).transform_filter(IN_CELL)
    x = alt.X("start:Q", title="score", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5, labelOverlap=True))
    y = alt.Y("share:Q", title=None, stack=None, axis=alt.Axis(format="%", tickCount=3))
    colour = alt.Color("label:N", title=None, scale=alt.Scale(domain=list(classes), range=colours[: len(classes)]))
    dash = alt.StrokeDash("label:N", title=None, scale=alt.Scale(domain=list(classes), range=dashes[: len(classes)]))
    tip = [alt.Tooltip("label:N"), alt.Tooltip("pairs:Q", title="pairs"), alt.Tooltip("start:Q", title="score from")]
    tip.append(alt.Tooltip("end:Q", title="to"))
    area = base.mark_area(interpolate="step-after", opacity=0.2).encode(x, y, colour, tooltip=tip)
    edge = base.mark_line(interpolate="step-after", strokeWidth=1.8).encode(x, y, colour, dash, tooltip=tip)
    return spec(alt.layer(area, edge), 120, split=split, cell="")


def shapes(looks: Looks) -> Spec:
    """One measure of the geometry by layer, a line with its band for each model."""
    base = alt.Chart(alt.NamedData("shapes")).transform_filter(IN_CELL).transform_filter(IN_GROUPS)
    x = alt.X("layer:Q", title=None, axis=alt.Axis(tickMinStep=1, format="d", grid=False, tickCount=5))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=3, format="~r"))
    tip = [alt.Tooltip("model:N", title="model"), "layer:Q", alt.Tooltip("text:N", title="value")]
    band = base.mark_area(opacity=0.15).encode(
        x, alt.Y("low:Q"), alt.Y2("high:Q"), color=line(looks)["color"], detail="model:N"
    )
    marks = base.mark_point(filled=True, size=18, opacity=1).encode(x, y, **point(looks), tooltip=tip)
    chart = alt.layer(band, base.mark_line().encode(x, y, **line(looks, "model")), marks)
    return spec(chart, 105, cell="", shown=[look["group"] for look in looks])


def squares() -> Spec:
    """CKA of all pairs of layers of one model."""
    base = alt.Chart(alt.NamedData("squares")).transform_filter(IN_CELL)
    axis = alt.Axis(labelAngle=0, labelOverlap=True, ticks=False, domain=False)
    x, y = alt.X("x:O", title="layer", axis=axis), alt.Y("y:O", title="layer", sort="descending", axis=axis)
    legend = alt.Legend(gradientLength=120, gradientThickness=8, titleOrient="left", direction="horizontal")
    colour = alt.Color("value:Q", title="CKA", scale=alt.Scale(scheme="viridis", domain=[0, 1]), legend=legend)
    tip = [alt.Tooltip("x:O", title="layer"), alt.Tooltip("y:O", title="and"), alt.Tooltip("text:N", title="CKA")]
    return spec(base.mark_rect().encode(x, y, colour, tooltip=tip), 230, cell="")
