"""Recording in, bins of the model out: the fitted window, and the seconds after it."""

from pathlib import Path

from respike.neulvm import loader, trials
from respike.neulvm.params import Circuit, Window
from respike.neulvm.recording import read


def run(*, recording: Path, out: Path, dataset: str, circuit: Circuit, window: Window, seed: int) -> None:
    """Bin the recording, cut out the fitted window and what follows it, and keep the cells that count as recorded."""
    trials.write(out, loader.cut(read(recording, circuit.sizes), dataset, circuit, window, seed, recording))
