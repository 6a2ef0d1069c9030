"""Section `probe` of params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.base.errors import InputError, one_of
from pipeline.base.settings import at_least, once
from pipeline.probe.names import PROBES


@dataclass(frozen=True)
class Probe:
    """What is fitted on the vectors of `pooling`, at which layers, and how hard it is regularised."""

    probes: list[str]
    """difference_product (SentEval's |u - v| and u * v) and bilinear; word overlap has one of its measures anyway"""
    layers: str | int | list[int]
    """all, a list of layers (negative ones count from the last), or n for every n-th, of those that the dump kept"""
    strengths: list[float]
    """candidates for scikit-learn's C, the inverse strength of the penalty; for grades, alpha of the ridge is 1 / C"""
    folds: int
    """inner folds of whole train components, on which C is chosen"""
    dimensions: int
    """principal components of the sentences that the bilinear probe sees; fewer where the vectors have fewer"""
    seed: int
    """of the folds, and of the permutation of train labels for the control"""
    controls: bool
    """whether models with random weights, which nobody trained, are probed too"""

    def __post_init__(self) -> None:
        at_least("probe", self, folds=2, dimensions=1, seed=0)
        for name in self.probes:
            one_of(name, PROBES, "probe.probes")
        once(self.probes, "probe.probes")
        if not self.strengths or not all(0 < strength < float("inf") for strength in self.strengths):
            raise InputError(f"probe.strengths is {self.strengths}, expected at least one number above 0, such as 0.01")
        once(map(float, self.strengths), "probe.strengths")
        is_step = isinstance(self.layers, int) and self.layers >= 1
        is_list = isinstance(self.layers, list) and len(self.layers) > 0
        if not (self.layers == "all" or is_step or is_list):
            raise InputError(f"probe.layers is {self.layers!r}: give all, a list of layers, or n for every n-th layer")


def layers_of(setting: str | int | Sequence[int], kept: Sequence[int]) -> list[int]:
    """The layers to probe: the setting `probe.layers`, and the numbers of those that the vectors have, ascending.

    InputError for a layer that they do not have.
    """
    if setting == "all":
        return list(kept)
    if isinstance(setting, int):
        return list(kept[::setting])
    assert not isinstance(setting, str)
    wanted = {number + kept[-1] + 1 if number < 0 else number: number for number in setting}
    if missing := [given for number, given in wanted.items() if number not in kept]:
        listed = ", ".join(map(str, kept))
        raise InputError(f"probe.layers has {missing[0]}, but the vectors have layers {listed} (dump.layers)")
    return sorted(wanted)
