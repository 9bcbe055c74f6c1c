"""The simulator of fsbi against cases of the published program: exact traces, and statistics of whole simulations."""

from pathlib import Path
from types import SimpleNamespace

import brian2
import numpy as np
import pandas as pd
import pytest

from respike.fsbi.params import DELAY_STEPS, DT, PLASTIC, RENEWAL, THETA, Cells, Network, Protocol, Simulation, Wiring
from respike.fsbi.simulator import build, command, model
from respike.fsbi.simulator.binary import Simulator
from respike.fsbi.summary import summarise
from tests.conftest import reference_cases
from tests.test_fsbi_model import given, in_numpy, set_all, traces_of

STEPS = 6000
ERROR = {"mem": 1e-6, "w": {"poly": 2e-5, "mlp": 2e-6}}  # elsewhere 5e-5
VARIABLES = {"mem": "v", "g_ampa": "g_ampa", "g_nmda": "g_nmda", "g_gaba": "g_gaba", "thr": "h"}
ADAPTIVE = {"g_adapt": "g_adapt", "vtrace": "v_trace", "cexc": "c_exc", "cinh": "c_inh"}


def trace_case(path: Path) -> SimpleNamespace:
    """A trace case of either family, with the same names for both."""
    case = dict(np.load(path, allow_pickle=False))
    family = "mlp" if "Wh1" in case else "poly"
    if family == "poly":
        names = dict(zip(case["param_names"].tolist(), case["params"].tolist(), strict=True))
    else:
        names = {name: case[name] for name in ("w0", "wmax", "w_driveE", "w_driveI", "excitatory", "eta")}
    kind = "EE" if names["excitatory"] else "IE"
    return SimpleNamespace(family=family, kind=kind, names=names, arrays=case)


def theta_of(case: SimpleNamespace) -> dict[str, float]:
    """The rule of the case as a row of a table of rules; the other types of connection get the same."""
    if case.family == "poly":
        terms = ("tau_pre", "tau_post", "alpha", "beta", "gamma", "kappa")
        return {f"{kind}_{term}": float(case.names[term]) for kind in PLASTIC["poly"] for term in terms}
    readouts = {"pre": case.arrays["Wpre"], "post": case.arrays["Wpost"]}
    names = ("0", "1", "2", "3", "bias")
    values = {f"{case.kind}_{s}_{n}": float(w) for s in readouts for n, w in zip(names, readouts[s], strict=True)}
    return {f"eta_{case.kind}": float(case.names["eta"]), **values}


def wiring_of(case: SimpleNamespace) -> Wiring:
    """Constants of the case."""
    fast, slow = (0.01, 0.1) if case.family == "poly" else case.arrays["taus"][:2]
    return Wiring(eta=float(case.names["eta"]), w_max=float(case.names["wmax"]), tau_fast=float(fast), tau_slow=float(slow))


def raster(spikes: np.ndarray, n: int) -> np.ndarray:
    """1 where unit i emits a spike in a step, else 0."""
    emitted = np.zeros((STEPS, n))
    emitted[spikes[:, 0], spikes[:, 1]] = 1
    return emitted


def drive(
    source: brian2.NeuronGroup, target: brian2.NeuronGroup, pairs: np.ndarray, conductance: str, weight: float, order: int
):
    """Static connection of the listed pairs."""
    delay = DELAY_STEPS * DT * brian2.second
    synapses = brian2.Synapses(source, target, on_pre=f"{conductance}_post += {float(weight)!r}", delay=delay)
    synapses.connect(i=pairs[:, 0], j=pairs[:, 1])
    synapses.pre.order = order
    return synapses


