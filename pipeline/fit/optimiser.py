"""Adam (arXiv 1412.6980, algorithm 1), to the last bit what torch.optim.Adam computes on a CPU.

Written out since any of torch.optim imports torch's compiler, which takes longer than a small fit.
"""

from collections.abc import Iterable

import torch

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Moments of the gradients of some parameters, and the steps along them."""

    def __init__(self, parameters: Iterable[torch.Tensor], learning_rate: float) -> None:
        self.parameters, self.learning_rate, self.steps = list(parameters), learning_rate, 0
        self.first = [torch.zeros_like(parameter) for parameter in self.parameters]  # m_t
        self.second = [torch.zeros_like(parameter) for parameter in self.parameters]  # v_t

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter by its gradient, and forget the gradients."""
        self.steps += 1
        size = self.learning_rate / (1 - BETA1**self.steps)
        correction = (1 - BETA2**self.steps) ** 0.5
        for parameter, m, v in zip(self.parameters, self.first, self.second):
            assert parameter.grad is not None
            m.lerp_(parameter.grad, 1 - BETA1)
            v.mul_(BETA2).addcmul_(parameter.grad, parameter.grad, value=1 - BETA2)
            parameter.addcdiv_(m, (v.sqrt() / correction).add_(EPSILON), value=-size)
            parameter.grad = None
