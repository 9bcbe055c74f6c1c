"""Fresh trials of trained networks: fitted networks in, outputs and sample activity out."""

from pathlib import Path

from respike.core import files, seeds, training
from respike.modes import fitted, simulation, trials
from respike.modes.params import Evaluation


def run(*, networks: list[Path], digits: Path | None, out: Path, seed: int, settings: Evaluation, device: str = "cpu") -> None:
    """Simulate the replicas `networks` on new trials, as long as those of their training: test images with new spikes, or new
    stimuli.

    The trials of a network depend on itself alone, not on those that share its file. ValueError for a network of the task
    digits without digits.
    """
    images = files.read_arrays(digits, "test_images", "test_labels", "dataset") if digits else None
    simulated = {}
    for path in networks:
        network = fitted.read(path, training.device(device))
        if network.task == "digits" and images is None:
            raise ValueError(f"digits = '' for {path}; expected the file of modes.data, on whose test images it is evaluated")
        rng = seeds.generator(seed, "modes", "simulate", path.stem)
        simulated[network.replica] = simulation.simulate(network, images, settings, rng)
    trials.write(out, simulated)
