"""Constants of the winner-take-all circuit, the published settings of the fit, and the shapes of the config.

Potentials are in units of the width of the escape noise (2.5 mV), counted from the reset potential.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

FINE = 0.0002  # s, step of the simulated network; published
GROUPS = ("mem_rate", "coupling", "rest", "threshold")  # order of the parameters in a vector; published: amem, J, rp, ft

CLUSTER_WINDOW = 0.4  # s, in which clusters are counted
PUBLISHED_BOX = (0.4, 2.0)  # bounds of each parameter over its true value

Scheme = Literal["exact", "compat"]


@dataclass(frozen=True)
class Circuit:
    """M homogeneous populations of leaky integrate-and-fire neurons with escape noise.

    `connectivity[a][m]` is the sign (or weight) of the connection from population a to m, and multiplies `coupling[a]`.
    """

    sizes: tuple[int, ...] = (400, 400, 200)  # neurons: two excitatory populations, one inhibitory
    connectivity: tuple[tuple[float, ...], ...] = ((1, 0, 1), (0, 1, 1), (-1, -1, -1))
    mem_rate: tuple[float, ...] = (50.0, 50.0, 50.0)  # 1/s, 1 / membrane time constant (20 ms); published: amem
    coupling: tuple[float, ...] = (9.984, 9.984, 19.968)  # potential per presynaptic Hz and s; published: J
    rest: tuple[float, ...] = (14.4, 14.4, 14.4)  # 36 mV / 2.5 mV; published: rp
    threshold: tuple[float, ...] = (15 / 2.5 - math.log(10),) * 3  # 15 mV, where the hazard is 10 Hz; published: ft
    syn_rate: tuple[float, ...] = (1000 / 3, 1000 / 3, 500 / 3)  # 1/s, 1 / synaptic time constant (3, 3, 6 ms)
    refractory: float = 0.004  # s, absolute
    delay: float = 0.0  # s, synaptic, beside the one step of the scheme
    input_gain: float = 1.0  # published: eps
    typical_rates: tuple[float, ...] = (5.0, 20.0, 25.0)  # Hz, only for the stationary start of a simulation

    def __post_init__(self) -> None:
        m = len(self.sizes)
        for name in (*GROUPS, "syn_rate", "typical_rates", "connectivity"):
            if len(getattr(self, name)) != m:
                raise ValueError(
                    f"neulvm circuit: {name} has {len(getattr(self, name))} entries, expected {m}, one for each population "
                    f"in sizes {self.sizes}; correct neulvm.circuit in config.yaml"
                )
        if any(len(row) != m for row in self.connectivity):
            raise ValueError(f"neulvm circuit: connectivity must be {m} x {m}; correct neulvm.circuit in config.yaml")
        if not any(value for row in self.connectivity for value in row):
            raise ValueError("neulvm circuit: connectivity has no connection; correct neulvm.circuit in config.yaml")

    @property
    def weights(self) -> np.ndarray:
        """Coupling from population (row) to population (column)."""
        return np.asarray(self.coupling)[:, None] * np.asarray(self.connectivity, dtype=float)

    @property
    def has_rivals(self) -> bool:
        """Whether the first two populations excite, so that one can win over the other."""
        return len(self.sizes) > 1 and all(sum(row) > 0 for row in self.connectivity[:2])

    @property
    def kinds(self) -> tuple[int, ...]:
        """First population of each one's kind: as large, and with the same connections (in any order) and constants."""
        ways = zip(self.sizes, self.connectivity, zip(*self.connectivity, strict=True), self.syn_rate, strict=True)
        rows = [(n, *sorted(to), *sorted(of), rate) for n, to, of, rate in ways]
        return tuple(rows.index(row) for row in rows)

    def vector(self) -> np.ndarray:
        """The 4 M parameters in the order of GROUPS."""
        return np.concatenate([np.asarray(getattr(self, name), dtype=float) for name in GROUPS])

    def with_vector(self, vector: np.ndarray) -> "Circuit":
        """This circuit with the parameters of `vector`."""
        parts = np.reshape(vector, (len(GROUPS), len(self.sizes)))
        return replace(self, **{name: tuple(float(v) for v in part) for name, part in zip(GROUPS, parts, strict=True)})

    def asymptote(self, rates: Float[np.ndarray, " population"]) -> Float[np.ndarray, " population"]:
        """Potential to which each population relaxes while all fire at `rates` (Hz)."""
        return np.asarray(self.rest) + rates @ self.weights / np.asarray(self.mem_rate)


