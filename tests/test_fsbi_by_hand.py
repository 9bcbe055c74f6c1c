"""fsbi: constants, the command line of a binary, the assembled circuit, and what an inference is told, against values here."""

import math
import platform
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from respike.core import calibration, seeds
from respike.fsbi import mean_field, mlp, params, plan, protocol, rules, summary, surrogate
from respike.fsbi.inference import classifier, comparison, flow, posterior, proposals, targets, whitening
from respike.fsbi.params import THETA, Cells, Network, Protocol, Simulation, Wiring
from respike.fsbi.recording import Recording, spikes
from respike.fsbi.simulator import binary, build, circuit, command, model
from respike.fsbi.simulator.brian import brian2
from respike.fsbi.stages import metrics
from tests.constants import check


def test_constants_of_the_published_task_files():
    """Prior boxes, neurons, wiring, protocol and recording; of the low-pass variables what the published program runs with."""
    check(
        params, TAU_BOX=(0.01, 0.1), TERM_BOX=(-2, 2), ETA_BOX=(0, 1), READOUT_BOX=(-1, 1), RATE_IN_BOX=(5, 15), DT=1e-4,
        DELAY_STEPS=8, N_SAMPLES=100, SAMPLE_EVERY=0.1, N_HIDDEN=(50, 4), MLP_SCALE=(2, 2, 1, 15, 15, 15), RENEWAL=64,
        FINISHED="finished", TYPES=("EE", "EI", "IE", "II"), PLASTIC={"poly": ("EE", "EI", "IE", "II"), "mlp": ("EE", "IE")},
    )  # fmt: skip
    assert vars(Network()) == {
        "family": "poly", "n_e": 4096, "n_i": 1024, "n_input": 5000, "templates": "fast", "cpu": "native",
    }  # fmt: skip
    assert vars(Cells()) == {
        "v_rest": -0.07, "v_exc": 0, "v_inh": -0.08, "v_threshold": -0.05, "threshold_jump": 0.1, "tau_threshold": 0.005,
        "tau_membrane": 0.02, "tau_ampa": 0.005, "tau_gaba": 0.01, "tau_nmda": 0.1, "ampa_share": 0.3, "tau_adapt": 0.1,
        "adapt_jump": 0.1, "tau_v": 1, "tau_c_exc": 1, "tau_c_inh": 1,
    }  # fmt: skip
    assert vars(Wiring()) == {
        "p_recurrent": 0.1, "p_input": 0.05, "w_input": 0.075, "w_ee": 0.1, "w_ei": 0.1, "w_ie": 1, "w_ii": 1, "w_max": 20,
        "eta": 0.01, "tau_fast": 0.01, "tau_slow": 0.1, "hidden_seed": 0,
    }  # fmt: skip
    assert vars(Protocol()) == {
        "settle": 60, "record": 10, "n_recorded_e": 1000, "n_recorded_i": 500, "rate_max": 100, "tau_rate": 1, "stop": "early",
        "silent_after": 5, "saturated_share": 0.5, "saturated_for": 3, "wall_limit": 3600,
    }  # fmt: skip
    poly = [
        f"{kind}_{term}"
        for kind in ("EE", "EI", "IE", "II")
        for term in ("tau_pre", "tau_post", "alpha", "beta", "gamma", "kappa")
    ]
    sides = [f"{kind}_{side}_{n}" for kind in ("EE", "IE") for side in ("pre", "post") for n in (0, 1, 2, 3, "bias")]
    assert {"poly": (*poly, "rate_in"), "mlp": ("eta_EE", "eta_IE", *sides, "rate_in")} == THETA
    assert params.boxes("poly") == [(0.01, 0.1), (0.01, 0.1), (-2, 2), (-2, 2), (-2, 2), (-2, 2)] * 4
    assert params.boxes("mlp") == [(0, 1)] * 2 + [(-1, 1)] * 20
    names = (
        "rate cv_isi kl_isi spatial_Fano temporal_Fano auto_cov fft w_blow std_rate_temporal std_rate_spatial std_cv w_creep"
    )
    assert (*names.split(), "rate_i", "weef", "weif", "wief", "wiif") == params.METRICS
    assert params.OUTCOMES == ("finished", "blow_up", "silent", "saturated", "nan", "wall_limit")
    check(summary, FINE=0.001, MIDDLE=0.01, COARSE=0.1, HALF_WINDOW=0.5, ISI_EDGES=100)
    quiet = {"v": (-0.07, -0.05), "c_inh": (0, 0.3)}
    assert {
        "EE": {"w": (0.01, 0.1), "c_exc": (0, 0.3), "x_pre": (0, 5), "x_post": (0, 5), **quiet},
        "IE": {"w": (0, 10), "c_exc": (0, 1), "x_pre": (0, 10), "x_post": (0, 1), **quiet},
    } == protocol.ACTIVITY
    check(metrics, TUTORIAL_RATE=(5, 10), TUTORIAL_MARGIN=(3, 15))


