"""Models and sentence encoders: early exits compute nothing after their layer, and vectors are those of the study."""

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, BertTokenizerFast, GPT2Config, LlamaConfig

from pipeline.base.errors import InputError
from pipeline.baselines import encoders as baselines
from pipeline.catalog.entries import Baseline, Model
from pipeline.cost import networks
from pipeline.models import load
from pipeline.models.layers import blocks, hidden_layers
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.readouts.plain import PLAIN
from pipeline.readouts.registry import readout_named
from tests.study import CATALOG, SIZES, quick_params, write_settings

BLOCKS = 3


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": BLOCKS, "num_attention_heads": 2}
    rwkv = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": BLOCKS, "head_size": 8}
    configs = {
        "gpt2": GPT2Config(vocab_size=40, n_embd=16, n_layer=BLOCKS, n_head=2),
        "llama": LlamaConfig(**sizes, intermediate_size=32),
    }
    made = {name: AutoModel.from_config(config) for name, config in configs.items()}
    made["rwkv6"] = Rwkv6ForCausalLM(Rwkv6Config(**rwkv))
    return {name: model.eval().requires_grad_(False) for name, model in made.items()}


@pytest.fixture(params=["gpt2", "llama", "rwkv6"])
def model(models, request):
    return models[request.param]


@pytest.mark.parametrize("layer", range(BLOCKS + 1))
def test_an_early_exit_runs_no_later_block(model, layer, rng):
    ran, handles = set(), []
    for number, block in enumerate(blocks(model)):
        for name, part in block.named_modules():
            if not list(part.children()) and name != "pre_ln":  # RWKV's layer 0 leaves it
                handles.append(part.register_forward_hook(lambda *_, number=number: ran.add(number)))
    networks.layer_vectors(model, [rng.integers(0, 40, 5)], layer, PLAIN)
    for handle in handles:
        handle.remove()
    assert ran == set(range(layer))


def test_means_are_those_of_each_sentence_alone_in_order(model, rng):
    ids = [rng.integers(0, 40, length) for length in (4, 2, 4, 7, 2)]
    for layer in (0, BLOCKS):
        means = networks.layer_vectors(model, ids, layer, PLAIN)
        for row, tokens in zip(means, ids):
            (states,) = hidden_layers(model, torch.from_numpy(tokens)[None], [layer])
            assert np.abs(row - states[0].float().mean(0).numpy()).max() <= 1e-5


def test_means_of_spans_are_those_of_each_sentence_alone(model, rng):
    ids = [rng.integers(0, 40, length) for length in (4, 2, 4, 4, 7)]
    spans = np.array([[0, 2], [1, 2], [0, 2], [1, 4], [3, 6]])
    means = networks.layer_vectors(model, ids, BLOCKS, PLAIN, spans)
    for row, tokens, (start, stop) in zip(means, ids, spans.tolist()):
        (states,) = hidden_layers(model, torch.from_numpy(tokens)[None], [BLOCKS])
        assert np.abs(row - states[0, start:stop].float().mean(0).numpy()).max() <= 1e-5


def test_parameters_are_counted_up_to_the_layer_without_the_head(models):
    model = models["rwkv6"]
    of_block = [sum(p.numel() for p in block.parameters()) for block in blocks(model)]
    rest = sum(p.numel() for p in model.rwkv.parameters()) - sum(of_block)
    assert [networks.parameters_up_to(model, layer) for layer in range(BLOCKS + 1)] == [
        rest + sum(of_block[:layer]) for layer in range(BLOCKS + 1)
    ]


def test_a_model_of_the_catalogue_has_a_variant_for_each_layer_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path)
    encoder = networks.layered("tiny", "cpu")
    assert [variant.layer for variant in encoder.variants] == [0, SIZES["num_hidden_layers"]]
    scores = encoder.scores(encoder.tokenize(["a cat", "a dog", "a cat", "no"]), encoder.variants[1])
    assert scores[0] == pytest.approx(1)
    assert -1 <= scores[1] < 1


@pytest.mark.parametrize(("readout", "first"), [("token_prepending_1", 0), ("values", 1), ("attention_output", 1)])
def test_what_is_measured_is_what_the_entry_reads(tmp_path, monkeypatch, readout, first):
    """Its scores are the cosines of the means of the readout, and its layers those that exist."""
    monkeypatch.chdir(tmp_path)
    tiny = CATALOG["models"]["tiny"] | {"readout": readout}
    catalog = CATALOG | {"models": {"tiny": tiny}}
    write_settings(tmp_path, catalog, efficiency=quick_params()["efficiency"] | {"layers": "all"})
    encoder = networks.layered("tiny", "cpu")
    assert [variant.layer for variant in encoder.variants] == list(range(first, SIZES["num_hidden_layers"] + 1))
    tokens = encoder.tokenize(["a cat", "a bird sang"])
    model = load.load(Model(**tiny), None, "tiny")
    for variant in encoder.variants:
        read = [
            readout_named(readout).read(model, torch.from_numpy(i).long()[None], [variant.layer]) for i in tokens.ids
        ]
        means = [layer[0].mean(0) for (layer,) in read]
        cosine = torch.nn.functional.cosine_similarity(*means, dim=0).item()
        assert encoder.scores(tokens, variant) == pytest.approx([cosine], abs=1e-5)


def test_a_layer_that_the_model_does_not_have_is_named_with_its_setting(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, efficiency=quick_params()["efficiency"] | {"layers": [9]})
    with pytest.raises(InputError, match=r"efficiency\.layers is \[9\]"):
        networks.exits(models["rwkv6"], PLAIN)


def test_a_sentence_encoder_gives_the_cosines_of_the_study(tmp_path):
    pytest.importorskip("sentence_transformers", reason="the extra encoders is not installed")
    words = ["a", "cat", "dog", "sat", "on", "the", "mat"]
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=12, max_position_embeddings=32, **sizes)).save_pretrained(tmp_path)
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    texts = ["a cat sat on the mat", "the dog", "a dog sat", "the cat on the mat"]
    entry = Baseline(kind="encoder", path=str(tmp_path), pooling="mean", prompt="the ")
    encoder = networks.sentence_encoder(entry, "e", "cpu")
    vectors = baselines.sentence_encoder(entry, None, pl.DataFrame({"text": texts}), "baseline e").vectors
    scores = encoder.scores(encoder.tokenize(texts), encoder.variants[0])
    assert np.abs(scores - networks.halves(vectors)).max() <= 1e-5
    assert encoder.disk_bytes == (tmp_path / "model.safetensors").stat().st_size
    assert encoder.variants[0].parameters > 0


def test_nothing_is_said_of_a_gpu_on_a_cpu():
    assert set(networks.gpu_memory("cpu").values()) == {None}
    assert networks.described("cpu")["gpu"] is None
