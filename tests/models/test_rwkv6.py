"""RWKV-6 as a transformers model; what it computes is compared in test_generations.py and test_rwkv_packages.py."""

import json

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.models.layers import hidden_layers
from pipeline.models.rwkv6_config import Rwkv6Config


def test_hf_folder_round_trip_through_the_auto_classes(finch, tmp_path):
    """As published: `auto_map` to remote code, `rescale_every`, a misleading `num_attention_heads`, sharded files."""
    finch.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "auto_map": {"AutoModelForCausalLM": "modeling_rwkv6.Rwkv6ForCausalLM"},
        "rescale_every": 6,
        "num_attention_heads": 64,
        "intermediate_size": None,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling_rwkv6.py").write_text("raise SystemExit('remote code was run')")
    assert isinstance(AutoConfig.from_pretrained(tmp_path), Rwkv6Config)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=False).eval()
    ids = torch.randint(0, 97, (1, 12))
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(finch, ids), hidden_layers(loaded, ids)))
