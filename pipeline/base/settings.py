"""params.yaml: what is compared and the engine at the top (`Study`), then one section for each stage that has settings.

The section `dump` is the dataclass `Dump` in pipeline/dump/settings.py, and so on: one name for stage, section and
class.
"""

import datetime
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pipeline.base.errors import InputError, did_you_mean

SECTIONS = (
    "prepare",
    "tokenize",
    "finetune",
    "dump",
    "fit",
    "pool",
    "score",
    "sweep",
    "correlate",
    "report",
    "probe",
    "efficiency",
    "geometry",
)

OF_THE_MACHINE = ("engine",)
"""top-level keys that decide no result, so that no stage depends on them"""

Text = str | int | float | datetime.date
"""A field that is text to us, whatever YAML makes of it: `revision: 1` and `revision: 2026-11-25` are no strings
there.
"""

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Study:
    """What is compared, and how it runs: the top-level keys of params.yaml."""

    dataset: str
    """a dataset of catalog.yaml"""
    models: list[str]
    """models of catalog.yaml"""
    baselines: list[str]
    """baselines of catalog.yaml"""
    pooling: str
    """how token states become one vector, a name of pipeline/pool/names.py"""
    engine: str = "local"
    """where the work runs, a name of pipeline/engine/names.py; it decides no result"""

    def __post_init__(self) -> None:
        for key in ("models", "baselines"):
            once(getattr(self, key), key)
        if both := sorted(set(self.models) & set(self.baselines)):
            raise InputError(
                f"{', '.join(both)} is in models and in baselines: their scores would share a name. "
                "Rename one in catalog.yaml"
            )


def study(path: str | Path = "params.yaml") -> Study:
    """The top-level choices of params.yaml."""
    values, known = _load(path), [field.name for field in fields(Study)]
    for key in values:
        if key not in (*known, *SECTIONS):
            raise InputError(f"top level of {path}: unknown {key} ({did_you_mean(key, [*known, *SECTIONS])})")
    return build(Study, {key: value for key, value in values.items() if key not in SECTIONS}, f"top level of {path}")


def section(cls: type[Settings], path: str | Path = "params.yaml") -> Settings:
    """The section of params.yaml that belongs to a dataclass: `dump` for `Dump`."""
    name, values = cls.__name__.lower(), _load(path)
    names = ", ".join(field.name for field in fields(cls))  # type: ignore[arg-type]
    if name not in values:
        raise InputError(f"{path} has no section {name!r}: add it with {names}")
    return build(cls, values[name] or {}, f"section {name} of {path}")


def build(cls: type[Settings], values: Any, where: str) -> Settings:
    """A frozen dataclass from a mapping of YAML values.

    Text becomes an object where a field's type has a classmethod `parse` (such as `Pooling`). Raises InputError that
    says `where` for unknown, missing and mistyped keys.
    """
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    if not isinstance(values, dict):
        raise InputError(f"{where} is {values!r}: expected a mapping with {', '.join(known)}")
    needed = {name for name, field in known.items() if field.default is field.default_factory}  # both are MISSING
    problems = [f"unknown {name} ({did_you_mean(name, known)})" for name in values if name not in known]
    problems += [f"missing {', '.join(sorted(needed - values.keys()))}"] if needed - values.keys() else []
    if problems:
        raise InputError(f"{where}: {'; '.join(problems)}. It takes {', '.join(known)}")
    return cls(**{name: _converted(value, known[name].type, f"{where}: {name}") for name, value in values.items()})


def _converted(value: Any, kind: Any, what: str) -> Any:
    """A YAML value as an annotated type, with names parsed into objects."""
    inner = typing.get_args(kind)
    if hasattr(kind, "parse") and isinstance(value, str):
        return _parsed(value, kind, what)
    holds_objects = typing.get_origin(kind) is list and inner and hasattr(inner[0], "parse")
    if holds_objects and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [_parsed(item, inner[0], what) for item in value]
    if not _fits(value, kind):
        raise InputError(f"{what} is {value!r}, expected {_described(kind)}")
    return value


def _parsed(value: str, kind: Any, what: str) -> Any:
    try:
        return kind.parse(value)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def _described(kind: Any) -> str:
    """An annotated type in the words of params.yaml: objects that are parsed from text are text there."""
    inner = typing.get_args(kind)
    if hasattr(kind, "parse"):
        return "str"
    if inner and hasattr(inner[0], "parse"):
        return "list[str]"
    return kind.__name__ if isinstance(kind, type) and not inner else str(kind)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a YAML value has an annotated type; whole numbers pass for floats, booleans for nothing but booleans."""
    if isinstance(kind, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(kind))
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if isinstance(value, bool):
        return origin is bool
    if origin is float:
        return isinstance(value, int | float)
    if origin is list and inner:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    return isinstance(value, origin)


def at_least(where: str, settings: object, **limits: float) -> None:
    """Raise InputError for the first field of a section that is below its limit."""
    for name, low in limits.items():
        if (value := getattr(settings, name)) < low:
            raise InputError(f"{where}.{name} is {value}, expected at least {low}")


def once(names: Iterable[object], what: str) -> None:
    """Raise InputError for names that a list has twice."""
    listed = [str(name) for name in names]
    if twice := sorted({name for name in listed if listed.count(name) > 1}):
        raise InputError(f"{what} lists {', '.join(twice)} twice: once is enough")


def read_yaml(path: str | Path) -> dict:
    """A YAML file that holds a mapping. InputError names the file, and the line where it is broken or repeats a key."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(Path(path).read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if repeated := _repeated(node, set()):
            line = repeated.start_mark.line + 1
            raise InputError(f"{path} has {repeated.value!r} a second time in line {line}: rename or remove one")
        values = node and loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 (byte {error.start}): save it as UTF-8") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds {type(values).__name__}, expected a mapping")
    return values


def _repeated(node: yaml.Node | None, seen: set[int]) -> yaml.Node | None:
    """The first key that its mapping has had before, of which PyYAML would keep the last and DVC stops at; or None."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return None
    seen.add(id(node))  # an alias is the node that it stands for
    keys: set[tuple[str, str]] = set()
    for part in node.value:
        key, inner = part if isinstance(node, yaml.MappingNode) else (None, part)
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in keys:
                return key
            keys.add((key.tag, key.value))
        if found := _repeated(inner, seen):
            return found
    return None


def _load(path: str | Path) -> dict:
    if not Path(path).exists():
        raise InputError(f"no {path} here: run from the project's folder")
    return read_yaml(path)
