"""Train one network: data in, checkpoint out."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from respike.core import files, seeds, training
from respike.core.tasks import contextual
from respike.modes import model
from respike.modes.params import Cell, Task, Training, network_size, spike_filter


def run(
    *,
    digits: Path | None,
    out: Path,
    task: Task,
    cell: Cell,
    neurons: int,
    modes: int,
    replica: int,
    seed: int,
    settings: Training,
    redundant_modes: bool = False,
    device: str = "cpu",
) -> None:
    """Train the network number `replica` of its kind and write its weights and the loss of each batch."""
    size = network_size(task, neurons, modes, redundant_modes)
    place = (seed, "modes", task, cell, neurons, modes, replica)
    generator = torch.Generator().manual_seed(seeds.of(*place, "weights"))
    output_sd = None if task == "digits" else settings.output_sd
    network = model.Network(size, generator, output_sd, settings.train_scores).to(training.device(device))
    trainable = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = training.Adam(trainable, settings.learning_rate)
    next_loss = batch_loss(network, task, cell, settings, digits, place)

    def step(number: int) -> dict[str, float]:
        loss_of = next_loss(number)
        for _ in range(settings.repeats):
            optimiser.zero_grad()
            loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, settings.clip)
            optimiser.step()
        return {"loss": float(loss.detach())}

    key = {"place": place, **asdict(settings)}
    table = training.train({"network": network, "optimiser": optimiser}, step, settings.batches, out, key)
    weights = {name: weight.cpu() for name, weight in network.state_dict().items()}
    what = {"task": task, "cell": cell, "replica": replica, "settings": asdict(settings)}
    files.write_checkpoint(out, {**what, "weights": weights, "loss": torch.tensor(table["loss"].to_numpy())})
    training.forget(out)


def batch_loss(network: model.Network, task: Task, cell: Cell, settings: Training, digits: Path | None, place: tuple):
    """Function that draws batch number i and gives a function that returns its loss, with new input spikes each time."""
    device = network.win.device
    synapse = spike_filter(task, settings.filter)

    def activity(drive: Tensor) -> Tensor:
        if cell == "rate":
            run = model.run_rate(network, drive)
            return run.r if settings.rate_readout == "activity" else run.v
        return model.run_spiking(network, drive, synapse, settings.refractory).r

    def contextual_batch(number: int):
        rng = seeds.generator(*place, "batch", number)
        trials = contextual(rng, settings.steps, settings.batch, settings.switch_probability, settings.switch_steps)
        inputs, target = torch.from_numpy(trials.inputs).to(device), torch.from_numpy(trials.target).to(device)
        return lambda: model.step_loss(model.read_steps(network, activity(model.drive_of(network, inputs)))[..., 0], target)

    def digit_batch(number: int):
        chosen = image_order(number, settings.batch, len(labels), place)
        rng = seeds.generator(*place, "batch", number)
        target = torch.from_numpy(labels[chosen].astype(np.int64)).to(device)
        return lambda: model.digit_loss(
            model.read_peaks(network, activity(model.encoded_drive(network, images[chosen], settings.steps, rng))),
            target,
            settings.loss,
        )

    if task != "digits":
        return contextual_batch
    stored = files.read_arrays(digits, "train_images", "train_labels")
    images, labels = stored["train_images"], stored["train_labels"]
    if settings.batch > len(labels):
        raise ValueError(
            f"modes.digits.batch = {settings.batch}: expected at most {len(labels)}, the training images of {digits}"
        )
    return digit_batch


def image_order(number: int, batch: int, n_images: int, place: tuple) -> np.ndarray:
    """Images of batch `number`: each epoch is a new permutation, its incomplete last batch left out."""
    per_epoch = n_images // batch
    epoch, within = divmod(number, per_epoch)
    order = seeds.generator(*place, "epoch", epoch).permutation(n_images)
    return order[within * batch : (within + 1) * batch]
