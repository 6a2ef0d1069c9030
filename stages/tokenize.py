"""Sentences -> token ids of one model."""

from pipeline.base import cli, settings
from pipeline.base.cli import In, Name, Out
from pipeline.catalog import entries
from pipeline.engine.engines import engine_of
from pipeline.formats import pairs, tokens
from pipeline.text import encoding
from pipeline.text.settings import Tokenize


def main(model: Name, sentences: In, out: Out) -> None:
    """Write the token ids of SENTENCES for MODEL of catalog.yaml to OUT (Parquet)."""
    entry, section = entries.entry("models", model), settings.section(Tokenize)
    engine = engine_of(settings.study().engine)
    table = pairs.read_sentences(sentences)
    tokens.write(out, encoding.tokenize(table, entry, model, section, engine))


if __name__ == "__main__":
    cli.run(main)
