"""Which pooling, correction and similarity is better than the plain mean, by the scores of a sweep.

The option of a variant, such as its layer, is chosen by rho on train. What is reported is rho on the other splits, the
mean over the runs of a learned pooling. Intervals and tests are paired over resamples of components, with the chosen
options as they are, and again with nested selection.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.analyse.groups import Group, groups_of
from pipeline.analyse.nested import POOLING, Families, NestedSelection, Outcome
from pipeline.analyse.options import REFERENCE, Option, Variant, held_out_ranks, options_of, reference_of
from pipeline.analyse.settings import Correlate
from pipeline.formats import splits
from pipeline.formats.sweeps import Swept
from pipeline.formats.tables import POOLINGS, schema_of
from pipeline.stats.bootstrap import interval
from pipeline.stats.components import effective_components
from pipeline.stats.significance import against_zero, holm, minimal_detectable_difference

ATTENTION, CONTROL = "attention", "diagonal"
"""the pooling whose gain could be mere training, and its control"""
WITHOUT_LABELS = "layer without labels"
"""the family of one test: the reference at the layer that LOES chooses against the one that train labels choose"""
ALL = "best of all"
"""the family of one test: the best of all combinations against the reference"""
SCHEMA = schema_of(POOLINGS)


def compare(
    swept: Swept,
    pairs: pl.DataFrame,
    subsets: Mapping[str, Sequence],
    settings: Correlate,
    fold: np.ndarray | None = None,
) -> pl.DataFrame:
    """The sweep of one encoder over pairs (C2) -> a table of POOLINGS, empty where nothing was swept.

    fold (n,): the one that each train pair was held out in (`options.folds_of`), where there are learned poolings.
    """
    options = options_of(swept.keys)
    if not options:
        return pl.DataFrame(schema=SCHEMA)
    groups, chosen_on = groups_of(pairs, subsets), splits.chosen_on(pairs.sort("pair_id")["split"])
    reference, train = reference_of(options), groups[chosen_on]
    families = families_of(options, reference)
    on_train = np.empty((len(options), len(train.rows)))
    for row, option in zip(on_train, options):
        row[:] = _train_scores(option, swept.scores, train, fold)
    selection = NestedSelection(options, on_train, train, families, settings)
    reported = [name for name in groups if chosen_on not in (name, subsets.get(name, [None])[0])] or [chosen_on]
    number, rows = without_labels(options, swept.loes), []
    for name in reported:
        outcomes, best = selection.on(swept.scores, groups[name])
        of_split = _rows(outcomes, best, families, reference, settings)
        if number is not None:
            given = selection.given(number, swept.scores, groups[name])
            of_split.insert(-1, _tested(WITHOUT_LABELS, given, outcomes[reference], settings))
        rows += [row | _names(swept, groups[name]) for row in of_split]
    return pl.DataFrame(rows, schema=SCHEMA).with_columns(pl.selectors.float().fill_nan(None))


def families_of(options: list[Option], reference: Variant) -> Families:
    """What differs from the reference in one respect only -> {respect: variants, the reference among them}."""
    variants = list(dict.fromkeys(option.variant for option in options))
    return {
        POOLING: [variant for variant in variants if variant == reference._replace(pooling=variant.pooling)],
        "correction": [variant for variant in variants if variant == reference._replace(correction=variant.correction)],
        "similarity": [variant for variant in variants if variant == reference._replace(similarity=variant.similarity)],
    }


def without_labels(options: list[Option], order: Sequence[tuple[int, float]]) -> int | None:
    """The number of REFERENCE's option at the layer that LOES takes; None where either was not swept."""
    wanted = [str(layer) for layer, _ in order[:1]]
    found = [i for i, option in enumerate(options) if option.variant == REFERENCE and option.name in wanted]
    return found[0] if found else None


def layer_of(table: pl.DataFrame, pooling: str) -> str | None:
    """The layer of a pooling in a table of `compare`: empty for a mix of layers, None where it is not there."""
    layers = table.filter(family=POOLING, pooling=pooling)["layer"]
    return layers[0] if len(layers) else None


def _train_scores(option: Option, scores: np.ndarray, train: Group, fold: np.ndarray | None) -> np.ndarray:
    """The train scores of an option (n,); of learned poolings each pair's by the run that had held it out."""
    if option.learned:
        return held_out_ranks(scores[option.rows][:, train.rows], fold)
    return scores[option.rows[0], train.rows]


def _names(swept: Swept, group: Group) -> dict[str, Any]:
    effective = effective_components(group.component)
    encoder = swept.keys["encoder"][0]
    return {"encoder": encoder, "split": group.name, "n": len(group.rows), "effective_components": effective}


def _rows(
    outcomes: dict[Variant, Outcome], best: Outcome, families: Families, reference: Variant, settings: Correlate
) -> list[dict[str, Any]]:
    """The rows of one split: each family, the reference first, then the best of all."""
    rows = [_row(POOLING, outcomes[reference], settings) | {"against": None}]
    for family, variants in families.items():
        pairs = [(variant, reference) for variant in variants if variant != reference]
        pooling, control = (reference._replace(pooling=name) for name in (ATTENTION, CONTROL))
        if family == POOLING and reference not in (pooling, control) and {pooling, control} <= set(variants):
            pairs.append((pooling, control))
        tested = [_tested(family, outcomes[variant], outcomes[other], settings) for variant, other in pairs]
        adjusted = holm(np.array([row["p"] for row in tested]))
        rows += [row | {"p": p} for row, p in zip(tested, adjusted.tolist())]
    return [*rows, _tested(ALL, best, outcomes[reference].first(len(best.fixed)), settings)]


def _row(family: str, outcome: Outcome, settings: Correlate) -> dict[str, Any]:
    """What is said of a variant on its own."""
    variant, option = outcome.option.variant, outcome.option
    (low, choice_low), (high, choice_high) = interval(np.stack([outcome.fixed, outcome.nested]), settings.confidence)
    return {
        **{"family": family, **variant._asdict(), "layer": option.name, "runs": len(option.rows)},
        **{"train": outcome.train, "spearman": outcome.spearman, "spread": outcome.spread},
        **{"low": low, "high": high, "choice_low": choice_low, "choice_high": choice_high},
    }


def _tested(family: str, outcome: Outcome, other: Outcome, settings: Correlate) -> dict[str, Any]:
    """What is said of a variant on its own and against another; p is not corrected yet."""
    resampled = outcome.fixed - other.fixed
    estimate = np.array([outcome.spearman - other.spearman])
    difference = against_zero(estimate, resampled[None], settings.confidence)
    choice_low, choice_high = interval((outcome.nested - other.nested)[None], settings.confidence)
    return _row(family, outcome, settings) | {
        "against": other.option.variant.pooling,
        "difference": difference.value[0],
        "difference_low": difference.low[0],
        "difference_high": difference.high[0],
        "choice_difference_low": choice_low[0],
        "choice_difference_high": choice_high[0],
        "p": difference.p[0],
        "detectable": float(minimal_detectable_difference(resampled)),
    }
