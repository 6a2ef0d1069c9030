"""Poolings learned from the cached states: the attention query that arXiv 2502.14620 proposes, and what it is to be compared with.

    attention   alpha = softmax_t(q . h_t / sqrt(D)), a query q for each layer; q = 0 is the mean
    diagonal    d * mean(h), as many parameters and no choice among tokens: what training alone is worth; d = 1 is the mean
    scalar_mix  softmax weights of the layers' means (arXiv 1802.05365)

Trained on train pairs only, on the cosines of both sentences, with the CoSENT loss (Su 2022, kexue.fm/archives/8847)

    log(1 + sum over pairs i, j with label_i > label_j of exp(scale (cos_j - cos_i))),

a smooth count of wrongly ordered pairs: it is minimised by what AUC and Spearman's rho measure, knows no margin, and takes 0/1 labels
and grades alike. Every run starts at the mean with a little noise of its own and holds one fold of the train components out, so that each train
pair is scored by the run that did not learn from it. The epoch with the largest rho of those scores is kept, at each layer for itself, epoch 0,
the mean (for the mix: equal shares), included. A guard against learning noise: that rho must be above that of epoch 0 by a one-sided test (a
bootstrap over components) at LEVEL / epochs, since the epoch is the best of so many; at a layer where it is not, every run keeps epoch 0.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.special import ndtri

from pipeline import fitted, shards, splits
from pipeline.correlation import bootstrap, spearman
from pipeline.params import at_least

NOISE = {"attention": 0.1, "diagonal": 0.01, "scalar_mix": 0.1}  # of a run's first parameters, in units of what follows
LEVEL, RESAMPLES = 0.05, 1000  # of the guard
CHUNKS = 4  # parts of a batch by length, so that little is padded


@dataclass(frozen=True)
class Fit:
    """Section `fit` of params.yaml."""

    poolings: list[str]
    """attention, diagonal, scalar_mix; empty: nothing is learned"""
    runs: int
    """runs with seeds of their own; each holds another of as many folds of the train components out"""
    epochs: int
    """passes over the train pairs, at most"""
    patience: int
    """stop when no pooling has improved at any layer for so many epochs"""
    batch_pairs: int
    """pairs of a step"""
    learning_rate: float
    """of Adam; parameters are in units of the standard deviation of each dimension"""
    scale: float
    """of the cosines in the loss (CoSENT's lambda)"""
    seed: int
    """seed of folds, noise and order"""
    shuffle_labels: bool
    """a control: permute the train labels, after which nothing can be learned"""

    def __post_init__(self):
        if unknown := [name for name in self.poolings if name not in fitted.NAMES]:
            raise ValueError(f"fit.poolings has {', '.join(unknown)}, expected some of {', '.join(fitted.NAMES)}")
        at_least("fit", self, runs=2, epochs=1, patience=1, batch_pairs=2, seed=0)
        for name in ("learning_rate", "scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"fit.{name} is {getattr(self, name)}, expected more than 0")


def cosent(cosines, labels, kept, scale):
    """The loss of each of K columns: cosines (P, K), labels (P,), kept (P, K) bool -> (K,). 0 where no two kept labels differ."""
    wrong = scale * (cosines[None] - cosines[:, None])  # cos_j - cos_i, (P, P, K)
    counted = (labels[:, None] > labels)[..., None] & kept[None] & kept[:, None]
    wrong = wrong.masked_fill(~counted, -torch.inf).flatten(0, 1)
    return torch.logsumexp(torch.cat([wrong.new_zeros(1, wrong.shape[1]), wrong]), dim=0)


def attend(h, mask, query):
    """Padded states (S, T, D), mask (S, T), queries (R, D) -> (S, R, D): `pooling.attention` for R queries at once."""
    logits = h @ query.T / h.shape[-1] ** 0.5  # (S, T, R)
    alpha = torch.softmax(logits.masked_fill(~mask[..., None], -torch.inf), dim=1)
    return alpha.transpose(1, 2) @ h


def scaled_cosines(a, b, scale):
    """Means (P, D) of both sentences, scales (R, D) -> (P, R): cosines of scale * a and scale * b."""
    ab, aa, bb = (x @ scale.square().T for x in (a * b, a * a, b * b))
    return ab / (aa * bb).sqrt().clamp_min(1e-30)


def mixed_cosines(a, b, weights):
    """Means (P, L, D) in units of their layers, weights (R, L) -> (P, R): cosines of the softmax mixes of the layers."""
    mixed = [torch.einsum("pld,rl->prd", x, torch.softmax(weights, dim=1)) for x in (a, b)]
    return torch.cosine_similarity(*mixed, dim=-1)


class States:
    """Random access by sentence to a folder of token states, by memory map."""

    def __init__(self, folder):
        self.batches = list(shards.record_batches(folder))
        self.layers = {shards.layer_number(name): name for name in self.batches[0].schema.names[2:]}
        self.where = {}
        for number, batch in enumerate(self.batches):
            ids, starts = shards.sentence_starts(batch)
            self.where |= {i: (number, a, b) for i, a, b in zip(ids.tolist(), starts[:-1].tolist(), starts[1:].tolist())}

    def lengths(self, ids):
        return np.array([self.where[i][2] - self.where[i][1] for i in ids.tolist()])

    def padded(self, layer, ids):
        """States of sentences at a layer -> (S, T, D) float32 with zeros behind short ones, mask (S, T)."""
        views = {n: shards.layer(self.batches[n], self.layers[layer]) for n in {self.where[i][0] for i in ids.tolist()}}
        rows = [views[n][a:b] for n, a, b in (self.where[i] for i in ids.tolist())]
        h = np.zeros((len(rows), max(map(len, rows)), rows[0].shape[1]), dtype=np.float32)
        for one, row in zip(h, rows):
            one[: len(row)] = row
        return torch.from_numpy(h), torch.from_numpy(np.arange(h.shape[1]) < self.lengths(ids)[:, None])


def means_and_spread(states, ids, part=128):
    """Means of sentences (S, L, D) and the standard deviation of each dimension over their tokens (L, D), both float32."""
    order = np.argsort(states.lengths(ids), kind="stable")
    means, spread = None, []
    for k, layer in enumerate(states.layers):
        total, squares, count = 0.0, 0.0, 0
        for some in np.array_split(order, max(1, len(order) // part)):
            h, mask = states.padded(layer, ids[some])
            means = torch.empty(len(ids), len(states.layers), h.shape[2]) if means is None else means
            means[some, k] = h.sum(1) / mask.sum(1, keepdim=True)
            total, squares, count = total + h.sum((0, 1)).double(), squares + h.square().sum((0, 1)).double(), count + int(mask.sum())
        variance = squares / count - (total / count).square()
        spread.append(variance.clamp_min(1e-12 * float(variance.max()) + 1e-30).sqrt().float())
    return means, torch.stack(spread)


def nothing(folder, pairs, params: Fit):
    """Why nothing can be learned, or None."""
    if not params.poolings:
        return "fit.poolings is empty"
    if "train" not in pairs["split"]:
        return "there is no train split"
    batch = next(shards.record_batches(folder), None)
    if batch is None:
        raise FileNotFoundError(f"no shards in {folder}: run the dump stage first")
    if "position" not in batch.schema.names:
        return "the dump kept statistics instead of tokens (dump.keep)"
    return None


def scorer(folder, sentence1, sentence2, device):
    """Token states and the sentence ids of n pairs -> (score, layers, spread (L, D), size (L,)).

    score(pooling, parameters (R, L, ...), some pairs (P,)) yields their cosines by R runs, (P, R), for one layer after the other, so that one
    layer's states are held at a time; scalar_mix yields once. Parameters are in units of the spread of a layer's dimensions (attention)
    and of the size of its vectors (scalar_mix).
    """
    states = States(folder)
    ids, where = np.unique(np.stack([sentence1, sentence2]), return_inverse=True)
    first, second = where.reshape(2, -1)
    means, spread = (x.to(device) for x in means_and_spread(states, ids))
    size = means.square().mean((0, 2)).sqrt().clamp_min(1e-30)  # root mean square of a layer's vectors

    def attended(batch, layer, queries):
        some, at = np.unique(np.concatenate([first[batch], second[batch]]), return_inverse=True)
        order = np.argsort(states.lengths(ids[some]), kind="stable")
        parts = [states.padded(layer, ids[some[part]]) for part in np.array_split(order, min(CHUNKS, len(order)))]
        pooled = torch.cat([attend(h.to(device), mask.to(device), queries) for h, mask in parts])
        at = torch.from_numpy(np.argsort(order)[at]).to(device)
        return torch.cosine_similarity(pooled[at[: len(batch)]], pooled[at[len(batch) :]], dim=-1)

    def score(pooling, parameters, batch):
        a, b = (means[torch.from_numpy(side[batch]).to(device)] for side in (first, second))
        if pooling == "scalar_mix":
            yield mixed_cosines(a / size[:, None], b / size[:, None], parameters)
        for k, layer in enumerate(states.layers if pooling != "scalar_mix" else ()):
            if pooling == "diagonal":
                yield scaled_cosines(a[:, k], b[:, k], parameters[:, k])
            else:
                yield attended(batch, layer, parameters[:, k] / spread[k])

    return score, list(states.layers), spread, size


def held_out(score, pooling, parameters, fold):
    """Each train pair by the run that holds it out, as a rank within its fold -> (n, L)."""
    found = [None] * len(fold)
    with torch.inference_mode():
        for run in range(len(parameters)):
            rows = np.flatnonzero(fold == run)
            for part in np.array_split(rows, max(1, len(rows) // 128)):
                for i, row in zip(part, torch.cat(list(score(pooling, parameters[run : run + 1], part)), dim=1).cpu().numpy()):
                    found[i] = row
    return np.stack([splits.ranks_within(column, fold) for column in np.stack(found).astype(np.float64).T], axis=1)


def rho_of(scores, labels):
    """Spearman's rho of each column (n, L) -> (L,), NaN where it is undefined."""
    return np.array([spearman(column, labels) for column in scores.T], dtype=np.float64)


def beyond_noise(start, learned, labels, component, params: Fit):
    """Whether held-out scores order the train pairs better than those of the start, by more than the best of so many epochs of noise:
    start, learned (n, L) -> (L,)."""
    apart = rho_of(learned, labels) - rho_of(start, labels)
    resampled = [bootstrap(side.T, labels, component, RESAMPLES, params.seed)["spearman"] for side in (start, learned)]
    return apart > ndtri(1 - LEVEL / params.epochs) * np.nanstd(resampled[1] - resampled[0], axis=1)


def fit(folder, pairs, params: Fit, device="cpu", log=print):
    """Token states of a dump and pairs (C2) -> ({pooling: parameters (runs, layers, ...) float32}, layers (L,), fit.json's dictionary).

    All layers, runs and poolings are trained in the same pass over the train pairs, so that the states are read once an epoch.
    Where there is nothing to learn, or nothing to learn from, that dictionary says why. Raises ValueError for train pairs of fewer
    components than runs.
    """
    if reason := nothing(folder, pairs, params):
        return {}, np.array([], dtype=np.int64), {"nothing": reason}
    train = pairs.filter(split="train").sort("pair_id")
    component, labels = train["component"].to_numpy(), train["label"].to_numpy().copy()
    if len(np.unique(component)) < params.runs:
        raise ValueError(f"fit.runs is {params.runs}, but the train pairs form only {len(np.unique(component))} components: lower it or empty fit.poolings")
    rng, noise = np.random.default_rng(params.seed), torch.Generator().manual_seed(params.seed)
    if params.shuffle_labels:
        labels = rng.permutation(labels)
    fold = splits.folds(component, params.runs, params.seed)
    score, layers, spread, size = scorer(folder, train["sentence1_id"].to_numpy(), train["sentence2_id"].to_numpy(), device)
    shape = (params.runs, *spread.shape)
    starts = {"attention": torch.zeros(shape), "diagonal": torch.ones(shape), "scalar_mix": torch.zeros(shape[:2])}
    starts = {name: starts[name].to(device) for name in params.poolings}
    current = {name: (one + NOISE[name] * torch.randn(one.shape, generator=noise).to(device)).requires_grad_() for name, one in starts.items()}
    before = {name: held_out(score, name, one, fold) for name, one in starts.items()}
    best = {name: {"parameters": starts[name], "scores": one, "rho": rho_of(one, labels), "epoch": np.zeros(one.shape[1], int)} for name, one in before.items()}
    optimizer = torch.optim.Adam(current.values(), lr=params.learning_rate)
    y, kept = torch.from_numpy(labels).to(device), torch.from_numpy(fold[:, None] != np.arange(params.runs)).to(device)
    for epoch in range(1, params.epochs + 1):
        order = rng.permutation(len(train))
        for batch in np.array_split(order, -(-len(order) // params.batch_pairs)):
            optimizer.zero_grad()
            rows = torch.from_numpy(batch).to(device)
            for name, parameters in current.items():
                for cosines in score(name, parameters, batch):
                    cosent(cosines, y[rows], kept[rows], params.scale).sum().backward()
            optimizer.step()
        for name, parameters in current.items():
            scores = held_out(score, name, parameters.detach(), fold)
            now = {"parameters": parameters.detach().clone(), "scores": scores, "rho": rho_of(scores, labels), "epoch": np.full(scores.shape[1], epoch)}
            better = np.nan_to_num(now["rho"], nan=-np.inf) > np.nan_to_num(best[name]["rho"], nan=-np.inf)
            best[name] = {key: _where(better, now[key], best[name][key]) for key in now}
        log(f"epoch {epoch}: " + "; ".join(f"{name} {np.nanmean(best[name]['rho']):.4f} ({np.nanmean(rho_of(before[name], labels)):.4f})" for name in best))
        if epoch - max(one["epoch"].max() for one in best.values()) >= params.patience:
            break
    units = {"attention": lambda q: q / spread, "diagonal": lambda d: d, "scalar_mix": lambda w: torch.softmax(w, dim=1) / size}  # of the states as they are
    found, about = {}, {"settings": asdict(params), "pairs": len(train), "layers": layers, "poolings": {}}
    for name, one in best.items():
        sure = beyond_noise(before[name], one["scores"], labels, component, params)
        found[name] = units[name](_where(sure, one["parameters"], starts[name])).cpu().numpy()
        figures = {"rho_at_start": rho_of(before[name], labels), "rho_held_out": one["rho"]}
        about["poolings"][name] = {"kept": sure.tolist(), "epoch": one["epoch"].tolist()} | {key: _listed(values) for key, values in figures.items()}
    return found, np.array(layers), about


def _where(chosen, a, b):
    """a at the layers that are chosen (L,), else b: parameters (R, L, ...), of which a mix has one choice for all layers, scores (n, L) or values (L,)."""
    if isinstance(a, np.ndarray):
        return np.where(chosen, a, b)
    return torch.where(torch.from_numpy(chosen).to(a.device).reshape(-1, *[1] * (a.ndim - 2)), a, b)


def _listed(values):
    """Numbers for JSON, which has no NaN."""
    return [None if np.isnan(one) else round(float(one), 6) for one in values]
