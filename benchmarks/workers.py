"""What workers through Ray cost and give, and whether all ways of sharing the work give the same bytes.

    python -m benchmarks.workers                # ratios of tokens per second, in turns: minutes, on a quiet machine
    python -m benchmarks.workers --same-bytes   # 100,000 sentences; a machine is lost, a bucket fails
    python -m benchmarks.workers --same-bytes --sentences 5000

Sentences are made up, as long as those of MRPC, and the model has random weights: the stage dump runs on them as a user
runs it, in processes of its own. What is compared is how fast shards come while all workers are at it, so that starting
Python, torch and Ray is left out; seconds with it are printed beside.
"""

import argparse
import hashlib
import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import fsspec
import numpy as np
import polars as pl
import yaml

from benchmarks import flaky_s3
from benchmarks.common import ROOT, workspace
from benchmarks.material import draw_lengths
from pipeline.formats import pairs

MODEL = {"model_type": "rwkv6", "vocab_size": 256, "hidden_size": 256, "num_hidden_layers": 6}
SMALL = MODEL | {"hidden_size": 64, "num_hidden_layers": 2}
"""of --same-bytes, which is about bytes and not about speed"""
ROUNDS, SENTENCES, MANY = 3, 4000, 100_000
FAILING = 0.1
"""share of all writes to the bucket"""
LAST = 3
"""shards at the end of a run that do not count"""
COMMAND = "-m stages.dump --model m --tokens tokens.parquet --sentences pairs/sentences.parquet"
OUTS = "--out {0}/states/m --unembedding {0}/m.safetensors --manifest {0}/m.json"


def make(folder, sentences, config, shard_mb):
    """Settings, sentences of random letters and their token ids, one for each byte."""
    rng = np.random.default_rng(0)
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"models": ["m"], "engine": "local"}
    params["dump"] |= {"gate_tokens": 0, "shard_mb": shard_mb, "batch_tokens": 512}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    catalog = {"datasets": {}, "models": {"m": {"random": 0, "config": config, "tokenizer": "bytes"}}, "baselines": {}}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    lengths = draw_lengths(rng, sentences)
    letters = "".join(map(chr, rng.integers(97, 123, lengths.sum())))
    ends = np.cumsum(lengths)
    texts = [letters[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist())]
    table = pl.DataFrame({"sentence_id": np.arange(sentences), "text": texts})
    pairs.write(folder / "pairs", pairs_of(sentences), table, {})
    run(folder, "-m stages.tokenize --model m --sentences pairs/sentences.parquet --out tokens.parquet")
    return int(lengths.sum())


