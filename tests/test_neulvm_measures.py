"""neuLVM's table of measures and its spikes for the reports: each number from inputs whose answer is plain."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from respike.core import calibration, files, spikes, style
from respike.neulvm import measurement, simulation, trials
from respike.neulvm.fitted import Fitted
from respike.neulvm.inference import box
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Prior
from respike.neulvm.stages import figures, metrics
from respike.neulvm.stages import spikes as spikes_stage

TRUE = Circuit()
DT = 0.004


def numbers(rows):
    """Values by variant and metric."""
    return {(variant, metric): value for variant, metric, value, *_ in rows}


@pytest.fixture
def recorded(rng):
    """Two batches of 20 bins of nine neurons, a history of 5, 30 bins held out, and rates of 10 Hz."""
    population = np.repeat(np.arange(3), 3)
    parts = [
        Trial(DT, 5, (rng.random((n, 5 + bins, 9)) < 0.2).astype(np.uint8), population, np.zeros((n, bins, 3)))
        for n, bins in ((2, 20), (1, 30))
    ]
    return trials.Trials("test", parts[0], np.full((2, 25, 3), 10.0), parts[1])


class TestBits:
    def test_of_baselines(self, recorded):
        """Ten spikes in ten bins: with chance 1/2 instead of 1/4 each is worth one bit; of eight spikes, three bits each."""
        coins = {"names": ["constant", "a"], "n_spikes": 10, "constant.score": 10 * np.log(0.25), "a.score": 10 * np.log(0.5)}
        assert numbers(metrics.held_out(recorded, {}, coins, 5, 0))["baseline a", "held_out"] == pytest.approx(1)
        scores = {"constant.score": -100.0, "a.score": -100.0 + 8 * 3 * np.log(2)}
        found = numbers(metrics.held_out(recorded, {}, {"names": ["constant", "a"], "n_spikes": 8, **scores}, 5, 0))
        assert found["baseline constant", "held_out"] == 0
        assert found["baseline a", "held_out"] == pytest.approx(3)

    def test_baselines_run_beside_the_models(self, tmp_path):
        """Same statistics: rates, switches, who wins; trials of 20 bins are stretches of the free run."""
        free = np.repeat([[20.0, 5.0, 24.0], [5.0, 20.0, 24.0]], 60, axis=0)
        rivals = {"names": np.array(["a"]), "n_spikes": 8, "dt": DT, "a.free": free}
        pulse = np.zeros((20, 3))
        pulse[4:6, 1] = 1
        model_run = {"dt": DT, "free": free, "pulse": pulse, "pulsed": np.ones((4, 20, 3)), "target": 1, "first": 0}
        files.write_arrays(tmp_path / "network.npz", **model_run)
        runs = simulation.read([tmp_path / "network.npz"], rivals)
        assert list(runs) == ["network", "baseline a"]
        np.testing.assert_array_equal(runs["baseline a"]["pulsed"].reshape(-1, 3), free)
        found = numbers(metrics.perturbed(runs))
        assert found["baseline a", "win_probability"] == 0.5
        assert ("baseline a", "response_corr") not in found  # nothing to correlate with: this network is constant
        found = {metric: value for metric, value, *_ in measurement.free_run(runs["baseline a"]["free"], DT)}
        assert found["rate_up"] == pytest.approx(20)
        assert found["rate_last"] == pytest.approx(24)
        assert found["switches_per_200s"] == pytest.approx(200 / 0.48)

    def test_of_models_without_coupling(self, recorded):
        """Nobody tells them anything: the filter's likelihood is that of each neuron on its own, here by hand."""
        circuit = replace(TRUE, coupling=(0.0,) * 3, rest=(1e-9,) * 3, threshold=(-2.0,) * 3, refractory=0.0)
        models = {"em": Fitted(circuit, "exact", DT, 5, "test")}
        p = -np.expm1(-np.exp(2.0) * DT)
        later = recorded.held_out.spikes[0, 5:]
        total = later.sum() * np.log(p) + (1 - later).sum() * np.log1p(-p)
        constant = {"names": ["constant"], "n_spikes": later.sum(), "constant.score": -50.0}
        *_, row = metrics.held_out(recorded, models, constant, 5, 0)
        assert row[2] == pytest.approx((total + 50) / later.sum() / np.log(2), rel=1e-6)
        fitted = recorded.trial.spikes[:, 5:]
        total = fitted.sum() * np.log(p) + (1.0 - fitted).sum() * np.log1p(-p)
        (row,) = metrics.log_likelihoods(recorded.trial, models, None, 5, 0)
        assert row[2] == pytest.approx(total, rel=1e-6)


