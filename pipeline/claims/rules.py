"""How figures become verdicts: a rule for each measure, and the one function that applies them.

A rule says in which range an effect lies if the claim holds, and of how many comparisons that must be true. A
comparison speaks for or against a claim by a test of "the effect is 0", or by an interval that lies wholly inside or
outside of the range.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.stats.significance import holm

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNRESOLVED, UNTESTED = "not resolvable at this n", "not tested here"
VERDICTS = (SUPPORTED, CONTRADICTED, UNRESOLVED, UNTESTED)
ALPHA = 0.05
ABOVE, BELOW = (0.0, np.inf), (-np.inf, 0.0)
COST = "dvc --cd cost repro && dvc repro claims"
GEOMETRY = "dvc --cd geometry repro && dvc repro claims"
VECTORS = "dvc exp run -S 'baselines=[{baselines},glove-6b-50d]'"
TUNE = "add an entry with `finetune: {model}` to catalog.yaml and to models (docs/howto/fine-tuning.md), then dvc repro"
ENCODER = "pip install -e '.[encoders]' && dvc exp run -S 'baselines=[{baselines},all-minilm-l6-v2]'"
COSINE = "dvc exp run -S 'score.similarities=[cosine]'"
ATTENTION = "dvc exp run -S 'sweep.poolings=[mean,attention,diagonal]' -S fit.controls=true -S sweep.controls=true"
PROBES = "dvc exp run -S probe.layers=all -S probe.controls=true"


@dataclass(frozen=True)
class Rule:
    """When a measure supports a claim."""

    claim: str
    """a key of paper.CLAIMS"""
    says: str
    """what holds if the claim does, in words"""
    span: tuple[float, float]
    """where the effect lies if the claim holds"""
    paper: str = ""
    """the paper's figure for it"""
    unit: str = "rho"
    """of the two figures that are compared"""
    needs: str = "one"
    """of how many comparisons it must be true: one (there is no other), every or some"""
    by: str = "test"
    """test (of 0; span is ABOVE or BELOW) or interval"""
    main: bool = True
    """whether it decides the claim; the others explain it"""
    command: str = ""
    """what would test it, where there is nothing to go by"""


