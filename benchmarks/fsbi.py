"""Workloads of fsbi: the simulator at full size, beside the loops that Brian2 ships and the published program; the metrics.

The figures of the published program (Auryn, C++) are CPU seconds per simulated second on a quiet machine, one thread.
"""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.workload import Workload
from respike.fsbi.params import PLASTIC, POLY_TERMS, THETA, Network, Protocol, Simulation, Wiring
from respike.fsbi.recording import Recording
from respike.fsbi.simulator.binary import Simulator
from respike.fsbi.simulator.build import build
from respike.fsbi.summary import summarise

POLY = {  # the example rule of the paper, rounded: about 5 Hz, all four types of connection plastic
    "EE": (0.047, 0.023, 0.50, -0.36, -0.38, -1.28),
    "EI": (0.071, 0.080, 0.64, -1.72, 0.56, 0.07),
    "IE": (0.037, 0.044, -0.32, -0.04, 1.60, 1.11),
    "II": (0.099, 0.041, -1.95, 1.78, 0.20, 1.98),
}
POLY_SECONDS, MLP_SECONDS = 10.0, 2.0  # simulated in one run; wiring the network is part of the run
PUBLISHED = {"poly": 0.40, "mlp": 8.4, "metrics": 0.55}  # metrics: per rule
BUSY_SECONDS, BUSY_INPUT = 4.0, 14.0  # s, Hz: with the same rule, so slow that no weight moves, E fires at 20 Hz
BUSY = Wiring(eta=1e-6, w_ee=0.115)
SEEDS, GROWTH_SECONDS = 10, 4.0
RULES, CORES = (1, 2, 4, 8), (2,)
GROWTH = ((4096, 0.1), (2048, 0.2), (8192, 0.05), (4096, 0.05), (4096, 0.2))  # cells of E, probability of a connection


def workloads() -> list[Workload]:
    """Simulations of both networks beside others and beside real time, how their cost grows, and metrics."""
    ten, busy = f"fsbi poly, {POLY_SECONDS:g} s at 5 Hz", f"fsbi poly, {BUSY_SECONDS:g} s at 20 Hz"
    fast, stock = (simulation("poly", templates, POLY_SECONDS) for templates in ("fast", "stock"))
    dense, dense_stock = (
        simulation("poly", templates, BUSY_SECONDS, BUSY, rate_in=BUSY_INPUT) for templates in ("fast", "stock")
    )
    mlp = simulation("mlp", "fast", MLP_SECONDS)
    seeds = in_turn([simulation("poly", "fast", POLY_SECONDS, seed=seed) for seed in range(1, SEEDS + 1)])
    published = {family: PUBLISHED[family] * seconds for family, seconds in (("poly", POLY_SECONDS), ("mlp", MLP_SECONDS))}
    program, loops = "published program, quiet machine", "the same with the loops of Brian2"
    return [
        Workload(ten, fast, loops, stock, prepare=built("poly", "fast", "stock")),
        Workload(ten, fast, program, yardstick_cpu_s=published["poly"], prepare=built("poly", "fast")),
        Workload(busy, dense, loops, dense_stock, prepare=built("poly", "fast", "stock")),
        Workload(
            f"fsbi mlp, {MLP_SECONDS:g} s at 5 Hz",
            mlp,
            program,
            yardstick_cpu_s=published["mlp"],
            prepare=built("mlp", "fast"),
        ),
        beside_real_time(f"{POLY_SECONDS:g} s at 5 Hz, {SEEDS} seeds", seeds, SEEDS * POLY_SECONDS),
        *(growth(n_e, p) for n_e, p in GROWTH),
        *(several(rules, 1) for rules in RULES),
        *(several(cores, cores) for cores in CORES),
        Workload("fsbi metrics of one rule", metrics, "published program", yardstick_cpu_s=PUBLISHED["metrics"]),
    ]


def built(family: str, *templates: str, n_e: int = 4096) -> Callable[[], None]:
    """A function that sees to it that the binaries are there."""
    return lambda: [binary(family, each, n_e) for each in templates] and None


