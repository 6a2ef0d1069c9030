"""How fast, how large, how flat: `make bench` writes benchmarks/results/NAME.json and NAME.md.

Everything that is compared is measured in turns in one run, and medians are compared: absolute times of a shared machine mean
little, ratios of neighbours do. Every benchmark is a function that returns rows of {figure, value, detail}.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
import torch
from scipy import stats

from pipeline import correlation, dumping, layers, pooling, scratch, shards, sweeping
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM

ROOT = Path(__file__).parents[1]
MRPC = {  # tokens -> sentences: the distinct sentences of MRPC (GLUE's text, all splits) in tokens of the World vocabulary
    **{7: 2, 8: 9, 9: 15, 10: 33, 11: 49, 12: 102, 13: 149, 14: 237, 15: 273, 16: 329, 17: 370, 18: 379, 19: 437, 20: 474, 21: 500, 22: 526},
    **{23: 584, 24: 563, 25: 534, 26: 539, 27: 534, 28: 519, 29: 498, 30: 481, 31: 424, 32: 391, 33: 382, 34: 361, 35: 309, 36: 246, 37: 169},
    **{38: 137, 39: 127, 40: 62, 41: 58, 42: 42, 43: 40, 44: 17, 45: 15, 46: 7, 47: 7, 48: 4, 49: 4, 50: 3, 51: 2, 52: 1},
}
SETTINGS = dumping.Dump(dtype="float32", store="float16", layers="all", keep="tokens", batch_tokens=512, shard_mb=256, gate_tokens=0)


def workspace():
    """A temporary folder on the disk of the project, which a dump writes to."""
    (ROOT / ".drillcore").mkdir(exist_ok=True)
    return tempfile.TemporaryDirectory(dir=ROOT / ".drillcore", prefix="bench-")


def seconds(function, *args):
    """Wall time of a call."""
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def in_turns(rounds, **functions):
    """{name: median of its values over the rounds}; in each round every function is called once, in order."""
    found = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            found[name].append(function())
    return {name: statistics.median(values) for name, values in found.items()}


def row(figure, value, detail):
    return {"figure": figure, "value": value, "detail": detail}


def random_model(dim, blocks, vocabulary=1000):
    torch.manual_seed(0)
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=vocabulary, hidden_size=dim, num_hidden_layers=blocks)).eval().requires_grad_(False)


def block_parameters(model):
    return sum(p.numel() for p in model.rwkv.blocks.parameters())


def gemm_rate(device="cpu", size=2048, dtype=torch.float32):
    """Operations per second of one large matrix product."""
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    return 2 * size**3 / seconds(torch.mm, a, b)


def run_all(model, batches):
    """Every layer of every pass, kept no longer than the pass."""
    for one in batches:
        layers.hidden_layers(model, one)


def passes_of(batch_tokens, count):
    """Forward passes (B, T) of ids with MRPC's lengths as the plan cuts them: `count` of them, evenly over the tokens, shortest first."""
    lengths = np.repeat(list(MRPC), list(MRPC.values()))
    cut = [one for shard in dumping.plan(lengths, lengths, batch_tokens, 10**9) for record in shard for one in record]
    tokens = np.cumsum([lengths[one].sum() for one in cut])
    chosen = [cut[i] for i in np.searchsorted(tokens, (np.arange(count) + 0.5) / count * tokens[-1])]
    assert np.mean([lengths[one].sum() for one in chosen]) > 0.7 * batch_tokens, "these passes are not those that a dump spends its time on"
    return [torch.randint(1, 1000, (len(one), int(lengths[one[0]]))) for one in chosen]


def package_of(model, folder):
    """The same weights in PyPI's `rwkv` package, an independent implementation that takes one sentence at a time."""
    os.environ.update(RWKV_JIT_ON="1", RWKV_CUDA_ON="0")
    from rwkv.model import RWKV

    back = {"rwkv.embeddings": "emb", ".pre_ln": ".ln0", ".attention": ".att", ".feed_forward": ".ffn", "rwkv.": ""}
    tensors = {}
    for name, tensor in model.state_dict().items():
        for new, old in back.items():
            name = name.replace(new, old)
        tensors[name] = tensor
    torch.save(tensors, folder / "model.pth")
    del tensors
    package = RWKV(model=str(folder / "model"), strategy="cpu fp32", verbose=False)
    (folder / "model.pth").unlink()
    return package


