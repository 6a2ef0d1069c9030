"""The paragraph on what the pairs can tell."""

import polars as pl
import pytest

from pipeline.report import diagnosis, numbers
from tests.report import making

ENCODER = ("strong", "own", "none", None, "cosine")


def paragraph(table, split="test", method=making.METHOD):
    return "\n".join(diagnosis.sections(table, method, split))


def with_encoder(rng, difference, p):
    table = making.correlations(rng, [*making.ENCODERS, ENCODER])
    strong = pl.col("name") == "strong"
    changes = {"difference": difference, "difference_low": difference - 0.01, "difference_high": difference + 0.01}
    changes |= {"difference_p": p, "pairs_needed": 4178.0}
    return table.with_columns(
        *(pl.when(strong).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in changes.items())
    )


def test_an_encoder_that_beats_overlap_shows_that_the_labels_reward_more(rng):
    text = paragraph(with_encoder(rng, 0.0512, 0.0123))
    assert "strong, is significantly above it (+0.051 [+0.041, +0.061], p = 0.012): the labels reward more" in text
    assert "cannot rank" not in text
    assert "About 4,200 pairs like these would be needed to find a difference of .05." in text


@pytest.mark.parametrize(("difference", "p"), [(0.0512, 0.06), (-0.2, 0.001), (0.01, 0.9)])
def test_an_encoder_that_does_not_says_that_the_pairs_cannot_rank(rng, difference, p):
    text = paragraph(with_encoder(rng, difference, p))
    assert "Even a sentence encoder, strong, is not significantly above it" in text
    assert "So these pairs cannot rank encoders by what they know beyond overlap dice." in text


def test_without_an_encoder_it_is_not_known(rng):
    table = making.correlations(rng)
    reference = table.row(by_predicate=(pl.col("name") == "overlap dice") & (pl.col("split") == "test"), named=True)
    text = paragraph(table)
    assert f"By itself, overlap dice reaches {numbers.with_interval(reference, 'spearman')}." in text
    assert "No sentence encoder is among the baselines" in text


def test_without_a_reference_nothing_is_said(rng):
    assert diagnosis.sections(making.correlations(rng, reference=None), making.Method(0.9, 10, None), "test") == []
