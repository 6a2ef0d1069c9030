"""What each subcommand does, from its options to what it prints."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.analyse.settings import Correlate
from pipeline.base import settings
from pipeline.base.errors import InputError, one_of
from pipeline.base.files import replacing
from pipeline.base.settings import Study, read_yaml
from pipeline.catalog.entries import ENTRIES
from pipeline.command import estimate, listing, quantities, study, words
from pipeline.engine import names as engines
from pipeline.text.settings import Prepare

REFERENCE = "correlate.reference"


@dataclass(frozen=True)
class Names:
    """The words of `drillcore run`, and what new entries are to be called."""

    pairs: str
    models: list[str]
    pairs_name: str | None = None
    model_name: str | None = None


@dataclass(frozen=True)
class Asked:
    """The options of `drillcore run`: fields of new entries, and values of params.yaml."""

    columns: Mapping[str, str]
    """ours -> the file's"""
    of_file: Mapping[str, Any]
    of_model: Mapping[str, Any]
    baselines: list[str] | None
    pooling: str | None
    limit: int | None
    engine: str | None = None
    """of this run alone: it is no part of the study"""


def run(names: Names, asked: Asked, save: str | None, dry_run: bool) -> None:
    """Add what is new, set what is asked for, check it, say what it takes, run DVC, and say where to look."""
    if asked.engine is not None:
        os.environ[engines.VARIABLE] = asked.engine
    named, values = _read(names, asked, ask=not dry_run)
    made, back = study.plan(named, values), study.way_back()
    for line in made.said:
        print(line)
    if not made.said:
        print("catalog.yaml and params.yaml say this already")
    _say_extent(values, made, ask=not dry_run)
    if dry_run:
        print("nothing was written, and nothing ran (--dry-run)")
        return
    study.write(made)
    of_params = any(line.startswith("params.yaml") for line in made.said)
    if of_params:
        print(f"to go back: {back}", flush=True)
    if study.repro():
        again = f" To go back: {back}" if of_params else ""
        raise InputError(f"the run stopped: the lines above say why. Run the same again to go on.{again}")
    if save:
        study.save(save)
        print(f"kept as experiment {save}: drillcore compare {save} workspace, or dvc exp show")
    for line in study.answer():
        print(line)
    print("read " + ", ".join(study.pages()))


def _read(names: Names, asked: Asked, ask: bool) -> tuple[list[words.Named], dict[str, Any]]:
    """The entries that are named, and the values of params.yaml."""
    catalogue = read_yaml(study.CATALOG)
    if names.model_name and len(names.models) > 1:
        raise InputError("--model-name is for one MODEL: run the others by themselves first")
    pairs = words.pairs(names.pairs, asked.columns, asked.of_file, names.pairs_name, catalogue)
    models = [words.model(word, asked.of_model, names.model_name, catalogue, ask) for word in names.models]
    if asked.limit is not None:
        Prepare(asked.limit)  # says what is wrong with it
    values: dict[str, Any] = {
        "dataset": pairs.name,
        "models": [model.name for model in models],
        "prepare.limit": asked.limit,
    }
    if asked.pooling is not None:
        values["pooling"] = asked.pooling
    if asked.baselines is not None:
        values["baselines"] = words.baselines(asked.baselines, catalogue)
        reference = settings.section(Correlate).reference
        if reference and reference.split()[0] not in (*values["baselines"], *values["models"]):
            values[REFERENCE] = None
    return [pairs, *models], values


def _say_extent(values: Mapping[str, Any], made: study.Plan, ask: bool) -> None:
    """What the study of a plan takes; its catalogue is read from a copy, since it may not be in place yet."""
    present = settings.study()
    planned = Study(
        values["dataset"], values["models"], values.get("baselines", present.baselines), str(values.get("pooling"))
    )
    copy = study.CANDIDATES / study.CATALOG
    with replacing(copy) as part:
        part.write_text(made.catalog, encoding="utf-8")
    try:
        for line in estimate.lines(planned, values["prepare.limit"], ask, str(copy)):
            print(line, flush=True)
    except InputError as error:
        raise InputError(str(error).replace(str(copy), "catalog.yaml")) from error
    finally:
        shutil.rmtree(study.CANDIDATES)


