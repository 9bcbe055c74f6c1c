"""`make gpu`: ten steps of modes, v1 and barrel on another device beside the CPU: largest difference of a loss, time.

Needs PyTorch, numpy, numba, pandas, scipy and jaxtyping; Brian2, MuJoCo and Snakemake are not imported. DEVICE is cuda, or
plain: the operations that a GPU would run, on the CPU, which proves this script where no GPU is at hand. Ends with status 1
when a loss differs by more than a ten-thousandth of it.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "src")]
sys.modules.update(dict.fromkeys(("brian2", "mujoco", "snakemake")))  # an import of these fails

from respike import surroundings  # noqa: E402  (found by the path above)

surroundings.settle()

import numpy as np  # noqa: E402
import torch  # noqa: E402

STEPS, TOLERANCE = 10, 1e-4
CASES: dict[str, Callable[[torch.device], list[float]]] = {}


def case(function: Callable) -> Callable:
    """Register a training that returns the losses of its steps."""
    CASES[function.__name__] = function
    return function


def _modes(cell: str, task: str, device: torch.device) -> list[float]:
    from respike.modes import learning  # noqa: PLC0415
    from respike.modes.params import Training, Variant  # noqa: PLC0415

    rng = np.random.default_rng(0)
    images = (rng.integers(0, 256, (256, 784)).astype(np.uint8), rng.integers(10, size=256)) if task == "digits" else None
    settings = Training(50, STEPS, 64, 1e-3, 20.0)
    with tempfile.TemporaryDirectory() as folder:
        fitted = learning.train(Variant(task, cell, 100, 3), 0, settings, images, 0, Path(folder) / "fit", device)
    return fitted.loss.tolist()


@case
def modes_contextual(device: torch.device) -> list[float]:
    """A spiking network, contextual integration."""
    return _modes("spike", "contextual", device)


@case
def modes_digits(device: torch.device) -> list[float]:
    """A rate network, digits."""
    return _modes("rate", "digits", device)


@case
def v1(device: torch.device) -> list[float]:
    """Sampling and likelihood, twelve cells."""
    from respike.v1.fitting import Fitting  # noqa: PLC0415
    from respike.v1.params import Network, Objective, Training, Variant  # noqa: PLC0415
    from respike.v1.recorded import Recording  # noqa: PLC0415

    rng = np.random.default_rng(0)
    spikes, movie = rng.random((40, 150, 12)) < 0.08, rng.random((150, 13, 13)).astype(np.float32)
    split = np.repeat(["train", "validation"], [30, 10])
    record = Recording(movie, spikes, split, np.arange(12), 40.0, 0, 0, "noise")
    objective = Objective(likelihood=0.4, psth=0.1, noise_correlation=50.0)
    fitting = Fitting(record, Network(), Variant(objective), Training(steps=10**6, evaluate_every=10**6), (0, 0), device)
    return [fitting.step(number)["train"] for number in range(STEPS)]


@case
def barrel(device: torch.device) -> list[float]:
    """The column at an eighth of its size."""
    from respike.barrel import learning, params  # noqa: PLC0415

    network = learning.build(params.Network(divide_by=8), "spiking", "anatomical", 0, device.type)
    x = (torch.rand(16, 20, 2 * params.CHANNELS, generator=torch.Generator().manual_seed(0)) < 0.3).float().to(device)
    state, label = network.initial_state(0, range(16)), (torch.arange(16) % 3).to(device)
    optimiser, losses = torch.optim.Adam(network.parameters(), 1e-3), []
    for _ in range(STEPS):
        optimiser.zero_grad()
        value = learning.loss(network(x, state), label, "reference")
        value.backward()
        optimiser.step()
        network.project(0.5)
        losses.append(value.item())
    return losses


@contextmanager
def plainly() -> Iterator[None]:
    """The compiled functions of the CPU replaced by their plain twins, which other devices run."""
    from respike.barrel import kernel, model  # noqa: PLC0415
    from respike.modes import model as modes  # noqa: PLC0415
    from respike.v1 import recurrence  # noqa: PLC0415

    def steps(network, inputs, *options):
        return modes.read_steps(network, modes.run_spiking_plainly(network, modes.drive_of(network, inputs), *options).r)

    def peaks(network, drive, cells, *_):
        return modes.read_peaks(network, modes.run_rate_plainly(network, drive, cells).r)

    with (
        mock.patch.multiple(modes, train_steps=steps, train_peaks=peaks),
        mock.patch.object(kernel, "advance", model.advance_plain),
        mock.patch.object(recurrence, "run", recurrence.run_plain),
    ):
        yield


def timed(run: Callable[[torch.device], list[float]], device: torch.device) -> tuple[list[float], float]:
    """Losses of a second run, and its seconds per step."""
    with redirect_stdout(io.StringIO()):  # the log of the training
        run(device)
        started = time.perf_counter()
        return run(device), (time.perf_counter() - started) / STEPS


def main() -> None:
    """Run every case on both devices and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "plain"], default="cuda")
    parser.add_argument("--only", choices=CASES, help="one training")
    options = parser.parse_args()
    name, bad = options.device, 0
    if name == "cuda" and not torch.cuda.is_available():
        sys.exit("no usable GPU was found; DEVICE=plain runs the same operations on the CPU")
    torch.set_num_threads(1)
    print(f"{'training':18}{'CPU s/step':>12}{name + ' s/step':>14}{'largest difference of a loss':>32}")
    for label, run in CASES.items() if not options.only else [(options.only, CASES[options.only])]:
        here, ours = timed(run, torch.device("cpu"))
        if name == "plain":
            with plainly():
                there, theirs = timed(run, torch.device("cpu"))
        else:
            there, theirs = timed(run, torch.device("cuda"))
        difference = float(np.max(np.abs(np.subtract(there, here)) / np.abs(here)))
        bad += not difference <= TOLERANCE
        print(f"{label:18}{ours:12.4f}{theirs:14.4f}{difference:32.1e}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
