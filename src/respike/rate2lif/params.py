"""Constants of Kim, Li & Sejnowski (2019), each with its unit and source. The rate model counts time in steps of 5 ms."""

from dataclasses import dataclass, replace
from typing import Literal

Stream = tuple[int | str, ...]  # root seed and path of a stream of random numbers (core.seeds)

RATE_STEP = 0.005  # s, one step of the rate model (Methods)
LIF_STEP = 5e-5  # s, one step of the LIF network before down-sampling (code)
STEPS_PER_COLUMN = 100  # LIF steps per column of the stimulus, whatever the down-sampling (code)
UNCOUNTED = 9  # first LIF steps whose spikes do not count for the rates (code)
RATE_NOISE = 0.1  # sd of the noise added to x at each step, outside the 1/tau factor (code)
RATE_START = 0.01  # sd of x at the first step (code)
OUTPUT_START = 0.01  # sd of the initial output weights (code)
GAMMA = (2.0, 0.003)  # shape and scale of the alternative initial weights (code)
CLIP = 20.0  # largest rate of the clipped ReLU and of the softplus (code)
REACH, QUIET = 0.7, 0.3  # output that counts as a response, and as none (Methods)
STANDARD = "standard"  # the condition as published, whose trials are kept in full
CONVERTED = 0.95  # LIF accuracy from which a network counts as converted (Results)
QIF = {"threshold": 30.0, "bias": 0.0}  # mV: what the quadratic neuron changes
PUBLISHED_GRID = tuple(float(scale) for scale in range(20, 80, 5))  # 1 / lambda (code)


@dataclass(frozen=True)
class Training:
    """One rate network: its task, its cells and how it is trained. In brackets the option of the published program.

    ValueError for decay constants in the wrong order and for fewer trials than one update takes.
    """

    task: Literal["go-nogo", "xor", "mante"]  # [task]
    cells: int = 200  # [N]
    taus: tuple[float, ...] = (4.0, 20.0)  # smallest and largest decay constant in steps, or one value for all [decay_taus]
    activation: Literal["sigmoid", "clipped_relu", "softplus"] = "sigmoid"  # [act]
    dale: bool = True  # excitatory and inhibitory cells [apply_dale]
    sst_cells: int = 0  # inhibitory cells that no inhibitory cell reaches [som_N]
    p_inhibitory: float = 0.2  # chance that a cell is inhibitory [P_inh]
    p_recurrent: float = 0.2  # chance that an initial weight is not zero [P_rec]
    gain: float = 1.5  # of the initial weights [gain]
    weights: Literal["gaussian", "gamma"] = "gaussian"  # distribution of the initial weights
    loss: Literal["l1", "l2"] = "l2"  # [loss_fn]
    trainer: Literal["batched", "reference"] = "batched"  # reference: one trial per update and the published stop rule
    batch: int = 4  # trials per update
    trials: int = 6000  # at most [n_trials]
    learning_rate: float = 0.01  # of Adam
    check_every: int = 200  # trials between two checks of the stop rule
    check_trials: int = 100  # fresh trials per check
    stop_loss: float = 1.0  # stop below this mean loss ...
    stop_accuracy: float = 0.95  # ... and above this share of correct trials ...
    least_trials: int = 0  # ... after this many trials

    def __post_init__(self) -> None:
        taus = self.taus
        if not 1 <= len(taus) <= 2 or taus[0] < 1 or taus[-1] < taus[0]:
            raise ValueError(f"taus = {list(taus)}, expected [smallest, largest] or [value] in steps of 5 ms, at least 1")
        if self.trainer == "batched" and self.trials < self.batch:
            raise ValueError(f"trials = {self.trials}: expected at least batch = {self.batch}, the trials of one update")

    def stops(self, loss: float, accuracy: float, trials: float) -> bool:
        """The stop rule, after `trials` trials (nan: nobody knows how many); false where nothing was checked."""
        return loss < self.stop_loss and accuracy > self.stop_accuracy and not trials <= self.least_trials


