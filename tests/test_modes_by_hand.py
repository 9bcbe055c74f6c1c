"""modes: constants, the embedded digits, readout of trials and the training's settings against values written down here."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import qr
from sklearn.datasets import load_digits

from respike.core import files, measures
from respike.modes import analysis, digits, embedded, encoding, kernel, measurement, model, params, plan, simulation
from respike.modes.fitted import Fitted
from respike.modes.params import Evaluation, Size, Training, Variant
from respike.modes.stages import figures
from tests.constants import check


def test_constants_of_the_published_networks():
    """Times of section 3 of the paper, filters of both tasks, and the levels of its figures."""
    check(
        params, DT=0.002, TAU_INPUT=0.01, TAU_MEMBRANE=0.02, TAU_DECAY=0.03, TAU_RISE=0.002, THRESHOLD=1,
        REFRACTORY_STEPS=5, SLOPE=25, PIXELS=784, CLASSES=10, CHANNELS=4,
    )  # fmt: skip
    decays = params.A_INPUT, params.A_MEMBRANE, params.A_DECAY, params.A_RISE
    assert decays == pytest.approx((math.exp(-0.2), math.exp(-0.1), math.exp(-2 / 30), math.exp(-1)))
    single, double, of_digits = (params.FILTERS[name] for name in ("single", "double", "double_digits"))
    assert single == pytest.approx((0, 1, 2 / 30))
    assert double == pytest.approx((math.exp(-1), 1, 1 - math.exp(-2 / 30)))
    assert of_digits == pytest.approx((math.exp(-1), 0.002 / (0.03 * 0.002), 0.002))
    check(
        measurement,
        LEARNED=1.7,
        FEWEST_ACCURATE=0.89,
        LARGEST_LOSS=80,
        FIRST_BELOW=100,
        SUMMED=150000,
        FINAL_DIGIT_BATCHES=100,
        FINAL_TRIALS=20,
    )
    check(analysis, KIM_LEVEL=0.7, EPSILON=1e-9)
    check(simulation, CHUNK=250, KEPT=40, SWITCHING=0.5)
    check(digits, SIDE=28, MAGIC={3: 2051, 1: 2049})
    assert (embedded.TEST_IMAGES, plan.SHOWN_MODES) == (360, 3)
    assert (kernel.SPIKED, kernel.FREE) == (1, 2)
    given = Training(1, 2, 3, 4.0, 5.0)
    check(
        given, steps=1, batches=2, batch=3, learning_rate=4, clip=5, repeats=1, loss="logits", filter="double",
        refractory="float32_compat", train_scores=True, output_init="neurons", mode_init="modes", rate_cells="leaky",
        rate_readout="activity", switch_probability=0, switch_steps=0,
    )  # fmt: skip


def test_size_and_name_of_a_variant():
    assert Variant("digits", "spike", 100, 3).size == (784, 100, 3, 10)
    assert Variant("switch", "rate", 30, 4).size == (4, 30, 4, 1)
    assert str(Variant("contextual", "rate", 30, 4)) == "contextual_rate_N30_P4"
    Variant("digits", "spike", 5, 5).check_rank(False)
    Variant("digits", "spike", 5, 6).check_rank(True)
    with pytest.raises(ValueError, match="6 modes for 5 neurons; expected at most 5"):
        Variant("digits", "spike", 5, 6).check_rank(False)
    assert params.spike_filter("digits", "double") == params.FILTERS["double_digits"]
    assert params.spike_filter("digits", "single") == params.FILTERS["single"]
    assert params.spike_filter("switch", "double") == params.FILTERS["double"]


def test_constants_of_the_compiled_loops():
    found = kernel.constants(params.Filter(0.5, 2.0, 3.0), True)
    expected = (math.exp(-0.2), math.exp(-0.1), 1 - math.exp(-0.1), 0.5, math.exp(-2 / 30), 2, 3, 25, 1, 0)
    assert tuple(map(float, found)) == pytest.approx(expected, rel=1e-6)
    assert not kernel.constants(params.FILTERS["double"]).by_count
    assert tuple(map(float, kernel.constants(params.Leak(0.25, 4.0))))[1:] == pytest.approx(
        (0.25, 4, 0, math.exp(-2 / 30), 0, 0, 25, 0, 1), rel=1e-6
    )
    assert params.RATE_CELLS["leaky"] == pytest.approx((math.exp(-0.1), 1 - math.exp(-0.1)))
    assert params.RATE_CELLS["increment"] == pytest.approx((-0.1, 0.1))


def test_an_enlarged_digit_by_hand():
    """Each of 20 pixels lies between two of 8, the outer ones at the edge; four empty pixels on every side."""
    image = load_digits().images[3]
    found = embedded.enlarge(image)
    expected = np.zeros((28, 28))
    for row, column in np.ndindex(20, 20):
        y, x = (min(max((each + 0.5) * 0.4 - 0.5, 0), 7) for each in (row, column))
        a, b = (min(int(each), 6) for each in (y, x))
        u, v = y - a, x - b
        corners = (
            image[a, b] * (1 - u) * (1 - v)
            + image[a + 1, b] * u * (1 - v)
            + image[a, b + 1] * (1 - u) * v
            + image[a + 1, b + 1] * u * v
        )
        expected[row + 4, column + 4] = 255 * corners / 16
    assert np.abs(found - expected).max() <= 0.5 + 1e-9
    made = embedded.digits()
    assert (made.train_images.shape, made.test_images.shape) == ((1437, 28, 28), (360, 28, 28))
    shares = np.bincount(load_digits().target) * 360 / 1797
    assert np.abs(np.bincount(made.test_labels) - shares).max() <= 1
    assert (made.train_labels[:6].tolist(), made.train_images.dtype) == (embedded.digits().train_labels[:6].tolist(), np.uint8)


def test_a_white_pixel_spikes_always_and_a_black_one_never():
    images = np.array([[0, 255, 128, 1]], np.uint8)
    start, index = encoding.encode(images, 30000, np.random.default_rng(0))
    counts = np.bincount(index, minlength=4)
    assert counts[:2].tolist() == [0, 30000]
    assert counts[2] == pytest.approx(30000 * 128 / 255, abs=300)
    assert counts[3] == pytest.approx(30000 / 255, abs=40)
    assert len(start) == 30001


def test_gradient_and_value_of_an_encoded_drive_by_a_loop():
    weights = torch.arange(6.0).view(2, 3).requires_grad_(True)  # cell, pixel
    start, index = torch.tensor([0, 2, 2, 3], dtype=torch.int32), torch.tensor([0, 2, 1], dtype=torch.int32)
    drive = encoding.EncodedDrive.apply(weights, start, index)
    assert drive.tolist() == [[2, 8], [0, 0], [1, 4]]
    (drive * torch.tensor([[1.0, 10.0], [5.0, 5.0], [2.0, 20.0]])).sum().backward()
    assert weights.grad.tolist() == [[1, 2, 1], [10, 20, 10]]


def test_mode_basis_by_a_library():
    rng = np.random.default_rng(0)
    win, pin = rng.standard_normal((9, 2)), rng.standard_normal((9, 3))
    found, full = analysis.mode_basis(win, pin), qr(np.hstack([win, pin]), mode="economic")[0]
    np.testing.assert_allclose(np.abs((found * full[:, 2:]).sum(0)), 1)
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.T @ win, 0, atol=1e-12)


@pytest.mark.parametrize("cell", ["spike", "rate"])
def test_what_is_kept_of_the_trials(monkeypatch, cell):
    """Three of the five trials, and the first one in full; the switch task switches half of its trials."""
    monkeypatch.setattr(simulation, "KEPT", 3)
    settings = Training(40, 1, 1, 0.1, 1.0, switch_steps=10)
    network = model.Network(Size(4, 12, 3, 1), torch.Generator().manual_seed(0))
    fitted = Fitted(network, "switch", cell, 7, settings, torch.arange(3.0))
    found = simulation.simulate(fitted, None, Evaluation(0, 0, 5), np.random.default_rng(3))
    assert (found["inputs"].shape, found["output"].shape) == ((40, 3, 4), (40, 5))
    assert (str(found["task"]), int(found["replica"]), found["loss"].tolist()) == ("switch", 7, [0, 1, 2])
    assert found["sample_v"].shape == found["sample_r"].shape == (40, 12)
    assert ("spikes" in found) == (cell == "spike")
    assert np.isnan(found["rates"]).all() == (cell == "rate")
    assert found["through_basis"].shape == (40, 3, 3)
    if cell == "spike":
        assert found["spikes"].shape == (3, 40, 12)
        r = found["sample_r"]
        np.testing.assert_allclose(found["through_pin"][:, 0], r @ network.pin.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_facts_of_variants_and_of_sizes(monkeypatch):
    """What each variant was told, and of a size the numbers of modes in their order as numbers."""
    settings = {"steps": 1, "batches": 2, "batch": 3, "learning_rate": 0.5, "clip": 1.0}
    jobs = [{"settings": settings, "task": "digits", "cell": "rate", "neurons": 30, "modes": modes} for modes in (10, 3)]
    monkeypatch.setattr(measurement, "ran", lambda path, stage: jobs)
    found = list(measurement.facts(["x"]))
    assert [variant for variant, _ in found] == [
        "digits_rate_N30_P10",
        "digits_rate_N30",
        "digits_rate_N30_P3",
        "digits_rate_N30",
        "digits_rate_N30",
    ]
    assert found[0][1] == {
        "loss": "logits",
        "batches": 2,
        "batch": 3,
        "repeats": 1,
        "same_trials": False,
        "steps": 1,
        "learning_rate": 0.5,
        "output_init": "neurons",
        "mode_init": "modes",
        "filter": "double",
        "rate_cells": "leaky",
        "refractory": "float32_compat",
        "train_scores": True,
        "rate_readout": "activity",
        "clip": 1.0,
    }
    assert found[-1][1] == {"modes": "3 10"}


def test_means_over_numbers_of_modes_need_two_of_them_and_all():
    """Replica 1 has one number of modes less than replica 0, and no mean over them."""
    rows = pd.DataFrame(
        [
            measures.Measure(f"digits_spike_N9_P{modes}", seed, "d", metric, value, "u", 5)
            for seed, modes, metric, value in [
                (0, 3, "final_loss", 1.0),
                (0, 5, "final_loss", 2.0),
                (0, 3, "batches_to_1.7", 7.0),
                (0, 3, "accuracy", 0.5),
                (1, 3, "final_loss", 9.0),
            ]
        ]
    )
    (mean,) = measurement.means_across_modes(rows)
    assert (mean.variant, mean.seed, mean.metric, mean.value, mean.n) == (
        "digits_spike_N9",
        0,
        "final_loss, mean over modes",
        1.5,
        2,
    )
    assert not list(measurement.trends(rows))


def test_scores_and_slopes_of_few_modes():
    """Nine modes have a first line, 19 a second one; of 200 neurons 10 and 18."""
    for neurons, counts in ((100, {8: 0, 9: 1, 18: 1, 19: 2}), (200, {9: 0, 10: 1, 17: 1, 18: 2})):
        for modes, lines in counts.items():
            assert len(list(analysis.power_laws(np.arange(1.0, modes + 1), neurons))) == lines
    (ranks, _), (later, _) = analysis.power_laws(np.arange(1.0, 30), 100)
    assert (ranks.tolist(), later.tolist()) == (list(range(1, 10)), list(range(10, 20)))


def test_bars_of_a_figure_go_from_the_lowest_to_the_highest_replica():
    rows = pd.DataFrame({"cell": "spike", "neurons": 9, "modes": [3, 3, 3, 1], "metric": "mse", "value": [0.1, 0.2, 0.6, 0.5]})
    axes = figures.style.panels()[1][0, 0]
    figures.by_modes(axes, rows, "mse", ("spike",), 100)
    (_, _, (bars,)) = axes.containers[0]
    np.testing.assert_allclose([part[:, 1] for part in bars.get_segments()], [[50, 50], [10, 60]])
    assert axes.containers[0][0].get_ydata() == pytest.approx([50, 30])
    rows.loc[1, "value"] = np.nan  # never learned
    figures.by_modes(axes, rows, "mse", ("spike",), 100)
    assert axes.containers[1][0].get_ydata() == pytest.approx([50, np.nan], nan_ok=True)


def test_a_figure_of_several_networks_names_the_data_of_them_all(monkeypatch, tmp_path):
    """Figure 1 shows a digit and a trial; it was said to be of one of them."""
    named = {}
    monkeypatch.setattr(figures.style, "save", lambda _, __, name, datasets: named.update({name: datasets}))
    monkeypatch.setattr(figures.trials, "read", lambda _: {
        f"{task}_spike_N9_P3_replica0": {"replica": 0, "pin": np.zeros((9, 3)), "dataset": np.array(task), "loss": np.ones(2)}
        for task in ("digits", "contextual")
    })  # fmt: skip
    for drawer in ("stimuli", "losses", "membrane", "raster", "outputs", "trajectories", "stimulus", "importance"):
        monkeypatch.setattr(figures, drawer, lambda *_: None)
    rows = pd.DataFrame([measures.Measure("digits_rate_N30_P1", 0, "d", "accuracy", 0.9, "", 5)]).assign(study="modes")
    files.write_table(tmp_path / "metrics.parquet", rows[list(measures.COLUMNS)])
    monkeypatch.setattr(figures, "absent", lambda: None)
    figures.run(simulations=[], metrics=tmp_path / "metrics.parquet", folder=tmp_path)
    assert [named[f"fig{number}"] for number in ("1", "2b", "3b", "4c", "5")] == [
        "contextual, digits", "digits", "contextual", "", "contextual, digits"
    ]  # fmt: skip


def test_rate_networks_are_told_from_spiking_ones_of_their_size_and_a_legend_serves_all_panels():
    rows = pd.DataFrame({"cell": ["spike", "rate"], "neurons": 9, "modes": 3, "metric": "mse", "value": [0.1, 0.2]})
    figure, axes = figures.style.panels(1, 2)
    for panel in axes[0]:
        figures.by_modes(panel, rows, "mse", ("spike", "rate"))
    assert [[line.get_marker() for line, *_ in panel.containers] for panel in axes[0]] == [["o", "s"]] * 2
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["spike, N = 9", "rate, N = 9"]


def test_fitted_lines_of_the_importance_are_named_by_network_and_ranks(rng):
    member = {"pin": rng.random((7, 20)), "pout": rng.random((7, 20)), "scores": rng.random(20)}
    labels = figures.importance({"task_spike_N7_P20": [member]}).axes[1].get_legend_handles_labels()[1]
    assert [label.partition(":")[0] for label in labels] == ["N = 7, ranks 1-9", "N = 7, ranks 10-19"]


def test_outputs_of_trials_that_all_want_the_same_are_drawn():
    target = np.repeat([[0.0], [0.0], [-1.0], [-1.0]], 3, axis=1)
    axes = figures.outputs({"target": target, "output": target / 2}).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["label -1 (3 trials)"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), target[:, 0])