def test_constants_of_the_inference_and_of_the_surrogate():
    """What the page says of committees, proposals and the surrogate."""
    tenth = dict.fromkeys(("rate", "rate_i", "std_rate_spatial"), 0.1) | dict.fromkeys(("fft", "wief", "wiif"), 0.05)
    thousandth = dict.fromkeys(("w_blow", "w_creep", "std_rate_temporal"), 0.001)
    assert {**tenth, **thousandth, "auto_cov": 0.005, "weef": 0.01, "weif": 0.01} == targets.FLOOR
    check(classifier, HIDDEN=16, PENALTY={"good": 1, "metrics": 10}, COMMITTEE=5, QUIET=2, LOWEST=-200)
    check(comparison, EXCLUDED=1e-4, SUPPORT=5000, CONDITIONS=5)
    check(posterior, AIMS=5, FEWEST=10)
    check(proposals, BLOCK=64)
    check(surrogate, CENTRE=0.8, SLOPE=0.8, NOISE=0.1, RATE_MAX=100)
    check(proposals.Proposal((), {}), sharpness=1, among=1, patience=20000)
    assert vars(flow.FlowSettings()) == {
        "hidden": 50, "transforms": 5, "bins": 10, "batch": 1000, "learning_rate": 5e-4, "validation": 0.1, "patience": 20,
        "max_epochs": 2000, "log_metrics": False, "bounded": False, "members": 10,
    }  # fmt: skip
    check(plan, CPU_SECONDS={"poly": 0.4, "mlp": 3}, FULL=4096, DAY=1440)
    check(binary, GRACE=60)
    check(calibration, NEAREST=200)
    irregular = ("cv_isi", "spatial_Fano", "temporal_Fano", "auto_cov", "fft", "std_rate_temporal", "std_rate_spatial")
    assert targets.GROUPS["irregular"] == irregular
    assert set(targets.GROUPS["plausible"]) == {
        *irregular,
        "rate",
        "rate_i",
        "w_blow",
        "w_creep",
        "weef",
        "weif",
        "wief",
        "wiif",
    }


@pytest.mark.parametrize("family", ["poly", "mlp"])
def test_everything_that_a_binary_is_told(family):
    """Decays of a step of 0.1 ms, shares of the currents, learning rates in the terms, and times in steps."""
    theta = {name: 0.02 + 0.001 * number for number, name in enumerate(THETA[family])} | {"rate_in": 8.0}
    found = command.arguments(Network(family=family), Simulation(), theta, 7 + 2**31 * 5)
    cells = {
        "v_rest": -0.07, "v_exc": 0, "v_inh": -0.08, "v_threshold": -0.05, "threshold_jump": 0.1, "ampa": 0.3 / 1.3,
        "nmda": 1 / 1.3, "keep_ampa": math.exp(-0.1 / 5), "keep_gaba": math.exp(-0.1 / 10), "keep_h": math.exp(-0.1 / 5),
        "into_v": 0.1 / 20, "into_nmda": 1 - math.exp(-0.1 / 100),
    }  # fmt: skip
    if family == "mlp":
        cells |= {"into_nmda": 0.001, "keep_adapt": math.exp(-0.001), "adapt_jump": 0.1}
        cells |= dict.fromkeys(("into_v_trace", "into_c_exc", "into_c_inh"), 1e-4)
    expected = {f"{name}.{key}": value for name in "EI" for key, value in cells.items()}
    for kind in ("EE", "EI", "IE", "II"):
        expected |= {f"{kind}.p": 0.1, f"{kind}.w_start": 0.1 if kind[0] == "E" else 1}
        if family == "poly":
            for side, cell in (("pre", kind[0]), ("post", kind[1])):
                expected[f"{cell}.keep_x_{side}_{kind}"] = math.exp(-1e-4 / theta[f"{kind}_tau_{side}"])
            expected |= {f"{kind}.{term}": 0.01 * theta[f"{kind}_{term}"] for term in ("alpha", "beta", "gamma", "kappa")}
        elif kind[1] == "E":
            for side, cell in (("pre", kind[0]), ("post", kind[1])):
                expected |= {f"{cell}.keep_x_{side}_fast": math.exp(-0.01), f"{cell}.keep_x_{side}_slow": math.exp(-0.001)}
                for unit in (0, 1, 2, 3, "bias"):
                    expected[f"{kind}.{side}_{unit}"] = theta[f"eta_{kind}"] * theta[f"{kind}_{side}_{unit}"]
        if family == "poly" or kind[1] == "E":
            expected[f"{kind}.w_max"] = 20
    for name in "EI":
        expected |= {f"inputs_{name}.p": 0.05, f"inputs_{name}.w_input": 0.075}
    control = {
        "keep_rate": math.exp(-1e-4), "per_spike": 1 / 4096, "rate_max": 100, "w_max": 20, "end_step": 700_000,
        "quiet_max": 50_000, "full_share": 0.5, "full_samples": 30, "cpu_limit": 3600, "record_step": 600_000,
        "n_recorded_e": 1000, "n_recorded_i": 500, "seed_low": 7, "seed_high": 5, "keep_weights": 0,
    }  # fmt: skip
    expected |= {f"control.{key}": value for key, value in control.items()} | {"inputs.gap": 1 / math.log(1 - 8e-4)}
    assert found == pytest.approx(expected, rel=1e-12)
    high = command.control_values(Network(), Wiring(), Protocol(), 2**63 - 1)
    assert (high["seed_low"], high["seed_high"]) == (2**31 - 1, 2**16 - 1)


