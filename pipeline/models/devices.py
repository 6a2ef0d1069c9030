"""Where a network computes, whether it lies on one device or on several (`pipeline.models.spread`)."""

import torch
from transformers import PreTrainedModel


def device_of(model: PreTrainedModel) -> torch.device:
    """Where token ids belong, and where most of a network computes: its device, or the first of several.

    `model.device` is where the first weight lies. That is nowhere (`meta`) while it waits in memory of the host or on
    the disk.
    """
    hook = getattr(model, "_hf_hook", None)  # of accelerate
    if hook is None:
        return model.device
    place = hook.execution_device
    return torch.device("cuda", place) if isinstance(place, int) else torch.device(place)


def weight_of(module: torch.nn.Module) -> torch.Tensor:
    """The weight of a module, on the CPU where it waits in memory of the host or on the disk between two passes."""
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    if weight.device.type == "meta":
        from accelerate.utils import align_module_device

        with align_module_device(module, torch.device("cpu")):
            weight = module.weight  # type: ignore[assignment]
    return weight.detach()
