"""The table of all networks: statistics with known answers, and a reader for the files of each study."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from respike.core import files, spikes
from respike.core.spikes import Spikes
from respike.report import networks
from respike.report.networks import Network
from respike.report.stages import activity


def measured(fired: Spikes, step: float = 0.001) -> dict[str, float]:
    rows = pd.DataFrame(activity.measured(Network("a", "b", "c", False, fired, step)), columns=list(activity.COLUMNS))
    assert list(rows["statistic"]) == list(activity.UNITS)
    return dict(zip(rows["statistic"], rows["value"], strict=True))


def poisson(rng, rate: float, n_cells: int, seconds: float) -> Spikes:
    n = rng.poisson(rate * n_cells * seconds)
    return Spikes(rng.uniform(0, seconds, n), rng.integers(0, n_cells, n), n_cells, seconds)


def test_poisson_cells_have_the_values_of_the_dotted_lines(rng):
    found = measured(poisson(rng, 20.0, 30, 200.0))
    assert found["rate"] == pytest.approx(20, rel=0.02)
    assert found["cv_isi"] == pytest.approx(1, abs=0.02)
    assert found["fano"] == pytest.approx(1, abs=0.05)
    assert found["correlation"] == pytest.approx(0, abs=0.01)
    assert found["flatness"] > 0.95


def test_clocks_that_tick_together_are_regular_correlated_and_rhythmic(rng):
    ticks = np.arange(0, 60, 0.1) + 0.05
    jitter = rng.uniform(-0.02, 0.02, (4, len(ticks)))
    found = measured(Spikes((ticks + jitter).ravel(), np.repeat(np.arange(4), len(ticks)), 4, 60.0))
    assert found["rate"] == pytest.approx(10)
    assert found["cv_isi"] == pytest.approx(np.sqrt(0.04**2 / 12 * 2) / 0.1, rel=0.05)
    assert found["fano"] == 0  # two ticks in each window of 200 ms
    assert np.isnan(found["correlation"])  # counts that never change have none
    assert found["spectrum_peak"] == pytest.approx(10, abs=0.2)
    assert found["flatness"] < 0.9


def test_a_common_drive_correlates_counts_as_its_share_says(rng):
    shared, own = poisson(rng, 5.0, 1, 2000.0), poisson(rng, 5.0, 2, 2000.0)
    times = np.concatenate([shared.times, shared.times, own.times])
    cells = np.concatenate([shared.cells, shared.cells + 1, own.cells])
    assert measured(Spikes(times, cells, 2, 2000.0))["correlation"] == pytest.approx(0.5, abs=0.05)


def test_bins_hold_whole_steps_so_that_a_steady_network_has_no_rhythm(rng):
    found = measured(spikes.from_raster(rng.random((20, 500, 30)) < 0.05, 0.002), 0.002)
    assert found["flatness"] > 0.9
    assert activity.whole_steps(0.005, 0.002) == pytest.approx(0.006)
    assert activity.whole_steps(0.2, 0.04) == pytest.approx(0.2)


def test_short_trials_are_one_window_and_have_no_spectrum(rng):
    raster = rng.random((50, 10, 5)) < 0.2
    rows = pd.DataFrame(
        activity.measured(Network("a", "b", "c", False, spikes.from_raster(raster, 0.002), 0.002)), columns=activity.COLUMNS
    ).set_index("statistic")
    assert rows.loc["fano", "window_s"] == pytest.approx(0.02)
    assert rows.loc["fano", "value"] == pytest.approx(np.mean(raster.sum(1).var(0) / raster.sum(1).mean(0)))
    assert rows.loc["flatness", "n"] == 0


def test_silence_gives_rates_of_zero_and_nothing_else():
    found = measured(Spikes(np.zeros(0), np.zeros(0, int), 3, 1.0))
    assert found["rate"] == 0
    assert all(np.isnan(found[name]) for name in ("cv_isi", "fano", "correlation", "flatness"))


def small_files(folder, rng) -> dict:
    """Files of all six studies as their stages write them, small."""
    raster = rng.random((4, 300, 6)) < 0.05
    arrays = {
        "modes": {"replica0_dataset": "digits", "replica0_task": "digits", "replica0_spikes": raster},
        "rate": {"replica0_dataset": "digits", "replica0_task": "digits"},
        "recording": {"spikes": raster, "split": np.array(["test", "test", "train", "train"]), "dataset": "s", "bin_ms": 40.0},
        "mle_0": {"spikes": np.concatenate([raster, raster], 2)[:, 10:]},
        "barrel": {"dataset": "sweeps", "initial_spikes": raster, "trained_spikes": raster},
        "trial": {"spikes": raster, "later_spikes": raster[:1, :200], "history": 20, "dt": 0.004, "dataset": "e"},
        "best": {"spikes": raster[0], "fine": 0.001, "dataset": "e"},
    }
    for name, content in arrays.items():
        files.write_arrays(folder / f"{name}.npz", **content)
    rule = {"e_times": [10.1, 10.7], "e_cells": [0, 1], "n_e": 2, "i_times": [10.5], "i_cells": [0], "n_i": 1}
    made = {f"rule3_{name}": value for name, value in {**rule, "start": 10.0, "stop": 11.0}.items()}
    files.write_arrays(folder / "poly" / "example" / "r.npz", **made)
    spikes.write(folder / "spikes.npz", spikes.from_raster(raster, 0.001))
    with zipfile.ZipFile(folder / "mante_0-4.zip", "w") as packed:
        packed.write(folder / "spikes.npz", "mante_0/spikes.npz")
    return {
        "modes": [folder / "modes.npz", folder / "rate.npz"],
        "v1_recording": folder / "recording.npz",
        "v1_runs": [folder / "mle_0.npz"],
        "fsbi": [folder / "poly" / "example" / "r.npz"],
        "rate2lif": [folder / "mante_0-4.zip"],
        "barrel": [folder / "barrel.npz"],
        "neulvm_trial": folder / "trial.npz",
        "neulvm_runs": [folder / "best.npz"],
    }


def test_every_study_comes_into_the_table_and_the_pictures(tmp_path, rng):
    activity.run(**small_files(tmp_path, rng), table=tmp_path / "t.parquet", folder=tmp_path / "figures")
    rows = files.read_table(tmp_path / "t.parquet", activity.COLUMNS)
    found = rows[["study", "network", "recorded"]].drop_duplicates().values.tolist()
    assert found == [
        ["v1", "recording", True],
        ["v1", "mle", False],
        ["neulvm", "recording", True],
        ["neulvm", "best", False],
        ["fsbi", "poly rule3", False],
        ["modes", "digits", False],
        ["rate2lif", "mante", False],
        ["barrel", "initial", False],
        ["barrel", "trained", False],
    ]
    assert {path.name for path in (tmp_path / "figures").glob("*.p*")} == {
        f"{name}.{form}" for name in ("activity", "rasters") for form in ("pdf", "png")
    }


def test_a_recording_and_its_model_are_cut_alike(tmp_path, rng):
    small = small_files(tmp_path, rng)
    recorded, model = networks.v1(small["v1_recording"], small["v1_runs"])
    assert recorded.spikes.n_cells == model.spikes.n_cells == 6
    assert recorded.spikes.duration == model.spikes.duration == pytest.approx(290 * 0.04)
    assert np.array_equal(recorded.spikes.times, model.spikes.times)  # the run repeats the test trials, without the first bins


def test_fitted_and_held_out_windows_of_neulvm_are_one_recording(tmp_path, rng):
    small = small_files(tmp_path, rng)
    recorded, model = networks.neulvm(small["neulvm_trial"], small["neulvm_runs"])
    assert recorded.spikes.n_trials == 1
    assert recorded.spikes.duration == pytest.approx((4 * 280 + 180) * 0.004)  # without the history of each window
    assert model.spikes.duration == pytest.approx(0.3)


def test_cells_of_fsbi_are_numbered_through_and_time_starts_with_the_recording(tmp_path, rng):
    (network,) = networks.fsbi(small_files(tmp_path, rng)["fsbi"][0])
    assert network.spikes.n_cells == 3
    assert network.spikes.times == pytest.approx([0.1, 0.7, 0.5])
    assert network.spikes.cells.tolist() == [0, 1, 2]
