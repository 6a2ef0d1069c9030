"""Write docs/reference from the code: python docs/generate.py (make docs). A test compares it with what is there.

params.md and catalog.md come from the dataclasses and the docstring under each field, and from the registries of names;
geometry.md from the registries of measures; files.md from the columns that pipeline/formats declares, with an example
row for each table of Arrow or Parquet.
"""

import ast
import inspect
import json
import re
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from pipeline.base.settings import Study, read_yaml
from pipeline.catalog.entries import Baseline, Dataset, Model
from pipeline.check.study import SETTINGS
from pipeline.claims.paper import CLAIMS
from pipeline.claims.rules import of_claim
from pipeline.formats import (
    attention,
    baselines,
    beside,
    claims,
    datasets,
    efficiency,
    fits,
    geometry,
    manifest,
    norms,
    pairs,
    parquet,
    probes,
    recurrent,
    scores,
    states,
    statistics,
    sweeps,
    tables,
    tokens,
    unembeddings,
    vectors,
)
from pipeline.geometry.between import BETWEEN
from pipeline.geometry.sentences import SENTENCES
from pipeline.geometry.tokens import TOKENS
from pipeline.pool.corrections import CORRECTIONS
from pipeline.pool.learned import LEARNED
from pipeline.pool.mixes import MIXES
from pipeline.pool.recurrent import RECURRENT
from pipeline.pool.tokens import POOLINGS
from pipeline.pool.weighted import WEIGHTED
from pipeline.readouts.registry import READOUTS
from pipeline.score.similarities import SIMILARITIES

ROOT = Path(__file__).resolve().parents[1]
NOTE = "<!-- Written by docs/generate.py from the code: edit the docstrings there, then run `make docs`. -->"


def field_texts(cls):
    """{field: the docstring below it} of a dataclass, on one line."""
    body = ast.parse(inspect.getsource(cls)).body[0].body
    texts = {}
    for node, after in zip(body, [*body[1:], None]):
        if isinstance(node, ast.AnnAssign):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            texts[node.target.id] = " ".join(after.value.value.split()) if is_text else ""
    return texts


def type_name(kind):
    """A field's type as YAML has it."""
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    if "date" in str(kind):
        return "text or empty" if type(None) in kind.__args__ else "text"
    if getattr(kind, "__origin__", None) is dict:
        return "mapping"
    if getattr(kind, "__args__", None):
        inside = [type_name(part) for part in kind.__args__]
        return f"list of {inside[0]}" if getattr(kind, "__origin__", None) is list else " or ".join(inside)
    words = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "NoneType": "empty"}
    return words.get(text, "mapping" if text == "dict" else "text")


def describe(cls, prefix, values=None):
    """A bullet for each field: its name, type, value in params.yaml or default, and text."""
    texts = field_texts(cls)
    for field in fields(cls):
        default = values.get(field.name) if values is not None else field.default
        if values is not None:
            shown = f"; here `{json.dumps(default)}`" if not isinstance(default, list) or len(default) < 5 else ""
        else:
            shown = f"; default `{json.dumps(default)}`" if default is not MISSING and default is not None else ""
        yield f"- `{prefix}{field.name}` ({type_name(field.type)}{shown}): {texts[field.name]}"


NAMES = {  # what a name may stand for -> its registry
    "Poolings of token states, for `pooling` and `sweep.poolings`": POOLINGS,
    "Poolings by a weight of each token, counted in the train sentences": WEIGHTED,
    "Poolings that the stage fit learns": LEARNED,
    "Poolings of recurrent states, where `keep` is `state`": RECURRENT,
    "Mixes of the mean vectors v of several layers": MIXES,
    "Corrections of vectors v, for `score.corrections` and `sweep.corrections`": CORRECTIONS,
    "Similarities, for `score.similarities` and `sweep.similarities`": SIMILARITIES,
}


def purpose(function):
    """The first paragraph of a function's docstring, without the shapes that it may begin with."""
    text = " ".join(inspect.getdoc(function).split("\n\n")[0].split())
    return re.sub(r"^(\([^)]*\)(, | -> )?)+: ", "", text).rstrip(".")