def pairs_of(sentences):
    """Pairs that have every sentence."""
    first = np.arange(0, sentences, 2)
    columns = {"pair_id": first // 2, "split": "test", "idx": first // 2, "sentence1_id": first}
    return pl.DataFrame(
        columns | {"sentence2_id": np.minimum(first + 1, sentences - 1), "label": 0.0, "component": first // 2}
    )


def started(folder, command, **environment):
    """A stage as a process of one thread."""
    variables = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DRILLCORE_THREADS": "1"} | environment
    words = [sys.executable, *command.split()]
    return subprocess.Popen(words, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True)


def finish(*processes):
    """Wait for processes, all of which must end well."""
    for process in processes:
        said = process.communicate()[1]
        assert process.returncode == 0, said


def run(folder, command, **environment):
    """A stage from beginning to end."""
    finish(started(folder, command, **environment))


def shards(folder, out):
    """{name: sha256} of the shards of a run."""
    found = sorted((folder / out / "states/m").glob("*.arrow"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def rate(folder):
    """Bytes of shards per second, of the one key in the store, while all workers are at it: without the first third,
    by which the last of them has begun, and without the last few, which not all of them share.
    """
    [key] = [path for path in (folder / ".drillcore/dumps").iterdir() if path.is_dir()]
    found = sorted((path.stat().st_mtime, path.stat().st_size) for path in key.glob("*.arrow"))
    first, last = len(found) // 3, len(found) - LAST
    assert last - first > 2 * LAST, "too few shards to tell: more sentences"
    return sum(size for _, size in found[first + 1 : last + 1]) / (found[last][0] - found[first][0])


def clear(folder):
    """Let the next run begin anew."""
    subprocess.run(["rm", "-rf", str(folder / ".drillcore/dumps")], check=True)


# ways of sharing the work: each runs the dump to an end


def local(folder, out, workers=1):
    """One process with so many threads."""
    run(folder, f"{COMMAND} {OUTS.format(out)}", DRILLCORE_THREADS=str(workers), OMP_NUM_THREADS=str(workers))


def together(folder, out, workers=2):
    """So many processes that share a store by claims."""
    finish(*(started(folder, f"{COMMAND} {OUTS.format(out)}") for _ in range(workers)))


def ranks(folder, out, workers=2):
    """So many processes, each with its own part of the shards."""
    options = [f"--rank {rank} --world-size {workers}" for rank in range(workers)]
    finish(*(started(folder, f"{COMMAND} {OUTS.format(out)} {mine}") for mine in options))


def ray(folder, out, workers=2):
    """So many workers of a Ray of this machine."""
    run(folder, f"{COMMAND} {OUTS.format(out)}", DRILLCORE_ENGINE="ray", DRILLCORE_WORKERS=str(workers))


@contextmanager
def raylets():
    """Two machines of one core, as two raylets -> the address, and the process that the second one is."""
    os.environ.pop("RAY_ADDRESS", None)
    os.environ["PYTHONPATH"] = str(ROOT)
    from pipeline.engine import on_ray  # noqa: F401 - first: it says what Ray must not do
    from ray.cluster_utils import Cluster  # isort: skip

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = made.add_node(num_cpus=1)
    try:
        yield made.address, second.all_processes["raylet"][0].process.pid
    finally:
        made.shutdown()


def two_raylets(folder, out):
    """Workers on two machines."""
    with raylets() as (address, _):
        run(folder, f"{COMMAND} {OUTS.format(out)}", DRILLCORE_ENGINE="ray", RAY_ADDRESS=address)


def one_lost(folder, out):
    """The same, and one machine is killed when a third of the shards is there."""
    wanted = len(shards(folder, "local")) // 3
    with raylets() as (address, second):
        process = started(folder, f"{COMMAND} {OUTS.format(out)}", DRILLCORE_ENGINE="ray", RAY_ADDRESS=address)
        while process.poll() is None and len(list(folder.glob(".drillcore/dumps/*/*.arrow"))) < max(1, wanted):
            time.sleep(0.02)
        assert process.poll() is None, "it was over before a machine could be killed: more sentences"
        os.kill(second, signal.SIGKILL)
        finish(process)


def bucket(folder, out):
    """Two processes whose store is a bucket on this machine, which fails with a tenth of all writes."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # a connection that is cut is an error to it
    with flaky_s3.serving(0, seed=0) as (app, address):
        urlopen(Request(f"{address}/bucket", method="PUT")).close()
        app.share = FAILING
        access = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
        os.environ.update(access)
        command = f"{COMMAND} {OUTS.format(out)}"
        finish(*(started(folder, command, DRILLCORE_STORE="s3://bucket/store") for _ in range(2)))
        print(f"of what was written to the bucket failed: {app.failed}", file=sys.stderr)
        files = fsspec.filesystem("s3")
        states = folder / out / "states/m"
        for path in files.find(json.loads((states / "location.json").read_text())["url"]):
            if path.endswith(".arrow"):
                files.get_file(path, str(states / Path(path).name))


def same_bytes(sentences):
    """Dump in every way -> whether each gave the same shards."""
    ways = {"local": local, "two raylets": two_raylets, "two ranks": ranks, "one machine lost": one_lost}
    ways |= {"a bucket that fails": bucket}
    found = {}
    with workspace() as name:
        folder = Path(name)
        tokens = make(folder, sentences, SMALL, shard_mb=max(1, sentences // 10_000))
        for way, function in ways.items():
            clear(folder)
            begun, out = time.perf_counter(), way.replace(" ", "-")
            function(folder, out)
            found[way] = shards(folder, out)
            assert len(found[way]) > 3, "too few shards to share: more sentences"
            print(f"{way}: {len(found[way])} shards in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    same = {way: of_way == found["local"] for way, of_way in found.items()}
    digest = hashlib.sha256(json.dumps(found["local"], sort_keys=True).encode()).hexdigest()
    facts = {"sentences": sentences, "tokens": tokens, "shards": len(found["local"]), "sha256": digest}
    return facts | {"same": same}


def speed(rounds, sentences):
    """Tokens per second of each way, in turns -> medians of the ratios of each round."""
    ways = {
        "one": local,
        "two through Ray": ray,
        "two by claims": together,
        "two ranks": ranks,
        "one through Ray": lambda folder, out: ray(folder, out, 1),
    }
    rates, walls = {way: [] for way in ways}, {way: [] for way in ways}
    with workspace() as name:
        folder = Path(name)
        tokens = make(folder, sentences, MODEL, shard_mb=4)
        for _ in range(rounds):
            for way, function in ways.items():
                clear(folder)
                begun = time.perf_counter()
                function(folder, way.replace(" ", "-"))
                walls[way].append(time.perf_counter() - begun)
                rates[way].append(rate(folder))
        files = list((folder / "one/states/m").glob("*.arrow"))
        count, size = len(files), sum(path.stat().st_size for path in files)

    def ratio(way, other):
        """How often a way is as fast as another, in the median round."""
        return statistics.median(a / b for a, b in zip(rates[way], rates[other]))

    return {
        "sentences": sentences,
        "tokens": tokens,
        "shards": count,
        "rounds": rounds,
        "cores": len(os.sched_getaffinity(0)),
        "tokens per second": {way: statistics.median(of_way) * tokens / size for way, of_way in rates.items()},
        "seconds with the start": {way: statistics.median(of_way) for way, of_way in walls.items()},
        "ratios": {
            "two workers through Ray / two without": ratio("two through Ray", "two by claims"),
            "one worker through Ray / one without": ratio("one through Ray", "one"),
            "two workers through Ray / one through Ray": ratio("two through Ray", "one through Ray"),
            "two workers by claims / one": ratio("two by claims", "one"),
            "two ranks / one": ratio("two ranks", "one"),
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--same-bytes", action="store_true", help="compare bytes instead of times")
    parser.add_argument("--sentences", type=int, help=f"{SENTENCES:,} by default, {MANY:,} with --same-bytes")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    if arguments.same_bytes:
        found = same_bytes(arguments.sentences or MANY)
        lines = [f"{way}: {'the same bytes' if same else 'OTHER BYTES'}" for way, same in found["same"].items()]
    else:
        found = speed(arguments.rounds, arguments.sentences or SENTENCES)
        lines = [f"{name}: {value:.2f}" for name, value in found["ratios"].items()]
    print(json.dumps(found, indent=2))
    print("\n".join(lines))
    sys.exit(arguments.same_bytes and not all(found["same"].values()))


if __name__ == "__main__":
    main()
