"""Train pairs -> what one model learned from them; nothing for a model that is not to be fine-tuned."""

import shutil
import sys

from pipeline.base import cli, settings
from pipeline.base.cli import Device, In, Name, Out, Threads
from pipeline.base.files import write_json
from pipeline.base.machine import device_named, use_threads
from pipeline.catalog import entries
from pipeline.finetune.settings import Finetune
from pipeline.formats import finetunes
from pipeline.formats import pairs as pair_files
from pipeline.text.settings import Tokenize


def main(model: Name, pairs: In, out: Out, device: Device = "", threads: Threads = 0) -> None:
    """Train MODEL on the train pairs of the folder PAIRS, or of finetune.dataset; write the folder OUT."""
    entry = entries.entry("models", model)
    shutil.rmtree(out, ignore_errors=True)
    if entry.finetune is None:
        write_json(out / finetunes.REPORT, {"model": model, "nothing": "its entry of catalog.yaml has no `finetune`"})
        return
    from pipeline.finetune.run import Task, finetune  # torch takes seconds

    use_threads(threads)
    section, limits, study = settings.section(Finetune), settings.section(Tokenize), settings.study()
    all_pairs = pair_files.read_pairs(pairs / "pairs.parquet")
    sentences = pair_files.read_sentences(pairs / "sentences.parquet", all_pairs)

    def log(line: str) -> None:
        print(f"{model}: {line}", file=sys.stderr)

    task = Task(model, entry, study.dataset, all_pairs, sentences, section, limits)
    finetune(task, device_named(device), out, log)


if __name__ == "__main__":
    cli.run(main)
