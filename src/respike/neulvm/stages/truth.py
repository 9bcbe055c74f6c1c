"""The circuit of the config as models: the hidden network itself, and the mesoscopic model with its parameters."""

from pathlib import Path

from respike.neulvm import fitted
from respike.neulvm.params import Circuit, Window, window_bins


def run(*, network: Path, meso: Path, dataset: str, circuit: Circuit, window: Window) -> None:
    """Write the two models."""
    history = window_bins(window, circuit).history
    fitted.write(network, fitted.Fitted(circuit, "network", window.dt, history, dataset))
    fitted.write(meso, fitted.Fitted(circuit, "exact", window.dt, history, dataset))
