"""The neural posterior estimator: a neural spline flow q(theta | metrics), trained by maximum likelihood and drawn from."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from sbi.inference import NPE
from sbi.neural_nets import posterior_nn
from torch import Tensor

from respike.core import training
from respike.fsbi.inference.targets import scaled
from respike.fsbi.params import boxes
from respike.fsbi.rules import parameters

# A layer of nflows still calls the old name of this function; nothing that we can change.
warnings.filterwarnings("ignore", message="torch.triangular_solve is deprecated")


@dataclass(frozen=True)
class FlowSettings:
    """Shape and training of one member of the ensemble. The published ones are in workflow/presets/paper.yaml."""

    hidden: int = 50
    transforms: int = 5
    bins: int = 10
    batch: int = 1000
    learning_rate: float = 5e-4
    validation: float = 0.1  # share of the rules that decide when to stop
    patience: int = 20  # epochs without improvement
    max_epochs: int = 2000
    log_metrics: bool = False  # condition on the logarithm of positive metrics
    bounded: bool = False  # learn the logit of theta inside the prior box, so that no draw falls out of it
    members: int = 10


@dataclass(frozen=True)
class Member:
    """One trained flow. Theta in its own units, without the input rate."""

    net: Any  # of sbi
    settings: FlowSettings
    metrics: tuple[str, ...]
    box: Float[np.ndarray, "2 parameter"]  # bounds of theta
    held_out: np.ndarray  # rows of the training table that only decided when to stop
    losses: tuple[float, ...]  # on the held-out rows, one per epoch

    def conditions(self, table: pd.DataFrame) -> Float[np.ndarray, "rule metric"]:
        """The metrics of each row, as the flow sees them."""
        return scaled(table, self.metrics, self.settings.log_metrics)

    def sample(self, condition: Float[np.ndarray, " metric"], n: int, seed: int) -> Float[np.ndarray, "n parameter"]:
        """Draws given one value of the metrics; the same for the same `seed` and `n`, whatever was drawn before."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            drawn = self.net.sample((n,), condition=_tensor(condition[None]))[:, 0].double().numpy()
        return bounded(drawn, self.box) if self.settings.bounded else drawn

    def log_density(self, theta: Float[np.ndarray, "n parameter"], condition: Float[np.ndarray, " metric"]) -> np.ndarray:
        """log q(theta | metrics) of each row."""
        free = unbounded(theta, self.box) if self.settings.bounded else theta
        with torch.no_grad():
            log_q = self.net.log_prob(_tensor(free)[:, None], condition=_tensor(condition[None]))[:, 0].double().numpy()
        if not self.settings.bounded:
            return log_q
        low, high = self.box
        return log_q + np.log((high - low) / (theta - low) / (high - theta)).sum(1)  # |d logit / d theta|


def unbounded(theta: Float[np.ndarray, "n parameter"], box: Float[np.ndarray, "2 parameter"]) -> np.ndarray:
    """Logit of the relative position of theta between its bounds."""
    low, high = box
    return np.log((theta - low) / (high - theta))


def bounded(free: Float[np.ndarray, "n parameter"], box: Float[np.ndarray, "2 parameter"]) -> np.ndarray:
    """Theta of its logits."""
    low, high = box
    return low + (high - low) / (1 + np.exp(-free))


def _tensor(array: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(array, dtype=np.float32))


class _Silent:
    """What sbi logs to: nothing. Its default writes a folder of TensorBoard events where the program was started."""

    log_dir = None

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def train(
    table: pd.DataFrame, family: str, metrics: Sequence[str], settings: FlowSettings, seed: int, device: str = "cpu"
) -> Member:
    """Maximum likelihood fit of the flow to the rules of `table`, given their `metrics`."""
    torch.manual_seed(seed)
    theta, box = parameters(table, family), np.array(boxes(family)).T
    free = unbounded(theta, box) if settings.bounded else theta
    condition = scaled(table, metrics, settings.log_metrics)
    on = str(training.device(device))
    trainer = NPE(None, architecture(settings), device=on, tracker=_Silent(), show_progress_bars=False)
    trainer.append_simulations(_tensor(free), _tensor(condition))
    net = trainer.train(
        training_batch_size=min(settings.batch, int(len(theta) * (1 - settings.validation))),
        learning_rate=settings.learning_rate,
        validation_fraction=settings.validation,
        stop_after_epochs=settings.patience,
        max_num_epochs=settings.max_epochs,
    )
    losses = tuple(float(loss) for loss in trainer.summary["validation_loss"])
    return Member(net.to("cpu").eval(), settings, tuple(metrics), box, trainer.val_indices.numpy(), losses)


def architecture(settings: FlowSettings) -> Any:
    """What builds the net for given theta and metrics."""
    return posterior_nn("nsf", hidden_features=settings.hidden, num_transforms=settings.transforms, num_bins=settings.bins)
