"""The scores and pairs of an experiment or a commit, out of DVC's cache: nothing is checked out, nothing runs."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.analyse.experiments import Scored
from pipeline.base.errors import InputError
from pipeline.command.study import dvc
from pipeline.formats import pairs, scores

WORKSPACE = "workspace"
"""the word for what lies in data/ now"""
FILES = ("data/pairs/pairs.parquet", "data/pairs/sentences.parquet", "data/scores.parquet")


@dataclass(frozen=True)
class Wanted:
    """A word of the command line: REVISION or REVISION:ENCODER."""

    revision: str
    encoder: str | None = None

    @classmethod
    def parse(cls, word: str) -> "Wanted":
        """A word. InputError where a part of it is empty."""
        revision, colon, encoder = word.partition(":")
        if not revision or (colon and not encoder):
            raise InputError(f"{word!r} is no experiment: expected a name, or NAME:ENCODER")
        return cls(revision, encoder or None)


def scored(revision: str) -> Scored:
    """What a revision scored: an experiment of DVC, a commit, branch or tag, or `workspace`."""
    if revision == WORKSPACE:
        return _read(Path(), revision)
    with tempfile.TemporaryDirectory() as folder:
        fetched = Path(folder)
        _fetch(revision, fetched)
        return _read(fetched, revision)


def _fetch(revision: str, folder: Path) -> None:
    """The files of a revision as files in a folder. InputError for an unknown revision, or one that is not cached."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    try:
        files = DVCFileSystem(".", rev=revision)
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            files.get_file(f"/{name}", str(folder / name))
    except RevError as error:
        known = ", ".join(dvc("exp", "list", "--all-commits", "--name-only").split()) or "none"
        raise InputError(
            f"{revision!r} is no experiment, commit, branch or tag, nor `{WORKSPACE}`: the experiments are {known}"
        ) from error
    except (FileNotFoundError, DvcException) as error:
        raise InputError(
            f"the scores of {revision} are not in DVC's cache: it has none in its dvc.lock, or dvc gc removed them. "
            f"Make them again: git checkout {revision} && dvc repro score (an experiment: dvc exp apply {revision})"
        ) from error


def _read(folder: Path, revision: str) -> Scored:
    of_pairs = pairs.read_pairs(folder / FILES[0])
    sentences = pairs.read_sentences(folder / FILES[1], of_pairs)
    texts = sentences["text"]
    named = of_pairs.with_columns(
        texts.gather(of_pairs["sentence1_id"]).alias("sentence1"),
        texts.gather(of_pairs["sentence2_id"]).alias("sentence2"),
    )
    return Scored(revision, named.select(pl.all()), scores.read(folder / FILES[2], of_pairs))
