"""Stand-in for the simulator, in milliseconds and with a known answer: it tests the inference, it says nothing about networks.

The rates depend on theta through fixed orthonormal directions a, b, c, d and log-normal noise, so the acceptance of the
prior and of the perfect posterior follow from a one-dimensional integral.
"""

from functools import cache

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import ndtr

from respike.fsbi.inference.targets import Interval
from respike.fsbi.params import FINISHED, THETA, boxes, metrics_of
from respike.fsbi.rules import IDENTITY, parameters

DIRECTIONS_SEED = 20231113
CENTRE, SLOPE, NOISE = 0.8, 0.8, 0.1  # log10 rate = CENTRE + SLOPE a.u + NOISE n
RATE_MAX = 100.0  # Hz; above, the rule counts as blown up


def measured(table: pd.DataFrame, family: str) -> pd.DataFrame:
    """A table of rules with their metrics, outcome, stop time (nan: there is none) and CPU time (s), as after a simulation."""
    metrics = metrics_of_rules(table, family)
    blown = metrics["rate"].isna().to_numpy()
    outcome = {"outcome": np.where(blown, "blow_up", FINISHED), "stop_time": np.nan, "cpu_s": 0.0}
    return pd.concat([table[[*IDENTITY, *THETA[family]]], metrics, pd.DataFrame(outcome)], axis=1)


def metrics_of_rules(table: pd.DataFrame, family: str) -> pd.DataFrame:
    """Metrics of each row of a table of rules; all nan where the rate would exceed RATE_MAX."""
    values = [measure(unit, int(seed), family) for unit, seed in zip(unit_cube(table, family), table["seed"], strict=True)]
    metrics = pd.DataFrame(values, columns=list(metrics_of(family)))
    metrics.loc[metrics["rate"] > RATE_MAX] = np.nan
    return metrics


def unit_cube(table: pd.DataFrame, family: str) -> Float[np.ndarray, "rule parameter"]:
    """Theta without the input rate, each parameter rescaled from its prior box to [-1, 1]."""
    low, high = np.array(boxes(family)).T
    return 2 * (parameters(table, family) - low) / (high - low) - 1


@cache
def directions(n: int) -> Float[np.ndarray, "4 parameter"]:
    """The orthonormal directions a, b, c, d of a rule with `n` parameters; the same in every run."""
    return np.linalg.qr(np.random.default_rng(DIRECTIONS_SEED).standard_normal((n, 4)))[0].T


def measure(unit: Float[np.ndarray, " parameter"], seed: int, family: str) -> dict[str, float]:
    """All metrics of one rule."""
    n = np.random.default_rng(seed).standard_normal(12)
    a, b, c, d = directions(len(unit)) @ unit
    rate = 10 ** (CENTRE + SLOPE * a + NOISE * n[0])
    w_blow = 1 / (1 + np.exp(-(6 * c - 1 + 0.3 * n[2])))
    values = {
        "rate": rate,
        "rate_i": 10 ** (0.9 + 0.6 * b + NOISE * n[1]),
        "w_blow": w_blow,
        "w_creep": 0.02 * np.exp(1.5 * d + 0.3 * n[3]),
        "cv_isi": 1.1 - 0.5 * w_blow + 0.05 * n[4],
        "kl_isi": 0.02 + 0.1 * w_blow**2 + 0.005 * abs(n[5]),
        "spatial_Fano": 0.9 + 0.6 * w_blow + 0.05 * n[6],
        "temporal_Fano": 0.9 + 0.4 * w_blow + 0.05 * n[7],
        "auto_cov": 0.02 + 0.5 / (1 + rate) + 0.002 * abs(n[8]),
        "fft": 0.1 + 0.02 * rate + 0.02 * abs(n[9]),
        "std_rate_temporal": 0.002 * np.sqrt(rate) * (1 + 0.1 * n[10]),
        "std_rate_spatial": 0.5 * np.sqrt(rate),
        "std_cv": 0.08 + 0.1 * w_blow + 0.01 * n[11],
        "weef": 0.1 * np.exp(2 * c),
        "weif": 0.1 * np.exp(2 * d),
        "wief": np.exp(2 * c),
        "wiif": np.exp(2 * d),
    }
    return {name: float(values[name]) for name in metrics_of(family)}


def projection_density(n: int, points: int = 1001) -> tuple[np.ndarray, np.ndarray]:
    """Grid of values of a.u and their prior density, from the product of the characteristic functions sinc(a_k t)."""
    weights = directions(n)[0]
    reach = np.abs(weights).sum()
    grid = np.linspace(-reach, reach, points)
    t = np.linspace(0, 60, 1201)
    characteristic = np.prod(np.sinc(np.outer(t, weights) / np.pi), axis=1)
    density = np.trapezoid(characteristic[:, None] * np.cos(np.outer(t, grid)), t, axis=0) / np.pi
    return grid, np.maximum(density, 0)


def hit(s: np.ndarray, interval: Interval) -> np.ndarray:
    """Probability that a rule with a.u = s has a rate in `interval` (Hz)."""
    low, high = (np.log10(np.array(interval)) - CENTRE - SLOPE * s[:, None]).T / NOISE
    return ndtr(high) - ndtr(low)


def prior_acceptance(n: int, interval: Interval) -> float:
    """Share of prior draws whose rate lies in `interval`."""
    grid, density = projection_density(n)
    return float(np.trapezoid(density * hit(grid, interval), grid))


def posterior(n: int, rates: Float[np.ndarray, " rate"]) -> tuple[np.ndarray, Float[np.ndarray, "rate point"]]:
    """Grid of values of a.u and the exact posterior density on it at each rate (Hz)."""
    grid, density = projection_density(n)
    likelihood = np.exp(-(((np.log10(rates)[:, None] - CENTRE - SLOPE * grid) / NOISE) ** 2) / 2)
    return grid, density * likelihood / np.trapezoid(density * likelihood, grid, axis=1)[:, None]


def posterior_acceptance(n: int, interval: Interval) -> float:
    """Share of draws from the exact posterior, at rates drawn uniformly from `interval`, whose rate lies in it again."""
    rates = np.linspace(*interval, 201)
    grid, density = posterior(n, rates)
    return float(np.trapezoid(np.trapezoid(density * hit(grid, interval), grid, axis=1), rates) / (rates[-1] - rates[0]))


def posterior_relation(n: int, interval: Interval) -> tuple[float, float]:
    """What `targets.relation` finds for such draws: correlation of log rates, share within a factor of 2."""
    rates = np.linspace(*interval, 201)
    grid, density = posterior(n, rates)
    asked, expected = np.log10(rates), CENTRE + SLOPE * grid
    mean = np.trapezoid(density * expected, grid, axis=1)
    variance = np.trapezoid(density * expected**2, grid, axis=1) - mean**2 + NOISE**2
    correlation = np.cov(asked, mean, ddof=0)[0, 1] / np.sqrt(asked.var() * (mean.var() + variance.mean()))
    near = [np.trapezoid(row * hit(grid, (rate / 2, 2 * rate)), grid) for row, rate in zip(density, rates, strict=True)]
    return float(correlation), float(np.mean(near))
