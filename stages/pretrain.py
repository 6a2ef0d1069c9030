"""Documents and their tokenizer -> a small RWKV-6, its losses and what they say (data/demo/dvc.yaml)."""

import json
import math
import shutil
from pathlib import Path

import polars as pl
import torch
from transformers import AutoTokenizer

from pipeline import cli, corpus, params, pretraining
from pipeline.cli import Device, In, Out, Threads
from pipeline.files import replacing

PARAMS = "data/demo/params.yaml"


def main(
    documents: In,
    tokenizer: In,
    info: In,
    out: Out,
    losses: Out,
    metrics: Out,
    curve: Out,
    device: Device = "",
    threads: Threads = 0,
):
    """Train on DOCUMENTS with TOKENIZER; write the folder OUT in the hub's layout, the table LOSSES, METRICS (bits per byte
    of all held-out text, beside the n-gram models of INFO) and the picture CURVE. It resumes where it was stopped."""
    torch.set_num_threads(threads or torch.get_num_threads())
    settings = params.section("pretrain", pretraining.Pretrain, PARAMS)
    table, words = pl.read_parquet(documents), AutoTokenizer.from_pretrained(tokenizer)
    parts = {side: part["text"].to_list() for (side,), part in table.partition_by("held_out", as_dict=True).items()}
    ids = {side: words(texts, add_special_tokens=False)["input_ids"] for side, texts in parts.items()}
    stream = pretraining.pack(ids[False], words.convert_tokens_to_ids(corpus.END), settings.seed)
    print(f"{len(stream)} tokens of text, {settings.steps} steps")
    held = ids[True], [len(text.encode()) for text in parts[True]]
    where, what = cli.device_of(device), (len(words), words.eos_token_id)
    checkpoint = Path(".drillcore/pretrain") / f"{pretraining.key_of(stream, settings, *what, where)}.pt"
    model, history = pretraining.train(stream, held, settings, *what, checkpoint, where)
    bits = pretraining.held_out_bits(model, *held)
    ngrams = json.loads(info.read_text())["held_out_bits_per_byte"]
    print(f"{bits:.4f} bits per byte on all held-out text; n-gram models of its bytes: {', '.join(f'{n}: {b:.4f}' for n, b in ngrams.items())}")
    shutil.rmtree(out, ignore_errors=True)
    model.half().save_pretrained(out)
    words.save_pretrained(out)
    with replacing(losses) as part:
        history.drop("seconds").write_csv(part)
    with replacing(metrics) as part:
        part.write_text(json.dumps({"held_out_bits_per_byte": bits, "ngrams": ngrams, "tokens": history["tokens"][-1]}, indent=2) + "\n")
    bars = {f"{n}-gram model of bytes": ngrams[n] for n in ("1", "5")}
    bits_per_nat = len(stream) / sum(len(text.encode()) for text in parts[False]) / math.log(2)
    with replacing(curve) as part:
        pretraining.loss_curve(history, bits, bits_per_nat, bars, part)
    checkpoint.unlink(missing_ok=True)  # of no use any more


if __name__ == "__main__":
    cli.run(main)
