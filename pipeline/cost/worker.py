"""The process of one encoder: python -m pipeline.cost.worker, in a folder with params.yaml and catalog.yaml.

It reads a job and then requests, and answers each with a line of JSON: see `serve`. Whatever the libraries print goes
to standard error.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from pipeline.base.errors import InputError, first_line
from pipeline.cost import clock, encoders

Answer = Callable[[dict[str, Any]], None]


def serve(job: dict[str, Any], requests: Iterable[str], answer: Answer) -> None:
    """Open the encoder of a job {name, pairs, batch_sizes, device, threads}, say what it is; then for each request:

    `measure`: the Timing of every variant, for single pairs and for the best batch size; `memory`: what it holds.
    """
    encoder = encoders.opened(job["name"], job["device"])
    pairs = [(first, second) for first, second in job["pairs"]]
    facts: dict[str, Any] = {"gpu": None, "threads": 1}
    if "torch" in sys.modules:  # word vectors and overlap do without
        from pipeline.base.machine import use_threads
        from pipeline.cost import networks

        use_threads(job["threads"])
        facts = networks.described(encoder.device)
    sizes = sorted({1, clock.best_batch_size(encoder, pairs, job["batch_sizes"])})
    variants = [asdict(variant) for variant in encoder.variants]
    kept = {name: getattr(encoder, name) for name in ("kind", "pooling", "disk_bytes", "device")}
    answer(facts | kept | {"variants": variants, "batch_sizes": sizes})
    for request in requests:
        if request.strip() == "measure":
            timings = [[asdict(clock.timed(encoder, pairs, v, size)) for size in sizes] for v in encoder.variants]
            answer({"timings": timings})
        else:
            answer(clock.memory() | (networks.gpu_memory(encoder.device) if encoder.device != "cpu" else {}))


def main() -> None:
    """Serve the job on standard input. What goes wrong is the last answer, as `error`."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        serve(json.loads(sys.stdin.readline()), iter(sys.stdin.readline, ""), answer)
    except InputError as error:
        answer({"error": str(error)})
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # of a library, or a mistake of ours: the other encoders go on
        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {first_line(error)}"})


if __name__ == "__main__":
    main()
