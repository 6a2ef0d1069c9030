"""How waiting threads behave on a quiet and on a busy machine: python -m benchmarks.threads

A product of 512 x 768 by 768 x 768 is repeated under several settings of OpenMP, alone and with a busy process on
each core; in each round every setting has its turn, and medians are compared. The choice is in
pipeline/base/machine.py.
"""

import multiprocessing
import os
import statistics
import subprocess
import sys
import time

SETTINGS = {
    "default": {},
    "spin 10000": {"GOMP_SPINCOUNT": "10000"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
PROGRAM = """
import sys, time, torch
a, b = torch.randn(512, 768), torch.randn(768, 768)
torch.mm(a, b)
start = time.perf_counter()
for _ in range(int(sys.argv[1])):
    torch.relu(torch.mm(a, b))
print(time.perf_counter() - start)
"""


def seconds(variables, repeats):
    environment = {
        k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    }
    command = [sys.executable, "-c", PROGRAM, str(repeats)]
    return float(
        subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=True).stdout
    )


def busy():
    while True:
        pass


def measured(repeats, rounds):
    """{setting: median seconds}, each setting once a round."""
    times = {name: [] for name in SETTINGS}
    for _ in range(rounds):
        for name, variables in SETTINGS.items():
            times[name].append(seconds(variables, repeats))
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    quiet = measured(repeats=300, rounds=5)
    load = [multiprocessing.Process(target=busy, daemon=True) for _ in range(os.cpu_count())]
    for process in load:
        process.start()
    time.sleep(1)
    loaded = measured(repeats=100, rounds=3)
    for process in load:
        process.terminate()
    print("| setting | quiet, of the best | busy, of the best |\n|---|---:|---:|")
    for name in SETTINGS:
        print(f"| {name} | {quiet[name] / min(quiet.values()):.2f} | {loaded[name] / min(loaded.values()):.2f} |")


if __name__ == "__main__":
    main()
