"""The library's rooms and the imports between them.

python docs/structure.py                        the rooms, what each imports, and circles if there are any
python docs/structure.py --picture rooms.png    the same as a picture
python docs/structure.py --stages               the files that each stage runs: an edit of one reruns the stage
python docs/structure.py --root FOLDER          of another checkout, an older one for instance
"""

import argparse
import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from pipeline.base import code


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


def picture(root, path):
    """Rooms as boxes, those that import nothing at the bottom, and an arrow for each import."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    graph = arrows(root)
    depth = levels(graph)
    rows = {level: sorted(room for room in graph if depth[room] == level) for level in set(depth.values())}
    place = {}
    for level, rooms in rows.items():
        for i, room in enumerate(rooms):
            place[room] = (i - (len(rooms) - 1) / 2 + 0.22 * (level % 2), level)
    figure, axis = plt.subplots(
        figsize=(1.1 * max(map(len, rows.values())) + 1.5, 1.0 * len(rows) + 0.5), layout="constrained"
    )
    for room, others in graph.items():
        for other in others:
            style = {"arrowstyle": "-|>", "color": "0.55", "linewidth": 0.7, "shrinkA": 9, "shrinkB": 9, "alpha": 0.8}
            bend = 0.08 if depth[room] - depth[other] > 1 else 0.0
            axis.annotate("", place[other], place[room], arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"})
    for room, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#eaf2fb", "edgecolor": "#3a6ea5", "linewidth": 0.9}
        axis.text(x, y, room, ha="center", va="center", fontsize=9, bbox=box)
    xs = [x for x, _ in place.values()]
    axis.set(xlim=(min(xs) - 0.7, max(xs) + 0.7), ylim=(-0.5, max(depth.values()) + 0.5))
    axis.axis("off")
    axis.set_title(
        f"{len(graph)} rooms, {sum(map(len, graph.values()))} arrows: a room imports what it points at", fontsize=9
    )
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
