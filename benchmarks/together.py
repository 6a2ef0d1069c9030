"""Commands at the same time in one clone: nothing is lost, and who cannot go on says so in one line.

python -m benchmarks.together               # all, some minutes
python -m benchmarks.together repro queue   # some of CASES
"""

import argparse
import os
import re
import signal
import sys
from contextlib import contextmanager

from benchmarks.common import git
from benchmarks.disturbed import study, tracebacks, wait_until

POOLINGS = ("last", "max", "first")
"""what the experiments ask for"""


@contextmanager
def suspended_dump(clone):
    """A dump by `dvc repro` that stands still in its first shard -> its Command; it goes on at the end."""
    clone.forget("dump@tiny")
    command = clone.start("dvc", "repro", log="dump")
    wait_until(lambda: command.over or list((clone.folder / ".drillcore/dumps").glob("*/*.part")))
    pid, _ = command.stage()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield command
    finally:
        os.kill(pid, signal.SIGCONT)
        command.status()


def repro(clone):
    """Two `dvc repro` where nothing was ever run."""
    clone.forget_all()
    return [clone.start("dvc", "repro", log=f"repro {number}") for number in (1, 2)]


def temp(clone):
    """Two `dvc exp run --temp`."""
    words = ("dvc", "exp", "run", "--temp", "-S")
    return [clone.start(*words, f"pooling={pooling}", log=f"exp {pooling}") for pooling in POOLINGS[:2]]


def queue(clone):
    """Three experiments in DVC's queue, two at a time."""
    todo = [("exp", "run", "--queue", "-S", f"pooling={pooling}") for pooling in POOLINGS]
    commands = []
    for words in (*todo, ("queue", "start", "-j", "2")):
        commands.append(clone.start("dvc", *words, log=f"dvc {' '.join(words)}"))
        commands[-1].status()

    def settled():
        shown = clone.start("dvc", "queue", "status", log="queue status")
        return shown.status() == 0 and not re.search(r"Queued|Running|[1-9]\d* (active|idle)", shown.text) and shown

    return [*commands, wait_until(settled, 600)]


def clean(clone):
    """`python -m stages.clean --all` while a dump runs."""
    with suspended_dump(clone) as dump:
        command = clone.start("python", "-m", "stages.clean", "--all", log="clean")
        command.status()
    return [dump, command]


def gc(clone):
    """`dvc gc -w -f` while a dump runs."""
    with suspended_dump(clone) as dump:
        command = clone.start("dvc", "gc", "-w", "-f", log="gc")
        command.status()
    return [dump, command]


def dumps(clone):
    """`dvc repro` while a dump runs whose own `dvc repro` was killed."""
    with suspended_dump(clone) as dump:
        dump.process.kill()
        dump.status()
        command = clone.start("dvc", "repro", log="after")
        command.says("waiting for process")
    return [dump, command]


CASES = {case.__name__: case for case in (repro, temp, queue, clean, gc, dumps)}
EXPERIMENTS = {"temp": 2, "queue": 3}
"""how many there are afterwards"""


def told(command):
    """What a command says of its failing or waiting."""
    lines = [line for line in command.text.splitlines() if re.match(r"error|\S+ still runs", line, re.IGNORECASE)]
    return " / ".join(lines)


def experiments(clone):
    """The names of those that DVC keeps."""
    return set(git(clone.folder, "for-each-ref", "--format=%(refname)", "refs/exps/*/*/*").split())


def run_together(clone, name, undisturbed):
    """Run a case, then `dvc repro` -> the Commands of the case, and what is wrong."""
    before = experiments(clone)
    commands = CASES[name](clone)
    for command in commands:
        command.status()
        wait_until(command.alone)
    problems = [f"traceback: {block}" for command in commands for block in tracebacks(command.text)[0]]
    if (kept := len(experiments(clone) - before)) < EXPERIMENTS.get(name, 0):
        problems.append(f"lost: there are {kept} of {EXPERIMENTS[name]} experiments")
    for command in commands:
        if command.status() > 0 and not told(command):
            problems.append(f"{command.log.stem} does not say why it ended")
    last = clone.start("dvc", "repro", log="last")
    if last.status():
        return commands, [*problems, f"dvc repro does not go on: {last.text[-600:]}"]
    return commands, problems + [f"{kind}: {paths}" for kind, paths in clone.faults(undisturbed)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="all by default")
    names, failed = parser.parse_args().cases or list(CASES), False
    with study() as clone:
        undisturbed = clone.undisturbed()
        for name in names:
            print(f"== {CASES[name].__doc__}", flush=True)
            commands, problems = run_together(clone, name, undisturbed)
            ends = [f"{command.log.stem}: {command.status()} {told(command)}" for command in commands]
            print(*ends, *problems, sep="\n", flush=True)
            failed |= bool(problems)
    sys.exit(failed)


if __name__ == "__main__":
    main()
