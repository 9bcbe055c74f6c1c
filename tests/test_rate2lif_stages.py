"""rate2lif: the stages one after the other on small networks; the commands of the page; slow: networks that convert."""

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
import torch
from scipy import stats
from scipy.io import loadmat, savemat

from respike import __main__ as program
from respike.core import files, measures, seeds, spikes, statistics
from respike.rate2lif import activity, archives, conversion, fitted, learning, lif, tasks
from respike.rate2lif.network import Network
from respike.rate2lif.params import Condition, Lif, Search, Simulation, Training, scheduled
from respike.rate2lif.stages import data, figures, fit, metrics, search, simulate
from respike.rate2lif.stages import spikes as spikes_stage
from respike.rate2lif.tasks import TASKS
from tests.rate2lif_small import SMALL, untrained

STREAM = (3, "a network")
ARCHIVE = "small_0-1.zip"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Archives of two small networks: trained, searched, simulated."""
    folder = tmp_path_factory.mktemp("results")
    networks, searches, trials = (folder / kind / ARCHIVE for kind in ("networks", "searches", "trials"))
    fit.run(out=networks, variant="small", first=0, last=1, settings=SMALL, seed=3, device="cpu")
    grid = Search(trials=2, scales=(20.0, 5.0))
    search.run(networks=networks, out=searches, settings=grid, options=Lif(), seed=3)
    simulate.run(
        networks=networks,
        searches=searches,
        out=trials,
        settings=Simulation(trials=6, recorded=6, shown_scales=(5.0,)),
        conditions=[Condition("standard"), Condition("half", Lif(downsample=2))],
        seed=3,
    )
    return folder


@pytest.fixture(scope="module")
def files_of(results, tmp_path_factory):
    """A folder with all files of the first network."""
    folder = tmp_path_factory.mktemp("files")
    source = archives.Archives(*(results / kind / ARCHIVE for kind in ("networks", "searches", "trials")))
    with source.unpacked(source.names[0]) as unpacked:
        shutil.copytree(unpacked, folder, dirs_exist_ok=True)
    return folder


def test_training_writes_the_published_fields(files_of):
    fields = loadmat(files_of / "network.mat")
    named = "w w0 w_in w_in0 w_out b_out m som_m N exc inh som_N taus taus_gaus taus_gaus0 activation losses tr eval_perf_mean"
    missing = set(f"{named} eval_loss_mean eval_os eval_labels u target x r o x0 r0".split()) - set(fields)
    assert not missing
    assert fields["eval_os"].shape == (100, 199)
    assert fields["x"].shape == (200, 12)
    assert (fields["w"] >= 0).all()


def test_replicas_start_and_end_differently(results):
    networks = [fitted.read(folder / "network.mat") for _, folder in archives.Archives(results / "networks" / ARCHIVE)]
    assert (networks[0].w0 != networks[1].w0).any()
    assert (networks[0].w != networks[1].w).any()


def test_killed_training_goes_on_where_it_was(results, tmp_path, monkeypatch):
    archive, whole_step = tmp_path / ARCHIVE, learning.Trainer.step
    options = {"out": archive, "variant": "small", "first": 0, "last": 1, "settings": SMALL, "seed": 3, "device": "cpu"}
    monkeypatch.setattr("respike.core.training.SAVE_SECONDS", -1.0)
    monkeypatch.setattr(learning.Trainer, "step", lambda self, number: 1 / 0 if number == 2 else whole_step(self, number))
    with pytest.raises(ZeroDivisionError):
        fit.run(**options)
    assert not archive.exists()
    taken = []
    monkeypatch.setattr(learning.Trainer, "step", lambda self, number: taken.append(number) or whole_step(self, number))
    fit.run(**options)
    assert taken == [2, 3, 0, 1, 2, 3]
    assert archive.read_bytes() == (results / "networks" / ARCHIVE).read_bytes()


def test_every_update_and_every_check_has_random_numbers_of_its_own(tmp_path, monkeypatch):
    streams, play = [], activity.play

    def noted(module, task, rng, n_trials):
        streams.append(rng.bit_generator.state["state"]["state"])
        return play(module, task, rng, n_trials)

    monkeypatch.setattr(activity, "play", noted)
    learning.train(SMALL, STREAM, "cpu", tmp_path / "network")
    *training, trained, untrained = streams
    assert len(training) == 4 + 2  # updates, checks
    assert len({*training, trained}) == 7
    assert trained == untrained  # shown on the same trials


def test_stop_rule():
    trainer = learning.Trainer(replace(SMALL, least_trials=10), (0,), "cpu")
    good = {"check_loss": 0.5, "check_accuracy": 0.96, "trials": 11}
    assert trainer.is_done(good)
    for worse in ({"check_loss": 1.5}, {"check_accuracy": 0.95}, {"trials": 10}, {"check_loss": np.nan}):
        assert not trainer.is_done({**good, **worse})


@pytest.mark.parametrize("trials", [4, 7, 8])
def test_shortest_training_is_checked(tmp_path, trials):
    settings = replace(SMALL, batch=4, trials=trials, check_every=200)
    history = learning.train(settings, STREAM, "cpu", tmp_path / "network").history
    assert history["check_loss"].notna().sum() == 1
    origin = metrics.Origin("short", 0, "go-nogo")
    measured = {one.metric: one.value for one in metrics.of_training(origin, history, settings)}
    assert measured["trials to train"] == 4 * (trials // 4)
    assert np.isfinite(measured["rate loss"])


def test_training_without_an_update_is_refused():
    with pytest.raises(ValueError, match=r"trials = 3: expected at least batch = 4"):
        replace(SMALL, batch=4, trials=3)
    assert scheduled(replace(SMALL, trainer="reference", batch=4, trials=3)).batch == 1


def test_reference_trainer_follows_the_published_schedule():
    settings = scheduled(replace(SMALL, trainer="reference", batch=16, stop_loss=0.1))
    assert (settings.batch, settings.check_every, settings.stop_loss, settings.least_trials) == (1, 100, 7.0, 1500)
    assert scheduled(replace(SMALL, trainer="reference", task="xor")).least_trials == 0
    assert scheduled(SMALL) == SMALL


def test_network_that_no_scale_converts_is_reported_and_kept(results, tmp_path, capsys):
    settings = Search(trials=6, scales=(1e6,))
    networks, out = results / "networks" / ARCHIVE, tmp_path / ARCHIVE
    search.run(networks=networks, out=out, settings=settings, options=Lif(), seed=3)
    assert "small_1: best 1/lambda 1e+06" in capsys.readouterr().out
    for _, folder in archives.Archives(out):
        assert loadmat(folder / "scaled.mat")["opt_scaling_factor"] == 1e6


def test_report_says_whether_a_network_converts(capsys):
    shares = pd.DataFrame({"scale": [20.0] * 20 + [25.0] * 20, "correct": [True] * 18 + [False] * 2 + [True] * 20})
    search.report("a_0", shares)
    assert capsys.readouterr().out.splitlines()[-1] == "a_0: best 1/lambda 25, 100% correct; converts"
    search.report("a_0", shares[:20])
    assert capsys.readouterr().out.splitlines()[-1].endswith("90% correct; does not convert: no scale reaches 95%")


def test_search_adds_the_published_fields(files_of):
    fields = loadmat(files_of / "scaled.mat")
    np.testing.assert_array_equal(fields["scaling_factors"], [[20.0, 5.0]])
    assert fields["all_perfs"].shape == (2, 1)
    assert fields["opt_scaling_factor"] == fields["scaling_factors"][0, np.argmax(fields["all_perfs"])]


def test_first_maximum_wins():
    tried = pd.DataFrame({"scale": [30, 20, 25] * 2, "correct": [False, True, True, True, True, True]})
    assert conversion.best(tried) == 20


def test_least_squares_finds_the_scale_that_was_put_in(rng):
    """With rates that are the LIF rates divided by 12, the fit answers 12 whatever the network."""
    small, count = untrained(rng), conversion.FITTED_TRIALS
    inputs = tasks.draw(TASKS["go-nogo"], rng, count).inputs
    still = replace(small, w=np.zeros((12, 12)), w_in=20 * np.abs(small.w_in) + 30)
    options, wiring, columns = Lif(), [lif.wire(still, 1.0, Lif())], tasks.extra_column(inputs)
    drives = [lif.drive(still, columns[:, k], options, 0, "fit", k) for k in range(count)]
    rates = np.array([lif.rates(lif.simulate(wiring, drive, options)[0], options) for drive in drives])
    assert conversion.least_squares(still, inputs, rates / 12, options, (0,)) == pytest.approx(12)


def test_narrow_search_tries_values_around_the_fit(results, tmp_path):
    settings, networks = Search(method="narrow", trials=1), results / "networks" / ARCHIVE
    search.run(networks=networks, out=tmp_path / ARCHIVE, settings=settings, options=Lif(), seed=3)
    for _, folder in archives.Archives(tmp_path / ARCHIVE):
        tried = pd.read_parquet(folder / "search.parquet")["scale"].unique()
        np.testing.assert_allclose(tried / tried[3], search.AROUND, atol=1e-3)


def test_simulation_needs_the_searched_network(files_of):
    with pytest.raises(ValueError, match="no field opt_scaling_factor; run rate2lif.search"):
        fitted.read_scaled(files_of / "network.mat")


def test_measures_are_those_of_the_files(results, files_of, tmp_path):
    kinds = {kind: [results / kind / ARCHIVE] for kind in ("networks", "searches", "trials")}
    metrics.run(**kinds, training={"small": SMALL}, out=tmp_path / "metrics.parquet", facts=tmp_path / "facts.parquet")
    table = pd.read_parquet(tmp_path / "metrics.parquet")
    assert set(table["seed"]) == {0, 1}
    assert set(table["dataset"]) == {"trained here"}
    first = table[table["seed"] == 0].set_index("metric")
    trials = pd.read_parquet(files_of / "trials.parquet")
    assert first.loc["LIF accuracy", "value"] == 100 * trials[trials["condition"] == "standard"]["correct"].mean()
    assert first.loc["LIF accuracy, half", "n"] == 6
    assert first.loc["cells", "value"] == 12
    with np.load(files_of / "activity.npz") as shown:
        error = shown["output"] - shown["target"][:-1]
    assert first.loc["final loss", "value"] == pytest.approx(np.sqrt((error**2).sum(0)).mean())
    found = pd.read_parquet(tmp_path / "facts.parquet").set_index("fact")["value"]
    assert (found["smallest_scale"], found["largest_scale"], found["trained"]) == ("5", "20", "0")


@pytest.mark.parametrize(("loss", "accuracy", "is_trained"), [(0.5, 0.96, True), (1.5, 0.96, False), (0.5, 0.95, False)])
def test_a_network_is_trained_when_its_last_check_met_the_stop_rule(files_of, tmp_path, loss, accuracy, is_trained):
    """The last check counts, whatever the training did after it."""
    shutil.copytree(files_of, tmp_path, dirs_exist_ok=True)
    checks = {"check_loss": [9.0, loss, np.nan], "check_accuracy": [0.5, accuracy, np.nan]}
    files.write_table(tmp_path / "history.parquet", pd.DataFrame({"loss": 3.0, "trials": [2, 4, 6], **checks}))
    measured = {one.metric: one for one in metrics.of_network(archives.Name("small", 0), tmp_path, SMALL)}
    assert (measured["trained"].value, measured["rate loss"].value) == (100 * is_trained, loss)


@pytest.mark.parametrize(("trials", "is_trained"), [(1500, False), (1501, True), (np.nan, True)])
def test_the_stop_rule_of_a_table_is_that_of_the_training(trials, is_trained):
    """Go-NoGo as published, not before trial 1,501; of a given network nobody may know how long it was trained."""
    history = pd.DataFrame({"check_loss": [1.7], "check_accuracy": [1.0], "trials": [trials]})
    settings = scheduled(Training("go-nogo", trainer="reference"))
    assert metrics.is_trained(history, settings) == is_trained


@pytest.mark.parametrize(("correct", "converts"), [(19, 100), (18, 0)])
def test_networks_that_the_search_converts(correct, converts):
    """95 % of 20 trials at the best of two scales, on the trials that chose it."""
    tried = pd.DataFrame(
        {
            "scale": [20.0] * 20 + [25.0] * 20,
            "trial": [*range(20)] * 2,
            "correct": [0] * 20 + [1] * correct + [0] * (20 - correct),
        }
    )
    measured = {one.metric: one for one in metrics.of_search(metrics.Origin("a", 0, "b"), tried, "sigmoid")}
    assert (measured["converted in the search"].value, measured["converted in the search"].n) == (converts, 20)
    assert measured["best accuracy in the search"].value == 5 * correct
    assert measured["best scale"].value == 25


def test_shares_converted_by_loss(tmp_path, monkeypatch):
    """Two like variants are counted together, bin by bin, with the limits that the beta distribution gives."""
    networks = {"short": [(0.45, 1), (0.5, 0), (0.7, 0), (3.0, 0)], "long": [(0.15, 1), (0.75, 1)], "other": [(0.25, 0)]}
    rows = []
    for variant, each in {**networks, "given": [(5.0, 1)], "another": [(6.0, 0)]}.items():
        for replica, (loss, converted) in enumerate(each):
            origin = metrics.Origin(variant, replica, "go-nogo")
            rows += [
                origin.measure(name, value, "1", 100)
                for name, value in (("final loss", loss), ("best accuracy in the search", 50))
            ]
            rows.append(origin.measure("converted in the search", 100 * converted, "%", 100))
    kind = {"trainer": "batched", "activation": "sigmoid", "smallest_tau": 20.0, "largest_tau": 50.0, "cells": 200}
    told = [("short", kind), ("long", kind), ("other", {**kind, "activation": "softplus"})]
    drawn = []
    monkeypatch.setattr(figures.style, "save", lambda figure, *about: drawn.append((figure, about)))
    table, facts = measures.table("rate2lif", rows), measures.facts("rate2lif", told)
    figures.training_loss(table, facts, ["short", "long", "other", "given", "another"], tmp_path)
    ((figure, (_, name, dataset)),) = drawn
    assert (name, dataset) == ("training_loss", "go-nogo")
    left, right = figure.axes
    found = [bars.lines[0].get_xydata().tolist() for bars in left.containers]
    assert found == [[[6, 0]], [[5, 100]], [[0.15, 100], [0.6, 50], [3, 0]], [[0.25, 0]]]
    (spans,) = left.containers[2].lines[2]
    low, high = stats.beta.ppf(0.025, 2, 3), stats.beta.ppf(0.975, 3, 2)  # 2 of 4
    expected = [(2.5, 100), (100 * low, 100 * high), (0, 97.5)]
    np.testing.assert_allclose([segment[:, 1] for segment in spans.get_segments()], expected)
    published = [line.get_ydata()[0] for line in left.lines if line.get_linestyle() == "--"]
    assert published == [*[pytest.approx(np.nan, nan_ok=True)] * 2, 94, 55]
    assert [line.get_label() for line in right.lines[:4]] == [
        "another: 1",
        "given: 1",
        "sigmoid, 20, 50, 200: 6",
        "softplus, 20, 50, 200: 1",
    ]


def test_bars_of_shares_are_exact_intervals_and_activations_are_drawn_as_published(tmp_path, monkeypatch):
    """One network of four is trained, all convert: limits by the beta distribution; the search has a higher accuracy."""
    rows = []
    for replica, trained in enumerate((100, 0, 0, 0)):
        found = {"trained": trained, "converted": 100, "cells": 200, "best scale": 30, "best accuracy in the search": 90}
        found |= dict.fromkeys(("rate accuracy", "LIF accuracy", "trials to train"), 80)
        rows += [metrics.Origin("soft_one", replica, "d").measure(name, value, "1", 100) for name, value in found.items()]
    drawn, table = {}, measures.table("rate2lif", rows)
    monkeypatch.setattr(figures.style, "save", lambda figure, folder, name, about: drawn.update({name: figure}))
    figures.sizes(table, ["soft_one"], tmp_path)
    trained, converted = drawn["fig1_fig2_sizes"].axes[1].containers
    limits = [100 * stats.beta.ppf(q, a, b) for q, a, b in ((0.025, 1, 4), (0.975, 2, 3), (0.025, 4, 1))]
    np.testing.assert_allclose(trained.lines[2][0].get_segments()[0][:, 1], limits[:2])
    np.testing.assert_allclose(converted.lines[2][0].get_segments()[0][:, 1], (limits[2], 100))
    figures.bars(table, ["soft_one"], "bars", "t", tmp_path, figures.BEST, {"soft_one": "softplus"})
    (axes,) = drawn["bars"].axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["softplus\n1/λ = 30"]
    assert [bar.get_height() for bar in axes.patches] == [80, 90]


def test_components_hold_the_share_that_was_put_in():
    """Courses of five orthogonal directions of known variance: three of them hold (4 + 3 + 2) / 11 of it."""
    power = np.array([4.0, 3.0, 2.0, 1.0, 1.0])
    waves = np.sqrt(2) * np.stack([np.cos(2 * np.pi * k * np.arange(100) / 100) for k in range(1, 6)], axis=1)
    course = (7 + waves * np.sqrt(power))[None]
    origin = metrics.Origin("a", 0, "b")
    rate, lif_share = metrics.of_components(origin, course, np.concatenate([course, course]))
    assert (rate.value, lif_share.value) == (pytest.approx(100 * 9 / 11), pytest.approx(100 * 9 / 11))
    assert (rate.n, lif_share.n) == (100, 200)


def test_rates_by_kind_of_cell_and_of_trial():
    """Two excitatory cells, one SST, one other inhibitory, in three of four trials of 2 s: each rate rests on as many cells
    as there are of its kind, times trials of its kind.
    """
    n = np.zeros((4, 4))
    inhibitory, taus = np.array([False, False, True, True]), (4.0, 20.0)
    network = Network(n, n, n[:, :1], n[0], 0.0, n[0], n, inhibitory, taus, n[0], sst_cells=1)
    go = [(0.1, 0, 0), (0.2, 2, 0), (0.3, 2, 0), (0.5, 1, 2), (0.6, 1, 2)]  # time, cell, trial
    times, cells, trials = np.array([*go, (1.9, 0, 1), (1.0, 3, 1)]).T
    fired = spikes.Spikes(times, cells.astype(int), 4, 2.0, trials.astype(int), 3)
    rates = np.array([[2.0, 3, 1, 0], [2.0, 1, 2, 5], [5.0, 2, 3, 1], [9.0, 9, 9, 9]])
    activity = {"group": np.array(["Go", "NoGo", "Go", "NoGo"]), "mean_rate": rates}
    measured = metrics.of_rates(metrics.Origin("a", 0, "b"), network, fired, activity)
    found = {one.metric.removeprefix("mean rate, "): (one.value, one.n) for one in measured}
    correlation = np.corrcoef([3, 2, 2, 2], [2 / 6, 2 / 6, 2 / 6, 1 / 6])[0, 1]
    assert found == {
        "excitatory, Go": (3 / 8, 4),
        "excitatory, NoGo": (1 / 4, 2),
        "inhibitory, Go": (0.0, 2),
        "inhibitory, NoGo": (1 / 2, 1),
        "SST, Go": (2 / 4, 2),
        "SST, NoGo": (0.0, 1),
        "correlation of rates": (pytest.approx(correlation), 4),
    }


def test_recorded_trials(files_of):
    fired = spikes.read(files_of / "spikes.npz")
    assert (fired.n_trials, fired.n_cells, fired.duration) == (6, 12, pytest.approx(1.0))
    with np.load(files_of / "shown.npz") as shown:
        assert shown["output"].shape == (6, 1000)
        assert shown["filtered"].shape == (6, 200, 12)
        per_cell = shown["filtered"][0].mean() * 12
    assert per_cell == pytest.approx(int(np.sum(fired.trial == 0)), rel=0.5)


def test_trials_of_a_simulation_have_their_own_noise_and_spikes(files_of):
    """Trials of one kind have the same stimulus; noise and start alone tell them apart. Conditions run the same trials."""
    trials = pd.read_parquet(files_of / "trials.parquet")
    alike = trials[(trials["condition"] == "standard") & (trials["group"] == trials["group"].mode()[0])]
    assert len(alike) >= 3
    assert alike["mean"].is_unique
    by_condition = [rows["wanted"].tolist() for _, rows in trials.groupby("condition")]
    assert by_condition[0] == by_condition[1]


def test_spikes_for_the_reports_are_those_of_the_first_network(results, files_of, tmp_path):
    spikes_stage.run(trials=[results / "trials" / ARCHIVE], out=tmp_path / "spikes.npz")
    (network,) = spikes.read_networks(tmp_path / "spikes.npz")
    assert (network.study, network.name, network.recorded, network.step) == ("rate2lif", "small", False, 5e-5)
    expected = spikes.read(files_of / "spikes.npz")
    np.testing.assert_array_equal(network.spikes.times, expected.times)
    np.testing.assert_array_equal(statistics.rate(network.spikes), statistics.rate(expected))


def test_given_network_takes_the_place_of_a_training(files_of, tmp_path):
    source, out = files_of / "network.mat", tmp_path / ARCHIVE
    data.run(source=source, out=out, variant="small", first=0, last=1, settings=SMALL, seed=0)
    for _, folder in archives.Archives(out):
        given, ours = fitted.read(folder / "network.mat"), fitted.read(source)
        np.testing.assert_array_equal(given.recurrent(), ours.recurrent())
        assert pd.read_parquet(folder / "history.parquet")["trials"].iloc[0] == SMALL.trials
        with np.load(folder / "activity.npz") as shown:
            assert shown["origin"] == "network given (network.mat)"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("som_N", [], r"field som_N is \[\], expected one number \(or no such field\)"),
        ("som_N", 0.5, r"field som_N is 0\.5, expected 0 to \d+, the number of inhibitory cells"),
        ("som_N", 2, r"fields som_N, 2, and som_m disagree"),
        ("activation", [], r"field activation is \[\], expected one word"),
        ("tr", "many", r"field tr is \['many'\], expected one number"),
    ],
)
def test_given_network_with_an_odd_field_is_refused(files_of, tmp_path, name, value, expected):
    fields = {key: value for key, value in loadmat(files_of / "network.mat").items() if not key.startswith("__")}
    savemat(tmp_path / "mine.mat", {**fields, name: value})
    options = {"variant": "small", "first": 0, "last": 0, "settings": SMALL, "seed": 0}
    with pytest.raises(ValueError, match=rf"mine\.mat: {expected}"):
        data.run(source=tmp_path / "mine.mat", out=tmp_path / ARCHIVE, **options)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["mine.mat"]


def test_given_network_whose_file_does_not_say_how_long_it_was_trained(files_of, tmp_path):
    """It was told as trained with 0 trials."""
    fields = {key: value for key, value in loadmat(files_of / "network.mat").items() if not key.startswith("__")}
    savemat(tmp_path / "mine.mat", {key: value for key, value in fields.items() if key != "tr"})
    given = learning.adopt(tmp_path / "mine.mat", "small", SMALL, STREAM)
    origin = metrics.Origin("small", 0, "mine.mat")
    assert np.isnan({one.metric: one.value for one in metrics.of_training(origin, given.history, SMALL)}["trials to train"])


@pytest.mark.parametrize("named", ["softplus", None], ids=["in the file", "in the config"])
def test_given_network_has_the_activation_of_its_file_else_of_the_config(files_of, tmp_path, named):
    """It ran as sigmoid where the config alone named another, and its search was judged by the grid of the config's."""
    fields = {key: value for key, value in loadmat(files_of / "network.mat").items() if not key.startswith("__")}
    fields = {**fields, "activation": "softplus"} if named else {k: v for k, v in fields.items() if k != "activation"}
    savemat(tmp_path / "mine.mat", fields)
    settings = SMALL if named else replace(SMALL, activation="softplus")
    given = learning.adopt(tmp_path / "mine.mat", "small", settings, STREAM)
    assert given.network.activation == "softplus"
    folder = shutil.copytree(files_of, tmp_path / "files")
    fitted.write(folder / "scaled.mat", given.network)
    scales = [*metrics.UNBOUNDED_GRID, 30.0]  # half of the trials are right within the published grid, all beyond it
    rows = [{"trial": trial, "scale": scale, "correct": scale == 30 or trial == 1} for scale in scales for trial in (0, 1)]
    files.write_table(folder / "search.parquet", pd.DataFrame(rows))
    found = {one.metric: one.value for one in metrics.of_network(archives.Name("small", 0), folder, SMALL)}
    assert found["best accuracy in the search"] == 50


