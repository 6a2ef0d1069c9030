"""Which families of transformers can be dumped: python -m benchmarks.families [TYPE ...]

A tiny random model of every causal or masked language model that the installed transformers knows is run, and compared
with itself: a batch with single sentences, a causal model with the beginning of a sentence, each layer with what enters
the next block. Without arguments it writes docs/reference/models.csv (four minutes).
"""

import csv
import signal
import sys
import warnings

import numpy as np
import torch
import transformers
from transformers import AutoConfig
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.common import ROOT
from pipeline.base.errors import InputError
from pipeline.dump.checks import check_batches, check_lengths
from pipeline.models.layers import depth_of, hidden_layers

TABLE = ROOT / "docs/reference/models.csv"
COLUMNS = ("model_type", "verdict", "reason")
SECONDS = 60
"""of computing, for one family: a machine may be busy with something else"""
LARGEST = 20_000_000
"""parameters of a model that is still tiny"""
TYPES = sorted(
    {"rwkv5", "rwkv6", "rwkv7"}
    | set(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    | set(modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
)
WIDTH = dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "dim_model"), 32)
DEPTH = dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"), 3)
HEADS = dict.fromkeys(
    ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads"), 4
)
PER_HEAD = dict.fromkeys(
    ("head_dim", "d_head", "d_kv", "head_size", "dim_head", "kv_channels", "v_head_dim", "qk_rope_head_dim"), 8
)
INNER = dict.fromkeys(
    ("intermediate_size", "d_inner", "d_ff", "dff", "dim_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim"), 64
) | dict.fromkeys(("n_inner", "hidden_dim", "ffn_hidden_size"), 64)
POSITIONS = dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "context_length"), 128)
EXPERTS = dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4) | {"num_experts_per_tok": 2}
OTHER = {
    "vocab_size": 101, "num_key_value_heads": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "rotary_dim": 4, "state_size": 4,
    "multi_query_group_num": 2, "word_embed_proj_dim": 32, "attention_hidden_size": 32,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
SIZES = WIDTH | DEPTH | HEADS | PER_HEAD | INNER | POSITIONS | EXPERTS | OTHER
"""fields that make a family's model tiny, where its config has them"""
PART = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
"""what sees, hears or reads letters beside a language model"""
LATENT = {"num_attention_heads": 4, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16, "head_dim": 16,
          "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}  # fmt: skip
OWN = {
    "axk1": {"n_group": 1, "topk_group": 1},
    "bailing_hybrid": {"n_group": 1, "topk_group": 1},
    "bamba": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "head_dim": None},
    "blt": {"encoder_hash_byte_group_size": [3], "encoder_hash_byte_group_vocab": 50, "patcher_config": PART,
            "encoder_config": PART, "decoder_config": PART, "global_config": PART},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10_000.0}}},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10_000.0, "clip_qkv": 8},
             "ffn_config": {"ffn_hidden_size": 64}},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note_text": LATENT | {f"swa_{field}": size for field, size in LATENT.items() if field != "qk_rope_head_dim"}
    | {"index_n_heads": 4, "index_head_dim": 8, "shared_experts_intermediate_size": 16},
    "esmc": {"num_key_value_heads": None},
    "falcon": {"head_dim": None},
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1, 1], "architectures": ["FunnelModel"]},
    "gemma3n_text": {"vocab_size_per_layer_input": 101, "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0,
                     "laurel_rank": 8, "altup_num_inputs": 3},
    "gemma4_text": {"vocab_size_per_layer_input": 101, "hidden_size_per_layer_input": 8},
    "git": {"vision_config": PART | {"image_size": 32}},
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "granitemoehybrid": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"], "num_dense_layers": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 16},
    "prophetnet": {"num_hidden_layers": None, "num_encoder_layers": 3, "num_decoder_layers": 3},
    "reformer": {"is_decoder": True, "attn_layers": ["local", "lsh", "local"], "num_hidden_layers": None,
                 "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 16]},
    "mllama_text_model": {"cross_attention_layers": [1]},
    "neomme": {"head_dim": 16},
    "perceiver": {"d_latents": 32, "num_latents": 8, "num_self_attends_per_block": 3, "num_self_attention_heads": 4,
                  "num_cross_attention_heads": 4},
    "phi4_multimodal": {
        "vision_config": PART | {"image_size": 28, "crop_size": 28},
        "audio_config": PART | {"num_blocks": 1, "ext_pw_out_channel": 32, "depthwise_separable_out_channel": 32,
                                "nemo_conv_channels": 32},
    },
    "xmod": {"default_language": "en_XX"},
    "xlnet": {"max_position_embeddings": None},
    "xlstm": {"v_head_dim": None},
    "zamba": {"layers_block_type": ["hybrid", "mamba", "hybrid"], "n_mamba_heads": 2, "mamba_d_state": 4,
              "head_dim": None, "attention_hidden_size": None},
    "zamba2": {"layers_block_type": ["hybrid", "mamba", "hybrid"], "n_mamba_heads": 8, "mamba_d_state": 4,
               "head_dim": None, "attention_hidden_size": None},
    "zaya": {"num_experts_per_tok": 1},
}  # fmt: skip
"""what a family needs besides, or (None) does not take"""


