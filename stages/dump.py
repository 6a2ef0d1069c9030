"""Token ids -> every hidden layer of one model, once (contracts C1, C3, C6)."""

import sys

import polars as pl
import torch

from pipeline import catalog, cli, dumping, gate, models, params, tokenizers
from pipeline.cli import Device, In, Name, Out, Threads


def main(
    model: Name,
    tokens: In,
    sentences: In,
    out: Out,
    manifest: Out,
    device: Device = "",
    threads: Threads = 0,
):
    """Run MODEL over TOKENS; write shards to the folder OUT, then MANIFEST."""
    torch.set_num_threads(threads or torch.get_num_threads())
    entry = catalog.entry("models", model)
    settings = params.section("dump", dumping.Dump)
    sentence_ids, ids, truncated, info = tokenizers.read(tokens)
    path = models.locate(entry, model)
    network = models.load(entry, path, model, settings.dtype).to(cli.device_of(device))
    dumping.check_vocabulary(ids, network.config.get_text_config().vocab_size, model)
    dumping.check_lengths(ids, network, model)
    texts = pl.read_parquet(sentences)["text"]
    reading = gate.gate_of(network, ids, texts, truncated, settings.gate_tokens)
    print(gate.summary(model, reading), file=sys.stderr)
    depth = network.config.get_text_config().num_hidden_layers
    key, parts = dumping.key_of(models.fingerprint(entry, path), info, ids, sentence_ids, depth, settings, models.kernel_of(network))
    written = dumping.dump(network, ids, sentence_ids, key, out, settings, manifest=manifest)
    dumping.write_manifest(manifest, {"model": model, "key": key, "parts": parts, "gate": reading, "truncated": int(truncated.sum()), **written})


if __name__ == "__main__":
    cli.run(main)
