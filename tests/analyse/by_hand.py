"""The comparison of poolings as it is defined, one resample after the other: the oracle of test_compare."""

import numpy as np
from scipy import stats

from pipeline.stats.bootstrap import stream_seed
from tests.analyse.making import MEAN, ROWS, names_of, rho

LEARNED = ("attention", "diagonal", "scalar_mix")
NAMES = ("pooling", "correction", "similarity")


def options():
    """{variant: {option: rows}} of ROWS."""
    found = {}
    for row, (pooling, correction, layer, similarity) in enumerate(ROWS):
        listed, _, option = names_of(pooling, layer)
        found.setdefault((listed, correction, similarity), {}).setdefault(option or "", []).append(row)
    return found


class ByHand:
    """What `compare` gives for ROWS. scores (rows, P), labels, component (P,), the fold of each train pair."""

    def __init__(self, scores, pairs, fold, settings):
        self.scores, self.fold, self.settings = scores, fold, settings
        self.labels, self.component = pairs["label"].to_numpy(), pairs["component"].to_numpy()
        self.rows_of = options()

    def table(self, train, split, name, without_labels):
        """The rows of a split (row numbers of its pairs), in order, with what is resampled in `fixed` and `nested`.

        without_labels: the layer that LOES takes.
        """
        samples = [self.samples(train, "train"), self.samples(split, name)]
        every = [(variant, option) for variant, choice in self.rows_of.items() for option in choice]
        self.on_train = {
            one: [rho(self.train_scores(one, train)[at], self.labels[at]) for at in samples[0]] for one in every
        }
        self.on_split = {one: [self.value(one, at) for at in samples[1]] for one in every}
        of = {variant: [one for one in every if one[0] == variant] for variant in self.rows_of}
        reference = self.row("pooling", of[MEAN], None, split)
        table = [reference]
        for family, place in (("pooling", 0), ("correction", 1), ("similarity", 2)):
            members = [variant for variant in of if variant != MEAN and differs_only_in(place, variant)]
            rows = [self.row(family, of[variant], reference, split) for variant in members]
            if family == "pooling":
                control = next(row for row in rows if row["pooling"] == "diagonal")
                rows.append(self.row(family, of["attention", "none", "cosine"], control, split))
            table += holm(rows)
        table.append(self.row("layer without labels", [(MEAN, without_labels)], reference, split))
        return [*table, self.row("best of all", every, reference, split)]

    def samples(self, rows, name):
        """The row numbers of a split, and of each of its resamples."""
        components = np.unique(self.component[rows])
        rng = np.random.default_rng(stream_seed(self.settings.seed, name))
        draws = rng.integers(0, len(components), (self.settings.resamples, len(components)))
        of = {drawn: rows[self.component[rows] == components[drawn]] for drawn in range(len(components))}
        return [rows, *(np.concatenate([of[drawn] for drawn in draw]) for draw in draws)]

    def train_scores(self, option, train):
        """A row of scores of all pairs, of which those of train are used."""
        runs = self.rows_of[option[0]][option[1]]
        row = self.scores[runs[0]].copy()
        if option[0][0] in LEARNED:
            for number, run in enumerate(runs):
                held_out = train[self.fold == number]
                row[held_out] = (stats.rankdata(self.scores[run, held_out]) - 0.5) / len(held_out)
        return row

    def value(self, option, rows):
        """The mean of rho over runs."""
        return np.mean([rho(self.scores[run, rows], self.labels[rows]) for run in self.rows_of[option[0]][option[1]]])

    def row(self, family, candidates, other, split):
        """The best of some options on train, in the sample itself (0) and in each resample."""
        defined = [one for one in candidates if np.isfinite(self.on_split[one][0])]
        best = [max(defined, key=lambda one: at_all(self.on_train[one][b])) for b in range(self.settings.resamples + 1)]
        (variant, option), runs = best[0], self.rows_of[best[0][0]][best[0][1]]
        per_run = [rho(self.scores[run, split], self.labels[split]) for run in runs]
        fixed = np.array(self.on_split[best[0]][1:])
        nested = np.array([self.on_split[one][b] for b, one in enumerate(best)][1:])
        row = {"family": family, **dict(zip(NAMES, variant)), "layer": option, "n": len(split), "runs": len(runs)}
        row |= {"train": self.on_train[best[0]][0], "spearman": np.mean(per_run), "fixed": fixed, "nested": nested}
        row |= {"spread": np.std(per_run, ddof=1) if len(runs) > 1 else None, "against": other and other["pooling"]}
        row |= self.bounds("", fixed) | self.bounds("choice_", nested)
        if other:
            apart = fixed - other["fixed"]
            row["difference"] = row["spearman"] - other["spearman"]
            row |= self.bounds("difference_", apart) | self.bounds("choice_difference_", nested - other["nested"])
            apart = apart[np.isfinite(apart)]  # few pairs with ties: some resamples hold equal scores only
            extreme = abs(apart - row["difference"]) >= abs(row["difference"]) - 1e-12
            row["p"] = (1 + extreme.sum()) / (1 + len(apart))
            row["detectable"] = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * np.std(apart, ddof=1)
        return row

    def bounds(self, name, values):
        """The percentile interval of resamples as two columns."""
        tail = (1 - self.settings.confidence) / 2
        low, high = np.nanquantile(values, [tail, 1 - tail])
        return {f"{name}low": low, f"{name}high": high}


def at_all(value):
    """A value to be compared with others; an undefined one is never the largest."""
    return value if np.isfinite(value) else -np.inf


def differs_only_in(place, variant):
    """Whether a variant is the mean's but for one of its names."""
    return all(name == other for at, (name, other) in enumerate(zip(variant, MEAN)) if at != place)


def holm(rows):
    """Rows with p corrected step by step."""
    largest, left = 0.0, len(rows)
    for row in sorted(rows, key=lambda row: row["p"]):
        largest = max(largest, min(1.0, left * row["p"]))
        row["p"] = largest
        left -= 1
    return rows
