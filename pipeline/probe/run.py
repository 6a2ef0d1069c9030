"""Every layer of a model, or a baseline, probed: vectors and train pairs -> a file of `formats.probes`."""

import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.base.progress import progress
from pipeline.formats import baselines, probes, vectors
from pipeline.formats.damage import foreign
from pipeline.formats.pairs import sentence_count
from pipeline.formats.splits import train_sentences
from pipeline.pool.names import is_of_states
from pipeline.probe.features import FEATURES, of_vectors, reduced
from pipeline.probe.fit import Fitted, TrainPairs, fit
from pipeline.probe.names import MEASURES
from pipeline.probe.settings import Probe, layers_of
from pipeline.stats.folds import folds
from pipeline.stats.ranks import is_binary

CONTROL = "it is a control with random weights, which nobody trained (probe.controls)"
Row = dict[str, object]


def probe_model(path: str | Path, out: str | Path, model: str, pairs: pl.DataFrame, settings: Probe) -> str | None:
    """Vectors (C4) of a model and pairs (C2) -> the file OUT, and why nothing is in it; None where something is."""
    file = vectors.read(path, f"pool@{model}")
    return _probed(out, model, pairs, settings, lambda train: _of_file(file, model, pairs, settings, train))


def probe_baseline(folder: str | Path, out: str | Path, name: str, pairs: pl.DataFrame, settings: Probe) -> str | None:
    """The same of a baseline: of its vectors, or of the measures that it brings."""
    if measures := baselines.read_info(folder, name)["measures"]:
        columns = baselines.read_scores(folder, name, len(pairs)).select(measures).to_numpy()
        return _probed(out, name, pairs, settings, lambda train: _of_measures(columns, train, settings))
    file = vectors.read(Path(folder) / "vectors.parquet", f"baseline@{name}")
    return _probed(out, name, pairs, settings, lambda train: _of_file(file, name, pairs, settings, train))


def probe_baselines(
    folder: str | Path, out: str | Path, names: Iterable[str], pairs: pl.DataFrame, settings: Probe
) -> dict[str, str]:
    """Baselines of a folder -> OUT with a file for each and nothing else, and {name: why nothing is in its file}.

    OUT is replaced once all are there.
    """
    folder, out = Path(folder), Path(out)
    left_out = {}
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for name in names:
            if reason := probe_baseline(folder / name, part / f"{name}.parquet", name, pairs, settings):
                left_out[name] = reason
        shutil.rmtree(out, ignore_errors=True)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return left_out


def _probed(
    out: str | Path, encoder: str, pairs: pl.DataFrame, settings: Probe, rows: Callable[[TrainPairs], Iterator[Row]]
) -> str | None:
    train = train_pairs(pairs, settings)
    found = [] if isinstance(train, str) else list(rows(train))
    reason = train if isinstance(train, str) else None if found else "probe.probes lists nothing"
    probes.write(out, encoder, found, reason)
    return reason


def train_pairs(pairs: pl.DataFrame, settings: Probe) -> TrainPairs | str:
    """The train pairs of all pairs (C2) in the order of pair_id, with their folds, or why no probe can be fitted."""
    is_train = (pairs["split"] == "train").to_numpy()
    rows = np.flatnonzero(is_train)
    if not len(rows):
        return "there is no split train to fit a probe on"
    if is_train.all():
        return "there is no split but train: a probe would be measured on what it was fitted on"
    labels, component = pairs["label"].to_numpy()[rows], pairs["component"].to_numpy()[rows]
    if (count := len(np.unique(component))) < settings.folds:
        return f"the train pairs are in {count} components, too few for {settings.folds} folds (probe.folds)"
    fold = folds(component, settings.folds, settings.seed)
    if any(np.ptp(labels[fold != held_out]) == 0 for held_out in range(settings.folds)):
        return "all train pairs outside of some fold have the same label"
    rng = np.random.default_rng([settings.seed, zlib.crc32(b"permuted labels")])
    return TrainPairs(rows, labels, rng.permutation(labels), fold, graded=not is_binary(pairs["label"].to_numpy()))


def _of_file(
    file: vectors.Vectors, encoder: str, pairs: pl.DataFrame, settings: Probe, train: TrainPairs
) -> Iterator[Row]:
    """The rows of every layer and probe."""
    if file.info.encoder != encoder:
        raise foreign(file.path, f"holds the vectors of {file.info.encoder}", file.stage)
    first, second = pairs["sentence1_id"].to_numpy(), pairs["sentence2_id"].to_numpy()
    probes_of_file = probes_of(file, settings)
    layers = layers_of(settings.layers, file.layers) if file.info.layers else file.layers
    for number in progress(layers, f"probe {encoder}", "layer"):
        of_layer = file.layer(number)
        if len(of_layer) != (needed := sentence_count(pairs)):
            raise foreign(file.path, f"holds {len(of_layer)} sentences, but the pairs have {needed}", file.stage)
        if not np.isfinite(of_layer).all():
            raise InputError(f"{file.path} has vectors that are not finite at layer {number}: no probe can be fitted")
        for probe in probes_of_file:
            seen = of_vectors(probe, of_layer, first, second, train_sentences(pairs), settings.dimensions)
            layer = number if file.info.layers else None
            yield from _rows(probe, layer, seen.shape[1], fit(seen, train, settings.strengths))


def probes_of(file: vectors.Vectors, settings: Probe) -> list[str]:
    """The probes for a file: of recurrent states without those that see every dimension, of which there are up to a
    hundred thousand. That is said on standard error.
    """
    if not is_of_states(file.info.pooling):
        return settings.probes
    some = [probe for probe in settings.probes if FEATURES[probe][0] is reduced]
    if dropped := [probe for probe in settings.probes if probe not in some]:
        reason = "recurrent states have too many dimensions for it"
        print(f"{file.info.encoder}: {', '.join(dropped)} left out, {reason}", file=sys.stderr)
    return some


def _of_measures(columns: np.ndarray, train: TrainPairs, settings: Probe) -> Iterator[Row]:
    """The rows of the measures (P, F) of a baseline."""
    yield from _rows(MEASURES, None, columns.shape[1], fit(columns, train, settings.strengths))


def _rows(probe: str, layer: int | None, features: int, found: Fitted) -> Iterator[Row]:
    """A probe and its control."""
    row = {"probe": probe, "layer": layer, "features": features, "strength": found.strength}
    yield row | {"held_out": found.held_out, "train": found.train, "permuted": False, "scores": found.scores}
    yield row | {"held_out": None, "train": found.control_train, "permuted": True, "scores": found.control}
