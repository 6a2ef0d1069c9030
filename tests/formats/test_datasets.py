"""The folder of a data set in results/datasets is read, or refused with what to do."""

import json

import pytest

from pipeline.base.errors import InputError
from pipeline.formats import datasets, tables
from tests.report import making

CORRELATE = {"resamples": 10, "reference": "overlap dice"}
INFO = {"dataset": "one", "graded": False, "splits": {}, "shared": {}, "subsets": {}, "sentences": 1, "components": 1}
INFO |= {"source": None, "control": None}


@pytest.fixture
def folder(tmp_path, rng):
    tables.write(tmp_path / "one/correlations.csv", making.correlations(rng), tables.CORRELATIONS)
    (tmp_path / "one/info.json").write_text(json.dumps(INFO))
    (tmp_path / "one/params.yaml").write_text(json.dumps({"correlate": CORRELATE}))
    return tmp_path / "one"


def test_a_folder_is_read(folder, rng):
    table, info = datasets.read(folder, CORRELATE)
    assert table.columns == list(tables.CORRELATIONS)
    assert info == INFO


def test_what_was_never_run_is_named(folder):
    with pytest.raises(InputError, match=r"two is not there: run its data set, without --no-run"):
        datasets.read(folder.with_name("two"), CORRELATE)


def test_tests_against_another_reference_are_not_put_into_one_table(folder):
    with pytest.raises(InputError, match=r"one was made with correlate: .*'overlap dice'.*'random'.*: run it again"):
        datasets.read(folder, CORRELATE | {"reference": "random"})


def test_a_table_that_is_cut_is_refused(folder):
    file = folder / "correlations.csv"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InputError, match="ends in the middle of a line"):
        datasets.read(folder, CORRELATE)
