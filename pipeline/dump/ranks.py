"""Which share of the shards a worker makes where it is told so, as one of several of known number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.base.errors import InputError

Item = TypeVar("Item")

LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "mpiexec": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    "SLURM": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
}
"""what they say in the environment: the rank, how many there are, which of them this is on its machine

A launcher may itself be a process of a later one, whose variables are then still there.
"""


@dataclass(frozen=True)
class Rank:
    """One of several workers."""

    number: int = 0
    """from 0 on"""
    world: int = 1
    """how many there are"""
    local: int | None = None
    """which of them it is on its machine; None where nobody says it"""

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Its items: every `world`-th, so that long and short sentences are shared alike."""
        return items[self.number :: self.world]

    def device(self, named: str) -> str:
        """The name of its device: the one that is named, else a GPU of its own where there are several."""
        if named or self.local is None:
            return named
        import torch

        count = torch.cuda.device_count()
        return f"cuda:{self.local % count}" if count else ""


def rank_of(rank: int | None, world_size: int | None, environment: Mapping[str, str]) -> Rank:
    """The rank that the options say, else the launcher. Alone under DVC, which wants everything of its stage.

    Raises InputError for one option without the other, and for a rank that is not one of its world.
    """
    if "DVC_STAGE" in environment:
        return Rank()
    if (rank is None) != (world_size is None):
        raise InputError("--rank and --world-size go together: rank 0 of 4 is --rank 0 --world-size 4")
    said = _said(environment)
    if rank is not None and world_size is not None:
        local = [name for _, _, name in LAUNCHERS.values() if name in said][:1]
        given = {"--rank": str(rank), "--world-size": str(world_size)}
        return _checked(given | {name: said[name] for name in local})
    for names in LAUNCHERS.values():
        if names[0] in said and names[1] in said:
            return _checked({name: said[name] for name in names if name in said})
    return Rank()


def _said(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that have a value, without SLURM's where its srun has not begun: a batch script is process 0 of
    SLURM_NTASKS, and would make a quarter of four.
    """
    is_batch = environment.get("SLURM_JOB_ID") and not environment.get("SLURM_STEP_ID")
    ignored = LAUNCHERS["SLURM"] if is_batch else ()
    return {name: value for name, value in environment.items() if value and name not in ignored}


def _checked(given: Mapping[str, str]) -> Rank:
    """The rank of a number, a world and perhaps a number on the machine, by the names under which they were given."""
    for name, text in given.items():
        if not text.removeprefix("-").isdecimal():
            raise InputError(f"{name} is {text!r}, expected a whole number, such as 0")
    rank, source = Rank(*map(int, given.values())), " and ".join(list(given)[:2])
    if rank.world < 1:
        raise InputError(f"a world of {rank.world} ({source}): expected 1 or more, since ranks count from 0")
    if not 0 <= rank.number < rank.world:
        raise InputError(
            f"rank {rank.number} of {rank.world} ({source}): ranks of a world of {rank.world} are 0 to {rank.world - 1}"
        )
    return rank
