"""The bias that is left when the activity of all populations is known: only the M-step, started at the true parameters."""

from dataclasses import replace
from pathlib import Path

from respike.neulvm import fitted, trials
from respike.neulvm.inference import em
from respike.neulvm.params import Circuit, Fit


def run(*, trial: Path, exact: Path, compat: Path, circuit: Circuit, fit: Fit) -> None:
    """Write the models fitted to the true activity of an embedded recording, one for each scheme."""
    read = trials.read(trial)
    if read.truth is None:
        raise ValueError(f"{trial}: the activity of the populations is not known; this stage is for embedded recordings")
    for scheme, out in (("exact", exact), ("compat", compat)):
        best, steps = em.at_truth(circuit, read, replace(fit, scheme=scheme))
        model = fitted.Fitted(best, scheme, read.trial.dt, read.trial.history, read.dataset, {"steps": steps})
        fitted.write(out, model)
