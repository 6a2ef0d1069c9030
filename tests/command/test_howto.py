"""What docs/howto/command.md says that one sees is what the command prints."""

import re
import shlex
import shutil

import polars as pl
import pytest
import yaml

from pipeline.report import experiments as report
from tests.docs.test_snippets import blocks, give, small_params
from tests.helpers import ROOT

PAGE = blocks(ROOT / "docs/howto/command.md")
MACHINE = re.compile(r"\d+ [kMG]B are free|sha256-[0-9a-f]{12}|(about|less than) .* where|, (about|less than) .* of it")
"""what depends on the machine, and on the bytes of a model"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The settings of a clone, with the files that a user is said to have."""
    (tmp_path / "data").mkdir()
    for name in ("demo", "sample"):
        (tmp_path / "data" / name).symlink_to(ROOT / "data" / name)
    for name in ("catalog.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())  # what a fresh clone has, and the page shows
    params = small_params() | {name: shipped[name] for name in ("models", "prepare")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    give(tmp_path)
    monkeypatch.chdir(tmp_path)


def seen(command):
    """The block of text after the one whose lines have a command."""
    place = next(number for number, block in enumerate(PAGE) if block.language == "sh" and command in block.lines)
    return next(block.text for block in PAGE[place:] if block.language == "text")


def test_the_first_try_prints_what_the_page_shows(study, say):
    command = PAGE[0].lines[0]
    status, out, err = say(*shlex.split(command)[1:])
    assert (status, err) == (0, "")
    assert MACHINE.sub("#", out) == MACHINE.sub("#", seen(command))


def shapes(text):
    """Lines without their figures, and without what depends on them."""
    return [re.sub(r"[-+]?\d[\d.]*|, not significant", "", line) for line in text.splitlines() if line]


def test_a_comparison_has_the_lines_that_the_page_shows():
    """Of a table with the names of the page."""
    figures = {"split": "test", "n": 40, "spearman": 0.1, "against_spearman": 0.7, "difference": -0.6, "p": 0.2}
    names = {"experiment": "last", "against": "first", "encoder": "my-model", "against_encoder": "my-model"}
    bounds = {"difference_low": -0.9, "difference_high": 0.1, "layer": 1, "against_layer": 0}
    same = [f"overlap {name}" for name in ("char4", "dice", "jaccard", "tfidf")]
    said = report.lines(pl.DataFrame([names | figures | bounds]), same, 40, "train")
    assert " ".join(shapes("\n".join(said))) == " ".join(shapes(seen("drillcore compare first last")))


def test_the_list_of_names_begins_as_the_page_shows(study, say):
    _, out, _ = say("catalog", "baselines")
    assert out.startswith(seen("drillcore catalog baselines"))
