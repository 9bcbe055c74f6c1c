"""Adam as TensorFlow does it: epsilon joins before the bias of the second moment is corrected, PyTorch's joins after."""

from collections.abc import Iterable
from typing import Any

import torch

DECAY_MEAN, DECAY_SQUARE, EPSILON = 0.9, 0.999, 1e-8  # TensorFlow's defaults


class Adam:
    """The optimiser of `parameters`."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], learning_rate: float) -> None:
        self.parameters, self.learning_rate = list(parameters), learning_rate
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.square = [torch.zeros_like(parameter) for parameter in self.parameters]

    def clear(self) -> None:
        """Forget the gradients of the last update."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, number: int) -> None:
        """Update number `number`, counted from 0, with the gradients that the parameters have."""
        corrected = (1 - DECAY_SQUARE ** (number + 1)) ** 0.5 / (1 - DECAY_MEAN ** (number + 1))
        for parameter, mean, square in zip(self.parameters, self.mean, self.square, strict=True):
            mean.lerp_(parameter.grad, 1 - DECAY_MEAN)
            square.mul_(DECAY_SQUARE).addcmul_(parameter.grad, parameter.grad, value=1 - DECAY_SQUARE)
            parameter.addcdiv_(mean, square.sqrt().add_(EPSILON), value=-self.learning_rate * corrected)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"mean": self.mean, "square": self.square}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for kept, given in zip(self.mean + self.square, state["mean"] + state["square"], strict=True):
            kept.copy_(given)
