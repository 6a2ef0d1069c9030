"""The network of a dump, wherever its workers are: loaded there, and looked at before any of them begins."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from pipeline.base.machine import must_be_here, use_threads
from pipeline.catalog.entries import Model
from pipeline.dump import checks, gate
from pipeline.dump.work import Sizes, sizes_of
from pipeline.formats.tokens import Tokens
from pipeline.formats.unembeddings import Unembedding
from pipeline.models import load, spread
from pipeline.models.unembedding import unembedding_of
from pipeline.readouts.readout import Readout


@dataclass(frozen=True)
class Network:
    """A network that is loaded once in each process that calls this."""

    entry: Model
    path: Path | None
    """where `weights.locate` found it; None for random weights"""
    name: str
    """in catalog.yaml"""
    dtype: str
    device: str
    """as `spread.named` takes it: "" for the GPU where there is one, auto for all places that there are"""
    threads: int
    """of the CPU; 0: as many as this machine has for us"""

    def __call__(self) -> PreTrainedModel:
        """The network, in evaluation mode, on its device or devices."""
        return self._loaded

    @functools.cached_property
    def _loaded(self) -> PreTrainedModel:
        use_threads(self.threads)
        if self.path is not None:
            must_be_here(self.path, f"model {self.name}")
        return spread.loaded(self.entry, self.path, self.name, self.dtype, self.device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_loaded"}


@dataclass(frozen=True)
class Survey:
    """What a plan, its key and the manifest need to know of a network."""

    sizes: Sizes
    kernel: str | None
    """the fused kernel that it will use on its device"""
    reading: gate.Reading | None
    """of the language-model check"""


def survey(network: Network, tokens: Tokens, texts: Sequence[str], readout: Readout, gate_tokens: int) -> Survey:
    """Look at a network. Raises InputError where it cannot read these tokens of `texts`, or not in this way."""
    model = network()
    checks.check_tokens(tokens, texts, model, readout)
    reading = gate.gate_of(model, tokens, texts, gate_tokens)
    return Survey(sizes_of(model, readout), load.kernel_of(model), reading)


def unembedding_in(network: Network) -> Unembedding | str:
    """The unembedding of a network; or why it has none."""
    return unembedding_of(network())
