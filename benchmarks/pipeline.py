"""What DVC and the stages cost: a whole study, the same again, another pooling and back, in a clone of the project.

    python -m benchmarks.pipeline                    # of the commit that is checked out here
    python -m benchmarks.pipeline --root ../older    # of that of another checkout, measured in the same way

The clone has what is committed, and a cache of DVC's of its own. Its stages run its own code, since `python -m` looks
into the current folder first, and in this environment. CPU seconds are those of a command and of all that it started.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import ROOT, git, row, workspace

POOLING = "last"
"""the other pooling"""
NAMES = {
    "study": "`dvc repro`, the committed study, nothing cached",
    "again": "`dvc repro`, nothing changed",
    "experiment": f"`dvc exp run -S pooling={POOLING}`",
    "experiment_back": "`dvc exp run -S pooling=mean`, going back",
    "edit": f"params.yaml with `pooling: {POOLING}`, `dvc repro`",
    "edit_back": "params.yaml with `pooling: mean`, `dvc repro`, going back",
}


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    cpu: float
    """seconds of user and system time, of all processes"""
    wall: float
    """seconds"""


def cpu_of_children():
    """CPU seconds of all processes that ended so far below this one."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True)
class Clone:
    """A clone of the project in a folder of its own."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command):
        """A command in the clone -> its Cost. One that fails ends the program with what it said."""
        cpu, start = cpu_of_children(), time.perf_counter()
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        cost = Cost(cpu_of_children() - cpu, time.perf_counter() - start)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed in {self.folder}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return cost

    def pool_by(self, pooling):
        """Edit params.yaml."""
        path = self.folder / "params.yaml"
        path.write_text(re.sub(r"^pooling:.*$", f"pooling: {pooling}", path.read_text(), flags=re.MULTILINE))

    def cached(self):
        """The files and folders of DVC's cache, the memory of what was run among them."""
        return set((self.folder / ".dvc/cache").rglob("*"))

    def forget(self, kept):
        """Take away what came into DVC's cache since, and the experiments, so that another round is like the first."""
        for path in sorted(self.cached() - kept, reverse=True):  # what is in a folder comes before it
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        self.run("dvc", "exp", "remove", "--all-commits")


def environment_of(folder):
    """This environment's programs first, no paths to other code, DVC's notes in the folder."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
    variables.pop("PYTHONPATH", None)
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    return variables | {"DVC_SITE_CACHE_DIR": str(folder / "dvc"), "PYTHONUNBUFFERED": "1"}


@contextmanager
def clone_of(root):
    """A temporary clone of a checkout."""
    if git(root, "status", "--porcelain", "--untracked-files=no"):
        print(f"{root} has changes that are not committed: they are not measured", file=sys.stderr)
    with workspace() as name:
        folder = Path(name) / "clone"
        git(ROOT, "clone", "--quiet", str(root), str(folder))
        yield Clone(folder, environment_of(Path(name)))


def measured(clone, rounds):
    """{key of NAMES: list of Cost}, one of the whole study and one a round of the others."""
    costs = {name: [] for name in NAMES}
    costs["study"].append(clone.run("dvc", "repro"))
    kept = clone.cached()
    for _ in range(rounds):
        costs["again"].append(clone.run("dvc", "repro"))
        costs["experiment"].append(clone.run("dvc", "exp", "run", "-S", f"pooling={POOLING}"))
        costs["experiment_back"].append(clone.run("dvc", "exp", "run", "-S", "pooling=mean"))
        clone.forget(kept)
        clone.pool_by(POOLING)
        costs["edit"].append(clone.run("dvc", "repro"))
        clone.pool_by("mean")
        costs["edit_back"].append(clone.run("dvc", "repro"))
        clone.forget(kept)
    return costs


def median_of(costs):
    """The medians of some Costs."""
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.wall for cost in costs))


def rows(rounds=3, root=ROOT):
    """DVC and the stages in a clone of what is committed: the whole study, the same again, another pooling and back."""
    with clone_of(root) as clone:
        costs = measured(clone, rounds)
        commit = git(clone.folder, "rev-parse", "--short", "HEAD")
    of_benchmark = []
    for name, of_rounds in costs.items():
        median = median_of(of_rounds)
        detail = f"{median.wall:.1f} s of wall time; commit {commit}; rounds: {len(of_rounds)}"
        of_benchmark.append(row(f"{NAMES[name]}, CPU seconds", median.cpu, detail))
    return of_benchmark


def table(costs):
    """Costs as lines of Markdown."""
    lines = ["| command | CPU seconds | wall seconds | rounds |", "|---|---:|---:|---:|"]
    for name, of_rounds in costs.items():
        median = median_of(of_rounds)
        lines.append(f"| {NAMES[name]} | {median.cpu:.1f} | {median.wall:.1f} | {len(of_rounds)} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout, whose commit is measured; this by default")
    parser.add_argument("--rounds", type=int, default=3, help="of everything but the whole study")
    arguments = parser.parse_args()
    with clone_of(arguments.root.resolve()) as clone:
        commit = git(clone.folder, "log", "-1", "--format=%h, %cs, %s")
        costs = measured(clone, arguments.rounds)
    print(f"Commit {commit}; {os.cpu_count()} cores; medians of the rounds.\n")
    print("\n".join(table(costs)))


if __name__ == "__main__":
    main()
