"""rate2lif: training, search, simulation and measures as stages; the commands of the page; slow: networks that convert."""

import io
import re
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat

from respike import __main__ as program
from respike.core import measures, spikes
from respike.rate2lif import conversion, lif, tasks
from respike.rate2lif import network as networks
from respike.rate2lif.params import Lif, Search, Simulation, Training, scheduled
from respike.rate2lif.stages import data, fit, metrics, search, simulate
from respike.rate2lif.tasks import TASKS
from tests.rate2lif_small import SMALL, untrained

PLACE = (3, "a network")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    fit.train(folder, SMALL, (*PLACE, "fit"), "cpu")
    return folder


def test_training_writes_the_published_fields(trained):
    fields = loadmat(trained / "network.mat")
    named = "w w0 w_in w_in0 w_out b_out m som_m N exc inh som_N taus taus_gaus taus_gaus0 activation losses tr eval_perf_mean"
    missing = set(f"{named} eval_loss_mean eval_os eval_labels u target x r o x0 r0".split()) - set(fields)
    assert not missing
    assert fields["eval_os"].shape == (100, 199)
    assert fields["x"].shape == (200, 12)
    assert (fields["w"] >= 0).all()


def test_killed_training_goes_on_where_it_was(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("respike.core.training.SAVE_SECONDS", -1.0)
    whole_step = fit.Trainer.step
    monkeypatch.setattr(fit.Trainer, "step", lambda self, number: 1 / 0 if number == 2 else whole_step(self, number))
    with pytest.raises(ZeroDivisionError):
        fit.train(tmp_path, SMALL, (*PLACE, "fit"), "cpu")
    assert not (tmp_path / "network.mat").exists()
    monkeypatch.setattr(fit.Trainer, "step", whole_step)
    fit.train(tmp_path, SMALL, (*PLACE, "fit"), "cpu")
    for name in ("network.mat", "activity.npz"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_stop_rule():
    trainer = fit.Trainer(replace(SMALL, least_trials=10), (0,), "cpu")
    good = {"check_loss": 0.5, "check_accuracy": 0.96, "trials": 11}
    assert trainer.is_done(good)
    for worse in ({"check_loss": 1.5}, {"check_accuracy": 0.95}, {"trials": 10}, {"check_loss": np.nan}):
        assert not trainer.is_done({**good, **worse})


@pytest.mark.parametrize("trials", [4, 7, 8])
def test_shortest_training_is_checked(tmp_path, trials):
    settings = replace(SMALL, batch=4, trials=trials, check_every=200)
    fit.train(tmp_path, settings, PLACE, "cpu")
    history = pd.read_parquet(tmp_path / "history.parquet")
    assert history["check_loss"].notna().sum() == 1
    name = metrics.Name("short", 0, "go-nogo")
    measured = {one.metric: one.value for one in metrics.of_training(name, history, settings)}
    assert measured["trials to train"] == 4 * (trials // 4)
    assert np.isfinite(measured["rate loss"])


def test_training_without_an_update_is_refused():
    with pytest.raises(ValueError, match=r"trials = 3: expected at least batch = 4"):
        replace(SMALL, batch=4, trials=3)


def test_reference_trainer_follows_the_published_schedule():
    settings = scheduled(replace(SMALL, trainer="reference", batch=16, stop_loss=0.1))
    assert (settings.batch, settings.check_every, settings.stop_loss, settings.least_trials) == (1, 100, 7.0, 1500)
    assert scheduled(replace(SMALL, trainer="reference", task="xor")).least_trials == 0
    assert scheduled(SMALL) == SMALL


@pytest.fixture(scope="module")
def converted(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    search.find(trained, folder, "go-nogo", Search(trials=2, scales=(20.0, 5.0)), Lif(), (*PLACE, "search"))
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    return folder


def test_network_that_no_scale_converts_is_reported_and_kept(trained, tmp_path, capsys):
    search.find(trained, tmp_path, "go-nogo", Search(trials=6, scales=(1e6,)), Lif(), PLACE)
    assert "does not convert: no scale reaches 95%" in capsys.readouterr().out
    assert loadmat(tmp_path / "scaled.mat")["opt_scaling_factor"] == 1e6


def test_search_adds_the_published_fields(converted):
    fields = loadmat(converted / "scaled.mat")
    np.testing.assert_array_equal(fields["scaling_factors"], [[20.0, 5.0]])
    assert fields["all_perfs"].shape == (2, 1)
    assert fields["opt_scaling_factor"] == fields["scaling_factors"][0, np.argmax(fields["all_perfs"])]


def test_first_maximum_wins():
    found = pd.DataFrame({"scale": [30, 20, 25] * 2, "correct": [False, True, True, True, True, True]})
    assert conversion.best(found) == 20


def test_least_squares_finds_the_scale_that_was_put_in(rng):
    """With rates that are the LIF rates divided by 12, the fit answers 12 whatever the network."""
    small = untrained(rng)
    drawn = tasks.draw(TASKS["go-nogo"], rng, search.FITTED_TRIALS)
    still = replace(small, w=np.zeros((12, 12)), w_in=20 * np.abs(small.w_in) + 30)
    options, wiring, inputs = Lif(), [lif.wire(still, 1.0, Lif())], tasks.extra_column(drawn.inputs)
    seen = [
        lif.rates(lif.run(wiring, lif.drive(still, inputs[:, k], options, 0, "fit", k), options)[0], options)
        for k in range(search.FITTED_TRIALS)
    ]
    shown = {"inputs": drawn.inputs, "mean_rate": np.array(seen) / 12}
    assert search.least_squares(still, shown, options, (0,)) == pytest.approx(12)


def test_narrow_search_tries_values_around_the_fit(trained, tmp_path):
    search.find(trained, tmp_path, "go-nogo", Search(method="narrow", trials=1), Lif(), PLACE)
    tried = pd.read_parquet(tmp_path / "search.parquet")["scale"].unique()
    np.testing.assert_allclose(tried / tried[3], search.AROUND, atol=1e-3)


def test_simulation_needs_the_searched_network(trained):
    with pytest.raises(ValueError, match="no field opt_scaling_factor; run rate2lif.search"):
        simulate.scale_of(trained / "network.mat", networks.read(trained / "network.mat"))


def test_simulation_and_metrics(converted, tmp_path):
    settings = Simulation(trials=6, recorded=6, shown_scales=(5.0,))
    conditions = {"standard": Lif(), "half": Lif(downsample=2)}
    simulate.run_network(converted, tmp_path, "go-nogo", settings, conditions, PLACE)
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    found = metrics.of_network("small_0", tmp_path, {"small": SMALL})
    table = measures.table("rate2lif", found).set_index("metric")
    assert table.loc["LIF accuracy", "value"] == 100 * trials[trials["condition"] == "standard"]["correct"].mean()
    assert table.loc["LIF accuracy, half", "n"] == 6
    assert table.loc["cells", "value"] == 12
    assert set(table["dataset"]) == {"go-nogo, network trained here"}
    fired = spikes.read(tmp_path / "spikes.npz")
    assert (fired.n_trials, fired.n_cells, fired.duration) == (6, 12, pytest.approx(1.0))
    with np.load(tmp_path / "shown.npz") as shown:
        assert shown["output"].shape == (6, 1000)
        assert shown["filtered"].shape == (6, 200, 12)
        one = int(np.sum(fired.trial == 0))
        rate = shown["filtered"][0].mean() * 12
    assert rate == pytest.approx(one, rel=0.5)


def test_given_network_takes_the_place_of_a_training(trained, tmp_path):
    data.take(tmp_path, trained / "network.mat", SMALL, PLACE)
    given, ours = networks.read(tmp_path / "network.mat"), networks.read(trained / "network.mat")
    np.testing.assert_array_equal(given.recurrent(), ours.recurrent())
    assert pd.read_parquet(tmp_path / "history.parquet")["trials"].iloc[0] == SMALL.trials
    with np.load(tmp_path / "activity.npz") as played:
        assert played["origin"] == "network given (network.mat)"


def test_given_network_of_another_task_is_refused(trained, tmp_path):
    archive, settings = tmp_path / "small_0-0.zip", replace(SMALL, task="mante")
    with pytest.raises(
        ValueError, match=r"w_in has 1 columns, but task mante has 4 inputs; .*variants\.small\.training\.task"
    ):
        data.run(source=trained / "network.mat", archive=archive, settings=settings, seed=0)
    assert not list(tmp_path.rglob("*.*"))


CONVERTING = {
    "gonogo": Training("go-nogo"),
    "xor": Training("xor", cells=100, taus=(4.0, 25.0), trials=12000, stop_loss=4.0),
    "mante": Training("mante", cells=100, stop_loss=4.6),
}
GRID = Search(trials=60, scales=(20.0, 25.0, 30.0, 35.0, 40.0, 45.0))  # the published grid up to where nothing works any more


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "replica"), [("gonogo", 0), ("gonogo", 1), ("gonogo", 2), ("xor", 1), ("mante", 0)], ids=str
)
def test_trained_network_converts(tmp_path, variant, replica):
    """Judged on trials that the search did not see."""
    settings, place = CONVERTING[variant], (0, "rate2lif", "fit", variant, replica)
    fit.train(tmp_path, settings, place, "cpu")
    search.find(tmp_path, tmp_path, settings.task, GRID, Lif(), place)
    trained = networks.read(tmp_path / "scaled.mat")
    trials, scale = simulate.shown_trials(tmp_path / "activity.npz", 60), simulate.scale_of(tmp_path / "scaled.mat", trained)
    runs = simulate.play(trained, trials, scale, Lif(), (0, "judged", replica))
    assert conversion.table(trials, TASKS[settings.task], runs, scale, Lif())["correct"].mean() >= 0.95


def commands_of_the_page() -> list[list[str]]:
    """The commands in the page of the study, as lists of words."""
    page = (Path(__file__).resolve().parents[1] / "docs/rate2lif.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line)[3:] for line in block.splitlines()]


def test_the_commands_of_the_page_run_on_a_file_of_ones_own(trained, tmp_path, monkeypatch, capsys):
    shutil.copy(trained / "network.mat", tmp_path / "mine.mat")
    monkeypatch.chdir(tmp_path)
    assert [program.main(command) for command in commands_of_the_page()] == [0, 0, 0, 0]
    assert "mine_0: best 1/lambda" in capsys.readouterr().out
    table = pd.read_parquet("mine/metrics.parquet")
    assert set(table["dataset"]) == {"go-nogo, network given (mine.mat)"}
    assert {"LIF accuracy", "LIF accuracy, refractory 0", "best scale"} <= set(table["metric"])
    with zipfile.ZipFile("mine/searches/mine_0-0.zip") as archive:
        assert loadmat(io.BytesIO(archive.read("mine_0/scaled.mat")))["opt_scaling_factor"] in (20, 25, 30)


def test_bad_file_of_ones_own_is_refused_by_the_command_and_leaves_nothing(trained, tmp_path, monkeypatch, capsys):
    fields = {name: value for name, value in loadmat(trained / "network.mat").items() if not name.startswith("__")}
    savemat(tmp_path / "mine.mat", {**fields, "w": np.full((12, 12), np.nan)})
    monkeypatch.chdir(tmp_path)
    assert program.main(commands_of_the_page()[0]) == program.REFUSED
    assert "mine.mat: field w[0, 0] is nan, expected finite numbers" in capsys.readouterr().err
    assert not list((tmp_path / "mine").rglob("*.*"))