def speed(dim, blocks, passes, alone, rounds):
    """(a, b) Tokens per second against the `rwkv` package and a loop over single sentences; share of the GEMM floor."""
    model = random_model(dim, blocks)
    batches, flops = passes_of(SETTINGS.batch_tokens, passes), 2 * block_parameters(model)
    singles = [one[:1] for one in passes_of(SETTINGS.batch_tokens, alone)]
    tokens, few = sum(one.numel() for one in batches), sum(one.numel() for one in singles)
    with tempfile.TemporaryDirectory() as folder:
        package = package_of(model, Path(folder))
    functions = {
        "gemm": gemm_rate,
        "ours": lambda: tokens / seconds(run_all, model, batches),
        "gemm_again": gemm_rate,
        "loop": lambda: few / seconds(run_all, model, singles),
        "package": lambda: few / seconds(lambda: [package.forward(one[0].tolist(), None) for one in singles]),
    }
    in_turns(1, **functions)  # warm up
    found = in_turns(rounds, **functions)
    rate = statistics.mean((found["gemm"], found["gemm_again"]))
    size, sizes = f"{tokens} tokens of MRPC's lengths in {passes} passes, {rounds} rounds", f"{blocks} x {dim}"
    ours, package, loop = (found[name] for name in ("ours", "package", "loop"))
    return [
        row(f"tokens per second, ours / `rwkv` package, {sizes}", ours / package, f"{ours:.0f} / {package:.0f}; {size}"),
        row(f"tokens per second, ours / one sentence at a time, {sizes}", ours / loop, f"{ours:.0f} / {loop:.0f}"),
        row(f"share of the GEMM floor, {sizes}", ours * flops / rate, f"2048 x 2048 x 2048 in float32: {rate / 1e9:.0f} GFLOP/s"),
    ]