def as_newest(name: str) -> str:
    """The delays of a pathway as Brian2 2.11 names them; before, EE_delay was that of EE's pre, EE_delay_1 of its post."""
    name = name.removeprefix("_dynamic_array_")
    if "__" in name:
        return name
    return name.replace("_delay_1", "__post_delay") if name.endswith("_1") else name.replace("_delay", "__pre_delay")


@pytest.mark.parametrize("family", ["poly", "mlp"])
def test_the_circuit_runs_in_the_published_order(family):
    """Cells, threshold, input to E and I, the four connections (arrivals first), traces, samples, control; 0.8 ms."""
    network = build.served(Network(family=family, n_e=16, n_i=8, n_input=30))
    with build.standalone(network):
        brian2.BrianLogger.suppress_name("cannot_check_statemonitor_indices")
        circuit.assemble(network)
        (net,) = brian2.device.networks
        parts = {part.name: part for each in net.objects for part in (each, *each.contained_objects)}
        order = {
            name: (part.when, part.order, round(float(part.clock.dt), 7))
            for name, part in parts.items()
            if name.endswith(("_pre", "_post", "_fade", "_renew", "_refill", "_step", "_look", "_check"))
            or name.startswith("weights_")
        }
        sizes = {name: len(parts[name]) for name in ("E", "I", "inputs", "control", "hidden") if name in parts}
        ends = {
            name: (part.source.name, part.target.name) for name, part in parts.items() if isinstance(part, brian2.Synapses)
        }
        code = {name: str(parts[f"{name}_pre"].code) for name in params.TYPES}
        queue = [(what, *map(str, (given,) if isinstance(given, str) else given)) for what, given in brian2.device.main_queue]
        end = "\n".join(brian2.device.code_lines["before_end"])
        early = "\n".join(brian2.device.code_lines["before_network_run"])
    pathways = [
        "inputs_E",
        None,
        "inputs_I",
        None,
        *("EE", "EE", "EI", "EI", "IE", "IE", "II", "II"),
        "arrivals_E",
        None,
        "arrivals_I",
    ]
    expected = {f"{name}_pre": ("synapses", number, 1e-4) for number, name in enumerate(pathways) if name and not number % 2}
    plastic = ("EE", "EI", "IE", "II") if family == "poly" else ("EE", "IE")
    expected |= {f"{kind}_post": ("synapses", pathways.index(kind) + 1, 1e-4) for kind in plastic}
    expected |= {"arrived_pre": ("synapses", -1, 1e-4), "control_look": ("end", 0, 0.1), "control_check": ("end", 1, 1e-4)}
    expected |= {f"weights_{kind}": ("end", -1, 0.1) for kind in plastic}
    for name in "EI":
        expected |= {f"{name}_step": ("groups", 0, 1e-4), f"{name}_fade": ("groups", 1, 1e-4)}
        expected |= {f"{name}_renew": ("groups", 2, 0.0064), f"{name}_refill": ("groups", 3, 0.0064)}
    assert order == expected
    assert sizes == {"E": 16, "I": 8, "inputs": 30, "control": 1} | ({"hidden": 500} if family == "mlp" else {})
    delays = {
        name: value for what, name, *rest in queue if what == "set_by_single_value" and "_delay" in name for value in rest[1:]
    }
    assert {as_newest(name): float(value) for name, value in delays.items()} == {
        **{f"{name}__pre_delay": 0.0008 for name in {*pathways, "arrived"} - {None}},
        **{f"{kind}__post_delay": 0 for kind in plastic},
    }
    fades = [name for what, name, *rest in queue if what == "set_by_single_value" and "fade_x" in name and rest == ["0", "1"]]
    assert len(set(fades)) == (8 if family == "poly" else 6)
    for kind in plastic:
        line = f"_array_weights_{kind}__indices[_k] = (int32_t)((int64_t)_k * _array_{kind}_N[0] / 100);"
        assert any(f"_k < 100; _k++) {line}" in " ".join(item) for item in queue)
    assert [kind for kind in params.TYPES if f'leave_samples("weights_{kind}.w"' in end] == list(plastic)
    assert ("_catch_up_all_EE_post();" in end) == (family == "poly")
    assert end.endswith("std::_Exit(0);")
    assert ("_dynamic_array_II__synaptic_pre" in early) == (network.templates == "fast")
    assert {kind: ends[kind] for kind in params.TYPES} == {kind: (kind[0], kind[1]) for kind in params.TYPES}
    assert {name: ends[f"inputs_{name}"] for name in "EI"} == {name: ("inputs", name) for name in "EI"}
    assert (ends["arrived"], ends["arrivals_I"]) == (("E", "control"), ("I", "I"))
    for kind in params.TYPES:
        assert f"{'g_ampa' if kind[0] == 'E' else 'g_gaba'}_post += w" in code[kind]