class TestParameters:
    def test_ratios(self):
        circuit = replace(TRUE, coupling=(2 * 9.984, 4 * 9.984, 19.968 / 2), rest=(7.2, 14.4, 28.8))
        found = {metric: value for metric, value, *_ in measurement.ratios(circuit, TRUE)}
        assert found["ratio_coupling_excitatory"] == pytest.approx(3)  # of 2, 2, 4, 4
        assert found["ratio_coupling_inhibitory"] == pytest.approx(0.5)
        assert found["ratio_rest"] == pytest.approx(1)
        assert found["ratio_threshold"] == 1

    def test_error_of_the_potential(self, recorded):
        """Every population fires at 10 Hz; a coupling stronger by 1 pulls its targets by 10 / alpha more."""
        circuit = replace(TRUE, coupling=(10.984, 9.984, 19.968), threshold=(TRUE.threshold[0] + 1, *TRUE.threshold[1:]))
        found = numbers(metrics.pulls("em", circuit, TRUE, recorded))
        assert [found["em", f"h_error_{m}"] for m in range(3)] == pytest.approx([10 / 50 - 1, 0, 10 / 50])

    def test_recovery(self):
        names = [f"{group}_{m}" for group in ("mem_rate", "coupling", "rest", "threshold") for m in range(3)]
        parts = [pd.DataFrame({"recording": k, "name": names, "mean": mean, "low": mean - 0.3, "high": mean + 0.3})
                 for k, mean in enumerate((0.9, 1.5))]  # fmt: skip
        found = numbers(row[:5] for row in metrics.recovered(pd.concat(parts), TRUE))
        assert found["recovery", "ratio_coupling_excitatory"] == pytest.approx(1.2)
        assert found["recovery", "sd_rest"] == pytest.approx(0.6 / np.sqrt(2))
        assert found["recovery", "within_90_threshold"] == 0.5

    def test_further_recordings(self):
        """The network switches once in 0.96 s, 79 times in all; two recordings, one as often, one hardly ever."""
        run = np.tile(np.repeat([[20.0, 5.0, 24.0], [5.0, 20.0, 24.0]], 120, axis=0), (80, 1))
        network = {"free": run, "dt": DT}
        rates = (("rate_up", 20.0), ("rate_down", 5.1), ("rate_last", 24.0))
        rows = [
            (k, "chosen", metric, value, "", 200)
            for k, switches in enumerate((400.0, 20.0))
            for metric, value in (*rates, ("switches_per_200s", switches), ("ratio_coupling_excitatory", 1.0 + k))
        ]
        table = pd.DataFrame(rows, columns=["recording", "model", "metric", "value", "unit", "n"])
        found = list(metrics.each_recording(table, network))
        assert ("recordings chosen", "switches_per_200s", 20, "", 200, 1) in found, (
            "of each recording, whose number stands last"
        )
        found = numbers(found)
        assert found["recordings chosen", "switches_inside"] == 0.5
        assert found["recordings chosen", "rates_inside"] == 1
        assert found["recordings chosen", "coupling_median"] == 1.5
        assert numbers(metrics.each_recording(table[:0], network)) == {}

    def test_differences_to_the_network_are_those_of_each_recording(self):
        rows = [("network", "rate_up", 19.0, "Hz", 200), ("recordings em", "rate_up", 20.5, "Hz", 400, 3)]
        assert list(metrics.against_network(rows)) == [("recordings em", "rate_up over network", 1.5, "Hz", 400, 3)]


