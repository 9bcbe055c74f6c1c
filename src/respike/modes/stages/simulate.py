"""Fresh trials of trained networks: fitted networks in, outputs and sample activity out."""

from pathlib import Path

from respike.core import files, seeds, training
from respike.modes import fitted, simulation, trials
from respike.modes.params import Evaluation


def run(
    *, networks: list[Path], digits: Path | None, out: Path, seed: int, steps: int, settings: Evaluation, device: str = "cpu"
) -> None:
    """Simulate the replicas `networks` on new trials of `steps` steps: test images with new spikes, or new stimuli.

    The trials of a network depend on itself alone, not on those that share its file.
    """
    images = files.read_arrays(digits, "test_images", "test_labels", "dataset") if digits else None
    simulated = {}
    for path in networks:
        network = fitted.read(path, training.device(device))
        rng = seeds.generator(seed, "modes", "simulate", path.stem)
        simulated[network.replica] = simulation.simulate(network, images, settings, steps, rng)
    trials.write(out, simulated)
