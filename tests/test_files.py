import os

import pytest

from pipeline.files import replacing


def test_a_file_appears_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "deep/down/a.txt"
    with replacing(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half" * (1 // 0))
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_hard_link_of_the_old_file_keeps_its_content(tmp_path):
    """DVC's cache holds such links."""
    path, cached = tmp_path / "a.txt", tmp_path / "cached"
    path.write_text("old")
    os.link(path, cached)
    with replacing(path) as part:
        part.write_text("new")
    assert (path.read_text(), cached.read_text()) == ("new", "old")
