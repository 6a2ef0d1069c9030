"""Token ids -> every hidden layer of one model, once (contracts C1, C3, C6)."""

import sys

from pipeline.base import cli, settings
from pipeline.base.cli import Device, In, Name, Out, Threads
from pipeline.base.machine import use_threads
from pipeline.catalog import entries
from pipeline.dump import checks, gate, key, run
from pipeline.dump.settings import Dump, of_model
from pipeline.formats import manifest as manifests
from pipeline.formats import pairs, unembeddings
from pipeline.formats import tokens as token_files
from pipeline.models import layers, load, spread, weights
from pipeline.models.unembedding import unembedding_of
from pipeline.readouts.registry import readout_of


def main(
    model: Name,
    tokens: In,
    sentences: In,
    out: Out,
    unembedding: Out,
    manifest: Out,
    device: Device = "",
    threads: Threads = 0,
) -> None:
    """Run MODEL over TOKENS; write shards to the folder OUT, its UNEMBEDDING, then MANIFEST."""
    use_threads(threads)
    spread.several(device)  # what it refuses is known before weights are fetched
    entry = weights.drawn(entries.entry("models", model), model)
    params = of_model(settings.section(Dump), entry, model)
    read = token_files.read(tokens, model)
    readout = readout_of(params.keep, params.readout)
    texts = pairs.read_sentences(sentences)["text"].to_list()
    path = weights.locate(entry, model)
    sources = {"weights": weights.source(entry, path), "tokenizer": read.source}
    checks.check_sources(sources, model)
    network = spread.loaded(entry, path, model, params.dtype, device)
    checks.check_tokens(read, texts, network, readout)
    reading = gate.gate_of(network, read, texts, params.gate_tokens)
    print(gate.summary(model, reading), file=sys.stderr)
    fingerprint, depth, kernel = weights.fingerprint(entry, path), layers.depth_of(network), load.kernel_of(network)
    dump_key, parts = key.key_of(fingerprint, read, params, depth, kernel)
    places = run.Places(out, dump_key, manifest)
    written = run.dump(network, read.ids, read.sentence_ids, params, places, read.spans, readout)
    unembeddings.write(unembedding, unembedding_of(network), model)
    facts = {"model": model, "key": dump_key, "parts": parts, "sources": sources, "gate": reading}
    manifests.write(manifest, facts | {"truncated": int(read.truncated.sum())} | written)


if __name__ == "__main__":
    cli.run(main)
