"""The bias that is left when the activity of all populations is known: only the M-step, started at the true parameters."""

from dataclasses import replace
from pathlib import Path

from respike.neulvm import fitted, trials
from respike.neulvm.inference import box, em
from respike.neulvm.params import Circuit, Fit, Prior

WIDE = (0.3, 3.0)  # times the truth


def run(*, trial: Path, exact: Path, compat: Path, circuit: Circuit, fit: Fit) -> None:
    """Write the models fitted to the true activity of an embedded recording, one for each scheme."""
    read = trials.read(trial)
    recorded, search = read.trial, box.build(circuit, Prior.around(circuit, *WIDE))
    if read.truth is None:
        raise ValueError(f"{trial}: the activity of the populations is not known; this stage is for embedded recordings")
    for scheme, out in (("exact", exact), ("compat", compat)):
        best, steps = em.m_step(circuit, recorded, read.truth, search, replace(fit, scheme=scheme), lambda _: None)
        model = fitted.Fitted(best, scheme, recorded.dt, recorded.history, read.dataset, {"steps": steps})
        fitted.write(out, model)
