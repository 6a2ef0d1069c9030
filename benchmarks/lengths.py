"""Time per token and memory against the length of a sentence: RWKV-6 beside a Transformer of its width and depth.

python -m benchmarks.lengths                    # two minutes on two quiet cores; writes benchmarks/results/lengths*
python -m benchmarks.lengths --width 2048 --depth 24 --dtype bfloat16 --device cuda --tokens 16384

In each round every model reads every length once, and medians over the rounds are compared. On a CPU the time is that
of the CPU in all threads, which does not count waiting for a core that another program holds. On a GPU it is the wall
clock. Weights are random: they change no cost.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from transformers import AttentionInterface, AutoModel, LlamaConfig

from benchmarks import lengths_picture, scaling
from benchmarks.common import ROOT
from benchmarks.material import VOCABULARY, random_model
from pipeline.models.layers import depth_of, hidden_layers

LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
LONG = 512
"""lengths from here on decide the exponents"""
RWKV, LLAMA, EAGER, LINEAR = "RWKV-6", "Llama", "Llama, eager", "Llama without attention"
HEAD = 64
"""width of a head of both"""


def no_attention(module, query, key, value, attention_mask, **kwargs):
    """Each token attends to itself alone: all the linear parts of a Transformer and nothing that grows with length."""
    return value.transpose(1, 2).contiguous(), None


AttentionInterface.register("no_attention", no_attention)


def llama(width, depth, attention, device):
    """A Llama with random weights; `attention`: sdpa (fused), eager (the whole matrix of weights) or no_attention."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=width // HEAD,
        max_position_embeddings=1 << 20,
        use_cache=False,
        attn_implementation=attention,
    )
    with torch.device(device):
        return AutoModel.from_config(config).eval().requires_grad_(False)


def models_of(width, depth, dtype, device):
    """{name: model}"""
    made = {
        RWKV: random_model(width, depth, device),
        LLAMA: llama(width, depth, "sdpa", device),
        EAGER: llama(width, depth, "eager", device),
        LINEAR: llama(width, depth, "no_attention", device),
    }
    return {name: model.to(getattr(torch, dtype)) for name, model in made.items()}


def last_layer(model, ids):
    """What a pass is here: the last layer of all tokens."""
    return hidden_layers(model, ids, [depth_of(model)])[0]


def seconds_per_token(model, ids):
    """Of one pass, on the clock of its device."""
    clock = time.process_time
    if ids.is_cuda:
        clock = time.perf_counter
        torch.cuda.synchronize()
    start = clock()
    last_layer(model, ids)
    if ids.is_cuda:
        torch.cuda.synchronize()
    return (clock() - start) / ids.numel()


def memory_of(model, ids):
    """Bytes that a pass holds at most beyond its ids and the states that it gives, by torch's own books.

    On a CPU every allocation is recorded by the profiler, on a GPU by the allocator. Both are exact, however busy the
    machine.
    """
    if ids.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        states = last_layer(model, ids)
        return torch.cuda.max_memory_allocated() - before - states.nbytes
    states = []
    return allocated(lambda: states.append(last_layer(model, ids))) - states[0].nbytes


