"""Constants of the study: names and prior boxes of the rules, the network, and how one simulation is run.

Units: s, Hz, V; conductances and weights in units of the leak conductance. "XY" means from presynaptic X to postsynaptic Y.
Values are those of the published task files unless a comment says otherwise.
"""

from dataclasses import dataclass
from typing import Literal

FAMILIES = ("poly", "mlp")
TYPES = ("EE", "EI", "IE", "II")
PLASTIC = {"poly": TYPES, "mlp": ("EE", "IE")}  # the other types of the mlp network are static

POLY_TERMS = ("tau_pre", "tau_post", "alpha", "beta", "gamma", "kappa")
MLP_READOUT = ("0", "1", "2", "3", "bias")
THETA = {  # columns of a table of rules, in the order of the released files; the last is a nuisance, not a rule parameter
    "poly": (*(f"{kind}_{term}" for kind in TYPES for term in POLY_TERMS), "rate_in"),
    "mlp": (
        "eta_EE",
        "eta_IE",
        *(f"{kind}_{side}_{unit}" for kind in ("EE", "IE") for side in ("pre", "post") for unit in MLP_READOUT),
        "rate_in",
    ),
}
TAU_BOX = (0.01, 0.1)  # s
TERM_BOX = (-2.0, 2.0)  # alpha, beta, gamma, kappa
ETA_BOX = (0.0, 1.0)
READOUT_BOX = (-1.0, 1.0)
RATE_IN_BOX = (5.0, 15.0)  # Hz


def box(name: str) -> tuple[float, float]:
    """Prior range of one column of a table of rules.

    >>> box("EE_tau_pre"), box("eta_IE"), box("rate_in")
    ((0.01, 0.1), (0.0, 1.0), (5.0, 15.0))
    """
    if name == "rate_in":
        return RATE_IN_BOX
    if name.startswith("eta"):
        return ETA_BOX
    if "_tau_" in name:
        return TAU_BOX
    return TERM_BOX if name.endswith(POLY_TERMS) else READOUT_BOX


def boxes(family: str) -> list[tuple[float, float]]:
    """Prior ranges of the parameters of a family of rules, without the input rate."""
    return [box(name) for name in THETA[family][:-1]]


@dataclass(frozen=True)
class Network:
    """What is compiled into a binary: the family of rules, the sizes, and how the code is generated."""

    family: Literal["poly", "mlp"] = "poly"
    n_e: int = 4096
    n_i: int = 1024
    n_input: int = 5000  # Poisson sources, shared by all cells
    templates: Literal["fast", "stock"] = "fast"  # stock: the loops that Brian2 ships
    cpu: str = "native"  # -march, on ARM -mcpu; a fixed family such as x86-64-v3 where a cluster mixes machines


@dataclass(frozen=True)
class Cells:
    """Constants of the neurons, equal for E and I."""

    v_rest: float = -0.070  # V, also the reset
    v_exc: float = 0.0  # V, reversal, and upper bound of the membrane
    v_inh: float = -0.080  # V, reversal, and lower bound of the membrane
    v_threshold: float = -0.050  # V
    threshold_jump: float = 0.100  # V, set at a spike
    tau_threshold: float = 0.005  # s
    tau_membrane: float = 0.020  # s
    tau_ampa: float = 0.005  # s
    tau_gaba: float = 0.010  # s
    tau_nmda: float = 0.100  # s
    ampa_share: float = 0.3  # AMPA : NMDA
    tau_adapt: float = 0.100  # s, mlp only
    adapt_jump: float = 0.1  # mlp only
    # Low-pass variables that the mlp rule reads. The published task file says 0.1, 0.01 and 0.1 s, but the published
    # program never receives them and runs with 1 s for all three.
    tau_v: float = 1.0  # s
    tau_c_exc: float = 1.0  # s
    tau_c_inh: float = 1.0  # s


