"""Token ids -> every hidden layer of one model, once (contracts C1, C3, C6)."""

import os
import sys
from functools import partial
from typing import Annotated, Any

import typer

from pipeline.base import cli, settings
from pipeline.base.cli import Device, In, Name, Out, Threads
from pipeline.catalog import entries
from pipeline.dump import checks, gate, key, run
from pipeline.dump.network import Network, survey, unembedding_in
from pipeline.dump.publish import Places
from pipeline.dump.ranks import rank_of
from pipeline.dump.settings import Dump, of_model
from pipeline.dump.work import work_of
from pipeline.engine.engines import engine_of
from pipeline.formats import manifest as manifests
from pipeline.formats import pairs, unembeddings
from pipeline.formats import tokens as token_files
from pipeline.models import spread, weights
from pipeline.readouts.registry import readout_of
from pipeline.storage.places import check_store


def main(
    model: Name,
    tokens: In,
    sentences: In,
    out: Out,
    unembedding: Out,
    manifest: Out,
    device: Device = "",
    threads: Threads = 0,
    rank: Annotated[int | None, typer.Option(help="which of several workers this is, from 0 on")] = None,
    world_size: Annotated[int | None, typer.Option(help="how many workers there are")] = None,
) -> None:
    """Run MODEL over TOKENS; write shards to the folder OUT, its UNEMBEDDING, then MANIFEST.

    Several of these may run at once and share the work. With --rank R and --world-size W, or by torchrun, srun or
    mpirun, each makes its own W-th of the shards (docs/howto/several-machines.md).
    """
    mine, engine = rank_of(rank, world_size, os.environ), engine_of(settings.study().engine)
    spread.several(device)  # what it refuses is known before weights are fetched
    entry = weights.drawn(entries.entry("models", model), model)
    params = of_model(settings.section(Dump), entry, model)
    read = token_files.read(tokens, model)
    readout = readout_of(params.keep, params.readout)
    texts = pairs.Texts(sentences)
    path = weights.locate(entry, model)
    sources = {"weights": weights.source(entry, path), "tokenizer": read.source}
    checks.check_sources(sources, model)
    check_store()
    network = Network(entry, path, model, params.dtype, mine.device(device), threads)
    look = partial(survey, network, read, texts, readout, params.gate_tokens)
    seen = engine.once(look, network=True)
    print(gate.summary(model, seen.reading, entry.is_control), file=sys.stderr)
    fingerprint = weights.fingerprint(entry, path)
    dump_key, parts = key.key_of(fingerprint, read, params, seen.sizes.depth, seen.kernel)
    facts = {"model": model, "key": dump_key, "parts": parts, "sources": sources, "gate": seen.reading}

    def finish(written: dict[str, Any]) -> None:
        unembeddings.write(unembedding, engine.once(partial(unembedding_in, network), network=True), model)
        manifests.write(manifest, facts | {"truncated": int(read.truncated.sum())} | written)

    work = work_of(seen.sizes, read.ids, read.sentence_ids, params, readout, read.spans)
    places = Places(out, dump_key, manifest, beside=(unembedding,), finish=finish)
    run.fill(run.Shards(network, work, places.built), places, mine, engine)


if __name__ == "__main__":
    cli.run(main)