def budgets(rounds=5):
    """Which dump.batch_tokens? Tokens per second of each, as a share of the best."""
    model = random_model(768, 12)
    sizes = (64, 128, 256, 512, 1024, 2048)
    batches = {n: passes_of(n, 4096 // n) for n in sizes}

    def rate(n):
        return sum(one.numel() for one in batches[n]) / seconds(run_all, model, batches[n])

    functions = {str(n): lambda n=n: rate(n) for n in sizes}
    in_turns(1, **functions)
    found = in_turns(rounds, **functions)
    best = max(found.values())
    return [row(f"dump.batch_tokens {n}, share of the best", found[str(n)] / best, f"12 x 768, {found[str(n)]:.0f} tokens/s") for n in sizes]


def dump_wall(rounds=3, sentences=400):
    """(c) The whole dump, in several shards, against the larger of computing alone and writing the same bytes alone."""
    settings = replace(SETTINGS, shard_mb=40)
    model = random_model(768, 12)
    random = np.random.default_rng(0)
    lengths = random.choice(list(MRPC), sentences, p=np.array(list(MRPC.values())) / sum(MRPC.values()))
    ids = [random.integers(1, 1000, n).astype(np.int32) for n in lengths]
    the_plan = dumping.plan(lengths, lengths, SETTINGS.batch_tokens, 10**9)
    batches = [torch.from_numpy(np.stack([ids[i] for i in one])).long() for shard in the_plan for record in shard for one in record]
    with workspace() as folder:
        folder, runs = Path(folder), iter(range(1000))

        def dump():
            dumping.dump(model, ids, np.arange(sentences), f"run{next(runs)}", folder / "out", settings, store=folder / "store")

        data = os.urandom(int(lengths.sum()) * (13 * 768 * 2 + 12))

        def write():
            with open(folder / "raw", "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

        found = in_turns(
            rounds,
            compute=lambda: seconds(run_all, model, batches),
            dump=lambda: seconds(dump),
            write=lambda: seconds(write),
        )
    detail = f"{found['dump']:.2f} s / max({found['compute']:.2f} s, {found['write']:.2f} s); 12 x 768, {lengths.sum()} tokens, {len(data) / 1e6:.0f} MB"
    return [row("dump, wall / max(compute alone, raw write alone)", found["dump"] / max(found["compute"], found["write"]), detail)]


@contextmanager
def token_states(sentences=1000, dim=768, count=13):
    """Random token states of MRPC's lengths, shortest sentence first, as shards and as a raw file for each layer -> folder, lengths and a
    function (layer) -> (S, D): the mean of each sentence by a memory-mapped read of the raw file and a segment sum."""
    random = np.random.default_rng(0)
    lengths = np.sort(random.choice(list(MRPC), sentences, p=np.array(list(MRPC.values())) / sum(MRPC.values())))
    with workspace() as folder:
        folder = Path(folder)
        (folder / "states").mkdir()
        schema, raw = shards.schema(range(count), dim, "float16"), [[] for _ in range(count)]
        shard, start = scratch.Shard(folder / "states/shard-00000.arrow", schema), 0
        while start < sentences:
            end = start + max(1, int(np.searchsorted(np.cumsum(lengths[start:]), 4000)))
            some = lengths[start:end]
            states = [random.standard_normal((some.sum(), dim), dtype=np.float32).astype(np.float16) for _ in range(count)]
            shard.writer.write_batch(
                shards.record_batch([np.repeat(np.arange(start, end), some), np.concatenate([np.arange(n, dtype=np.int32) for n in some]), *states], schema)
            )
            for layer, one in enumerate(states):
                raw[layer].append(one)
            start = end
        shard.finish()
        for layer in range(count):
            np.concatenate(raw.pop(0)).tofile(folder / f"raw-{layer}")
        starts = np.concatenate([[0], np.cumsum(lengths)])
        segment = torch.from_numpy(np.repeat(np.arange(sentences), lengths))

        def raw_mean(layer):
            mapped, out = np.memmap(folder / f"raw-{layer}", np.float16, "r", shape=(starts[-1], dim)), torch.zeros(sentences, dim)
            for i in range(0, sentences, 32):
                a, b = starts[i], starts[min(i + 32, sentences)]
                out.index_add_(0, segment[a:b], torch.from_numpy(np.asarray(mapped[a:b], dtype=np.float32)))
            return out / torch.from_numpy(lengths)[:, None]

        yield folder, lengths, raw_mean


def size_of(lengths, count, dim):
    return f"{len(lengths)} sentences, {lengths.sum()} tokens, {count} layers of {dim}"


def pooling_cost(rounds=5, dim=768, count=13):
    """(d) Pooling (mean) of token states against a raw memory-mapped read and a segment mean, for all layers and for one."""
    with token_states(dim=dim, count=count) as (folder, lengths, raw_mean):

        def pooled(layer):
            name, functions = shards.layer_name(layer), {"mean": lambda h, ids: pooling.mean(h)}
            return np.concatenate([pooling.pool_tokens(batch, name, functions)["mean"] for batch in shards.record_batches(folder / "states")])

        assert np.allclose(raw_mean(3).numpy(), pooled(3), atol=1e-5)
        functions = {
            "raw": lambda: seconds(lambda: [raw_mean(layer) for layer in range(count)]),
            "ours": lambda: seconds(lambda: [pooled(layer) for layer in range(count)]),
            "stage": lambda: seconds(lambda: pooling.pool(folder / "states", "mean", folder / "vectors.parquet", {})),
            "raw_one": lambda: seconds(lambda: raw_mean(5)),
            "ours_one": lambda: seconds(lambda: pooled(5)),
        }
        in_turns(1, **functions)
        found = in_turns(rounds, **functions)
    size = size_of(lengths, count, dim)
    return [
        row("pooling all layers / raw read and segment mean", found["ours"] / found["raw"], f"{found['ours']:.3f} / {found['raw']:.3f} s; {size}"),
        row("the same with its Parquet file written", found["stage"] / found["raw"], f"{found['stage']:.3f} s"),
        row("pooling one layer / raw read and segment mean", found["ours_one"] / found["raw_one"], f"{found['ours_one']:.4f} / {found['raw_one']:.4f} s"),
    ]


TEN = ["mean", "weighted_mean", "norm_mean", "skip_first", "last_4", "last", "max", "mean_max", "idf_mean", "sif"]  # the first of params.yaml


def sweep_cost(rounds=5, dim=768, count=13):
    """(i) Ten poolings in one read of the token states (in the page cache) against one read with the mean, and against ten reads."""
    with token_states(dim=dim, count=count) as (folder, lengths, raw_mean):
        random, sentences = np.random.default_rng(0), np.arange(len(lengths))
        ids = [random.integers(1, 5000, n) for n in lengths]
        first, second = random.permutation(sentences).reshape(2, -1)
        pairs = pl.DataFrame({"pair_id": range(len(first)), "split": "train", "label": random.integers(0, 2, len(first)).astype(float)})
        pairs = pairs.with_columns(pl.Series("sentence1_id", first), pl.Series("sentence2_id", second))
        weights = pooling.token_weights(sentences, ids, sentences, TEN)
        settings = sweeping.Sweep(poolings=TEN, corrections=["none"], similarities=["cosine"])

        def pooled(names):
            """The vectors of all layers, a layer at a time; none is kept."""
            batches = list(shards.record_batches(folder / "states"))
            for layer in range(count):
                sweeping.vectors_of(batches, layer, shards.layer_name(layer), names, weights, {}, sentences)

        functions = {
            "raw": lambda: seconds(lambda: [raw_mean(layer) for layer in range(count)]),
            "mean": lambda: seconds(pooled, ["mean"]),
            "ten": lambda: seconds(pooled, TEN),
            "one_by_one": lambda: seconds(lambda: [pooled([name]) for name in TEN]),
            "sweep": lambda: seconds(sweeping.sweep, folder / "states", pairs, folder / "scores.parquet", "m", settings, weights, {}),
        }
        in_turns(1, **functions)
        found = in_turns(rounds, **functions)
    size = size_of(lengths, count, dim)
    return [
        row("ten poolings in one read / raw read and segment mean", found["ten"] / found["raw"], f"{found['ten']:.3f} / {found['raw']:.3f} s; {size}"),
        row("ten poolings in one read / pooling the mean alone", found["ten"] / found["mean"], f"the mean: {found['mean']:.3f} s"),
        row("ten poolings in one read / the same ten one after the other", found["ten"] / found["one_by_one"], f"{found['one_by_one']:.3f} s"),
        row("the same with scores written / ten poolings in one read", found["sweep"] / found["ten"], f"{found['sweep']:.3f} s; cosines of {len(first)} pairs"),
    ]


def bootstrap_cost(rounds=5, vectors=250, resamples=10_000, pairs=5801, components=5143):
    """(h) Bootstrap of 25 layers x 10 poolings over MRPC's pairs against a loop over scipy.stats.spearmanr, and its memory."""
    random = np.random.default_rng()
    component = random.permutation(np.append(np.arange(components), random.integers(0, components, pairs - components)))
    labels = (random.random(pairs) < 0.676).astype(np.float64)
    scores = random.standard_normal((vectors, pairs)) + labels
    scores[::10] = np.round(scores[::10], 1)  # one pooling in ten has ties, as `last` has
    few, sample = resamples // 10, 100
    drawn = [np.repeat(np.arange(pairs), times.astype(int)) for times in correlation.resample_weights(component, sample, np.random.default_rng(0)).T]
    chosen = np.arange(sample) % vectors  # each resample with another vector
    repeated = [(scores[k, rows], labels[rows]) for k, rows in zip(chosen, drawn)]
    found = {}

    def ours():
        found["ours"] = correlation.bootstrap(scores, labels, component, few, 0)["spearman"][chosen, np.arange(sample)]

    def loop():
        found["loop"] = [stats.spearmanr(*two).statistic for two in repeated]

    functions = {"ours": lambda: seconds(ours) / few / vectors, "loop": lambda: seconds(loop) / sample}
    in_turns(1, **functions)
    each = in_turns(rounds, **functions)
    tracemalloc.start()
    took = seconds(correlation.bootstrap, scores, labels, component, resamples, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    times = f"{1e6 * each['loop']:.0f} / {1e6 * each['ours']:.1f} us; {vectors} vectors, {pairs} pairs in {components} components"
    return [
        row("bootstrap, scipy.stats.spearmanr in a loop / ours", each["loop"] / each["ours"], times),
        row("the largest difference of the two", float(np.abs(found["ours"] - found["loop"]).max()), f"{sample} resamples, each with another vector"),
        row(f"peak GiB beyond the inputs, {resamples:,} resamples", peak / 2**30, f"the results are {3 * 8 * vectors * resamples / 2**30:.3f} GiB of it"),
        row(f"seconds for {resamples:,} resamples", took, "rho, AUC and Pearson's r, while memory was traced"),
    ]


def memory(kind):
    """Bytes that this process holds (VmRSS), or held at most (VmHWM); getrusage would count what its parent held when it was forked."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) * 1024


def one_size(sentences, length):
    """In a process of its own: dump short synthetic sentences with keep: pooled -> {seconds, peak bytes beyond weights and one batch}."""
    model = random_model(64, 2)
    random = np.random.default_rng(0)
    settings = dumping.Dump(dtype="float32", store="float16", layers="all", keep="pooled", batch_tokens=512, shard_mb=64, gate_tokens=0)
    layers.hidden_layers(model, torch.randint(1, 1000, (512 // length, length)))
    with workspace() as folder:
        gc.collect()
        base = memory("VmRSS")
        ids = np.split(random.integers(1, 1000, sentences * length, dtype=np.int32), np.arange(length, sentences * length, length))
        took = seconds(dumping.dump, model, ids, np.arange(sentences), "key", Path(folder) / "out", settings, Path(folder) / "store")
    return {"seconds": took, "peak": memory("VmHWM") - base}


def many_sentences(sizes=(1000, 10_000, 100_000, 1_000_000)):
    """(e) Time per sentence and peak memory against the number of sentences."""
    rows = []
    for n in sizes:
        command = [sys.executable, "-m", "benchmarks.run", "--one-size", str(n), "--threads", str(torch.get_num_threads())]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rows.append(row(f"{n:,} sentences, microseconds each", 1e6 * found["seconds"] / n, "2 x 64, 8 tokens each, keep: pooled"))
        rows.append(row(f"{n:,} sentences, peak GiB beyond weights and one batch", found["peak"] / 2**30, "ids of all sentences included"))
    return rows


def long_sentences(lengths=(16, 64, 256, 1024, 4096), rounds=5):
    """(f) Time per token against the length of a sentence, as a share of the shortest's."""
    model = random_model(768, 12)
    batches = {n: torch.randint(1, 1000, (max(1, 512 // n), n)) for n in lengths}
    functions = {str(n): lambda n=n: seconds(layers.hidden_layers, model, batches[n]) / batches[n].numel() for n in lengths}
    in_turns(1, **functions)
    found = in_turns(rounds, **functions)
    shortest = found[str(lengths[0])]
    return [
        row(f"{n} tokens a sentence, time per token / that of {lengths[0]}", found[str(n)] / shortest, f"12 x 768, {1e3 * found[str(n)]:.3f} ms a token")
        for n in lengths
    ]


def gpu(rounds=5):
    """(g) On a GPU: 24 x 2048 in bfloat16 over MRPC's lengths against the GEMM rate, and the whole dump of all sentences."""
    model = random_model(2048, 24).to(torch.bfloat16).cuda()
    batches = [one.cuda() for one in passes_of(16384, 8)]
    tokens = sum(one.numel() for one in batches)

    def timed(function):
        torch.cuda.synchronize()
        return seconds(lambda: (function(), torch.cuda.synchronize()))

    a, b = torch.randn(2, 8192, 8192, device="cuda", dtype=torch.bfloat16)
    functions = {
        "gemm": lambda: 2 * 8192**3 / timed(lambda: a @ b),
        "ours": lambda: tokens / timed(lambda: run_all(model, batches)),
    }
    in_turns(2, **functions)
    found = in_turns(rounds, **functions)
    lengths = np.repeat(list(MRPC), list(MRPC.values()))
    ids = [np.random.default_rng(0).integers(1, 1000, n).astype(np.int32) for n in lengths]
    settings = replace(SETTINGS, dtype="bfloat16", batch_tokens=16384)
    with workspace() as folder:
        wall = seconds(dumping.dump, model, ids, np.arange(len(ids)), "key", Path(folder) / "out", settings, Path(folder) / "store")
        size = sum(path.stat().st_size for path in (Path(folder) / "out").iterdir())
        data = os.urandom(2**30)

        def write():
            with open(Path(folder) / "raw", "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

        disk = 2**30 / seconds(write)
    share = found["ours"] * 2 * block_parameters(model) / found["gemm"]
    from pipeline.rwkv6 import fused_kernel

    fused = "fused kernel" if fused_kernel(torch.device("cuda:0")) else "no fused kernel"
    return [
        row("GPU, share of the bfloat16 GEMM rate, 24 x 2048", share, f"{found['ours']:.0f} tokens/s of {found['gemm'] / 1e12:.0f} TFLOP/s, {fused}"),
        row("GPU, seconds for all 25 layers of MRPC's 10,944 sentences", wall, f"{size / 1e9:.1f} GB, which the disk writes in {size / disk:.1f} s"),
    ]


BENCHMARKS = {
    "speed": lambda: speed(768, 12, passes=8, alone=8, rounds=5),
    "speed-large": lambda: speed(2048, 24, passes=2, alone=2, rounds=3),
    "budgets": budgets,
    "dump": dump_wall,
    "pooling": pooling_cost,
    "sweep": sweep_cost,
    "many": many_sentences,
    "long": long_sentences,
    "bootstrap": bootstrap_cost,
    "gpu": gpu,
}


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.processor())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = bool(subprocess.run(["git", "status", "--porcelain", "pipeline", "benchmarks/run.py"], cwd=ROOT, capture_output=True, text=True).stdout.strip())
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "versions": {name: version(name) for name in ("torch", "transformers", "pyarrow", "numpy")} | {"python": platform.python_version()},
        "commit": commit + " with changes" * changed,
        "date": time.strftime("%Y-%m-%d"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(BENCHMARKS)}; all by default, gpu where there is one")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: one for each physical core")
    parser.add_argument("--name", default="latest", help="of the two files in benchmarks/results; figures of other benchmarks in them are kept")
    parser.add_argument("--one-size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.one_size:
        print(json.dumps(one_size(arguments.one_size, 8)))
        return
    names = arguments.names or [name for name in BENCHMARKS if name != "gpu" or torch.cuda.is_available()]
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}")
    folder = ROOT / "benchmarks/results"
    folder.mkdir(exist_ok=True)
    file = folder / f"{arguments.name}.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        print(f"== {name}: {(BENCHMARKS[name].__doc__ or speed.__doc__).splitlines()[0]}", flush=True)
        results[name] = {"machine": machine(), "rows": BENCHMARKS[name]()}
        for row in results[name]["rows"]:
            print(f"{row['value']:10.3f}  {row['figure']}  ({row['detail']})", flush=True)
        file.write_text(json.dumps(results, indent=2) + "\n")
        file.with_suffix(".md").write_text("\n".join(table(results)) + "\n")


def table(results):
    lines = ["| benchmark | figure | value | measured |", "|---|---|---:|---|"]
    for name, result in results.items():
        lines += [f"| {name} | {row['figure']} | {row['value']:.3g} | {row['detail']} |" for row in result["rows"]]
    lines.append("")
    for name, result in results.items():
        m = result["machine"]
        versions = ", ".join(f"{key} {value}" for key, value in m["versions"].items())
        lines.append(f"- {name}: {m['cpu']}, {m['cores']} cores, {m['threads']} threads, {m['gpu'] or 'no GPU'}; {versions}; commit {m['commit']}, {m['date']}")
    return lines


if __name__ == "__main__":
    main()