class TestActivity:
    def test_correlation_of_what_is_turned_over(self, rng):
        a = rng.standard_normal((2, 50, 2))
        b = np.stack([3 * a[..., 0] + 1, -a[..., 1]], axis=2)
        np.testing.assert_allclose(measurement.correlations(a, b, 0.0), [1, -1])
        np.testing.assert_allclose(measurement.correlations(a, b, 2.0), [1, -1])

    def test_switch_error(self):
        """Both switch once, 0.096 s apart, two bins of 0.048 s."""
        truth = np.repeat([[20.0, 5, 24], [5, 20, 24]], 240, axis=0)[None] * DT
        found = numbers(metrics.inferred_states(np.roll(truth, 24, axis=1)[:, 24:], truth[:, 24:], DT))
        assert found["data", "switches"] == 1
        assert found["em", "switch_error"] == pytest.approx(0.096)
        assert found["em", "rate_winner_inferred"] == pytest.approx(20)

    def test_who_wins_after_the_pulse(self):
        """Three trials; what happens before the pulse ends does not count."""
        pulse = np.zeros((10, 3))
        pulse[4:6, 1] = 1
        pulsed = np.zeros((3, 10, 3))
        pulsed[:, :6, 0] = 100.0
        pulsed[:2, 6:, 1] = 20.0
        pulsed[2, 6:, 0] = 20.0
        assert metrics.wins({"target": 1, "first": 0, "pulse": pulse, "pulsed": pulsed}) == pytest.approx(2 / 3)

    def test_clusters(self):
        cases = {"names": ["a"], "a.k": np.array([3, 3, 4, 3]), "a.activity": np.full(2000, 17.0), "a.dt": 0.005}
        found = numbers(metrics.clustered(cases))
        assert found["clusters a", "share_k3"] == 0.75
        assert found["clusters a", "switches_per_minute"] == pytest.approx(2 * 60 / 10)
        assert found["clusters a", "rate"] == 17


def test_spikes_of_the_recording_and_of_a_model(recorded, tmp_path):
    """The fitted batches and the held-out window follow each other, without their histories; then the cells of a run."""
    trials.write(tmp_path / "trial.npz", recorded)
    raster = np.zeros((1000, 9), bool)
    raster[500, 4] = True
    files.write_arrays(tmp_path / "best.npz", spikes=raster, fine=0.0002, dataset="test")
    spikes_stage.run(trial=tmp_path / "trial.npz", runs=[tmp_path / "best.npz"], out=tmp_path / "spikes.npz")
    data, model = spikes.read_networks(tmp_path / "spikes.npz")
    assert (data.name, data.recorded, data.spikes.n_trials, data.spikes.n_cells) == ("recording", True, 1, 9)
    assert data.spikes.duration == pytest.approx((2 * 20 + 30) * DT)
    counts = spikes.bin_counts(data.spikes, DT)[0]
    np.testing.assert_array_equal(counts[:20], recorded.trial.spikes[0, 5:])
    np.testing.assert_array_equal(counts[20:40], recorded.trial.spikes[1, 5:])
    np.testing.assert_array_equal(counts[40:], recorded.held_out.spikes[0, 5:])
    assert (model.study, model.name, model.recorded, model.step) == ("neulvm", "best", False, 0.0002)
    assert (model.spikes.times.tolist(), model.spikes.cells.tolist()) == ([pytest.approx(0.1001)], [4])


