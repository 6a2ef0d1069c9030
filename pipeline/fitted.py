"""What the fit stage learned from the train pairs of one model: a safetensors file for each learned pooling, and fit.json.

    attention.safetensors   query    (runs, layers, D) float32
    diagonal.safetensors    scale    (runs, layers, D) float32
    scalar_mix.safetensors  weights  (runs, layers) float32

Each holds `layers` (layers,) int64 too, the numbers of its layers. fit.json has, for each layer, the best epoch, Spearman's rho of the
train pairs, each scored by the run that held it out, at the start (the mean) and at that epoch, and whether what was learned was kept.
"""

import json
from pathlib import Path

from safetensors.numpy import load_file, save_file

NAMES = {"attention": "query", "diagonal": "scale", "scalar_mix": "weights"}


def write(folder, parameters, layers, about):
    """{pooling: array (runs, layers, ...)}, layer numbers (layers,) and fit.json's dictionary -> the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for pooling, array in parameters.items():
        save_file({NAMES[pooling]: array, "layers": layers}, folder / f"{pooling}.safetensors")
    (folder / "fit.json").write_text(json.dumps(about, indent=1) + "\n")


def read(folder):
    """The folder -> {pooling: {run: {layer: (D,) array, or one number}}}."""
    found = {}
    for pooling, name in NAMES.items():
        if (file := Path(folder) / f"{pooling}.safetensors").exists():
            tensors = load_file(file)
            found[pooling] = {run: dict(zip(tensors["layers"].tolist(), one)) for run, one in enumerate(tensors[name])}
    return found


def about(folder):
    """The dictionary of fit.json."""
    return json.loads((Path(folder) / "fit.json").read_text())
