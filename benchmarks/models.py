"""How fast a model runs, beside the `rwkv` package, single sentences and one large matrix product."""

import importlib.util
import os
import statistics
import tempfile
from pathlib import Path

import torch

from benchmarks.common import cpu_seconds, in_turns, row, seconds
from benchmarks.material import (
    DUMP,
    VOCABULARY,
    block_parameters,
    mrpc_passes,
    random_goose,
    random_model,
    run_all,
    tokens_of,
)
from pipeline.models.layers import hidden_layers

NAMES_OF_THE_PACKAGE = {
    "rwkv.embeddings": "emb",
    ".pre_ln": ".ln0",
    ".attention": ".att",
    ".feed_forward": ".ffn",
    "rwkv.": "",
}
NAMES_OF_GOOSE = {
    "lm_head.": "head.",
    "model.norm.": "ln_out.",
    "model.embeddings": "emb",
    "model.layers.": "blocks.",
    ".pre_norm": ".ln0",
    ".attn_norm": ".ln1",
    ".ffn_norm": ".ln2",
    ".attn.": ".att.",
    ".r_proj": ".receptance",
    ".k_proj": ".key",
    ".v_proj": ".value",
    ".o_proj": ".output",
    ".g_norm": ".ln_x",
    "_lora.lora.0.weight": "1",
    "_lora.lora.2.weight": "2",
    "_lora.lora.2.bias": "0",
}
"""the same of RWKV-7"""


def gemm_rate(clock=seconds, size=2048):
    """Operations per second of one large matrix product in float32."""
    a, b = torch.randn(2, size, size)
    return 2 * size**3 / clock(torch.mm, a, b)


def package_of(model, folder):
    """The same weights in PyPI's `rwkv` package, an independent implementation that takes one sentence at a time."""
    is_7 = model.config.model_type == "rwkv7"
    os.environ.update(RWKV_JIT_ON="1", RWKV_CUDA_ON="0", RWKV_V7_ON=str(int(is_7)))
    origin = Path(importlib.util.find_spec("rwkv").origin).with_name("model.py")
    spec = importlib.util.spec_from_file_location(f"rwkv_for_{is_7}", origin)  # it reads the variables when imported
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tensors = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in (NAMES_OF_GOOSE if is_7 else NAMES_OF_THE_PACKAGE).items():
            name = name.replace(ours, theirs)
        low_rank = is_7 and ".att." in name and name[-1] in "12"
        tensors[name] = tensor.T.contiguous() if low_rank else tensor
    torch.save(tensors, folder / "model.pth")
    del tensors
    package = module.RWKV(str(folder / "model"), "cpu fp32", *([] if is_7 else [False]))
    (folder / "model.pth").unlink()
    return package


def speed_of(dim, blocks, passes, singles, rounds):
    """Rows of a model of some size: `passes` forward passes of several sentences, `singles` of one."""
    model = random_model(dim, blocks)
    batches = mrpc_passes(DUMP.batch_tokens, passes)
    sentences = [ids[:1] for ids in mrpc_passes(DUMP.batch_tokens, singles)]
    tokens, tokens_of_singles = tokens_of(batches), tokens_of(sentences)
    with tempfile.TemporaryDirectory() as folder:
        package = package_of(model, Path(folder))

    def run_package():
        for ids in sentences:
            package.forward(ids[0].tolist(), None)

    functions = {
        "gemm": gemm_rate,
        "ours": lambda: tokens / seconds(run_all, model, batches),
        "gemm_again": gemm_rate,
        "loop": lambda: tokens_of_singles / seconds(run_all, model, sentences),
        "package": lambda: tokens_of_singles / seconds(run_package),
    }
    in_turns(1, **functions)  # warm up
    rates = in_turns(rounds, **functions)
    gemm = statistics.mean((rates["gemm"], rates["gemm_again"]))
    ours, theirs, loop = rates["ours"], rates["package"], rates["loop"]
    size = f"{blocks} x {dim}"
    detail = f"{ours:.0f} / {theirs:.0f}; {tokens} tokens of MRPC's lengths in {passes} passes, {rounds} rounds"
    floor = f"2048 x 2048 x 2048 in float32: {gemm / 1e9:.0f} GFLOP/s"
    return [
        row(f"tokens per second, ours / `rwkv` package, {size}", ours / theirs, detail),
        row(f"tokens per second, ours / one sentence at a time, {size}", ours / loop, f"{ours:.0f} / {loop:.0f}"),
        row(f"share of the GEMM floor, {size}", ours * 2 * block_parameters(model) / gemm, floor),
    ]


