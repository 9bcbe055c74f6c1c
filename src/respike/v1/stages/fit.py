"""Recording in, fitted network out: the weights that were best on the validation trials, and the log of the training."""

from pathlib import Path

from respike.core import files, partial, training
from respike.v1 import fitted, recorded
from respike.v1.fitting import Fitting
from respike.v1.params import Network, Training, Variant


def run(
    *,
    recording: Path,
    fit: Path,
    history: Path,
    network: Network,
    variant: Variant,
    optimiser: Training,
    replicate: int,
    seed: int,
    device: str = "auto",
) -> None:
    """Fit `network`, changed as `variant` says, to the training trials; write its best weights and the loss of every step."""
    record = recorded.read(recording)
    fitting = Fitting(record, network, variant, optimiser, (seed, replicate), training.device(device))
    settings = {"seed": (seed, replicate), "network": network, "variant": variant, "optimiser": optimiser}
    losses = training.train(fitting.parts, fitting.step, optimiser.steps, fit, settings)
    about = {"dataset": record.dataset, "best_step": fitting.best.step, "replicate": replicate}
    files.write_table(history, losses)
    fitted.write(fit, fitting.model, fitting.best.weights, **about)
    partial.forget(fit)
