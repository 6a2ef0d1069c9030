"""Token states and sentence vectors -> the geometry of every layer of every model (run by geometry/dvc.yaml)."""

import sys

import polars as pl

from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.engine.engines import engine_of
from pipeline.formats import beside, dumps, tokens, vectors
from pipeline.formats import geometry as geometry_format
from pipeline.formats import manifest as manifest_format
from pipeline.formats import pairs as pairs_format
from pipeline.geometry import run
from pipeline.geometry.settings import Geometry


def main(data: In, out: Out, copy: Out) -> None:
    """Measure the models of params.yaml from what the stages before it left in DATA; write OUT (Parquet), and a COPY
    for the stage claims.
    """
    section, found, left_out = settings.section(Geometry), [], {}
    engine = engine_of(settings.study().engine)
    of = beside.study(data / "pairs", data / "manifests", data / "baselines", settings.study().models)
    component = run.components_of(pairs_format.read_pairs(data / "pairs/pairs.parquet"))
    for model in settings.study().models:
        about = manifest_format.read(data / f"manifests/{model}.json", model)
        inputs = run.Inputs(
            encoder=model,
            dump=dumps.read(data / "states" / model, about),
            vectors=vectors.read(data / "pooled" / model / "vectors.parquet", f"pool@{model}"),
            tokens=tokens.read(data / f"tokens/{model}.parquet", model),
            component=component,
        )
        table, missing = run.measure(inputs, section, engine)
        found.append(table)
        left_out[model] = missing
        for reason in dict.fromkeys(missing.values()):
            names = ", ".join(name for name, why in missing.items() if why == reason)
            print(f"{model}: {names} left out, {reason}", file=sys.stderr)
    facts = {
        "measures": run.facts(),
        "left_out": left_out,
        "confidence": section.confidence,
        "resamples": section.resamples,
    }
    geometry_format.write(out, pl.concat(found), facts)
    beside.begin(copy)
    geometry_format.write(copy, pl.concat(found), facts)
    beside.finish(copy, of)


if __name__ == "__main__":
    cli.run(main)