RULES: dict[str, Rule] = {
    "shallow_minus_others": Rule(
        "C1",
        "rho of the shallow layer is above that of every other layer from 1 on",
        ABOVE,
        paper="+.009 to +.043 (validation)",
        needs="every",
        command=COSINE,
    ),
    "slope": Rule("C2", "the slope of rho on all layers is below 0", BELOW, paper="none", unit="rho / layer", command=COSINE),
    "slope_of_the_paper's_layers": Rule(
        "C2",
        "the slope of rho on the first half of the layers, which the paper looked at, is below 0",
        BELOW,
        paper="-.0044 (validation)",
        unit="rho / layer",
        main=False,
        command=COSINE,
    ),
    "layers_minus_vectors": Rule(
        "C3",
        "rho of every layer from 1 on is below that of averaged word vectors",
        BELOW,
        paper="-.083 to -.125 (validation)",
        needs="every",
        command=VECTORS,
    ),
    "time": Rule(
        "C4",
        "a pair through all blocks takes 350 to 1,400 times as long as with word vectors",
        (350, 1400),
        paper="700",
        unit="ms",
        by="interval",
        command=COST,
    ),
    "time_to_the_shallow_layer": Rule(
        "C4",
        "a pair takes 350 to 1,400 times as long where the model is left at the shallow layer",
        (350, 1400),
        paper="700",
        unit="ms",
        by="interval",
        main=False,
        command=COST,
    ),
    "gpu_memory": Rule(
        "C5",
        "word vectors take 0.8 to 1.25 times the GPU memory of the model",
        (0.8, 1.25),
        paper="0.99",
        unit="bytes",
        by="interval",
        command=f"on a machine with a GPU: {COST}",
    ),
    "memory": Rule(
        "C5",
        "word vectors take 0.8 to 1.25 times the model's peak memory on the host",
        (0.8, 1.25),
        paper="none",
        unit="bytes",
        by="interval",
        main=False,
        command=COST,
    ),
    "entropy": Rule(
        "C6",
        "the entropy is lower at the later of the paper's two layers than at the earlier one",
        BELOW,
        paper="-1.4",
        unit="nats",
        command=GEOMETRY,
    ),
    "signal_to_noise": Rule(
        "C7",
        "the signal-to-noise of the mean is lower at the last of the paper's layers than at its first",
        BELOW,
        paper="none",
        unit="",
        command=GEOMETRY,
    ),
    "between_within": Rule(
        "C7",
        "variance between / within sentences is lower at the last of the paper's layers than at its first",
        BELOW,
        paper="none",
        unit="",
        command=GEOMETRY,
    ),
    "dilution": Rule(
        "C7",
        "n / m is larger at the last of the paper's layers than at its first",
        ABOVE,
        paper="none",
        unit="",
        command=GEOMETRY,
    ),
    "few_carriers": Rule(
        "C7",
        "n / m is above 2 at the last of the paper's layers: fewer than half of the tokens carry the mean",
        (2, np.inf),
        paper="above 1",
        unit="",
        by="interval",
        command=GEOMETRY,
    ),
    "tuned_minus_vectors": Rule(
        "Q1", "rho of the tuned model's selected layer is above that of averaged word vectors", ABOVE, command=VECTORS
    ),
    "tuned_minus_base": Rule(
        "Q1", "rho of the tuned model's selected layer is above that of its base", ABOVE, main=False, command=TUNE
    ),
    "tuned_minus_base_at_each_layer": Rule(
        "Q1",
        "rho of the tuned model is above that of its base at every layer from 1 on",
        ABOVE,
        needs="every",
        main=False,
        command=TUNE,
    ),
    "tuned_minus_overlap": Rule(
        "Q1",
        "rho of the tuned model's selected layer is above that of word overlap (Dice)",
        ABOVE,
        main=False,
        command="dvc exp run -S 'baselines=[{baselines},overlap]'",
    ),
    "tuned_minus_base_over_seeds": Rule(
        "Q1", "the mean over entries that were tuned from one base is above it", ABOVE, main=False, command=TUNE
    ),
    "attention_minus_mean": Rule("Q2", "rho of learned attention is above that of the mean", ABOVE, command=ATTENTION),
    "attention_minus_control": Rule(
        "Q2",
        "rho of learned attention is above that of its control, a learned scale of each dimension",
        ABOVE,
        main=False,
        command=ATTENTION,
    ),
    "encoder_minus_model": Rule(
        "Q3", "rho of the sentence encoder is above that of the model's selected layer", ABOVE, command=ENCODER
    ),
    "encoder_time": Rule(
        "Q3",
        "a pair takes longer through all blocks of the model than with the sentence encoder",
        (1, np.inf),
        unit="ms",
        by="interval",
        main=False,
        command=COST,
    ),
    "probe_minus_cosine": Rule(
        "N1", "rho of the probe is above that of the cosine at some layer of the upper half", ABOVE, needs="some", command=PROBES
    ),
    "probe_minus_control": Rule(
        "N1",
        "the selected probe is better than its control, fitted to permuted labels",
        ABOVE,
        unit="metric",
        by="interval",
        main=False,
        command=PROBES,
    ),
    "probe_minus_overlap": Rule(
        "N1",
        "the selected probe is better than that of word overlap's measures",
        ABOVE,
        unit="metric",
        main=False,
        command="dvc exp run -S 'baselines=[{baselines},overlap]'",
    ),
}
"""name of a measure -> its rule"""


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
        return cls(*(np.array([figure], dtype=np.float64) for figure in (value, low, high, p)))


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
    assert len(effects.value) and np.isfinite(effects.value).all()
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


def of_claim(claim: str) -> Iterator[tuple[str, Rule]]:
    """The measures of a claim and their rules."""
    return ((name, rule) for name, rule in RULES.items() if rule.claim == claim)
