"""Which share of the shards a worker makes where it is told so, as one of several of known number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.base.errors import InputError

Item = TypeVar("Item")

LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}
"""what they say in the environment: the rank, how many there are, which of them this is on its machine

Not SLURM_NTASKS: a batch script has that and SLURM_PROCID=0 outside srun, and would make a quarter of four.
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
    local = next((environment[names[2]] for names in LAUNCHERS.values() if names[2] in environment), None)
    if rank is not None and world_size is not None:
        return _checked(rank, world_size, local, "--rank and --world-size")
    for launcher, (number, world, where) in LAUNCHERS.items():
        if number in environment and world in environment:
            values = environment[number], environment[world], environment.get(where)
            return _checked(*values, f"{number} and {world} of {launcher}")
    return Rank()


def _checked(number: str | int, world: str | int, local: str | None, source: str) -> Rank:
    try:
        rank = Rank(int(number), int(world), None if local is None else int(local))
    except ValueError:
        raise InputError(f"{source} are {number!r} and {world!r}, expected numbers such as 0 and 4") from None
    if not 0 <= rank.number < rank.world:
        raise InputError(f"rank {number} of {world} ({source}): ranks of a world of {world} are 0 to {rank.world - 1}")
    return rank
