"""What is measured on barrel networks, by hand, by counting and against other libraries."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from scipy import stats

from respike.barrel import analysis, classifiers, learning, params, responses
from respike.barrel.stages import baselines, figures, metrics, scan, spikes
from respike.core import files
from respike.core import spikes as core_spikes
from tests.barrel_small import CODING, SMALL, network, samples


def test_irregularity_is_the_closed_form_of_the_mean_rate_of_each_train(rng):
    some, built = samples(rng, 3), network()
    cv, rate = responses.irregularity(built, some, 0)
    trains = learning.play(built, some, 0).spikes[:, built.n_thalamic :].numpy()
    r = trains.mean(0)  # cell, trial
    assert rate == pytest.approx(trains.mean())
    assert cv == pytest.approx(np.where(r > 0, np.sqrt((1 - r) / np.where(r > 0, r, 1)), 0).mean())


def test_points_of_the_scan_are_evenly_spaced_in_rank():
    table = pd.DataFrame({"cv": [3.0, 1.0, 2.0, 5.0, 4.0]})
    assert analysis.spread(table, 3)["cv"].tolist() == [1, 3, 5]
    assert analysis.spread(table, 9)["cv"].tolist() == [1, 2, 3, 4, 5]


# what a network does


def test_description_of_a_network_by_counting(rng):
    some = samples(rng, 40)
    built = network()
    found = responses.describe(built, some, 0)
    trains = np.concatenate(
        [learning.play(built, some.part([k]), 0).spikes[:, built.n_thalamic :, 0].numpy()[None] for k in range(40)]
    )  # sample, step, cell: one at a time
    assert np.array_equal(found["counts"], trains.sum(1))
    for kind in range(3):
        assert np.array_equal(found["sums"][kind], trains[some.label == kind].sum(0))
    assert np.array_equal(found["raster"], trains[39].T), "of 14 helmets the last, number 39"
    assert np.array_equal(found["spikes"], trains[np.linspace(0, 39, 24).astype(int)] > 0)
    np.testing.assert_allclose(found["cv"], [analysis.cv(train.T).mean() for train in trains])
    votes = torch.cat([learning.play(built, some.part([k]), 0).votes for k in range(40)])
    assert np.array_equal(found["correct"], votes.argmax(1).numpy() == some.label)


def test_parts_of_a_network():
    built = network()
    with torch.no_grad():
        built.tau_membrane += torch.arange(built.n_cells) / 100
    found = responses.parts(built)
    cortical = (built.sender >= built.n_thalamic).numpy()
    weight = built.weight.detach().double().numpy() * cortical
    for name, end in (("in_degree", built.receiver), ("out_degree", built.sender)):
        degree = np.bincount(end.numpy(), weight, built.n_cells)[built.n_thalamic :]
        np.testing.assert_allclose(found[name], degree, rtol=1e-5)
    assert np.array_equal(found["tau_membrane"], built.tau_membrane.detach().numpy()[built.n_thalamic :])
    low, high = built.bounds[4:6].tolist()  # the fourth cortical population
    mean = np.mean(
        [responses.driven_rate(built.tau_membrane[k : k + 1], built.tau_adaptation[k : k + 1]) for k in range(low, high)]
    )
    assert found["driven_rate"][3] == pytest.approx(mean)


@pytest.mark.parametrize("own", [{"baseline": 0.4}, {"adaptation": 0.0}], ids=["baseline", "adaptation"])
def test_driven_rates_are_those_of_the_networks_own_threshold(own):
    alpha, rho, count, v, b, s = np.exp(-1 / 10), np.exp(-1 / 5), 0, 0.0, own.get("baseline", 0.04), 0.0
    for _ in range(550):
        b = rho * b + (1 - rho) * s
        threshold = own.get("baseline", 0.04) + own.get("adaptation", 1.8) * b
        v = alpha * v + (1 - alpha) - threshold * s
        s = float(v > threshold)
        count += s
    found = responses.parts(network(settings=replace(SMALL, **own)))["driven_rate"]
    assert count != 92
    np.testing.assert_allclose(found, count / 550)


def test_the_published_count_of_a_driven_neuron_is_one_step_short():
    """Spikes in 549 steps over 550: the last step's spike is missing for a cell that fires in it."""
    fast = torch.tensor([0.01]), torch.tensor([0.01])  # without memory: a spike in each step that follows none
    v, b, s, count = 0.0, 0.04, 0.0, []
    alpha = rho = np.exp(-1 / 0.01)
    for _ in range(550):
        b = rho * b + (1 - rho) * s
        threshold = 0.04 + 1.8 * b
        v = alpha * v + (1 - alpha) * 1 - threshold * s
        s = float(v > threshold)
        count.append(s)
    assert responses.driven_rate(*fast) == pytest.approx(sum(count) / 550)
    assert responses.driven_rate(*fast, steps=549) == pytest.approx(sum(count[:549]) / 550)
    assert responses.driven_rate(*fast, steps=1) == pytest.approx(1 / 550)