def allocated(function):
    """Bytes that a function's tensors take on the CPU at most, beyond those that were there."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        function()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([event.nbytes() for event in events]).max())


def measured(models, lengths, rounds, tokens, device):
    """Seconds per token (rounds, models, lengths) and bytes (models, lengths), all in turns.

    A pass has at least so many `tokens`: what it costs whatever its size is not to look like a cost of length.
    """
    ids = {length: torch.randint(1, VOCABULARY, (max(1, tokens // length), length)).to(device) for length in lengths}
    for model in models.values():
        for of_length in ids.values():
            last_layer(model, of_length)
    times = np.empty((rounds, len(models), len(lengths)))
    for number in range(rounds):
        for column, length in enumerate(lengths):  # neighbours in time are compared: models at one length
            for row, model in enumerate(models.values()):
                times[number, row, column] = seconds_per_token(model, ids[length])
    memory = [[memory_of(model, ids[length][:1]) for length in lengths] for model in models.values()]
    return times, np.array(memory, dtype=float)


def table_of(names, lengths, times, memory):
    """A row for each model and length."""
    low, median, high = np.quantile(times, (0.25, 0.5, 0.75), axis=0)
    share = 1 - median[names.index(LINEAR)] / median[names.index(LLAMA)]
    rows = []
    for row, name in enumerate(names):
        for column, length in enumerate(lengths):
            figures = {"us_per_token": median, "us_per_token_low": low, "us_per_token_high": high}
            found = {key: 1e6 * values[row, column] for key, values in figures.items()}
            found |= {"bytes_of_a_sentence": int(memory[row, column])}
            found |= {"attention_share": share[column] if name == LLAMA else None}
            rows.append({"model": name, "length": length} | found)
    return pl.DataFrame(rows)


def fits_of(names, lengths, times, memory, rng):
    """Exponents of the time and the memory of a sentence, and where RWKV-6 becomes quicker, each with its interval."""
    lengths = np.asarray(lengths)
    long, medians = lengths >= LONG, np.median(times, axis=0)
    drawn = scaling.resampled_medians(times, rng)
    of_sentence = lengths[long]
    rows = []
    for row, name in enumerate(names):
        value = scaling.exponent(of_sentence, medians[row, long] * of_sentence)
        rows.append(
            fit("exponent of time", name, value, scaling.exponent(of_sentence, drawn[:, row, long] * of_sentence))
        )
        value = scaling.exponent(of_sentence, memory[row, long])
        resampled = scaling.exponent_over_lengths(of_sentence, memory[row, long], rng)
        rows.append(fit("exponent of memory", name, value, resampled))
    ours = names.index(RWKV)
    for theirs in (LLAMA, EAGER):
        other = names.index(theirs)
        value = scaling.crossing(lengths, medians[ours], medians[other])
        resampled = [scaling.crossing(lengths, of_draw[ours], of_draw[other]) for of_draw in drawn]
        rows.append(fit("tokens from which RWKV-6 is quicker", theirs, value, resampled))
    attention, without = names.index(LLAMA), names.index(LINEAR)
    value = 1 - medians[without, -1] / medians[attention, -1]
    share = 1 - drawn[:, without, -1] / drawn[:, attention, -1]
    rows.append(fit(f"attention's share of the time at {lengths[-1]} tokens", LLAMA, value, share))
    return pl.DataFrame(rows)


def fit(figure, model, value, resampled):
    """A row of fits; `defined` is the share of the resamples that have a value."""
    low, high = scaling.interval(resampled)
    defined = float(np.isfinite(resampled).mean())
    return {"figure": figure, "model": model, "value": float(value), "low": low, "high": high, "defined": defined}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=512, help="of a pass at least")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results", help="folder of lengths*.csv and .png")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    models = models_of(arguments.width, arguments.depth, arguments.dtype, arguments.device)
    times, memory = measured(models, arguments.lengths, arguments.rounds, arguments.tokens, arguments.device)
    names, rng = list(models), np.random.default_rng(0)
    table = table_of(names, arguments.lengths, times, memory)
    fits = fits_of(names, arguments.lengths, times, memory, rng)
    table.write_csv(arguments.out / "lengths.csv")
    fits.write_csv(arguments.out / "lengths-fits.csv")
    size = f"{arguments.depth} x {arguments.width}, {arguments.dtype}, {arguments.device}"
    lengths_picture.draw(table, size).savefig(arguments.out / "lengths.png", dpi=200)
    for row in fits.iter_rows(named=True):
        print(f"{row['value']:8.2f} [{row['low']:.2f}, {row['high']:.2f}]  {row['figure']}, {row['model']}")


if __name__ == "__main__":
    main()
