"""The bias that is left when the activity of all populations is known: only the M-step, started at the true parameters."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from respike.neulvm import box, em, models, trials
from respike.neulvm.params import Circuit, Fit

WIDE = (0.3, 3.0)  # times the truth


def run(*, trial: Path, exact: Path, compat: Path, circuit: Circuit, fit: Fit) -> None:
    """Write the models fitted to the true activity of an embedded recording, one for each scheme."""
    recorded = trials.read(trial)
    if not np.isfinite(recorded.rates).all():
        raise ValueError(f"{trial}: the activity of the populations is not known; this stage is for embedded recordings")
    search, latent = box.build(circuit, box.around(circuit, *WIDE)), recorded.rates * recorded.trial.dt
    for scheme, out in (("exact", exact), ("compat", compat)):
        settings = replace(fit, scheme=scheme)
        found, steps = em.m_step(circuit, recorded.trial, latent, search, settings, lambda _: None)
        held = models.Model(found, scheme, recorded.trial.dt, recorded.trial.history, recorded.dataset, {"steps": steps})
        models.write(out, held)
