"""Token states -> the scores of every pooling, correction and similarity of one model at every layer."""

import sys
from dataclasses import replace

from pipeline.base import cli, settings
from pipeline.base.cli import In, Name, Out
from pipeline.catalog import entries
from pipeline.formats import dumps, unembeddings
from pipeline.formats import manifest as manifests
from pipeline.formats import pairs as pair_files
from pipeline.pool.inputs import Files
from pipeline.score import attention, sweep
from pipeline.score.settings import Sweep


def main(model: Name, states: In, manifest: In, unembedding: In, tokens: In, pairs: In, fits: In, out: Out) -> None:
    """Pool STATES in one read, and write the scores of PAIRS to the folder OUT (Parquet), and where attention looked.

    Some poolings take weights from TOKENS and the train sentences of PAIRS, or what FITS holds; some corrections take
    UNEMBEDDING.
    """
    section, table = settings.section(Sweep), pair_files.read_pairs(pairs)
    scores, weights = out / "scores.parquet", out / "attention.parquet"
    if entries.entry("models", model).is_control and not section.controls:
        print(f"{model}: not swept, {sweep.CONTROL}", file=sys.stderr)
        sweep.nothing(scores, table, model, sweep.CONTROL)
        attention.nothing(weights, model)
        return
    about = manifests.read(manifest, model)
    dump = dumps.read(states, about)
    poolings = [swept.pooling for swept in section.poolings if swept.pooling]
    inputs = Files(tokens, pairs, fits).read(poolings, model, about)
    inputs = replace(inputs, unembedding=unembeddings.read(unembedding, model))
    for name, reason in sweep.sweep(dump, table, scores, model, section, inputs).items():
        print(f"{model}: {name} is left out, {reason}", file=sys.stderr)
    attention.write(dump, weights, model, inputs.fits)


if __name__ == "__main__":
    cli.run(main)