def params_page():
    values = read_yaml(ROOT / "params.yaml")
    yield from ("# params.yaml", "", NOTE, "", "What is compared, then one section for each stage that has settings.")
    yield "[Names](#names) lists the poolings, corrections, similarities and readouts."
    yield from ("", "## At the top", "", *describe(Study, "", values))
    for cls in SETTINGS:
        name = cls.__name__.lower()
        yield from ("", f"## {name}", "", *describe(cls, f"{name}.", values[name]))
    yield from ("", "## Names", "", "A capital at the end of a name stands for a number: `last_K` is written `last_4`.")
    yield "h is the state of a token, t = 1 .. T its place in the sentence."
    for title, registry in NAMES.items():
        functions = {name: getattr(entry, "pool", entry) for name, entry in registry.items()}
        yield from ("", f"{title}:", "", *(f"- `{name}`: {purpose(function)}" for name, function in functions.items()))
    yield from ("", "Readouts, for `dump.readout` and the `readout` of a model ([how](../howto/readouts.md)):", "")
    for name, one in READOUTS.items():
        cost = f"{one.passes:g} pass" + ("es" if one.passes != 1 else "")
        tokens = f" of {one.extra_tokens} token more" if one.extra_tokens else ""
        yield f"- `{name}`: {one.source}. Layers from {one.first}; {cost}{tokens}"


def catalog_page():
    yield from ("# catalog.yaml", "", NOTE, "")
    yield "Names for params.yaml. Only an entry with `hub` or `url` uses a network."
    for title, cls in (("datasets", Dataset), ("models", Model), ("baselines", Baseline)):
        yield from ("", f"## {title}", "", " ".join(inspect.getdoc(cls).split()), "", *describe(cls, ""))


