"""Exponents, crossings and intervals from times that are known; and the measuring itself on tiny models."""

import numpy as np
import polars as pl
import pytest
import torch

from benchmarks import lengths, lengths_picture, scaling
from pipeline.models.layers import hidden_layers

LENGTHS = np.array([16, 64, 256, 1024, 4096])


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_an_exponent_is_recovered_whatever_the_unit(power, rng):
    costs = rng.uniform(0.1, 10) * LENGTHS**power
    assert scaling.exponent(LENGTHS, costs) == pytest.approx(power, abs=1e-12)
    assert scaling.exponent(LENGTHS, np.stack([costs, costs**2])) == pytest.approx([power, 2 * power], abs=1e-12)


def test_the_interval_of_an_exponent_covers_it_about_as_often_as_it_says(rng):
    covered = 0
    for _ in range(100):
        times = LENGTHS**1.5 * rng.lognormal(0, 0.2, (15, len(LENGTHS)))
        low, high = scaling.interval(scaling.exponent(LENGTHS, scaling.resampled_medians(times, rng, 200)))
        covered += low <= 1.5 <= high
    assert covered >= 80  # of 100; a binomial of .93 falls below in one of 10,000


def test_medians_stand_a_busy_machine(rng):
    times = np.tile(LENGTHS**2.0, (9, 1))
    times[rng.integers(0, 9, 3), rng.integers(0, 5, 3)] *= 10
    assert scaling.exponent(LENGTHS, np.median(times, axis=0)) == pytest.approx(2, abs=1e-12)


def test_the_crossing_is_where_two_power_laws_meet():
    flat, rising = np.full(5, 8.0), LENGTHS / 100
    assert scaling.crossing(LENGTHS, flat, rising) == pytest.approx(800)
    assert np.isnan(scaling.crossing(LENGTHS, rising, flat))  # it costs more at the end
    assert scaling.crossing(LENGTHS, rising / 1e4, flat) == 0
    assert scaling.interval([1.0, np.nan, 1.0]) == (1, 1)
    assert np.isnan(scaling.interval([np.nan])).all()


def test_exponents_without_noise_have_an_interval_over_lengths(rng):
    exact = scaling.exponent_over_lengths(LENGTHS, LENGTHS**2.0, rng, 50)
    assert np.abs(exact - 2).max() <= 1e-12
    bent = scaling.exponent_over_lengths(LENGTHS, LENGTHS**2.0 + 1e5, rng, 200)
    low, high = scaling.interval(bent)
    assert low < scaling.exponent(LENGTHS, LENGTHS**2.0 + 1e5) < high


@pytest.fixture(scope="module")
def models():
    return lengths.models_of(64, 2, "float32", "cpu")


def test_without_attention_a_token_depends_on_itself_alone(models):
    ids = torch.tensor([[5, 6, 7], [8, 6, 7]])
    for name, alone in ((lengths.LINEAR, True), (lengths.LLAMA, False), (lengths.EAGER, False)):
        (states,) = hidden_layers(models[name], ids, [2])
        assert torch.allclose(states[0, 1:], states[1, 1:], atol=1e-6) == alone


def test_fused_and_eager_attention_are_one_model(models):
    ids = torch.arange(1, 20)[None]
    fused, eager = (hidden_layers(models[name], ids, [2])[0] for name in (lengths.LLAMA, lengths.EAGER))
    assert torch.allclose(fused, eager, atol=1e-5)


def test_memory_is_exact_and_holds_the_matrix_of_eager_attention(models):
    ids = torch.ones(1, 256, dtype=torch.long)
    eager = lengths.memory_of(models[lengths.EAGER], ids)
    assert eager == lengths.memory_of(models[lengths.EAGER], ids)
    assert eager >= 4 * 256 * 256  # one head, float32
    assert lengths.memory_of(models[lengths.LLAMA], ids) < eager


def test_table_fits_and_picture(models, tmp_path, rng):
    times, memory = lengths.measured(models, (512, 640, 768), 2, 512, "cpu")
    names = list(models)
    table = lengths.table_of(names, (512, 640, 768), times, memory)
    assert len(table) == len(names) * 3
    assert (table["us_per_token_low"] <= table["us_per_token_high"]).all()
    assert table.filter(pl.col("attention_share").is_not_null())["model"].unique().to_list() == [lengths.LLAMA]
    fits = lengths.fits_of(names, (512, 640, 768), times, memory, rng)
    assert fits.filter(figure="exponent of memory", model=lengths.EAGER)["value"].item() > 1.3
    assert len(fits) == 2 * len(names) + 3
    lengths_picture.draw(table, "2 x 64").savefig(tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 0
