"""data/demo/make.sh on a toy: from a folder of text to a model that the pipeline loads, and word vectors."""

import json

import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file

from pipeline.baselines.vectors import read_vectors
from pipeline.catalog.entries import Model
from pipeline.models import load
from tests.helpers import ROOT, run

BUILD = "data/demo/build"
SHIPPED = ROOT / "data/demo/model"
DAYS = ["Monday", "Tuesday", "Friday"] * 7
TEXT = " ".join(f"The bank said on {day} that shares of firm {i} fell {i} percent ." for i, day in enumerate(DAYS))
FEW = "a sentence of at least thirteen words that no document of this test holds"
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "head_size": 16, "time_mix_extra_dim": 4, "time_decay_extra_dim": 4}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which make.sh has run."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "data/demo/text").mkdir(parents=True)
    (folder / "data/demo/text/a.txt").write_text("\n\n".join(f"{i} {TEXT}" for i in range(60)))
    few = pl.DataFrame({"sentence1": [FEW] * 2, "sentence2": ["x", "y"], "label": [0, 1]})
    few.write_csv(folder / "few.csv")
    (folder / "catalog.yaml").write_text(yaml.safe_dump({"datasets": {"few": {"path": "few.csv"}}}))
    settings = yaml.safe_load((ROOT / "data/demo/params.yaml").read_text())
    settings["corpus"] |= {"exclude": ["few"], "vocabulary": 280, "held_out": 0.2}
    settings["pretrain"] |= SIZES | {"context": 16, "batch": 4, "tokens": 60 * 64, "learning_rate": 0.01, "warm_up": 5}
    settings["pretrain"] |= {"evaluate_every": 20, "evaluate_tokens": 40}
    settings["wordvectors"] |= {"dim": 4, "words": 40}
    (folder / "data/demo/params.yaml").write_text(yaml.safe_dump(settings))
    run(folder, "bash", str(ROOT / "data/demo/make.sh"), PYTHONPATH=str(ROOT), DRILLCORE_DEVICE="cpu")
    return folder


def test_the_corpus_is_counted_beside_its_ngram_models(project):
    counts = json.loads((project / BUILD / "corpus.json").read_text())
    assert counts["removed"] == {"few": 0}
    assert counts["documents"] == counts["train"] + counts["held_out"] == 60
    assert list(counts["held_out_bits_per_byte"]) == list("12345")


def test_the_model_is_one_that_the_pipeline_loads_and_is_stored_in_float16(project):
    folder = project / BUILD / "model"
    model = load.load(Model(path=str(folder)), folder, "demo")
    assert model.config.vocab_size == json.loads((project / BUILD / "corpus.json").read_text())["vocabulary"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


def test_the_shipped_model_has_what_is_written_beside_a_model(project):
    for name in ("modules.json", "1_Pooling/config.json", "tokenizer_config.json"):
        made, shipped = (json.loads((folder / name).read_text()) for folder in (project / BUILD / "model", SHIPPED))
        made, shipped = ({**d, "word_embedding_dimension": 0} if isinstance(d, dict) else d for d in (made, shipped))
        assert made == shipped


def test_losses_fall_and_are_kept_with_what_was_held_out(project):
    losses = pl.read_csv(project / BUILD / "losses.csv")
    assert losses.columns == ["step", "tokens", "loss", "held_out"]
    assert losses["step"].to_list() == list(range(1, 61))
    assert losses["loss"][-1] < losses["loss"][0]
    metrics = json.loads((project / BUILD / "metrics.json").read_text())
    assert metrics["ngrams"] == json.loads((project / BUILD / "corpus.json").read_text())["held_out_bits_per_byte"]
    assert 0 < metrics["held_out_bits_per_byte"] < 8
    assert metrics["tokens"] == 60 * 64
    assert (project / BUILD / "losses.png").exists()


def test_the_word_vectors_are_of_the_training_text(project):
    known, dim = read_vectors(project / BUILD / "vectors.txt.gz", {"bank", "shares", "thirteen"})
    assert dim == 4
    assert known.keys() == {"bank", "shares"}


def test_no_checkpoint_of_a_finished_run_is_left(project):
    """The next run would resume it."""
    assert not list((project / ".drillcore").rglob("*.pt"))


def test_dvc_does_not_see_the_demo():
    assert not list((ROOT / "data").rglob("dvc.yaml"))
    assert not list((ROOT / "data").rglob("*.dvc"))
