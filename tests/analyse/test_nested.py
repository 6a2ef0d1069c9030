"""Nested selection against resampling everything, and what it does not resample."""

import numpy as np
import pytest

from pipeline.analyse import nested
from pipeline.analyse.compare import families_of
from pipeline.analyse.groups import groups_of
from pipeline.analyse.nested import NestedSelection
from pipeline.analyse.options import options_of, reference_of
from pipeline.stats import weighted
from pipeline.stats.bootstrap import bootstrap, stream_seed
from tests.analyse.making import MEAN, SETTINGS, curve, keys_of, pairs_of

ROWS = [
    *(row for pooling in ("mean", "max") for row in curve(pooling, range(3))),
    *(row for pooling in ("mean", "max") for row in curve(pooling, range(3), "centre")),
]
OTHERS = [9, 10, 11]
"""max with centre: in no family"""


@pytest.fixture
def case(rng):
    """The groups, the scores and the selection of ROWS."""
    groups = groups_of(pairs_of(rng, {"train": 60, "test": 50}), {})
    scores = rng.uniform(0, 1, (len(ROWS), 1)) * np.concatenate([group.labels for group in groups.values()])
    scores += 0.8 * rng.standard_normal((len(ROWS), 110))
    return groups, scores, selection_of(groups, scores)


def selection_of(groups, scores):
    options = options_of(keys_of(ROWS))
    families = families_of(options, reference_of(options))
    return NestedSelection(options, scores[:, groups["train"].rows], groups["train"], families, SETTINGS)


def resampled(group, scores):
    """rho of all rows in all resamples of a group."""
    seed = stream_seed(SETTINGS.seed, group.name)
    return bootstrap(scores[:, group.rows], group.labels, group.component, SETTINGS.resamples, seed)["spearman"]


def test_what_is_found_equals_resampling_everything(case):
    groups, scores, selection = case
    found, best = selection.on(scores, groups["test"])
    on_train, on_test = (resampled(groups[name], scores) for name in ("train", "test"))
    numbers = {variant: [i for i, row in enumerate(ROWS) if (row[0], row[1], row[3]) == variant] for variant in found}
    assert list(numbers) == [MEAN, ("max", "none", "cosine"), ("mean", "centre", "cosine")]
    for one, rows in [*((found[variant], numbers[variant]) for variant in found), (best, range(len(ROWS)))]:
        rows = np.array(rows)
        chosen = rows[np.argmax(selection.rho[rows])]
        assert one.option.rows == [chosen]
        assert one.train == selection.rho[chosen]
        assert np.array_equal(one.fixed, on_test[chosen])
        assert np.array_equal(one.nested, on_test[rows[on_train[rows].argmax(axis=0)], np.arange(SETTINGS.resamples)])


def test_the_best_of_all_has_fewer_resamples_which_are_the_first_ones(case, monkeypatch):
    groups, scores, whole = case
    monkeypatch.setattr(nested, "ALL_RESAMPLES", 30)
    (found, best), (found_before, best_before) = (
        selection.on(scores, groups["test"]) for selection in (selection_of(groups, scores), whole)
    )
    assert np.array_equal(best.fixed, best_before.fixed[:30])
    assert np.array_equal(best.nested, best_before.nested[:30])
    assert all(np.array_equal(found[variant].nested, found_before[variant].nested) for variant in found)
    assert np.array_equal(found[MEAN].first(30).nested, found_before[MEAN].nested[:30])


def test_each_row_is_resampled_once_and_elsewhere_only_where_it_is_chosen(case, monkeypatch):
    groups, scores, whole = case
    on_train = resampled(groups["train"], scores)
    chosen = {int(rows[0] + np.argmax(on_train[rows, b])) for rows in np.split(np.arange(9), 3) for b in range(100)}
    chosen |= {int(rows[0] + np.argmax(whole.rho[rows])) for rows in np.split(np.arange(9), 3)}
    best_of_all = {int(np.argmax(whole.rho)), *np.argmax(on_train[:, :30], axis=0).tolist()}
    calls = []

    def spied(rows, labels, component, count, *others):
        calls.append((len(labels), len(rows), count))
        return bootstrap(rows, labels, component, count, *others)

    monkeypatch.setattr(nested, "ALL_RESAMPLES", 30)
    monkeypatch.setattr(nested, "bootstrap", spied)
    selection_of(groups, scores).on(scores, groups["test"])
    expected = [(60, 9, 100), (60, len(OTHERS), 30), (50, len(chosen), 100), (50, len(best_of_all - chosen), 30)]
    assert calls == [call for call in expected if call[1]]


def test_progress_is_shown_by_blocks_of_resamples(case, monkeypatch):
    groups, scores, whole = case
    seen = []

    def spied(blocks, what, unit):
        for block in blocks:
            seen.append((what, block))
            yield block

    monkeypatch.setattr(nested, "progress", spied)
    monkeypatch.setattr(weighted, "LINE", 32)
    monkeypatch.setattr(weighted, "CELLS", 60 * 16)  # blocks of 32 resamples on train
    found, _ = selection_of(groups, scores).on(scores, groups["test"])
    assert np.array_equal(found[MEAN].nested, whole.on(scores, groups["test"])[0][MEAN].nested)
    on_train = [start for what, start in seen if what == "resamples of train"]
    assert on_train == 2 * [0, 32, 64, 96]  # what is compared, then the others
    assert {what for what, _ in seen} == {"resamples of train", "resamples of test"}


def test_a_row_that_is_undefined_elsewhere_is_not_chosen(case):
    groups, scores, _ = case
    scores[[0, 1], 60:] = 5.0
    found, _ = selection_of(groups, scores).on(scores, groups["test"])
    assert found[MEAN].option.name == "2"
    assert np.isfinite(found[MEAN].nested).all()