def beside_real_time(name: str, run: Callable[[], object], seconds: float, n_e: int = 4096) -> Workload:
    """A simulation of the plastic network, all four types of connection plastic, beside the time that it simulates."""
    return Workload(f"fsbi poly, {name}", run, "real time", yardstick_cpu_s=seconds, prepare=built("poly", "fast", n_e=n_e))


@cache
def binary(family: str, templates: str, n_e: int = 4096) -> Path:
    """Description of a compiled network, of full size unless told otherwise, in a folder that outlives the process."""
    folder = Path(tempfile.gettempdir()) / "respike-bench"
    out = folder / f"{family}_{templates}_{n_e}.json"
    build(Network(family=family, templates=templates, n_e=n_e, n_i=n_e // 4), folder, out)
    return out


def theta(family: str) -> dict[str, float]:
    """A rule that keeps its network at about 5 Hz. That of mlp learns so slowly that its activity is the static one."""
    if family == "poly":
        terms = {f"{kind}_{term}": value for kind in POLY for term, value in zip(POLY_TERMS, POLY[kind], strict=True)}
        return {**terms, "rate_in": 8.0}
    generator = np.random.default_rng(0)
    values = {name: float(generator.uniform(-1, 1)) for name in THETA["mlp"]}
    return {**values, "eta_EE": 1e-6, "eta_IE": 1e-6, "rate_in": 10.0}


def in_turn(runs: list[Callable[[], object]]) -> Callable[[], object]:
    """A function that calls `runs` one after the other."""

    def run() -> None:
        for one in runs:
            one()

    return run


def growth(n_e: int, p: float) -> Workload:
    """A network of other size, beside real time: weights shrink as a cell gets more synapses, and barely move."""
    cells, weaker = n_e + n_e // 4, 0.1 * 4096 / (p * n_e)
    wiring = Wiring(eta=1e-6, p_recurrent=p, w_ee=0.1 * weaker, w_ei=0.1 * weaker, w_ie=weaker, w_ii=weaker)
    name = f"{GROWTH_SECONDS:g} s, {cells} cells, {p * cells**2 / 1e6:.2g} M synapses"
    return beside_real_time(name, simulation("poly", "fast", GROWTH_SECONDS, wiring, n_e), GROWTH_SECONDS, n_e)


def several(rules: int, cores: int) -> Workload:
    """`rules` simulations, `cores` of them at a time, beside the time that all of them simulate."""
    runs = [simulation("poly", "fast", GROWTH_SECONDS, seed=seed) for seed in range(1, rules + 1)]

    def at_once() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(lambda run: run(), runs))

    return beside_real_time(f"{GROWTH_SECONDS:g} s, {rules} rules on {cores} cores", at_once, rules * GROWTH_SECONDS)


def simulation(
    family: str, templates: str, seconds: float, wiring: Wiring | None = None, n_e: int = 4096, **changed: float
) -> Callable[[], object]:
    """A function that simulates one rule once; `changed` are entries of the rule with another value."""
    values = {**theta(family), "seed": 1, **changed}
    settings = Simulation(wiring=wiring or Wiring(), protocol=Protocol(settle=0.0, record=seconds, stop="reference"))

    def run() -> None:
        recording, _ = Simulator(binary(family, templates, n_e), settings).record(values)
        assert recording.outcome == "finished", recording.outcome

    return run


def metrics() -> None:
    """The 17 metrics of a recording of the usual size at 5 Hz."""
    generator = np.random.default_rng(0)
    spikes = {n: (generator.uniform(60, 70, 50 * n), generator.integers(0, n, 50 * n)) for n in (1000, 500)}
    weights = {kind: generator.uniform(0, 1, (100, 100)) for kind in PLASTIC["poly"]}
    summarise(Recording(*spikes[1000], 1000, *spikes[500], 500, 60.0, 70.0, 60 + np.arange(100) / 10, weights))
