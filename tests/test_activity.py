"""The table of all networks: statistics with known answers; and its pictures."""

import numpy as np
import pandas as pd
import pytest

from respike.core import files, spikes, style
from respike.core.spikes import Network, Spikes
from respike.report import activity, activity_figures
from respike.report.stages import activity as activity_stage


def measured(fired: Spikes, step: float = 0.001) -> dict[str, float]:
    rows = activity.table([Network("a", "b", "c", False, fired, step)])
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
    network = Network("a", "b", "c", False, spikes.from_raster(raster, 0.002), 0.002)
    rows = activity.table([network]).set_index("statistic")
    assert rows.loc["fano", "window_s"] == pytest.approx(0.02)
    assert rows.loc["fano", "value"] == pytest.approx(np.mean(raster.sum(1).var(0) / raster.sum(1).mean(0)))
    assert rows.loc["flatness", "n"] == 0


def test_silence_gives_rates_of_zero_and_nothing_else():
    found = measured(Spikes(np.zeros(0), np.zeros(0, int), 3, 1.0))
    assert found["rate"] == 0
    assert all(np.isnan(found[name]) for name in ("cv_isi", "fano", "correlation", "flatness"))


def test_the_networks_of_all_files_come_into_the_table_and_the_pictures_in_their_order(tmp_path, rng):
    recording, model, long_ = (
        spikes.from_raster(rng.random(shape) < 0.05, 0.001) for shape in 2 * [(4, 300, 6)] + [(1, 2000, 60)]
    )
    networks = [
        Network("v1", "recording", "stand-in", True, recording, 0.001),
        Network("v1", "mle", "stand-in", False, model, 0.001),
        Network("barrel", "trained", "sweeps", False, long_, 0.001),
    ]
    spikes.write_networks(tmp_path / "v1.npz", networks[:2])
    spikes.write_networks(tmp_path / "barrel.npz", networks[2:])
    activity_stage.run(
        networks=[tmp_path / "v1.npz", tmp_path / "barrel.npz"], table=tmp_path / "t.parquet", folder=tmp_path / "figures"
    )
    rows = files.read_table(tmp_path / "t.parquet", activity.COLUMNS)
    pd.testing.assert_frame_equal(rows, activity.table(networks))  # what a file holds is what was measured
    assert rows[["study", "network", "dataset", "recorded"]].drop_duplicates().values.tolist() == [
        ["v1", "recording", "stand-in", True],
        ["v1", "mle", "stand-in", False],
        ["barrel", "trained", "sweeps", False],
    ]
    assert {path.name for path in (tmp_path / "figures").glob("*.p*")} == {
        f"{name}.{form}" for name in ("activity", "rasters") for form in ("pdf", "png")
    }


def test_the_lowest_raster_of_each_column_has_the_time_axis(tmp_path, monkeypatch):
    networks = [Network("a", str(k), "c", False, Spikes(np.zeros(1), np.zeros(1, int), 2, 1.0), 0.001) for k in range(3)]
    saved = []
    monkeypatch.setattr(style, "save", lambda figure, *about: saved.append(figure))
    activity_figures.rasters(networks, tmp_path, columns=2)
    shown = [(axes.get_xlabel(), axes.xaxis.get_tick_params()["labelbottom"]) for axes in saved[0].axes[:3]]
    assert [label for label, _ in shown] == ["", "time (s)", "time (s)"]
    assert [ticks for _, ticks in shown][1:] == [True, True]


def test_a_raster_shows_a_second_of_cells_from_all_over_the_network_trial_after_trial(tmp_path):
    n_cells, trial = (
        120,
        0.4,
    )  # spikes of the first and the last cell in each of four trials, a tenth of a second after its start
    fired = Spikes(np.full(8, 0.1), np.tile([0, n_cells - 1], 4), n_cells, trial, np.repeat(np.arange(4), 2), 4)
    figure, panels = style.panels()
    activity_figures.raster(panels[0, 0], Network("a", "b", "c", True, fired, 0.001))
    dots, *edges = panels[0, 0].lines
    assert sorted(zip(*dots.get_data(), strict=True)) == [
        (pytest.approx(time), line) for time in (0.1, 0.5, 0.9) for line in (0, 49)
    ]
    assert [edge.get_xdata()[0] for edge in edges] == pytest.approx([0.4, 0.8])
    style.plt.close(figure)
