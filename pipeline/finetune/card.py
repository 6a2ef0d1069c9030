"""README.md of what was learned."""

from typing import Any


def card(report: dict[str, Any]) -> str:
    """The dictionary of finetune.json -> Markdown."""
    settings, history = report["settings"], report["history"]
    start, best = (_shown(history[epoch]["rho"]) for epoch in (0, report["kept"]))
    dataset = settings["dataset"] or report["dataset"]
    what = "a LoRA adapter" if settings["method"] == "lora" else "all weights of its blocks"
    lines = [
        f"# {report['model']}: {report['base']}, fine-tuned",
        "",
        f"{what[0].upper()}{what[1:]} of the model `{report['base']}`, trained on {report['pairs']} train pairs of "
        f"`{dataset}` with the loss `{settings['loss']}`, on the {settings['pooling']} pooled vectors of layer "
        f"{report['layer']}.",
        "",
        f"Of {report['held_out']} train pairs that were held out, Spearman's rho went from {start} to {best} "
        f"(epoch {report['kept']}, which is the one that was kept, of {len(history) - 1}).",
        "",
    ]
    if report["left_out"]:
        lines += [f"{report['left_out']} train pairs with a sentence of another split were left out.", ""]
    if settings["shuffle_labels"]:
        lines += ["**A control: the train labels were permuted.**", ""]
    lines += [
        "To use it, take the entry of that model in catalog.yaml and add this folder as `adapter`. Every setting and "
        "the rho of each epoch are in finetune.json.",
        "",
    ]
    return "\n".join(lines)


def _shown(rho: float | None) -> str:
    return "undefined" if rho is None else f"{rho:.3f}"
