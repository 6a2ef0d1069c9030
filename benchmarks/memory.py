"""What each stage holds at most, at 200,000 pairs and at 2,000, where hardly anything but imports is held.

    python -m benchmarks.memory                    # of the code that is here
    python -m benchmarks.memory --root ../older    # of that of another checkout, measured in the same way

Random pairs of the sample's words, a random model of 4 x 64, and a few corrections, similarities and poolings. Each
stage is a process of its own, whose RssAnon is read again and again: memory that is its own. What it maps from files,
such as the states, can be dropped at any time, and counts in the second figure only, the peak of all that is resident.
"""

import argparse
import csv
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks.common import ROOT, workspace
from benchmarks.pipeline import cpu_of_children

SIZES = (2_000, 200_000)
SENTENCES = 1.5
"""distinct ones for each pair"""
WORDS = 20
"""of a sentence, on average"""
SPLITS = {"train": 0.5, "validation": 0.1, "test": 0.4}
PAUSE = 0.005
"""seconds between two looks at a process"""
CATALOG = {
    "datasets": {"random": {"path": "pairs.csv"}},
    "models": {
        "tiny": {
            "random": 0,
            "config": {"model_type": "rwkv6", "vocab_size": 65536, "hidden_size": 64, "num_hidden_layers": 4},
            "tokenizer": "world",
        }
    },
    "baselines": {
        "overlap": {"kind": "overlap"},
        "random": {"kind": "random", "dim": 64},
        "vectors": {"kind": "vectors", "path": str(ROOT / "data/demo/vectors.txt.gz")},
    },
}
CHANGES = {
    "dataset": "random",
    "models": list(CATALOG["models"]),
    "baselines": list(CATALOG["baselines"]),
    "dump": {"batch_tokens": 4096, "gate_tokens": 500},
    "fit": {"poolings": ["attention"], "epochs": 1, "runs": 2, "batch_pairs": 512, "controls": True},
    "score": {
        "similarities": ["cosine", "dot", "neg_euclidean"],
        "corrections": ["none", "centre", "whitening_32"],
    },
    "sweep": {
        "poolings": ["mean", "idf_mean", "attention"],
        "corrections": ["none", "centre"],
        "similarities": ["cosine", "dot"],
        "controls": True,
    },
    "correlate": {"resamples": 100},
}
"""of params.yaml"""


@dataclass(frozen=True)
class Cost:
    """What a stage took."""

    own: float
    """MB of memory that is its own, at most"""
    resident: float
    """MB with what it maps from files, at most"""
    seconds: float
    """of CPU, since the machine may be busy"""


def write_pairs(path, count, seed=0):
    """Pairs of random sentences as CSV or TSV, a third of the sentences in several of them."""
    rng = np.random.default_rng(seed)
    text = (ROOT / "data/sample/hard.tsv").read_text()
    words = np.array(sorted({word for word in text.split() if word.isalpha()}))
    texts = int(count * SENTENCES)
    lengths = rng.poisson(WORDS, texts) + 1
    drawn = np.split(words[rng.integers(0, len(words), lengths.sum())], lengths.cumsum()[:-1])
    sentences = [" ".join(of_sentence) for of_sentence in drawn]
    again = rng.integers(0, texts, 2 * count - texts)
    first, second = rng.permutation(np.append(np.arange(texts), again)).reshape(2, count)
    split = np.repeat(list(SPLITS), (np.array(list(SPLITS.values())) * count).round().astype(int))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerow(["split", "sentence1", "sentence2", "label"])
        for row, label in enumerate(rng.integers(0, 2, count)):
            writer.writerow([split[row], sentences[first[row]], sentences[second[row]], label])


def write_study(folder, count):
    """Pairs and settings in a folder -> the settings of params.yaml."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in CHANGES.items():
        params[key] = params[key] | value if isinstance(value, dict) else value
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "catalog.yaml").write_text(yaml.safe_dump(CATALOG))
    write_pairs(folder / "pairs.csv", count)
    return params


def commands(root, params):
    """{stage, or stage@item: the words of its command}, in the order of dvc.yaml."""
    found = {}
    for name, stage in yaml.safe_load((root / "dvc.yaml").read_text())["stages"].items():
        items = params[stage["foreach"].strip("${}")] if "foreach" in stage else [None]
        for item in items:
            command = shlex.split(stage.get("do", stage)["cmd"].replace("${item}", str(item)))
            found[name if item is None else f"{name}@{item}"] = [sys.executable, *command[1:]]
    return found


def memory_of(process):
    """MB of a process: {RssAnon: its own now, VmHWM: all that was resident at most}; {} where it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) / 1000 for name in ("RssAnon", "VmHWM") if name in fields}


def cost_of(words, folder, root):
    """A stage's command in a folder, with the code of a checkout -> its Cost. One that fails ends the program."""
    environment = os.environ | {"PYTHONPATH": str(root), "DRILLCORE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    own, resident, before = 0, 0, cpu_of_children()
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=said, stderr=said)
        while process.poll() is None:
            seen = memory_of(process)
            own, resident = max(own, seen.get("RssAnon", 0)), max(resident, seen.get("VmHWM", 0))
            time.sleep(PAUSE)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{shlex.join(words)} failed:\n{said.read()[-2000:]}")
    return Cost(own, resident, cpu_of_children() - before)


def measured(root, count):
    """{stage: Cost} with so many pairs."""
    with workspace() as name:
        params = write_study(Path(name), count)
        costs = {}
        for stage, words in commands(root, params).items():
            costs[stage] = cost_of(words, Path(name), root)
            print(f"{count} pairs, {stage}: {costs[stage]}", file=sys.stderr)
        return costs


def table(sizes, costs):
    """Costs {stage: Cost} of each size as lines of Markdown."""
    titles = [f"{title}, {size:,} pairs" for title in ("MB", "MB with maps", "CPU seconds") for size in sizes]
    lines = [f"| stage | {' | '.join(titles)} |", f"|---|{'---:|' * len(titles)}"]
    for stage in costs[0]:
        of_sizes = [of_size[stage] for of_size in costs]
        cells = [f"{cost.own:.0f}" for cost in of_sizes] + [f"{cost.resident:.0f}" for cost in of_sizes]
        cells += [f"{cost.seconds:.1f}" for cost in of_sizes]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout, whose stages are measured")
    parser.add_argument("--pairs", type=int, nargs="+", default=SIZES, help="sizes that are compared")
    arguments = parser.parse_args()
    costs = [measured(arguments.root.resolve(), count) for count in arguments.pairs]
    print("\n".join(table(arguments.pairs, costs)))


if __name__ == "__main__":
    main()
