"""Constants of the paper and the settings of a training. Times in seconds; weights without unit; threshold 1."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

Task = Literal["digits", "contextual", "switch"]
Cell = Literal["spike", "rate"]

DT = 0.002  # s, one step
TAU_INPUT = 0.010  # s, tau_s: input current
TAU_MEMBRANE = 0.020  # s, tau_m
TAU_DECAY = 0.030  # s, tau_d: decay of the filtered spikes
TAU_RISE = 0.002  # s, tau_r: their rise (double filter)
THRESHOLD = 1.0
REFRACTORY_STEPS = 5
SLOPE = 25.0  # of the surrogate derivative

A_INPUT = math.exp(-DT / TAU_INPUT)
A_MEMBRANE = math.exp(-DT / TAU_MEMBRANE)
A_DECAY = math.exp(-DT / TAU_DECAY)
A_RISE = math.exp(-DT / TAU_RISE)

PIXELS = 784
CLASSES = 10
CHANNELS = 4  # contextual integration: two of evidence, two of context


class Filter(NamedTuple):
    """Coefficients of the synaptic filter: h <- rise h + step_h s ; r <- A_DECAY r + step_r h."""

    rise: float
    step_h: float
    step_r: float


FILTERS = {
    "single": Filter(0.0, 1.0, DT / TAU_DECAY),  # h is s
    "double": Filter(A_RISE, 1.0, 1 - A_DECAY),  # contextual task
    "double_digits": Filter(A_RISE, DT / (TAU_DECAY * TAU_RISE), DT),  # differs from the line above by a factor 1.034
}


def spike_filter(task: Task, shape: Literal["single", "double"]) -> Filter:
    """Synaptic filter of a task; the published programs scale the double filter differently for digits."""
    return FILTERS["double_digits" if (task, shape) == ("digits", "double") else shape]


class Leak(NamedTuple):
    """Coefficients of tanh cells: v <- keep v + take (Win x + W tanh v)."""

    keep: float
    take: float


RATE_CELLS = {
    "leaky": Leak(A_MEMBRANE, 1 - A_MEMBRANE),
    # v becomes its Euler step instead of gaining it, so that next to nothing is remembered: the published program's line in an
    # early version, and what the stored rate networks were trained with
    "increment": Leak(-DT / TAU_MEMBRANE, DT / TAU_MEMBRANE),
}


class Size(NamedTuple):
    """How large a network is."""

    inputs: int
    neurons: int
    modes: int
    outputs: int


class Variant(NamedTuple):
    """Networks that differ in their random numbers alone: its replicas."""

    task: Task
    cell: Cell
    neurons: int
    modes: int

    def __str__(self) -> str:
        """Name in tables and files, for instance digits_spike_N100_P3."""
        return f"{self.task}_{self.cell}_N{self.neurons}_P{self.modes}"

    @property
    def size(self) -> Size:
        """Size of the networks, with the inputs and outputs of their task."""
        inputs, outputs = (PIXELS, CLASSES) if self.task == "digits" else (CHANNELS, 1)
        return Size(inputs, self.neurons, self.modes, outputs)

    def check_rank(self, redundant_modes: bool) -> None:
        """ValueError for more modes than neurons unless `redundant_modes` says it is meant."""
        if self.modes > self.neurons and not redundant_modes:
            raise ValueError(
                f"modes.networks: {self.modes} modes for {self.neurons} neurons; expected at most {self.neurons}, the largest "
                "rank of the recurrent matrix. If it is meant, as in the published grid, set modes.redundant_modes: true in "
                "the config"
            )


@dataclass(frozen=True)
class Training:
    """Settings of one task's trainings (config: modes.digits, modes.contextual, modes.switch)."""

    steps: int  # T, steps of DT in one trial
    batches: int
    batch: int  # trials in a batch
    learning_rate: float
    clip: float  # largest global norm of the gradient
    repeats: int = 1  # Adam steps on the same batch
    same_trials: bool = False  # contextual integration: every batch is the first one, as in the stored results
    loss: Literal["reference", "logits"] = "logits"  # digits: reference applies the softmax twice, as published
    filter: Literal["single", "double"] = "double"
    refractory: Literal["float32_compat", "steps"] = "float32_compat"
    train_scores: bool = True  # l; False: 1/N for ever, as rate networks in the published figure code, not the stored ones
    output_init: Literal["neurons", "outputs"] = "neurons"  # sd of the first output weights: 1/sqrt of the number of these
    mode_init: Literal["modes", "neurons"] = "modes"  # sd of the first modes and scores, see model.Network
    rate_cells: Literal["leaky", "increment"] = "leaky"  # rate networks: v keeps what it was, or is its own Euler step alone
    rate_readout: Literal["activity", "potential"] = "activity"  # rate networks: read out tanh(v), or v itself
    switch_probability: float = 0.0  # share of trials that swap the context in the response (context-switch variant)
    switch_steps: int = 0


@dataclass(frozen=True)
class Evaluation:
    """How much is simulated to evaluate a network (config: modes.evaluation)."""

    images: int  # test images at most
    repeats: int  # fresh spikes for the same images
    trials: int  # trials of contextual integration
