"""Sections of data/demo/params.yaml: the committed file, and what is out of range."""

import dataclasses

import pytest
import yaml

from pipeline.base import settings
from pipeline.base.errors import InputError
from pipeline.demo.settings import PARAMS, Corpus, Pretrain, WordVectors
from tests.helpers import ROOT

SECTIONS = (Corpus, Pretrain, WordVectors)


def committed(cls, **changes):
    return dataclasses.replace(settings.section(cls, ROOT / PARAMS), **changes)


def test_the_committed_file_holds_these_sections_and_no_other():
    values = yaml.safe_load((ROOT / PARAMS).read_text())
    assert {cls.__name__.lower(): dataclasses.asdict(committed(cls)) for cls in SECTIONS} == values


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (Corpus, {"ngram": 5}, r"corpus\.ngram is 5, expected at least 8"),
        (Corpus, {"held_out": 0}, r"corpus\.held_out is 0, expected a share between 0 and 1"),
        (Corpus, {"held_out": 1.5}, r"corpus\.held_out is 1\.5"),
        (Corpus, {"vocabulary": 100}, r"corpus\.vocabulary is 100, expected at least 257"),
        (Pretrain, {"context": 1}, r"pretrain\.context is 1, expected at least 2"),
        (Pretrain, {"batch": 4, "context": 16, "tokens": 63}, r"pretrain\.tokens is 63, expected at least 64"),
        (Pretrain, {"learning_rate": 0.0}, r"pretrain\.learning_rate is 0\.0, expected more than 0"),
        (Pretrain, {"hidden_size": 0}, r"pretrain\.hidden_size is 0, expected at least 1"),
        (WordVectors, {"dim": 4, "words": 5}, r"wordvectors\.words is 5, expected at least 6"),
        (WordVectors, {"window": 0}, r"wordvectors\.window is 0, expected at least 1"),
    ],
)
def test_values_out_of_range_are_refused_with_the_limit(cls, changes, message):
    with pytest.raises(InputError, match=message):
        committed(cls, **changes)


def test_steps_are_whole_steps_of_the_tokens():
    assert committed(Pretrain, batch=4, context=16, tokens=64).steps == 1
    assert committed(Pretrain, batch=4, context=16, tokens=64 * 10 + 63).steps == 10