def describe(sentences: int | None, speed: float | None) -> None:
    """What a run of params.yaml takes and would find; where asked, what so many `sentences` would take."""
    present, limit = settings.study(), settings.section(Prepare).limit
    for line in estimate.lines(present, limit):
        print(line)
    if limit:
        print(f"prepare.limit is {limit}: only the first {limit} pairs of each split")
    if sentences is not None:
        for line in estimate.lines_of_many(present, limit, sentences, speed):
            print(line)
    print("stages: " + ", ".join(study.stages()))


def catalog(kind: str | None) -> None:
    """The names of the catalogue, a line each."""
    kinds = [one_of(kind, ENTRIES, "the kind of names")] if kind else list(ENTRIES)
    for one in kinds:
        entries = list(listing.listed(one))
        wide = max((len(entry.name) for entry in entries), default=0)
        print(f"{one}:")
        for entry in entries:
            shown = "" if entry.bytes is None else quantities.size(entry.bytes)
            state = listing.ABSENT if entry.here == listing.ABSENT else shown or "made here"
            print(f"  {entry.name:{wide}}  {state:9}  {entry.where}  {entry.licence}".rstrip())


def compare(names: Sequence[str], split: str | None, out: Path | None) -> None:
    """Paired tests between experiments."""
    from pipeline.analyse import experiments as analysis
    from pipeline.command import experiments
    from pipeline.formats.splits import chosen_on
    from pipeline.report import experiments as report

    wanted = [experiments.Wanted.parse(name) for name in names]
    if len(wanted) < 2:
        raise InputError(f"one experiment ({names[0]}) is nothing to compare: name a second, such as workspace")
    read = {revision: experiments.scored(revision) for revision in dict.fromkeys(one.revision for one in wanted)}
    scored = [read[one.revision] for one in wanted]
    section = settings.section(Correlate)
    table, same = analysis.compare(scored, [one.encoder for one in wanted], section, split)
    common = len(analysis.same_pairs(scored)[0])
    left_out = max(len(one.pairs) for one in scored) - common
    if left_out:
        print(f"{left_out:,} pairs are not in all of them, and are left out")
    for line in report.lines(table, same, common, chosen_on(scored[0].pairs["split"])):
        print(line)
    if out is not None:
        with replacing(out) as part:
            table.write_csv(part)
        print(f"wrote {out}")


def plots(names: Sequence[str]) -> None:
    """DVC's page of plots of some experiments, without links to a network."""
    from pipeline.command.offline import offline

    said = study.dvc("plots", *(["diff", *names] if names else ["show"]), "--out", "dvc_plots")
    page = Path("dvc_plots/index.html")
    if not page.is_file():
        raise InputError(f"dvc made no plots of {' '.join(names) or 'the workspace'}: {' '.join(said.split())}")
    offline(page)
    print(f"open {page}: it needs no network")


def export(model: str, layer: int | None, out: Path, pooling: str | None) -> None:
    """One layer as a file, or as an encoder in a folder."""
    present = settings.study()
    one_of(model, present.models, "MODEL")
    number = chosen_layer(model) if layer is None else layer
    if not out.suffix:
        from pipeline.export import folder

        pooling = pooling or str(present.pooling)
        folder.save(model, number, out, pooling)
        print(f"layer {number} of {model}, pooled by {pooling}: wrote {out}")
        module = folder.module_of(out)
        first = f"import {module}; " if module else ""
        print(f"{first}sentence_transformers.SentenceTransformer({str(out)!r}) opens it")
        return
    from pipeline.export import files

    written, pooled, number = files.export(model, number, out, pooling)
    print(f"layer {number} of {model}, pooled by {pooled}: wrote {', '.join(map(str, written))}")


def chosen_layer(model: str) -> int:
    """The layer that the stage correlate chose on train. InputError where it has not run, or nothing was to choose."""
    path = Path("results/correlations.csv")
    if not path.is_file():
        raise InputError(f"{path} is not there, so no layer was chosen: give --layer, or run dvc repro correlate")
    rows = pl.read_csv(path, infer_schema_length=None).filter(pl.col("encoder") == model, pl.col("selected"))
    layers = rows["layer"].drop_nulls().unique(maintain_order=True).to_list()
    if not layers:
        raise InputError(f"{path} has no layer of {model}: give --layer")
    return int(layers[0])


def clean(remove: Sequence[str], everything: bool) -> None:
    """The scratch store of the dumps."""
    from pipeline.dump import clean as store

    for line in store.tidied(remove, everything):
        print(line)
