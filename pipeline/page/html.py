"""report.html: data and charts in the frame of a Jinja2 template, with all scripts inside and none let in."""

import base64
import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import polars as pl
import yaml
from markupsafe import Markup

from pipeline.formats import efficiency, geometry, splits
from pipeline.formats.scores import KEYS
from pipeline.page import browser, charts, probes, rows, text
from pipeline.page.series import looks, name_of, with_names
from pipeline.page.study import Study
from pipeline.report import controls
from pipeline.report.markdown import visible
from pipeline.report.models import seeds
from pipeline.report.rows import reported_splits, selected, without_nan

VEGALITE = "6.4"
"""the version that Altair writes and vl-convert brings"""
REPRO = "dvc repro"
ROOM = 0.3
"""of the height of a chart that its names may take"""
AROUND = 48
"""points of a chart that are not its height: axis, legend"""
PACKAGES = ("numpy", "polars", "scipy", "torch", "transformers")


def page(study: Study) -> str:
    """The text of the page."""
    table, info = study.material.table, study.material.info
    names = reported_splits(table, info["subsets"])
    main = splits.main_split(names, info["subsets"]) or names[-1]
    best = best_of(study, main)
    data, specs = figures(study, names, main)
    pairs = browser.data(study, best, main)
    scripts = [bundle(), source("page.js"), source("pairs.js")]
    values = {
        "title": visible(info["dataset"]),
        "control": controls.in_words(info["control"]),
        "splits": [{"name": name, "shown": visible(name), "n": table.filter(split=name)["n"][0]} for name in names],
        "main": main,
        "looks": legend(study),
        "data": in_script({name: rows.columns(found) for name, found in data.items()}),
        "specs": in_script(specs),
        "cells": {name: cells_of(found) for name, found in data.items()},
        "drawn": list(specs),
        "heights": {name: spec["height"] + AROUND for name, spec in specs.items()},
        "pairs": in_script(pairs),
        "not_all": browser.left_out(pairs),
        "policy": policy(scripts),
        "scripts": [Markup(script) for script in scripts],
        "style": Markup(source("page.css")),
        "provenance": provenance(study),
        "commands": {"cost": efficiency.COMMAND, "geometry": geometry.COMMAND, "rest": REPRO},
        "text": sentences(study, names, main),
    }
    return _template().render(values)


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FunctionLoader(source)
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    return jinja2.Environment(loader=loader, autoescape=True, **options).get_template("template.html")


def source(name: str) -> str:
    """A file of this room that is no Python."""
    return (files("pipeline.page") / name).read_text(encoding="utf-8")


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, of which the page uses the last."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGALITE)


