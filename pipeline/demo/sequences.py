"""Documents -> the sequences of each training step, from the text, the seed and the step alone."""

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.base.errors import InputError
from pipeline.demo.settings import Pretrain


def pack(ids: Sequence[Sequence[int]], end: int, seed: int) -> np.ndarray:
    """Documents in random order as one stream (N,) of int32, each followed by the token `end`."""
    order = np.random.default_rng(seed).permutation(len(ids))
    return np.concatenate([np.array([*ids[document], end], dtype=np.int32) for document in order])


def batch_of(stream: np.ndarray, step: int, settings: Pretrain) -> torch.Tensor:
    """The (batch, context + 1) tokens of one step: the same in a run that was stopped and resumed.

    An epoch cuts the stream into windows from an offset of its own and takes them in random order.
    """
    windows = (len(stream) - 1) // settings.context - 1  # one fewer: the offset moves them by up to a window
    if windows < settings.batch:
        raise InputError(
            f"the text has {len(stream)} tokens: too few for a step of {settings.batch} x {settings.context}; "
            "lower pretrain.batch or pretrain.context"
        )
    steps_per_epoch = windows // settings.batch
    epoch, step_of_epoch = divmod(step, steps_per_epoch)
    random = np.random.default_rng([settings.seed, epoch])
    offset, order = random.integers(settings.context), random.permutation(windows)
    chosen = order[step_of_epoch * settings.batch :][: settings.batch]
    starts = offset + chosen * settings.context
    return torch.from_numpy(np.stack([stream[start : start + settings.context + 1] for start in starts])).long()
