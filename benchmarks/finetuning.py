"""What a step of fine-tuning costs: a LoRA adapter or all weights, keeping what blocks computed or computing it again.

Within each round every variant takes one step, forward and back. Time is of the CPU in all threads; memory is the most
that a step holds beyond the model, by torch's own record of every allocation.
"""

import copy
import time
from dataclasses import replace

import numpy as np

from benchmarks.common import ROOT, in_turns, row
from benchmarks.lengths import allocated
from benchmarks.material import draw_ids, draw_lengths, random_model
from pipeline.base.settings import section
from pipeline.finetune.learning import divided
from pipeline.finetune.method import recompute_blocks, trainee
from pipeline.finetune.pairs import TrainPairs
from pipeline.finetune.settings import Finetune
from pipeline.finetune.train import loss_of

PAIRS = 32
USUAL = replace(section(Finetune, ROOT / "params.yaml"), folds=2, batch_pairs=PAIRS, dropout=0.0)
VARIANTS = {
    "LoRA": USUAL,
    "LoRA, computed again": replace(USUAL, recompute=True),
    "all weights": replace(USUAL, method="full"),
    "all weights, computed again": replace(USUAL, method="full", recompute=True),
}


def steps(rounds=5, width=256, depth=12):
    """An RWKV-6 of 12 x 256 with random weights on 32 pairs of MRPC's lengths: seconds and MiB of a step."""
    rng, model = np.random.default_rng(0), random_model(width, depth)
    numbers = np.arange(2 * PAIRS)
    pairs = TrainPairs([], numbers, numbers + 2 * PAIRS, numbers % 2.0, numbers, 0)
    learning = divided(pairs, draw_ids(rng, draw_lengths(rng, 4 * PAIRS)), USUAL)
    taken = {}
    for name, settings in VARIANTS.items():
        made = trainee(copy.deepcopy(model), settings)
        if settings.recompute:
            recompute_blocks(made.model)
        taken[name] = (made, settings)

    def step(name):
        made, settings = taken[name]
        start = time.process_time()
        loss_of(made, learning, learning.learned[:PAIRS], settings).backward()
        for weight in made.weights.values():
            weight.grad = None
        return time.process_time() - start

    memory = {name: allocated(lambda name=name: step(name)) for name in taken}
    seconds = in_turns(rounds, **{name: lambda name=name: step(name) for name in taken})
    first = seconds["LoRA"]
    return [
        row(
            f"fine-tuning, {name}: time of a step / that of LoRA",
            seconds[name] / first,
            f"{seconds[name]:.2f} s, at most {memory[name] / 2**20:,.0f} MiB beyond the model",
        )
        for name in taken
    ]