@dataclass(frozen=True)
class Prior:
    """Box in which the parameters are searched: one pair [low, high] per group, or one for each population.

    The published box, around the true values, is centred on the answer; this one is not.
    """

    mem_rate: tuple[tuple[float, ...], ...] = ((20.0, 100.0),)  # 1/s: membrane time constants of 10 to 50 ms
    coupling: tuple[tuple[float, ...], ...] = ((3.0, 25.0), (3.0, 25.0), (10.0, 50.0))  # the inhibitory one last
    rest: tuple[tuple[float, ...], ...] = ((6.0, 30.0),)
    threshold: tuple[tuple[float, ...], ...] = ((1.5, 8.0),)
    weights: Literal["row", "full"] = "row"  # one coupling per presynaptic population, or one per connection

    @classmethod
    def around(cls, truth: "Circuit", low: float, high: float) -> "Prior":
        """Each parameter between `low` and `high` times its true value."""
        return cls(**{name: tuple((low * value, high * value) for value in getattr(truth, name)) for name in GROUPS})

    def is_centred(self, truth: "Circuit") -> bool:
        """Whether this is the published box for a circuit whose parameters are `truth`."""
        mine, centred = [self.pairs(name, len(truth.sizes)) for name in GROUPS], Prior.around(truth, *PUBLISHED_BOX)
        return self.weights == "row" and np.allclose(mine, [getattr(centred, name) for name in GROUPS], rtol=1e-3, atol=0)

    def pairs(self, group: str, m: int) -> list[tuple[float, ...]]:
        """Bounds of a group of parameters in each of m populations; ValueError when they are none."""
        bounds = getattr(self, group)
        if len(bounds) not in {1, m} or any(len(pair) != 2 or not 0 < pair[0] < pair[1] for pair in bounds):
            raise ValueError(
                f"neulvm.prior.{group} = {[list(pair) for pair in bounds]}; expected one pair [low, high] "
                f"with 0 < low < high, or {m} pairs, one for each population"
            )
        return list(bounds) * (m if len(bounds) == 1 else 1)


@dataclass(frozen=True)
class Fit:
    """Settings of expectation maximisation. Published: compat, adam, 20 iterations, 200 E-steps."""

    scheme: Scheme = "exact"
    e_step: Literal["lbfgs", "adam"] = "lbfgs"
    iterations: int = 1  # EM iterations at most; published: max_EMsteps = 20, of which it makes 2
    m_steps: int = 200  # iterations of one M-step at most; published: Mmaxiters
    e_steps: int = 400  # steps of one E-step at most; published: Emaxiters = 200
    e_patience: int = 3  # adam: steps without a new best before the E-step ends; published: E_itertol
    e_rate: float = 1e-3  # adam: published: E_LR
    e_tolerance: float = 1e-6  # lbfgs: relative change of the loss at which the E-step ends
    smoothing: float = 0.4  # s, width of the smoothing that starts the latent activity
    kernel: Literal["gaussian", "ma", "ma_forward"] = "gaussian"


@dataclass(frozen=True)
class Refine:
    """From the best fit of EM up the likelihood of the spikes alone."""

    rounds: int = 40
    paths: int = 8  # activities drawn in a round
    particles: int = 150  # of the filter that draws each
    history: float = 0.3  # s, longest age that is followed
    momentum: float = 0.7
    step: float = 0.7  # share of a Newton step


@dataclass(frozen=True)
class Choice:
    """Fits in which populations of a kind share their parameters, and the one that runs freely as the recording does."""

    starts: int = 4  # fits
    factors: tuple[float, ...] = (0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08)  # of the excitatory couplings
    seconds: float = 400.0  # of each free run
    history: float = 0.3  # s, longest age that it follows
    recordings: int = 0  # further recordings of the hidden network on which all is tried (embedded only)


