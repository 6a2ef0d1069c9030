"""How fast, how large, how flat: `make bench` writes benchmarks/results/NAME.json and NAME.md.

Everything that is compared is measured in turns in one run, and medians are compared: absolute times of a shared
machine mean little, ratios of neighbours do. Every benchmark is a function that returns rows of {figure, value,
detail}, and its docstring says what it measures.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks import dumps, finetuning, gpu, models, pipeline, resampling, states, waiting
from benchmarks.common import ROOT, git

BENCHMARKS = {
    "speed": models.speed,
    "speed-large": models.speed_large,
    "goose": models.goose,
    "budgets": models.budgets,
    "dump": dumps.wall_time,
    "pooling": states.pooling,
    "sweep": states.ten_poolings,
    "geometry": states.geometry,
    "verify": states.verify,
    "many": dumps.many_sentences,
    "plan": dumps.planned,
    "long": models.long_sentences,
    "bootstrap": resampling.bootstrap_cost,
    "steps": resampling.step_cost,
    "finetuning": finetuning.steps,
    "gpu": gpu.gpu,
    "pipeline": pipeline.rows,
    "threads": waiting.waiting_threads,
}
ONLY_BY_NAME = ("pipeline", "threads")
"""they take minutes, or every core"""
VERSIONS = ("torch", "transformers", "pyarrow", "numpy")


def machine():
    """What the figures were measured on and with."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processors = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    commit = git(ROOT, "rev-parse", "--short", "HEAD")
    changed = git(ROOT, "status", "--porcelain", "pipeline", "stages", "benchmarks/*.py")
    return {
        "cpu": processors[0] if processors else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "versions": {name: version(name) for name in VERSIONS} | {"python": platform.python_version()},
        "commit": f"{commit} with changes" if changed else commit,
        "date": time.strftime("%Y-%m-%d"),
    }


def table(results):
    """Results of benchmarks {name: {machine, rows}} -> lines of Markdown."""
    lines = ["| benchmark | figure | value | measured |", "|---|---|---:|---|"]
    for name, result in results.items():
        lines += [f"| {name} | {row['figure']} | {row['value']:.3g} | {row['detail']} |" for row in result["rows"]]
    lines.append("")
    for name, result in results.items():
        of_run = result["machine"]
        versions = ", ".join(f"{package} {number}" for package, number in of_run["versions"].items())
        lines.append(
            f"- {name}: {of_run['cpu']}, {of_run['cores']} cores, {of_run['threads']} threads, "
            f"{of_run['gpu'] or 'no GPU'}; {versions}; commit {of_run['commit']}, {of_run['date']}"
        )
    return lines


def by_default():
    """What runs when no name is given: gpu where there is one."""
    left_out = ONLY_BY_NAME if torch.cuda.is_available() else (*ONLY_BY_NAME, "gpu")
    return [name for name in BENCHMARKS if name not in left_out]


def parsed_arguments():
    """The command line. An unknown name ends the program with what there is."""
    names = ", ".join(BENCHMARKS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names",
        nargs="*",
        help=f"some of {names}; by default all but {' and '.join(ONLY_BY_NAME)}, and gpu where there is one",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: as many as this machine has for us")
    parser.add_argument(
        "--name",
        default="latest",
        help="of the two files in benchmarks/results; figures of other benchmarks in them are kept",
    )
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {names}")
    return arguments


def main():
    arguments = parsed_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        os.environ["DRILLCORE_THREADS"] = str(arguments.threads)  # of stages in processes of their own
    folder = ROOT / "benchmarks/results"
    folder.mkdir(exist_ok=True)
    file = folder / f"{arguments.name}.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in arguments.names or by_default():
        print(f"== {name}: {BENCHMARKS[name].__doc__.splitlines()[0]}", flush=True)
        results[name] = {"machine": machine(), "rows": BENCHMARKS[name]()}
        for row in results[name]["rows"]:
            print(f"{row['value']:10.3f}  {row['figure']}  ({row['detail']})", flush=True)
        file.write_text(json.dumps(results, indent=2) + "\n")
        file.with_suffix(".md").write_text("\n".join(table(results)) + "\n")


if __name__ == "__main__":
    main()
