"""Adam as TensorFlow and Keras do it: epsilon joins the root of the second moment before its bias is corrected.

Kingma, Ba (ICLR 2015), in the reordered form of their section 2 (with their epsilon hat): with m and v the decaying means of
the gradient and of its square, update t = 1, 2, ... moves a parameter by

    - learning_rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon).

PyTorch's own Adam corrects the bias of v first, so that its epsilon counts for less in the first updates.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class Adam:
    """The optimiser of `parameters`.

    With `clip`, the gradient of each parameter is cut to that norm on its own (Keras: clipnorm). `fused` sweeps once over each
    parameter where the plain form takes five operations: the same up to rounding, and faster with many small parameters.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        clip: float | None = None,
        fused: bool = False,
    ) -> None:
        self.parameters, self.learning_rate, self.betas, self.epsilon = list(parameters), learning_rate, betas, epsilon
        self.clip, self.fused = clip, fused
        self.mean, self.square = ([torch.zeros_like(parameter) for parameter in self.parameters] for _ in betas)

    def zero_grad(self) -> None:
        """Forget the gradients of the last update."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, number: int) -> None:
        """Update `number`, counted from 0, with the gradients that the parameters have."""
        if self.clip is not None:
            for parameter in self.parameters:
                nn.utils.clip_grad_norm_([parameter], self.clip)
        (self._fused if self.fused else self._plain)(number + 1)

    def _plain(self, t: int) -> None:
        beta1, beta2 = self.betas
        rate = self.learning_rate * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        for parameter, mean, square in zip(self.parameters, self.mean, self.square, strict=True):
            mean.lerp_(parameter.grad, 1 - beta1)
            square.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            parameter.addcdiv_(mean, square.sqrt().add_(self.epsilon), value=-rate)

    def _fused(self, t: int) -> None:
        """PyTorch's kernel divides sqrt(v) by sqrt(1 - beta2^t) before it adds epsilon, so epsilon is divided too."""
        beta1, beta2 = self.betas
        gradients = [parameter.grad for parameter in self.parameters]
        taken = [torch.tensor(float(t), device=parameter.device) for parameter in self.parameters]
        options = {"lr": self.learning_rate, "beta1": beta1, "beta2": beta2, "eps": self.epsilon / math.sqrt(1 - beta2**t)}
        options |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
        torch._fused_adam_(self.parameters, gradients, self.mean, self.square, [], taken, **options)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"mean": self.mean, "square": self.square}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for kept, stored in zip(self.mean + self.square, state["mean"] + state["square"], strict=True):
            kept.copy_(stored)
