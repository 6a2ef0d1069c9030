"""The warning that one token swamps the mean."""

from dataclasses import replace

import pytest

from pipeline.formats.norms import POSITIONS, Norms
from pipeline.report import norms as warned
from pipeline.report import numbers
from pipeline.report.page import page
from pipeline.report.settings import Report
from tests.report import making


def norms(shares, largest="first", even=0.05, averaged=POSITIONS):
    """Of layers 0, 1, ... in which the same position is mostly the largest."""
    parts = {position: [0.8 if position == largest else 0.1] * len(shares) for position in POSITIONS}
    return Norms(list(range(len(shares))), list(shares), even, parts, True, list(averaged))


def text(of_model, keep="tokens"):
    return "\n".join(warned.warnings({"m": of_model}, {"m": {"keep": keep}}))


def test_layers_that_the_first_token_dominates_are_named_with_what_to_try():
    assert text(norms([0.1, 0.4, 0.92, 0.994, 0.97])) == (
        "> **One token swamps the mean at layers 2 to 4 of m.** That token, most often the first, holds 92 to 99 % of "
        "the squared norm of a sentence's states; an even share would be 5 %. Try `pooling: skip_first` or "
        "`skip_outliers`.\n"
    )


@pytest.mark.parametrize(
    ("largest", "keep", "words"),
    [
        ("first", "pooled", "`pooling: skip_first` or `skip_outliers` with `dump.keep: tokens`."),
        ("last", "tokens", "most often the last, holds 92 % of"),
        ("last", "tokens", "Try the pooling `skip_outliers`."),
        ("last", "pooled", "Try the pooling `skip_outliers` with `dump.keep: tokens`."),
        ("other", "tokens", "most often one between the first and the last, holds 92 % of"),
        ("other", "tokens", "at layer 1 of m.**"),
    ],
)
def test_the_position_and_the_kind_of_dump_decide_what_to_try(largest, keep, words):
    assert words in text(norms([0.1, 0.92], largest), keep)


@pytest.mark.parametrize(
    "of_model",
    [
        norms([0.05, 0.3, 0.5]),  # the limit itself is not above it
        norms([0.05, 0.9], even=0.3),  # sentences of three tokens
        norms([0.05, 0.9], averaged=()),  # such as the last token alone
        norms([0.05, 0.9], averaged=("last", "other")),  # skip_first
        norms([float("nan"), 0.1]),
    ],
)
def test_nothing_is_said_where_no_token_dominates_or_the_pooling_leaves_it_out(of_model):
    assert text(of_model) == ""


def test_skip_first_is_warned_of_a_token_that_it_keeps():
    assert "most often the last" in text(norms([0.9], "last", averaged=("last", "other")))


def test_positions_are_told_apart():
    found = norms([0.9, 0.9, 0.9])
    found = replace(found, largest={"first": [1.0, 0.0, 1.0], "last": [0.0, 1.0, 0.0], "other": [0.0, 0.0, 0.0]})
    assert warned.dominated(found) == {"first": [0, 2], "last": [1]}


@pytest.mark.parametrize(
    ("layers", "words"),
    [([3], "3"), ([3, 4], "3 to 4"), ([0, 6, 12], "0, 6 and 12"), ([1, 4, 5, 6, 9], "1, 4 to 6 and 9")],
)
def test_layers_in_words(layers, words):
    assert warned.spans(layers) == words


@pytest.mark.parametrize(
    ("shares", "words"),
    [([0.52, 0.948], "52 to 95 %"), ([0.951, 0.949], "95 %"), ([0.9, 0.9999], "90 to over 99 %"), ([1.0], "100 %")],
)
def test_measured_shares_in_words(shares, words):
    assert numbers.share_span(shares) == words


def test_the_page_warns_of_the_model_that_is_swamped_alone(rng):
    material = making.material(rng)
    spread = {"m": norms([0.1, 0.2, 0.3]), "n": norms([0.1, 0.2, 0.9])}
    given = replace(material, scores=replace(material.scores, norms=spread))
    swamped, plain = page(given, making.METHOD, Report(2)), page(material, making.METHOD, Report(2))
    (line,) = set(swamped.splitlines()) - set(plain.splitlines())
    assert line.startswith("> **One token swamps the mean at layer 2 of n.**")