def test_what_a_spike_does_to_a_weight():
    """Poly: an arrival reads the postsynaptic trace with alpha and kappa; mlp: the slow trace of its own side."""
    read = {"pre": "fade_x_post_EI_post*x_post_EI_post", "post": "fade_x_pre_EI_pre*x_pre_EI_pre"}
    for side, alone, pair in (("pre", "alpha", "kappa"), ("post", "beta", "gamma")):
        found = model.change("poly", "EI", side).split("\n")
        assert found == [f"x = {read[side]}", f"w = bounded(w + ({alone} + {pair}*x), 0, w_max)"]
    assert model.change("mlp", "EI", "pre") == ""
    for side, own, other in (("pre", "slow", "fast"), ("post", "fast", "slow")):
        first, second, third = model.change("mlp", "IE", side).split("\n")
        assert first == f"x_before = fade_x_pre_{own}_pre*x_pre_{own}_pre"
        assert second == f"x_after = fade_x_post_{other}_post*x_post_{other}_post"
        assert f"{side}_0, {side}_1, {side}_2, {side}_3, {side}_bias), 0, w_max)" in third
    assert model.population_traces("mlp", "E") == (["x_pre_fast", "x_pre_slow"], ["x_post_fast", "x_post_slow"])
    assert model.population_traces("mlp", "I") == (["x_pre_fast", "x_pre_slow"], [])
    assert model.population_traces("poly", "I") == (["x_pre_IE", "x_pre_II"], ["x_post_EI", "x_post_II"])


