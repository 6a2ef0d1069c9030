"""Training: all runs, layers and poolings in the same passes over the train pairs; an epoch reads the states once."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
import torch

from pipeline.base.errors import InputError
from pipeline.base.progress import progress
from pipeline.fit.guard import beyond_noise, held_out, rho_of
from pipeline.fit.learnable import LEARNABLE
from pipeline.fit.losses import cosent, ordered
from pipeline.fit.optimiser import Adam
from pipeline.fit.pair_states import PairStates
from pipeline.fit.result import Fitted
from pipeline.fit.sentences import Sentences
from pipeline.fit.settings import Fit
from pipeline.formats.dumps import States
from pipeline.formats.pairs import sentence_count
from pipeline.stats.folds import folds


@dataclass
class Best:
    """The best epoch of one pooling so far, at each of L layers for itself; a mix has one choice for all, L = 1."""

    parameters: torch.Tensor
    """(R, L, ...)"""
    scores: np.ndarray
    """(n, L) of held-out pairs"""
    rho: np.ndarray
    """(L,) of those scores"""
    epoch: np.ndarray
    """(L,)"""

    def offer(self, epoch: int, parameters: torch.Tensor, scores: np.ndarray, labels: np.ndarray) -> None:
        """Take another epoch at the layers where its rho is larger."""
        rho = rho_of(scores, labels)
        better = np.nan_to_num(rho, nan=-np.inf) > np.nan_to_num(self.rho, nan=-np.inf)
        self.parameters = where_layer(better, parameters, self.parameters)
        self.scores = np.where(better, scores, self.scores)
        self.rho, self.epoch = np.where(better, rho, self.rho), np.where(better, epoch, self.epoch)


class Training:
    """The parameters of all poolings, their best epochs so far, and the n train pairs that they learn from."""

    def __init__(
        self, states: PairStates, labels: np.ndarray, fold: np.ndarray, settings: Fit, rng: np.random.Generator
    ) -> None:
        self.states, self.labels, self.fold, self.settings, self.rng = states, labels, fold, settings, rng
        self.starts, self.current, self.at_start = {}, {}, {}
        self.best: dict[str, Best] = {}
        noise = torch.Generator().manual_seed(settings.seed)
        for name in settings.poolings:
            start = LEARNABLE[name].started(settings.runs, *states.spread.shape)
            disturbed = start + LEARNABLE[name].noise * torch.randn(start.shape, generator=noise)
            self.starts[name] = start.to(states.device)
            self.current[name] = disturbed.to(states.device).requires_grad_()
            scores = self.at_start[name] = held_out(states, LEARNABLE[name], self.starts[name], fold)
            epoch = np.zeros(scores.shape[1], dtype=int)
            self.best[name] = Best(self.starts[name], scores, rho_of(scores, labels), epoch)
        self.optimiser = Adam(self.current.values(), settings.learning_rate)
        self.y = torch.from_numpy(labels).to(states.device)
        self.kept = torch.from_numpy(fold[:, None] != np.arange(settings.runs)).to(states.device)

    def epoch(self, number: int) -> None:
        """One pass over the train pairs, and whether it is the best."""
        order = self.rng.permutation(len(self.labels))
        for pairs in np.array_split(order, math.ceil(len(order) / self.settings.batch_pairs)):
            rows = torch.from_numpy(pairs).to(self.states.device)
            to_order = ordered(self.y[rows], self.kept[rows])
            for name, parameters in self.current.items():
                for cosines in LEARNABLE[name].cosines(self.states, parameters, pairs):
                    cosent(cosines, to_order, self.settings.scale).sum().backward()
            self.optimiser.step()
        for name, parameters in self.current.items():
            now = parameters.detach().clone()
            self.best[name].offer(number, now, held_out(self.states, LEARNABLE[name], now, self.fold), self.labels)

    def summary(self, epochs: int) -> str:
        """What so many epochs gave: the rho of held-out train pairs, a mean over layers, of each pooling."""
        rhos = [(name, rho_of(self.at_start[name], self.labels), best.rho) for name, best in self.best.items()]
        gains = ", ".join(f"{name} {np.nanmean(start):.3f} -> {np.nanmean(rho):.3f}" for name, start, rho in rhos)
        return f"rho of held-out train pairs before -> after training (epochs: {epochs}): {gains}"

    @property
    def last_improvement(self) -> int:
        """The last epoch in which any pooling became better at any layer."""
        return max(int(best.epoch.max()) for best in self.best.values())


def nothing_because(dump: States, pairs: pl.DataFrame, settings: Fit) -> str | None:
    """Why nothing can be learned, None where something can."""
    if not settings.poolings:
        return "fit.poolings is empty"
    if "train" not in pairs["split"]:
        return "there is no train split"
    kept = {"pooled": "statistics", "state": "recurrent states"}
    return None if dump.of_tokens else f"the dump kept {kept[dump.keep]} instead of tokens (dump.keep)"


def fit(
    dump: States, pairs: pl.DataFrame, settings: Fit, device: torch.device, log: Callable[[str], None] = print
) -> Fitted:
    """Token states and pairs (C2) -> learned poolings.

    Raises InputError for states of other sentences, and for train pairs of fewer components than runs.
    """
    if why := nothing_because(dump, pairs, settings):
        return Fitted.nothing(why)
    dump.check_sentences(sentence_count(pairs))
    train = pairs.filter(pl.col("split") == "train").sort("pair_id")
    component, labels = train["component"].to_numpy(), train["label"].to_numpy().copy()
    if (count := len(np.unique(component))) < settings.runs:
        raise InputError(
            f"fit.runs is {settings.runs}, but the train pairs form only {count} components: lower it or empty "
            "fit.poolings"
        )
    rng = np.random.default_rng(settings.seed)
    if settings.shuffle_labels:
        labels = rng.permutation(labels)
    fold = folds(component, settings.runs, settings.seed)
    first, second = train["sentence1_id"].to_numpy(), train["sentence2_id"].to_numpy()
    states = PairStates(Sentences(dump), first, second, device)
    training = Training(states, labels, fold, settings, rng)
    for epoch in progress(range(1, settings.epochs + 1), "fit", "epoch"):
        training.epoch(epoch)
        if epoch - training.last_improvement >= settings.patience:
            break
    log(training.summary(epoch))
    return guarded(training, component)


def guarded(training: Training, component: np.ndarray) -> Fitted:
    """The best epochs, and the start at the layers where the guard finds nothing but noise; component (n,)."""
    states, settings, labels = training.states, training.settings, training.labels
    parameters, reports = {}, {}
    for name, best in training.best.items():
        start = training.at_start[name]
        kept = beyond_noise(start, best.scores, labels, component, settings.epochs, settings.seed)
        chosen = where_layer(kept, best.parameters, training.starts[name])
        parameters[name] = LEARNABLE[name].applied(states, chosen).cpu().numpy()
        reports[name] = {
            "kept": kept.tolist(),
            "epoch": best.epoch.tolist(),
            "rho_at_start": listed(rho_of(start, labels)),
            "rho_held_out": listed(best.rho),
        }
    report = {"settings": asdict(settings), "pairs": len(labels), "layers": states.layers, "poolings": reports}
    return Fitted(parameters, np.array(states.layers), report)


def where_layer(chosen: np.ndarray, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a at the layers that are chosen (L,), else b: parameters (R, L, ...). A mix has one choice for all its layers."""
    choice = torch.from_numpy(chosen).to(a.device)
    return torch.where(choice.reshape(-1, *[1] * (a.ndim - 2)), a, b)


def listed(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, which has no NaN."""
    return [None if np.isnan(value) else value for value in values.tolist()]
