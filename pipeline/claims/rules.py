"""When a measure supports a claim: the rules, as data. `decide` applies them.

A rule says in which range an effect lies if the claim holds, and of how many comparisons that must be true. The ranges
of C4, C5 and `few_carriers` are this project's reading of "about", "similar" and "dilutes".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.claims.remedies import ATTENTION, COSINE, COST, ENCODER, GEOMETRY, OVERLAP, PROBES, TUNE, VECTORS

ABOVE, BELOW = (0.0, np.inf), (-np.inf, 0.0)


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
        paper="+.009 to +.043",
        needs="every",
        command=COSINE,
    ),
    "slope": Rule("C2", "the slope of rho on all layers is below 0", BELOW, unit="rho / layer", command=COSINE),
    "slope_of_the_first_half": Rule(
        "C2",
        "the slope of rho on the first half of the layers, which the paper looked at, is below 0",
        BELOW,
        paper="-.0045",
        unit="rho / layer",
        main=False,
        command=COSINE,
    ),
    "layers_minus_vectors": Rule(
        "C3",
        "rho of every layer from 1 on is below that of averaged word vectors",
        BELOW,
        paper="-.083 to -.125",
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
        command=f"{COST} # on a machine with a GPU",
    ),
    "memory": Rule(
        "C5",
        "word vectors take 0.8 to 1.25 times the model's peak memory on the host",
        (0.8, 1.25),
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
        unit="",
        command=GEOMETRY,
    ),
    "between_within": Rule(
        "C7",
        "variance between / within sentences is lower at the last of the paper's layers than at its first",
        BELOW,
        unit="",
        command=GEOMETRY,
    ),
    "dilution": Rule(
        "C7",
        "n / m is larger at the last of the paper's layers than at its first",
        ABOVE,
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
        command=OVERLAP,
    ),
    "tuned_minus_base_on_average": Rule(
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
        "N1",
        "rho of the probe is above that of the cosine at some layer of the upper half",
        ABOVE,
        needs="some",
        command=PROBES,
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
        command=OVERLAP,
    ),
}
"""name of a measure -> its rule"""


def of_claim(claim: str) -> Iterator[tuple[str, Rule]]:
    """The measures of a claim and their rules."""
    return ((name, rule) for name, rule in RULES.items() if rule.claim == claim)
