"""Fresh trials of trained networks: checkpoints in, outputs and sample activity out."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from respike.core import files, seeds, training
from respike.core.tasks import contextual
from respike.modes import analysis, model, replicas
from respike.modes.params import DT, Evaluation, Size, Training, spike_filter
from respike.modes.replicas import Trials

CHUNK = 250  # trials at a time, to bound the memory
KEPT = 40  # trials whose spikes are kept, for statistics over cells


def run(
    *, networks: list[Path], digits: Path | None, out: Path, seed: int, steps: int, settings: Evaluation, device: str = "cpu"
) -> None:
    """Simulate the replicas `networks` on new trials of `steps` steps: test images with new spikes, or new stimuli.

    What is found of a network depends on itself alone, not on those that share its file.
    """
    images = files.read_arrays(digits, "test_images", "test_labels", "dataset") if digits else None
    found = [simulate(network, images, seed, steps, settings, device) for network in networks]
    replicas.write(out, {int(result["replica"]): result for result in found})


def simulate(network: Path, images: Trials | None, seed: int, steps: int, settings: Evaluation, device: str) -> Trials:
    """Trials of one network, its weights, and the losses of its training."""
    stored = files.read_checkpoint(network)
    net, task, options = load(stored, network, device)
    rng = seeds.generator(seed, "modes", "simulate", network.stem)
    with torch.no_grad():
        if task == "digits":
            result = simulate_digits(net, stored["cell"], options, images, settings, rng, steps)
        else:
            result = simulate_contextual(net, stored["cell"], options, settings, rng, steps, task)
    kept = {name: tensor.numpy() for name, tensor in {**stored["weights"], "loss": stored["loss"]}.items()}
    return {**result, **kept, "task": task, "cell": stored["cell"], "replica": stored["replica"]}


def load(stored: dict[str, Any], path: Path, device: str) -> tuple[model.Network, str, Training]:
    """Network, task and training settings of a checkpoint; ValueError when parts are missing or misshaped."""
    try:
        weights, _, _, _ = (stored[name] for name in ("weights", "loss", "cell", "replica"))
        (neurons, inputs), modes, outputs = weights["win"].shape, len(weights["scores"]), len(weights["wout"])
        network = model.Network(Size(inputs, neurons, modes, outputs), torch.Generator())
        network.load_state_dict(weights)
        return network.to(training.device(device)), stored["task"], Training(**stored["settings"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not a trained network of modes ({error}); delete it and run the workflow again"
        ) from error


def run_network(network: model.Network, cell: str, task: str, options: Training, drive: torch.Tensor) -> model.Activity:
    """Activity of a spiking or rate network, as it was trained."""
    if cell == "rate":
        return model.run_rate(network, drive)
    return model.run_spiking(network, drive, spike_filter(task, options.filter), options.refractory)


def readout_of(activity: model.Activity, cell: str, options: Training) -> torch.Tensor:
    """What the output weights read: filtered spikes, rates, or the potential of a rate network."""
    return activity.v if cell == "rate" and options.rate_readout == "potential" else activity.r


def simulate_digits(network, cell, options, stored, settings, rng, steps) -> Trials:
    """Predicted digit of each test image, `repeats` times with new input spikes, and the activity for one image."""
    n_images = min(settings.images, len(stored["test_labels"]))
    chosen = rng.permutation(len(stored["test_labels"]))[:n_images]
    predicted = np.empty((settings.repeats, n_images), np.int64)
    counts = np.zeros(network.win.shape[0])
    for repeat in range(settings.repeats):
        for begin in range(0, n_images, CHUNK):
            part = chosen[begin : begin + CHUNK]
            drive = model.encoded_drive(network, stored["test_images"][part], steps, rng)
            activity = run_network(network, cell, "digits", options, drive)
            logits = model.read_peaks(network, readout_of(activity, cell, options))
            predicted[repeat, begin : begin + CHUNK] = logits.argmax(1).cpu()
            counts += spike_counts(activity)
    return {
        "predicted": predicted,
        "labels": stored["test_labels"][chosen],
        "rates": counts / (settings.repeats * n_images * steps * DT),
        "dataset": stored["dataset"],
        "sample_image": stored["test_images"][part[0]].reshape(28, 28),
        "sample_label": stored["test_labels"][part[0]],
        **sample_of(activity),
    }


def simulate_contextual(network, cell, options, settings, rng, steps, task) -> Trials:
    """Output, target and mode-space activity of new trials; half of them switch context in the switch variant."""
    switch = 0.5 if task == "switch" else 0.0
    trials = contextual(rng, steps, settings.trials, switch, options.switch_steps)
    drive = model.drive_of(network, torch.from_numpy(trials.inputs).to(network.win.device))
    activity = run_network(network, cell, task, options, drive)
    r = readout_of(activity, cell, options)
    few = slice(0, min(settings.trials, 40))  # for the pictures of mode space
    return {
        "output": model.read_steps(network, r)[..., 0].cpu().numpy(),
        "target": trials.target,
        "context": trials.context,
        "offsets": trials.offsets,
        "switched": trials.inputs[0, :, 2] != trials.inputs[-1, :, 2],
        "through_pin": (r[:, few] @ network.pin).cpu().numpy(),
        "through_pout": (r[:, few] @ network.pout).cpu().numpy(),
        "through_basis": r[:, few].cpu().numpy() @ analysis.mode_basis(network.win.cpu().numpy(), network.pin.cpu().numpy()),
        "rates": spike_counts(activity) / (settings.trials * steps * DT),
        "inputs": trials.inputs[:, :4],
        "dataset": "contextual integration (synthetic by definition)",
        **sample_of(activity),
    }


def spike_counts(activity: model.Activity) -> np.ndarray:
    """Spikes of each cell over all trials; nothing in a rate network."""
    if activity.spikes is None:
        return np.full(activity.r.shape[-1], np.nan)
    return activity.spikes.sum((0, 1), dtype=torch.int64).cpu().numpy().astype(float)


def sample_of(activity: model.Activity) -> dict[str, np.ndarray]:
    """Membrane, spikes and filtered spikes of the first trial, for the figures; spikes (trial, step, cell) of some more."""
    first = {"sample_v": activity.v[:, 0], "sample_r": activity.r[:, 0]}
    if activity.spikes is not None:
        first["sample_spikes"] = activity.spikes[:, 0]
        first["spikes"] = activity.spikes[:, :KEPT].transpose(0, 1) > 0
    return {name: values.cpu().numpy() for name, values in first.items()}
