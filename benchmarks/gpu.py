"""A model and a dump on a GPU."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import in_turns, row, seconds, workspace, write_to_disk
from benchmarks.material import (
    DUMP,
    all_lengths,
    block_parameters,
    draw_ids,
    mrpc_passes,
    random_model,
    run_all,
    tokens_of,
)
from pipeline.dump.run import Places, dump
from pipeline.models.rwkv6_recurrence import fused_kernel

BATCH_TOKENS = 16384
SIDE = 8192
"""of the matrices whose product is the measure"""


def gpu(rounds=5):
    """On a GPU: 24 x 2048 in bfloat16 over MRPC's lengths against the GEMM rate, and the dump of all sentences."""
    model = random_model(2048, 24, "cuda").to(torch.bfloat16)
    return [share_of_gemm(model, rounds), whole_dump(model)]


def seconds_on_gpu(function, *arguments):
    """Time of a call until the GPU has done all of it."""

    def finished():
        function(*arguments)
        torch.cuda.synchronize()

    torch.cuda.synchronize()
    return seconds(finished)


def share_of_gemm(model, rounds):
    """Operations per second in the blocks, as a share of those of one large product."""
    batches = [ids.cuda() for ids in mrpc_passes(BATCH_TOKENS, 8)]
    tokens = tokens_of(batches)
    a, b = torch.randn(2, SIDE, SIDE, device="cuda", dtype=torch.bfloat16)
    functions = {
        "gemm": lambda: 2 * SIDE**3 / seconds_on_gpu(torch.mm, a, b),
        "ours": lambda: tokens / seconds_on_gpu(run_all, model, batches),
    }
    in_turns(2, **functions)
    rates = in_turns(rounds, **functions)
    share = rates["ours"] * 2 * block_parameters(model) / rates["gemm"]
    kernel = "fused kernel" if fused_kernel(torch.device("cuda:0")) else "no fused kernel"
    detail = f"{rates['ours']:.0f} tokens/s of {rates['gemm'] / 1e12:.0f} TFLOP/s, {kernel}"
    return row("GPU, share of the bfloat16 GEMM rate, 24 x 2048", share, detail)


def whole_dump(model):
    """Seconds of a dump of MRPC, beside what the disk takes for as many bytes."""
    ids = draw_ids(np.random.default_rng(0), all_lengths())
    settings = replace(DUMP, dtype="bfloat16", batch_tokens=BATCH_TOKENS)
    with workspace() as name:
        folder = Path(name)
        places = Places(folder / "out", "key", store=folder / "store")
        took = seconds(dump, model, ids, np.arange(len(ids)), settings, places)
        size = sum(path.stat().st_size for path in places.out.iterdir())
        disk = 2**30 / seconds(write_to_disk, folder / "raw", os.urandom(2**30))
    detail = f"{size / 1e9:.1f} GB, which the disk writes in {size / disk:.1f} s"
    return row("GPU, seconds for all 25 layers of MRPC's 10,944 sentences", took, detail)
