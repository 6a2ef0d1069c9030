"""Does the model read this text at all? Bits per byte against two models that know nothing but frequencies.

A wrong tokenizer raises no error when its ids fit the vocabulary; the model then reads scrambled text. Its likelihood
gives it away, so every dump reports it.
"""

from itertools import groupby

import numpy as np
import torch

BATCH = 512  # tokens of a forward pass


def sample(lengths, budget):
    """Indices of about `budget` tokens' worth of sentences, evenly spaced over the sentences sorted by length."""
    order = np.lexsort((np.arange(len(lengths)), lengths))
    keep = min(len(order), max(1, int(budget / np.mean(lengths))))
    return np.sort(order[np.linspace(0, len(order) - 1, keep).astype(int)])


def bits_per_byte(model, ids, n_bytes):
    """Code length of the sentences under a causal model / their UTF-8 bytes.

    ids: list of (T,) integer arrays; n_bytes: bytes of the text that they encode. A sentence's first token has no context
    and is charged log2(vocabulary) bits, so that the figure is a code length and does not depend on a BOS token.
    """
    nats = len(ids) * np.log(model.config.get_text_config().vocab_size)
    for length, same in groupby(sorted(ids, key=len), key=len):
        if length == 1:
            continue
        tokens = torch.as_tensor(np.stack(list(same)), dtype=torch.long, device=model.device)  # one length: no padding
        for part in tokens.split(max(1, BATCH // length)):
            with torch.inference_mode():
                logits = model(input_ids=part).logits[:, :-1].float()
            nats += torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
    return float(nats / np.log(2) / n_bytes)


def unigram_bits_per_byte(ids, n_symbols, n_bytes):
    """The same for a model that knows only how often each of n_symbols ids occurs in the other positions of this text:
    leave-one-out, add-one smoothing, p(x) = count(x) / (n - 1 + n_symbols) with x's own occurrence as the added one."""
    counts = np.bincount(np.concatenate(ids))
    counts = counts[counts > 0]
    bits = -(counts * np.log2(counts / (counts.sum() - 1 + n_symbols))).sum()
    return float(bits / n_bytes)


def gate_of(model, ids, texts, truncated, budget):
    """-> {"bits_per_byte", "unigram_byte", "unigram_token", "tokens", "passed"} over about `budget` tokens of whole sentences.

    Passed means better than both unigram models. None when the model has no causal head, the budget is 0, or every
    sentence was truncated.
    """
    whole = np.flatnonzero(~truncated)
    causal = model.get_output_embeddings() is not None and not getattr(model.config, "is_encoder_decoder", False)
    if not causal or not budget or not len(whole):
        return None
    chosen = whole[sample(np.array([len(ids[i]) for i in whole]), budget)]
    ids, data = [ids[i] for i in chosen], [np.frombuffer(texts[int(i)].encode(), dtype=np.uint8) for i in chosen]
    n_bytes = sum(map(len, data))
    bits = bits_per_byte(model, ids, n_bytes)
    unigrams = unigram_bits_per_byte(data, 256, n_bytes), unigram_bits_per_byte(ids, model.config.get_text_config().vocab_size, n_bytes)
    figures = dict(zip(("bits_per_byte", "unigram_byte", "unigram_token"), (bits, *unigrams)))
    return figures | {"tokens": sum(map(len, ids)), "passed": bits < min(unigrams)}


def summary(name, gate):
    """One line for the log."""
    if gate is None:
        return f"{name}: bits per byte not measured (no causal head, or dump.gate_tokens is 0)"
    figures = f"{gate['bits_per_byte']:.3f} bits per byte (byte frequencies {gate['unigram_byte']:.3f}, token frequencies {gate['unigram_token']:.3f})"
    if gate["passed"]:
        return f"{name}: {figures}"
    return f"WARNING: {name}: {figures}: it predicts this text no better than frequencies do. Untrained, or the wrong tokenizer?"
