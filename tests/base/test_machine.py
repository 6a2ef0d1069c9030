"""The device and the threads of this machine."""

import os

import pytest

from pipeline.base import machine
from pipeline.base.errors import InputError


@pytest.mark.parametrize("name", ["cuda:99", "nonsense", "cpu:-1"])
def test_a_device_that_cannot_be_used_is_refused_in_one_line_with_the_remedy(name):
    with pytest.raises(InputError, match=rf"device '{name}' cannot be used here .*DRILLCORE_DEVICE") as error:
        machine.device_named(name)
    assert "\n" not in str(error.value)


def test_a_device_is_found_by_its_name_or_chosen():
    assert machine.device_named("cpu").type == "cpu"
    assert machine.device_named("").type in ("cpu", "cuda")


def test_of_several_places_which_a_dump_uses_other_stages_take_the_first():
    assert machine.device_named("auto") == machine.device_named("")
    assert machine.device_named("cpu=20GB,disk") == machine.device_named("cpu,disk") == machine.device_named("cpu")
    with pytest.raises(InputError, match=r"device 'cuda:99' cannot be used here"):
        machine.device_named("cuda:99=20GB,cpu")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "not a quota\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_container_is_read_in_both_versions(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.cgroup_quota(tmp_path) == cores


@pytest.fixture
def environment(monkeypatch):
    """No settings of OpenMP's threads; what a test sets is taken back."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(("quota", "threads"), [(None, None), (1.5, "1"), (0.5, "1"), (10_000.0, str(os.cpu_count()))])
def test_threads_are_as_many_as_the_quota_allows(environment, quota, threads):
    environment.setattr(machine, "cgroup_quota", lambda: quota)
    machine.configure_threads()
    assert os.environ.get("OMP_NUM_THREADS") == threads
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_what_the_user_has_set_stays(environment, name):
    environment.setattr(machine, "cgroup_quota", lambda: 1.0)
    environment.setenv("OMP_NUM_THREADS", "7")
    environment.setenv(name, "5")
    before = dict(os.environ)
    machine.configure_threads()
    assert dict(os.environ) == before
