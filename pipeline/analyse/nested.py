"""Nested selection: options are chosen by rho on train, once and again in every resample of it, and measured elsewhere.

Resampling is what the stage compare spends its time on. So a row of scores is resampled once at most, and on other
splits only if its option is chosen in some resample.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.analyse.groups import Group
from pipeline.analyse.options import Option, Variant
from pipeline.analyse.settings import Correlate
from pipeline.base.progress import progress
from pipeline.stats.bootstrap import bootstrap, stream_seed
from pipeline.stats.ranks import spearman_rows
from pipeline.stats.selection import choices

POOLING = "pooling"
"""the family of variants that differ from the reference in their pooling only"""
ALL_RESAMPLES = 1000
"""of the choice among all combinations, of which there are thousands"""

Families = Mapping[str, Sequence[Variant]]
"""family -> the variants that are compared with the reference, and corrected for their number together"""


@dataclass(frozen=True)
class Outcome:
    """The option that is chosen on train among some, and what it reaches on another group of pairs."""

    option: Option
    train: float
    """rho on train"""
    spearman: float
    """rho on the group, the mean over runs"""
    spread: float
    """its standard deviation over runs; NaN where there is one run"""
    fixed: np.ndarray
    """(B,) rho of this option in resamples of the group"""
    nested: np.ndarray
    """(B,) the same of the option that is best in the same resample of train; NaN where none can be chosen"""

    def first(self, resamples: int) -> "Outcome":
        """The same with fewer resamples."""
        fixed, nested = self.fixed[:resamples], self.nested[:resamples]
        return Outcome(self.option, self.train, self.spearman, self.spread, fixed, nested)


@dataclass(frozen=True)
class _Choice:
    best: int
    """number of the option that is best on train"""
    nested: np.ndarray
    """(B,) number of the option that is best in each resample of train, -1 where none can be chosen"""

    @property
    def options(self) -> set[int]:
        """The numbers of all options that are chosen."""
        return {self.best, *np.unique(self.nested[self.nested >= 0]).tolist()}


@dataclass(frozen=True)
class _Measured:
    """What one option reaches on a group, the mean over its runs."""

    spearman: float
    spread: float
    resampled: np.ndarray
    """(B,)"""


class NestedSelection:
    """The options of a sweep, and what they reach on train: rho, and rho in resamples."""

    def __init__(
        self, options: list[Option], on_train: np.ndarray, train: Group, families: Families, settings: Correlate
    ) -> None:
        """on_train (O, n): a row of train scores for each option."""
        self.options, self.settings = options, settings
        self.rho = spearman_rows(on_train, train.labels)  # (O,)
        compared = {variant for variants in families.values() for variant in variants}
        is_compared = np.array([option.variant in compared for option in options])
        self.compared, others = np.flatnonzero(is_compared), np.flatnonzero(~is_compared)
        self.resampled = self._resampled(on_train[self.compared], train, settings.resamples)
        one_family = len({option.variant for option in options}) == len(families[POOLING])
        count = settings.resamples if one_family else min(ALL_RESAMPLES, settings.resamples)
        self.resampled_all = np.empty((len(options), count))
        self.resampled_all[self.compared] = self.resampled[:, :count]  # the same resamples
        if len(others):
            self.resampled_all[others] = self._resampled(on_train[others], train, count)

    def on(self, scores: np.ndarray, group: Group) -> tuple[dict[Variant, Outcome], Outcome]:
        """Scores (K, P) of the options' rows -> what each compared variant reaches on a group, and the best of all.

        The best of all options has fewer resamples (ALL_RESAMPLES).
        """
        varies = np.array([np.ptp(row[group.rows]) > 0 for row in scores])
        defined = np.array([varies[option.rows].all() for option in self.options]) & (np.ptp(group.labels) > 0)
        places: dict[Variant, list[int]] = {}  # of the options of each variant among those compared
        for place, number in enumerate(self.compared):
            places.setdefault(self.options[number].variant, []).append(place)
        choice_of = {
            variant: self._choose(self.compared[rows], self.resampled[rows], defined)
            for variant, rows in places.items()
        }
        best = self._choose(np.arange(len(self.options)), self.resampled_all, defined)
        chosen = set[int]().union(*(choice.options for choice in choice_of.values()))
        measured = self._measure(sorted(chosen), scores, group, self.settings.resamples)
        measured |= self._measure(sorted(best.options - chosen), scores, group, self.resampled_all.shape[1])
        outcomes = {variant: self._outcome(choice, measured) for variant, choice in choice_of.items()}
        return outcomes, self._outcome(best, measured)

    def given(self, number: int, scores: np.ndarray, group: Group) -> Outcome:
        """What an option, by its number, reaches on a group where train labels did not choose it."""
        measured = self._measure([number], scores, group, self.settings.resamples)
        always = np.full(self.settings.resamples, number)
        return self._outcome(_Choice(number, always), measured)

    def _resampled(self, scores: np.ndarray, group: Group, count: int) -> np.ndarray:
        """rho of scores (K, n) in resamples of a group -> (K, count); the first ones do not depend on their number."""
        seed = stream_seed(self.settings.seed, group.name)

        def each(blocks: range) -> Iterator[int]:
            return progress(blocks, f"resamples of {group.name}", "block")

        return bootstrap(scores, group.labels, group.component, count, seed, ["spearman"], each)["spearman"]

    def _choose(self, candidates: np.ndarray, resampled: np.ndarray, defined: np.ndarray) -> _Choice:
        """The best on train of options (C,): rho in resamples (C, B), which of all are defined elsewhere (O,)."""
        best, nested = choices(self.rho[candidates], resampled, defined[candidates])
        return _Choice(int(candidates[max(best, 0)]), np.where(nested < 0, -1, candidates[nested]))

    def _measure(self, numbers: list[int], scores: np.ndarray, group: Group, count: int) -> dict[int, _Measured]:
        """Options by their numbers -> what each reaches on a group, with so many resamples."""
        if not numbers:
            return {}
        runs = [self.options[number].rows for number in numbers]
        rows = scores[np.ix_(np.concatenate(runs), group.rows)]
        ends = np.cumsum([len(rows_of_option) for rows_of_option in runs])[:-1]
        rho = np.split(spearman_rows(rows, group.labels), ends)
        resampled = np.split(self._resampled(rows, group, count), ends)
        return {
            number: _Measured(
                spearman=of_runs.mean(),
                spread=np.std(of_runs, ddof=1) if len(of_runs) > 1 else np.nan,
                resampled=resampled_runs.mean(axis=0),
            )
            for number, of_runs, resampled_runs in zip(numbers, rho, resampled)
        }

    def _outcome(self, choice: _Choice, measured: dict[int, _Measured]) -> Outcome:
        best = measured[choice.best]
        nested = np.full(len(choice.nested), np.nan)
        for number in choice.options:
            at = np.flatnonzero(choice.nested == number)
            nested[at] = measured[number].resampled[at]
        return Outcome(
            option=self.options[choice.best],
            train=float(self.rho[choice.best]),
            spearman=best.spearman,
            spread=best.spread,
            fixed=best.resampled[: len(nested)],
            nested=nested,
        )
