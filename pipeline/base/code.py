"""Which code decides a result: the files that a module imports, each as a hash of what it does.

DVC does not see Python imports, and a list kept by hand goes stale in silence. So the code that a stage depends on is
computed: the import closure of its script, each file as the sha256 of its syntax tree without docstrings. An edit of a
comment, a docstring or the layout changes nothing, and no file can be forgotten.
"""

import ast
import contextlib
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.files import write_json

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "stages")


def closure(*modules: str, root: Path = ROOT) -> list[Path]:
    """The files under `root` that modules such as `pipeline.dump.run` import, directly or not, and they themselves,
    sorted.

    Imports inside functions count, those for type checkers alone do not.
    """
    seen: set[Path] = set()
    todo = [file for module in modules for file in files_of(module, root)]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += [other for name in imported_names(file) for other in files_of(name, root)]
    return sorted(seen)


def files_of(module: str, root: Path = ROOT) -> list[Path]:
    """A module's file and those of the packages around it; none for a module that is not ours, or a name inside one."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return []
    inits = [root.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    return [file for file in (*inits, root.joinpath(*parts).with_suffix(".py")) if file.exists()]


@dataclass(frozen=True)
class Source:
    """What is known of a file of Python, whatever its comments and layout."""

    fingerprint: str
    """sha256 of its syntax tree without docstrings"""
    imports: tuple[str, ...]
    """every name that it imports: for `from pipeline.pool import names`, pipeline.pool and pipeline.pool.names"""


_KNOWN: dict[str, Source] = {}
"""sha256 of a file's bytes -> what is known of it, so that no file is parsed twice"""


def source_of(file: Path) -> Source:
    """What is known of a file."""
    data = file.read_bytes()
    key = f"{sys.version_info[:2]} {hashlib.sha256(data).hexdigest()}"
    if key not in _KNOWN:
        tree = ast.parse(data)
        imports = tuple(_imports(tree.body))
        _KNOWN[key] = Source(_fingerprint(tree), imports)
    return _KNOWN[key]


def imported_names(file: Path) -> tuple[str, ...]:
    """Every name that a file imports."""
    return source_of(file).imports


def fingerprint(source: bytes) -> str:
    """sha256 of what Python source does: its syntax tree without docstrings, and without places in the file."""
    return _fingerprint(ast.parse(source))


@contextmanager
def remembering(path: str | Path) -> Iterator[None]:
    """Keep what is known of files in a file of ours, since parsing all of them takes a second.

    It is found by the sha256 of a file's bytes, so it cannot be out of date.
    """
    path = Path(path)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # a damaged one is made anew
        kept = json.loads(path.read_text())
        _KNOWN.update({key: Source(found["fingerprint"], tuple(found["imports"])) for key, found in kept.items()})
    before = set(_KNOWN)
    yield
    if set(_KNOWN) != before:
        with contextlib.suppress(OSError):
            write_json(path, {key: vars(found) for key, found in _KNOWN.items()})


def _imports(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Imports are statements, so only bodies are looked into, functions' included."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from _imports(node.orelse)
        else:
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _imports(getattr(node, name, []))


def _fingerprint(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # a string that stands alone does nothing: docstrings, and those under the fields of a dataclass
            node.body = [child for child in node.body if not _is_string(child)]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def fingerprints(*modules: str, root: Path = ROOT) -> dict[str, str]:
    """{file: its fingerprint} of the import closure of some modules."""
    return {file.relative_to(root).as_posix(): source_of(file).fingerprint for file in closure(*modules, root=root)}
