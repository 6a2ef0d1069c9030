"""Small networks of families that differ in how their parts hang together: {model type: sizes}."""

SIZES = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 3}
HEADS = SIZES | {"num_attention_heads": 4, "intermediate_size": 48}
FAMILIES = {
    "llama": HEADS | {"num_key_value_heads": 2},
    "gpt2": {"vocab_size": 97, "n_embd": 32, "n_layer": 3, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0},
    "bert": HEADS,
    "mamba": SIZES | {"state_size": 4},
    "rwkv6": SIZES | {"head_size": 8},
    "rwkv7": SIZES | {"head_dim": 8},
}
"""the head of llama has weights of its own, that of gpt2 those of the embedding"""
ENCODERS = ("bert",)
