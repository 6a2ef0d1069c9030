"""Sentence vectors -> one score for each pair, encoder, layer and similarity (contract C5)."""

from itertools import chain

from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.formats import pairs as pair_files
from pipeline.formats import scores
from pipeline.formats import unembeddings as unembedding_files
from pipeline.score.run import norms_of_model, score_baseline, score_model
from pipeline.score.settings import Score


def main(pairs: In, pooled: In, unembeddings: In, baselines: In, out: Out) -> None:
    """Score PAIRS with the models' vectors in POOLED and with BASELINES; write the tidy table to OUT (Parquet).

    Some corrections take the model's unembedding from UNEMBEDDINGS.
    """
    study, section, table = settings.study(), settings.section(Score), pair_files.read_pairs(pairs)
    files = {name: pooled / name / "vectors.parquet" for name in study.models}
    filters = ((name, unembedding_files.read(unembeddings / f"{name}.safetensors", name)) for name in study.models)
    of_models = (score_model(files[name], name, table, section, unembedding=found) for name, found in filters)
    of_baselines = (score_baseline(baselines / name, name, table, section) for name in study.baselines)
    norms = {model: spread for name, path in files.items() for model, spread in norms_of_model(path, name).items()}
    scores.write(out, chain.from_iterable(chain(of_models, of_baselines)), norms)


if __name__ == "__main__":
    cli.run(main)
