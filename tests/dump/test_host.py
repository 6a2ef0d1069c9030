import pytest
import torch

from pipeline.dump.host import Host
from pipeline.dump.keep import KEEPS

SCHEMA = KEEPS["pooled"].schema([0], (4,), "float16")


def test_two_sets_take_turns():
    host = Host(SCHEMA, 3, torch.device("cpu"))
    first, second, third = (host.next_set() for _ in range(3))
    assert first is third
    assert {column.data_ptr() for column in first}.isdisjoint(column.data_ptr() for column in second)


def test_columns_have_the_types_and_shapes_of_the_schema():
    columns = Host(SCHEMA, 3, torch.device("cpu")).next_set()
    sizes = {name: (tuple(column.shape), column.dtype) for name, column in zip(SCHEMA.names[2:], columns)}
    assert sizes["layer_00_rest_sum"] == ((3, 4), torch.float32)
    assert sizes["layer_00_last"] == ((3, 4), torch.float16)
    assert sizes["layer_00_squared_norm"] == ((3,), torch.float32)


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_a_copy_has_arrived_when_it_says_so_and_is_rounded_to_the_target(device):
    host = Host(SCHEMA, 1000, torch.device(device))
    source = torch.randn(1000, 4, device=device)
    target = host.empty(1000, 4, dtype=torch.float16)
    host.copy(target, source)
    host.arrived()()
    assert torch.equal(target, source.cpu().half())
