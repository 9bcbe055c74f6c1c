"""`make peers`: CPU seconds of the training step of one recurrent LIF layer in snnTorch, Norse and respike, side by side.

The layer has N = 100 cells, batch 256, 50 steps (sizes of `modes`), and dense input currents.
The models are not the same: those of the others have neither refractory time nor filtered spikes, and a full matrix of
recurrent weights in place of three modes. The gradients of snnTorch are checked against its equations written out.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import pandas as pd  # noqa: E402
import torch  # noqa: E402
from benchmarks.run import medians  # noqa: E402

CELLS, TRIALS, STEPS, BETA, SLOPE = 100, 256, 50, 0.9, 25


def drive() -> torch.Tensor:
    """Input currents (step, trial, cell) that make the cells fire."""
    return torch.rand(STEPS, TRIALS, CELLS, generator=torch.Generator().manual_seed(0)).mul_(0.6).requires_grad_()


def snntorch_spikes():
    """Function of the drive that gives the spikes of `RLeaky`, and its recurrent weights."""
    import snntorch  # noqa: PLC0415
    from snntorch import surrogate  # noqa: PLC0415

    torch.manual_seed(0)
    layer = snntorch.RLeaky(BETA, linear_features=CELLS, spike_grad=surrogate.fast_sigmoid(slope=SLOPE))

    def run(x):
        spike, membrane = layer.init_rleaky()
        spikes = []
        for now in x:
            spike, membrane = layer(now, spike, membrane)
            spikes.append(spike)
        return torch.stack(spikes)

    return run, layer.recurrent


def written_out(x, recurrent):
    """The equations of `RLeaky`: a spike takes 1 from the membrane in the next step and acts through the weights then."""
    from respike.core.cells import spike as step_function  # noqa: PLC0415

    spike = membrane = torch.zeros_like(x[0])
    spikes = []
    for now in x:
        reset = (membrane > 1).float()
        membrane = BETA * membrane + now + recurrent(spike) - reset
        spike = step_function(membrane - 1, lambda u: 1 / (SLOPE * u.abs() + 1) ** 2)
        spikes.append(spike)
    return torch.stack(spikes)


def norse_spikes():
    """Function of the drive that gives the spikes of `LIFRecurrent`, and its recurrent weights."""
    from norse.torch import LIFRecurrent  # noqa: PLC0415

    torch.manual_seed(0)
    layer = LIFRecurrent(CELLS, CELLS, dt=0.002)
    return (lambda x: layer(x)[0]), layer


def ours():
    """Function of the drive that gives the logits of a network of `modes` with all that it has, and its weights."""
    from respike.modes import model  # noqa: PLC0415
    from respike.modes.params import Size, spike_filter  # noqa: PLC0415

    network = model.Network(Size(784, CELLS, 3, 10), torch.Generator().manual_seed(0))
    return (lambda x: model.train_peaks(network, x, spike_filter("digits", "double"))), network


def training_step(run, module: torch.nn.Module):
    """Function that takes one step: run, loss, gradients, Adam."""
    x, optimiser = drive(), torch.optim.Adam([part for part in module.parameters() if part.requires_grad], 1e-4)

    def step():
        optimiser.zero_grad()
        run(x).square().mean().backward()
        optimiser.step()

    return step


def check() -> float:
    """Largest difference between snnTorch's gradients of the drive and those of its equations, relative to the largest."""
    run, recurrent = snntorch_spikes()
    x, weights = drive(), torch.randn(STEPS, TRIALS, CELLS, generator=torch.Generator().manual_seed(1))
    theirs, plain = (torch.autograd.grad((part * weights).sum(), x)[0] for part in (run(x), written_out(x, recurrent)))
    return float((theirs - plain).abs().max() / plain.abs().max())


def main() -> None:
    """Print a line for each library that is installed, and write results/peers.csv, beside respike's step."""
    torch.set_num_threads(1)
    rows = []
    for name, make in (("respike, modes", ours), ("snnTorch RLeaky", snntorch_spikes), ("Norse LIFRecurrent", norse_spikes)):
        try:
            made = make()
        except ImportError as error:
            print(f"{name:22} not measured: {error}")
            continue
        rows.append({"workload": f"peers: {name}", "cpu_s": medians(training_step(*made))[0], "load": os.getloadavg()[0]})
        print(f"{name:22} {rows[-1]['cpu_s']:8.4f} CPU s a step", flush=True)
    table = pd.DataFrame(rows).assign(peak_mb=None, yardstick="respike, modes", yardstick_cpu_s=rows[0]["cpu_s"])
    Path("results").mkdir(exist_ok=True)
    table.assign(ratio=table["cpu_s"] / table["yardstick_cpu_s"]).to_csv("results/peers.csv", index=False)
    with suppress(ImportError):
        print(f"gradients of snnTorch against its equations written out: largest relative difference {check():.1e}")


if __name__ == "__main__":
    main()
