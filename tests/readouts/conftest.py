import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import pipeline.models.rwkv6  # noqa: F401  # it tells transformers of RWKV-6

GROUPED = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 32}
PARTS = {"num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 32}
SIZES = {  # of three blocks of 32; heads that share keys and values where the family has them
    "llama": GROUPED,
    "mistral": GROUPED,
    "qwen2": GROUPED,
    "qwen3": GROUPED | {"head_dim": 8},
    "gpt2": {"n_head": 4, "n_positions": 32},
    "gpt_neox": PARTS,
    "opt": {"num_attention_heads": 4, "ffn_dim": 48, "max_position_embeddings": 32, "word_embed_proj_dim": 32},
    "rwkv6": {"head_size": 8},
    "mamba": {"state_size": 4},
    "bert": PARTS,
}
ATTENTION = ("llama", "mistral", "qwen2", "qwen3", "gpt2", "gpt_neox", "opt")
"""causal, with softmax attention"""


@pytest.fixture
def make(seed):
    """A function: a model of a family of three blocks, whose random weights are large enough for every part to count;
    fields of its config by name.
    """

    def made(family, **changes):
        torch.manual_seed(seed)
        common = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 3, "attn_implementation": "eager"}
        plain = {"pad_token_id": None, "bos_token_id": 0, "eos_token_id": 0}
        config = AutoConfig.for_model(family, **(common | plain | SIZES[family] | changes))
        auto = AutoModel if family == "bert" else AutoModelForCausalLM
        model = auto.from_config(config, attn_implementation="eager" if family in (*ATTENTION, "bert") else None).eval()
        for name, weight in model.named_parameters():
            if family not in ("rwkv6", "mamba") and "norm" not in name and "ln_" not in name:
                weight.data.normal_(std=0.15)  # biases too
        return model.requires_grad_(False)

    return made


@pytest.fixture
def ids(seed):
    """(3, 6)"""
    return torch.randint(4, 64, (3, 6), generator=torch.Generator().manual_seed(seed))