@dataclass(frozen=True)
class Data:
    """Where the recording comes from, and what the embedded one is."""

    recording: str = "embedded"  # or the path of a file: published format, NWB or plain spike times
    start: float = 0.0  # s in a session, where the recording begins
    column: str = ""  # of the units of a session, that tells their populations
    order: tuple[str, ...] = ()  # values of the column, one for each population; empty: sorted
    groups: tuple[tuple[int, ...], ...] = ()  # units of each population, in place of a column
    units: dict[str, str] = field(default_factory=dict)  # units with these values in these columns are used
    seconds: float = 21.0  # of the embedded recording
    drive: Literal["none", "random", "pozzorini"] = "none"
    sampled: int = 10  # cells recorded per population in the embedded recording

    def check(self, circuit: Circuit, window: "Window") -> None:
        """ValueError when the embedded recording cannot hold what is asked of it."""
        if self.sampled > min(circuit.sizes):
            raise ValueError(
                f"neulvm.data.sampled = {self.sampled} cells, but neulvm.circuit.sizes = {list(circuit.sizes)}; record fewer"
            )
        if self.seconds < window.end:
            found = f"neulvm.data.seconds = {self.seconds:g} ends before neulvm.window.end = {window.end:g}"
            raise ValueError(f"{found}; make the recording longer")


@dataclass(frozen=True)
class Window:
    """What of the recording is fitted, and in which bins. Published: dt 4 ms, history 1 s, end 11 s, length 10 s."""

    dt: float = 0.004  # s, bin of the model
    fine: float = FINE  # s, step of the recording; the network's free runs have steps of FINE, whatever this is
    history: float = 1.0  # s, longest age of a neuron that is followed; published: a_cutoff
    end: float = 11.0  # s, end of the fitted window; published: end_timepoint
    length: float = 10.0  # s, fitted; published: trial_length
    batch: float = 10.0  # s, of one batch; published: t_perbatch
    held_out: float = 10.0  # s after the end, for evaluation
    cells: int = 3  # recorded cells used per population, at most; published: Nsampled
    pick: Literal["first", "random", "active"] = "first"


@dataclass(frozen=True)
class Free:
    """Free simulations, of models and of the hidden network alike."""

    seconds: float = 200.0  # without any drive
    pulses: int = 60  # trials of the perturbation
    pulse_size: float = 30.0  # potential/s, current into the target; lifts the potential of rest by pulse_size / mem_rate
    pulse_first: int = 0  # population that a pulse makes the winner at the start of a trial
    pulse_target: int = 1  # population that receives the second pulse, the one that is evaluated
    pulse_start: float = 1.5  # s, of the second pulse in the trial; the first comes at a third of it
    pulse_length: float = 0.3  # s
    trial: float = 3.0  # s

    def check(self, circuit: Circuit, dt: float) -> None:
        """ValueError for a pulse into a population that is not there or has won already, or after which nothing is left."""
        m = len(circuit.sizes)
        for name in ("pulse_first", "pulse_target"):
            if not 0 <= getattr(self, name) < m:
                raise ValueError(f"neulvm.free.{name} = {getattr(self, name)}: expected a population, 0 to {m - 1}")
        if circuit.has_rivals and self.pulse_first == self.pulse_target:
            raise ValueError(f"neulvm.free.pulse_target = {self.pulse_target}: expected another than neulvm.free.pulse_first")
        if self.pulse_length < dt or self.pulse_start + self.pulse_length > self.trial - dt:
            found = f"pulse_start = {self.pulse_start:g}, pulse_length = {self.pulse_length:g}, trial = {self.trial:g} s"
            raise ValueError(f"neulvm.free: {found}; expected a pulse of a bin ({dt:g} s) or more, and a bin after it")


