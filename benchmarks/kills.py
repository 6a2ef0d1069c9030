"""Kill the pipeline again and again, at random moments in random ways: is everything as if nothing had happened?

    python -m benchmarks.kills                  # 200 kills, an hour or more on two cores
    python -m benchmarks.kills --kills 20 --seed 7 --keep FOLDER

Each time some of a small study is taken away, `dvc repro` is started and gets SIGKILL, SIGINT or SIGTERM: its whole
process group, DVC's process alone, or that of the stage alone. A second `dvc repro` must then succeed by itself, and
leave the bytes of a run that nobody disturbed.
"""

import argparse
import contextlib
import os
import random
import secrets
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.disturbed import study, tracebacks, wait_until

SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM")
TARGETS = ("group", "dvc", "stage")
STATES = {"fresh": 1, "removed": 12, "forced": 5}
"""how often each state is where a run starts from: nothing was ever run, a stage was not, `dvc repro -f -s STAGE`"""
REMEDIES = {"dvc.lock' is invalid": "dvc.lock", "dvc.lock' validation": "dvc.lock", "RWLock-file": ".dvc/tmp/rwlock"}
"""what DVC says of a file of its own that was cut -> the file, which docs/howto/when-damaged.md has removed by hand"""
NOTED = ("by hand", "rwlock", "another's traceback")
"""no fault of ours: a remedy, DVC's rwlock still names the killed process, tracebacks of DVC or of Python's start"""
EARLY = 0.08
"""share of kills before the stage starts"""


@dataclass
class Round:
    """A kill and what came of it."""

    state: str
    stage: str
    signal: str
    target: str
    hit: str = ""
    """the stage that ran at that moment, or what DVC did"""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """kind and what was seen"""

    @property
    def wrong(self):
        """Whether something was that is a fault of ours."""
        return any(kind not in NOTED for kind, _ in self.problems)

    def __str__(self):
        return f"{self.signal} to {self.target:5} in {self.hit} ({self.state} {self.stage})"


def prepared(clone, this):
    """Bring the clone into the state that a round starts from -> the words of its command."""
    if this.state == "fresh":
        clone.forget_all()
    elif this.state == "removed":
        clone.forget(this.stage)
    return ["dvc", "repro", *(["-f", "-s", this.stage] if this.state == "forced" else [])]


def measured(clone):
    """{stage: (seconds until it starts, seconds from then to the end)} of runs that nobody disturbs."""
    times = {}
    for stage in clone.lock():
        clone.forget(stage)
        command = clone.start("dvc", "repro")
        assert command.says(f"Running stage '{stage}'"), command.text
        begun = time.monotonic()
        assert command.status() == 0, command.text
        times[stage] = begun - command.start, time.monotonic() - begun
    return times


def sent(this, command):
    """Send the signal -> whether there was still something to hit."""
    running = command.stage()
    if command.over:
        return False
    if this.target == "stage" and not running:
        this.target = "dvc"
    this.hit = running[1] if running else "DVC after a stage" if "Running stage" in command.text else "DVC before"
    number = getattr(signal, this.signal)
    try:
        if this.target == "group":
            os.killpg(command.process.pid, number)
        else:
            os.kill(running[0] if this.target == "stage" else command.process.pid, number)
    except ProcessLookupError:
        return False
    return True


def disturbed(clone, this, times, rng):
    """Start a run and kill it -> the killed command, or None where it was over before."""
    command = clone.start(*prepared(clone, this), log="first")
    before, after = times[this.stage]
    if rng.random() < EARLY:
        time.sleep(rng.uniform(0, before))
    elif command.says(f"Running stage '{this.stage}'"):
        time.sleep(rng.uniform(0, after))
    if not sent(this, command):
        command.status()
        return None
    command.status()
    return command


def examined(clone, this, first, undisturbed):
    """Run once more and look at everything; what is wrong is noted in the round."""
    second = clone.start("dvc", "repro", log="second")
    texts = [first.text]
    if second.status():
        texts.append(second.text)
        for cut in {file for words, file in REMEDIES.items() if words in second.text}:
            this.problems.append(("by hand", f"rm {cut}"))
            clone.remove(cut)
            second = clone.start("dvc", "repro", log="third")
    wait_until(first.alone)
    if status := second.status():
        this.problems.append(("second run", f"ended with {status}: {second.text[-600:]}"))
    for text in (*texts, second.text):
        ours, others = tracebacks(text)
        this.problems += [("traceback", block) for block in ours] + [("another's traceback", block) for block in others]
    if status == 0:
        this.problems += clone.faults(undisturbed)
        this.problems += [("rwlock", "names a dead process")] * clone.rwlock_names(first.process.pid)


def anew(clone, undisturbed):
    """Forget everything and run, to the same bytes."""
    clone.remove(".dvc/tmp")
    clone.forget_all()
    command = clone.start("dvc", "repro", log="anew")
    assert command.status() == 0, command.text
    assert not (faults := clone.faults(undisturbed)), faults


def rounds(clone, count, rng, keep=None):
    """Kill so often; yields a Round when it is over."""
    undisturbed, done = clone.undisturbed(), 0
    anew(clone, undisturbed)
    times = measured(clone)
    assert not (faults := clone.faults(undisturbed)), faults
    stages = list(times)
    while done < count:
        state = rng.choices(list(STATES), list(STATES.values()))[0]
        this = Round(state, stages[done % len(stages)], rng.choice(SIGNALS), rng.choice(TARGETS))
        if not (killed := disturbed(clone, this, times, rng)):
            continue
        examined(clone, this, killed, undisturbed)
        done += 1
        if this.problems and keep:
            shutil.copytree(clone.logs, keep / f"{done:03d}", dirs_exist_ok=True)
        yield this
        if this.wrong:
            anew(clone, undisturbed)


def table(done):
    """Rounds as lines of Markdown: hits for each stage, and what was seen."""
    kinds = sorted({kind for this in done for kind, _ in this.problems})
    columns = [*SIGNALS, *TARGETS, *kinds]
    lines = ["| hit | kills | " + " | ".join(columns) + " |", "|---|" + "---:|" * (1 + len(columns))]
    for hit in (*sorted({this.hit for this in done}), None):
        some = [this for this in done if hit in (None, this.hit)]
        seen = Counter(kind for this in some for kind in {this.signal, this.target, *dict(this.problems)})
        lines.append(f"| {hit or 'all'} | {len(some)} | " + " | ".join(str(seen[name]) for name in columns) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices, not the moments; printed")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of rounds in which something was wrong")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    done = []
    with study() as clone, contextlib.suppress(KeyboardInterrupt):  # which leaves the table so far
        for this in rounds(clone, arguments.kills, random.Random(seed), arguments.keep):
            done.append(this)
            said = [f"{kind}: {seen}" for kind, seen in this.problems]
            print(f"{len(done):3d} {this}", *said, sep="\n    ", flush=True)
    print("\n".join(table(done)))
    sys.exit(any(this.wrong for this in done))


if __name__ == "__main__":
    main()
