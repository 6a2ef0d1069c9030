"""Every encoder in a process of its own, all on the same pairs, in turns -> the table of costs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import polars as pl

from pipeline.base.code import ROOT
from pipeline.base.progress import progress
from pipeline.cost import machine, worker
from pipeline.cost.clock import Pair
from pipeline.cost.settings import Efficiency
from pipeline.formats import efficiency
from pipeline.formats.names import encoder_name
from pipeline.formats.tables import schema_of

QUARTILES = (0.25, 0.5, 0.75)


class FailedError(Exception):
    """An encoder could not be measured; the message is one line."""


class Worker:
    """The process of an encoder (`worker`)."""

    def __init__(self, process: subprocess.Popen, job: dict[str, Any]) -> None:
        self.process = process
        self.facts = self.ask(json.dumps(job))
        self.rounds: list[list[list[dict[str, float]]]] = []
        """of each round: the timings of every variant and batch size"""

    def ask(self, request: str) -> dict[str, Any]:
        """The answer to a request. FailedError for an error, and for a process that is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(request, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self.process.wait()
            raise FailedError(f"its process was killed by signal {-status}" if status < 0 else "its process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise FailedError(" ".join(answer["error"].split()))
        return answer


@contextmanager
def process() -> Iterator[subprocess.Popen]:
    """A worker's process, which ends with the block."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", worker.__name__]
    pipe, environment = subprocess.PIPE, os.environ | {"PYTHONPATH": path}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment) as started:
        try:
            yield started
        finally:
            started.kill()


def measure(
    names: Sequence[str], pairs: Sequence[Pair], section: Efficiency, device: str = "", threads: int = 0
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Measure some encoders of catalog.yaml on some pairs -> EFFICIENCY and ENVIRONMENT (formats.efficiency).

    An encoder that fails is a row that says why.
    """
    job = {"pairs": pairs, "batch_sizes": section.batch_sizes, "device": device, "threads": threads}
    rows: dict[str, list[dict[str, Any]]] = {}
    facts: list[dict[str, Any]] = []
    load = machine.load()
    for group in [list(names)] if section.interleaved else [[name] for name in names]:
        with ExitStack() as stack:
            workers: dict[str, Worker] = {}
            for name in progress(group, "efficiency", "encoder"):
                try:
                    workers[name] = Worker(stack.enter_context(process()), job | {"name": name})
                except FailedError as error:
                    rows[name] = [{"name": name, "encoder": name, "error": str(error)}]
            rows |= in_turns(workers, section.repeats)
            facts += [workers[name].facts for name in workers]
    made = [row | {"pairs": len(pairs), "repeats": section.repeats} for name in names for row in rows[name]]
    settings = {"pairs": len(pairs), "repeats": section.repeats, "interleaved": section.interleaved}
    found = machine.environment(facts) | settings | {"load_before": load, "load_after": machine.load()}
    return pl.DataFrame(made, schema=schema_of(efficiency.EFFICIENCY)), found


def in_turns(workers: dict[str, Worker], repeats: int) -> dict[str, list[dict[str, Any]]]:
    """In each round every worker measures once -> the rows of each encoder. The first round only warms up."""
    failed: dict[str, str] = {}

    def ask_all(request: str) -> dict[str, dict[str, Any]]:
        answers = {}
        for name in [name for name in workers if name not in failed]:
            try:
                answers[name] = workers[name].ask(request)
            except FailedError as error:
                failed[name] = str(error)
        return answers

    for number in progress(range(repeats + 1), "efficiency", "round"):
        for name, answer in ask_all("measure").items():
            if number:
                workers[name].rounds.append(answer["timings"])
    memories = ask_all("memory")
    rows = {name: rows_of(name, workers[name], memory) for name, memory in memories.items()}
    return rows | {name: [{"name": name, "encoder": name, "error": why}] for name, why in failed.items()}


def rows_of(name: str, measured: Worker, memory: dict[str, int | None]) -> list[dict[str, Any]]:
    """A row of EFFICIENCY for each variant and batch size of an encoder."""
    facts, rows = measured.facts, []
    for number, variant in enumerate(facts["variants"]):
        for place, size in enumerate(facts["batch_sizes"]):
            timings = [of_round[number][place] for of_round in measured.rounds]
            called = encoder_name(name, facts["pooling"], None, variant["similarity"])
            row = {"name": called, "encoder": name, "batch_size": size} | variant | memory
            row |= {key: facts[key] for key in ("kind", "device", "disk_bytes")}
            for column, key in (("ms", "whole"), ("encoding_ms", "encoding"), ("cpu_ms", "cpu")):
                row |= quartiles(column, [timing[key] for timing in timings])
            rows.append(row)
    return rows


def quartiles(name: str, seconds: Sequence[float | None]) -> dict[str, float | None]:
    """Seconds of the repeats -> {name: their median, name_low and name_high: their quartiles} in ms; None stays."""
    columns, known = (f"{name}_low", name, f"{name}_high"), [value for value in seconds if value is not None]
    if not known:
        return dict.fromkeys(columns)
    return dict(zip(columns, (1000 * np.quantile(known, QUARTILES)).tolist()))


def spread(pairs: pl.DataFrame, sentences: pl.DataFrame, count: int) -> list[Pair]:
    """Pairs and sentences of C2 -> `count` pairs of texts, evenly spaced over all by their length in characters.

    They stay in their order, so that lengths are mixed as in the data. All pairs where there are fewer.
    """
    texts = sentences["text"].to_list()
    both = [(texts[i], texts[j]) for i, j in pairs.select("sentence1_id", "sentence2_id").iter_rows()]
    order = np.argsort([len(first) + len(second) for first, second in both], kind="stable")
    chosen = order[np.linspace(0, len(both) - 1, min(count, len(both))).astype(int)]
    return [both[number] for number in np.sort(chosen).tolist()]
