import pytest
import torch

from pipeline.models.checkpoints import OUR_NAMES
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config

SIZES = {"vocab_size": 97, "hidden_size": 64, "num_hidden_layers": 3, "head_size": 16}


@pytest.fixture(autouse=True)
def seeded(seed):
    """Torch draws from the fresh seed that is shown when a test fails."""
    torch.manual_seed(seed)


@pytest.fixture
def finch(seeded):
    """A random RWKV-6 whose decays, mixes and norms are far from their initial values."""
    model = Rwkv6ForCausalLM(Rwkv6Config(**SIZES)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p) * p.std().clamp(min=0.1))
    return model


@pytest.fixture
def blinkdl():
    """A function: the weights of a model under BlinkDL's names."""

    def renamed(model):
        tensors = {}
        for name, tensor in model.state_dict().items():
            name = name.removeprefix("rwkv.")
            for old, new in OUR_NAMES.items():
                name = name.replace(new, old)
            tensors[name] = tensor.clone().contiguous()
        return tensors

    return renamed
