"""The one training loop: logged, resumable bit for bit, and the same on every number of cores.

A step draws its random numbers from the step number (`seeds.generator(seed, "batch", step)`), so the state to keep is
what the parts hold (weights, optimiser, best weights so far) and the log.
"""

import inspect
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor, nn

from respike.core import files, partial

SAVE_SECONDS = float(os.environ.get("RESPIKE_SAVE_SECONDS", "20"))  # work lost at most when a training is killed


class Part(Protocol):
    """Anything with a state: modules, optimisers, our own records of the best weights."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class Adam(torch.optim.Adam):
    """torch.optim.Adam, to the bit, without the wrapping of its methods: that imports PyTorch's compiler, 1.6 CPU-s a job."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class Best:
    """Weights of `module` at its highest score, the first of equals; before any score those it started with."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.score, self.step, self.weights = module, -math.inf, 0, weights_of(module)

    def offer(self, score: float, step: int) -> None:
        """Keep the present weights, reached after `step`, when `score` is above all before."""
        if score > self.score:
            self.score, self.step, self.weights = score, step, weights_of(self.module)

    def state_dict(self) -> dict[str, Any]:
        return {"score": self.score, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.score, self.step, self.weights = state["score"], state["step"], state["weights"]


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Copy of the parameters and buffers of `module`, on the CPU."""
    return {name: value.detach().clone().cpu().contiguous() for name, value in module.state_dict().items()}


def device(name: str) -> torch.device:
    """Where to train: "cpu", "cuda", or "auto" for a GPU when there is one. One CPU thread in any case.

    Records of files say from here on which it is. Raises ValueError for "cuda" without a usable GPU, and another name.
    """
    torch.set_num_threads(1)
    if name not in {"auto", "cpu"} and not (name == "cuda" and torch.cuda.is_available()):
        raise ValueError(f"run.device = {name!r}: expected auto, cpu, or cuda, which needs a usable GPU")
    files.maker["device"] = "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
    return torch.device(files.maker["device"])


def train(
    parts: Mapping[str, Part],
    step: Callable[[int], dict[str, float]],
    n_steps: int,
    output: Path,
    settings: Mapping[str, Any],
    report_every: int = 50,
    until: Callable[[dict[str, float]], bool] = lambda _: False,
) -> pd.DataFrame:
    """Call step(0), ..., step(n_steps - 1) and return the table of what the steps gave, one row per step.

    Ends early after the first step whose row satisfies `until`.

    The state is saved beside `output` every SAVE_SECONDS; a training with the same settings, code and inputs that was cut
    off goes on from there, any other starts anew. The caller writes `output` last and calls `partial.forget`.
    """
    state = partial.resume(output, settings, partial.CHECKPOINT)
    rows = state["rows"] if state else []
    for name, part in parts.items() if state else ():
        part.load_state_dict(state["parts"][name])
    started = saved = time.monotonic()
    before = len(rows)  # done by a training that was cut off, in a time that is not known
    for number in range(before, n_steps):
        if rows and until(rows[-1]):
            break
        rows.append({"step": number, **step(number)})
        now = time.monotonic()
        if now - saved > SAVE_SECONDS:
            _save(parts, rows, output, settings)
            saved = now
        if (number + 1) % report_every == 0 or number + 1 == n_steps:
            _report(rows, n_steps, (now - started) / (number + 1 - before))
    return pd.DataFrame(rows)


def _save(parts: Mapping[str, Part], rows: list[dict], output: Path, settings: Mapping[str, Any]) -> None:
    states = {name: part.state_dict() for name, part in parts.items()}
    partial.save(output, settings, {"parts": states, "rows": rows}, partial.CHECKPOINT)


def _report(rows: list[dict], n_steps: int, seconds_per_step: float) -> None:
    values = "  ".join(f"{name} {value:.4g}" for name, value in rows[-1].items() if name != "step")
    left = (n_steps - len(rows)) * seconds_per_step
    print(f"step {len(rows)}/{n_steps}  {values}  {1 / seconds_per_step:.1f} steps/s  {left:.0f} s left", flush=True)