class TooLongError(Exception):
    """A family took more than its time."""


def tiny_config(name):
    """A config of a family with SIZES; of a family that also sees or hears, of its text part."""
    text = CONFIG_MAPPING[name]().get_text_config()
    sizes, own = {}, OWN.get(name, {}) | OWN.get(text.model_type, {})
    latent = has(text, "kv_lora_rank")  # latent attention has its own sizes, and as many keys as queries
    for field, size in (SIZES | own).items():
        skipped = latent and field in ("head_dim", "v_head_dim") and field not in own
        if size is not None and not skipped and (has(text, field) or field in own):
            sizes[field] = HEADS["num_heads"] if latent and field == "num_key_value_heads" else size
    config = AutoConfig.for_model(text.model_type, **sizes)
    config.use_cache = False
    return config


def has(config, field):
    """Whether a config has a field; one that differs between layers may not be asked for."""
    try:
        return hasattr(config, field)
    except Exception:
        return False


def tiny_model(name):
    """A random model of a family whose norms are not those of an untrained one, so that a wrong layer is seen."""
    config = tiny_config(name)
    causal = type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    if causal or type(config) in transformers.MODEL_MAPPING:
        model = (transformers.AutoModelForCausalLM if causal else transformers.AutoModel).from_config(config).eval()
    else:  # the text part of a family, which goes by the name of the whole
        model = getattr(transformers, modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[name])(config).eval()
    if (count := sum(p.numel() for p in model.parameters())) > LARGEST:
        raise ValueError(f"it still has {count:,} parameters")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1 or not parameter.any():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def compare(model, name, rng):
    """Raise InputError for a model that cannot be dumped, AssertionError for one whose layers are not as contract C1
    says.
    """
    ids = [rng.integers(3, 100, 7) for _ in range(4)]
    check_lengths([*ids, rng.integers(3, 100, 40)], model, name)
    check_batches(ids, model, name)
    batch = torch.as_tensor(np.stack(ids))
    layers = [layer.clone() for layer in hidden_layers(model, batch)]
    again = hidden_layers(model, batch)
    assert len(layers) == depth_of(model) + 1, "another number of layers"
    assert all(torch.equal(a, b) for a, b in zip(layers, again)), "another result the second time"
    assert all((a - b).norm() > 1e-6 * a.norm() for a, b in zip(layers[1:], layers)), "a block that does nothing"
    if getattr(model.config, "is_decoder", True) is not False and not model.config.model_type.endswith("bert"):
        begun = hidden_layers(model, batch[:, :4])
        errors = [float((a[:, :4] - b).norm() / b.norm()) for a, b in zip(layers, begun)]
        return f"{len(layers)} layers" + ("" if max(errors) < 1e-4 else ", each token sees those after it")
    return f"{len(layers)} layers, each token sees those after it"


def verdict(name, seed=0):
    """(verdict, reason) of a family: supported, refused, untested, or WRONG."""
    torch.manual_seed(seed)
    try:
        model = tiny_model(name)
    except TooLongError:
        raise
    except Exception as error:
        return "untested", f"no tiny model could be made: {' '.join(str(error).split())[:120]}"
    try:
        return "supported", compare(model, name, np.random.default_rng(seed))
    except InputError as error:
        is_ours = "cannot be run" in str(error)  # the sizes above do not fit together
        return "untested" if is_ours else "refused", str(error)
    except AssertionError as error:
        return "WRONG", str(error)


def survey(types=TYPES):
    """[(type, verdict, reason)]."""

    def too_long(*_):
        raise TooLongError

    signal.signal(signal.SIGPROF, too_long)
    rows = []
    for name in types:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            rows.append((name, *verdict(name)))
        except TooLongError:
            rows.append((name, "untested", f"a tiny model takes more than {SECONDS} s"))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return rows


def main():
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    import pipeline.models.load  # noqa: F401  (registers RWKV-4 to 7)

    rows = survey(sys.argv[1:] or TYPES)
    if sys.argv[1:]:
        print("\n".join(" | ".join(row) for row in rows))
        return
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    for name in ("supported", "refused", "untested", "WRONG"):
        print(name, sum(row[1] == name for row in rows))


if __name__ == "__main__":
    main()