def speed(rounds=5):
    """Tokens per second against the `rwkv` package and a loop over single sentences; share of the GEMM floor."""
    return speed_of(dim=768, blocks=12, passes=8, singles=8, rounds=rounds)


def speed_large(rounds=3):
    """The same of a model of 24 x 2048."""
    return speed_of(dim=2048, blocks=24, passes=2, singles=2, rounds=rounds)


def goose(rounds=5, dim=768, depth=4, passes=4, singles=4):
    """RWKV-7 of 4 x 768, in CPU time: tokens per second against `rwkv`, `rwkv7-hf`, RWKV-6; share of the GEMM floor."""
    from rwkv7_hf import RWKV7Config, RWKV7ForCausalLM

    model, finch = random_goose(dim, depth), random_model(dim, depth)
    theirs = RWKV7ForCausalLM(RWKV7Config(**model.config.to_diff_dict())).eval().requires_grad_(False)
    theirs.load_state_dict(model.state_dict())
    batches = mrpc_passes(DUMP.batch_tokens, passes)
    few = batches[1::2]
    sentences = [ids[:1] for ids in mrpc_passes(DUMP.batch_tokens, singles)]
    with tempfile.TemporaryDirectory() as folder:
        package = package_of(model, Path(folder))

    def run_package():
        for ids in sentences:
            package.forward(ids[0].tolist(), None)

    def run_hf():
        with torch.inference_mode():
            for ids in few:
                theirs.model(input_ids=ids, output_hidden_states=True)

    functions = {
        "gemm": lambda: gemm_rate(cpu_seconds),
        "ours": lambda: tokens_of(batches) / cpu_seconds(run_all, model, batches),
        "gemm_again": lambda: gemm_rate(cpu_seconds),
        "finch": lambda: tokens_of(batches) / cpu_seconds(run_all, finch, batches),
        "package": lambda: tokens_of(sentences) / cpu_seconds(run_package),
        "hf": lambda: tokens_of(few) / cpu_seconds(run_hf),
    }
    in_turns(1, **functions)  # warm up
    rates = in_turns(rounds, **functions)
    gemm, ours, size = statistics.mean((rates["gemm"], rates["gemm_again"])), rates["ours"], f"{depth} x {dim}"
    detail = f"{tokens_of(batches)} tokens of MRPC's lengths in {passes} passes, {rounds} rounds"
    floor = f"2048 x 2048 x 2048 in float32: {gemm / 1e9:.0f} GFLOP/s"
    return [
        row(f"RWKV-7, ours / `rwkv` package, {size}", ours / rates["package"], f"{ours:.0f} tokens/s; {detail}"),
        row(f"RWKV-7, ours / `rwkv7-hf`, {size}", ours / rates["hf"], f"it ran {len(few)} of the passes"),
        row(f"RWKV-7 / RWKV-6, both ours, {size}", ours / rates["finch"], f"{rates['finch']:.0f} tokens/s of RWKV-6"),
        row(f"RWKV-7, share of the GEMM floor, {size}", ours * 2 * block_parameters(model) / gemm, floor),
    ]


def budgets(rounds=5, sizes=(64, 128, 256, 512, 1024, 2048)):
    """Which dump.batch_tokens? Tokens per second of each, as a share of the best."""
    model = random_model(768, 12)
    batches = {size: mrpc_passes(size, 4096 // size) for size in sizes}

    def rate(size):
        return tokens_of(batches[size]) / seconds(run_all, model, batches[size])

    functions = {str(size): lambda size=size: rate(size) for size in sizes}
    in_turns(1, **functions)
    rates = in_turns(rounds, **functions)
    best = max(rates.values())
    return [
        row(f"dump.batch_tokens {size}, share of the best", rate / best, f"12 x 768, {rate:.0f} tokens/s")
        for size, rate in rates.items()
    ]


def long_sentences(rounds=5, lengths=(16, 64, 256, 1024, 4096)):
    """Time per token against the length of a sentence, as a multiple of the shortest's."""
    model = random_model(768, 12)
    batches = {length: torch.randint(1, VOCABULARY, (max(1, 512 // length), length)) for length in lengths}

    def time_per_token(length):
        return seconds(hidden_layers, model, batches[length]) / batches[length].numel()

    functions = {str(length): lambda length=length: time_per_token(length) for length in lengths}
    in_turns(1, **functions)
    times = in_turns(rounds, **functions)
    shortest = lengths[0]
    return [
        row(
            f"{length} tokens a sentence, time per token / that of {shortest}",
            time / times[str(shortest)],
            f"12 x 768, {1e3 * time:.3f} ms a token",
        )
        for length, time in times.items()
    ]
