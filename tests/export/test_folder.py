"""A layer as a folder: sentence-transformers opens it in a process without this project, and gives our vectors."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sentence_transformers", reason="the extra encoders is not installed")

from pipeline.base.errors import InputError
from pipeline.export import folder
from pipeline.export.layer import sentence_transformer
from tests.helpers import ROOT
from tests.study import CATALOG, SIZES, write_settings

TOKENIZER = {"kind": "hf", "path": str(ROOT / "data/demo/model")}
GPT2 = {"model_type": "gpt2", "vocab_size": 8192, "n_embd": 16, "n_layer": 2, "n_head": 2}
RWKV7 = {"model_type": "rwkv7", "vocab_size": 8192, "hidden_size": 64, "num_hidden_layers": 2, "head_dim": 32}
MODELS = {
    "gpt2": {"random": 0, "config": GPT2, "tokenizer": TOKENIZER},
    "rwkv6": {"random": 1, "config": SIZES | {"vocab_size": 8192}, "tokenizer": TOKENIZER},
    "rwkv7": {"random": 1, "config": RWKV7, "tokenizer": TOKENIZER},
    "begun": {"random": 0, "config": GPT2, "tokenizer": TOKENIZER, "bos": 0},
    "bytes": {"random": 0, "config": GPT2, "tokenizer": "bytes"},
}
TEXTS = ["A short one.", "Another that is longer than the first, by some words.", "Third"]
OPENED = """
import json, sys
from sentence_transformers import SentenceTransformer
assert not any(name.split(".")[0] == "pipeline" for name in sys.modules)
print(json.dumps(SentenceTransformer(sys.argv[1], device="cpu").encode(json.loads(sys.argv[2])).tolist()))
"""


@pytest.fixture(autouse=True)
def study(tmp_path, monkeypatch):
    write_settings(tmp_path, CATALOG | {"models": MODELS}, models=["gpt2"])
    monkeypatch.chdir(tmp_path)


def test_a_folder_gives_our_vectors_where_this_project_is_not(tmp_path):
    import json

    folder.save("gpt2", 1, tmp_path / "encoder", "mean")
    done = subprocess.run(
        [sys.executable, "-c", OPENED, "encoder", json.dumps(TEXTS)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found, exact = np.array(json.loads(done.stdout)), sentence_transformer("gpt2", 1, "mean").encode(TEXTS)
    assert np.abs(found - exact).max() <= folder.TOLERANCE * np.abs(exact).max()
    assert np.abs(found - sentence_transformer("gpt2", 0, "mean").encode(TEXTS)).max() > 0.01 * np.abs(exact).max()
    assert folder.module_of(tmp_path / "encoder") is None
    with pytest.raises(InputError, match="encoder is there already"):
        folder.save("gpt2", 1, tmp_path / "encoder")


@pytest.mark.parametrize(
    ("family", "pooling"), [("rwkv6", "last"), ("rwkv6", "max"), ("rwkv6", "weighted_mean"), ("rwkv7", "mean")]
)
def test_other_poolings_and_our_own_families(tmp_path, family, pooling):
    from sentence_transformers import SentenceTransformer

    folder.save(family, -1, tmp_path / "encoder", pooling)
    assert folder.module_of(tmp_path / "encoder") == f"pipeline.models.{family}"
    found, exact = (
        SentenceTransformer("encoder").encode(TEXTS),
        sentence_transformer(family, -1, pooling).encode(TEXTS),
    )
    assert np.abs(found - exact).max() <= folder.TOLERANCE * np.abs(exact).max()


@pytest.mark.parametrize(
    ("model", "layer", "pooling", "complaint"),
    [
        ("gpt2", 2, "mean", "layer 2 of gpt2 is none of the hidden states .* final norm"),
        ("begun", 1, "mean", r"a tokenizer \(hf\) or a setting \(bos, shuffle_words\) that a folder cannot hold"),
        ("bytes", 1, "mean", r"a tokenizer \(bytes\)"),
        ("gpt2", 1, "idf_mean", "the pooling of a folder is 'idf_mean': expected one of|did you mean"),
    ],
)
def test_what_a_folder_cannot_hold_is_refused_and_nothing_is_written(tmp_path, model, layer, pooling, complaint):
    with pytest.raises(InputError, match=complaint):
        folder.save(model, layer, tmp_path / "encoder", pooling)
    assert not (tmp_path / "encoder").exists()
