"""A catalogue that a person laid out, pairs under other names of columns, a small model, and the command itself."""

import shutil
import sys

import polars as pl
import pytest
import yaml

from pipeline.command import app
from tests.helpers import ROOT, run
from tests.study import SIZES, quick_params

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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: settings, a catalogue that a person laid out, pairs and a model, and no code."""
    (tmp_path / "data/sample").mkdir(parents=True)
    shutil.copy(ROOT / "data/sample/hard.tsv", tmp_path / "data/sample")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    params = quick_params() | {"models": ["tiny"], "baselines": ["overlap"]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    write_catalogue(tmp_path)
    write_pairs(tmp_path / "pairs.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def say(monkeypatch, capsys):
    """The command in this process -> its exit status, what it prints, and what it says on standard error."""

    def say(*words):
        monkeypatch.setattr(sys, "argv", ["drillcore", *words])
        monkeypatch.delenv("DRILLCORE_DEBUG", raising=False)
        try:
            app.main()
        except SystemExit as end:
            return end.code or 0, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return say
