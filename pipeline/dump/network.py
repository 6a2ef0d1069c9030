"""The network of a dump, wherever its workers are: loaded there, and looked at before any of them begins."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

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

HERE: dict[str, PreTrainedModel] = {}
"""the network that this process has loaded, by its mark: one at most. It outlives what asked for it, so that a worker
that has looked at it need not load it again.
"""


@dataclass(frozen=True)
class Network:
    """A network that is loaded once in each process that calls this, or a copy of it."""

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
    mark: str = field(default_factory=partial(secrets.token_hex, 8))
    """which copies share: another one with the same fields may be of a file that has changed"""

    def __call__(self) -> PreTrainedModel:
        """The network, in evaluation mode, on its device or devices."""
        if self.mark not in HERE:
            HERE.clear()  # before another takes memory
            HERE[self.mark] = self.load()
        return HERE[self.mark]

    def load(self) -> PreTrainedModel:
        """The same, once more."""
        use_threads(self.threads)
        if self.path is not None:
            must_be_here(self.path, f"model {self.name}")
        return spread.loaded(self.entry, self.path, self.name, self.dtype, self.device)


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