def policy(scripts: Sequence[str]) -> str:
    """What a browser lets the page do: run these scripts and no other, and ask nothing of any host."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def in_script(value: Any) -> Markup:
    """A value as JSON inside a script element, which nothing in it can end."""
    found = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        found = found.replace(character, f"\\u{ord(character):04x}")
    return Markup(found)


def best_of(study: Study, split: str) -> str | None:
    """The series with the largest rho on a split: of models if there are some."""
    found = selected(without_nan(study.material.table), split).filter(pl.col("spearman").is_not_null())
    models = found.filter(pl.col("encoder").is_in(list(study.material.manifests)))
    ordered = (models if len(models) else found).sort("spearman", descending=True)
    return name_of(ordered.row(0, named=True)) if len(ordered) else None


def legend(study: Study) -> list[dict[str, Any]]:
    """How each group of series looks (`series.looks`)."""
    return looks(with_names(study.material.table, seeds(study.material.manifests)))


def figures(study: Study, names: Sequence[str], main: str) -> tuple[dict[str, rows.Rows], dict[str, charts.Spec]]:
    """The rows and the specification of each chart; a chart without rows has no specification."""
    material, alike = study.material, seeds(study.material.manifests)
    table, look, poolings = without_nan(material.table), legend(study), without_nan(study.poolings)
    reported = pl.col("split").is_in(names)
    labels = material.pairs["label"].to_numpy()
    named = with_names(table.filter("selected", reported), alike)
    models = with_names(table.filter(pl.col("layer").is_not_null()), alike)
    groups = dict(models.select("encoder", "group").unique("encoder", keep="first", maintain_order=True).iter_rows())
    scores = {
        tuple(key): values for key, values in zip(material.scores.keys.select(KEYS).rows(), material.scores.values)
    }
    first = study.shapes.filter(pl.col("other").is_null() | (pl.col("other") == first_layer()))
    data: dict[str, rows.Rows] = {
        "layers": rows.layers(table, alike, names),
        "floors": rows.floors(table, names),
        "heat": rows.heat(without_nan(study.curves).filter(reported), poolings),
        "reference": rows.against_reference(table, alike, names),
        "mean": rows.against_mean(poolings.filter(reported)),
        "probes": probes.rows(without_nan(study.probes), groups, names),
        "cost": rows.costs(study.costs, table, alike, names),
        "histograms": rows.histograms(named, scores, labels, splits.groups(material.pairs, material.info["subsets"])),
        "shapes": rows.shapes(without_nan(first), study.facts, groups),
        "squares": rows.squares(without_nan(study.shapes)),
    }
    of_groups, of_cell = [charts.IN_SPLIT, charts.IN_GROUPS], [charts.IN_SPLIT, charts.IN_CELL]
    specs = {
        "layers": charts.layers(look, *rows.span(table.filter(reported)), main),
        "heat": heat(data["heat"], main),
        "reference": charts.forest("reference", most(data["reference"]), of_groups, main, shown=[]),
        "mean": charts.forest("mean", most(data["mean"]), of_cell, main, cell=""),
        "probes": probes.chart(look, main),
        "cost": charts.cost(look, *with_room(data["cost"]), main),
        "histograms": charts.histogram(list(rows.classes_of(labels)), main),
        "shapes": charts.shapes(look),
        "squares": charts.squares(),
    }
    return data, {name: spec for name, spec in specs.items() if data[name] or (name == "layers" and data["floors"])}


def heat(found: rows.Rows, main: str) -> charts.Spec:
    """The chart of poolings and layers."""
    layers = by_number(distinct(found, "layer"))
    return charts.heat(distinct(found, "pooling"), layers, ends(found), main)


def first_layer() -> pl.Expr:
    """The first layer of each model, as in `geometry.join.curves`: measures of two layers are drawn against it."""
    lowest = pl.col("layer").min().over("encoder")
    return pl.col("other").min().over("encoder").fill_null(lowest)


def distinct(found: rows.Rows, name: str) -> list[Any]:
    """The values of a column, each once."""
    return list(dict.fromkeys(row[name] for row in found))


def by_number(layers: Sequence[str]) -> list[str]:
    """Layers in their order, and behind them what is of several."""
    return sorted(layers, key=lambda layer: (not layer.isdigit(), int(layer) if layer.isdigit() else 0))


def with_room(found: rows.Rows) -> tuple[float, float]:
    """The smallest and the largest end of an interval of rho, and room above for names that stand."""
    values = [row[end] for row in found for end in ("low", "high", "rho") if row[end] is not None] or [0.0, 1.0]
    low, high = min(values), max(values)
    return low - 0.04 * (high - low), high + ROOM * (high - low)


def cells_of(found: rows.Rows) -> list[str]:
    """What a chart is repeated for."""
    return distinct(found, "cell") if found and "cell" in found[0] else []


def most(found: rows.Rows) -> int:
    """How many rows a chart of one split and one cell has at most."""
    counts = Counter((row["split"], row.get("cell")) for row in found)
    return max(counts.values(), default=1)


def ends(found: rows.Rows) -> tuple[float, float]:
    """The smallest and the largest rho."""
    values = np.array([row["rho"] for row in found if row["rho"] is not None] or [0.0, 1.0])
    return float(values.min()), float(values.max())


def sentences(study: Study, names: Sequence[str], main: str) -> dict[str, Any]:
    """Everything that is said, as HTML; of each split what depends on it."""
    kinds: dict[str, list[dict[str, Any]]] = {"claim": [], "open": []}
    for row in text.verdicts(study, main):
        kinds[row["kind"]].append(row)
    return {
        "warnings": text.warnings(study),
        "findings": {name: text.findings(study, name) for name in names},
        "pairs": {name: text.pairs(study, name) for name in names},
        "figures": {name: text.figures(study, name) for name in names},
        "trends": text.trends(study, names, main),
        "cost": {name: text.cost(study, name) for name in names} if len(study.costs) else {},
        "stale": {what: stale(reasons) for what, reasons in study.stale.items()},
        "verdicts": kinds,
        "models": text.provenance(study),
        "method": text.method(study),
    }


def stale(reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each reason for which something is not shown."""
    found: dict[str, list[str]] = {}
    for name, why in reasons.items():
        found.setdefault(why, []).append(visible(name))
    return [f"Not shown for {', '.join(names)}: {why}." for why, names in found.items()]


def provenance(study: Study) -> dict[str, Any]:
    """What the page was made from, and with."""
    return {
        "commit": study.code,
        "pairs": study.digest,
        "settings": yaml.safe_dump(study.settings, sort_keys=False, allow_unicode=True),
        "python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
