"""Sentence encoders through sentence-transformers: their own vectors, and what is refused."""

import json
import shutil
import sys

import numpy as np
import polars as pl
import pytest

pytest.importorskip("sentence_transformers", reason="the extra encoders is not installed")

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast

from pipeline.base.errors import InputError
from pipeline.baselines.encoders import sentence_encoder
from pipeline.catalog.entries import Baseline, Model
from pipeline.formats.baselines import read_info
from pipeline.models.layers import hidden_layers
from pipeline.models.load import load
from pipeline.text.tokenizers import tokenizer_of
from tests.study import CATALOG, run_all, write_settings

WORDS = ["a", "cat", "dog", "sat", "ran", "on", "the", "mat", "and", "bird"]
TEXTS = ["a cat sat on the mat", "the dog", "a bird and a dog ran on and on", "sat", "cat and dog"]
SENTENCES = pl.DataFrame({"sentence_id": range(len(TEXTS)), "text": TEXTS})


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A folder as Hugging Face saves it: a tiny BERT of 2 blocks and its tokenizer."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=15, max_position_embeddings=32, **sizes)).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(network, tmp_path_factory):
    """A folder as sentence-transformers saves it, with prompts."""
    folder, transformer = tmp_path_factory.mktemp("encoder"), Transformer(str(network), max_seq_length=10)
    torch.manual_seed(1)
    modules = [transformer, Pooling(16, "mean"), Dense(16, 6), Normalize()]
    SentenceTransformer(modules=modules, prompts={"query": "the cat "}, device="cpu").save(str(folder))
    return folder


def vectors_of(**fields):
    return sentence_encoder(Baseline(kind="encoder", **fields), None, SENTENCES, "baseline e")


def test_an_encoder_gives_its_own_vectors_in_the_order_of_the_sentences(encoder):
    own = SentenceTransformer(str(encoder), device="cpu")
    result = vectors_of(path=str(encoder))
    for row, text in zip(result.vectors, TEXTS):  # one by one: whatever the batch
        assert np.abs(row - own.encode(text)).max() <= 1e-6
    assert result.pooling == "own"
    assert result.info["modules"] == ["Transformer bert", "Pooling mean", "Dense", "Normalize"]
    assert (result.info["dim"], result.info["prompt"], result.info["max_tokens"]) == (6, None, 10)
    assert result.info["truncated"] == 1


@pytest.mark.parametrize(("prompt", "text"), [("query", "the cat "), ("and a ", "and a ")])
def test_a_prompt_is_one_of_its_own_or_text(encoder, prompt, text):
    own = SentenceTransformer(str(encoder), device="cpu")
    result = vectors_of(path=str(encoder), prompt=prompt)
    assert result.info["prompt"] == text
    assert np.abs(result.vectors - own.encode(TEXTS, prompt=text)).max() <= 1e-6
    assert np.abs(result.vectors - own.encode(TEXTS)).max() > 1e-3


def test_the_prompt_that_it_names_as_its_default_is_used(encoder, tmp_path):
    folder = shutil.copytree(encoder, tmp_path / "default")
    config = json.loads((folder / "config_sentence_transformers.json").read_text())
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config | {"default_prompt_name": "query"}))
    assert np.array_equal(vectors_of(path=str(folder)).vectors, vectors_of(path=str(encoder), prompt="query").vectors)


@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken", "max", "pooler"])
def test_without_modules_the_entry_says_the_pooling(network, pooling):
    model, tokenizer = BertModel.from_pretrained(network).eval(), BertTokenizerFast.from_pretrained(network)
    found = vectors_of(path=str(network), pooling=pooling).vectors
    for row, text in zip(found, TEXTS):
        with torch.inference_mode():
            output = model(**tokenizer(text, return_tensors="pt"))
        states = output.last_hidden_state[0]
        exact = {
            "mean": states.mean(0),
            "cls": states[0],
            "lasttoken": states[-1],
            "max": states.max(0).values,
            "pooler": output.pooler_output[0],
        }
        assert np.abs(row - exact[pooling].numpy()).max() <= 1e-6


def test_its_last_layer_pooled_equals_it(encoder, network):
    """The dump's layers of the same folder, mean-pooled, through the encoder's own last modules."""
    entry = Model(path=str(encoder), special_tokens=True)
    model, tokenizer = load(entry, encoder, "e"), tokenizer_of(entry, "e")
    assert vectors_of(path=str(network), pooling="mean").vectors.shape == (5, 16)
    for text, exact in zip(TEXTS, vectors_of(path=str(network), pooling="mean").vectors):
        ids = torch.tensor([[*tokenizer.ends[0], *tokenizer.encode([text])[0], *tokenizer.ends[1]]])
        assert np.abs(hidden_layers(model, ids)[-1][0].mean(0).numpy() - exact).max() <= 1e-6


def test_a_folder_that_does_not_say_its_pooling_is_asked(network):
    with pytest.raises(InputError, match=r"baseline e: .* has no modules.json.*`pooling`: mean, cls, lasttoken, max"):
        vectors_of(path=str(network))


def test_code_of_a_repository_is_not_run(encoder, tmp_path):
    folder = shutil.copytree(encoder, tmp_path / "own-code")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "evil.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Pooling: pass\n")
    with pytest.raises(InputError, match=r"cannot load .* without code of its own"):
        vectors_of(path=str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("spoil", ["config.json", "model.safetensors"])
def test_a_damaged_folder_is_one_line(encoder, tmp_path, spoil):
    folder = shutil.copytree(encoder, tmp_path / "damaged")
    (folder / spoil).write_bytes(b"{")
    with pytest.raises(InputError, match=r"^baseline e: sentence-transformers cannot load .*damaged"):
        vectors_of(path=str(folder))


def test_without_the_package_the_extra_is_named(encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    said = r"sentence_transformers is not installed: pip install -c constraints.txt -e '.\[encoders\]'"
    with pytest.raises(InputError, match=said):
        vectors_of(path=str(encoder))


def test_an_encoder_of_the_hub_says_its_commit_and_a_local_one_none(encoder, hub_cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {file.relative_to(encoder).as_posix(): file.read_bytes() for file in encoder.rglob("*") if file.is_file()}
    commit = hub_cache.commit("owner/encoder", files)
    found, local = vectors_of(hub="owner/encoder"), vectors_of(path=str(encoder))
    assert found.info["source"] == {"hub": "owner/encoder", "revision": "main", "commit": commit}
    assert local.info["source"] is None
    assert np.array_equal(found.vectors, local.vectors)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(InputError, match="pooling is 'centre': expected one of mean, cls"):
        Baseline(kind="encoder", path="x", pooling="centre")


def test_an_encoder_runs_through_the_whole_pipeline(encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("DRILLCORE_DEVICE", "cpu")
    named = CATALOG["baselines"] | {"small-encoder": {"kind": "encoder", "path": str(encoder)}}
    write_settings(tmp_path, CATALOG | {"baselines": named}, baselines=["overlap", "small-encoder"])
    run_all(tmp_path)
    assert read_info(tmp_path / "data/baselines/small-encoder", "small-encoder")["dim"] == 6
    report = (tmp_path / "results/report.md").read_text()
    assert "| small-encoder | Transformer bert, Pooling mean, Dense, Normalize | 6 | none | 10 |" in report
    table = pl.read_csv(tmp_path / "results/correlations.csv").filter(pl.col("encoder") == "small-encoder")
    assert set(table["pooling"]) == {"own"}
    assert table["spearman"].is_finite().all()
    assert table["difference"].null_count() < len(table)
