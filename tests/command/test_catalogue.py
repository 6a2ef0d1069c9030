"""Entries are added to catalog.yaml, and nothing else of it changes."""

import pytest
import yaml

from pipeline.base.errors import InputError
from pipeline.command import study
from pipeline.command.catalogue import with_entry
from pipeline.command.words import Named
from tests.command.conftest import COMMENTS
from tests.helpers import ROOT

FIELDS = {"path": "a b.csv", "columns": {"sentence1": "q: 1", "label": "#x"}, "separator": ";", "no_label": -1.0}
OURS = (ROOT / "catalog.yaml").read_text()
LAYOUTS = {
    "as committed": OURS,
    "by hand": COMMENTS.replace("CONFIG", "{}"),
    "no line at the end": "datasets:\n  a: {path: x}\nmodels:\n  b: {random: 0}",
    "a section without entries": "datasets: # none yet\n\nmodels:\n  b: {random: 0}\n",
    "a section that is not there": "models:\n  b: {random: 0}\n",
    "Windows": "datasets:\r\n  a: {path: x}\r\nmodels:\r\n  b: {random: 0}\r\n",
    "a comment within": "datasets:\n  a: {path: x}\n  # of b\n\n  # last\n\n\n# of models\nmodels: {}\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["datasets", "baselines"])
def test_an_entry_is_added_and_every_line_stays(layout, kind):
    text = LAYOUTS[layout]
    changed = with_entry(text, kind, "new", FIELDS)
    values = yaml.safe_load(text)
    assert yaml.safe_load(changed) == values | {kind: (values.get(kind) or {}) | {"new": FIELDS}}
    rest = iter(changed.split("\n"))
    assert all(line in rest for line in text.rstrip("\n").split("\n"))
    assert list(yaml.safe_load(changed)[kind])[-1] == "new"


def test_an_entry_has_the_indent_of_its_section():
    changed = with_entry(LAYOUTS["by hand"], "models", "new", {"path": "x"})
    assert "\n    new:\n        path: x\n\nbaselines:\n" in changed


@pytest.mark.parametrize("text", ["datasets: {a: {path: x}}\n", "datasets:\n  - a\n", "'datasets':\n  a: {path: x}\n"])
def test_where_no_line_can_be_added_the_entry_is_said(text):
    with pytest.raises(InputError, match=r"add it below datasets yourself: \{new: \{path: x\}\}"):
        with_entry(text, "datasets", "new", {"path": "x"})


def test_values_of_the_settings_change_and_their_comments_stay():
    text = (ROOT / "params.yaml").read_text()
    changed, said = study.with_values(text, {"dataset": "mrpc", "prepare.limit": 5, "pooling": "mean", "models": ["a"]})
    assert said == [
        "params.yaml: dataset: sample -> mrpc",
        "params.yaml: prepare.limit: null -> 5",
        "params.yaml: models: [demo, demo-tuned, random-rwkv6] -> [a]",
    ]
    values = yaml.safe_load(text)
    assert yaml.safe_load(changed) == values | {"dataset": "mrpc", "models": ["a"], "prepare": {"limit": 5}}
    comments = [line for line in text.splitlines() if line.strip().startswith("#")]
    assert [line for line in changed.splitlines() if line.strip().startswith("#")] == comments
    assert study.with_values(changed, {"dataset": "mrpc"}) == (changed, [])


def test_what_would_be_wrong_is_said_before_anything_is_written(folder):
    before = {name: (folder / name).read_bytes() for name in ("catalog.yaml", "params.yaml")}
    with pytest.raises(InputError, match=r"models.new of catalog.yaml: unknown hubb"):
        study.plan([Named("models", "new", {"hubb": "x"})], {"models": ["new"]})
    with pytest.raises(InputError, match=r"pooling is 'men': did you mean mean"):
        study.plan([], {"pooling": "men"})
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_file_that_changed_in_place_gets_another_revision(folder):
    from pipeline.command import words

    named = words.pairs("pairs.csv", {"sentence1": "question", "sentence2": "answer", "label": "grade"}, {}, None, {})
    study.write(study.plan([named], {"dataset": "pairs"}))
    there = Named("datasets", "pairs")
    assert study.plan([there], {}).said == []
    (folder / "pairs.csv").write_text((folder / "pairs.csv").read_text().replace("The", "A"))
    [line] = study.plan([there], {}).said
    assert line.startswith("catalog.yaml: dataset pairs has changed in place: revision sha256-")
    study.write(study.plan([there], {}))
    assert study.plan([there], {}).said == []
