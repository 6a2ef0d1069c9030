"""The picture of a training run: its lines, their values and their labels."""

import numpy as np
import polars as pl
import pytest

from pipeline.demo.curve import loss_curve

TOKENS = np.arange(1, 301) * 1_000_000


@pytest.fixture
def axis():
    looks = [4.0 if step == 100 else 3.0 if step == 300 else None for step in range(1, 301)]
    history = pl.DataFrame({"tokens": TOKENS, "loss": np.linspace(6, 3, 300), "held_out": looks})
    figure = loss_curve(history, 2.5, 0.5, {"1-gram": 4.5, "5-gram": 3.5})
    return figure.axes[0]


def test_training_is_a_running_mean_in_bits_per_byte(axis):
    line = axis.lines[0]
    assert line.get_label() == "training, mean of 3 steps"
    assert np.array_equal(line.get_xdata(), TOKENS / 1e6)
    loss = np.linspace(6, 3, 300)
    np.testing.assert_allclose(line.get_ydata()[2:], 0.5 * (loss[:-2] + loss[1:-1] + loss[2:]) / 3, rtol=1e-12)
    assert np.isnan(line.get_ydata()[:2].astype(float)).all()


def test_looks_at_the_held_out_sample_and_at_all_of_it_are_marked(axis):
    sample, final = axis.lines[1:3]
    assert sample.get_label().startswith("held-out sample")
    assert np.column_stack([sample.get_xdata(), sample.get_ydata()]).tolist() == [[100, 4], [300, 3]]
    assert final.get_label() == "all held-out text: 2.50"
    assert (final.get_xdata()[0], final.get_ydata()[0]) == (300, 2.5)


def test_ngram_models_are_labelled_lines(axis):
    assert [line.get_ydata()[0] for line in axis.lines[3:]] == [4.5, 3.5]
    assert [text.get_text() for text in axis.texts] == ["1-gram  4.50", "5-gram  3.50"]


def test_axes_are_labelled_and_hold_all_values(axis):
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("tokens seen, millions", "bits per byte")
    low, high = axis.get_ylim()
    assert low < 2.5 < 4.5 < high
