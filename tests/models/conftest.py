import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import pipeline.models.generations  # noqa: F401  (registers the generations with the Auto classes)

SIZES = {"vocab_size": 97, "hidden_size": 64, "num_hidden_layers": 3}
OF_GENERATION = {
    "rwkv": {"intermediate_size": 96},
    "rwkv5": {"head_size": 16},
    "rwkv6": {"head_size": 16},
    "rwkv7": {
        "head_dim": 16,
        "decay_low_rank_dim": 8,
        "a_low_rank_dim": 12,
        "v_low_rank_dim": 4,
        "gate_low_rank_dim": 20,
    },
}
"""model type -> sizes of its small random model"""
BLINKDL = {
    "rwkv.": "",
    "embeddings.": "emb.",
    ".pre_ln.": ".ln0.",
    ".attention.": ".att.",
    ".feed_forward.": ".ffn.",
    ".time_mix_key": ".time_mix_k",
    ".time_mix_value": ".time_mix_v",
    ".time_mix_receptance": ".time_mix_r",
    ".time_mix_gate": ".time_mix_g",
}
BLINKDL_7 = {
    "lm_head.": "head.",
    "model.": "",
    "embeddings.": "emb.",
    "layers.": "blocks.",
    ".pre_norm.": ".ln0.",
    ".attn_norm.": ".ln1.",
    ".ffn_norm.": ".ln2.",
    ".attn.": ".att.",
    ".r_proj.": ".receptance.",
    ".k_proj.": ".key.",
    ".v_proj.": ".value.",
    ".o_proj.": ".output.",
    ".g_norm.": ".ln_x.",
    "_lora.lora.0.weight": "1",
    "_lora.lora.2.weight": "2",
    "_lora.lora.2.bias": "0",
}


@pytest.fixture(autouse=True)
def seeded(seed):
    """Torch draws from the fresh seed that is shown when a test fails."""
    torch.manual_seed(seed)


@pytest.fixture
def network(seeded):
    """A function: a random model of a generation whose decays, mixes and norms are far from their initial values."""

    def made(kind, **changes):
        config = AutoConfig.for_model(kind, **(SIZES | OF_GENERATION[kind] | changes))
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn_like(p) * p.std(correction=0).clamp(min=0.1))
        return model

    return made


@pytest.fixture
def finch(network):
    """Such an RWKV-6."""
    return network("rwkv6")


@pytest.fixture
def blinkdl():
    """A function: the weights of a model under BlinkDL's names, in BlinkDL's shapes."""

    def renamed(model):
        is_7, tensors = model.config.model_type == "rwkv7", {}
        for name, tensor in model.state_dict().items():
            for ours, theirs in (BLINKDL_7 if is_7 else BLINKDL).items():
                name = name.replace(ours, theirs, 1)
            if is_7 and "norm" not in name and name.startswith("blocks") and not name.endswith(".r_k"):
                vector = tensor.dim() == 1 and ".ln" not in name
                low_rank = name[-1] in "12" and name[-2] in "wavg"
                tensor = tensor.view(1, 1, -1) if vector else tensor.T if low_rank else tensor
            tensors[name.replace("norm.", "ln_out.") if is_7 else name] = tensor.clone().contiguous()
        return tensors

    return renamed
