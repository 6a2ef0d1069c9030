"""The paper's layers in models of another depth."""

import pytest

from pipeline.claims.paper import BLOCKS, CLAIMS, ENTROPY_AT, LOOKED_AT, SHALLOW, at_share


@pytest.mark.parametrize(
    ("depth", "shallow", "seen", "entropy"),
    [
        (24, 2, (2, 12), (4, 13)),
        (8, 1, (1, 4), (1, 4)),
        (12, 1, (1, 6), (2, 6)),
        (48, 4, (4, 24), (8, 26)),
        (2, 1, (1, 1), (1, 1)),
    ],
)
def test_layers_of_another_depth_by_hand(depth, shallow, seen, entropy):
    layers = list(range(depth + 1))
    assert at_share(layers, SHALLOW) == shallow
    assert tuple(at_share(layers, layer) for layer in LOOKED_AT) == seen
    assert tuple(at_share(layers, layer) for layer in ENTROPY_AT) == entropy


def test_of_kept_layers_the_nearest_is_taken_and_of_two_the_shallower():
    assert at_share([0, 3, 6, 24], SHALLOW) == 3
    assert at_share([0, 1, 3, 24], SHALLOW) == 1
    assert at_share([0], SHALLOW) == 0


def test_the_papers_own_model_has_its_own_layers():
    assert all(at_share(list(range(BLOCKS + 1)), layer) == layer for layer in range(1, BLOCKS + 1))


def test_claims_are_sentences_that_a_verdict_can_be_given_on():
    assert list(CLAIMS) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "Q1", "Q2", "Q3", "N1"]
    for claim in CLAIMS.values():
        assert claim.statement.endswith(".")
        assert "?" not in claim.statement
