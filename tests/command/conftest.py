"""A clone-like project in which `drillcore run` has run once, on a CSV and a model folder of its own."""

import shutil

import polars as pl
import yaml

from tests.helpers import ROOT, run
from tests.study import SIZES

COPIED = ("dvc.yaml", ".dvc", ".dvcignore", ".gitignore", "pipeline", "stages", "data/sample", "data/beside")
COMMENTS = """# what a person wrote
datasets:
  sample: &sample # behind an anchor
    path: data/sample/hard.tsv

  # between two entries
  control: {<<: *sample, permute_labels: 0} # at the end of a line

# before the models
models:
    tiny: {random: 0, config: CONFIG, tokenizer: bytes} # four blanks
    other: {random: 1, config: CONFIG, tokenizer: bytes}

baselines:
  overlap: {kind: overlap} # the last line
"""
"""a catalogue that a person laid out"""
COLUMNS = ["--sentence1", "question", "--sentence2", "answer", "--label", "grade", "--split", "fold"]


def write_catalogue(folder):
    (folder / "catalog.yaml").write_text(
        COMMENTS.replace("CONFIG", yaml.safe_dump(SIZES, default_flow_style=True).strip())
    )


def write_pairs(path):
    """24 pairs of the sample, train and test, under other names of columns."""
    table = pl.read_csv(ROOT / "data/sample/hard.tsv", separator="\t", quote_char=None)
    parts = [table.filter(split=split).head(24) for split in ("train", "test")]
    pl.concat(parts).select(question="sentence1", answer="sentence2", grade="label", fold="split").write_csv(path)


def write_model(folder):
    """A tiny RWKV-6 as transformers saves it, with the tokenizer of the demo model."""
    import torch
    from transformers import AutoModelForCausalLM

    import pipeline.models.rwkv6
    from pipeline.models.rwkv6_config import Rwkv6Config

    assert pipeline.models.rwkv6
    sizes = {name: value for name, value in SIZES.items() if name != "model_type"} | {"vocab_size": 8192}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(Rwkv6Config(**sizes)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "data/demo/model" / name, folder)


def drillcore(folder, *words, check=True, **environment):
    """The command in a folder, in a process of its own."""
    return run(folder, "python", "-m", "pipeline.command", *words, check=check, COLUMNS="100", **environment)
