"""What pages say of controls: models and pairs of which one thing was changed on purpose."""

from collections.abc import Mapping
from typing import Any

PAIRS = {
    "permute_labels": "A control: the labels are permuted within each split (seed {}). No score can know them, so rho "
    "should be near 0 for every encoder.",
    "pair_at_random": "A control: sentences are paired at random within each split (seed {}), and the labels are those "
    "of the pairs as they were. Rho should be near 0, but for what a first sentence tells by itself.",
}

NAMES = {"permute_labels": "permuted labels", "pair_at_random": "random pairs"}


def of_pairs(control: Mapping[str, int] | None) -> list[str]:
    """The first lines of a page on pairs that are a control (formats.pairs.INFO); nothing for other pairs."""
    return [line for name, seed in (control or {}).items() for line in (f"> **{PAIRS[name].format(seed)}**", "")]


def in_words(control: Mapping[str, int] | None) -> str:
    """What makes pairs a control, in two words; nothing for other pairs."""
    return " and ".join(NAMES[name] for name in control or {})


def of_model(manifest: Mapping[str, Any] | None) -> str:
    """What makes a model a control, in two words; nothing for another model, or for an encoder that has no manifest."""
    if manifest is None:
        return ""
    shuffled = manifest["parts"]["tokens"]["tokenizer"].get("shuffle_words") is not None
    return " and ".join([*["random weights"] * is_random(manifest), *["shuffled words"] * shuffled])


def is_random(manifest: Mapping[str, Any]) -> bool:
    """Whether a model's weights are drawn: nobody trained it, but for an adapter."""
    return "random" in manifest["parts"]["weights"]
