"""Constants of the study. Each value is the published program's default unless the comment says otherwise."""

from dataclasses import dataclass
from typing import Literal

from respike.formats.choice import Choice


@dataclass(frozen=True)
class Standin:
    """A recording drawn from a known network, with the size of the data set it stands in for."""

    pixels: int = 13  # side of a frame
    frames: int = 150  # frames of the movie, one per bin
    trials: int = 120  # repetitions of the movie, as in the real data
    visible: int = 12  # recorded cells
    hidden: int = 8  # cells that act on the recorded ones and are not recorded
    coupling_gain: float = 1.6  # spread of the couplings, logit units
    hidden_gain: float = 4.0  # couplings from hidden cells are that much stronger
    least_correlation: float = 0.04  # s.d. of the noise correlations over pairs; networks with less are drawn again
    bin_ms: float = 40.0


@dataclass(frozen=True)
class Preprocessing:
    """From raw files to bins, frames and splits."""

    pixels: int = 27  # side of a frame after resizing
    bin_ms: float = 40.0  # one bin per frame of the movie (25 Hz)
    last_frames: int = 0  # keep the end of the movie; 0 keeps all. The paper: 650 (from memory of it)
    most_active: int = 0  # keep that many units with the highest rate; 0 keeps all. The paper: 69 (which ones is unknown)
    units: tuple[int, ...] = ()  # keep the units of these numbers in the file; empty keeps all
    train: int = 80  # the first trials; the following `test`, then the following `validation` trials
    test: int = 30
    validation: int = 10
    session: Choice = Choice()  # what of a session file (.nwb, .npz) is used

    def __post_init__(self) -> None:
        if self.units and self.most_active:
            raise ValueError(
                f"v1.data.most_active = {self.most_active} with v1.data.units = {list(self.units)}: expected 0, or no units"
            )


@dataclass(frozen=True)
class Network:
    """Cells, couplings and the convolutional network in front of them."""

    hidden: int = 0  # cells without a recording
    movie_frames: int = 10  # frames the input sees, K
    history: int = 9  # bins through which a spike acts, D
    filters: tuple[int, ...] = (16, 32)  # of each convolution
    kernels: tuple[int, ...] = (7, 7)  # side of each kernel
    pools: tuple[int, ...] = (3, 3)  # side of each max-pooling window
    strides: tuple[int, ...] = (2, 2)  # step of each pooling
    threshold: float = 0.4  # in the unit of the voltage
    temperature: float = 1.0  # slope of the spike probability
    surrogate: Literal["triangle", "sigmoid"] = "triangle"  # derivative of a spike
    dampening: float = 0.3  # height of the triangle
    coupling: Literal["full", "self", "none"] = "full"  # self: each cell only sees its own past; none: the movie alone

    def __post_init__(self) -> None:
        lengths = {len(self.filters), len(self.kernels), len(self.pools), len(self.strides)}
        if len(lengths) > 1:
            raise ValueError(
                f"v1.network: {len(self.filters)} filters, {len(self.kernels)} kernels, {len(self.pools)} pools, "
                f"{len(self.strides)} strides; expected as many of each, one per layer"
            )
        if self.movie_frames - 1 < self.history:
            raise ValueError(
                f"v1.network.movie_frames = {self.movie_frames}: {self.movie_frames - 1} frames before the present one, "
                f"fewer than v1.network.history = {self.history} bins; expected movie_frames of at least "
                f"{self.history + 1}, or a shorter history"
            )

    @property
    def first_step(self) -> int:
        """First frame with a full window of the movie behind it, and so with a full history of spikes."""
        return self.movie_frames - 1


@dataclass(frozen=True)
class Objective:
    """Weights of the terms of the loss, and how its statistics are estimated."""

    likelihood: float = 1.0  # teacher-forced cross-entropy, nats per bin and cell
    psth: float = 0.0  # cross-entropy of trial means of a free run
    psth_mse: float = 0.0  # squared distance of trial means (defined by the published program, not used in it)
    noise_correlation: float = 0.0  # squared distance of noise covariances, lags 0 .. D-1
    single_trial: float = 0.0  # cross-entropy of a free run against single recorded trials (ablation)
    hidden_rate: float = 0.001  # squared distance of each hidden cell's rate from `target_rate`
    target_rate: float | None = None  # spikes per bin; none takes the mean rate of the data. Published: 0.17
    nc_estimator: Literal["published", "lag_consistent"] = "published"
    target_stats: Literal["batch", "all"] = "batch"  # statistics of the data from the batch or from all training trials
    simulated_trials: int = 0  # trials of a free run in a step; 0 takes as many as the batch has
    nc_ramp: int = 0  # steps over which the weight of the noise correlation rises from 0

    def __post_init__(self) -> None:
        if not (self.likelihood or self.runs_free):
            raise ValueError("v1.variants: all terms of an objective have the weight 0; expected one above 0")
        if self.noise_correlation and self.simulated_trials == 1:
            raise ValueError(
                "v1.variants: objective.simulated_trials = 1: expected 2 or more, or 0 for as many as in the batch, where "
                "objective.noise_correlation has a weight (a single trial has no noise covariance)"
            )

    @property
    def runs_free(self) -> bool:
        """Whether the network has to run on its own spikes."""
        return bool(self.psth or self.psth_mse or self.noise_correlation or self.single_trial)


@dataclass(frozen=True)
class Variant:
    """One way of fitting: what it adds to the network and to the loss."""

    objective: Objective = Objective()
    hidden: int = 0
    coupling: Literal["full", "self", "none"] = "full"
    surrogate: Literal["triangle", "sigmoid"] = "triangle"


@dataclass(frozen=True)
class Training:
    """Adam with each tensor's gradient clipped on its own."""

    steps: int = 2000
    batch: int = 20  # trials
    learning_rate: float = 1e-3
    clip: float = 1.0  # largest norm of the gradient of one tensor
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7  # added to the root of the uncorrected second moment, as in Keras
    evaluate_every: int = 10  # steps between looks at the validation trials


@dataclass(frozen=True)
class Sampling:
    """Free runs from a fitted network."""

    trials: int = 600
    hidden_samples: int = 20  # runs of the hidden cells over which probabilities are averaged
    particles: int = 200  # pasts of the hidden cells over which the likelihood is summed
