"""The neural posterior estimator: a neural spline flow q(theta | metrics), trained, kept in a plain file, drawn from."""

import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sbi.inference import NPE
from sbi.neural_nets import posterior_nn
from torch import Tensor

from respike.core import files

# A layer of nflows still calls the old name of this function; nothing that we can change.
warnings.filterwarnings("ignore", message="torch.triangular_solve is deprecated")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


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

    net: torch.nn.Module
    metrics: tuple[str, ...]
    log: bool
    held_out: np.ndarray  # rows of the training table that only decided when to stop
    losses: tuple[float, ...]  # on the held-out rows, one per epoch
    box: Float[np.ndarray, "2 parameter"] | None = None  # bounds of theta, for a flow that learned its logit

    def sample(self, condition: Float[np.ndarray, " metric"], n: int, seed: int) -> Float[np.ndarray, "n parameter"]:
        """Draws given one value of the metrics; the same for the same `seed` and `n`, whatever was drawn before."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            drawn = self.net.sample((n,), condition=_tensor(condition[None]))[:, 0].double().numpy()
        return drawn if self.box is None else bounded(drawn, self.box)

    def log_density(self, theta: Float[np.ndarray, "n parameter"], condition: Float[np.ndarray, " metric"]) -> np.ndarray:
        """log q(theta | metrics) of each row."""
        free = theta if self.box is None else unbounded(theta, self.box)
        with torch.no_grad():
            found = self.net.log_prob(_tensor(free)[:, None], condition=_tensor(condition[None]))[:, 0].double().numpy()
        if self.box is None:
            return found
        low, high = self.box
        return found + np.log((high - low) / (theta - low) / (high - theta)).sum(1)  # |d logit / d theta|


def unbounded(theta: Float[np.ndarray, "n parameter"], box: Float[np.ndarray, "2 parameter"]) -> np.ndarray:
    """Logit of the place of theta between its bounds."""
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

    def log_metric(self, name: str, value: float, step: int | None = None) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None: ...

    def log_params(self, params: dict[str, Any]) -> None: ...

    def add_figure(self, name: str, figure: Any, step: int | None = None) -> None: ...

    def flush(self) -> None: ...


def train(
    theta: np.ndarray, condition: np.ndarray, box: np.ndarray, settings: FlowSettings, seed: int, device: str
) -> tuple[Any, Any]:
    """Maximum likelihood fit of the flow; the trained net and sbi's trainer, which holds the course of the training."""
    torch.manual_seed(seed)
    theta = unbounded(theta, box) if settings.bounded else theta
    trainer = NPE(None, _builder(settings), device=device, tracker=_Silent(), show_progress_bars=False)
    trainer.append_simulations(_tensor(theta), _tensor(condition))
    net = trainer.train(
        training_batch_size=min(settings.batch, int(len(theta) * (1 - settings.validation))),
        learning_rate=settings.learning_rate,
        validation_fraction=settings.validation,
        stop_after_epochs=settings.patience,
        max_num_epochs=settings.max_epochs,
    )
    return net.to("cpu").eval(), trainer


def _builder(settings: FlowSettings) -> Any:
    return posterior_nn("nsf", hidden_features=settings.hidden, num_transforms=settings.transforms, num_bins=settings.bins)


def write(
    path: Path, net: torch.nn.Module, trainer: Any, settings: FlowSettings, metrics: tuple[str, ...], box: np.ndarray
) -> None:
    """File of a trained member: weights, settings and names; plain data only."""
    content = {
        "state": net.state_dict(),
        "settings": asdict(settings),
        "metrics": list(metrics),
        "box": box.tolist(),
        "held_out": trainer.val_indices.clone(),
        "losses": [float(loss) for loss in trainer.summary["validation_loss"]],
    }
    files.write_checkpoint(path, content)


def read(path: Path) -> Member:
    """Member kept in `path`."""
    stored = files.read_checkpoint(path)
    settings = FlowSettings(**stored["settings"])
    box = np.array(stored["box"])
    with torch.random.fork_rng(devices=[]):
        shape = torch.randn(10, box.shape[1]), torch.randn(10, len(stored["metrics"]))
        net = _builder(settings)(*shape)  # the numbers do not matter: the stored state replaces what is computed from them
    net.load_state_dict(stored["state"])
    held_out, losses = stored["held_out"].numpy(), tuple(stored["losses"])
    known = box if settings.bounded else None
    return Member(net.eval(), tuple(stored["metrics"]), settings.log_metrics, held_out, losses, known)


def device_of(choice: str) -> str:
    """Where to train: `auto` takes a GPU when there is one. ValueError when cuda is asked for and absent."""
    if choice == "cuda" and not torch.cuda.is_available():
        raise ValueError("config: run.device = 'cuda', but this machine has no usable GPU; use auto or cpu")
    return "cuda" if choice != "cpu" and torch.cuda.is_available() else "cpu"
