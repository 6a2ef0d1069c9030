"""Everything that can be known to be wrong before a stage runs: settings, names, references between them, missing
files.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pipeline.analyse.settings import Correlate
from pipeline.base.errors import InputError, did_you_mean, one_of
from pipeline.base.settings import Study, read_yaml, section, study
from pipeline.catalog.entries import (
    OVERLAP_MEASURES,
    TOKENIZERS_FROM_FILES,
    Baseline,
    Dataset,
    Model,
    entry,
    local_paths,
    one_source,
    source_of,
    tokenizer_source,
)
from pipeline.catalog.fetch import config_file, local
from pipeline.cost.settings import Efficiency
from pipeline.dump.settings import Dump, of_model
from pipeline.engine import names as engines
from pipeline.finetune.settings import Finetune
from pipeline.fit.settings import Fit
from pipeline.formats.names import encoder_name
from pipeline.geometry.settings import Geometry
from pipeline.pool.names import Pooling
from pipeline.pool.settings import Pool
from pipeline.probe.settings import Probe
from pipeline.readouts import names as readouts
from pipeline.report.settings import Report
from pipeline.score.settings import Score, Sweep
from pipeline.text.settings import Prepare, Tokenize, template_named

SETTINGS: tuple[type, ...] = (
    Prepare,
    Tokenize,
    Finetune,
    Dump,
    Fit,
    Pool,
    Score,
    Sweep,
    Correlate,
    Report,
    Probe,
    Efficiency,
    Geometry,
)
Checked = TypeVar("Checked")


class Problems:
    """What was found: each a line that a person can act on."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def trying(self, function: Callable[..., Checked], *arguments: Any) -> Checked | None:
        """The value of a function, or None and its complaint among the problems, once."""
        try:
            return function(*arguments)
        except InputError as error:
            if str(error) not in self.lines:
                self.lines.append(str(error))
            return None


def problems(params: str = "params.yaml", catalog: str = "catalog.yaml") -> list[str]:
    """Everything that is wrong, a line each; an empty list where the stages can run."""
    found = Problems()
    choices = found.trying(study, params)
    sections = {cls.__name__: found.trying(section, cls, params) for cls in SETTINGS}
    found.trying(read_yaml, catalog)
    if choices is None or not Path(catalog).exists():
        return found.lines
    entries = [("datasets", choices.dataset), *(("models", name) for name in choices.models)]
    entries += [("baselines", name) for name in choices.baselines]
    known = {}
    for kind, name in entries:
        if (checked := found.trying(check_entry, kind, name, catalog)) is not None:
            known[name] = checked
    found.trying(engines.chosen, choices.engine)
    pooling = found.trying(Pooling.parse, choices.pooling)
    if sections["Dump"]:
        models = {name: named for name, named in known.items() if isinstance(named, Model)}
        dumped = [found.trying(of_model, sections["Dump"], named, name) for name, named in models.items()]
        if pooling is not None and sections["Fit"]:
            keeps = {dump.keep for dump in dumped if dump is not None}
            found.lines += check_pooling(pooling, sections["Fit"], keeps)
    if sections["Correlate"] and sections["Score"] and len(known) == len(entries):
        found.trying(check_reference, sections["Correlate"], sections["Score"], choices, known)
    is_tuned = any(isinstance(named, Model) and named.finetune for named in known.values())
    if is_tuned and sections["Finetune"] and sections["Finetune"].dataset is not None:
        found.trying(check_entry, "datasets", sections["Finetune"].dataset, catalog)
    for name in (sections["Efficiency"] and sections["Efficiency"].encoders) or []:
        found.trying(check_encoder, name, catalog)
    return found.lines


def check_entry(kind: str, name: str, catalog: str) -> Dataset | Model | Baseline:
    """An entry of the catalogue whose source is clear and whose local files are there."""
    named = entry(kind, name, catalog)
    what = f"{kind[:-1]} {name}"
    source_of(named, what)
    if isinstance(named, Model):
        if named.readout is not None:
            readouts.parsed(named.readout, what)
        if named.random is not None and named.path is not None:
            config_file(local(named.path, what), what)
        elif named.is_control and named.hub is None and "model_type" not in named.config:
            raise InputError(f"{what} is random but has no config.model_type: give it, such as rwkv6, and the sizes")
        if named.template is not None:
            template_named(named.template, f"{what}: template")
        tokenizer = tokenizer_source(named)
        if tokenizer.kind in TOKENIZERS_FROM_FILES:
            one_source(f"tokenizer of {what}", {"hub": tokenizer.hub, "path": tokenizer.path})
    if isinstance(named, Dataset):
        for subset, text in named.subsets.items():
            if not re.fullmatch(r".+\[:\d+\]", str(text)):
                raise InputError(f"{what}: subset {subset} is {text!r}, expected split[:n], such as train[:1000]")
    for path in local_paths(named):
        local(str(path), what)
    return named


def check_encoder(name: str, catalog: str) -> None:
    """Raise InputError where an encoder of efficiency.encoders is no usable model or baseline of the catalogue."""
    kinds = {name: kind for kind in ("baselines", "models") for name in read_yaml(catalog).get(kind) or {}}
    check_entry(kinds[one_of(name, kinds, "a name in efficiency.encoders")], name, catalog)


def check_pooling(pooling: Pooling, fit: Fit, keeps: set[str]) -> Iterator[str]:
    """What keeps the pooling from being computed; keeps: what the models' dumps keep.

    A dump that takes poolings of another kind is no problem: it is pooled by the plain one (`pool.names.suited`).
    """
    if pooling.learned:
        learned = [str(name) for name in fit.poolings]
        if pooling.entry not in learned:
            listed = ", ".join(learned) or "nothing"
            yield f"pooling is {pooling}, which is learned, but fit.poolings lists {listed}: add it"
        elif pooling.run >= fit.runs:
            yield f"pooling is {pooling}, but fit.runs is {fit.runs}: its runs are numbered from 0 to {fit.runs - 1}"
    if keeps and pooling.kind == "state" and "state" not in keeps:
        yield (
            f"pooling is {pooling}, which takes recurrent states, but no model keeps them: set dump.keep, or `keep` of "
            "a model in catalog.yaml, to state"
        )
    if "pooled" in keeps and pooling.kind not in ("mix", "state"):
        from pipeline.pool.statistics import FROM_STATISTICS  # it needs more than numpy

        if pooling.entry not in FROM_STATISTICS:
            enough = ", ".join(FROM_STATISTICS)
            yield f"pooling is {pooling}, but dump.keep is pooled, which is enough for {enough}: set it to tokens"


def check_reference(correlate: Correlate, score: Score, choices: Study, entries: dict[str, Any]) -> None:
    """Raise InputError where correlate.reference is the name of no encoder of this run."""
    if correlate.reference is None:
        return
    names = list(encoder_names(score, choices, entries))
    if correlate.reference not in names:
        raise InputError(
            f"correlate.reference is {correlate.reference!r}: {did_you_mean(correlate.reference, names)}, or leave it "
            "empty to compare with none"
        )


def encoder_names(score: Score, choices: Study, entries: dict[str, Any]) -> Iterator[str]:
    """How pages will call the encoders of a run."""
    for name in (*choices.models, *choices.baselines):
        if isinstance(entries[name], Baseline) and entries[name].kind == "overlap":
            yield from (encoder_name(name, None, None, measure) for measure in OVERLAP_MEASURES)
            continue
        for correction in score.corrections:
            for similarity in score.similarities:
                yield encoder_name(name, "mean", str(correction), str(similarity))
