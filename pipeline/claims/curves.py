"""Spearman's rho of every encoder and layer on one split, in the same resamples: what differences are taken of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.analyse.groups import Group
from pipeline.analyse.settings import Correlate
from pipeline.claims.decide import Effects
from pipeline.formats.scores import Scores
from pipeline.stats.bootstrap import bootstrap, stream_seed
from pipeline.stats.ranks import spearman_rows
from pipeline.stats.significance import Estimate, difference, minimal_detectable_difference

DICE = "dice"


@dataclass(frozen=True)
class Curves:
    """rho of K encoders and layers over the n pairs of a split: cosines of uncorrected vectors, and Dice."""

    split: str
    n: int
    rows: dict[tuple[str, int | None], int]
    """(encoder, layer) -> its row; the layer of what has none is None"""
    rho: np.ndarray
    """(K,)"""
    resampled: np.ndarray
    """(K, B), the resamples of the stage correlate"""
    confidence: float

    def layers(self, encoder: str) -> list[int]:
        """The layers of an encoder that have a rho, in ascending order."""
        found = [layer for (name, layer), row in self.rows.items() if name == encoder and layer is not None]
        return sorted(layer for layer in found if np.isfinite(self.rho[self.rows[encoder, layer]]))

    def at(self, encoder: str, layers: Sequence[int | None]) -> np.ndarray:
        """The rows of some layers of an encoder."""
        return np.array([self.rows[encoder, layer] for layer in layers], dtype=np.intp)

    def has(self, encoder: str | None, layer: int | None = None) -> bool:
        """Whether an encoder has a rho at a layer."""
        row = self.rows.get((encoder or "", layer))
        return row is not None and bool(np.isfinite(self.rho[row]))

    def apart(self, first: np.ndarray, second: np.ndarray) -> Estimate:
        """rho of some rows minus that of others, paired: (K,) or (1,) rows each."""
        return difference(
            self.rho[first], self.rho[second], self.resampled[first], self.resampled[second], self.confidence
        )

    def detectable(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Minimum detectable differences of the same."""
        return minimal_detectable_difference(self.resampled[first] - self.resampled[second])


def effects(found: Estimate, corrected: bool = False) -> Effects:
    """Estimates as what a rule judges."""
    return Effects(found.value, found.low, found.high, found.p, corrected)


def curves(scores: Scores, group: Group, section: Correlate) -> Curves:
    """The scores of C5 on a split."""
    plain = (pl.col("correction").fill_null("none") == "none") & (
        (pl.col("similarity") == "cosine") | (pl.col("similarity") == DICE)
    )
    kept = scores.keys.with_row_index("row").filter(plain)
    values = scores.values[kept["row"].to_numpy()][:, group.rows]
    rows = {(encoder, layer): row for row, (encoder, layer) in enumerate(kept.select("encoder", "layer").iter_rows())}
    seed = stream_seed(section.seed, group.name)
    drawn = bootstrap(values, group.labels, group.component, section.resamples, seed, ["spearman"])["spearman"]
    rho = spearman_rows(values, group.labels) if len(values) else np.zeros(0)
    return Curves(group.name, len(group.rows), rows, rho, drawn, section.confidence)
