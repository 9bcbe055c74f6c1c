"""The best of several starts: the one with the lowest total loss after its last E-step."""

from pathlib import Path

import numpy as np

from respike.core import files
from respike.neulvm import fitted


def run(*, fits: list[Path], latents: list[Path], out: Path, latent: Path) -> None:
    """Copy the model with the lowest loss, and its latent activity."""
    models = [fitted.read(path) for path in fits]
    losses = [model.about["loss"] for model in models]
    if not np.isfinite(losses).any():
        raise ValueError(f"no fit has a finite loss ({losses}); narrow neulvm.prior in config.yaml")
    best = int(np.nanargmin(losses))
    fitted.write(out, models[best])
    files.write_arrays(latent, **files.read_arrays(latents[best], "first", "last"))
