"""The embedded recording: a run of the hidden network, written in the published file format."""

from pathlib import Path

from respike.neulvm import embedded, recording
from respike.neulvm.params import Circuit, Data, Window


def run(*, out: Path, circuit: Circuit, data: Data, window: Window, seed: int) -> None:
    """Simulate the network and write its recording as a pickle of NumPy arrays."""
    made, probabilities = embedded.record(circuit, data, window, seed)
    recording.write(out, made, window.fine, probabilities)
