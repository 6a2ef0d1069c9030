"""Kills and commands at the same time through DVC (benchmarks/kills.py, benchmarks/together.py), a few of each.

The uncommitted code of this checkout is not part of the clone.
"""

import random

import pytest

from benchmarks import kills, together
from benchmarks.disturbed import study

pytestmark = pytest.mark.slow


def test_after_a_kill_the_next_run_goes_on_to_the_same_bytes(seed):
    with study() as clone:
        done = list(kills.rounds(clone, 12, random.Random(seed)))
    assert len(done) == 12
    assert [(str(this), this.problems) for this in done if this.wrong] == []


@pytest.fixture(scope="module")
def finished():
    """A study that ran once, and its files."""
    with study() as clone:
        yield clone, clone.undisturbed()


@pytest.mark.parametrize("name", together.CASES)
def test_at_the_same_time_nothing_is_lost_and_who_cannot_go_on_says_so(finished, name):
    _, problems = together.run_together(finished[0], name, finished[1])
    assert problems == []