@pytest.mark.parametrize(("embedded", "swept"), [(True, "d"), (False, "circuit of the config")])
def test_every_file_is_held_against_what_measures_it(monkeypatch, tmp_path, embedded, swept):
    """The table is made of one group per file, or per kind of files; here each group says of what it was made.

    Of a user's recording the circuit of the config is another circuit, and what is measured of it says so.
    """

    def says(name: str):
        def rows(*given):
            first = given[0] if isinstance(given[0], list) else [given[0]]
            yield name, " and ".join(getattr(each, "circuit", each) for each in first), 1.0, "", 1

        return rows

    for name in ("inferred", "parameters", "sampled", "diagnosed", "each_recording", "recovered", "clustered"):
        monkeypatch.setattr(metrics, name, says(name))
    monkeypatch.setattr(metrics, "binned", says("bins network"))
    for name in ("partitioned", "held_out", "log_likelihoods", "perturbed"):
        monkeypatch.setattr(
            metrics, name, lambda *given, name=name: [(name, "made", 1.0, "", 1), (name, "not", np.nan, "", 1)]
        )
    for name in ("inferred_by", "tried_by"):
        monkeypatch.setattr(metrics, name, lambda paths, name=name: [(name, {"of": " and ".join(x.stem for x in paths)})])
    monkeypatch.setattr(metrics.measurement, "ratios", lambda circuit, truth: [(f"{circuit} over {truth.sizes}", 1.0, "", 1)])
    monkeypatch.setattr(metrics.measurement, "free_run", lambda rates, dt, apart: [("rate_up", rates, "Hz", 1)])
    monkeypatch.setattr(metrics.files, "read_arrays", lambda path, *names: path.stem)
    monkeypatch.setattr(metrics.files, "read_table", lambda path: path.stem)
    monkeypatch.setattr(metrics.fitted, "read", lambda path: SimpleNamespace(circuit=path.stem))
    recorded = SimpleNamespace(dataset="d", trial="trial", circuit="trial")
    monkeypatch.setattr(metrics.trials, "read", lambda path: recorded)
    simulated = {"network": {"free": 19.0, "dt": 1}, "em": {"free": 21.0, "dt": 1}}
    monkeypatch.setattr(metrics.simulation, "read", lambda runs, rivals: simulated)
    one = (
        "trial",
        "best",
        "refined",
        "chosen",
        "latent",
        "samples",
        "intervals",
        "diagnostics",
        "baselines",
        "clusters",
        "binning",
    )
    two = ("fits", "known", "recovery", "recordings", "runs")
    metrics.run(
        **{name: Path(name) for name in one},
        **{name: [Path(f"{name}_{k}") for k in range(2)] for name in two},
        out=tmp_path / "metrics.parquet", facts=tmp_path / "facts.parquet", circuit=TRUE, particles=3,
        embedded=embedded, seed=2,
    )  # fmt: skip
    table, facts = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("metrics", "facts"))
    found = {(row.variant, row.metric): row.value for row in table.itertuples()}
    assert found == {
        ("inferred", "trial"): 1, ("parameters", "fits_0 and fits_1"): 1, ("sampled", "samples"): 1,
        ("diagnosed", "diagnostics"): 1, ("clustered", "clusters"): 1, ("bins network", "binning"): 1,
        **{("each_recording", f"recordings_{k}"): 1 for k in (0, 1)}, **{("recovered", f"recovery_{k}"): 1 for k in (0, 1)},
        **{(f"known {k}", f"known_{k} over {TRUE.sizes}"): 1 for k in (0, 1)},
        **{(name, "made"): 1 for name in ("partitioned", "held_out", "log_likelihoods", "perturbed")},
        ("network", "rate_up"): 19, ("em", "rate_up"): 21, ("em", "rate_up over network"): 2,
    }  # fmt: skip
    sources = dict(zip(table["variant"], table["dataset"], strict=True))
    assert (sources.pop("bins network"), set(sources.values())) == (swept, {"d"})
    assert dict(zip(facts["variant"], facts["value"], strict=True)) == {
        "inferred_by": "fits_0 and fits_1",
        "tried_by": "recordings_0 and recordings_1",
    }


@pytest.mark.parametrize(
    ("name", "signs", "label"),
    [
        ("rest_0", (1, 1, -1), "rest potential of E1"),
        ("mem_rate_2", (1, 1, -1), "membrane rate of I"),
        ("coupling_0_2", (1, 1, -1), "coupling of E1 to I"),
        ("coupling_0_2", (1, -1, -1), "coupling of E to I2"),
        ("coupling_0", (-1,), "coupling of population"),
    ],
)
def test_parameters_in_figures_are_named_by_what_their_populations_do(name, signs, label):
    circuit = SimpleNamespace(connectivity=[[sign] * len(signs) for sign in signs])
    assert figures._parameter(name, figures.populations(circuit)) == label


