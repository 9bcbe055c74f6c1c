"""A training that is saved all the time."""

import time
from pathlib import Path

import torch

from respike.core import files, partial, seeds, training


def run(*, numbers: Path, out: Path, steps: int, seed: int, pause: float) -> None:
    """Train one weight."""
    target = float(files.read_arrays(numbers)["numbers"].sum())
    weight = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(weight.weight)
    torch.nn.init.zeros_(weight.bias)
    optimiser = torch.optim.Adam(weight.parameters(), 0.1)

    def step(number: int) -> dict[str, float]:
        time.sleep(pause / 10)
        x = torch.from_numpy(seeds.generator(seed, "mini", "fit", number).normal(size=(8, 1))).float()
        loss = ((weight(x) - target * x) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"loss": loss.item()}

    log = training.train({"weight": weight, "optimiser": optimiser}, step, steps, out, {"target": target, "seed": seed}, 10)
    files.write_checkpoint(out, {"weight": weight.state_dict(), "loss": log["loss"].tolist()})
    partial.forget(out)
