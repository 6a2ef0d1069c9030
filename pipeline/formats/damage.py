"""What a reader says of a file that is not what a stage wrote."""

import json
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError


def damaged(path: str | Path, problem: str, stage: str) -> InputError:
    """The error for a file that is there but not as `stage` (such as pool@demo) wrote it.

    DVC's cache holds the same file under another name, and would give it back: all of them are to go.
    """
    return InputError(
        f"{path} {problem}: it is damaged or not ours. Remove all its names (find . -samefile {path} -delete), then: "
        f"dvc repro {stage}"
    )


def foreign(path: str | Path, problem: str, stage: str) -> InputError:
    """The error for a whole file that belongs to something else: another model, other pairs, an older run."""
    return InputError(f"{path} {problem}: it belongs to another run. Make it again with: dvc repro -f -s {stage}")


def absent(path: str | Path, stage: str) -> InputError:
    """The error for a file that is not there."""
    return InputError(
        f"{path} is not there: run the stage that writes it (dvc repro {stage}), or pull it (dvc pull {stage})"
    )


def read_json(path: str | Path, keys: dict[str, type | tuple[type, ...]], stage: str) -> dict[str, Any]:
    """A JSON file with a mapping that has these keys, of these types, and perhaps more."""
    path = Path(path)
    if not path.is_file():
        raise absent(path, stage)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # a decoding error is one too
        raise damaged(path, f"is not JSON ({error})", stage) from error
    if not isinstance(values, dict):
        raise damaged(path, f"holds {type(values).__name__}, expected a mapping", stage)
    for key, kind in keys.items():
        if key not in values:
            raise damaged(path, f"has no {key!r}", stage)
        if not isinstance(values[key], kind):
            raise damaged(path, f"has {values[key]!r} as {key!r}", stage)
    return values