def test_given_network_of_another_task_is_refused(files_of, tmp_path):
    options = {"variant": "small", "first": 0, "last": 0, "settings": replace(SMALL, task="mante"), "seed": 0}
    with pytest.raises(
        ValueError, match=r"w_in has 1 columns, but task mante has 4 inputs; .*variants\.small\.training\.task"
    ):
        data.run(source=files_of / "network.mat", out=tmp_path / ARCHIVE, **options)
    assert not list(tmp_path.rglob("*.*"))


CONVERTING = {
    "gonogo": Training("go-nogo"),
    "xor": Training("xor", cells=100, taus=(4.0, 25.0), trials=12000, stop_loss=4.0),
    "mante": Training("mante", cells=100, stop_loss=4.6),
}
GRID = (20.0, 25.0, 30.0, 35.0, 40.0, 45.0)  # the published grid up to where nothing works any more


def test_what_is_kept_of_the_activity_of_a_network(tmp_path, rng):
    """Mean rates over the steps of each trial, mean courses over the trials of each kind, and the first trials read again."""
    drawn = tasks.draw(TASKS["xor"], rng, 9)
    n_steps, r = len(drawn.inputs), torch.from_numpy(rng.random((len(drawn.inputs), 9, 12)))
    shown = activity.Activity(drawn, r, r, r[:, :, 0])
    activity.write(tmp_path, activity.Evaluated(untrained(rng), "xor", pd.DataFrame({"loss": [1.0]}), shown, "a test"))
    kept = files.read_arrays(tmp_path / "activity.npz")
    np.testing.assert_allclose(
        kept["mean_rate"], [[r[:, trial, cell].sum() / n_steps for cell in range(12)] for trial in range(9)]
    )
    assert kept["groups"].tolist() == sorted(set(drawn.group))
    for name, course in zip(kept["groups"], kept["course"], strict=True):
        of = [trial for trial in range(9) if drawn.group[trial] == name]
        np.testing.assert_allclose(course, sum(r[:, trial].numpy() for trial in of) / len(of))
    task, first = activity.read_trials(tmp_path / "activity.npz", 4)
    assert task is TASKS["xor"]
    np.testing.assert_array_equal(first.inputs, drawn.inputs[:, :4])
    np.testing.assert_array_equal(first.target, drawn.target[:, :4])
    assert (first.wanted.tolist(), first.group) == (drawn.wanted[:4].tolist(), list(drawn.group[:4]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "replica"), [("gonogo", 0), ("gonogo", 1), ("gonogo", 2), ("xor", 1), ("mante", 0)], ids=str
)
def test_trained_network_converts(tmp_path, variant, replica):
    """Judged on trials that the search did not see."""
    settings, stream = CONVERTING[variant], (0, "rate2lif", "fit", variant, replica)
    task = TASKS[settings.task]
    trained = learning.train(settings, stream, "cpu", tmp_path / "network")
    fresh = tasks.draw(task, seeds.generator(*stream, "trials"), 60)
    scale = conversion.best(conversion.try_scales(trained.network, task, fresh, GRID, Lif(), stream))
    activity.write(tmp_path, trained)
    _, trials = activity.read_trials(tmp_path / "activity.npz", 60)
    judged = conversion.try_scales(trained.network, task, trials, [scale], Lif(), (0, "judged", replica))
    assert judged["correct"].mean() >= 0.95


