"""Constants of the paper and the settings that config.yaml can change. One step is 1 ms in the paper's plots."""

from dataclasses import dataclass
from typing import Literal

Form = Literal["spiking", "real"]  # of the input
Wiring = Literal["anatomical", "random", "full", "fixed"]
Normalisation = Literal["reference", "zscore"]  # of the real-valued form
Loss = Literal["reference", "logits"]  # reference: softmax twice

# what the published files hold
CLASSES = ("helmet", "box", "plane")
LABELS = (53, 55, 113)  # their category numbers in the files
WHISKERS, UNITS, FRAMES, SWEEPS = 31, 3, 110, 12
FRAME_RATE = 10.0  # Hz
CHANNELS = WHISKERS * UNITS  # inputs of each kind, whisker major
REAL_CHANNELS = CHANNELS * 6  # three force and three torque components

# encoding: p = m / (m + e^c) of the modulus m
HALF_POINT = {"force": 2.0, "torque": 4.0}  # c, natural logarithm of the modulus where p = 1/2
SMALLEST = 1e-5  # stands for a modulus of 0

# neuron
STEP = 0.001  # s, what the plots of the paper call a step; the equations count in steps
ADAPTATION = 1.8  # beta, threshold per unit of the adaptation variable
TAU_MEMBRANE = 10.0  # steps, initial
TAU_ADAPTATION = 5.0  # steps, initial
SURROGATE_WIDTH = 0.5  # sd of the Gaussian
SURROGATE_SCALE = 0.5

# network
READ_OUT = ("Pyr_SP", "Pyr_SS", "Pyr")  # populations that the readout sees: all excitatory ones
HIDDEN = 128  # of the linear readout

# analysis
RATE_BIN = 10  # steps
SELECTIVE_BELOW = 1e-3  # p of the analysis of variance
PSEUDO_COUNT = 182  # spikes added to each class before the shares are taken
# spikes of each population in 550 steps under a constant current, Izhikevich model of the anatomy paper
REFERENCE_RATES = (9, 9, 30, 12, 21, 117, 117, 30, 92, 30, 30, 26, 19)
DRIVE_STEPS, DRIVE_BASELINE = 550, 0.04
MOST_REMOVED = 8  # whiskers, deprivation


@dataclass(frozen=True)
class Sweeps:
    """The whisker sweeps that stand in for the published data."""

    objects_per_class: int = 91
    sweeps: Literal[1, 12] = 1  # per object; the network reads only the first
    time_step: float = 1 / 60  # s
    max_tilt_deg: float = 60.0  # of the object about a random axis; 180 is any orientation
    smallest_mm: float = 50.0  # diagonal of the object's bounding box
    largest_mm: float = 135.0
    test_share: float = 0.2
    meshes: str = ""  # folder with one folder of .obj files per class; empty: the built-in families of shapes

    def __post_init__(self) -> None:
        """ValueError for settings that cannot be simulated."""
        steps, sizes = 1 / (FRAME_RATE * self.time_step), (self.smallest_mm, self.largest_mm)
        if abs(steps - round(steps)) > 1e-6 or steps < 1:
            raise ValueError(
                f"barrel.sweeps.time_step is {self.time_step}, expected a whole part of a frame, {1 / FRAME_RATE} s"
            )
        if not 0 < self.smallest_mm <= self.largest_mm:
            raise ValueError(f"barrel.sweeps.smallest_mm and largest_mm are {sizes}, expected 0 < smallest_mm <= largest_mm")
        if round(self.test_share * self.objects_per_class) >= self.objects_per_class:
            raise ValueError(f"barrel.sweeps.test_share is {self.test_share}, expected less: no object is left to train on")


@dataclass(frozen=True)
class Encoding:
    """How forces and torques become the input of the network."""

    frame_stride: int = 1  # every so many frames are used
    repeats: int = 5  # steps per frame (spiking form)


@dataclass(frozen=True)
class Network:
    """Size and initial values of the network."""

    divide_by: int = 1  # sizes of the populations are divided by this number
    initial_weight: float = 0.06  # init_w: synapses start uniform between 0 and this
    baseline: float = 0.04  # init_b: threshold without adaptation
    adaptation: float = ADAPTATION  # 0 switches adaptation off


@dataclass(frozen=True)
class Training:
    """How a network is trained."""

    epochs: int = 100
    batch: int = 128
    learning_rate: float = 0.008
    tau_adaptation_factor: float = 5.0  # learning rate of tau_adp over the base rate
    tau_membrane_factor: float = 2.0
    decay_every: int = 20  # epochs
    decay: float = 0.8
    loss: Loss = "reference"
    smallest_tau: float = 0.5  # steps; time constants are kept at or above it
    validation_share: float = 0.2  # of the training samples, to choose the epoch
    redraw: bool = False  # new input spikes in each epoch instead of one draw
    checkpoint_steps: int = 0  # memory for time: keep the state only every so many steps; 0 keeps all


@dataclass(frozen=True)
class Fold:
    """One part of a cross-validation, held out for the test."""

    repeat: int
    number: int
    of: int  # folds of the repeat


@dataclass(frozen=True)
class Start:
    """Initial values for a training, taken from the scan of them."""

    rank: int  # 0 has the lowest irregularity
    of: int  # trainings, evenly from the lowest to the highest


@dataclass(frozen=True)
class Variant:
    """What distinguishes a training from the others of a run."""

    form: Form
    wiring: Wiring = "anatomical"
    replicate: int = 0
    fold: Fold | None = None  # of the cross-validation; none: the samples of the test file are for the test
    start: Start | None = None  # none: the initial values of the config


@dataclass(frozen=True)
class Fit:
    """Everything that one training needs."""

    encoding: Encoding
    network: Network
    training: Training