def test_no_classifier_sees_the_labels_of_the_test_samples(rng):
    """A prediction that knows nothing of the test labels is right under exactly one of the three rotations of them."""
    features, label, test = rng.standard_normal((48, 11, 20)), np.arange(48) % 3, np.arange(48) >= 30
    rotated = [dict(classifiers.accuracies(features, np.where(test, (label + k) % 3, label), test, 0)) for k in range(3)]
    assert list(rotated[0]) == ["logistic regression", "random forest", "GRU", "LSTM", "conv net"]
    for name in rotated[0]:
        assert sum(found[name] for found in rotated) == pytest.approx(1), name


def test_classifiers_learn(rng):
    some, test = samples(rng, 24), np.arange(24) >= 15
    assert min(dict(classifiers.accuracies(classifiers.binned(some.values), some.label, test, 0)).values()) == 1


def test_bins_of_the_classifiers_hold_the_mean_of_ten_frames(rng):
    values = rng.random((2, params.FRAMES, 5)).astype(np.float32)
    found = classifiers.binned(values)
    np.testing.assert_allclose(found[1, 3], values[1, 30:40].mean(0), rtol=1e-6)
    assert found.shape == (2, 11, 5)


@pytest.mark.parametrize("form", ["spiking", "real"])
def test_classifiers_get_what_the_networks_get(tmp_path, rng, monkeypatch, form):
    some = samples(rng, form=form)  # five frames, spikes drawn three times from each
    stored = {"values": some.values, "label": some.label, "is_test": some.label == 2, "dataset": np.array("test")}
    files.write_arrays(tmp_path / "inputs.npz", **stored)
    seen = []
    monkeypatch.setattr(classifiers, "accuracies", lambda features, *rest: seen.append(features) or [("GRU", 0.5)])
    where = {"inputs": tmp_path / "inputs.npz", "out": tmp_path / "out.parquet"}
    baselines.run(**where, form=form, coding=some.encoding, repeats=1, folds=2, seed=4)
    assert len(seen) == 3, "one for the test samples, one for each fold"
    given = some.inputs(learning.replicate_seed(4, 0))
    np.testing.assert_array_equal(seen[0], classifiers.binned(given))
    if form == "spiking":
        assert set(np.unique(given)) == {0, 1}
        np.testing.assert_array_equal(seen[0][:, -1], given[:, -1], err_msg="the last of 15 steps is a bin of its own")
    else:
        np.testing.assert_array_equal(seen[0], some.values[:, ::22], err_msg="fewer frames than bins")


def test_spikes_for_the_reports_are_those_of_both_conditions(tmp_path, rng):
    rasters = {f"{name}_spikes": rng.random((2, 30, 4)) < 0.2 for name in ("initial", "trained")}
    files.write_arrays(tmp_path / "responses.npz", dataset=np.array("sweeps"), **rasters)
    spikes.run(responses=tmp_path / "responses.npz", out=tmp_path / "spikes.npz")
    found = core_spikes.read_networks(tmp_path / "spikes.npz")
    assert [(one.study, one.name, one.dataset, one.recorded, one.step) for one in found] == [
        ("barrel", "initial", "sweeps", False, 0.001),
        ("barrel", "trained", "sweeps", False, 0.001),
    ]
    for one, raster in zip(found, rasters.values(), strict=True):
        assert np.array_equal(core_spikes.bin_counts(one.spikes, 0.001), raster)


# analysis


def test_cv_is_that_of_the_zero_one_series(rng):
    spikes = rng.random((6, 200)) < np.array([0, 0.1, 0.3, 0.5, 0.9, 1])[:, None]
    found = analysis.cv(spikes)
    for k in range(1, 6):
        assert found[k] == pytest.approx(spikes[k].std() / spikes[k].mean())
    assert found[0] == 0