@dataclass(frozen=True)
class Wiring:
    """Connections. Probabilities per pair; no cell connects to itself."""

    p_recurrent: float = 0.1  # 0.8 in the reduced network, which keeps the in-degree
    p_input: float = 0.05
    w_input: float = 0.075
    w_ee: float = 0.1  # initial weights
    w_ei: float = 0.1
    w_ie: float = 1.0
    w_ii: float = 1.0
    w_max: float = 20.0  # upper bound of plastic weights; the lower is 0
    eta: float = 0.01  # poly: common learning rate
    tau_fast: float = 0.010  # s, traces of the mlp rule
    tau_slow: float = 0.100  # s
    hidden_seed: int = 0  # mlp: draw of the two fixed layers, used when there is no file of them


@dataclass(frozen=True)
class Protocol:
    """One simulation: how long, what is recorded, and when it stops early."""

    settle: float = 60.0  # s, before the recording
    record: float = 10.0  # s
    n_recorded_e: int = 1000  # the first cells of each population
    n_recorded_i: int = 500
    rate_max: float = 100.0  # Hz, running rate of E at which the run counts as blown up (mlp: 50)
    tau_rate: float = 1.0  # s, of the running rate
    stop: Literal["early", "reference"] = "early"  # reference: stop on a blow-up only, as published
    silent_after: float = 5.0  # s without an E spike (early)
    saturated_share: float = 0.5  # of the sampled weights at a bound ... (early)
    saturated_for: float = 3.0  # s in a row
    wall_limit: float = 3600.0  # CPU s


def recorded_cells(network: Network, protocol: Protocol) -> tuple[int, int]:
    """How many excitatory and inhibitory cells are recorded."""
    return min(protocol.n_recorded_e, network.n_e), min(protocol.n_recorded_i, network.n_i)


@dataclass(frozen=True)
class Simulation:
    """Everything that `fsbi.simulate` sets at run time; a binary serves all values."""

    cells: Cells = Cells()
    wiring: Wiring = Wiring()
    protocol: Protocol = Protocol()


DT = 1e-4  # s
DELAY_STEPS = 8  # 0.8 ms, every connection
RENEWAL = 64  # steps between two renewals of the level of a trace (a matter of computation: model.py)
N_SAMPLES = 100  # synapses of each plastic type whose weight is recorded, equally spaced in presynaptic-major order
SAMPLE_EVERY = 0.1  # s
N_HIDDEN = (50, 4)  # units of the two fixed layers of the mlp rule
MLP_SCALE = (2.0, 2.0, 1.0, 15.0, 15.0, 15.0)  # of x_pre, x_post, w, <V>, C_exc, C_inh before the first layer
OUTCOMES = ("finished", "blow_up", "silent", "saturated", "nan", "wall_limit")  # in the order of the binary's codes
FINISHED = OUTCOMES[0]
METRICS = (  # what a simulation is reduced to, in the order of the released files
    "rate",  # Hz, excitatory cells
    "cv_isi",  # irregularity, mean over cells
    "kl_isi",  # distance of the pooled intervals from those of a Poisson process
    "spatial_Fano",  # over cells, mean over bins
    "temporal_Fano",  # over bins, mean over cells
    "auto_cov",  # mean |autocorrelation| within half a second
    "fft",  # summed amplitude spectrum of the population rate
    "w_blow",  # share of weight samples that stand at a bound
    "std_rate_temporal",  # of the population rate, spikes per cell and 1 ms
    "std_rate_spatial",  # Hz, over cells
    "std_cv",
    "w_creep",  # relative drift of the mean weight during the recording
    "rate_i",  # Hz, inhibitory cells
    "weef",  # final mean weight of each type of synapse
    "weif",
    "wief",
    "wiif",
)


def metrics_of(family: str) -> tuple[str, ...]:
    """The metrics that a network of this family has: final mean weights only of the types that are plastic."""
    absent = {f"w{kind.lower()}f" for kind in TYPES if kind not in PLASTIC[family]}
    return tuple(name for name in METRICS if name not in absent)
