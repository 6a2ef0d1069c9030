"""What speaks for or against a claim, before it is judged; and the study that it is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.claims.decide import Effects

BOOTSTRAP, QUARTILES = "bootstrap over components", "quartiles of repeats"
HALVES, SINGLE = "halves of the sentences", "one measurement"


@dataclass(frozen=True)
class Evidence:
    """K comparisons of one model by one measure, or why there are none."""

    measure: str
    """a key of rules.RULES"""
    model: str
    variant: str | None = None
    """which of several: the kind of entropy, the probe"""
    against: str | None = None
    """what it is compared with, beside layers: an encoder, a pooling"""
    split: str | None = None
    """None for what is not of a split"""
    n: int | None = None
    """pairs or sentences"""
    effects: Effects | None = None
    """None where there is nothing to go by"""
    figures: tuple[np.ndarray, np.ndarray] | None = None
    """the two figures that each of the K effects is the difference or the ratio of, (K,) each"""
    layers: Sequence[tuple[int | None, int | None]] = ()
    """(K,) the layers of both figures; empty where neither has one"""
    test: str | None = None
    """where intervals and p-values come from"""
    detectable: np.ndarray | None = None
    """(K,) minimum detectable differences"""
    spread: float | None = None
    """standard deviation over the entries that a mean is of"""
    why: str | None = None
    """why there are no effects"""


def untested(measure: str, model: str, why: str, split: str | None = None) -> Evidence:
    """No evidence, and why."""
    return Evidence(measure, model, split=split, why=why)


@dataclass(frozen=True)
class Relations:
    """How the models and baselines of a study hang together, from their manifests and infos."""

    models: list[str]
    baselines: list[str]
    untrained: list[str] = field(default_factory=list)
    """models with random weights that nobody trained"""
    unread: list[str] = field(default_factory=list)
    """models that fail the language-model check"""
    readouts: dict[str, str] = field(default_factory=dict)
    """model -> what was read of it, where that is not its hidden layers"""
    tuned: dict[str, str] = field(default_factory=dict)
    """tuned model -> its base"""
    conditions: list[tuple[str, str, str]] = field(default_factory=list)
    """(model, the earlier one that it is compared with, what they differ in): the same weights in another condition"""
    vectors: str | None = None
    """the averaged word vectors that models are compared with: GloVe, or else the first there are"""
    encoders: list[str] = field(default_factory=list)
    """sentence encoders"""
    overlap: str | None = None
    """the baseline of word overlap"""


def relations(manifests: Mapping[str, Mapping], infos: Mapping[str, Mapping]) -> Relations:
    """{model: manifest} and {baseline: info.json}, in the order of the study."""
    models = list(manifests)
    pairs = [(model, other, differing(manifests[model], manifests[other])) for model in models for other in models]
    tuned = {
        m: o for m, o, found in pairs if found == ["adapter"] and _adapter(manifests[m]) and not _adapter(manifests[o])
    }
    conditions = [
        (model, base, "fine-tuning") for model, base in tuned.items()
    ]  # the base stands first, wherever it is listed
    for at, model in enumerate(models):
        for other in models[:at]:
            names = differing(manifests[model], manifests[other])
            if names is not None and len(names) == 1 and names != ["adapter"]:
                conditions.append((model, other, names[0]))
    known = [name for name, info in infos.items() if "coverage" in info]
    glove = [name for name in known if "glove" in name.lower()]
    return Relations(
        models=models,
        baselines=list(infos),
        untrained=[m for m in models if "random" in manifests[m]["parts"]["weights"] and not _adapter(manifests[m])],
        unread=[m for m in models if (manifests[m]["gate"] or {}).get("passed") is False],
        readouts={m: manifest["readout"] for m, manifest in manifests.items() if manifest["readout"] != "plain"},
        tuned=tuned,
        conditions=conditions,
        vectors=next(iter([*glove, *known]), None),
        encoders=[name for name, info in infos.items() if "modules" in info],
        overlap=next((name for name, info in infos.items() if "dice" in info.get("measures", ())), None),
    )


def _adapter(manifest: Mapping) -> str | None:
    return manifest["parts"]["weights"].get("adapter")


def _of_tokens(manifest: Mapping) -> dict[str, Any]:
    """What decides token ids, with the order of words by itself rather than as a part of the tokenizer."""
    parts = dict(manifest["parts"]["tokens"])
    if isinstance(parts.get("tokenizer"), Mapping):
        tokenizer = dict(parts["tokenizer"])
        parts |= {"shuffled words": tokenizer.pop("shuffle_words", None), "tokenizer": tokenizer}
    return parts


def differing(first: Mapping, second: Mapping) -> list[str] | None:
    """In what two manifests of the same weights differ: adapter, tokenizer, shuffled words, readout; None where the
    weights do.

    Where token ids differ though their settings do not, it is `token ids`.
    """
    weights = [
        {name: part for name, part in one["parts"]["weights"].items() if name != "adapter"} for one in (first, second)
    ]
    if weights[0] != weights[1]:
        return None
    names = [] if _adapter(first) == _adapter(second) else ["adapter"]
    one, other = (_of_tokens(manifest) for manifest in (first, second))
    of_tokens = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    same_ids = first["parts"].get("ids") == second["parts"].get("ids")
    of_readout = [] if first["readout"] == second["readout"] else ["readout"]
    return names + (of_tokens or ([] if same_ids else ["token ids"])) + of_readout
