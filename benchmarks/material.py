"""What is measured on: the lengths of MRPC's sentences, models with random weights, forward passes of a dump."""

import numpy as np
import torch

from pipeline.dump.plan import plan_shards
from pipeline.dump.settings import Dump
from pipeline.models.layers import blocks, hidden_layers
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv7 import Rwkv7ForCausalLM

# fmt: off
MRPC = {  # tokens -> sentences: MRPC's distinct sentences (GLUE's text, all splits) in tokens of World's vocabulary
    7: 2, 8: 9, 9: 15, 10: 33, 11: 49, 12: 102, 13: 149, 14: 237, 15: 273, 16: 329, 17: 370, 18: 379, 19: 437,
    20: 474, 21: 500, 22: 526, 23: 584, 24: 563, 25: 534, 26: 539, 27: 534, 28: 519, 29: 498, 30: 481, 31: 424,
    32: 391, 33: 382, 34: 361, 35: 309, 36: 246, 37: 169, 38: 137, 39: 127, 40: 62, 41: 58, 42: 42, 43: 40,
    44: 17, 45: 15, 46: 7, 47: 7, 48: 4, 49: 4, 50: 3, 51: 2, 52: 1,
}
# fmt: on
DUMP = Dump(
    dtype="float32",
    store="float16",
    layers="all",
    readout="plain",
    keep="tokens",
    batch_tokens=512,
    shard_mb=256,
    gate_tokens=0,
)
VOCABULARY = 1000
NO_SHARDS = 10**9
"""rows of a shard that no benchmark reaches"""


def all_lengths():
    """The tokens of each of MRPC's sentences (10,944,), shortest first."""
    return np.repeat(list(MRPC), list(MRPC.values()))


def draw_lengths(rng, sentences):
    """Lengths as those of MRPC -> (sentences,)."""
    counts = np.array(list(MRPC.values()))
    return rng.choice(list(MRPC), sentences, p=counts / counts.sum())


def draw_ids(rng, lengths):
    """Token ids of sentences of these lengths, S arrays (T,)."""
    return [rng.integers(1, VOCABULARY, length).astype(np.int32) for length in lengths]


def random_model(dim, depth, device="cpu", network=Rwkv6ForCausalLM):
    """An RWKV with random weights, drawn on its device: a billion of them take a CPU half a minute."""
    torch.manual_seed(0)
    config = network.config_class(vocab_size=VOCABULARY, hidden_size=dim, num_hidden_layers=depth)
    with torch.device(device):
        return network(config).eval().requires_grad_(False)


def random_goose(dim, depth, device="cpu"):
    """The same of RWKV-7."""
    return random_model(dim, depth, device, Rwkv7ForCausalLM)


def block_parameters(model):
    """Parameters of the blocks alone, which decide the time of a pass."""
    return sum(p.numel() for block in blocks(model) for p in block.parameters())


def run_all(model, batches):
    """Every layer of every pass, kept no longer than the pass."""
    for ids in batches:
        hidden_layers(model, ids)


def planned_passes(lengths, batch_tokens):
    """The forward passes of a dump, in its order: indices of sentences."""
    shards = plan_shards(lengths, lengths, batch_tokens, NO_SHARDS)
    return [sentences for shard in shards for record in shard for sentences in record]


def mrpc_passes(batch_tokens, count):
    """Forward passes of MRPC's sentences as the plan cuts them -> `count` arrays of ids (B, T), shortest first.

    They are chosen evenly over the tokens, so that a pass stands for as many tokens of a dump as any other.
    """
    lengths = all_lengths()
    passes = planned_passes(lengths, batch_tokens)
    sizes = np.array([lengths[sentences].sum() for sentences in passes])
    ends = np.cumsum(sizes)
    chosen = np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1])
    typical = np.square(sizes).sum() / sizes.sum()  # the pass that a token finds itself in; no length fills a large one
    assert sizes[chosen].mean() > 0.7 * typical, "these passes are not those that a dump spends its time on"
    return [
        torch.randint(1, VOCABULARY, (len(passes[number]), int(lengths[passes[number][0]])))
        for number in chosen.tolist()
    ]


def tokens_of(batches):
    """Tokens of some passes."""
    return sum(ids.numel() for ids in batches)