def test_anova_finds_what_differs_and_nothing_else(rng):
    counts = rng.poisson(20, (60, 40))
    label = np.arange(60) % 3
    counts[label == 2, :10] += 15
    found = analysis.selectivity_by_trials(counts, label)
    assert found.selective[:10].all()
    assert found.selective[10:].mean() < 0.15
    assert (found.position[:10, 0] > 0).all(), "plane pulls to the right"
    groups = [counts[label == k, 0].astype(float) for k in range(3)]
    mean = np.mean([g.mean() for g in groups])
    f = sum(20 * (g.mean() - mean) ** 2 for g in groups) / 2 / (sum(((g - g.mean()) ** 2).sum() for g in groups) / 57)
    assert found.p[0] == pytest.approx(stats.f.sf(f, 2, 57))
    assert analysis.anova([np.ones((5, 1))] * 3)[0] == 1


def test_triangle_has_the_classes_at_its_corners():
    heavy = 1e12 * np.eye(3)
    np.testing.assert_allclose(analysis.triangle(heavy), [[-(3**0.5) / 2, -0.5], [0, 1], [3**0.5 / 2, -0.5]], atol=1e-6)
    np.testing.assert_allclose(analysis.triangle(np.zeros((3, 1))), 0, atol=1e-12)


def test_sizes_of_classes_are_not_what_selectivity_measures(rng):
    """Cells of one rate, in 80, 60 and 40 trials of the classes, are not selective; a cell that prefers one is found."""
    label = np.repeat([0, 1, 2], [80, 60, 40])
    trains = rng.poisson(0.3, (180, 40, 50))
    trains[label == 2, :, 0] += rng.poisson(0.2, (40, 40))
    sums = np.stack([trains[label == kind].sum(0) for kind in range(3)])
    for found in (analysis.selectivity_by_steps(sums, label), analysis.selectivity_by_trials(trains.sum(1), label)):
        assert found.selective[0]
        assert found.selective[1:].sum() <= 3
        assert found.position[0, 0] > 0.05
        assert np.abs(found.position[1:].mean(0)).max() < 0.01


def test_the_scan_plays_all_classes_of_a_sorted_file(tmp_path, rng, monkeypatch):
    label, played = np.repeat([0, 1, 2], 10), []
    values = rng.random((30, params.FRAMES, 2 * params.CHANNELS)).astype(np.float32)
    files.write_arrays(tmp_path / "i.npz", values=values, label=label, is_test=label > 2, dataset=np.array("test"))
    monkeypatch.setattr(responses, "irregularity", lambda _, some, __: played.append(some.label.tolist()) or (1.0, 0.1))
    told = {"weights": [0.3], "baselines": [0.1], "seed": 0, "device": "cpu", "out": tmp_path / "scan.parquet"}
    for n in (6, 55):
        scan.run(inputs=tmp_path / "i.npz", coding=CODING, network=SMALL, samples=n, **told)
    assert played == [[0, 0, 1, 1, 2, 2], label.tolist()]
    assert files.read_table(tmp_path / "scan.parquet")["n"].tolist() == [30]


def test_degrees_and_scaling():
    into, out = analysis.degrees(np.array([[0.0, 1.0], [2.0, 4.0]]))
    assert into.tolist() == [2, 5]
    assert out.tolist() == [1, 6]
    np.testing.assert_allclose(analysis.scaled(np.array([2.0, 4.0, 3.0])), [0.1, 1, 0.55])


def test_population_rate_counts_spikes_per_bin_and_hundred_cells():
    spikes = np.zeros((4, 25), dtype=np.uint8)
    spikes[1, 3] = spikes[2, 12] = spikes[3, 12] = spikes[0, 24] = 1
    assert analysis.binned_rate(spikes).tolist() == [25, 50]


def test_interval_of_the_mean():
    low, high = metrics.interval(np.array([0.6, 0.7, 0.8]))
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, 0.7, 0.1 / np.sqrt(3)))
    assert np.isnan(metrics.interval(np.full(5, 1 / 3))).all()  # all guess: nothing tells how far chance carries the next


def course(**columns) -> pd.DataFrame:
    """Course of a training of four epochs, as barrel.fit writes it."""
    values = {
        "test": [0.5, 0.7, 0.6, 0.4],
        "validation": [0.2, 0.3, 0.9, 0.9],
        "train": [0.1, 0.2, 0.3, 0.4],
        "loss": [4.0, 3, 2, 1],
    }
    about = {"n_train": 96, "n_test": 30, "replicate": 0, "form": "spiking", "dataset": "test"}
    return pd.DataFrame({"step": range(4), **values}).assign(**{**about, **columns})


