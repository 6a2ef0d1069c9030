"""Which shards a rank makes, and who says that it is one."""

import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.dump.ranks import Rank, rank_of

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
SRUN = {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "0"}
TASKS = {"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1"}
BATCH = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}
STEP = BATCH | {"SLURM_STEP_ID": "0", "SLURM_PROCID": "1"}
MPIRUN = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
MPIEXEC = {"PMI_RANK": "1", "PMI_SIZE": "3", "MPI_LOCALRANKID": "0"}
EMPTY = {"RANK": "", "WORLD_SIZE": "", "LOCAL_RANK": ""}


def test_shares_are_disjoint_and_together_all(rng):
    for _ in range(20):
        count, world = rng.integers(0, 40), rng.integers(1, 9)
        shares = [Rank(number, world).share(range(count)) for number in range(world)]
        assert sorted(item for share in shares for item in share) == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ((None, None), {}, Rank(0, 1)),
        ((1, 4), {}, Rank(1, 4)),
        ((1, 4), TORCHRUN, Rank(1, 4, 1)),
        ((None, None), TORCHRUN, Rank(3, 8, 1)),
        ((None, None), SRUN, Rank(2, 4, 0)),
        ((None, None), TORCHRUN | SRUN, Rank(3, 8, 1)),
        ((None, None), TASKS, Rank(1, 4, 1)),
        ((None, None), BATCH, Rank(0, 1)),
        ((None, None), BATCH | {"SLURM_STEP_ID": ""}, Rank(0, 1)),
        ((None, None), STEP, Rank(1, 4, 0)),
        ((None, None), STEP | {"SLURM_STEP_NUM_TASKS": "2"}, Rank(1, 2, 0)),
        ((None, None), MPIRUN, Rank(1, 2, 1)),
        ((None, None), MPIRUN | SRUN, Rank(1, 2, 1)),
        ((None, None), BATCH | MPIEXEC, Rank(1, 3, 0)),
        ((None, None), EMPTY, Rank(0, 1)),
        ((None, None), EMPTY | SRUN, Rank(2, 4, 0)),
        ((2, 4), EMPTY | SRUN, Rank(2, 4, 0)),
        ((2, 4), BATCH, Rank(2, 4)),
        ((None, None), {"RANK": "3"}, Rank(0, 1)),
        ((1, 4), {"DVC_STAGE": "dump@demo"}, Rank(0, 1)),
        ((None, None), {"DVC_STAGE": "dump@demo"} | TORCHRUN | SRUN, Rank(0, 1)),
    ],
)
def test_the_options_come_before_the_launcher_and_dvc_before_both(options, environment, expected):
    assert rank_of(*options, environment) == expected


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        ((1, None), {}, "--rank and --world-size go together: rank 0 of 4 is --rank 0 --world-size 4"),
        ((None, 4), TORCHRUN, "--rank and --world-size go together"),
        ((4, 4), {}, r"rank 4 of 4 \(--rank and --world-size\): ranks of a world of 4 are 0 to 3"),
        ((-1, 4), {}, r"rank -1 of 4 .*: ranks of a world of 4 are 0 to 3"),
        ((0, 0), {}, r"a world of 0 \(--rank and --world-size\): expected 1 or more"),
        ((0, -2), {}, "a world of -2 "),
        ((None, None), TORCHRUN | {"RANK": "8"}, r"rank 8 of 8 \(RANK and WORLD_SIZE\)"),
        ((None, None), SRUN | {"SLURM_PROCID": "x"}, "SLURM_PROCID is 'x', expected a whole number"),
        ((None, None), TORCHRUN | {"WORLD_SIZE": "8.0"}, "WORLD_SIZE is '8.0', expected a whole number"),
        ((None, None), TORCHRUN | {"LOCAL_RANK": "x"}, "LOCAL_RANK is 'x', expected a whole number"),
        ((0, 1), TORCHRUN | {"LOCAL_RANK": "x"}, "LOCAL_RANK is 'x', expected a whole number"),
    ],
)
def test_a_rank_outside_its_world_is_refused(options, environment, message):
    with pytest.raises(InputError, match=message):
        rank_of(*options, environment)


@pytest.mark.parametrize(
    ("count", "local", "named", "expected"),
    [(2, 1, "", "cuda:1"), (1, 3, "", "cuda:0"), (2, None, "", ""), (2, 1, "cpu", "cpu"), (0, 1, "", "")],
)
def test_ranks_of_a_machine_have_a_gpu_each(monkeypatch, count, local, named, expected):
    """Or the only one that a launcher shows them."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert Rank(0, 4, local).device(named) == expected
