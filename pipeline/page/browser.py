"""The data of the browser of pairs: sentences, labels, scores in 16 bits, neighbours and attention."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.page import combinations, words
from pipeline.page.packed import decimal, packed
from pipeline.page.study import Study, Weights
from pipeline.report.markdown import visible

MOST_PAIRS = 12_000
MOST_SCORES = 4_500_000
"""bytes of the page that are scores"""
MOST_WEIGHTS = 1_000_000
"""bytes of the page that are attention"""
STEPS, HEAVIEST = 32, 255
"""a word's weight is kept in so many parts of the mean's weight, up to so many parts"""


def data(study: Study, best: str | None, main: str) -> dict[str, Any]:
    """Everything the script pairs.js needs; `best`: the series that it shows at first, `main`: the split."""
    pairs, kept = study.material.pairs, rows_kept(study.material.pairs["split"])
    pairs = pairs[kept]
    ids = pairs.select("sentence1_id", "sentence2_id").to_numpy()
    used, places = np.unique(ids, return_inverse=True)
    places = places.reshape(ids.shape)
    texts = [visible(text) for text in study.material.sentences["text"].gather(used)]
    splits = pairs["split"].unique(maintain_order=True).to_list()
    members = [np.flatnonzero((pairs["split"] == split).to_numpy()) for split in splits]
    most = MOST_SCORES // (len(pairs) * 8 // 3 + 100)
    scored, fewer = combinations.thinned(study.scored, most)
    first, second = ([texts[place] for place in places[:, side]] for side in (0, 1))
    return {
        "pairs": pairs["pair_id"].to_list(),
        "all": len(study.material.pairs),
        "splits": [visible(split) for split in splits],
        "split": packed(pairs["split"].cast(pl.Enum(splits)).to_physical().to_numpy(), "u1"),
        "main": splits.index(main) if main in splits else len(splits) - 1,
        "labels": pairs["label"].to_list(),
        "first": packed(places[:, 0], "u4"),
        "second": packed(places[:, 1], "u4"),
        "sentences": texts,
        "scored": [entry(one, kept) for one in scored],
        "fewer": fewer,
        "shown": shown(scored, best),
        "comparisons": combinations.comparisons(scored, study.related, best, study.method.reference),
        "neighbours": packed(words.neighbours(first, second, members), "u4"),
        "weights": weights(study.weights, used, most=MOST_WEIGHTS),
    }


def left_out(found: dict[str, Any]) -> str:
    """What `data` is without, in a sentence or two; nothing where it has everything."""
    sentences = []
    if len(found["pairs"]) < found["all"]:
        sentences.append(f"{len(found['pairs']):,} of {found['all']:,} pairs are here, evenly drawn from each split.")
    if found["fewer"]:
        sentences.append("Not every layer is here, but for each series its first, its last and the chosen one.")
    return " ".join(sentences)


def rows_kept(splits: pl.Series) -> np.ndarray:
    """All pairs, or where they are too many for a page, evenly many of the pairs of each split: sorted rows."""
    if len(splits) <= MOST_PAIRS:
        return np.arange(len(splits))
    kept = []
    for split in splits.unique(maintain_order=True):
        rows = np.flatnonzero((splits == split).to_numpy())
        count = max(1, round(len(rows) * MOST_PAIRS / len(splits)))
        kept.append(rows[np.linspace(0, len(rows) - 1, count).astype(int)])
    return np.sort(np.concatenate(kept))


def entry(one: combinations.Scored, kept: np.ndarray) -> dict[str, Any]:
    """A combination as the page has it."""
    about = {"series": one.series, "encoder": visible(one.encoder), "layer": one.layer, "selected": one.selected}
    return about | {"swept": one.swept} | decimal(one.values[kept])


def shown(scored: Sequence[combinations.Scored], best: str | None) -> int:
    """The place of the series that is shown at first, at its chosen layer."""
    chosen = [place for place, one in enumerate(scored) if one.selected]
    return next((place for place in chosen if scored[place].series == best), next(iter(chosen), 0))


def weights(found: dict[str, Weights], used: np.ndarray, most: int) -> list[dict[str, Any]]:
    """Attention of each model over the sentences of the page, as many models as fit into so many bytes."""
    entries: list[dict[str, Any]] = []
    for model, of_model in found.items():
        of_words = [of_model.of_words[number] or [] for number in used.tolist()]
        parts = np.rint(np.array([weight for one in of_words for weight in one]) * STEPS)
        about = {"encoder": visible(model), "layer": of_model.layer, "steps": STEPS}
        lengths = packed(np.array([len(one) for one in of_words]), "u2")
        entries.append(about | {"words": lengths, "parts": packed(np.minimum(parts, HEAVIEST), "u1")})
        if sum(len(one["words"]) + len(one["parts"]) for one in entries) > most:
            return entries[:-1]
    return entries
