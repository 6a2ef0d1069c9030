"""A folder of text -> documents without the evaluation data's sentences, and a tokenizer trained on them (data/demo/dvc.yaml)."""

import json

from pipeline import catalog, cli, corpus, ngrams, pairs, params
from pipeline.cli import Out
from pipeline.files import replacing

PARAMS = "data/demo/params.yaml"


def main(documents: Out, tokenizer: Out, info: Out):
    """Write the table DOCUMENTS, the folder TOKENIZER and the counts INFO of the text that data/demo/params.yaml names."""
    settings = params.section("corpus", corpus.Corpus, PARAMS)
    everything = pairs.Prepare(limit=None)
    sentences = {name: pairs.prepare(catalog.entry("datasets", name), name, everything)[1]["text"].to_list() for name in settings.exclude}
    table, counts = corpus.build(settings, sentences)
    train, held_out = (table.filter(table["held_out"] == side)["text"].to_list() for side in (False, True))
    made = corpus.train_tokenizer(train, settings.vocabulary, tokenizer)
    counts |= {"vocabulary": len(made), "held_out_bits_per_byte": dict(enumerate(ngrams.witten_bell(train, held_out, 5).tolist(), 1))}
    with replacing(documents) as part:
        table.write_parquet(part)
    with replacing(info) as part:
        part.write_text(json.dumps(counts, indent=2) + "\n")
    print(json.dumps(counts))


if __name__ == "__main__":
    cli.run(main)
