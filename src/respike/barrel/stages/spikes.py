"""Spikes of one network before and after training, for the reports of all studies."""

from pathlib import Path

from respike.barrel import params
from respike.core import files, spikes


def run(*, responses: Path, out: Path) -> None:
    """Write the spikes of the cortical cells to the same samples before and after training."""
    kept = files.read_arrays(responses, "dataset", "initial_spikes", "trained_spikes")
    networks = (
        spikes.Network(
            *("barrel", condition, str(kept["dataset"]), False),
            spikes.from_raster(kept[f"{condition}_spikes"], params.STEP),
            params.STEP,
        )
        for condition in ("initial", "trained")
    )
    spikes.write_networks(out, networks)
