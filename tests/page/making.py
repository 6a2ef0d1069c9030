"""Studies with drawn figures and pages made from them, and what a page holds."""

import json
from html.parser import HTMLParser

import numpy as np
import polars as pl

from pipeline.claims.decide import CONTRADICTED, UNTESTED
from pipeline.claims.evidence import Relations
from pipeline.formats import claims, efficiency, geometry
from pipeline.formats.tables import CURVES, POOLINGS, PROBES, schema_of
from pipeline.page import combinations
from pipeline.page.study import Study, Weights
from tests.report import making

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\u2028 \x1b[31m"
"""a sentence that would act in a page that is not careful"""
METHOD = making.METHOD
FIGURES = ("accuracy", "accuracy_low", "accuracy_high")


def verdicts(models=("m", "n"), split="test"):
    """A table of CLAIMS with two claims that were looked at."""
    rows = []
    for model, verdict in zip(models, (CONTRADICTED, UNTESTED)):
        row = {"claim": "C1", "measure": "shallow", "main": True, "model": model, "split": split, "verdict": verdict}
        rows.append(row | {"dataset": "toy", "pooling": "mean"})
    return pl.DataFrame(rows, schema=schema_of(claims.CLAIMS))


def study(rng, models=("m", "n"), table=None, sentences=None, swept=True, **changes):
    """A study of which nobody has measured cost and geometry, unless they are among the `changes`."""
    given = {name: changes.pop(name) for name in ("graded",) if name in changes}
    material = making.material(rng, table, **given)
    material.info.update(graded=given.get("graded", False), source=None, control=changes.pop("control", None))
    if sentences is not None:
        material.sentences.replace_column(1, pl.Series("text", sentences))
    poolings = making.poolings(rng, models) if models else pl.DataFrame(schema=schema_of(POOLINGS))
    curves = making.curves(rng, poolings) if models else pl.DataFrame(schema=schema_of(CURVES))
    scored = combinations.of_scores(material.scores, material.table)
    if swept:
        for model in models:
            values = rng.random(len(material.pairs))
            scored.append(combinations.Scored(f"{model}, max", model, "1", True, True, values))
    found = {
        "material": material,
        "method": METHOD,
        "related": Relations(list(models), ["overlap", "words"]),
        "claims": verdicts(models) if models else pl.DataFrame(schema=schema_of(claims.CLAIMS)),
        "poolings": poolings,
        "curves": curves,
        "probes": probes(rng, models),
        "costs": pl.DataFrame(schema=schema_of(efficiency.EFFICIENCY)),
        "shapes": pl.DataFrame(schema=geometry.polars_schema(geometry.JOINED)),
        "facts": {},
        "scored": scored,
        "weights": weights(rng, material.sentences["text"], models[:1]),
        "settings": {"dataset": "</pre><script>"},
        "digest": "0123456789abcdef" * 4,
        "code": "abc",
    }
    return Study(**(found | changes))


def weights(rng, texts, models):
    """Drawn attention over the words of each sentence."""
    return {model: Weights(1, [rng.uniform(0, 3, len(text.split())).tolist() for text in texts]) for model in models}


def costs(rng, encoders=making.ENCODERS):
    """A table of EFFICIENCY."""
    rows = []
    for encoder, _, _, layer, similarity in encoders:
        for size in (1, 8):
            ms = float(rng.uniform(0.1, 90))
            row = {"name": encoder, "encoder": encoder, "kind": "x", "layer": layer, "similarity": similarity}
            row |= {"batch_size": size, "ms": ms, "ms_low": ms, "ms_high": ms, "cpu_ms": ms, "encoding_ms": ms}
            rows.append(row)
    return pl.DataFrame(rows, schema=schema_of(efficiency.EFFICIENCY))


def probes(rng, models):
    """A table of PROBES: one probe of three layers for each model, and that of word overlap's measures."""
    rows = []
    for split, n in making.SIZES.items():
        cells = [(model, "bilinear", layer) for model in models for layer in range(3)]
        for encoder, probe, layer in [*cells, ("overlap", "measures", None)] if split != "train" else ():
            row = {"encoder": encoder, "probe": probe, "layer": layer, "selected": layer in (None, 1)}
            row |= {"metric": "accuracy", "split": split, "n": n}
            rows.append(row | dict(zip(FIGURES, making.around(rng, rng.uniform(0.3, 0.9)))))
    return pl.DataFrame(rows, schema=schema_of(PROBES))


class Elements(HTMLParser):
    """The elements of a page: (name, attributes), and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self.inside = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id", f"script {len(self.scripts)}") if tag == "script" else None
        if self.inside:
            self.scripts[self.inside] = ""

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.scripts[self.inside] += data

    def table(self, name):
        """The rows behind a chart."""
        return pl.DataFrame(json.loads(self.scripts["data"])[name], strict=False)

    def json(self, name):
        return json.loads(self.scripts[name])


def shares(values, splits):
    """(P,) values -> share of the split below each pair, half of its ties included: the slow way."""
    found = np.empty(len(values))
    for pair, value in enumerate(values):
        others = [values[other] for other in range(len(values)) if splits[other] == splits[pair]]
        below = sum(other < value for other in others) + (sum(other == value for other in others) - 1) / 2
        found[pair] = below / (len(others) - 1)
    return found
