"""The LIF network that takes over the weights of a rate network, divided by one scale L (= 1 / lambda).

The equations stand once, in `_advance`, a compiled loop over steps, cells and synapses. Times in s, voltages in mV.
Noise is drawn block by block and shared by all scales of a search, so that scales are compared on the same trials.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from respike.core import seeds
from respike.core.compiled import njit
from respike.rate2lif.network import Network
from respike.rate2lif.params import LIF_STEP, STEPS_PER_COLUMN, UNCOUNTED, Lif

BLOCK = 500  # steps of noise drawn at once: small enough for the cache
QIF = {"threshold": 30.0, "bias": 0.0}  # what the quadratic neuron changes


class Wiring(NamedTuple):
    """A network with one scale, ready to run."""

    jump: Float[np.ndarray, "sender receiver"]  # what a spike adds to the synapses
    w_out: Float[np.ndarray, " cell"]
    bias_out: float
    tau: Float[np.ndarray, " cell"]  # s


class Run(NamedTuple):
    """One trial. Spikes in the order of time, steps counted from 0. Records hold every so many steps, or nothing."""

    n_cells: int
    output: Float[np.ndarray, " step"]
    spike_step: Int[np.ndarray, " spike"]
    spike_cell: Int[np.ndarray, " spike"]
    voltage: Float[np.ndarray, "record cell"]  # at the end of the step, the peak at a spike
    filtered: Float[np.ndarray, "record cell"]  # filtered spikes, 1/s
    current: Float[np.ndarray, "record cell"]  # synaptic current before the step


@dataclass(frozen=True)
class Drive:
    """Random numbers and stimulus of one trial: what stays the same when the scale changes."""

    columns: Float[np.ndarray, "column cell"]  # W_in u
    start: Float[np.ndarray, " cell"]  # uniform, for the first voltage
    noise: np.random.Generator | Float[np.ndarray, "step cell"]  # standard normal
    coins: np.random.Generator | Float[np.ndarray, " step"]  # uniform, one per step, for the stimulation


def drive(network: Network, inputs: Float[np.ndarray, "column channel"], options: Lif, *place: int | str) -> Drive:
    """Drive of the trial at the place `place`; down-sampling takes every so many columns of the stimulus."""
    columns = inputs[:: options.downsample].astype(float) @ network.w_in.T
    start = seeds.generator(*place, "start").random(network.n_cells)
    noise = np.random.Generator(np.random.SFC64(seeds.sequence(*place, "noise")))  # the fastest that numpy has
    return Drive(columns, start, noise, seeds.generator(*place, "coins"))


def wire(network: Network, scale: float, options: Lif, rng: np.random.Generator | None = None) -> Wiring:
    """`network` with its weights divided by `scale`; `rng` chooses the weights that a lesion removes."""
    weights = network.recurrent(options.initial_weights) / scale
    if options.lesion:
        weights = lesioned(weights, network.inhibitory, options, rng)
    tau = network.decay()
    rise = options.rise or 1.0
    jump = np.ascontiguousarray((weights / (rise * tau[:, None])).T)
    return Wiring(jump, network.w_out / scale, network.b_out if options.output_bias else 0.0, tau)


def rates(run: Run, options: Lif) -> Float[np.ndarray, " cell"]:
    """Firing rate of each cell, Hz: as published, spikes of the first nine steps do not count, the whole duration does."""
    counted = run.spike_cell[run.spike_step >= UNCOUNTED]
    return np.bincount(counted, minlength=run.n_cells) / (len(run.output) * LIF_STEP * options.downsample)


def lesioned(weights: np.ndarray, inhibitory: np.ndarray, options: Lif, rng: np.random.Generator) -> np.ndarray:
    """`weights` with a share of the non-zero ones set to 0, chosen from all or equally from both types of sender."""
    weights = weights.copy()
    groups = [~inhibitory, inhibitory] if options.lesion_by_type else [np.ones(len(inhibitory), dtype=bool)]
    for senders in groups:
        places = np.argwhere((weights != 0) & senders)
        rows, columns = rng.permutation(places)[: round(options.lesion * len(places))].T
        weights[rows, columns] = 0
    return weights


def run(wirings: list[Wiring], drive: Drive, options: Lif, record_every: int = 0) -> list[Run]:
    """One trial of each of `wirings` with the same stimulus and noise; `record_every` steps (0: never) the state is kept."""
    options = replace(options, **QIF) if options.neuron == "qif" else options
    n_steps = round((len(drive.columns) - 1) * STEPS_PER_COLUMN)
    trials = [_Trial(wiring, drive, options, n_steps, record_every) for wiring in wirings]
    for first in range(0, n_steps, BLOCK):
        count = min(BLOCK, n_steps - first)
        noise, push = _noise(drive, first, count, len(drive.start)), _push(drive, options, first, count)
        for trial in trials:
            trial.advance(first, noise, push)
    return [trial.result() for trial in trials]


def _noise(drive: Drive, first: int, count: int, n_cells: int) -> np.ndarray:
    if isinstance(drive.noise, np.random.Generator):
        return drive.noise.standard_normal((count, n_cells), dtype=np.float32)
    return drive.noise[first : first + count]


def _push(drive: Drive, options: Lif, first: int, count: int) -> np.ndarray:
    """Millivolts that the stimulation adds to the chosen cells in each step: one coin per step for all of them."""
    if options.stimulate == "none":
        return np.zeros(count)
    dt = LIF_STEP * options.downsample
    given = isinstance(drive.coins, np.ndarray)
    coins = drive.coins[first : first + count] if given else drive.coins.random(count)
    step = np.arange(first, first + count)
    inside = (step >= round(options.stimulus_begin / dt)) & (step < round(options.stimulus_end / dt))
    size = options.stimulus_size if options.stimulate == "exc" else -options.stimulus_size
    return np.where(inside & (coins < 0.5), size, 0.0)


class _Trial:
    """A running trial of one wiring: its state and what it has recorded."""

    def __init__(self, wiring: Wiring, drive: Drive, options: Lif, n_steps: int, record_every: int) -> None:
        n_cells = len(wiring.tau)
        self.wiring, self.columns, self.options = wiring, drive.columns, options
        self.dt = LIF_STEP * options.downsample
        self.state = np.zeros((6, n_cells))
        self.state[0] = options.reset + (options.peak - options.reset) * drive.start
        self.output = np.empty(n_steps)
        self.record_every = record_every
        self.records = np.empty((3, -(-n_steps // record_every) if record_every else 0, n_cells))
        self.spikes = [np.empty((2, 0), dtype=np.int64)]
        beyond = [cell for cell in options.stimulated_cells if cell >= n_cells]
        if beyond:
            raise ValueError(
                f"stimulated_cells {beyond}: the network has {n_cells} cells, counted from 0; correct config.yaml"
            )
        self.stimulated = np.zeros(n_cells)
        self.stimulated[list(options.stimulated_cells)] = 1.0

    def advance(self, first: int, noise: np.ndarray, push: np.ndarray) -> None:
        """Go on by as many steps as `noise` has rows."""
        o, dt, tau = self.options, self.dt, self.wiring.tau
        fade = np.exp(-dt / tau)
        fade_rise = np.exp(-dt / o.rise) if o.rise else 0.0
        unit = 1 / ((o.rise or 1.0) * tau)
        found = _advance(
            *self.state, self.output, self.records, self.record_every, first, noise, push, self.stimulated, self.columns,
            STEPS_PER_COLUMN, self.wiring.jump, self.wiring.w_out, fade, fade_rise, unit, dt, o.tau_membrane, o.refractory,
            o.threshold, o.reset, o.peak, o.bias, o.noise, o.neuron == "qif", o.rise == 0,
        )  # fmt: skip
        self.spikes.append(found)

    def result(self) -> Run:
        """What was recorded."""
        step, cell = np.concatenate(self.spikes, axis=1)
        return Run(len(self.stimulated), self.output + self.wiring.bias_out, step, cell, *self.records)


# The compiled loop may add the terms of a sum in any order; nothing else about the arithmetic is loosened.
arithmetic = {"fastmath": {"reassoc", "contract"}, "error_model": "numpy", "cache": True}
compiled = njit(**arithmetic)
part = njit(inline="always", **arithmetic)  # of the compiled loop: becomes vector instructions there, without a call


@compiled
def _advance(
    v, last, current, rise, filtered, filtered_rise, output, records, record_every, first, noise, push, stimulated, columns,
    per_column, jump, w_out, fade, fade_rise, unit, dt, tau_membrane, refractory, threshold, reset, peak, bias, noise_size,
    quadratic, single,
):  # fmt: skip
    """Advance the state by the steps of `noise`, writing `output` and every so many steps `records`. Returns the spikes.

    The state, changed in place: voltage, time of the last spike (s), synaptic current, its rise, filtered spikes, their rise.
    Each is an array of its own: for rows of one array the compiler makes no vector instructions here. Rows are read by two
    indices, because a row cut out in each step costs a count of references.
    """
    synapse, trace = (current, filtered) if single else (rise, filtered_rise)
    spikes, n_spikes = np.empty((2, 1024), dtype=np.int64), 0
    fired = np.empty(len(v), dtype=np.int64)
    for i in range(len(noise)):
        step = first + i
        now = dt * (step + 1)
        column = int(np.floor((step + 1) / per_column + 0.5))  # round half up
        recorded = step // record_every if record_every > 0 and step % record_every == 0 else -1
        if recorded >= 0:
            _keep(records, 2, recorded, current)
        for j in range(len(v)):
            total = current[j] + bias + columns[column, j]
            slope = (v[j] * v[j] + total if quadratic else total - v[j]) / tau_membrane
            free = 1.0 if now > last[j] + refractory else 0.0
            v[j] = v[j] + dt * (free * slope) + noise[i, j] * noise_size + push[i] * stimulated[j]
        n_fired = _above(v, threshold, fired)
        _decay(current, rise, fade, fade_rise, dt, single)
        _decay(filtered, filtered_rise, fade, fade_rise, dt, single)
        if n_spikes + n_fired > spikes.shape[1]:
            spikes = _larger(spikes, n_spikes + n_fired)
        for k in range(n_fired):
            sender = fired[k]
            _add(synapse, jump, sender)
            trace[sender] += unit[sender]
            last[sender] += now - last[sender]
            v[sender] = peak
            spikes[0, n_spikes], spikes[1, n_spikes] = step, sender
            n_spikes += 1
        output[step] = _dot(w_out, filtered)
        if recorded >= 0:
            _keep(records, 0, recorded, v)
            _keep(records, 1, recorded, filtered)
        for k in range(n_fired):
            v[fired[k]] = reset
    return spikes[:, :n_spikes].copy()


@part
def _above(v, threshold, fired):
    """Write the cells at or above threshold into `fired`; returns their number."""
    count = 0
    for j in range(len(v)):
        count += v[j] >= threshold
    if count == 0:  # in most steps, and counting is much faster than noting
        return 0
    count = 0
    for j in range(len(v)):
        if v[j] >= threshold:
            fired[count] = j
            count += 1
    return count


@part
def _add(values, rows, row):
    """Add a row of `rows` to `values`."""
    for j in range(len(values)):
        values[j] += rows[row, j]


@part
def _keep(records, kind, place, values):
    """Copy `values` into `records`; assigning a slice would take a second to compile."""
    for j in range(len(values)):
        records[kind, place, j] = values[j]


@part
def _decay(value, rise, fade, fade_rise, dt, single):
    """One step of a synaptic filter, before the spikes of this step join."""
    if single:
        for j in range(len(value)):
            value[j] *= fade[j]
    else:
        for j in range(len(value)):
            value[j] = value[j] * fade[j] + rise[j] * dt
            rise[j] *= fade_rise


@part
def _dot(weights, values):
    """Sum of products; numpy's would call BLAS, which costs more than it saves at this size."""
    total = 0.0
    for j in range(len(values)):
        total += weights[j] * values[j]
    return total


@compiled
def _larger(spikes, needed):
    """A copy of `spikes` with room for more than the `needed` ones."""
    larger = np.empty((2, 2 * needed), dtype=np.int64)
    for row in range(2):
        for k in range(spikes.shape[1]):
            larger[row, k] = spikes[row, k]
    return larger