def replay(case: SimpleNamespace) -> SimpleNamespace:
    """The small network of the case, with the equations of the simulator, in double precision."""
    brian2.start_scope()
    brian2.defaultclock.dt = DT * brian2.second
    family, kind, arrays = case.family, case.kind, case.arrays
    wiring, theta = wiring_of(case), theta_of(case)
    pre_traces, post_traces = traces_of(family, kind)
    source = given(raster(arrays["spikes_pre"], 8), model.trace_equations(pre_traces))
    model.let_fade(source, pre_traces)
    target = model.cells(family, 4, [], post_traces, name="target")
    plastic = model.connection(source, target, family, kind, 4)
    plastic.connect()
    arrivals = model.arrival_traces(source, pre_traces, 8)
    drives = [
        drive(given(raster(arrays["spikes_driveE"], 20)), target, arrays["adj_driveE"], "g_ampa", case.names["w_driveE"], 0),
        drive(given(raster(arrays["spikes_driveI"], 10)), target, arrays["adj_driveI"], "g_gaba", case.names["w_driveI"], 1),
    ]
    taus = {
        f"tau_{n}": float(arrays[old])
        for n, old in (("v", "tau_vtrace"), ("c_exc", "tau_cexc"), ("c_inh", "tau_cinh"))
        if old in arrays
    }
    constants = command.cell_values(family, Cells(**taus))
    keeps = {name.split(".")[1]: value for name, value in command.trace_values(family, wiring, theta).items()}
    set_all(target, {**constants, **keeps, "v": constants["v_rest"], "v_trace": constants["v_rest"]})
    set_all(source, keeps)
    set_all(plastic, {**command.rule_values(family, kind, wiring, theta), "w": case.names["w0"]})
    names = [*VARIABLES.values(), *(ADAPTIVE.values() if family == "mlp" else ())]
    recorded = brian2.StateMonitor(target, [*names, *post_traces], record=True, when="end")
    before = brian2.StateMonitor(source, pre_traces, record=True, when="end")
    weights = brian2.StateMonitor(plastic, "w", record=True, when="end")
    spikes = brian2.SpikeMonitor(target)
    parts = [source, target, plastic, arrivals, *drives, *(d.source for d in drives), recorded, before, weights, spikes]
    brian2.Network(*parts).run(STEPS * DT * brian2.second)
    # The decay stands at the head of the next step; the case stores traces after it.
    phase = np.arange(STEPS)[:, np.newaxis] % RENEWAL
    decayed = {name: getattr(recorded, name).T * keeps[f"keep_{name}"] ** (phase + 1) for name in post_traces}
    decayed |= {name: getattr(before, name).T * keeps[f"keep_{name}"] ** (phase + 1) for name in pre_traces}
    return SimpleNamespace(
        spikes=np.column_stack([np.round(np.asarray(spikes.t) / DT).astype(int), np.asarray(spikes.i)]),
        weights=weights.w.T.reshape(STEPS, 8, 4),
        states={name: getattr(recorded, name).T for name in names},
        traces=decayed,
    )


@pytest.mark.parametrize("path", reference_cases("fsbi", "trace_*.npz"))
def test_traces(path):
    case = trace_case(path)
    layers = None
    if case.family == "mlp":
        layers = np.concatenate([case.arrays["Wh1"].ravel(), case.arrays["Wh2"].ravel()])
    with in_numpy(layers):
        ours = replay(case)
    theirs = case.arrays["spikes_post"]
    assert sorted(map(tuple, ours.spikes)) == sorted(map(tuple, theirs))
    for stored, name in (VARIABLES | (ADAPTIVE if case.family == "mlp" else {})).items():
        np.testing.assert_allclose(
            ours.states[name], case.arrays[stored], rtol=0, atol=ERROR.get(stored, 5e-5), err_msg=stored
        )
    np.testing.assert_allclose(ours.weights, case.arrays["w"], rtol=0, atol=ERROR["w"][case.family])
    stored_as = {f"x_{side}_{case.kind}": f"x_{side}" for side in ("pre", "post")}
    stored_as |= {f"x_{side}_{speed}": f"x_{side}{n}" for side in ("pre", "post") for n, speed in ((1, "fast"), (2, "slow"))}
    for name, values in ours.traces.items():
        np.testing.assert_allclose(values, case.arrays[stored_as[name]], rtol=1e-4, atol=5e-5, err_msg=name)


@pytest.fixture(scope="session")
def binary(tmp_path_factory):
    """Compiles a network once in a session."""
    folder = tmp_path_factory.mktemp("build")

    def of(network: Network) -> Path:
        out = folder / f"{network.family}_{network.n_e}.json"
        if not out.is_file():
            build.build(network=network, folder=folder, out=out)
        return out

    return of


