"""docs/structure.py: the rooms and the imports between them."""

import re
import subprocess
import sys

import networkx
import pytest
from matplotlib.text import Annotation

from tests.docs.test_reference import script
from tests.helpers import ROOT

structure = script("structure")
ROOMS = {path.name for path in (ROOT / "pipeline").iterdir() if (path / "__init__.py").exists()}


@pytest.fixture
def planted(tmp_path):
    """A library of three rooms in which a and b import each other."""
    for room, text in (("a", "from pipeline.b import x"), ("b", "from pipeline.a import x"), ("c", "import os")):
        (tmp_path / "pipeline" / room).mkdir(parents=True)
        (tmp_path / "pipeline" / room / "__init__.py").write_text(f'"""Room {room}."""')
        (tmp_path / "pipeline" / room / "x.py").write_text(text)
    return tmp_path


def test_all_rooms_are_listed_with_what_they_are_for_and_there_is_no_circle():
    first, *lines = structure.describe(ROOT)
    assert {line.split()[0] for line in lines[::2]} == ROOMS
    assert first.startswith(f"{len(ROOMS)} rooms, ")
    assert first.endswith(", no circle")
    assert all(len(line.strip()) > 30 for line in lines[1::2])


def test_architecture_has_a_line_for_each_room():
    lines = re.findall(r"^- `(\w+)`: .+", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    assert sorted(lines) == sorted(ROOMS)


def test_a_circle_is_named(planted):
    assert structure.arrows(planted) == {"a": {"b"}, "b": {"a"}, "c": set()}
    with pytest.raises(ValueError, match="a circle: a -> b -> a"):
        list(structure.describe(planted))
    command = [sys.executable, str(ROOT / "docs/structure.py"), "--root", str(planted)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "a circle: a -> b -> a" in done.stderr


def test_a_room_lies_above_what_it_imports():
    graph = structure.arrows(ROOT)
    depth = structure.levels(graph)
    assert all(depth[room] > depth[other] for room, others in graph.items() for other in others)


def test_the_picture_leaves_out_what_follows_from_other_arrows_as_networkx_does():
    graph = structure.arrows(ROOT)
    expected = networkx.transitive_reduction(networkx.DiGraph(graph)).edges
    assert {(room, other) for room, others in structure.reduced(graph).items() for other in others} == set(expected)


def test_the_picture_has_a_box_for_each_room_and_its_arrows_run_downwards(tmp_path, monkeypatch):
    from matplotlib import pyplot as plt
    from matplotlib.figure import Figure

    drawn, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: (drawn.append(figure), save(figure, *a, **k)))
    structure.picture(ROOT, tmp_path / "rooms.png")
    assert (tmp_path / "rooms.png").read_bytes().startswith(b"\x89PNG")
    axis = drawn[0].axes[0]
    assert {text.get_text() for text in axis.texts if text.get_bbox_patch()} == ROOMS
    *_, (_, _, last) = structure.BANDS
    reduced = structure.reduced(structure.arrows(ROOT))
    arrows = [text for text in axis.texts if isinstance(text, Annotation)]
    assert len(arrows) == sum(other not in last.split() for others in reduced.values() for other in others)
    assert all(axis.transData.transform(a.xy)[1] < axis.transData.transform(a.xyann)[1] for a in arrows)
    plt.close("all")


def test_a_library_of_other_rooms_is_drawn_by_levels(planted, tmp_path):
    (planted / "pipeline/b/x.py").write_text("import os")
    structure.picture(planted, tmp_path / "rooms.png")
    assert (tmp_path / "rooms.png").read_bytes().startswith(b"\x89PNG")
    assert structure.bands(structure.arrows(planted))[0][2].split() == ["a", "b", "c"]


def test_each_stage_is_listed_with_its_files():
    lines = dict(line.split(": ", 1) for line in structure.describe_stages(ROOT))
    assert "pipeline/pool/tokens.py" in lines["pool"].split(", ")
    assert "pipeline/pool/tokens.py" not in lines["dump"].split(", ")
    assert "pipeline/base/errors.py" in lines["all stages"].split(", ")
