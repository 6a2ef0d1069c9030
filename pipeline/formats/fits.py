"""What the stage fit learned from the train pairs of one model: `data/fitted/MODEL/`.

    attention.safetensors   query    (runs, layers, D) float32
    diagonal.safetensors    scale    (runs, layers, D) float32
    scalar_mix.safetensors  weights  (runs, layers) float32

Each holds `layers` (layers,) int64 too, the numbers of its layers, and the sha256 of its arrays. fit.json has the
settings and, for each pooling and layer, the best epoch, Spearman's rho of the held-out train pairs at the start (the
mean) and at that epoch, and whether what was learned was kept.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.base.files import replacing, write_json
from pipeline.formats.damage import damaged, foreign, read_json

ARRAYS = {"attention": "query", "diagonal": "scale", "scalar_mix": "weights"}
"""learned pooling -> the name of its array"""

Fits = dict[str, dict[int, dict[int, np.ndarray]]]
"""{pooling: {run: {layer: (D,) array, or one number}}}"""


def write(folder: str | Path, parameters: dict[str, np.ndarray], layers: np.ndarray, report: dict[str, Any]) -> None:
    """{pooling: array (runs, layers, ...)}, layer numbers (layers,) and fit.json's dictionary -> the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for pooling, array in parameters.items():
        tensors = {ARRAYS[pooling]: array, "layers": layers}
        with replacing(folder / f"{pooling}.safetensors") as part:
            save_file(tensors, part, metadata={"sha256": _digest(tensors)})
    write_json(folder / "fit.json", report)


def read(folder: str | Path, model: str) -> Fits:
    """The learned poolings of a model; none where nothing was learned."""
    learned = read_report(folder, model).get("poolings", {})
    return {pooling: _read_one(Path(folder) / f"{pooling}.safetensors", pooling, model) for pooling in learned}


def _read_one(path: Path, pooling: str, model: str) -> dict[int, dict[int, np.ndarray]]:
    stage = f"fit@{model}"
    try:
        with safe_open(path, "numpy") as file:
            metadata, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"cannot be read ({error})", stage) from error
    if set(tensors) != {ARRAYS[pooling], "layers"} or metadata.get("sha256") != _digest(tensors):
        raise damaged(path, "is not what was written", stage)
    layers = tensors["layers"].tolist()
    return {run: dict(zip(layers, values)) for run, values in enumerate(tensors[ARRAYS[pooling]])}


def _digest(tensors: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode() + tensors[name].tobytes())
    return total.hexdigest()


def read_report(folder: str | Path, model: str) -> dict[str, Any]:
    """The dictionary of fit.json: `nothing` says why nothing was learned, else settings, pairs, layers and poolings."""
    path, stage = Path(folder) / "fit.json", f"fit@{model}"
    report = read_json(path, {"model": str}, stage)
    if report["model"] != model:
        raise foreign(path, f"is the fit of {report['model']}", stage)
    return (
        report if "nothing" in report else read_json(path, {"settings": dict, "layers": list, "poolings": dict}, stage)
    )
