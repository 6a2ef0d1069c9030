"""The unembedding of a network: what its language-model head reads, and in which directions it reads how much.

Logits are W norm(h) of a state h of the last layer. Which module the norm is, and what its parameters mean, differs
between families (Gemma's gain is 1 + weight), so it is not looked up: the last block's output is replaced by a few
states, and what arrives at the head is what the norm makes of them.
"""

from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.formats.unembeddings import Unembedding
from pipeline.models.devices import device_of, weight_of
from pipeline.models.layers import blocks

ROWS = 8192
"""of the unembedding, that are converted to float64 at once"""
LONG = 1024
"""times as long are the states that a norm is shown, so that what it adds to their squared length does not count"""
ROUNDINGS = 32
"""within so many steps of the number type, what arrives at the head is what a norm would give"""


def unembedding_of(model: PreTrainedModel) -> Unembedding | str:
    """A network -> its unembedding, taken apart by an SVD; or why it has none."""
    head = model.get_output_embeddings()
    if head is None:
        return "it has no language-model head"
    weight = weight_of(head)
    if weight.shape[0] < weight.shape[1]:
        return f"its vocabulary of {weight.shape[0]} is smaller than its width of {weight.shape[1]}"
    norm = norm_of(model, head)
    if norm is None:
        return "what its language-model head reads is not a norm of the last layer"
    values, directions = right_singular(weight)
    gain, centred = norm
    return Unembedding(directions.astype(np.float32), values.astype(np.float32), gain.astype(np.float32), centred)


def right_singular(weight: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """W (V, D) -> its D singular values, descending, and its right singular vectors (D, D), one in each row; float64.

    By the eigenvectors of W^T W, summed in parts: V is up to 40 times D, and an SVD of W would take as many times
    longer. It squares the condition of W, so vectors whose values differ by less than 1e-8 of the largest mix.
    """
    gram = torch.zeros(weight.shape[1], weight.shape[1], dtype=torch.float64)
    for rows in weight.split(ROWS):
        part = rows.to("cpu", torch.float64)
        gram += part.T @ part
    squares, vectors = np.linalg.eigh(gram.numpy())
    return np.sqrt(np.maximum(squares[::-1], 0)), np.ascontiguousarray(vectors.T[::-1])


def norm_of(model: PreTrainedModel, head: torch.nn.Module) -> tuple[np.ndarray, bool] | None:
    """The gain (D,) of the norm before a head, and whether it centres; None where what is there is no norm.

    norm(h) = gain * c / sqrt(mean(c^2)) + bias, c = h or h - mean(h). Of h = +-1 in turn it is +-gain + bias; of equal
    numbers it is the bias alone if it centres. A fourth state, of random numbers, must come out as that says.
    """
    width = model.config.get_text_config().hidden_size
    signs = torch.ones(width)
    signs[1::2] = -1
    signs -= signs.mean()  # of an odd width
    random = torch.randn(width, generator=torch.Generator().manual_seed(0)) + 1
    states = torch.stack([LONG * signs, -LONG * signs, torch.ones(width), LONG * random])
    found = _before_head(model, head, states)
    if found is None or found.shape != states.shape:  # some families project the last layer first
        return None
    up, down, equal, other = found.double().cpu()
    gain, bias = (up - down) / 2 / signs.double() * signs.double().square().mean().sqrt(), (up + down) / 2
    centred = bool((equal - bias).abs().max() < (equal - bias - gain).abs().max())
    given = random.double() - centred * random.double().mean()
    expected = gain * given / given.square().mean().sqrt() + bias
    tolerance = ROUNDINGS * torch.finfo(found.dtype).eps * expected.abs().max()
    if not (other - expected).abs().max() <= tolerance:
        return None
    return gain.numpy(), centred


def _before_head(model: PreTrainedModel, head: torch.nn.Module, states: torch.Tensor) -> torch.Tensor | None:
    """What a head reads (n, D) when the last block leaves these states (n, D); None where it is not called."""
    seen: list[torch.Tensor] = []

    def replace(module: torch.nn.Module, args: tuple, output: Any) -> Any:
        stream = output[0] if isinstance(output, tuple | list) else output
        given = states[None].to(stream.device, stream.dtype)
        return (given, *output[1:]) if isinstance(output, tuple | list) else given

    def look(module: torch.nn.Module, args: tuple) -> None:
        seen.append(args[0])

    handles: list[Any] = [blocks(model)[-1].register_forward_hook(replace), head.register_forward_pre_hook(look)]
    try:
        with torch.inference_mode():
            model(input_ids=torch.zeros(1, len(states), dtype=torch.long, device=device_of(model)))
    finally:
        for handle in handles:
            handle.remove()
    return seen[0][0] if seen else None