PARQUET = {  # path -> the stage that writes it, its columns, an example row
    "data/pairs/pairs.parquet": ("prepare", pairs.PAIRS, [0, "train", 0, 0, 1, 1.0, 0]),
    "data/pairs/sentences.parquet": ("prepare", pairs.SENTENCES, [0, "The ferry was late."]),
    "data/tokens/MODEL.parquet": ("tokenize", tokens.COLUMNS, [0, [84, 312], ["The", " ferry"], False, 0, 2, 0, 2]),
    "data/scores.parquet": ("score", scores.COLUMNS, [0, "train", 1.0, "demo", "mean", "none", 3, "cosine", 0.93]),
    "data/sweeps/MODEL/scores.parquet": (
        "sweep",
        sweeps.COLUMNS,
        [0, "train", 1.0, "demo", "attention_2", "none", 3, "cosine", 0.91, "attention", 2, "3"],
    ),
    "data/geometry.parquet": (
        "geometry",
        geometry.MEASURED,
        ["demo", "sentences", "mean", "effective_rank", 3, None, 138.9, 137.6, 140.2, 192.0, 1000, 192],
    ),
    "results/geometry.parquet": (
        "python -m stages.relate",
        geometry.JOINED,
        ["demo", "layers", "mean", "cka", 3, 0, 0.71, 0.68, 0.74, None, 500, 192, "test", 0.12, -0.01, 0.25],
    ),
    "data/probes/MODEL.parquet": (
        "probe",
        probes.COLUMNS,
        ["difference_product", 3, 384, 0.001, 0.713, 0.743, False, [1.27, -0.31]],
    ),
}
JSON = {
    "data/pairs/info.json": ("prepare", pairs.INFO),
    "data/manifests/MODEL.json": ("dump", manifest.MANIFEST),
    "results/poolings.json": ("compare", tables.SUMMARY),
    "results/efficiency.json": ("efficiency", efficiency.ENVIRONMENT),
    "results/claims.json": ("claims", claims.SUMMARY),
    "data/beside/efficiency-study.json and geometry-study.json": ("efficiency and geometry", beside.STUDY),
}
AND_MORE = "then the columns of results/correlations.csv"
CSV = {
    "results/correlations.csv": ("correlate", tables.CORRELATIONS),
    "results/poolings.csv": ("compare", tables.POOLINGS),
    "results/poolings-by-layer.csv": ("compare", tables.CURVES),
    "results/probes.csv": ("probes", tables.PROBES),
    "results/datasets.csv": ("python -m stages.datasets", datasets.OWN | {"...": (None, AND_MORE)}),
    "results/geometry.csv": ("python -m stages.relate", geometry.WITH_RHO),
    "results/efficiency.csv": ("efficiency", efficiency.EFFICIENCY),
    "results/claims.csv": ("claims", claims.CLAIMS),
    "results/conditions.csv": ("claims", claims.CONDITIONS),
}
EXAMPLES = {  # path -> the module whose docstring describes it, its columns, an example row, of vectors with D = 2
    "data/states/MODEL/shard-00000.arrow": (states, states.schema([0], 2, "float16"), [0, 0, [0.12, -1.5]]),
    "data/states/MODEL/shard-00000.arrow, where `dump.keep` is `pooled`": (
        statistics,
        statistics.schema([0], 2, "float16"),
        [0, 3, [0.2, 1.5], [0.8, 4.5], [0.1, 0.5], [0.3, 1.0], [0.3, 1.0], 1.61],
    ),
    "data/states/MODEL/shard-00000.arrow, where `keep` is `state`": (
        recurrent,
        recurrent.schema([1], (1, 2, 2), "float16"),
        [0, 3, [0.1, -0.5, 0.3, 1.0]],
    ),
    "data/pooled/MODEL/vectors.parquet": (
        vectors,
        vectors.table({0: np.zeros((1, 2)), 1: np.zeros((1, 2))}).schema,
        [0, [0.34, -0.8], [0.41, -1.2]],
    ),
    "data/baselines/NAME/": (
        baselines,
        pa.schema([(name, pa.float64()) for name in ("dice", "jaccard", "char4", "tfidf")]),
        [0.71, 0.55, 0.48, 0.62],
    ),
    "data/sweeps/MODEL/attention.parquet": (attention, attention.schema([0, 1]), [0, 0, 0.083, 0.12]),
    "data/fitted/MODEL/": (fits, None, None),
    "data/unembeddings/MODEL.safetensors": (unembeddings, None, None),
}
OTHERS = {  # path -> the stage that writes it, and what it is
    "data/code/STAGE.json": ("check", "{file: hash} of the code that the stage runs; see docs/architecture.md"),
    "data/states/MODEL/location.json": (
        "dump",
        "{url: where the shards are}, in their place where DRILLCORE_STORE is a URL",
    ),
    "results/metrics.json": ("correlate", "rho, layer and difference of each encoder on the last split; a DVC metric"),
}


def files_page():
    yield from ("# Files", "", NOTE, "")
    yield "What each stage writes, column by column; Arrow and Parquet with a row as an example."
    yield "`pipeline/formats` writes, reads and checks them: see [damaged files](../howto/when-damaged.md)."
    for path, (stage, columns, row) in PARQUET.items():
        yield from ("", f"## {path}", "", f"Written by `{stage}`.", "")
        yield from (f"- `{name}` ({column.type}): {column.text}" for name, column in columns.items())
        yield from ("", "```json", json.dumps(dict(zip(columns, row))), "```")
    for path, (module, schema, row) in EXAMPLES.items():
        yield from ("", f"## {path}", "", inspect.getdoc(module))
        if schema is not None:
            yield from ("", "```json", json.dumps(dict(zip(schema.names, row))), "```")
    yield from ("", "## In the footers of data/pooled/MODEL/vectors.parquet and data/scores.parquet", "")
    yield from (inspect.getdoc(norms), "", *describe(norms.Norms, ""))
    for path, (stage, keys) in JSON.items():
        yield from ("", f"## {path}", "", f"JSON, written by `{stage}`.", "")
        yield from (f"- `{key}`: {text}" for key, (_, text) in keys.items())
    for path, (stage, columns) in CSV.items():
        yield from ("", f"## {path}", "", f"CSV, written by `{stage}`. Nothing in it is rounded.", "")
        yield from (f"- `{name}`" + (f": {text}" if text else "") for name, (_, text) in columns.items())
    for path, (stage, text) in OTHERS.items():
        yield from ("", f"## {path}", "", f"JSON, written by `{stage}`: {text}.")
    yield from ("", "## Pages", "", "For people, and rounded. The pictures of a page lie beside it.", "")
    yield from (f"- `results/{name}`, written by `{stage}`: {text}" for name, (stage, text) in TO_READ.items())