def test_couplings_of_single_connections_are_drawn_over_their_true_values():
    search = box.build(TRUE, Prior(weights="full"))
    exact = Fitted(search.circuit(search.vector(TRUE)), "exact", DT, 5, "d", {"loss": 1.0})
    figure = figures.parameters([exact], {"chosen": replace(exact, circuit=TRUE)}, TRUE, search.names, ["E1", "E2", "I"])
    dots, crosses = figure.axes[0].collections[0].get_offsets(), figure.axes[0].get_lines()[0].get_ydata()
    assert len(search.names) == len(dots) == 16
    np.testing.assert_allclose([dots[:, 1], crosses], 1)
    assert figure.axes[0].get_xticklabels()[4].get_text() == "coupling of E1 to I"


def test_a_single_start_of_a_single_population_is_drawn(tmp_path):
    """Four parameters of one fit: a loss for each, no colour."""
    one = dict.fromkeys(("mem_rate", "coupling", "rest", "threshold", "syn_rate", "typical_rates"), (9.0,))
    circuit = Circuit(sizes=(9,), connectivity=((-1.0,),), **one)
    search = box.build(circuit, Prior(coupling=((10.0, 50.0),)))
    fit = Fitted(circuit, "exact", DT, 5, "d", {"loss": -3.0})
    figure = figures.parameters([fit], {"chosen": fit}, circuit, search.names, ["population"])
    style.save(figure, tmp_path, "parameters", "d")
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), [[k, 1.0] for k in range(4)])


def test_the_first_iterations_of_a_short_fit_are_shown():
    log = pd.DataFrame({"iteration": 0, "step": ["M"] * 3 + ["E"] * 3, "number": [1, 2, 3] * 2, "start": 0})
    falls = [9.0, 5, 4, 3, 2, 1]
    figure = figures.losses([log.assign(loss_spikes=falls, loss_latent=falls)], 0)
    low, high = figure.axes[0].get_ylim()
    assert (low < 1, 3 < high < 5) == (True, True)


def test_baselines_have_one_colour_in_all_figures_and_no_model_is_cut_off():
    """The first one never switches: it has no curve of visits, and its colour all the same."""
    switching = np.repeat([[20.0, 5.0, 9.0], [5.0, 20.0, 9.0]], 300, axis=0)
    pulses = {"pulsed": np.full((2, 50, 3), 80.0), "pulse": np.zeros((50, 3)), "dt": 0.01}
    runs = {"network": {"free": np.tile(switching, (4, 1)), **pulses}, "glm": {"free": np.ones((2400, 3)), **pulses}}
    runs["hmm"] = runs["network"]
    dwell, responses = figures.dwell(runs, True).axes[0], figures.pulses(runs, ["E1", "E2", "I"]).axes[0]
    of_visits = {line.get_label().split()[0]: line.get_color() for line in dwell.lines}
    assert [of_visits[name] for name in ("glm", "hmm")] == [
        line.get_color() for line in responses.lines if line.get_label() in ("glm", "hmm")
    ]
    assert "glm (0)" in [line.get_label() for line in dwell.lines]
    figures.dwell({"glm": runs["glm"]}, True).draw_without_rendering()  # no visit at all: nothing has a logarithm
    assert responses.get_ylim()[1] > 80


def test_a_rate_beyond_the_axis_is_told():
    runs = {name: {"dt": 0.01, "free": np.full((500, 7), rate)} for name, rate in (("network", 20.0), ("glm", 60.0))}
    figure = figures.free(runs, list("abcdefg"))  # more populations than colours
    assert [axes.get_title("left") for axes in figure.axes] == ["hidden network", "glm, up to 60 Hz"]


def test_the_band_of_each_panel_is_that_of_all_its_curves(rng):
    """Of the twelve parameters of a right posterior the farthest leaves the band of a single one in four of ten cases."""
    n, drawn = 60, np.random.default_rng(0).random((2000, 12, 60))
    found = {"joint": rng.random(n), "ranks": rng.random((n, 12)), "tarp": np.array([[0.0, 1.0], [0.0, 1.0]])}
    many, *single = [panel.collections[0].get_paths()[0].vertices[:, 1].max() - 1 for panel in figures.calibrated(found).axes]
    distance = np.abs(np.sort(drawn) - (np.arange(n) + 0.5) / n).max(2)
    assert np.mean(distance.max(1) > many) < 0.05
    assert single == pytest.approx([calibration.band(n)] * 2)
    assert np.mean(distance.max(1) > single[0]) > 0.3
