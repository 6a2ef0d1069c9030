"""Train pairs in batches, with one fold of their components held out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.base.errors import InputError
from pipeline.finetune.pairs import TrainPairs, positive_from
from pipeline.finetune.settings import Finetune
from pipeline.stats.folds import folds


@dataclass(frozen=True)
class Learning:
    """Train pairs in the two parts that they are used in."""

    pairs: TrainPairs
    ids: Sequence[np.ndarray]
    """token ids of each text"""
    spans: np.ndarray
    """of each text the first token that is pooled, and the one after the last, (S, 2)"""
    labels: np.ndarray
    """(n,) permuted where fine-tuning is a control"""
    positive: np.ndarray
    """(n,) bool"""
    learned: np.ndarray
    """numbers of the pairs that are learned from"""
    held: np.ndarray
    """numbers of those that are held out"""


def divided(
    pairs: TrainPairs, ids: Sequence[np.ndarray], settings: Finetune, spans: np.ndarray | None = None
) -> Learning:
    """Hold one fold of the components out, and find the paraphrases. InputError where there is nothing to learn.

    spans (S, 2): what is pooled of each text; None: all its tokens.
    """
    if len(np.unique(pairs.component)) < settings.folds:
        raise InputError(
            f"the {len(pairs)} train pairs are {len(np.unique(pairs.component))} components: too few to hold one of "
            f"finetune.folds = {settings.folds} out"
        )
    held = folds(pairs.component, settings.folds, settings.seed) == 0
    labels = pairs.labels
    if settings.shuffle_labels:
        labels = np.random.default_rng([settings.seed, 1]).permutation(labels)
    positive = labels >= positive_from(labels, settings.positive)
    spans = np.array([[0, len(of_text)] for of_text in ids]) if spans is None else spans
    learning = Learning(pairs, ids, spans, labels, positive, np.flatnonzero(~held), np.flatnonzero(held))
    if settings.loss in ("in_batch_negatives", "labelled_negatives") and positive[learning.learned].sum() < 2:
        raise InputError(
            f"finetune.loss {settings.loss} needs paraphrases, and {positive[learning.learned].sum()} train pairs are "
            f"labelled {positive_from(labels, settings.positive):g} or more: set finetune.positive, or use cosent"
        )
    if settings.loss == "cosent" and len(set(labels[learning.learned])) < 2:
        raise InputError("finetune.loss cosent needs two labels, and all train pairs have the same")
    if len(set(pairs.labels[learning.held])) < 2:
        raise InputError(
            f"the {len(learning.held)} held-out train pairs all have one label, so no epoch can be chosen: take "
            "another finetune.seed, or fewer finetune.folds"
        )
    return learning


def batches(learning: Learning, settings: Finetune, epoch: int) -> list[np.ndarray]:
    """Numbers of the pairs (of the texts, for simcse) of each batch of an epoch; a rest of one is left out."""
    if settings.loss == "simcse":
        sides = learning.pairs.first[learning.learned], learning.pairs.second[learning.learned]
        items = np.unique(np.concatenate(sides))
    elif settings.loss == "in_batch_negatives":
        items = learning.learned[learning.positive[learning.learned]]
    else:
        items = learning.learned
    order = np.random.default_rng([settings.seed, 2, epoch]).permutation(items)
    cut = [order[start : start + settings.batch_pairs] for start in range(0, len(order), settings.batch_pairs)]
    return [batch for batch in cut if len(batch) > 1]


def steps_of(learning: Learning, settings: Finetune, epoch: int) -> Iterator[list[np.ndarray]]:
    """The batches of each step."""
    cut = batches(learning, settings, epoch)
    for start in range(0, len(cut), settings.accumulate):
        yield cut[start : start + settings.accumulate]
