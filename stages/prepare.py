"""Dataset -> pairs and distinct sentences (contract C2)."""

from pipeline.base import cli, settings
from pipeline.base.cli import Out
from pipeline.catalog import entries
from pipeline.formats import pairs
from pipeline.text.pairs import prepare
from pipeline.text.settings import Prepare


def main(out: Out) -> None:
    """Write the pairs and sentences of params.yaml's `dataset` to the folder OUT."""
    name, section = settings.study().dataset, settings.section(Prepare)
    prepared = prepare(entries.entry("datasets", name), name, section)
    pairs.write(out, prepared.pairs, prepared.sentences, prepared.info)


if __name__ == "__main__":
    cli.run(main)
