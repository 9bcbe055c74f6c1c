"""The LIF network that takes over the weights of a rate network, divided by one scale L (= 1 / lambda).

The equations stand in `kernel`. Times in s, voltages in mV. Noise is drawn block by block, trial by trial, and all scales
of a search share it.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from respike.core import seeds
from respike.rate2lif import kernel
from respike.rate2lif.network import Network
from respike.rate2lif.params import LIF_STEP, QIF, STEPS_PER_COLUMN, UNCOUNTED, Lif

BLOCK = 500  # steps of noise drawn at once: small enough for the cache


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
    """Random numbers of one trial, the same at all scales, and its stimulus, which may be one for each."""

    columns: Float[np.ndarray, "*wiring column cell"]  # W_in u, one for all wirings or one for each
    start: Float[np.ndarray, " cell"]  # uniform, for the first voltage
    noise: np.random.Generator | Float[np.ndarray, "step cell"]  # standard normal
    coins: np.random.Generator | Float[np.ndarray, " step"]  # uniform, one per step, for the stimulation


def drive(network: Network, inputs: Float[np.ndarray, "*wiring column channel"], options: Lif, *stream: int | str) -> Drive:
    """Drive of a trial with the random numbers of `stream`; down-sampling takes every so many columns of the stimulus."""
    columns = inputs[..., :: options.downsample, :].astype(float) @ network.w_in.T
    start = seeds.generator(*stream, "start").random(network.n_cells)
    noise = np.random.Generator(np.random.SFC64(seeds.sequence(*stream, "noise")))  # the fastest that numpy has
    return Drive(columns, start, noise, seeds.generator(*stream, "coins"))


def wire(network: Network, scale: float, options: Lif, rng: np.random.Generator | None = None) -> Wiring:
    """`network` with its weights divided by `scale`; `rng` chooses the weights that a lesion removes."""
    weights = network.recurrent(options.initial_weights) / scale
    if options.lesion:
        weights = lesioned(weights, network.inhibitory, options, rng)
    tau = network.decay()
    jump = np.ascontiguousarray((weights / ((options.rise or 1.0) * tau[:, None])).T)
    return Wiring(jump, network.w_out / scale, network.b_out if options.output_bias else 0.0, tau)


def lesioned(weights: np.ndarray, inhibitory: np.ndarray, options: Lif, rng: np.random.Generator) -> np.ndarray:
    """`weights` with a share of the non-zero ones set to 0, chosen from all or equally from both types of sender."""
    weights = weights.copy()
    groups = [~inhibitory, inhibitory] if options.lesion_by_type else [np.ones(len(inhibitory), dtype=bool)]
    for senders in groups:
        present = np.argwhere((weights != 0) & senders)
        rows, columns = rng.permutation(present)[: round(options.lesion * len(present))].T
        weights[rows, columns] = 0
    return weights


def simulate(wirings: list[Wiring], drive: Drive, options: Lif, record_every: int = 0) -> list[Run]:
    """One trial of each of `wirings`, with the same noise; `record_every` steps (0: never) the state is kept.

    ValueError when the stimulation names a cell that the network does not have.
    """
    options = replace(options, **QIF) if options.neuron == "qif" else options
    n_steps, n_cells = round((drive.columns.shape[-2] - 1) * STEPS_PER_COLUMN), len(drive.start)
    columns = drive.columns if drive.columns.ndim > 2 else [drive.columns] * len(wirings)
    constants, cells = _constants(options), [_cells(*one, options) for one in zip(wirings, columns, strict=True)]
    states = [_start(drive, options) for _ in wirings]
    n_records = -(-n_steps // record_every) if record_every else 0
    records = [kernel.Records(np.empty(n_steps), np.empty((3, n_records, n_cells)), record_every) for _ in wirings]
    spikes = [[np.empty((2, 0), dtype=np.int64)] for _ in wirings]
    for first in range(0, n_steps, BLOCK):
        count = min(BLOCK, n_steps - first)
        noise, push = _noise(drive, first, count), _push(drive, options, first, count)
        for k in range(len(wirings)):
            spikes[k].append(kernel.advance(states[k], records[k], cells[k], constants, first, noise, push))
    return [
        Run(n_cells, kept.output + wiring.bias_out, *np.concatenate(blocks, axis=1), *kept.states)
        for wiring, kept, blocks in zip(wirings, records, spikes, strict=True)
    ]


def _start(drive: Drive, options: Lif) -> kernel.State:
    state = kernel.State(*np.zeros((len(kernel.State._fields), len(drive.start))))
    state.v[:] = options.reset + (options.peak - options.reset) * drive.start
    return state


def _noise(drive: Drive, first: int, count: int) -> np.ndarray:
    if isinstance(drive.noise, np.random.Generator):
        return drive.noise.standard_normal((count, len(drive.start)), dtype=np.float32)
    return drive.noise[first : first + count]


def _push(drive: Drive, options: Lif, first: int, count: int) -> np.ndarray:
    """Millivolts that the stimulation adds to the chosen cells in each step: one coin per step for all of them."""
    if options.stimulate == "none":
        return np.zeros(count)
    dt = LIF_STEP * options.downsample
    coins = drive.coins[first : first + count] if isinstance(drive.coins, np.ndarray) else drive.coins.random(count)
    step = np.arange(first, first + count)
    inside = (step >= round(options.stimulus_begin / dt)) & (step < round(options.stimulus_end / dt))
    size = options.stimulus_size if options.stimulate == "exc" else -options.stimulus_size
    return np.where(inside & (coins < 0.5), size, 0.0)


def _constants(options: Lif) -> kernel.Constants:
    dt = LIF_STEP * options.downsample
    shared = ("tau_membrane", "refractory", "threshold", "reset", "bias", "peak", "noise")
    return kernel.Constants(
        dt=dt,
        **{name: getattr(options, name) for name in shared},
        fade_rise=float(np.exp(-dt / options.rise)) if options.rise else 0.0,
        quadratic=options.neuron == "qif",
        single=options.rise == 0,
        steps_per_column=STEPS_PER_COLUMN,
    )


def _cells(wiring: Wiring, columns: Float[np.ndarray, "column cell"], options: Lif) -> kernel.Cells:
    n_cells, tau = len(wiring.tau), wiring.tau
    if beyond := [cell for cell in options.stimulated_cells if cell >= n_cells]:
        raise ValueError(f"stimulated_cells {beyond}: the network has {n_cells} cells, counted from 0; correct config.yaml")
    stimulated = np.isin(np.arange(n_cells), options.stimulated_cells).astype(float)
    unit, fade = 1 / ((options.rise or 1.0) * tau), np.exp(-LIF_STEP * options.downsample / tau)
    return kernel.Cells(wiring.jump, unit, fade, wiring.w_out, columns, stimulated)


def rates(run: Run, options: Lif) -> Float[np.ndarray, " cell"]:
    """Firing rate of each cell, Hz: as published, spikes of the first nine steps do not count, the whole duration does."""
    counted = run.spike_cell[run.spike_step >= UNCOUNTED]
    return np.bincount(counted, minlength=run.n_cells) / (len(run.output) * LIF_STEP * options.downsample)
