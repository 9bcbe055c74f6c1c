"""Training of one network by back-propagation through time: batches, losses, Adam steps."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from respike.core import seeds, training
from respike.core.tasks import contextual
from respike.modes import model
from respike.modes.fitted import Fitted
from respike.modes.params import Training, Variant

Images = tuple[UInt8[np.ndarray, "image pixel"], UInt8[np.ndarray, " image"]]  # and their labels
Stream = tuple[str | int, ...]  # seed and path of a network's random numbers


def train(
    variant: Variant, replica: int, settings: Training, images: Images | None, seed: int, out: Path, device: torch.device
) -> Fitted:
    """Network number `replica` of its variant after `settings.batches` batches; `images` are those of the digits task.

    The unfinished training is saved beside `out` (see core.training). Raises ValueError when there are fewer images than
    one batch takes, or when every batch of images is to be the same.
    """
    if images and settings.same_trials:
        raise ValueError("modes.digits.same_trials: true; expected false, every batch of digits has its own images")
    if images and settings.batch > len(images[1]):
        raise ValueError(f"modes.digits.batch = {settings.batch}: expected at most {len(images[1])}, the training images")
    stream = (seed, "modes", *variant, replica)
    generator = torch.Generator().manual_seed(seeds.of(*stream, "weights"))
    how = settings.output_init, settings.train_scores, settings.mode_init
    network = model.Network(variant.size, generator, *how).to(device)
    fitted = Fitted(network, variant.task, variant.cell, replica, settings, torch.zeros(0))
    trainable = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = training.Adam(trainable, settings.learning_rate)

    def step(number: int) -> dict[str, float]:
        loss_of = batch_loss(fitted, images, stream, number)
        for _ in range(settings.repeats):
            optimiser.zero_grad()
            loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, settings.clip)
            optimiser.step()
        return {"loss": float(loss.detach())}

    key = {"stream": stream, **asdict(settings)}
    table = training.train({"network": network, "optimiser": optimiser}, step, settings.batches, out, key)
    return fitted._replace(loss=torch.tensor(table["loss"].to_numpy()))


def batch_loss(fitted: Fitted, images: Images | None, stream: Stream, number: int) -> Callable[[], Tensor]:
    """Function that gives the loss of batch `number`, with new input spikes at each call."""
    network, settings = fitted.network, fitted.settings
    rng = seeds.generator(*stream, "batch", 0 if settings.same_trials else number)
    if images is None:
        trials = contextual(rng, settings.steps, settings.batch, settings.switch_probability, settings.switch_steps)
        inputs, target = (torch.from_numpy(part).to(network.win.device) for part in (trials.inputs, trials.target))
        return lambda: model.step_loss(fitted.outputs(inputs)[..., 0], target)
    pixels, labels = (part[image_order(number, settings.batch, len(images[1]), stream)] for part in images)
    target = torch.from_numpy(labels.astype(np.int64)).to(network.win.device)

    def loss() -> Tensor:
        return model.digit_loss(
            fitted.logits(model.encoded_drive(network, pixels, settings.steps, rng)), target, settings.loss
        )

    return loss


def image_order(number: int, batch: int, n_images: int, stream: Stream) -> Int[np.ndarray, " batch"]:
    """Images of batch `number`: each epoch is a new permutation, its incomplete last batch left out."""
    epoch, within = divmod(number, n_images // batch)
    order = seeds.generator(*stream, "epoch", epoch).permutation(n_images)
    return order[within * batch : (within + 1) * batch]
