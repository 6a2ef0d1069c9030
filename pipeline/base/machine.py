"""What belongs to the machine and not to the study: the device, the threads and how they wait."""

import logging as python_logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import InputError

if TYPE_CHECKING:
    import torch


def device_named(name: str) -> "torch.device":
    """A torch device by name; for "" the GPU where there is one, else the CPU. InputError when it cannot be used.

    Of several places, which only a dump uses (`pipeline.models.spread`), it is the first: for `auto` as for "", for a
    list such as cuda:0=20GB,cpu its first entry.
    """
    import torch

    name = re.split("[,=]", name)[0] if name != "auto" else ""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        why = str(error).split("\n")[0].rstrip(".")
        raise InputError(
            f"device {name!r} cannot be used here ({why}): set DRILLCORE_DEVICE to cpu, or to a GPU that torch sees"
        ) from error
    return torch.device(name)


def must_be_here(path: Path, what: str) -> None:
    """Raise InputError for a file or folder that the run found, and the machine of this worker has not."""
    if not path.exists():
        raise InputError(
            f"{what}: {path} is not on machine {os.uname().nodename}: put it where all machines see it under this "
            "path, such as in a shared HF_HOME"
        )


def chosen_device() -> "torch.device":
    """The device that the user's environment names, for what has no option for it."""
    return device_named(os.environ.get("DRILLCORE_DEVICE", ""))


def use_threads(count: int) -> None:
    """Let torch use so many CPU threads; 0 leaves its choice."""
    import torch

    torch.set_num_threads(count or torch.get_num_threads())


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores' worth of time that a container may use, None where nothing limits it (control groups, version 2 or 1)."""
    try:
        if (limit := root / "cpu.max").exists():
            quota, period = limit.read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return None if quota.strip() in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def configure_threads() -> None:
    """Set how OpenMP's threads wait, and how many there are. It must come before torch is imported; what the user has
    set in the environment stays.

    Threads that spin while they wait for work collapse on a busy machine, where they hold a core that another program
    needs. Threads that sleep cost a few per cent on an idle one (benchmarks/threads.py, docs/performance.md).
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if "OMP_NUM_THREADS" not in os.environ and (quota := cgroup_quota()) is not None:
        os.environ["OMP_NUM_THREADS"] = str(max(1, min(os.cpu_count() or 1, int(quota))))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without warnings and bars of transformers and accelerate while a model is loaded: what matters of them is
    checked, and an error of ours.
    """
    from transformers.utils import logging

    accelerate = python_logging.getLogger("accelerate")
    verbosity, bars, level = logging.get_verbosity(), logging.is_progress_bar_enabled(), accelerate.level
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    accelerate.setLevel(python_logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        accelerate.setLevel(level)
        if bars:
            logging.enable_progress_bar()
