from pathlib import Path

import pytest
import yaml

import stages.prepare
from tests.helpers import ROOT

TOY = """\
split,sentence1,sentence2,label
train,a cat,a dog,1
train,a bird,a dog,0
test,an eel,a fly,1
test,a cow,an eel,0
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder, the current one, with a dataset `toy`, a model `tiny` of bytes, and the outputs of prepare."""
    monkeypatch.chdir(tmp_path)
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings |= {"dataset": "toy", "models": ["tiny"], "baselines": [], "prepare": {"limit": None}}
    catalog = {
        "datasets": {"toy": {"path": "toy.csv"}},
        "models": {"tiny": {"random": 0, "config": {"model_type": "rwkv6"}, "tokenizer": "bytes"}},
    }
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    Path("catalog.yaml").write_text(yaml.safe_dump(catalog))
    Path("toy.csv").write_text(TOY)
    stages.prepare.main(Path("data/pairs"))
    return tmp_path


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network for the hub's clients, and empty caches."""
    import datasets
    import huggingface_hub

    for module in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
