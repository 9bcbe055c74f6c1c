"""Fresh trials of a fitted network: outputs, rates, and sample activity for pictures and statistics."""

from collections.abc import Mapping

import numpy as np
import torch

from respike.core import training
from respike.core.tasks import contextual
from respike.modes import analysis, model
from respike.modes.fitted import Fitted
from respike.modes.params import DT, Evaluation
from respike.modes.trials import Trials

CHUNK = 250  # trials at a time, to bound the memory
KEPT = 40  # trials whose stimuli, spikes and mode-space activity are kept, for statistics over cells and pictures
SWITCHING = 0.5  # share of the trials of the switch task that switch context


@torch.no_grad()
def simulate(
    fitted: Fitted, digits: Mapping[str, np.ndarray] | None, settings: Evaluation, rng: np.random.Generator
) -> Trials:
    """Trials of one network, as long as those of its training, its weights, and the losses of its training.

    `digits` holds test_images, test_labels and dataset; a network of another task draws new stimuli and needs none.
    """
    if fitted.task == "digits":
        trials = digit_trials(fitted, digits, settings, rng)
    else:
        trials = contextual_trials(fitted, settings, rng)
    weights = {name: weight.numpy() for name, weight in training.weights_of(fitted.network).items()}
    facts = {"task": fitted.task, "cell": fitted.cell, "replica": fitted.replica}
    return {**trials, **weights, "loss": fitted.loss.numpy(), **facts}


def digit_trials(fitted: Fitted, digits: Mapping[str, np.ndarray], settings: Evaluation, rng: np.random.Generator) -> Trials:
    """Predicted digit of each test image (repeat, image), `repeats` times with new input spikes; activity for one image."""
    network, steps = fitted.network, fitted.settings.steps
    images, labels = digits["test_images"], digits["test_labels"]
    chosen = rng.permutation(len(labels))[: settings.images]
    predicted = np.empty((settings.repeats, len(chosen)), np.int64)
    counts = np.zeros(network.win.shape[0])
    for repeat in range(settings.repeats):
        for begin in range(0, len(chosen), CHUNK):
            part = chosen[begin : begin + CHUNK]
            activity, source = fitted.run(model.encoded_drive(network, images[part], steps, rng))
            predicted[repeat, begin : begin + CHUNK] = model.read_peaks(network, source).argmax(1).cpu()
            counts += spike_counts(activity)
    return {
        "predicted": predicted,
        "labels": labels[chosen],
        "rates": counts / (predicted.size * steps * DT),
        "dataset": digits["dataset"],
        "sample_image": images[part[0]].reshape(28, 28),
        "sample_label": labels[part[0]],
        **samples(activity),
    }


def contextual_trials(fitted: Fitted, settings: Evaluation, rng: np.random.Generator) -> Trials:
    """Output, target and mode-space activity of new trials; half of them switch context in the switch variant."""
    network, steps = fitted.network, fitted.settings.steps
    switching = SWITCHING if fitted.task == "switch" else 0.0
    trials = contextual(rng, steps, settings.trials, switching, fitted.settings.switch_steps)
    activity, source = fitted.run(model.drive_of(network, torch.from_numpy(trials.inputs).to(network.win.device)))
    few = source[:, :KEPT]
    basis = analysis.mode_basis(network.win.cpu().numpy(), network.pin.cpu().numpy())
    return {
        "output": model.read_steps(network, source)[..., 0].cpu().numpy(),
        "target": trials.target,
        "context": trials.context,
        "offsets": trials.offsets,
        "switched": trials.inputs[0, :, 2] != trials.inputs[-1, :, 2],
        "through_pin": (few @ network.pin).cpu().numpy(),
        "through_pout": (few @ network.pout).cpu().numpy(),
        "through_basis": few.cpu().numpy() @ basis,
        "summed": fitted.settings.batch * fitted.settings.steps,
        "rates": spike_counts(activity) / (settings.trials * steps * DT),
        "inputs": trials.inputs[:, :KEPT],
        "dataset": "contextual integration (synthetic by definition)",
        **samples(activity),
    }


def spike_counts(activity: model.Activity) -> np.ndarray:
    """Spikes of each cell over all trials; nan in a rate network."""
    if activity.spikes is None:
        return np.full(activity.r.shape[-1], np.nan)
    return activity.spikes.sum((0, 1), dtype=torch.int64).cpu().numpy().astype(float)


def samples(activity: model.Activity) -> dict[str, np.ndarray]:
    """Membrane, spikes and filtered spikes of the first trial, for the figures; spikes (trial, step, cell) of KEPT trials."""
    arrays = {"sample_v": activity.v[:, 0], "sample_r": activity.r[:, 0]}
    if activity.spikes is not None:
        arrays["sample_spikes"] = activity.spikes[:, 0]
        arrays["spikes"] = activity.spikes[:, :KEPT].transpose(0, 1) > 0
    return {name: values.cpu().numpy() for name, values in arrays.items()}
