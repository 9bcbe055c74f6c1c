"""Numbers by which a model is judged, on the recording of the study and on further ones: rows (metric, value, unit, n)."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from respike.neulvm import states
from respike.neulvm.params import GROUPS, Circuit

SMOOTH = 0.02  # s, for correlations
Activity = Float[np.ndarray, "batch bin population"]
Row = tuple[str, float, str, int]


def ratios(circuit: Circuit, truth: Circuit) -> Iterator[Row]:
    """Parameters over their true values: median of each group; excitatory and inhibitory coupling apart."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(truth.weights != 0, circuit.weights / truth.weights, np.nan)
    for name in GROUPS:
        if name != "coupling":
            share = np.asarray(getattr(circuit, name)) / np.asarray(getattr(truth, name))
            yield f"ratio_{name}", np.median(share), "", len(share)
    for name, chosen in (("excitatory", truth.weights > 0), ("inhibitory", truth.weights < 0)):
        if chosen.any():
            yield f"ratio_coupling_{name}", np.median(weights[chosen]), "", int(chosen.sum())


def likeness(activity: Activity, truth: Activity, dt: float) -> Iterator[Row]:
    """Correlation with the true activity, of each population: bin by bin, and over 20 ms."""
    for label, sigma in (("z_corr", 0.0), ("z_corr_20ms", SMOOTH / dt)):
        for m, value in enumerate(correlations(activity, truth, sigma)):
            yield f"{label}_{m}", value, "", truth.shape[0] * truth.shape[1]


def correlations(a: Activity, b: Activity, sigma: float) -> Float[np.ndarray, " population"]:
    """Correlation of each population's activity in all batches, after a Gaussian filter of `sigma` bins (0: none)."""
    if sigma:
        a, b = (gaussian_filter1d(x, sigma, axis=1) for x in (a, b))
    return np.array([np.corrcoef(a[:, :, m].ravel(), b[:, :, m].ravel())[0, 1] for m in range(a.shape[2])])


def free_run(rates: Float[np.ndarray, "bin population"], dt: float, apart: bool = True) -> Iterator[Row]:
    """States, switches and dwell times of a free simulation; only its rate where no population can win (not `apart`)."""
    seconds = round(len(rates) * dt)
    yield "rate_last", rates[:, -1].mean(), "Hz", seconds
    if not apart:
        return
    run = states.find(rates, dt)
    yield "switch_rate", run.switch_rate, "1/s", seconds
    yield "switches_per_200s", 200 * run.n_switches / run.duration, "", seconds
    for name, value in (("rate_up", run.up), ("rate_down", run.down)):
        if np.isfinite(value):
            yield name, value, "Hz", seconds
    if len(run.dwell):
        yield "dwell_mean", run.dwell.mean(), "s", len(run.dwell)


def response(
    pulsed: Float[np.ndarray, "trial bin population"], network: Float[np.ndarray, "trial bin population"], dt: float
) -> Iterator[Row]:
    """Correlation of the mean response to the pulse with the network's, smoothed; a constant rate has none with anything."""
    means = [gaussian_filter1d(each.mean(0), SMOOTH / dt, axis=0) for each in (pulsed, network)]
    if min(mean.std() for mean in means) > 0:
        yield "response_corr", np.corrcoef(means[0].ravel(), means[1].ravel())[0, 1], "", len(pulsed)
