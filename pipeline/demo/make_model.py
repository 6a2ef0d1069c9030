"""Documents and their tokenizer -> a small RWKV-6, its losses and what they say."""

import json
import math
import shutil
from pathlib import Path

import polars as pl

from pipeline.base import cli, machine, settings
from pipeline.base.cli import Device, In, Out, Threads
from pipeline.base.files import replacing, write_json
from pipeline.demo import pretraining
from pipeline.demo.corpus import END
from pipeline.demo.curve import loss_curve
from pipeline.demo.sequences import pack
from pipeline.demo.settings import PARAMS, Pretrain

CHECKPOINTS = Path(".drillcore/pretrain")


def main(  # noqa: PLR0913 - the options of a command
    documents: In,
    tokenizer: In,
    info: In,
    out: Out,
    losses: Out,
    metrics: Out,
    curve: Out,
    device: Device = "",
    threads: Threads = 0,
) -> None:
    """Train on DOCUMENTS with TOKENIZER. It resumes where it was stopped.

    Writes the folder OUT in the hub's layout, the table LOSSES, METRICS (bits per byte of all held-out text, beside the
    n-gram models of INFO) and the picture CURVE.
    """
    from transformers import AutoTokenizer

    machine.use_threads(threads)
    chosen = settings.section(Pretrain, PARAMS)
    table, bpe = pl.read_parquet(documents), AutoTokenizer.from_pretrained(tokenizer)
    train, held_out = (table.filter(table["held_out"] == side)["text"].to_list() for side in (False, True))
    train_ids, held_ids = (bpe(texts, add_special_tokens=False)["input_ids"] for texts in (train, held_out))
    stream = pack(train_ids, int(bpe.convert_tokens_to_ids(END)), chosen.seed)  # type: ignore[arg-type]
    print(f"{len(stream)} tokens of text, {chosen.steps} steps")
    held = pretraining.HeldOut(held_ids, bytes_of(held_out))
    model = pretraining.new_model(chosen, len(bpe), bpe.eos_token_id)
    model.to(machine.device_named(device))  # type: ignore[arg-type]
    checkpoint = CHECKPOINTS / f"{pretraining.key_of(stream, chosen, model)}.pt"
    history = pretraining.train(model, stream, held, chosen, checkpoint)
    bits = pretraining.held_out_bits(model, held)
    ngrams = json.loads(info.read_text())["held_out_bits_per_byte"]
    listed = ", ".join(f"{n}: {of_ngrams:.4f}" for n, of_ngrams in ngrams.items())
    print(f"{bits:.4f} bits per byte on all held-out text; n-gram models of its bytes: {listed}")
    shutil.rmtree(out, ignore_errors=True)
    model.half().save_pretrained(out)
    bpe.save_pretrained(out)
    state_mean_pooling(out, chosen.hidden_size)
    with replacing(losses) as part:
        history.drop("seconds").write_csv(part)
    write_json(metrics, {"held_out_bits_per_byte": bits, "ngrams": ngrams, "tokens": history["tokens"][-1]})
    bits_per_nat = len(stream) / sum(bytes_of(train)) / math.log(2)
    bars = {f"{n}-gram model of bytes": ngrams[n] for n in ("1", "5")}
    with replacing(curve) as part:
        loss_curve(history, bits, bits_per_nat, bars).savefig(part, dpi=160, format="png")
    checkpoint.unlink(missing_ok=True)  # of no use any more


def state_mean_pooling(folder: Path, width: int) -> None:
    """Say in sentence-transformers' way that a sentence's vector is the mean; it would take the last token."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds.items())
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True})


def bytes_of(texts: list[str]) -> list[int]:
    """The length of each text in bytes."""
    return [len(text.encode()) for text in texts]


if __name__ == "__main__":
    cli.run(main)
