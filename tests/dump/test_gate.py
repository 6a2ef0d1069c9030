"""The language-model check: bits per byte by hand, and a model that reads against one that does not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoConfig, AutoModel

from pipeline.catalog.entries import entry
from pipeline.dump import gate
from pipeline.formats.tokens import Tokens
from pipeline.models.generations import load_rwkv
from pipeline.models.load import load
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.models.weights import locate
from pipeline.text.encoding import tokenize
from pipeline.text.settings import Tokenize
from tests.helpers import ROOT


@pytest.fixture
def model(seeded):
    """A random model of bytes."""
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=256, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()


def tokens_of(ids, sentence_ids=None, truncated=None):
    count = len(ids)
    rows = np.arange(count) if sentence_ids is None else np.array(sentence_ids)
    cut = np.zeros(count, dtype=bool) if truncated is None else np.array(truncated)
    return Tokens("m", rows, [np.asarray(array) for array in ids], None, cut, {})


def test_bits_per_byte_of_a_uniform_model_by_hand(model):
    """All logits equal: every token, the first included, costs log2(256) = 8 bits."""
    torch.nn.init.zeros_(model.head.weight)
    ids = [np.array([1, 2, 3]), np.array([9])]
    assert gate.bits_per_byte(model, ids, n_bytes=4) == pytest.approx(8)
    assert gate.bits_per_byte(model, ids, n_bytes=8) == pytest.approx(4)


def test_bits_per_byte_by_the_models_own_loss(model, rng):
    ids = rng.integers(0, 256, 30)
    with torch.inference_mode():
        tokens = torch.as_tensor(ids)[None]
        nats = model(input_ids=tokens, labels=tokens).loss.item() * 29
    assert gate.bits_per_byte(model, [ids], 30) == pytest.approx((nats / np.log(2) + 8) / 30, rel=1e-5)


def test_unigram_by_hand():
    """a a b with two symbols: p(a) = 2 / (2 + 2), twice, p(b) = 1 / (2 + 2): 1 + 1 + 2 bits over 3 bytes."""
    assert gate.unigram_bits_per_byte([np.array([0, 0]), np.array([1])], 2, 3) == pytest.approx(4 / 3)


def test_unigram_nears_the_entropy_of_long_text(rng):
    """1.75 bits; the mean of 100,000 code lengths has a standard error of 0.0026."""
    draws = rng.choice(4, 100_000, p=[0.5, 0.25, 0.125, 0.125])
    assert gate.unigram_bits_per_byte([draws], 4, len(draws)) == pytest.approx(1.75, abs=6 * 0.0026)


def test_sample_takes_lengths_evenly_and_whole_sentences():
    lengths = np.arange(1, 201)
    chosen = gate.sample(lengths, budget=2000)
    assert len(set(chosen)) == len(chosen)
    assert lengths[chosen].sum() == pytest.approx(2000, rel=0.15)
    assert lengths[chosen].mean() == pytest.approx(lengths.mean(), rel=0.1)
    assert gate.sample(lengths, budget=10**9).tolist() == list(range(200))


def test_a_trained_model_passes_and_the_same_model_on_the_wrong_ids_is_flagged(testdata):
    """The checkpoint was trained on UTF-16-LE bytes: as plain bytes its input is scrambled, as the study's was."""
    model = load_rwkv(testdata / "rwkv/tiny-rwkv-6v0-3m-Q5_1.safetensors").eval()
    table = pl.read_csv(ROOT / "data/sample/hard.tsv", separator="\t", quote_char=None)
    texts = table["sentence1"].to_list()[:60]
    readings = []
    for encoding in ("utf-16-le", "utf-8"):
        tokens = tokens_of([list(text.encode(encoding)) for text in texts])
        readings.append(gate.gate_of(model, tokens, texts, 6000))
    right, wrong = readings
    assert right["passed"]
    assert right["bits_per_byte"] < 3.2
    assert not wrong["passed"]
    assert wrong["bits_per_byte"] > 8
    assert "WARNING" in gate.summary("m", wrong)
    assert "WARNING" not in gate.summary("m", right)
    assert "no better than frequencies do, as random weights do" in gate.summary("m", wrong, control=True)
    assert "WARNING" not in gate.summary("m", wrong, control=True)


def test_shuffled_words_and_another_tokenizer_cost_the_demo_model_bits():
    """The bytes are the same, so that figures can be compared; a model of bytes' frequencies sees no difference."""
    texts = pl.read_csv(ROOT / "data/sample/hard.tsv", separator="\t", quote_char=None)["sentence1"].to_list()[:40]
    table = pl.DataFrame({"sentence_id": range(len(texts)), "text": texts})
    found = {}
    for name in ("demo", "demo-shuffled", "demo-wrong-tokenizer"):
        given = replace(entry("models", name, ROOT / "catalog.yaml"), path=str(ROOT / "data/demo/model"))
        network = load(given, locate(given, name), name)
        tokens = tokenize(table, given, name, Tokenize(max_tokens=1024, truncate=False))
        found[name] = gate.gate_of(network, tokens, texts, 10**6)
    demo, shuffled, wrong = found.values()
    assert demo["passed"]
    assert not wrong["passed"]
    assert demo["bits_per_byte"] + 0.2 < shuffled["bits_per_byte"] < wrong["bits_per_byte"]
    assert demo["unigram_byte"] == shuffled["unigram_byte"] == wrong["unigram_byte"]


def test_texts_are_those_of_the_sentence_ids(model):
    """Tokens in another order than sentences: two bytes and four bytes, of which the second sentence is measured."""
    texts = ["é" * 2, "ab"]
    tokens = tokens_of([[97, 98], list("éé".encode())], sentence_ids=[1, 0], truncated=[True, False])
    reading = gate.gate_of(model, tokens, texts, 100)
    assert reading["tokens"] == 4
    assert reading["bits_per_byte"] == gate.bits_per_byte(model, [tokens.ids[1]], 4)
    assert reading["unigram_byte"] == gate.unigram_bits_per_byte([tokens.ids[1]], 256, 4)


def test_models_without_a_head_and_a_budget_of_zero_are_not_measured(model):
    tokens = tokens_of([[97, 98]])
    assert gate.gate_of(model.rwkv, tokens, ["ab"], 100) is None
    assert gate.gate_of(model, tokens, ["ab"], 0) is None
    assert gate.gate_of(model, tokens_of([[97, 98]], truncated=[True]), ["ab"], 100) is None
    assert gate.gate_of(model, tokens, ["ab"], 100)["tokens"] == 2
    assert "not measured" in gate.summary("m", None)


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("gpt2", {"n_head": 4}),
        ("llama", {"num_attention_heads": 4, "intermediate_size": 64}),
        ("mamba", {}),
        ("bert", {"num_attention_heads": 4, "intermediate_size": 64}),
    ],
)
def test_base_models_have_no_bits_per_byte(family, sizes):
    config = AutoConfig.for_model(family, vocab_size=80, hidden_size=32, num_hidden_layers=2, **sizes)
    assert gate.gate_of(AutoModel.from_config(config), tokens_of([np.arange(6)]), ["abcdef"], 100) is None
