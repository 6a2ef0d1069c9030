import pytest

from pipeline.base.errors import InputError
from pipeline.base.settings import build
from pipeline.report.settings import Report


def test_no_false_positives_may_be_shown_but_not_fewer():
    assert build(Report, {"false_positives": 0}, "section report").false_positives == 0
    with pytest.raises(InputError, match=r"report.false_positives is -1, expected at least 0"):
        Report(false_positives=-1)