def commands_of_the_page() -> list[list[str]]:
    """The commands in the page of the study, as lists of words."""
    page = (Path(__file__).resolve().parents[1] / "docs/rate2lif.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line)[3:] for line in block.splitlines()]


def test_the_commands_of_the_page_run_on_a_file_of_ones_own(files_of, tmp_path, monkeypatch, capsys):
    shutil.copy(files_of / "network.mat", tmp_path / "mine.mat")
    monkeypatch.chdir(tmp_path)
    assert [program.main(command) for command in commands_of_the_page()] == [0, 0, 0, 0]
    assert "mine_0: best 1/lambda" in capsys.readouterr().out
    table = pd.read_parquet("mine/metrics.parquet")
    assert set(table["dataset"]) == {"network given (mine.mat)"}
    assert {"LIF accuracy", "LIF accuracy, refractory 0", "best scale"} <= set(table["metric"])
    with zipfile.ZipFile("mine/searches.zip") as archive:
        assert loadmat(io.BytesIO(archive.read("mine_0/scaled.mat")))["opt_scaling_factor"] in (20, 25, 30)


def test_bad_file_of_ones_own_is_refused_by_the_command_and_leaves_nothing(files_of, tmp_path, monkeypatch, capsys):
    fields = {name: value for name, value in loadmat(files_of / "network.mat").items() if not name.startswith("__")}
    savemat(tmp_path / "mine.mat", {**fields, "w": np.full((12, 12), np.nan)})
    monkeypatch.chdir(tmp_path)
    assert program.main(commands_of_the_page()[0]) == program.REFUSED
    assert "mine.mat: field w[0, 0] is nan, expected finite numbers" in capsys.readouterr().err
    assert not list((tmp_path / "mine").rglob("*.*"))
