"""A bar on a terminal, and nothing elsewhere."""

import io
import re

import pytest

from pipeline.base import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("seconds", "shown"), [(0, True), (60, False)])
def test_a_terminal_shows_how_far_a_stage_is_if_it_takes_long(monkeypatch, seconds, shown):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "SECONDS", seconds)
    assert list(progress.progress([1, 2, 3], "sweep", "layer")) == [1, 2, 3]
    assert ("sweep" in screen.getvalue()) == shown


def test_a_bar_within_another_says_how_long_it_takes_and_goes(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "SECONDS", 0)
    for _ in progress.progress(["m"], "compare", "model"):
        assert list(progress.progress(range(0, 20, 2), "resamples of train", "block")) == list(range(0, 20, 2))
    assert re.search(r"resamples of train:   0%.* 0/10 \[00:00<", screen.getvalue())
    assert "resamples" not in screen.getvalue().rpartition("compare")[2]


def test_a_file_gets_no_bar(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS", 0)
    assert list(progress.progress({"a": 1}.items(), "correlate", "split")) == [("a", 1)]
    assert capsys.readouterr() == ("", "")
