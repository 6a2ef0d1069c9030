"""What the cost was measured on and with."""

import os
import platform
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.base.machine import cgroup_quota

PACKAGES = ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy", "polars")


def environment(facts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What ENVIRONMENT (formats.efficiency) says of the machine; the `facts` of the workers name GPUs and threads."""
    known = list(facts)
    gpus = sorted({fact["gpu"] for fact in known if fact["gpu"]})
    return {
        "cpu": processor(),
        "cores": os.cpu_count() or 1,
        "quota": cgroup_quota(),
        "threads": max((fact["threads"] for fact in known), default=1),
        "gpu": ", ".join(gpus) or None,
        "versions": {"python": platform.python_version()} | versions(),
        "date": time.strftime("%Y-%m-%d"),
    }


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the CPU."""
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """{package: its version} of those of PACKAGES that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def load() -> float | None:
    """Programs that want a core, the mean over the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
