"""What the binary gets on its command line: a rule, a seed and the constants, as values of named shared variables."""

from collections.abc import Mapping
from math import exp, log

from respike.fsbi.params import (
    DT,
    MLP_READOUT,
    PLASTIC,
    POLY_TERMS,
    SAMPLE_EVERY,
    TYPES,
    Cells,
    Network,
    Protocol,
    Simulation,
    Wiring,
    recorded_cells,
)

NEVER = 2_000_000_000  # steps: longer than any run


def keep(tau: float) -> float:
    """Factor by which an exponential with time constant `tau` shrinks in one step."""
    return exp(-DT / tau)


def arguments(network: Network, simulation: Simulation, theta: Mapping[str, float], seed: int) -> dict[str, float | int]:
    """Value of every variable that a binary of `network` reads from its command line."""
    cells, wiring, protocol = simulation.cells, simulation.wiring, simulation.protocol
    values = {f"{name}.{key}": value for name in "EI" for key, value in cell_values(network.family, cells).items()}
    values |= trace_values(network.family, wiring, theta)
    for kind in TYPES:
        values |= {f"{kind}.{key}": value for key, value in rule_values(network.family, kind, wiring, theta).items()}
    for name in "EI":
        values |= {f"inputs_{name}.p": wiring.p_input, f"inputs_{name}.w_input": wiring.w_input}
    values["inputs.gap"] = 1 / log(1 - theta["rate_in"] * DT)
    return values | {f"control.{key}": value for key, value in control_values(network, wiring, protocol, seed).items()}


def cell_values(family: str, cells: Cells) -> dict[str, float]:
    """Constants of the neurons; `into` of a low-pass is exact for the NMDA of poly, dt/tau elsewhere, as published."""
    values = {
        **{name: vars(cells)[name] for name in ("v_rest", "v_exc", "v_inh", "v_threshold", "threshold_jump")},
        "ampa": cells.ampa_share / (1 + cells.ampa_share),  # share of the excitatory current
        "nmda": 1 / (1 + cells.ampa_share),
        "keep_ampa": keep(cells.tau_ampa),
        "keep_gaba": keep(cells.tau_gaba),
        "keep_h": keep(cells.tau_threshold),
        "into_nmda": 1 - keep(cells.tau_nmda) if family == "poly" else DT / cells.tau_nmda,
        "into_v": DT / cells.tau_membrane,
    }
    if family == "poly":
        return values
    return values | {
        "keep_adapt": keep(cells.tau_adapt),
        "adapt_jump": cells.adapt_jump,
        "into_v_trace": DT / cells.tau_v,
        "into_c_exc": DT / cells.tau_c_exc,
        "into_c_inh": DT / cells.tau_c_inh,
    }


def trace_values(family: str, wiring: Wiring, theta: Mapping[str, float]) -> dict[str, float]:
    """Decay of every trace."""
    values = {}
    for kind in PLASTIC[family]:
        for side, population in zip(("pre", "post"), kind, strict=True):
            taus = {"fast": wiring.tau_fast, "slow": wiring.tau_slow}
            if family == "poly":
                taus = {kind: theta[f"{kind}_tau_{side}"]}
            values |= {f"{population}.keep_x_{side}_{name}": keep(tau) for name, tau in taus.items()}
    return values


def rule_values(family: str, kind: str, wiring: Wiring, theta: Mapping[str, float]) -> dict[str, float]:
    """Wiring of one type of connection and its rule, already multiplied by the learning rate."""
    values = {"p": wiring.p_recurrent, "w_start": getattr(wiring, f"w_{kind.lower()}")}
    if kind not in PLASTIC[family]:
        return values
    values["w_max"] = wiring.w_max
    if family == "poly":
        return values | {term: wiring.eta * theta[f"{kind}_{term}"] for term in POLY_TERMS[2:]}
    eta, terms = theta[f"eta_{kind}"], [f"{side}_{n}" for side in ("pre", "post") for n in MLP_READOUT]
    return values | {term: eta * theta[f"{kind}_{term}"] for term in terms}


def control_values(network: Network, wiring: Wiring, protocol: Protocol, seed: int) -> dict[str, float | int]:
    """Length of the run, what is recorded, when it stops, and its seed."""
    early = protocol.stop == "early"
    n_recorded_e, n_recorded_i = recorded_cells(network, protocol)
    return {
        "keep_rate": keep(protocol.tau_rate),
        "per_spike": 1 / (protocol.tau_rate * network.n_e),  # what a spike adds to the running rate of E
        "rate_max": protocol.rate_max,
        "w_max": wiring.w_max,
        "end_step": round((protocol.settle + protocol.record) / DT),
        "quiet_max": round(protocol.silent_after / DT) if early else NEVER,
        "full_share": protocol.saturated_share,  # of sampled weights at a bound ...
        "full_samples": round(protocol.saturated_for / SAMPLE_EVERY) if early else NEVER,  # ... in so many samples in a row
        "cpu_limit": protocol.wall_limit,
        "record_step": round(protocol.settle / DT),
        "n_recorded_e": n_recorded_e,
        "n_recorded_i": n_recorded_i,
        "seed_low": seed & 0x7FFFFFFF,
        "seed_high": (seed >> 31) & 0xFFFF,
        "keep_weights": 0,  # whether all weights are written at the end
    }