def test_measures_of_a_training_by_hand_rest_on_its_samples_not_on_its_epochs():
    found = {row.metric: (row.value, row.n) for row in metrics.training(course())}
    assert found == {
        "test accuracy, best epoch": (0.7, 30),
        "test accuracy, epoch by validation": (0.6, 30),
        "test accuracy, last epoch": (0.4, 30),
        "training accuracy, last epochs": (pytest.approx(0.25), 96),
        "loss, last epoch": (1.0, 96),
    }


def test_measures_of_the_scan_rest_on_the_test_samples():
    points = [{"cv": 1.0, "initial_weight": 0.3, "baseline": 0.1}, {"cv": 3.0, "initial_weight": 0.6, "baseline": 0.1}]
    courses = [course(**point) for point in points]
    courses[1]["test"] += 0.1
    found = {(row.variant, row.metric): (row.value, row.n) for row in metrics.started(pd.concat(courses))}
    assert found == {
        ("init_w 0.3 init_b 0.1", "test accuracy, best epoch"): (0.7, 30),
        ("init_w 0.6 init_b 0.1", "test accuracy, best epoch"): (pytest.approx(0.8), 30),
        ("cv scan", "test accuracy from the start with lowest cv"): (0.7, 30),
        ("cv scan", "test accuracy from the start with highest cv"): (pytest.approx(0.8), 30),
        ("cv scan", "gain of the start with highest cv over that with lowest"): (pytest.approx(0.1), 30),
    }


def test_one_epoch_is_a_training_too():
    one = course(wiring="full", repeat=0, fold=0, cv=1.0, initial_weight=0.3, baseline=0.1).head(1)
    best = "test accuracy, best epoch"
    for name, measure in ((best, metrics.training), (best, metrics.started), (f"{best}, lowest", metrics.wired)):
        assert {row.metric: row.value for row in measure(one)}[name] == 0.5
    assert {row.metric: row.value for row in metrics.cross_validated(one)}[f"cross-validated {best}, mean"] == 0.5


def test_gain_is_over_the_mean_of_the_conventional_networks():
    row = metrics.Measure("", 0, "test", "test accuracy", 0.0, "1", 30)
    others = {"spiking GRU": 0.5, "spiking LSTM": 0.6, "spiking conv net": 0.7, "spiking random forest": 0.1, "real GRU": 0.2}
    rows = [row._replace(variant=name, value=value) for name, value in others.items()]
    rows.append(row._replace(variant="spiking", metric="test accuracy, best epoch", value=0.9))
    (gain,) = metrics.gains(rows)
    assert gain.value == pytest.approx(0.3)


def response(rng) -> dict[str, np.ndarray]:
    """What is kept of a network of 4 cells under 6 trials of 5 steps before and after training, and shuffled."""
    kept = {"replicate": 0, "dataset": "test", "sizes": [2, 2], "label": np.arange(6) % 3}
    for condition in ("initial", "trained", "shuffled"):
        trains = rng.random((6, 5, 4)) < 0.5
        kept |= {f"{condition}_cv": rng.random(6), f"{condition}_raster": trains[0].T}
        kept |= {f"{condition}_counts": trains.sum(1), f"{condition}_sums": trains.reshape(2, 3, 5, 4).sum(0)}
    for condition in ("initial", "trained"):
        kept |= {
            f"{condition}_{name}": rng.random(4) for name in ("tau_membrane", "tau_adaptation", "in_degree", "out_degree")
        }
        kept[f"{condition}_driven_rate"] = rng.random(13)
    return {name: np.asarray(each) for name, each in kept.items()}


