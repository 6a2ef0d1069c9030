import numpy as np
import polars as pl
import pytest
import torch

from pipeline import gate
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=256, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()


def test_bits_per_byte_of_a_uniform_model_by_hand(model):
    """All logits equal: every token, the first included, costs log2(256) = 8 bits."""
    uniform = Rwkv6ForCausalLM(model.config).eval()
    torch.nn.init.zeros_(uniform.head.weight)
    ids = [np.array([1, 2, 3]), np.array([9])]
    assert gate.bits_per_byte(uniform, ids, n_bytes=4) == pytest.approx(8)
    assert gate.bits_per_byte(uniform, ids, n_bytes=8) == pytest.approx(4)


def test_bits_per_byte_by_the_models_own_loss(model):
    ids = np.random.default_rng().integers(0, 256, 30)
    with torch.inference_mode():
        tokens = torch.as_tensor(ids)[None]
        nats = model(input_ids=tokens, labels=tokens).loss.item() * 29
    assert gate.bits_per_byte(model, [ids], 30) == pytest.approx((nats / np.log(2) + 8) / 30, rel=1e-5)


def test_unigram_by_hand():
    """a a b with two symbols: p(a) = 2 / (2 + 2), twice, p(b) = 1 / (2 + 2): 1 + 1 + 2 bits over 3 bytes."""
    assert gate.unigram_bits_per_byte([np.array([0, 0]), np.array([1])], 2, 3) == pytest.approx(4 / 3)


def test_unigram_nears_the_entropy_of_long_text():
    draws = np.random.default_rng(0).choice(4, 100_000, p=[0.5, 0.25, 0.125, 0.125])
    assert gate.unigram_bits_per_byte([draws], 4, len(draws)) == pytest.approx(1.75, abs=0.01)


def test_sample_takes_lengths_evenly_and_whole_sentences():
    lengths = np.arange(1, 201)
    chosen = gate.sample(lengths, budget=2000)
    assert len(set(chosen)) == len(chosen)
    assert lengths[chosen].sum() == pytest.approx(2000, rel=0.15)
    assert lengths[chosen].mean() == pytest.approx(lengths.mean(), rel=0.1)
    assert gate.sample(lengths, budget=10**9).tolist() == list(range(200))


def test_a_trained_model_passes_and_the_same_model_on_the_wrong_ids_is_flagged(testdata):
    """The checkpoint was trained on UTF-16-LE bytes: as plain bytes its input is scrambled, as the study's was."""
    from pipeline.checkpoints import load_rwkv6

    model = load_rwkv6(testdata / "rwkv/tiny-rwkv-6v0-3m-Q5_1.safetensors").eval()
    texts = pl.read_csv("data/sample/pairs.tsv", separator="\t", quote_char=None)["sentence1"][:60]
    whole = np.zeros(60, dtype=bool)
    right, wrong = (gate.gate_of(model, [np.array(list(t.encode(e))) for t in texts], texts, whole, 6000) for e in ("utf-16-le", "utf-8"))
    assert right["passed"]
    assert right["bits_per_byte"] < 3.2
    assert not wrong["passed"]
    assert wrong["bits_per_byte"] > 8
    assert "WARNING" in gate.summary("m", wrong)
    assert "WARNING" not in gate.summary("m", right)


def test_models_without_a_head_and_a_budget_of_zero_are_not_measured(model):
    texts, ids, whole = pl.Series(["ab"]), [np.array([97, 98])], np.array([False])
    assert gate.gate_of(model.rwkv, ids, texts, whole, 100) is None
    assert gate.gate_of(model, ids, texts, whole, 0) is None
    assert gate.gate_of(model, ids, texts, ~whole, 100) is None
    assert gate.gate_of(model, ids, texts, whole, 100)["tokens"] == 2
