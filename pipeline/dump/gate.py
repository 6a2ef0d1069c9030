"""The language-model check: does the model read this text at all?

Bits per byte are compared with two models that know nothing but frequencies. A wrong tokenizer raises no error when its
ids fit the vocabulary; the model then reads scrambled text. Its likelihood gives it away, so every dump reports it.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import TypedDict

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.formats.tokens import Tokens
from pipeline.models.devices import device_of

BATCH = 512
"""tokens of a forward pass"""


class Reading(TypedDict):
    """What the manifest says of it."""

    bits_per_byte: float
    """of the model"""
    unigram_byte: float
    """of the frequencies of bytes in the same text"""
    unigram_token: float
    """of the frequencies of its token ids"""
    tokens: int
    """how many were measured"""
    passed: bool
    """whether the model is better than both"""


def sample(lengths: np.ndarray, budget: int) -> np.ndarray:
    """Indices of about `budget` tokens' worth of sentences, evenly spaced over the sentences sorted by length (S,)."""
    order = np.argsort(lengths, kind="stable")
    count = min(len(order), max(1, int(budget / np.mean(lengths))))
    return np.sort(order[np.linspace(0, len(order) - 1, count).astype(int)])


def bits_per_byte(model: PreTrainedModel, ids: Sequence[np.ndarray], n_bytes: int) -> float:
    """Code length of the sentences under a causal model / their UTF-8 bytes.

    ids: arrays of integers (T,); n_bytes: bytes of the text that they encode. A sentence's first token has no context
    and is charged log2(vocabulary) bits, so that the figure is a code length and does not depend on a BOS token.
    """
    nats = len(ids) * np.log(model.config.get_text_config().vocab_size)
    for length, same_length in groupby(sorted(ids, key=len), key=len):
        if length == 1:
            continue
        tokens = torch.as_tensor(np.stack(list(same_length)), dtype=torch.long, device=device_of(model))  # no padding
        for batch in tokens.split(max(1, BATCH // length)):
            with torch.inference_mode():
                logits = model(input_ids=batch).logits[:, :-1].float()
            targets = batch[:, 1:].flatten()
            nats += torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum").item()
    return float(nats / np.log(2) / n_bytes)


def unigram_bits_per_byte(ids: Sequence[np.ndarray], n_symbols: int, n_bytes: int) -> float:
    """The same for a model that knows only how often each of n_symbols ids occurs in the other positions of this text.

    Leave-one-out with add-one smoothing: p(x) = count(x) / (n - 1 + n_symbols), x's own occurrence being the added one.
    """
    counts = np.bincount(np.concatenate(ids))
    counts = counts[counts > 0]
    bits = -(counts * np.log2(counts / (counts.sum() - 1 + n_symbols))).sum()
    return float(bits / n_bytes)


def gate_of(model: PreTrainedModel, tokens: Tokens, texts: Sequence[str], budget: int) -> Reading | None:
    """Measure about `budget` tokens of whole sentences, without a template.

    texts: all sentences, in the order of sentence_id, as they were before a control shuffled their words: shuffled ones
    have the same bytes. None when the model has no causal head, the budget is 0, or every
    sentence was truncated.
    """
    complete = np.flatnonzero(~tokens.truncated)
    has_head = model.get_output_embeddings() is not None and not getattr(model.config, "is_encoder_decoder", False)
    if not has_head or not budget or not len(complete):
        return None
    chosen = complete[sample(tokens.plain_lengths[complete], budget)]
    chosen_ids = list(tokens.plain_of(chosen))
    chosen_texts = [texts[sentence] for sentence in tokens.sentence_ids[chosen].tolist()]
    chosen_bytes = [np.frombuffer(text.encode(), dtype=np.uint8) for text in chosen_texts]
    n_bytes = sum(map(len, chosen_bytes))
    bits = bits_per_byte(model, chosen_ids, n_bytes)
    of_bytes = unigram_bits_per_byte(chosen_bytes, 256, n_bytes)
    of_tokens = unigram_bits_per_byte(chosen_ids, model.config.get_text_config().vocab_size, n_bytes)
    return {
        "bits_per_byte": bits,
        "unigram_byte": of_bytes,
        "unigram_token": of_tokens,
        "tokens": sum(map(len, chosen_ids)),
        "passed": bits < min(of_bytes, of_tokens),
    }


def summary(name: str, reading: Reading | None, control: bool = False) -> str:
    """One line for the log; a control has random weights, so that nobody is to be warned of them."""
    if reading is None:
        return f"{name}: bits per byte not measured (no causal head, or dump.gate_tokens is 0)"
    figures = (
        f"{reading['bits_per_byte']:.3f} bits per byte (byte frequencies {reading['unigram_byte']:.3f}, "
        f"token frequencies {reading['unigram_token']:.3f})"
    )
    if reading["passed"]:
        return f"{name}: {figures}"
    found = "it predicts this text no better than frequencies do"
    if control:
        return f"{name}: {figures}: {found}, as random weights do"
    return f"WARNING: {name}: {figures}: {found}. Untrained, or the wrong tokenizer?"