@dataclass(frozen=True)
class Cluster:
    """A single inhibitory population that falls into clusters firing in turn, in mV."""

    size: int = 500
    coupling: float = -40.0  # mV/s per Hz
    delay: float = 0.004  # s
    noise: float = 0.75  # mV, width of the escape noise
    rest: float = 30.0  # mV
    threshold: float = 15.0  # mV, where the hazard is 10 Hz
    mem_rate: float = 50.0  # 1/s
    refractory: float = 0.004  # s
    seconds: float = 60.0
    dt: float = 0.0005  # s

    def __post_init__(self) -> None:
        if self.delay < self.dt:  # which the spikes of a step take to arrive
            raise ValueError(f"neulvm.clusters: delay = {self.delay:g} s; expected at least the step dt = {self.dt:g} s")
        if self.seconds < CLUSTER_WINDOW:
            raise ValueError(f"neulvm.clusters: seconds = {self.seconds:g}; expected {CLUSTER_WINDOW:g}, a window, or more")


@dataclass(frozen=True)
class Sweep:
    """The same circuit stepped in bins of different length, against the network."""

    exact: tuple[float, ...] = (0.004, 0.002, 0.001)  # s
    compat: tuple[float, ...] = (0.004, 0.002, 0.001)
    seconds: float = 400.0
    network_seconds: float = 400.0
    history: float = 0.5  # s


@dataclass(frozen=True)
class Baselines:
    """Other models fitted to the same spikes."""

    latents: tuple[int, ...] = (2, 3)  # dimensions of the Poisson linear dynamical systems
    iterations: int = 30  # of EM
    seconds: float = 200.0  # free run


@dataclass(frozen=True)
class Posterior:
    """The parameters given the spikes, by simulation and regression."""

    simulations: int = 4000
    tolerance: float = 0.4  # how far the mean-field log-rates of a simulated circuit may be from the recorded ones
    share: float = 0.25  # of the simulations, the nearest, whose errors make the posterior
    history: float = 0.3  # s, longest age that a simulation follows
    recordings: int = 20  # further recordings of the hidden network on which the estimate is tried (embedded only)


def bins(seconds: float, dt: float) -> int:
    """Whole bins in a time, not fooled by rounding."""
    return int(math.floor(seconds / dt + 1e-9))


def age_bins(key: str, seconds: float, dt: float, circuit: Circuit) -> int:
    """Bins of the longest age that is followed, the setting `key` of the config.

    Raises ValueError when no neuron of such an age is free to fire, or when its spikes have not yet arrived.
    """
    for name in ("refractory", "delay"):
        least = bins(getattr(circuit, name), dt) + 1
        if bins(seconds, dt) < least:
            raise ValueError(
                f"{key} = {seconds:g} s (bins of {dt:g} s: {bins(seconds, dt)}); expected at least {least}, "
                f"more than neulvm.circuit.{name} = {getattr(circuit, name):g} s"
            )
    return bins(seconds, dt)


def network_steps(dt: float) -> int:
    """Steps of a free run of the network in a bin of dt seconds; ValueError where that is no whole number."""
    return _multiple(dt, FINE, "neulvm.window.dt", "the step of the network's free runs, whatever neulvm.window.fine is,")


def _multiple(whole: float, part: float, name: str, unit: str) -> int:
    """How often one time fits into another; ValueError, with their names, where that is no whole number."""
    n = round(whole / part)
    if n < 1 or abs(n * part - whole) > 1e-6 * part:
        raise ValueError(f"{name} = {whole:g} s is not a multiple of {unit} = {part:g} s; correct it in config.yaml")
    return n


class WindowBins(NamedTuple):
    """A window in bins of the model, and the steps of the recording in a bin."""

    per: int
    history: int
    end: int
    length: int
    batch: int
    held_out: int


def window_bins(window: Window, circuit: Circuit) -> WindowBins:
    """The window in bins; ValueError when its times are no whole bins or batches, or its history is too short."""

    def times(name: str, unit: str) -> int:
        return _multiple(getattr(window, name), getattr(window, unit), f"neulvm.window.{name}", f"neulvm.window.{unit}")

    n = WindowBins(times("dt", "fine"), *(times(name, "dt") for name in WindowBins._fields[1:]))
    times("length", "batch")
    if n.end < n.length + n.history:
        raise ValueError(
            f"neulvm.window.end = {window.end:g} s; expected at least "
            f"history {window.history:g} s + length {window.length:g} s"
        )
    age_bins("neulvm.window.history", window.history, window.dt, circuit)
    return n
