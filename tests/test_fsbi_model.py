"""The equations of fsbi, run by Brian2 in numpy, against one synapse computed by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

import brian2
import numpy as np
import pytest

from respike.fsbi import mlp
from respike.fsbi.params import DELAY_STEPS, DT, MLP_READOUT, PLASTIC, RENEWAL, THETA, Cells, Wiring
from respike.fsbi.simulator import command, model

STEPS = 600
W_START = 14.0  # so that one synapse alone can drive its cell
ARRIVALS = tuple(range(3, STEPS, 23))  # steps in which the presynaptic cell fires
TERMS = {"tau_pre": 0.03, "tau_post": 0.07, "alpha": -0.3, "beta": 0.8, "gamma": -1.1, "kappa": 0.6}  # poly
ETA = 0.4  # mlp


@contextmanager
def in_numpy(layers: np.ndarray | None = None) -> Iterator[None]:
    """Brian2 without a compiler; `layers` are the fixed layers of the mlp rule."""
    target = brian2.prefs["codegen.target"]
    brian2.prefs["codegen.target"] = "numpy"

    def change(x_pre, x_post, w, v, c_exc, c_inh, *readout):
        inputs = np.stack(np.broadcast_arrays(x_pre, x_post, w, v, c_exc, c_inh), -1)
        return mlp.change(inputs, layers, np.array([float(r) for r in readout[:4]]), float(readout[4]))

    def clip(x, low, high):
        return np.clip(x, low, high)

    model.mlp.implementations.add_numpy_implementation(change, discard_units=True)
    model.bounded.implementations.add_numpy_implementation(clip, discard_units=True)
    try:
        yield
    finally:
        brian2.prefs["codegen.target"] = target


def given(raster: np.ndarray, equations: str = "") -> brian2.NeuronGroup:
    """Cells that fire where `raster` (step, cell) says so, with further variables."""
    emits = brian2.TimedArray(raster, dt=DT * brian2.second)
    return brian2.NeuronGroup(raster.shape[1], equations, threshold="emits(t, i) > 0.5", namespace={"emits": emits})


def set_all(group: brian2.Group, values: dict[str, float]) -> None:
    """Set those shared variables of `values` that `group` has."""
    for name in values.keys() & group.variables.keys():
        setattr(group, name, values[name])


def traces_of(family: str, kind: str) -> tuple[list[str], list[str]]:
    """Traces of the presynaptic and of the postsynaptic cell that connection `kind` reads."""
    both = model.population_traces(family, kind[0])[0], model.population_traces(family, kind[1])[1]
    return tuple([name for name in names if family == "mlp" or name.endswith(kind)] for names in both)


def theta_of(family: str) -> dict[str, float]:
    """A rule: the same for all types of connection."""
    if family == "poly":
        return {f"{kind}_{term}": value for kind in PLASTIC["poly"] for term, value in TERMS.items()}
    values = np.random.default_rng(1).uniform(-1, 1, len(THETA["mlp"]))
    return {**dict(zip(THETA["mlp"], values.tolist(), strict=True)), "eta_EE": ETA, "eta_IE": ETA}


def simulated(family: str, layers: np.ndarray) -> dict[str, np.ndarray]:
    """Weight and membrane at the end of each step, and the steps in which the postsynaptic cell fires: by Brian2."""
    with in_numpy(layers):
        brian2.start_scope()
        brian2.defaultclock.dt = DT * brian2.second
        pre, post = traces_of(family, "EE")
        raster = np.zeros((STEPS, 1))
        raster[list(ARRIVALS)] = 1
        source = given(raster, model.trace_equations(pre))
        model.let_fade(source, pre)
        target = model.cells(family, 1, [], post)
        synapse = model.connection(source, target, family, "EE", 0)
        synapse.connect()
        arrivals = model.arrival_traces(source, pre, 4)
        theta, constants = theta_of(family), command.cell_values(family, Cells())
        keeps = {name.split(".")[1]: value for name, value in command.trace_values(family, Wiring(), theta).items()}
        set_all(target, {**constants, **keeps, "v": constants["v_rest"], "v_trace": constants["v_rest"]})
        set_all(source, keeps)
        set_all(synapse, {**command.rule_values(family, "EE", Wiring(), theta), "w": W_START})
        cell = brian2.StateMonitor(target, ["v", "g_ampa"], record=True, when="end")
        weight = brian2.StateMonitor(synapse, "w", record=True, when="end")
        spikes = brian2.SpikeMonitor(target)
        brian2.Network(source, target, synapse, arrivals, cell, weight, spikes).run(STEPS * DT * brian2.second)
        fired = np.round(np.asarray(spikes.t) / DT).astype(int)
        return {"w": weight.w[0], "v": cell.v[0], "g_ampa": cell.g_ampa[0], "fired": fired}


def cell_by_hand(family: str, s: dict[str, float]) -> bool:
    """One step of the cell, as in sections 3.2 and 3.3 of the published program's equations; whether it fires."""
    keep = {name: np.exp(-1e-4 / tau) for name, tau in (("ampa", 5e-3), ("gaba", 10e-3), ("h", 5e-3), ("adapt", 0.1))}
    m = 1 - np.exp(-1e-4 / 0.1) if family == "poly" else 1e-4 / 0.1

    def currents() -> tuple[float, float]:
        excitation = -(0.3 / 1.3 * s["ampa"] + 1 / 1.3 * s["nmda"]) * s["v"]
        return excitation, (s["gaba"] + s["adapt"]) * (s["v"] + 0.080)

    excitation, inhibition = currents()
    if family == "mlp":
        for name in ("ampa", "gaba", "adapt"):
            s[name] *= keep[name]
    s["nmda"] += m * s["ampa"]
    s["nmda"] -= m * s["nmda"]
    if family == "poly":
        for name in ("ampa", "gaba"):
            s[name] *= keep[name]
    else:
        excitation, inhibition = currents()
        for name, value in (("c_exc", excitation), ("c_inh", inhibition), ("v_slow", s["v"])):
            s[name] += 1e-4 * value
            s[name] -= 1e-4 * s[name]
    s["h"] *= keep["h"]
    s["v"] += 1e-4 / 20e-3 * (excitation - inhibition - (s["v"] + 0.070))
    s["v"] = min(max(s["v"], -0.080), 0.0)
    if s["v"] <= -0.050 + s["h"]:
        return False
    s["v"], s["h"] = -0.070, 0.100
    s["adapt"] += 0.1 if family == "mlp" else 0.0
    return True


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def change_by_hand(family: str, side: str, s: dict[str, float], layers: np.ndarray) -> float:
    """What one spike of the `side` cell adds to the weight."""
    if family == "poly":
        alone, pair, other = {"pre": ("alpha", "kappa", "post"), "post": ("beta", "gamma", "pre")}[side]
        return 0.01 * (TERMS[alone] + TERMS[pair] * s[f"x_{other}"])
    x_pre, x_post = (s["x_pre_slow"], s["x_post"]) if side == "pre" else (s["x_pre"], s["x_post_slow"])
    u = [2 * x_pre, 2 * x_post, s["w"], 15 * s["v_slow"], 15 * s["c_exc"], 15 * s["c_inh"]]
    first = [sigmoid(sum(layers[6 * unit + k] * u[k] for k in range(6))) for unit in range(50)]
    second = [sigmoid(sum(layers[300 + 50 * unit + k] * first[k] for k in range(50))) for unit in range(4)]
    theta = theta_of("mlp")
    *readout, bias = (theta[f"EE_{side}_{name}"] for name in MLP_READOUT)
    return ETA * (sum(r * value for r, value in zip(readout, second, strict=True)) + bias)


