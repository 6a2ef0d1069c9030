"""A folder of text -> documents without the evaluation data's sentences, and a tokenizer trained on them."""

import json

from pipeline.base import cli, settings
from pipeline.base.cli import Out
from pipeline.base.files import replacing, write_json
from pipeline.catalog import entries
from pipeline.demo import corpus
from pipeline.demo.ngrams import witten_bell
from pipeline.demo.settings import PARAMS, Corpus
from pipeline.text.pairs import prepare
from pipeline.text.settings import Prepare

ORDER = 5
"""of the longest n-gram model that the language model is compared with"""


def main(documents: Out, tokenizer: Out, info: Out) -> None:
    """Write the table DOCUMENTS, the folder TOKENIZER and the counts INFO, of the text in data/demo/params.yaml."""
    chosen = settings.section(Corpus, PARAMS)
    sentences = {name: sentences_of(name) for name in chosen.exclude}
    table, counts = corpus.build(chosen, sentences)
    train, held_out = (table.filter(table["held_out"] == side)["text"].to_list() for side in (False, True))
    trained = corpus.train_tokenizer(train, chosen.vocabulary, tokenizer)
    counts["vocabulary"] = len(trained)
    counts["held_out_bits_per_byte"] = dict(enumerate(witten_bell(train, held_out, ORDER).tolist(), 1))
    with replacing(documents) as part:
        table.write_parquet(part)
    write_json(info, counts)
    print(json.dumps(counts))


def sentences_of(name: str) -> list[str]:
    """The sentences of a dataset of catalog.yaml, of all splits."""
    return prepare(entries.entry("datasets", name), name, Prepare(limit=None)).sentences["text"].to_list()


if __name__ == "__main__":
    cli.run(main)
