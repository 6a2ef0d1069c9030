"""Section `finetune` of params.yaml."""

import math
from dataclasses import dataclass

from pipeline.base.errors import InputError, one_of
from pipeline.base.settings import at_least

LOSSES = ("in_batch_negatives", "labelled_negatives", "cosent", "simcse")
METHODS = ("lora", "full")
POOLINGS = ("mean", "first", "last")


@dataclass(frozen=True)
class Finetune:
    """Section `finetune`: how the models are trained whose entry of catalog.yaml has `finetune`."""

    dataset: str | None
    """a data set of catalog.yaml whose train pairs are learned from; null: that of the study"""
    method: str
    """lora (an adapter of low rank on every matrix of the blocks) or full (all weights)"""
    rank: int
    """of the adapter"""
    loss: str
    """in_batch_negatives, labelled_negatives, cosent or simcse"""
    positive: float | None
    """labels from here on make a paraphrase, for the first two losses; null: 1 of 0/1, else 4/5 of the largest"""
    layer: int
    """whose vectors are trained; negative numbers count from the last"""
    pooling: str
    """mean, first or last token"""
    epochs: int
    """passes over the train pairs, at most"""
    patience: int
    """stop when the held-out rho has not risen for so many epochs"""
    folds: int
    """one of so many folds of the train components is held out, and says which epoch is kept"""
    batch_pairs: int
    """pairs of a batch; their sentences are each other's negatives"""
    accumulate: int
    """batches of a step"""
    learning_rate: float
    """of Adam, after a linear warm-up over the first tenth of the steps and before a linear decay to 0"""
    scale: float
    """of the cosines in a loss, 1 / temperature"""
    dropout: float
    """of the adapter's inputs; of a model that has none, of its embeddings too where the loss is simcse"""
    recompute: bool
    """compute the blocks again on the way back instead of keeping what they computed: less memory, more time"""
    seed: int
    """of the adapter, the order, dropout and the fold"""
    shuffle_labels: bool
    """a control: permute the train labels, after which there is nothing to learn"""

    def __post_init__(self) -> None:
        one_of(self.method, METHODS, "finetune.method")
        one_of(self.loss, LOSSES, "finetune.loss")
        one_of(self.pooling, POOLINGS, "finetune.pooling")
        at_least("finetune", self, rank=1, epochs=1, patience=1, folds=2, batch_pairs=2, accumulate=1, seed=0)
        if self.seed >= 1 << 31:
            raise InputError(f"finetune.seed is {self.seed}, expected less than 2^31")
        for name in ("learning_rate", "scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"finetune.{name} is {getattr(self, name)}, expected a finite number above 0")
        if not 0 <= self.dropout < 1:
            raise InputError(f"finetune.dropout is {self.dropout}, expected a share from 0 to below 1")
        if self.positive is not None and not math.isfinite(self.positive):
            raise InputError(f"finetune.positive is {self.positive}, expected a label")
        if self.loss == "simcse" and self.dropout == 0:
            raise InputError(
                "finetune.loss is simcse and finetune.dropout is 0: two readings of a sentence would be one"
            )
