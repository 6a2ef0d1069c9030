"""A small study in a folder of its own, for tests that run stages: the committed settings, made quick, and tiny
models.
"""

import shlex
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.base import cli
from tests.helpers import ROOT

SIZES = {"model_type": "rwkv6", "vocab_size": 256, "hidden_size": 16, "num_hidden_layers": 2, "head_size": 8}
CATALOG = {
    "datasets": {"sample": {"path": str(ROOT / "data/sample/hard.tsv")}},
    "models": {
        "tiny": {"random": 0, "config": SIZES, "tokenizer": "bytes"},
        "other": {"random": 1, "config": SIZES, "tokenizer": "bytes"},
    },
    "baselines": {"overlap": {"kind": "overlap"}, "random": {"kind": "random", "dim": 8}},
}
CHANGES = {
    "dataset": "sample",
    "models": ["tiny"],
    "baselines": ["overlap", "random"],
    "pooling": "mean",
    "prepare": {"limit": 20},
    "dump": {"gate_tokens": 200, "shard_mb": 1},
    "correlate": {"resamples": 100},
    "finetune": {"epochs": 2, "folds": 2, "batch_pairs": 8, "rank": 2},
    "fit": {"epochs": 2, "runs": 2, "controls": True, "poolings": ["attention", "diagonal"]},
    "sweep": {
        "poolings": ["mean", "sif", "attention", "diagonal", "pairs_of_layers"],
        "corrections": ["none"],
        "similarities": ["cosine"],
        "controls": True,
    },
    "geometry": {"sentences": 20, "traced": 20, "resamples": 20},
    "probe": {"strengths": [0.01, 1], "folds": 2, "dimensions": 3, "controls": True},
    "efficiency": {"pairs": 4, "repeats": 3, "batch_sizes": [4], "layers": [0, -1]},
}


def quick_params():
    """The committed params.yaml with CHANGES."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in CHANGES.items():
        params[key] = params[key] | value if isinstance(value, dict) else value
    return params


def write_settings(folder, catalog=CATALOG, **changes):
    """params.yaml and catalog.yaml of the study."""
    (folder / "params.yaml").write_text(yaml.safe_dump(quick_params() | changes, sort_keys=False))
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))


def commands(params):
    """{stage or stage@item: (its command as words, its dependencies, its results)} of dvc.yaml, in order, without
    `check`.
    """
    found = {}
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        items = params[stage["foreach"].strip("${}")] if "foreach" in stage else [None]
        body = stage.get("do", stage)
        for item in items if name != "check" else ():
            cells = [*body["outs"], *body.get("metrics", [])]
            text = [body["cmd"], *body["deps"], *cells]
            filled = [line.replace("${item}", str(item)) for line in text]
            deps = [dep for dep in filled[1 : 1 + len(body["deps"])] if not dep.startswith("data/code")]
            label = name if item is None else f"{name}@{item}"
            found[label] = shlex.split(filled[0])[2:], deps, filled[1 + len(body["deps"]) :]
    return found


def run_stage(words):
    """Run a stage's command in this process, in the current folder -> its exit status."""
    import importlib

    module = importlib.import_module(words[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        patch.setenv("DRILLCORE_THREADS", "1")
        patch.delenv("DRILLCORE_DEBUG", raising=False)
        try:
            cli.run(module.main)
        except SystemExit as end:
            return end.code or 0
    return 0


def run_all(folder):
    """Run every stage in a folder with settings."""
    params = yaml.safe_load((Path(folder) / "params.yaml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words, _, _ in commands(params).values():
            assert run_stage(words) == 0
