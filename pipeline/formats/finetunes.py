"""What the stage finetune learned: `data/finetuned/MODEL/`, in the layout of `peft` where it is an adapter.

    adapter_config.json, adapter_model.safetensors    a LoRA adapter (finetune.method: lora)
    weights.safetensors                               every weight that was trained (finetune.method: full)
    README.md                                         a card for people
    finetune.json                                     settings, pairs, rho of held-out pairs after each epoch

finetune.json alone, with `nothing`, where a model is not fine-tuned.
"""

from pathlib import Path
from typing import Any

from pipeline.formats.damage import foreign, read_json

CONFIG, ADAPTER, FULL, REPORT, CARD = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "weights.safetensors",
    "finetune.json",
    "README.md",
)
WEIGHTS = (CONFIG, ADAPTER, FULL)
"""the files that decide what a model computes"""


def read_report(folder: str | Path, model: str) -> dict[str, Any]:
    """finetune.json of a model: `nothing` says why nothing was learned."""
    path, stage = Path(folder) / REPORT, f"finetune@{model}"
    report = read_json(path, {"model": str}, stage)
    if report["model"] != model:
        raise foreign(path, f"is that of {report['model']}", stage)
    return report if "nothing" in report else read_json(path, {"settings": dict, "history": list}, stage)
