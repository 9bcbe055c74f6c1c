"""The circuit of the config as models: the hidden network itself, and the mesoscopic model with its parameters."""

from pathlib import Path

from respike.neulvm import model, models
from respike.neulvm.params import Circuit, Window


def run(*, network: Path, meso: Path, dataset: str, circuit: Circuit, window: Window) -> None:
    """Write the two models."""
    history = model.bins(window.history, window.dt)
    models.write(network, models.Model(circuit, "network", window.dt, history, dataset))
    models.write(meso, models.Model(circuit, "exact", window.dt, history, dataset))