def hidden_file(path: Path, folder: Path) -> Path:
    """The released weights of the fixed layers, which the trace cases hold, as a file of the user."""
    trace = np.load(next(path.parent.glob("trace_mlp*.npz")), allow_pickle=False)
    file = folder / "hidden.txt"
    np.savetxt(file, np.concatenate([trace["Wh1"].ravel(), trace["Wh2"].ravel()]))
    return file


def simulator_of(case: dict, path: Path, binary, folder: Path) -> Simulator:
    """The binary and the settings of a case with whole simulations."""
    family = "poly" if case["theta"].shape[1] == len(THETA["poly"]) else "mlp"
    full = "full" in path.stem
    network = Network(family=family) if full else Network(family=family, n_e=512, n_i=128)
    settle, record = (
        float(case[name]) if name in case else default for name, default in (("lns", 60 if full else 10), ("ls", 10))
    )
    wiring = Wiring(p_recurrent=0.1 if full else 0.8)
    protocol = Protocol(settle=settle, record=record, stop="reference", rate_max=100.0 if family == "poly" else 50.0)
    hidden = hidden_file(path, folder) if family == "mlp" else None
    return Simulator(binary(network), Simulation(wiring=wiring, protocol=protocol), hidden)


def repeated(simulator: Simulator, theta: np.ndarray, seeds: range) -> tuple[pd.DataFrame, list[float]]:
    """Metrics of one rule for several seeds, and the stop times (-1: finished)."""
    rule = dict(zip(THETA[simulator.network.family], theta, strict=True))
    runs = [simulator.record({**rule, "seed": seed})[0] for seed in seeds]
    return pd.DataFrame([summarise(run) for run in runs]), [run.blow_up for run in runs]


def agree(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether two samples have the same mean: within 4 pooled standard errors and 5 %."""
    ours, theirs = (x[np.isfinite(x)] for x in (ours, theirs))
    if not len(theirs) or not len(ours):
        return len(theirs) == len(ours)
    squares = ((ours - ours.mean()) ** 2).sum() + ((theirs - theirs.mean()) ** 2).sum()
    error = np.sqrt(squares / max(len(ours) + len(theirs) - 2, 1) * (1 / len(ours) + 1 / len(theirs)))
    return abs(ours.mean() - theirs.mean()) <= 4 * error + 0.05 * abs(theirs.mean())


@pytest.mark.slow
@pytest.mark.parametrize("path", reference_cases("fsbi", "sim_*.npz"))
def test_whole_simulations_have_the_published_statistics(path, binary, tmp_path):
    case = dict(np.load(path, allow_pickle=False))
    simulator = simulator_of(case, path, binary, tmp_path)
    n_seeds = 3 if "full" in path.stem else 20
    for name in dict.fromkeys(case["names"].tolist()):
        chosen = case["names"] == name
        metrics, stops = repeated(simulator, case["theta"][chosen][0], range(1000, 1000 + n_seeds))
        stopped = case["outcome"][chosen] != -1
        assert stopped.all() == (np.array(stops) != -1).all(), f"{name}: {stops}, published {case['outcome'][chosen]}"
        if stopped.all():
            assert agree(np.array(stops), case["outcome"][chosen]), f"{name}: stopped at {stops}"
            continue
        for metric, theirs in zip(case["metric_names"].tolist(), case["metrics"][chosen].T, strict=True):
            ours = metrics[metric].to_numpy()
            assert agree(ours, theirs), f"{name}, {metric}: {ours.mean()} +- {ours.std()}, published {theirs}"


@pytest.mark.slow
@pytest.mark.parametrize("path", reference_cases("fsbi", "prior_survey_*.npz"))
def test_prior_draws_end_as_published(path, binary, tmp_path):
    case = dict(np.load(path, allow_pickle=False))
    simulator = simulator_of(case, path, binary, tmp_path)
    rows, stops = [], []
    for theta in case["theta"]:
        metrics, stop = repeated(simulator, theta, range(1, 2))
        rows.append(metrics)
        stops += stop
    table, blown = pd.concat(rows), np.array(stops) != -1
    assert np.mean(blown == (case["outcome"] != -1)) >= 0.95
    assert 0.26 <= blown.mean() <= 0.42
    assert 0.10 <= np.mean(table["rate"].between(1, 50) & table["rate_i"].between(1, 50)) <= 0.24
