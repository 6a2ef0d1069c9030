"""Results of models and baselines that params.yaml no longer names, in the folders that later stages read as a whole.

`score`, `compare` and `report` depend on folders such as data/pooled, which hold a result for each model. DVC does
not clear the result of a model that was taken out of params.yaml, so such a folder would never again be what it was
before the model was added, and going back would run those stages once more. What dvc.lock records can be restored
from DVC's cache at any time, so it is removed from the workspace; anything else is left alone.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from pipeline.base.settings import Study, read_yaml

MODEL_FOLDERS = tuple(
    f"data/{name}"
    for name in ("finetuned", "fitted", "manifests", "pooled", "probes", "sweeps", "tokens", "unembeddings")
)
BASELINE_FOLDERS = ("data/baselines",)


def unnamed(study: Study, root: Path = Path()) -> list[Path]:
    """What lies in the folders of several models or baselines, and belongs to none that is named."""
    stale = []
    for folders, names in ((MODEL_FOLDERS, study.models), (BASELINE_FOLDERS, study.baselines)):
        for folder in folders:
            present = sorted((root / folder).iterdir()) if (root / folder).is_dir() else []
            stale += [path for path in present if _owner(path) not in names]
    return stale


def _owner(path: Path) -> str:
    """The model or baseline of a result: the name of its file or folder without an ending."""
    return path.name.split(".")[0]


def recorded(root: Path = Path()) -> set[str]:
    """Every result that dvc.lock has a hash of, as a path relative to the project."""
    if not (root / "dvc.lock").exists():
        return set()
    stages = read_yaml(root / "dvc.lock").get("stages", {})
    return {out["path"] for stage in stages.values() for out in stage.get("outs", [])}


def put_away(study: Study, root: Path = Path()) -> list[Path]:
    """Remove what is unnamed and recorded, and return it."""
    stale = unnamed(study, root)
    outs = recorded(root) if stale else set()
    removed = [path for path in stale if _is_recorded(path.relative_to(root), outs)]
    for path in removed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return removed


def summary(removed: Iterable[Path]) -> str:
    """One line for the log: whose results were removed."""
    names = ", ".join(dict.fromkeys(map(_owner, removed)))
    return f"put away, since params.yaml does not name them: results of {names} (DVC's cache has them)"


def _is_recorded(path: Path, outs: Iterable[str]) -> bool:
    """Whether DVC has a result itself, or, of a folder such as data/pooled/MODEL, every file in it."""
    return any(Path(out) == path or path in Path(out).parents for out in outs)
