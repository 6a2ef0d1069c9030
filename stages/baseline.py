"""Pairs -> scores or sentence vectors of one baseline."""

from pipeline.base import cli, settings
from pipeline.base.cli import In, Name, Out
from pipeline.baselines.run import run
from pipeline.catalog import entries
from pipeline.engine.engines import engine_of
from pipeline.formats import baselines
from pipeline.formats import pairs as pairs_format


def main(baseline: Name, pairs: In, sentences: In, out: Out) -> None:
    """Run BASELINE of catalog.yaml over PAIRS and SENTENCES; write to the folder OUT."""
    entry, engine = entries.entry("baselines", baseline), engine_of(settings.study().engine)
    table = pairs_format.read_pairs(pairs)
    result = run(entry, baseline, table, pairs_format.read_sentences(sentences, table), engine)
    baselines.write(out, baseline, result)


if __name__ == "__main__":
    cli.run(main)
