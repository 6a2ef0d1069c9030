"""Effects -> a verdict, by a rule.

A comparison speaks for or against a claim by a test of "the effect is 0", or by an interval that lies wholly inside or
outside of the rule's range.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.claims.rules import Rule
from pipeline.stats.significance import holm

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNRESOLVED, UNTESTED = "not resolvable at this n", "not tested here"
VERDICTS = (SUPPORTED, CONTRADICTED, UNRESOLVED, UNTESTED)
ALPHA = 0.05


@dataclass(frozen=True)
class Effects:
    """K comparisons that a rule judges together."""

    value: np.ndarray
    """(K,) differences, slopes or ratios"""
    low: np.ndarray
    """(K,)"""
    high: np.ndarray
    """(K,)"""
    p: np.ndarray
    """(K,) of an effect of 0, NaN where there is no test"""
    corrected: bool = False
    """whether p is already corrected for the number of comparisons"""

    def take(self, rows: np.ndarray) -> "Effects":
        """Some of them."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ("value", "low", "high", "p")})

    @classmethod
    def single(cls, value: float, low: float, high: float, p: float = np.nan) -> "Effects":
        """One comparison."""
        arrays = [np.array([figure], dtype=np.float64) for figure in (value, low, high, p)]
        return cls(arrays[0], arrays[1], arrays[2], arrays[3])


@dataclass(frozen=True)
class Decision:
    """What a rule makes of some effects."""

    verdict: str
    """one of VERDICTS"""
    row: int
    """the decisive comparison, or the one that stands most in the way of a verdict"""
    p: float
    """of that comparison, corrected where one of several would have been enough"""
    agreeing: int
    """comparisons that speak for the claim, each after correction"""
    opposing: int
    """those that speak against it"""


def decide(rule: Rule, effects: Effects) -> Decision:
    """The verdict of a rule on K >= 1 effects with finite values.

    What has to be true of every comparison needs no correction: to be wrong, the test of one comparison that it is not
    true of must be wrong, whichever that is. What is enough in one of several has Holm's. So a false verdict of either
    kind comes with a probability of ALPHA at most.
    """
    assert len(effects.value)
    assert np.isfinite(effects.value).all()
    inside, outside, p = _sides(rule, effects, corrected=False)
    agreeing, opposing, adjusted = _sides(rule, effects, corrected=True)
    every = rule.needs != "some"
    holds, fails = (inside.all(), opposing.any()) if every else (agreeing.any(), outside.all())
    against = _against(rule, effects.value)
    if every:
        row = _worst(p, inside) if holds else _best(adjusted, opposing, against) if fails else int(against.argmax())
    else:
        row = _best(adjusted, agreeing, -against) if holds else _worst(p, outside) if fails else int(against.argmin())
    verdict = SUPPORTED if holds else CONTRADICTED if fails else UNRESOLVED
    shown = adjusted if (fails if every else not fails) else p
    return Decision(verdict, row, float(shown[row]), int(agreeing.sum()), int(opposing.sum()))


def _sides(rule: Rule, effects: Effects, corrected: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which effects are significantly inside the span, which outside, (K,) bool each, and the p-values used."""
    low, high = rule.span
    p = holm(effects.p) if corrected and not effects.corrected else effects.p
    if rule.by == "interval":
        inside = (effects.low >= low) & (effects.high <= high)
        return inside, (effects.high < low) | (effects.low > high), p
    clear = p < ALPHA  # False for NaN
    within = (effects.value > low) & (effects.value < high)
    return clear & within, clear & ~within, p


def _against(rule: Rule, values: np.ndarray) -> np.ndarray:
    """How far effects are on the wrong side of the nearer end of the span, negative inside of it: (K,)."""
    low, high = rule.span
    return np.maximum(low - values, values - high)


def _worst(p: np.ndarray, rows: np.ndarray) -> int:
    """Of some comparisons, all of which count, the one with the largest p; the first where there is none."""
    return int(np.where(rows & np.isfinite(p), p, -1.0).argmax())


def _best(p: np.ndarray, rows: np.ndarray, by: np.ndarray) -> int:
    """Of some comparisons, one of which is enough, that with the smallest p; of equals the largest `by`."""
    ordered = np.lexsort((-by, np.where(rows, np.nan_to_num(p, nan=0.0), np.inf)))
    return int(ordered[0])
