"""Every verdict of every rule, on effects that are planted for it."""

import numpy as np
import pytest

from pipeline.claims.decide import (
    ALPHA,
    CONTRADICTED,
    SUPPORTED,
    UNRESOLVED,
    Effects,
    decide,
)
from pipeline.claims.paper import CLAIMS
from pipeline.claims.rules import RULES, of_claim
from pipeline.geometry.tokens import TOKENS

SMALL, LARGE = 0.001, 0.4
"""p-values"""


def inside(rule):
    """An effect that the rule asks for, and how far the nearer end of its range is."""
    low, high = rule.span
    if np.isfinite(low) and np.isfinite(high):
        return (low + high) / 2, (high - low) / 2
    return (low + 1, 1) if np.isfinite(low) else (high - 1, 1)


def outside(rule):
    """One that it rules out."""
    low, high = rule.span
    return (low - 1 if np.isfinite(low) else high + 1), 1


def effects(*comparisons):
    """(value, half width of the interval, p) of each."""
    value, reach, p = np.array(comparisons, dtype=np.float64).T
    return Effects(value, value - reach, value + reach, p)


@pytest.mark.parametrize("name", RULES)
def test_an_effect_that_is_clearly_in_the_range_supports(name):
    value, room = inside(RULES[name])
    assert decide(RULES[name], effects((value, room / 2, SMALL))).verdict == SUPPORTED


@pytest.mark.parametrize("name", RULES)
def test_an_effect_that_is_clearly_outside_contradicts(name):
    value, room = outside(RULES[name])
    assert decide(RULES[name], effects((value, room / 2, SMALL))).verdict == CONTRADICTED


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("side", [inside, outside])
def test_an_effect_that_could_be_either_resolves_nothing(name, side):
    value, room = side(RULES[name])
    assert decide(RULES[name], effects((value, 2 * room, LARGE))).verdict == UNRESOLVED


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("side", [inside, outside])
def test_an_effect_without_interval_and_p_resolves_nothing(name, side):
    value, _ = side(RULES[name])
    assert decide(RULES[name], effects((value, np.nan, np.nan))).verdict == UNRESOLVED


EVERY = [name for name, rule in RULES.items() if rule.needs == "every"]
SOME = [name for name, rule in RULES.items() if rule.needs == "some"]


def mixed(rule, *signs_and_p):
    """Comparisons on the rule's side (+1) or on the other (-1)."""
    value, room = inside(rule)
    return effects(*((value if sign > 0 else -value, room / 2, p) for sign, p in signs_and_p))


@pytest.mark.parametrize("name", EVERY)
def test_what_every_comparison_must_show(name):
    rule = RULES[name]
    many = [(+1, 0.04)] * 20  # none of them significant after Holm's correction: none is needed
    found = decide(rule, mixed(rule, *many))
    assert (found.verdict, found.p, found.agreeing) == (SUPPORTED, 0.04, 0)
    found = decide(rule, mixed(rule, (+1, SMALL), (+1, LARGE), (+1, SMALL)))
    assert (found.verdict, found.agreeing, found.opposing) == (UNRESOLVED, 2, 0)
    found = decide(rule, mixed(rule, (+1, SMALL), (-1, 0.02), (+1, SMALL)))
    assert (found.verdict, found.row, found.p) == (CONTRADICTED, 1, 0.02)  # Holm: the largest of three stays
    found = decide(rule, mixed(rule, *[(-1, 0.04)] * 2, *[(+1, LARGE)] * 2))
    assert (found.verdict, found.opposing) == (UNRESOLVED, 0)  # 4 x 0.04 and 3 x 0.04


@pytest.mark.parametrize("name", SOME)
def test_what_one_of_several_comparisons_is_enough_for(name):
    rule = RULES[name]
    found = decide(rule, mixed(rule, (-1, LARGE), (+1, 0.01), (+1, LARGE)))
    assert (found.verdict, found.row) == (SUPPORTED, 1)
    assert found.p == pytest.approx(0.03)
    assert decide(rule, mixed(rule, (-1, LARGE), (+1, 0.02), (+1, LARGE))).verdict == UNRESOLVED
    found = decide(rule, mixed(rule, *[(-1, 0.04)] * 10))
    assert (found.verdict, found.p) == (CONTRADICTED, 0.04)
    already = mixed(rule, (-1, LARGE), (+1, 0.02))
    already = Effects(already.value, already.low, already.high, already.p, corrected=True)
    assert decide(rule, already).verdict == SUPPORTED


def test_an_unresolved_row_is_the_one_in_the_way():
    rule = RULES["layers_minus_vectors"]  # below 0
    assert decide(rule, effects((-2, 1, SMALL), (-0.1, 1, LARGE), (-1, 1, SMALL))).row == 1
    assert decide(RULES["probe_minus_cosine"], effects((0.1, 1, LARGE), (0.3, 1, LARGE), (0.2, 1, LARGE))).row == 1


@pytest.mark.parametrize("name", RULES)
def test_p_at_the_level_is_not_below_it(name):
    if RULES[name].by == "test":
        value, _ = inside(RULES[name])
        assert decide(RULES[name], effects((value, 0.1, ALPHA))).verdict == UNRESOLVED


def test_every_claim_has_a_rule_that_decides_it_and_every_rule_a_command():
    for claim in CLAIMS:
        assert any(rule.main for _, rule in of_claim(claim)), claim
    for name, rule in RULES.items():
        assert rule.claim in CLAIMS
        assert "dvc" in rule.command, name
        low, high = rule.span
        assert rule.by == "interval" or 0 in (low, high), "a test is of 0"
        assert rule.needs in ("one", "every", "some")


def test_every_measure_of_dilution_has_a_rule():
    assert {name for name, one in TOKENS.items() if one.claim == "C7"} <= set(RULES)