TO_READ = {
    "report.html": ("page", "all of it on [one page](../howto/page.md), with a browser of the pairs"),
    "report.md": ("report", "how well each encoder orders the pairs, and whether each model reads the text"),
    "poolings.md": ("poolings", "which pooling, correction or similarity is better than the mean and the cosine"),
    "probes.md": ("probes", "what a linear classifier reads from the vectors of each layer"),
    "claims.md": ("claims", "a verdict on each claim of the paper"),
    "cost.md": ("python -m stages.cost", "what each encoder costs, beside how well it does"),
    "geometry.md": ("python -m stages.relate", "how the states of each layer spread, bend and change"),
    "datasets.md": ("python -m stages.datasets", "several data sets side by side"),
}


MEASURES = {
    "Vectors of sentences": (SENTENCES, "`pipeline/geometry/sentences.py`"),
    "Vectors of two layers": (BETWEEN, "`pipeline/geometry/between.py`"),
    "States of tokens": (TOKENS, "`pipeline/geometry/tokens.py`"),
}


def span(low, high, unit):
    """The values that a measure can have, in words."""
    if low == -float("inf"):
        text = f"at most {high:g}"
    else:
        text = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
    return text + (f", in {unit}" if unit else "")


def geometry_page():
    yield from ("# Measures of geometry", "", NOTE, "")
    yield "What `dvc --cd geometry repro` measures at every layer ([how](../howto/geometry.md)). v is the vector of a"
    yield "sentence, h_t the state of its token t = 1 .. T; N sentences, D dimensions. *Source* is what was looked at."
    yield "Where a source could not be read in full, it says so. Intervals are cut where the range ends."
    for title, (registry, module) in MEASURES.items():
        yield from ("", f"## {title}", "", f"In {module}.")
        for name, one in registry.items():
            yield from ("", f"### {name}", "", f"{one.title}: {one.formula}.", "")
            yield f"- range: {span(*one.span, one.unit)}"
            yield f"- what it depends on: {one.depends}"
            yield f"- source: {one.source}"
            if "mean" in one.needs or one.needs <= {"square", "variance", "tokens"}:
                yield "- also from a dump of statistics (`dump.keep: pooled`)"
            if one.claim:
                yield f"- speaks to claim {one.claim} of arXiv 2502.14620"


def claims_page():
    yield from ("# Claims and rules", "", NOTE, "")
    yield "What arXiv 2502.14620 claims (C), asks (Q) and would check next (N1), and when a figure supports it."
    yield "[statistics.md](../statistics.md#verdicts) says what the words mean. Layers are those of a model of 24"
    yield "blocks, and stand for a share of depth. A rule that does not decide its claim stands beside it."
    for name, claim in CLAIMS.items():
        yield from ("", f"## {name}: {claim.statement[:-1]}", "")
        yield from (claim.said, "")
        for measure, rule in of_claim(name):
            aside = "" if rule.main else ", beside it"
            figure = f" The paper's figure: {rule.paper}." if rule.paper else ""
            yield f"- `{measure}` ({JUDGED[rule.by]}{aside}): {rule.says}.{figure}"


JUDGED = {"test": "by a test", "interval": "by an interval"}
PAGES = {
    "claims.md": claims_page,
    "params.md": params_page,
    "catalog.md": catalog_page,
    "files.md": files_page,
    "geometry.md": geometry_page,
}


def example_tables():
    """{path: (schema, row)} of every example in files.md, for the test that they fit."""
    declared = {path: (parquet.schema_of(columns), row) for path, (_, columns, row) in PARQUET.items()}
    return declared | {path: (schema, row) for path, (_, schema, row) in EXAMPLES.items() if schema is not None}


def main():
    folder = ROOT / "docs" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text("\n".join(page()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