def test_all_that_was_made_is_in_the_table(tmp_path, rng, monkeypatch):
    """Two files of each kind where there may be several: every one leaves the number that it alone can leave."""

    def table(name: str, rows: pd.DataFrame) -> Path:
        files.write_table(tmp_path / f"{name}.parquet", rows)
        return tmp_path / f"{name}.parquet"

    def points(**columns) -> pd.DataFrame:
        return pd.DataFrame(columns).assign(seed=0, replicate=0, dataset="test")

    def begun(k: float, number: int) -> pd.DataFrame:
        """Training of a network from a point of the scan; the second network gains 0.1 from the first point to the second."""
        one = course(cv=k, initial_weight=k, baseline=0.5, replicate=number)
        return one.assign(test=one["test"] + 0.1 * number * (k - 1))

    monkeypatch.setattr(metrics, "trained", lambda courses: [("all", {"made of": path.stem}) for path in courses])
    starts = [(k, number) for k in (1.0, 2.0) for number in range(2)]  # point of the scan, network
    forms = ("spiking", "real")
    classifiers = {"GRU": 0.25, "LSTM": 0.35, "conv net": 0.45}
    others = points(classifier=list(classifiers), accuracy=list(classifiers.values()), repeat=-1, n_test=30)
    files.write_arrays(tmp_path / "spiking.npz", **response(rng))
    files.write_arrays(tmp_path / "another.npz", **{**response(rng), "replicate": np.array(1)})
    metrics.run(
        histories=[table(f"history {form}", course(form=form)) for form in forms],
        folds=[table(f"{form} {k}", course(form=form, repeat=0, fold=k)) for form in forms for k in range(2)],
        wirings=[table(f"{kind} {k}", course(wiring=kind, replicate=k)) for kind in ("full", "none") for k in range(2)],
        starts=[table(f"start {k} {number}", begun(k, number)) for k, number in starts],
        baselines=[table(f"others {form}", others.assign(form=form)) for form in forms],
        scan=table("scan", points(initial_weight=[3.0, 4.0], baseline=0.5, cv=[0.8, 0.9], rate=[0.1, 0.2], n=9)),
        deprivation=table("deprivation", points(k=[0, 1, 1], accuracy=[0.6, 0.5, 0.3])),
        responses=[tmp_path / "spiking.npz", tmp_path / "another.npz"],
        seed=5,
        out=tmp_path / "metrics.parquet",
        facts=tmp_path / "facts.parquet",
    )
    found = files.read_table(tmp_path / "metrics.parquet").set_index(["variant", "seed", "metric"])["value"]
    best = "test accuracy, best epoch"
    expected = {
        **{(form, 0, best): 0.7 for form in forms},
        **{(form, -1, f"cross-validated {best}, mean"): 0.7 for form in forms},
        **{(f"wiring {kind}", k, f"{best}, each network"): 0.7 for kind in ("full", "none") for k in range(2)},
        **{(f"{form} {name}", 0, "test accuracy"): value for form in forms for name, value in classifiers.items()},
        **{(form, 0, "gain over the mean of GRU, LSTM and conv net"): 0.7 - 0.35 for form in forms},
        **{(f"init_w {k:g} init_b 0.5", number, best): 0.7 + 0.1 * number * (k - 1) for k, number in starts},
        **{("cv scan", n, "gain of the start with highest cv over that with lowest"): 0.1 * n for n in range(2)},
        ("init_w 3 init_b 0.5", 0, "cv before training"): 0.8,
        ("init_w 4 init_b 0.5", 0, "rate before training"): 0.2,
        ("spiking deprived", 0, "accuracy without 1 whiskers"): 0.4,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert not list(metrics.grouped([], "form")), "a run may do without folds and starts"
    shown = {(f"spiking {name}", k, "cv") for name in ("initial", "trained", "shuffled") for k in range(2)}
    assert shown <= set(found.index)
    assert found["anatomy", 5, "synapses of the whole column"] > 0
    told = set(files.read_table(tmp_path / "facts.parquet")["value"])
    assert told == {"history spiking", "history real", "full 0", "full 1", "none 0", "none 1"} | {
        f"start {k} {number}" for k, number in starts
    }


def test_every_network_from_a_point_of_the_scan_is_drawn_and_each_point_named_once():
    scan = pd.DataFrame({"initial_weight": [0.1, 0.1, 0.2, 0.2], "baseline": [0.5, 0.6, 0.5, 0.6], "cv": [1.0, 2, 3, 4]})
    points = [{"initial_weight": 0.1, "baseline": 0.5, "cv": 1.0}, {"initial_weight": 0.2, "baseline": 0.6, "cv": 4.0}]
    courses = pd.concat([course(**point, replicate=number) for point in points for number in range(3)])
    trained = figures.initialisation(scan, courses).axes[1]
    assert len(trained.lines) == len(points) * 3 + 1  # and that of chance
    assert [text.get_text() for text in trained.get_legend().get_texts()] == ["CV 1.00: w 0.1, b 0.5", "CV 4.00: w 0.2, b 0.6"]
    untrained = figures.initialisation(scan, None).axes[1]
    assert [text.get_text() for text in untrained.texts] == ["no network was trained from these points"]
    assert len(untrained.lines) == 0
    plt.close("all")
