"""params.yaml: four choices at the top (`Study`), then one section for each stage that has settings (a dataclass beside its code)."""

import types
import typing
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

SECTIONS = ("prepare", "tokenize", "dump", "fit", "score", "sweep", "correlate", "report")


@dataclass(frozen=True)
class Study:
    """What is compared: the four top-level keys of params.yaml."""

    dataset: str
    """a dataset of catalog.yaml"""
    models: list[str]
    """models of catalog.yaml"""
    baselines: list[str]
    """baselines of catalog.yaml"""
    pooling: str
    """a name of pipeline.pooling"""

    def __post_init__(self):
        for key in ("models", "baselines"):
            if twice := sorted({name for name in getattr(self, key) if getattr(self, key).count(name) > 1}):
                raise ValueError(f"{key} lists {', '.join(twice)} twice: once is enough")
        if both := sorted(set(self.models) & set(self.baselines)):
            raise ValueError(f"{', '.join(both)} is in models and in baselines: their scores would share a name. Rename one in catalog.yaml")


def study(path="params.yaml"):
    """The top-level choices of params.yaml."""
    values = _load(path)
    return build(Study, {key: value for key, value in values.items() if key not in SECTIONS}, f"top level of {path}")


def section(name, cls, path="params.yaml"):
    """One section of params.yaml as its dataclass."""
    values = _load(path)
    if name not in values:
        raise ValueError(f"{path} has no section {name!r}: add it with {', '.join(f.name for f in fields(cls))}")
    return build(cls, values[name] or {}, f"section {name} of {path}")


def build(cls, values, where):
    """A frozen dataclass from a mapping. Unknown, missing and mistyped keys are a ValueError that names both sets."""
    if not isinstance(values, dict):
        raise ValueError(f"{where} is {values!r}: expected a mapping with {', '.join(f.name for f in fields(cls))}")
    known = {f.name: f for f in fields(cls)}
    needed = {name for name, f in known.items() if f.default is f.default_factory}  # both are dataclasses.MISSING
    unknown, missing = sorted(values.keys() - known.keys()), sorted(needed - values.keys())
    if unknown or missing:
        parts = [f"unknown {', '.join(map(str, unknown))}"] * bool(unknown) + [f"missing {', '.join(missing)}"] * bool(missing)
        raise ValueError(f"{where}: {'; '.join(parts)}. It takes {', '.join(known)}")
    for name, value in values.items():
        if not _fits(value, known[name].type):
            wanted = getattr(known[name].type, "__name__", None) if isinstance(known[name].type, type) else known[name].type
            raise ValueError(f"{where}: {name} is {value!r}, expected {wanted}")
    return cls(**values)


def _fits(value, kind):
    """Whether a YAML value has an annotated type; integers pass for floats, booleans for nothing but booleans."""
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


def at_least(section, settings, **limits):
    """Raise ValueError for the first field of a section that is below its limit."""
    for name, low in limits.items():
        if (value := getattr(settings, name)) < low:
            raise ValueError(f"{section}.{name} is {value}, expected at least {low}")


def read_yaml(path):
    """A YAML file that holds a mapping. ValueError names the file, and the line where it is broken."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}, expected a mapping")
    return values


def _load(path):
    if not Path(path).exists():
        raise FileNotFoundError(f"no {path} here: run from the project's folder")
    return read_yaml(path)
