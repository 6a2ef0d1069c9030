"""Token states -> sentence vectors of one model at every layer (contract C4)."""

import sys

from pipeline.base import cli, settings
from pipeline.base.cli import In, Name, Out
from pipeline.engine.engines import engine_of
from pipeline.formats import dumps
from pipeline.formats import fits as fit_files
from pipeline.formats import manifest as manifests
from pipeline.pool import run
from pipeline.pool.inputs import Files
from pipeline.pool.names import MEAN, Pooling, mismatch, suited
from pipeline.storage.places import check_store
from pipeline.storage.pointers import put_away


def main(model: Name, states: In, manifest: In, tokens: In, pairs: In, fits: In, out: Out) -> None:
    """Pool STATES by params.yaml's `pooling`; write the vectors to OUT (Parquet).

    Some poolings take weights from TOKENS and the train sentences of PAIRS, or what FITS holds.
    """
    study = settings.study()
    pooling, engine = Pooling.parse(study.pooling), engine_of(study.engine)
    about = manifests.read(manifest, model)
    if why := mismatch(pooling, about["keep"]):
        print(f"{model}: pooled by {suited(pooling, about['keep'])}, since {pooling} {why}", file=sys.stderr)
        pooling = suited(pooling, about["keep"])
    if pooling.learned and "control" in fit_files.read_report(fits, model):
        print(
            f"{model}: pooled by the mean, since {pooling} is not learned for controls (fit.controls)", file=sys.stderr
        )
        pooling = MEAN
    inputs = Files(tokens, pairs, fits).read([pooling], model, about)
    check_store()
    run.pool(dumps.read(states, about), pooling, out, model, inputs, engine)
    put_away(out, "pooled")


if __name__ == "__main__":
    cli.run(main)
