"""Numbers by which a model is judged, on the recording of the study and on further ones: rows (metric, value, unit, n)."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.stats import nbinom

from respike.neulvm import states
from respike.neulvm.params import GROUPS, Circuit

SMOOTH = 0.02  # s, for correlations
Activity = Float[np.ndarray, "batch bin population"]
Row = tuple[str, float, str, int]  # nan for what could not be measured


def ratios(circuit: Circuit, truth: Circuit) -> Iterator[Row]:
    """Parameters over their true values: median of each group; excitatory and inhibitory coupling apart."""
    shares = {name: np.divide(getattr(circuit, name), getattr(truth, name)) for name in GROUPS if name != "coupling"}
    for name, true in (("coupling_excitatory", truth.weights > 0), ("coupling_inhibitory", truth.weights < 0)):
        shares[name] = circuit.weights[true] / truth.weights[true]
    for name, share in shares.items():
        if len(share):
            yield f"ratio_{name}", np.median(share), "", len(share)


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
    found = states.find(rates, dt)
    yield "switch_rate", found.switch_rate, "1/s", seconds
    yield "switches_per_200s", 200 * found.n_switches / found.duration, "", seconds
    yield "rate_up", found.up, "Hz", seconds
    yield "rate_down", found.down, "Hz", seconds
    if len(found.dwell):
        yield "dwell_mean", found.dwell.mean(), "s", len(found.dwell)


def chance(switches: float, seconds: float, run: float) -> tuple[float, float]:
    """Between which switches in 200 s another run of a network lies in 95 %, of `run` s, after `switches` in `seconds`.

    Both counts are Poisson, and the first is all that is known of the rate: negative binomial (Jeffreys' prior).
    """
    low, high = nbinom.interval(0.95, switches * seconds / 200 + 0.5, seconds / (seconds + run))
    return 200 / run * low, 200 / run * high


def response(
    pulsed: Float[np.ndarray, "trial bin population"], network: Float[np.ndarray, "trial bin population"], dt: float
) -> Iterator[Row]:
    """Correlation of the mean response to the pulse with the network's, smoothed; a constant rate has none with anything."""
    means = [gaussian_filter1d(each.mean(0), SMOOTH / dt, axis=0).ravel() for each in (pulsed, network)]
    if min(mean.std() for mean in means) > 0:
        yield "response_corr", np.corrcoef(*means)[0, 1], "", len(pulsed)
