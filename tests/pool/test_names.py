import subprocess
import sys

import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.base.settings import build
from pipeline.pool.corrections import CORRECTIONS
from pipeline.pool.names import KINDS, MEAN, REGISTRIES, Correction, Pooling
from pipeline.score.settings import Score
from tests.helpers import ROOT

PARSED = [
    ("mean", "mean", (), "tokens", False),
    ("last", "last", (), "tokens", False),
    ("last_12", "last_K", (12,), "tokens", False),
    ("sif", "sif", (), "weighted", False),
    ("attention", "attention", (), "learned", True),
    ("attention_2", "attention", (2,), "learned", True),
    ("diagonal_0", "diagonal", (0,), "learned", True),
    ("state", "state", (), "state", False),
    ("state_rank_4", "state_rank_K", (4,), "state", False),
    ("state_per_head", "state_per_head", (), "state", False),
    ("layers_3_10", "layers_I_J", (3, 10), "mix", False),
    ("first_last", "first_last", (), "mix", False),
    ("updates", "updates", (), "mix", False),
    ("updates_0_6", "updates_I_J", (0, 6), "mix", False),
    ("scalar_mix_0", "scalar_mix", (0,), "mix", True),
]


@pytest.mark.parametrize(("text", "entry", "numbers", "kind", "learned"), PARSED)
def test_a_pooling_is_parsed_once(text, entry, numbers, kind, learned):
    pooling = Pooling.parse(text)
    assert pooling == Pooling(text, entry, numbers, kind)
    assert pooling.learned == learned
    assert str(pooling) == text
    assert pooling.run == (numbers[0] if numbers else 0)


def test_every_entry_without_numbers_is_a_name_of_its_own():
    assert sum(map(len, REGISTRIES.values())) == len(KINDS)  # no name in two registries
    for entry, kind in KINDS.items():
        if not entry.endswith(("_K", "_J")):
            assert Pooling.parse(entry) == Pooling(entry, entry, (), kind)
    assert Pooling.parse("mean") == MEAN


def test_runs_of_what_is_learned():
    assert Pooling.parse("attention").with_run(3) == Pooling.parse("attention_3")
    assert Pooling.parse("scalar_mix_1").with_run(0) == Pooling.parse("scalar_mix_0")


@pytest.mark.parametrize(
    ("name", "layers"),
    [("mean", ()), ("layers_0_6", (0, 6)), ("first_last", (1,)), ("updates", ()), ("updates_2_6", (2, 6))],
)
def test_the_layers_that_a_mix_needs(name, layers):
    assert Pooling.parse(name).layers_needed == layers


NO_POOLINGS = """lats last_K last_x last_1_2 last_-1 last_04 last_٤ mean_2 layers_1 layers idf_mean_1 attention_1_2
attention_ 4 _4 whitening_3 state_4 state_rank state_rank_K states"""


@pytest.mark.parametrize("text", [*NO_POOLINGS.split(), "", "mean\n"])
def test_poolings_that_there_are_not_are_refused(text):
    with pytest.raises(
        InputError, match=r"[Ee]xpected one of mean, last, last_K, .*scalar_mix \(K, I and J are"
    ) as caught:
        Pooling.parse(text)
    assert str(caught.value).startswith(f"pooling is {text!r}: ")
    assert "\n" not in str(caught.value)


NEAR = {"atention": "attention", "idf": "sif", "weightedmean": "weighted_mean"}


@pytest.mark.parametrize(("text", "near"), NEAR.items())
def test_near_misses_of_poolings_are_named(text, near):
    with pytest.raises(InputError, match=rf"^pooling is '{text}': did you mean .*\b{near}\b.*\? Expected one of mean"):
        Pooling.parse(text)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (Pooling.parse, "last_0"),
        (Pooling.parse, "state_rank_0"),
        (Correction.parse, "whitening_0"),
        (Correction.parse, "all_but_the_top_0"),
    ],
)
def test_nothing_of_something_is_refused(parse, text):
    with pytest.raises(InputError, match=rf" is '{text}': K is 0 there, expected at least 1"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "entry", "k"),
    [
        ("none", "none", None),
        ("centre", "centre", None),
        ("whitening_64", "whitening_K", 64),
        ("all_but_the_top_1", "all_but_the_top_K", 1),
    ],
)
def test_a_correction_is_parsed_once(text, entry, k):
    assert Correction.parse(text) == Correction(text, entry, k)
    assert str(Correction.parse(text)) == text
    assert entry in CORRECTIONS


NO_CORRECTIONS = "whitening centre_3 whitening_K center none_1 mean whitening_1_2"


@pytest.mark.parametrize("text", [*NO_CORRECTIONS.split(), ""])
def test_corrections_that_there_are_not_are_refused(text):
    names = ", ".join(CORRECTIONS)
    with pytest.raises(InputError, match=rf"^correction is '{text}': .*[Ee]xpected one of {names} \(K, I and J"):
        Correction.parse(text)
    with pytest.raises(InputError, match=rf"^section score: corrections: correction is '{text}'"):
        build(Score, {"similarities": ["cosine"], "corrections": [text]}, "section score")


def test_a_near_miss_of_a_correction_is_named():
    with pytest.raises(InputError, match=r"^correction is 'center': did you mean centre\?"):
        Correction.parse("center")


def test_a_correction_takes_plain_vectors(rng):
    vectors = rng.standard_normal((9, 3))
    assert Correction.parse("centre").fit(vectors)(vectors) == pytest.approx(vectors - vectors.mean(axis=0), abs=1e-12)
    assert np.array_equal(Correction.parse("none").fit(vectors)(vectors), vectors)


def test_names_load_nothing_heavy():
    """The first stage imports them to check params.yaml."""
    heavy = ("torch", "polars", "pyarrow", "pandas", "scipy", "transformers")
    program = f"import sys, pipeline.pool.names; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