def by_hand(family: str, layers: np.ndarray) -> dict[str, np.ndarray]:
    """The same in a loop: cell; arrival (deliver, update, clip); postsynaptic spike (update, clip); traces (count, decay)."""
    taus = {"x_pre": TERMS["tau_pre"], "x_post": TERMS["tau_post"]} if family == "poly" else {"x_pre": 0.01, "x_post": 0.01}
    taus |= {"x_pre_slow": 0.1, "x_post_slow": 0.1}
    s = {**dict.fromkeys(("ampa", "nmda", "gaba", "adapt", "h", "c_exc", "c_inh", *taus), 0.0), "v": -0.070, "w": W_START}
    s["v_slow"] = -0.070
    kept, fired = {"w": [], "v": [], "g_ampa": []}, []
    for step in range(STEPS):
        fires, arrives = cell_by_hand(family, s), step - 8 in ARRIVALS
        if arrives:
            s["ampa"] += s["w"]
            s["w"] = min(max(s["w"] + change_by_hand(family, "pre", s, layers), 0.0), 20.0)
        if fires:
            s["w"] = min(max(s["w"] + change_by_hand(family, "post", s, layers), 0.0), 20.0)
            fired.append(step)
        for name, tau in taus.items():
            s[name] = (s[name] + (arrives if "pre" in name else fires)) * np.exp(-1e-4 / tau)
        for name, key in (("w", "w"), ("v", "v"), ("g_ampa", "ampa")):
            kept[name].append(s[key])
    return {**{name: np.array(values) for name, values in kept.items()}, "fired": np.array(fired)}


@pytest.mark.parametrize("family", ["poly", "mlp"])
def test_one_synapse_by_hand(family):
    layers = mlp.fixed_layers(Wiring())
    ours, exact = simulated(family, layers), by_hand(family, layers)
    assert len(exact["fired"]) > 5
    assert np.abs(np.diff(exact["w"])).max() > 1e-3
    assert DELAY_STEPS == 8
    assert STEPS > 2 * RENEWAL
    np.testing.assert_array_equal(ours["fired"], exact["fired"])
    for name in ("w", "v", "g_ampa"):
        np.testing.assert_allclose(ours[name], exact[name], rtol=1e-9, atol=1e-12, err_msg=name)
