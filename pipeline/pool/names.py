"""Poolings and corrections by the names that params.yaml has, parsed once: `Pooling`, `Correction`.

A name is a key of a registry, with a number for each capital at its end: `last_K` is written last_4, `layers_I_J`
layers_0_6. K is a count, from 1; I and J are layers, from 0. What the stage fit learns has a name for each of its runs:
attention, or attention_0, is the first.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.base.errors import InputError, did_you_mean
from pipeline.formats import fits
from pipeline.pool.corrections import BY_UNEMBEDDING, CORRECTIONS, Apply
from pipeline.pool.learned import LEARNED
from pipeline.pool.mixes import MIXES
from pipeline.pool.recurrent import RECURRENT
from pipeline.pool.tokens import POOLINGS
from pipeline.pool.train_vectors import TrainVectors
from pipeline.pool.weighted import WEIGHTED

REGISTRIES: dict[str, dict[str, Any]] = {
    "tokens": POOLINGS,
    "weighted": WEIGHTED,
    "learned": LEARNED,
    "state": RECURRENT,
    "mix": MIXES,
}
"""kind of a pooling -> its registry"""
KINDS = {entry: kind for kind, registry in REGISTRIES.items() for entry in registry}


@dataclass(frozen=True)
class Pooling:
    """How token states become one vector."""

    text: str
    """its name in params.yaml"""
    entry: str
    """its key in the registry of its kind"""
    numbers: tuple[int, ...]
    """those of its name, such as the 4 of last_4; of what is learned its run, where the name has one"""
    kind: str
    """tokens, weighted, learned, state or mix: a key of REGISTRIES"""

    @classmethod
    def parse(cls, text: str, others: Iterable[str] = ()) -> "Pooling":
        """A name of params.yaml. InputError that names the near misses, also among `others` that may stand there."""
        entry, numbers = _parsed(text, KINDS, "pooling", others)
        if entry == "updates_I_J" and numbers[0] >= numbers[1]:
            raise InputError(f"pooling is {text!r}: I is {numbers[0]} there, expected less than J, {numbers[1]}")
        return cls(text, entry, numbers, KINDS[entry])

    def __str__(self) -> str:
        return self.text

    @property
    def learned(self) -> bool:
        """Whether the stage fit learns it: `attention`, but also `scalar_mix`, which is a mix."""
        return self.entry in fits.ARRAYS

    @property
    def run(self) -> int:
        """Which run of what is learned; the first where the name does not say."""
        return self.numbers[0] if self.numbers else 0

    @property
    def function(self) -> Callable[..., np.ndarray]:
        """What its registry holds for one of tokens, of states, a learned one or a mix."""
        return REGISTRIES[self.kind][self.entry]

    @property
    def removes_common(self) -> bool:
        """Whether the common component of the train sentences is taken out at the end."""
        return self.kind == "weighted" and WEIGHTED[self.entry].removes_common

    @property
    def layers_needed(self) -> tuple[int, ...]:
        """The layers without which a mix cannot be computed."""
        if self.entry == "first_last":
            return (1,)
        return self.numbers if self.entry.endswith("_I_J") else ()

    def with_run(self, run: int) -> "Pooling":
        """The same of another run of what is learned."""
        return Pooling(f"{self.entry}_{run}", self.entry, (run,), self.kind)


@dataclass(frozen=True)
class Correction:
    """What is done to sentence vectors before they are compared."""

    text: str
    """its name in params.yaml"""
    entry: str
    """a key of CORRECTIONS"""
    k: int | None
    """the 64 of whitening_64; None where an entry takes no number"""

    @classmethod
    def parse(cls, text: str) -> "Correction":
        """A name of params.yaml. InputError that names the near misses."""
        entry, numbers = _parsed(text, CORRECTIONS, "correction")
        return cls(text, entry, numbers[0] if numbers else None)

    def __str__(self) -> str:
        return self.text

    @property
    def by_unembedding(self) -> bool:
        """Whether it takes the unembedding of the model."""
        return self.entry in BY_UNEMBEDDING

    def fit(self, train: np.ndarray | TrainVectors) -> Apply:
        """Train vectors (n, D) -> a function of vectors (S, D) -> (S, D').

        CorrectionError for vectors that cannot have it, such as RankError for more directions than there are.
        `TrainVectors` shares what several corrections compute.
        """
        vectors = train if isinstance(train, TrainVectors) else TrainVectors(train)
        return CORRECTIONS[self.entry](vectors, *(() if self.k is None else (self.k,)))


def _parsed(text: str, entries: Iterable[str], what: str, others: Iterable[str] = ()) -> tuple[str, tuple[int, ...]]:
    """A name -> its entry and its numbers: last_4 -> last_K, (4,)."""
    match = re.fullmatch(r"(.*?)((?:_(?:0|[1-9][0-9]*))*)", text, re.DOTALL)
    assert match is not None  # both parts may be empty
    stem, numbers = match[1], tuple(int(digits) for digits in match[2].split("_")[1:])
    for entry in entries:
        letters = re.findall(r"_([A-Z])(?=_|$)", entry)
        is_run = entry in fits.ARRAYS and len(numbers) == 1
        if stem != re.sub(r"(_[A-Z])+$", "", entry) or (len(letters) != len(numbers) and not is_run):
            continue
        if "K" in letters and numbers[letters.index("K")] == 0:
            raise InputError(f"{what} is {text!r}: K is 0 there, expected at least 1")
        return entry, numbers
    raise InputError(f"{what} is {text!r}: {did_you_mean(text, [*entries, *others])} (K, I and J are numbers)")


MEAN, STATE = Pooling.parse("mean"), Pooling.parse("state")


def mismatch(pooling: Pooling, keep: str) -> str | None:
    """Why a pooling cannot be computed of a dump of a kind (`dump.keep`), None where it may be: one of recurrent states
    takes the poolings of kind state, others take all else.
    """
    if keep == "state" and pooling.kind != "state":
        return f"needs token states, but the dump kept recurrent states, which give {', '.join(RECURRENT)}"
    if keep != "state" and pooling.kind == "state":
        return "needs the recurrent state after the last token (keep: state)"
    return None


def is_of_states(name: str) -> bool:
    """Whether vectors with a pooling of this name are as wide as recurrent states. Also for names of no pooling."""
    return any(name == entry or name.startswith(entry.replace("K", "")) for entry in RECURRENT)


def suited(pooling: Pooling, keep: str) -> Pooling:
    """A pooling, or the plain one of a kind of dump where it takes another kind: `mean`, of recurrent states `state`.

    So models of both kinds can be in one study, which has one `pooling`.
    """
    if mismatch(pooling, keep) is None:
        return pooling
    return STATE if keep == "state" else MEAN