def test_wide_vectors_are_asked_for_where_they_are(monkeypatch):
    for machine, expected in (("x86_64", ["-march=x", "-mprefer-vector-width=512"]), ("arm64", ["-mcpu=x"])):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        exact = ["-std=c++17", "-w", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
        assert build.flags(Network(cpu="x")) == [*exact, *expected]


class Seen:
    """A member or block that notes which seeds it is asked with, and draws from them."""

    box = np.array([[-1.0, -1.0], [1.0, 1.0]])

    def __init__(self, width: float = 1.0) -> None:
        self.asked, self.width = [], width

    def sample(self, condition, n, seed):
        self.asked.append((n, seed))
        return np.random.default_rng(seed).uniform(-self.width, self.width, (n, 2))

    def __call__(self, seed):
        return self.sample(None, 64, seed)


class TestDraws:
    def test_seeds_are_any_number_of_31_bits(self):
        """Else the draws of different rules would be the same."""
        block, box = Seen(), Seen.box
        for number in range(20):
            settings = proposals.Proposal((), {})
            proposals.chosen(block, box, [], np.random.default_rng(number), settings, {}, "")
        member = Seen(3.0)
        for number in range(20):
            assert len(posterior.bounded_draws(member, None, 10, np.random.default_rng(number))[0]) == 10
        for asked in (block.asked, member.asked):
            seeds = [seed for _, seed in asked]
            assert len(set(seeds)) == len(seeds)
            assert 2**30 < max(seeds) < 2**31
        assert {n for n, _ in member.asked} == {40, 160}

    def test_few_draws_where_an_estimator_leaks(self):
        """Of 20 n candidates those inside the box, at most n, and their share."""
        leaky = Seen(10.0)
        found, share = posterior.bounded_draws(leaky, None, 100, np.random.default_rng(0))
        everything = np.concatenate([np.random.default_rng(seed).uniform(-10, 10, (n, 2)) for n, seed in leaky.asked])
        np.testing.assert_array_equal(found, everything[(np.abs(everything) < 1).all(1)])
        assert 5 < len(found) < 40
        assert share == len(found) / 2000
        draws, share = posterior.bounded_draws(Seen(2.0), None, 100, np.random.default_rng(0))  # a quarter of them is inside
        assert (len(draws), share) == (100, pytest.approx(0.25, abs=0.06))

    def test_patience_ends_after_so_many_candidates(self):
        outside = Seen(0.5)
        box, settings = Seen.box + 5, proposals.Proposal((), {}, patience=200)
        with pytest.raises(ValueError, match=r"none of 256 candidates was accepted \(0 inside the prior box\)"):
            proposals.chosen(outside, box, [], np.random.default_rng(0), settings, {}, "about")

    def test_a_chosen_candidate_lies_inside_and_all_are_counted(self):
        half, settings = Seen(2.0), proposals.Proposal((), {}, among=40)
        theta, drawn, inside = proposals.chosen(half, Seen.box, [], np.random.default_rng(0), settings, {}, "")
        everything = np.concatenate([np.random.default_rng(seed).uniform(-2, 2, (64, 2)) for _, seed in half.asked])
        kept = everything[(np.abs(everything) < 1).all(1)]
        assert (drawn, inside) == (len(everything), len(kept))
        assert inside >= 40 > inside - (np.abs(everything[-64:]) < 1).all(1).sum()
        assert theta.tolist() in kept.tolist()

    def test_a_mixture_over_the_aim(self):
        """As many draws of each rate; the density is their sum."""

        class Member:
            box = np.array([[-2.0], [2.0]])

            def conditions(self, table):
                return table.to_numpy()

            def sample(self, condition, n, seed):
                return np.full((n, 1), condition[0] / 10)

            def log_density(self, theta, condition):
                return -((theta[:, 0] - condition[0]) ** 2)

        mixture = comparison.Mixture(Member(), (5.0, 25.0))
        drawn = mixture.sample((50,))[:, 0].numpy()
        np.testing.assert_allclose(drawn, np.repeat([0.5, 1.0, 1.5], [20, 20, 10]))
        theta = torch.tensor([[4.0], [9.0]])
        expected = [math.log(sum(math.exp(-((x - rate) ** 2)) for rate in (5, 10, 15, 20, 25))) for x in (4.0, 9.0)]
        np.testing.assert_allclose(mixture.log_prob(theta), expected)


class TestCommittee:
    @pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
    def test_networks_are_those_of_scikit_learn(self, rng, monkeypatch):
        monkeypatch.setattr(classifier, "COMMITTEE", 2)
        theta = rng.uniform(-1, 1, (60, 24))
        good, seen = theta[:, 0] > 0.2, StandardScaler().fit_transform(theta)
        found = classifier.train(theta, good, 11)
        outputs = []
        for number in range(2):
            net = MLPClassifier(
                hidden_layer_sizes=(16,), alpha=1.0, random_state=11 + number, max_iter=200, learning_rate_init=3e-3
            )
            outputs.append(net.fit(seen, good).predict_proba(seen)[:, 1])
        np.testing.assert_allclose(found.probability(theta), np.mean(outputs, axis=0), rtol=1e-9)

    @pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
    def test_each_predictor_leaves_out_a_part_and_is_judged_on_it(self, rng, monkeypatch):
        monkeypatch.setattr(classifier, "COMMITTEE", 3)
        theta = rng.uniform(-1, 1, (60, 24))
        table = pd.DataFrame({"rate": 10 ** theta[:, 0], "cv_isi": theta[:, 1]})
        found = classifier.predictor(table, theta, ["rate", "cv_isi"], 3)
        values, seen = np.column_stack([np.log10(table["rate"] + 0.1), table["cv_isi"]]), StandardScaler().fit_transform(theta)
        mean, scale, outputs, missed = values.mean(0), values.std(0), [], np.zeros_like(values)
        for number in range(3):
            out = np.arange(60) % 3 == number
            net = MLPRegressor(
                hidden_layer_sizes=(16,), alpha=10.0, random_state=3 + number, max_iter=200, learning_rate_init=3e-3
            )
            outputs.append(net.fit(seen[~out], ((values - mean) / scale)[~out]).predict(seen) * scale + mean)
            missed[out] = (outputs[-1] - values)[out]
        np.testing.assert_allclose(found.predict(theta), np.mean(outputs, axis=0), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.spread, np.sqrt((missed**2).mean(0)), rtol=1e-6)
        asked = {"rate": 2.0, "cv_isi": 0.5}
        miss = (found.predict(theta) - [np.log10(2.1), 0.5]) / found.spread
        np.testing.assert_allclose(found.weight(theta, asked, 3.0), np.exp(-1.5 * (miss**2).sum(1)))

    @staticmethod
    def members(theta, parts, taught, seed, sees):
        """Fields of a committee of two that has learned nothing: what it says is the sum of the parameters, or half of it."""
        n = theta.shape[1]
        w_in = np.ones((2, n, 1)) * np.array([1.0, 0.5])[:, None, None]
        layers = {"w_in": w_in, "b_in": np.full((2, 1), 50.0), "w_out": np.ones((2, 1, 1)), "b_out": np.full((2, 1), -50.0)}
        return {"mean": np.zeros(n), "scale": np.ones(n), **layers, "sees": sees}

    def test_too_few_of_a_kind_teach_nothing(self, rng, monkeypatch):
        monkeypatch.setattr(classifier, "_members", self.members)
        monkeypatch.setattr(classifier, "COMMITTEE", 2)
        theta = rng.uniform(-1, 1, (20, 24))
        assert classifier.train(theta, np.arange(20) < 1, 0) is None
        assert classifier.train(theta, np.arange(20) >= 1, 0) is None
        assert classifier.train(theta, np.arange(20) < 2, 0) is not None
        assert classifier.train(theta, np.arange(20) >= 2, 0) is not None
        table = pd.DataFrame({"rate": np.arange(1.0, 21.0)})
        assert classifier.predictor(table[:1], theta[:1], ["rate"], 0) is None
        assert classifier.predictor(table[:2], theta[:2], ["rate"], 0) is not None
        assert classifier.predictor(table, theta, [], 0) is None

    def test_a_threshold_keeps_all_above_it_and_none_below(self, rng, monkeypatch):
        monkeypatch.setattr(classifier, "_members", self.members)
        theta = rng.uniform(-1, 1, (60, 24))
        found = classifier.train(theta, theta[:, 0] > 0, 1, lose=0.25)
        said = theta.sum(1)
        probability = (1 / (1 + np.exp(-said)) + 1 / (1 + np.exp(-said / 2))) / 2
        np.testing.assert_allclose(found.probability(theta), probability)
        assert found.threshold == pytest.approx(np.quantile(probability[theta[:, 0] > 0], 0.25))
        np.testing.assert_array_equal(found.weight(theta, {}, 5.0), probability >= found.threshold)
        assert classifier.train(theta, theta[:, 0] > 0, 1).threshold == 0
        np.testing.assert_allclose(classifier.train(theta, theta[:, 0] > 0, 1).weight(theta, {}, 5.0), probability**5)


def test_what_the_flow_is_trained_with(monkeypatch, rng):
    """Network and training are told the settings; a batch is at most the rules that are learned from."""
    told = {}

    class Trainer:
        val_indices, summary = torch.arange(2), {"validation_loss": [3.0, 2.0]}

        def __init__(self, prior, net, **options):
            told.update(prior=prior, net=net, device=options["device"])

        def append_simulations(self, theta, x):
            told.update(theta=theta, x=x)

        def train(self, **options):
            told.update(options)
            return torch.nn.Linear(1, 1)

    monkeypatch.setattr(flow, "NPE", Trainer)
    monkeypatch.setattr(flow, "posterior_nn", lambda kind, **shape: (kind, shape))
    low, high = np.array(params.boxes("mlp")).T
    theta = low + (high - low) * rng.uniform(0.01, 0.99, (30, 22))
    table = pd.DataFrame(np.column_stack([theta, np.full(30, 9.0)]), columns=list(THETA["mlp"])).assign(rate=2.0)
    settings = flow.FlowSettings(5, 6, 7, 100, 0.01, 0.2, 8, 9, bounded=True)
    found = flow.train(table, "mlp", ["rate"], settings, 3)
    assert told["net"] == ("nsf", {"hidden_features": 5, "num_transforms": 6, "num_bins": 7})
    assert told["training_batch_size"] == 24
    assert [told[name] for name in ("learning_rate", "validation_fraction", "stop_after_epochs", "max_num_epochs")] == [
        0.01,
        0.2,
        8,
        9,
    ]
    np.testing.assert_allclose(told["theta"], np.log((theta - low) / (high - theta)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(told["x"], 2.0)
    assert (found.losses, found.held_out.tolist(), found.metrics) == ((3.0, 2.0), [0, 1], ("rate",))
    flow.train(table, "mlp", ["rate"], flow.FlowSettings(batch=10), 3)
    assert told["training_batch_size"] == 10
    np.testing.assert_allclose(told["theta"], theta, rtol=1e-5, atol=1e-6)


def test_at_the_same_time_the_later_spike_sees_the_other(rng):
    """mlp protocol at lag 0: the presynaptic spike has no postsynaptic one before it, the postsynaptic one a fresh trace."""
    rule = {name: float(rng.uniform(*params.box(name))) for name in THETA["mlp"]}
    layers, state = mlp.fixed_layers(Wiring()), [0.01, -0.07, 0.0, 0.0]  # EE at the lowest activity
    pre, post = ([rule[f"EE_{side}_{name}"] for name in ("0", "1", "2", "3", "bias")] for side in ("pre", "post"))
    at_pre = mlp.change(np.array([0.0, 0.0, *state]), layers, np.array(pre[:4]), pre[4])
    at_post = mlp.change(np.array([1.0, 0.0, *state]), layers, np.array(post[:4]), post[4])
    assert protocol.mlp(rule, "EE", np.zeros(1), layers, 0.01, 0.0)[0] == pytest.approx(rule["eta_EE"] * (at_pre + at_post))
    poly = dict.fromkeys((f"II_{term}" for term in params.POLY_TERMS), 0.5) | {"II_gamma": 2.0, "II_kappa": -1.0}
    assert protocol.poly(poly, "II", np.zeros(1))[0] == 3.0


@pytest.mark.parametrize("kind", ["EE", "EI", "IE", "II", "alpha, beta"])
def test_mean_field_axes_of_every_type(kind):
    values = {"alpha": 1.0, "beta": 2.0, "gamma": 3.0, "kappa": 4.0, "tau_pre": 0.05, "tau_post": 0.1}
    table = pd.DataFrame({f"{each}_{term}": [value] for each in params.TYPES for term, value in values.items()})
    x, y, colour, names = mean_field.axes(table.assign(rate=8.0, rate_i=10.0), kind)
    slope, r = 4 * 0.1 + 3 * 0.05, {"E": 8.0, "I": 10.0}
    if kind == "alpha, beta":
        assert (x[0], y[0], colour[0]) == (1.0, 2.0, 8.0)
    elif kind in ("EE", "II"):
        assert (x[0], y[0], colour[0]) == pytest.approx((-3.0, slope, r[kind[1]]))
    else:
        assert (x[0], y[0], colour[0]) == pytest.approx((-r[kind[0]], 2 + r[kind[0]] * slope, r[kind[1]]))
        assert f"r_{kind[0]}" in names[0]


def test_directions_and_cube_of_the_surrogate():
    for n in (24, 22):
        np.testing.assert_allclose(surrogate.directions(n) @ surrogate.directions(n).T, np.eye(4), atol=1e-12)
    drawn = np.random.default_rng(20231113).standard_normal((24, 4))
    first = drawn[:, 0] / np.linalg.norm(drawn[:, 0])
    np.testing.assert_allclose(np.abs(surrogate.directions(24)[0]), np.abs(first))
    low, high = np.array(params.boxes("poly")).T
    table = pd.DataFrame([low, (low + high) / 2, high], columns=list(THETA["poly"][:-1]))
    np.testing.assert_allclose(surrogate.unit_cube(table, "poly"), np.repeat([[-1.0], [0.0], [1.0]], 24, axis=1), atol=1e-12)


def test_surrogate_away_from_the_middle(monkeypatch):
    """One of the four coordinates at a time, no noise: the slopes."""
    monkeypatch.setattr(np.random, "default_rng", lambda seed: SimpleNamespace(standard_normal=np.zeros))
    monkeypatch.setattr(surrogate, "directions", lambda n: np.eye(4, n))
    a, b, c, d = (surrogate.measure(0.5 * np.eye(24)[number], 0, "poly") for number in range(4))
    assert a["rate"] == pytest.approx(10**1.2)
    assert b["rate_i"] == pytest.approx(10**1.2)
    assert c["w_blow"] == pytest.approx(1 / (1 + math.exp(-2)))
    assert d["w_creep"] == pytest.approx(0.02 * math.exp(0.75))
    assert (c["weef"], c["wief"], d["weif"], d["wiif"]) == pytest.approx((0.1 * math.e, math.e, 0.1 * math.e, math.e))


def test_every_metric_of_the_surrogate_has_a_random_number_of_its_own(monkeypatch):
    n = np.linspace(-1.1, 1.1, 12)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: SimpleNamespace(standard_normal=lambda size: n[:size]))
    monkeypatch.setattr(surrogate, "directions", lambda size: np.eye(4, size))
    found = surrogate.measure(np.zeros(24), 0, "poly")
    rate, w = 10 ** (0.8 + 0.1 * n[0]), 1 / (1 + math.exp(1 - 0.3 * n[2]))
    expected = {
        "rate": rate, "rate_i": 10 ** (0.9 + 0.1 * n[1]), "w_blow": w, "w_creep": 0.02 * math.exp(0.3 * n[3]),
        "cv_isi": 1.1 - 0.5 * w + 0.05 * n[4], "kl_isi": 0.02 + 0.1 * w**2 + 0.005 * abs(n[5]),
        "spatial_Fano": 0.9 + 0.6 * w + 0.05 * n[6], "temporal_Fano": 0.9 + 0.4 * w + 0.05 * n[7],
        "auto_cov": 0.02 + 0.5 / (1 + rate) + 0.002 * abs(n[8]), "fft": 0.1 + 0.02 * rate + 0.02 * abs(n[9]),
        "std_rate_temporal": 0.002 * math.sqrt(rate) * (1 + 0.1 * n[10]), "std_rate_spatial": 0.5 * math.sqrt(rate),
        "std_cv": 0.08 + 0.1 * w + 0.01 * n[11], "weef": 0.1, "weif": 0.1, "wief": 1, "wiif": 1,
    }  # fmt: skip
    assert found == pytest.approx(expected)


def test_whitened_corners_of_the_prior_box():
    """A uniform variable ends at the root of three of its standard deviations."""
    low, high = np.array(params.boxes("mlp")).T
    table = pd.DataFrame([low, high, (low + high) / 2], columns=list(THETA["mlp"][:-1]))
    corners = np.repeat([[-math.sqrt(3)], [math.sqrt(3)], [0.0]], 22, axis=1)
    np.testing.assert_allclose(whitening.whiten(table, "mlp"), corners, atol=1e-12)


def test_spikes_of_the_recorded_window_count_at_both_ends():
    none = np.zeros(0)
    made = Recording(np.array([59.9, 60.0, 65.0, 70.0, 70.1]), np.arange(5), 5, np.array([61.0]), np.array([1]), 2, 60.0, 70.0)
    found = spikes(made)
    assert (found.times.tolist(), found.cells.tolist(), found.n_cells, found.duration) == ([0, 5, 10, 1], [1, 2, 3, 6], 7, 10)
    assert Recording(none, none, 1, none, none, 1, 0.0, 1.0).blow_up == -1


def test_rows_of_several_files(tmp_path):
    for number in (0, 1):
        pd.DataFrame({"index": np.arange(3) + 3 * number}).to_parquet(tmp_path / f"{number}.parquet")
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    assert rules.read(paths)["index"].tolist() == [0, 1, 2, 3, 4, 5]
    assert rules.read(paths, rows=rules.Rows(2, 2))["index"].tolist() == [2, 3]
    assert rules.read(paths, rows=rules.Rows(4))["index"].tolist() == [4, 5]


def test_relation_and_scale_use_the_floor():
    table = pd.DataFrame({"rate": [0.0, 1.0, 3.9, np.nan], "aim_rate": [0.09, 2.05, 1.95, 1.0]})
    correlation, near = targets.relation(table, "rate")
    asked, found = np.log10([0.19, 2.15, 2.05]), np.log10([0.1, 1.1, 4.0])
    assert correlation == pytest.approx(np.corrcoef(asked, found)[0, 1])
    assert near == pytest.approx(1.0)
    assert np.isnan(targets.relation(table[1:], "rate")[0])
    cv = pd.DataFrame({"cv_isi": [1.0, 0.5, 2.0], "aim_cv_isi": [1.0, 1.05, 1.0]})
    assert targets.relation(cv, "cv_isi")[1] == pytest.approx(2 / 3)  # 2.01 over 1.01 is near, 1.06 over 0.51 is not
    plain = np.corrcoef(cv["aim_cv_isi"], cv["cv_isi"])[0, 1]
    assert targets.relation(cv, "cv_isi")[0] == pytest.approx(plain), "as the predictor of what is attainable sees it"
    np.testing.assert_allclose(targets.scaled(table, ["rate"], True)[:, 0], [-1, np.log10(1.1), np.log10(4), np.nan])
    np.testing.assert_allclose(targets.scaled(cv, ["cv_isi"], True)[:, 0], cv["cv_isi"])


def test_rule_of_two_layers_by_a_loop(rng):
    """Sums over inputs, then over fifty units, then over four, each behind a sigmoid; layers by rows."""
    layers, inputs, readout = rng.standard_normal(500), rng.standard_normal(6), rng.standard_normal(4)
    scaled, hidden, second = inputs * [2, 2, 1, 15, 15, 15], [], []
    for unit in range(50):
        hidden.append(1 / (1 + math.exp(-sum(layers[6 * unit + k] * scaled[k] for k in range(6)))))
    for unit in range(4):
        second.append(1 / (1 + math.exp(-sum(layers[300 + 50 * unit + k] * hidden[k] for k in range(50)))))
    expected = sum(readout[k] * second[k] for k in range(4)) + 0.3
    assert mlp.change(inputs[None], layers, readout, 0.3)[0] == pytest.approx(expected)
    drawn = mlp.fixed_layers(Wiring(hidden_seed=4))
    generator = seeds.generator(4, "fsbi", "hidden")
    np.testing.assert_array_equal(drawn[:300], generator.uniform(-(6**-0.5), 6**-0.5, 300))
    np.testing.assert_array_equal(drawn[300:], generator.uniform(-(50**-0.5), 50**-0.5, 200))
    assert mlp.SIZES == (300, 200)


def test_a_rule_by_its_draws():
    """Aim, input rate, then candidates; its seed is that of its number and round."""
    settings = proposals.Proposal(
        ("rate", "cv_isi"), {"rate": targets.Target((5.0, 10.0)), "cv_isi": targets.Target((0.7, 1.0))}
    )
    found, rng = proposals.propose("mlp", 2, 7, [], [], settings, 11), seeds.generator(11, "fsbi", "data", "mlp", 2, 7)
    assert found["aim_rate"] == rng.uniform(5, 10)
    assert found["aim_cv_isi"] == rng.uniform(0.7, 1.0)
    assert found["rate_in"] == rng.uniform(5, 15)
    low, high = np.array(params.boxes("mlp")).T
    candidates = np.random.default_rng(int(rng.integers(2**31))).uniform(low, high, (64, 22))
    chosen = candidates[rng.choice(64, p=np.full(64, 1 / 64))]
    np.testing.assert_array_equal([found[name] for name in THETA["mlp"][:-1]], chosen)
    assert (found["index"], found["round"], found["drawn"], found["inside"]) == (7, 2, 64, 64)
    assert found["seed"] == seeds.of(11, "fsbi", "simulate", 2, 7)


class TestConditionalCorrelations:
    class Member:
        """A density that is the same everywhere but where both parameters are high; it notes where it was asked."""

        box = np.array([[0.0, -4.0], [4.0, 4.0]])

        def __init__(self):
            self.points, self.draws = [], []

        def conditions(self, table):
            return table.to_numpy()

        def log_density(self, points, value):
            self.points.append(points)
            return np.where((points[:, 0] > 1.5) & (points[:, 1] > 1.0), 0.0, -np.log(4.0))

        def sample(self, condition, n, seed):
            self.draws.append((condition.tolist(), n))
            return np.tile([1.0, 0.5], (n, 1))

    def test_grid_inside_the_box(self):
        member = self.Member()
        found = posterior.conditional(member, np.array([1.0, 0.5]), np.zeros(1), 3)
        (points,) = member.points
        assert points.tolist() == [[x, y] for x in (1, 2, 3) for y in (-2, 0, 2)]
        weight = np.where((points[:, 0] > 1.5) & (points[:, 1] > 1.0), 1, 0.25)
        covariance = np.cov(points.T, aweights=weight, ddof=0)
        assert found[0, 1] == found[1, 0] == pytest.approx(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))
        assert np.diag(found).tolist() == [1, 1]

    def test_members_take_turns_and_the_mean_counts(self):
        members = [self.Member(), self.Member()]
        settings = posterior.Examination(0, 0, {}, 5, 3)
        found = posterior.correlations(members, {"rate": 7.0}, settings, np.random.default_rng(0))
        assert [len(member.draws) for member in members] == [3, 2]
        assert members[0].draws[0] == ([7.0], 4)
        np.testing.assert_allclose(found, posterior.conditional(members[0], np.array([1.0, 0.5]), None, 3))

        class Outside(self.Member):
            def sample(self, condition, n, seed):
                return np.full((n, 2), 9.0)

        assert np.isnan(posterior.correlations([Outside()], {"rate": 7.0}, settings, np.random.default_rng(0))).all()
