"""Dataset -> pairs and distinct sentences (contract C2)."""

from pipeline import catalog, cli, pairs, params
from pipeline.cli import Out


def main(out: Out):
    """Write the pairs and sentences of params.yaml's `dataset` to the folder OUT."""
    name = params.study().dataset
    settings = params.section("prepare", pairs.Prepare)
    pairs.write(out, *pairs.prepare(catalog.entry("datasets", name), name, settings))


if __name__ == "__main__":
    cli.run(main)
