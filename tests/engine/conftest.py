from types import SimpleNamespace

import pytest

from tests.helpers import ROOT


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one core each: raylets on this one. Ours is the first; `second_raylet` is a process id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # what workers import
        patch.delenv("RAY_ADDRESS", raising=False)
        from pipeline.engine import on_ray  # first: it says what Ray must not do
        from ray.cluster_utils import Cluster  # isort: skip

        head = {"num_cpus": 1, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        second = made.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", made.address)
        on_ray.connect()
        yield SimpleNamespace(address=made.address, second_raylet=second.all_processes["raylet"][0].process.pid)
        on_ray.ray.shutdown()
        made.shutdown()
