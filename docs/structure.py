"""The library's rooms and the imports between them.

python docs/structure.py                        the rooms, what each imports, and circles if there are any
python docs/structure.py --picture rooms.png    the same as a picture
python docs/structure.py --stages               the files that each stage runs: an edit of one reruns the stage
python docs/structure.py --root FOLDER          of another checkout, an older one for instance
"""

import argparse
import ast
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from pipeline.base import code

BANDS = [
    (
        "what people\ncall and read",
        "#fdf0e3",
        """
                                    command
                      check
      page                               cost                        export
     report
""",
    ),
    (
        "what answers\nquestions",
        "#eef4e4",
        """
     claims
    analyse   geometry      probe     score
""",
    ),
    (
        "what makes\nvectors",
        "#e6f0f9",
        """
                     finetune      pool                           dump        baselines
                fit                                             readouts        demo
                                          models        text
""",
    ),
    (
        "what all\nstand on",
        "#eeeeee",
        """
      formats         catalog          engine         storage       stats        base
""",
    ),
]
"""the picture, drawn in letters: the name of each band, its colour, and its rooms where they stand"""


def modules(root):
    """Every module of the library as its parts below `pipeline`: ("pool", "run"), and its file."""
    for file in sorted((root / "pipeline").rglob("*.py")):
        parts = file.relative_to(root / "pipeline").with_suffix("").parts
        if parts[-1] != "__init__":
            yield parts, file


def arrows(root):
    """{room: {rooms that it imports}}; a module that lies in no folder is a room of its own."""
    found = {parts[0]: set() for parts, _ in modules(root)}
    for parts, file in modules(root):
        imported = {name.split(".")[1] for name in code.imported_names(file) if name.startswith("pipeline.")}
        found[parts[0]] |= (imported & found.keys()) - {parts[0]}
    return found


def levels(graph):
    """{room: how many rooms deep its imports go}; a circle is a ValueError that names it."""
    depth = {}

    def visit(room, above=()):
        if room in above:
            raise ValueError(f"a circle: {' -> '.join((*above[above.index(room) :], room))}")
        if room not in depth:
            depth[room] = 1 + max((visit(other, (*above, room)) for other in graph[room]), default=-1)
        return depth[room]

    for room in graph:
        visit(room)
    return depth


def purpose(root, room):
    """The first sentence of a room's docstring."""
    file = root / "pipeline" / room / "__init__.py"
    file = file if file.exists() else root / "pipeline" / f"{room}.py"
    return (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].replace("\n", " ")


def describe(root):
    """The lines of the listing."""
    graph = arrows(root)
    depth = levels(graph)
    files = [parts[0] for parts, _ in modules(root)]
    yield f"{len(graph)} rooms, {len(files)} modules, {sum(map(len, graph.values()))} arrows, no circle"
    for room in sorted(graph, key=lambda room: (depth[room], room)):
        yield f"{room:10s} {files.count(room):2d} modules  imports {', '.join(sorted(graph[room])) or 'nothing'}"
        yield f"           {purpose(root, room)}"


def describe_stages(root):
    """The files behind each stage, without those that all share."""
    stages = sorted(file.stem for file in (root / "stages").glob("*.py") if file.stem != "__init__")
    closures = {
        name: {f.relative_to(root).as_posix() for f in code.closure(f"stages.{name}", root=root)} for name in stages
    }
    shared = set.intersection(*closures.values())
    yield f"all stages: {', '.join(sorted(shared))}"
    for name, files in closures.items():
        yield f"{name}: {', '.join(sorted(files - shared))}"


def reduced(graph):
    """{room: those of its imports that it reaches in no other way}: the arrows that do not follow from others."""
    below = {}
    for room in sorted(graph, key=levels(graph).get):
        below[room] = graph[room].union(*(below[other] for other in graph[room]))
    return {room: others - set().union(*(below[other] for other in others)) for room, others in graph.items()}


def bands(graph):
    """(name, colour, rows) of each band from top to bottom: BANDS, or for other rooms than these one band by levels."""
    if graph.keys() == {room for _, _, rows in BANDS for room in rows.split()}:
        return BANDS
    depth = levels(graph)
    rows = [" ".join(sorted(room for room in graph if depth[room] == level)) for level in set(depth.values())]
    width = max(map(len, rows))
    return [("", "#eeeeee", "\n".join(row.center(width) for row in reversed(rows)))]


def picture(root, path):
    """Rooms as boxes in bands, without the arrows that follow from others and those to the last band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    graph = arrows(root)
    figure, axis = plt.subplots(figsize=(9, 6.2), layout="constrained")
    place, y = {}, 0.0
    for name, colour, rows in bands(graph):
        lines = rows.strip("\n").splitlines()
        axis.add_patch(Rectangle((-11, y - 0.45), 102, len(lines) - 0.1, color=colour, zorder=0))
        axis.text(-10, y - 0.36, name, va="top", fontsize=9, style="italic", color="0.25", zorder=3)
        for line in lines:
            place |= {word.group(): (sum(word.span()) / 2, y) for word in re.finditer(r"\w+", line)}
            y += 1
        last = set(rows.split())
        y += 0.1
    boxes = {}
    for room, where in place.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.35", "linewidth": 0.8}
        boxes[room] = axis.text(*where, room, ha="center", va="center", fontsize=10, bbox=box).get_bbox_patch()
    axis.set(xlim=(-11, 91), ylim=(y - 0.55, -0.5))
    axis.axis("off")
    figure.canvas.draw()  # now boxes have their sizes, and arrows can end at them
    for room, others in reduced(graph).items():
        for other in others - last:
            ends = {"patchA": boxes[room], "patchB": boxes[other], "shrinkA": 0, "shrinkB": 0}
            style = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 0.8}
            axis.annotate("", place[other], place[room], arrowprops=style | ends)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--stages", action="store_true")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    if arguments.picture:
        picture(arguments.root, arguments.picture)
    print("\n".join((describe_stages if arguments.stages else describe)(arguments.root)))


if __name__ == "__main__":
    main()