def scheduled(settings: Training) -> Training:
    """`settings` with the published schedule if that is asked for.

    One trial per update, a check every 100 trials, Go-NoGo not before trial 1501.
    """
    if settings.trainer == "batched":
        return settings
    least = 1500 if settings.task == "go-nogo" else 0
    published = {"batch": 1, "check_every": 100, "check_trials": 100, "stop_loss": 7.0, "stop_accuracy": 0.95}
    return replace(settings, **published, least_trials=least)


@dataclass(frozen=True)
class Lif:
    """The LIF network. Voltages in mV; the noise is per step, as published, whatever the step.

    ValueError for a stimulation that would do nothing, a reset above the threshold, and time constants shorter than a step.
    """

    tau_membrane: float = 0.010  # s
    refractory: float = 0.002  # s
    threshold: float = -40.0  # mV
    reset: float = -65.0  # mV
    peak: float = 30.0  # mV, drawn at a spike
    bias: float = -40.0  # mV, constant current
    rise: float = 0.002  # s, rise time of the synapse; 0 makes the filter single-exponential
    noise: float = 0.1  # mV, sd added at each step, also to refractory cells
    downsample: int = 1  # LIF steps are this many times 0.05 ms
    neuron: Literal["lif", "qif"] = "lif"  # qif: dv = (v^2 + J) / tau, threshold 30 mV, bias 0
    initial_weights: bool = False  # the weights before training (the decay constants stay the trained ones)
    output_bias: bool = False  # add b_out to the output; the published program leaves it out
    lesion: float = 0.0  # share of the recurrent weights set to 0
    lesion_by_type: bool = False  # the same share from excitatory and from inhibitory senders
    stimulate: Literal["none", "exc", "inh"] = "none"  # push chosen cells up (exc) or down (inh) in random steps
    stimulated_cells: tuple[int, ...] = ()  # counted from 0
    stimulus_begin: float = 0.0  # s
    stimulus_end: float = 0.0  # s
    stimulus_size: float = 0.5  # mV per step

    def __post_init__(self) -> None:
        cells, begin, end = list(self.stimulated_cells), self.stimulus_begin, self.stimulus_end
        if (self.stimulate != "none") != bool(cells and begin < end):
            found = f"stimulated_cells = {cells}, stimulus_begin = {begin:g} and stimulus_end = {end:g} s"
            raise ValueError(
                f"stimulate = {self.stimulate} with {found}: expected exc or inh, cells, and an end after the begin"
            )
        threshold, step = QIF["threshold"] if self.neuron == "qif" else self.threshold, LIF_STEP * self.downsample
        if self.reset >= threshold:  # a cell would fire in every step
            raise ValueError(f"reset = {self.reset:g} mV: expected less than threshold = {threshold:g} mV")
        for name, time in (("tau_membrane", self.tau_membrane), ("rise", self.rise or step)):
            if time < step:  # such steps do not follow the equations
                raise ValueError(f"{name} = {time:g} s: expected at least {step:g}, one step (downsample = {self.downsample})")


@dataclass(frozen=True)
class Condition:
    """A LIF network to be run, by name."""

    name: str
    lif: Lif = Lif()


@dataclass(frozen=True)
class Search:
    """How the scale L = 1 / lambda is found."""

    method: Literal["grid", "narrow"] = "grid"  # narrow: least squares start, then a few values around it
    scales: tuple[float, ...] = PUBLISHED_GRID  # values of L on the grid
    trials: int = 100  # per value of L


@dataclass(frozen=True)
class Simulation:
    """What is run with the scale that was found."""

    trials: int = 100  # of each condition
    recorded: int = 20  # of them with spikes and filtered rates kept, standard condition
    shown_scales: tuple[float, ...] = (1.0, 10.0, 25.0)  # L of the outputs shown side by side
