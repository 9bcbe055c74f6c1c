"""What all studies share, on small cases by hand: a task, chunks, calibration, config, seeds, measures, training, files."""

import dataclasses
import inspect
import math
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch

from respike.core import (
    adam,
    calibration,
    chunks,
    config,
    files,
    measures,
    partial,
    seeds,
    spikes,
    statistics,
    tasks,
    training,
)
from tests.constants import check


def test_constants_that_several_studies_share():
    check(tasks, SILENCE=0.1, EVIDENCE_END=0.5, OFFSET=0.5)
    check(calibration, NEAREST=200)
    assert measures.COLUMNS == ("study", "variant", "seed", "dataset", "metric", "value", "unit", "n")
    defaults = {
        function: {
            name: each.default
            for name, each in inspect.signature(function).parameters.items()
            if each.default is not each.empty
        }
        for function in (tasks.contextual, statistics.isi_cv, calibration.band, calibration.outside, chunks.ranges, adam.Adam)
    }
    assert defaults[tasks.contextual] == {"switch_probability": 0, "switch_steps": 200}
    assert defaults[statistics.isi_cv] == {"at_least": 3}
    assert defaults[calibration.band] == defaults[calibration.outside] == {"level": 0.95}
    assert defaults[chunks.ranges] == {"beyond": False}
    assert defaults[adam.Adam] == {"betas": (0.9, 0.999), "epsilon": 1e-8, "clip": None, "fused": False}
    assert inspect.signature(training.train).parameters["report_every"].default == 50


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_contextual_integration_by_its_draws(probability):
    """Every entry by a loop: silence, evidence of +-0.5 with unit noise, the cue, and the swap at the end of some trials."""
    found, rng = tasks.contextual(np.random.default_rng(1), 20, 6, probability, 7), np.random.default_rng(1)
    offsets, context = 0.5 * rng.choice([-1.0, 1.0], size=(6, 2)), rng.integers(2, size=6)
    noise = rng.standard_normal((8, 6, 2))
    swapped = rng.random(6) < probability if probability else np.zeros(6, bool)
    assert 0 < swapped.sum() < 6 or not probability
    for step, trial in np.ndindex(20, 6):
        late = step >= 13 and swapped[trial]
        cued = 1 - context[trial] if late else context[trial]
        evidence = noise[step - 2, trial] + offsets[trial] if 2 <= step < 10 else np.zeros(2)
        np.testing.assert_allclose(found.inputs[step, trial, :2], evidence, rtol=1e-6)
        assert found.inputs[step, trial, 2:].tolist() == [float(cued == 0), float(cued == 1)]
        assert found.target[step, trial] == (np.sign(offsets[trial, cued]) if step >= 10 else 0)
    assert tasks.windows(500) == (50, 250)
    tasks.contextual(np.random.default_rng(1), 20, 6, 1.0, 10)
    with pytest.raises(ValueError, match="switch_steps 11: expected 1 to 10"):
        tasks.contextual(np.random.default_rng(1), 20, 6, 1.0, 11)


class TestCalibration:
    def test_curve_and_distance(self):
        curve = calibration.coverage(np.array([0.9, 0.1, 0.4]))
        np.testing.assert_allclose(curve.credibility, [0.1, 0.4, 0.9])
        np.testing.assert_allclose(curve.coverage, [1 / 6, 3 / 6, 5 / 6])
        assert calibration.deviation(curve) == pytest.approx(0.1)
        assert calibration.deviation(calibration.Coverage(np.array([0.5, 0.9]), np.array([0.2, 0.8]))) == pytest.approx(0.3)

    def test_joint_ranks_fit_one_half_of_the_draws_and_count_the_other(self):
        draws = np.random.default_rng(0).standard_normal((30, 2, 2))
        truth = np.array([[0.3, -0.2], [2.0, 1.0]])
        expected = []
        for case in range(2):
            fitted, rest = draws[::2, case], draws[1::2, case]
            precision, mean = np.linalg.inv(np.cov(fitted.T)), fitted.mean(0)
            away = [(x - mean) @ precision @ (x - mean) for x in (*rest, truth[case])]
            expected.append(np.mean(np.array(away[:-1]) > away[-1]))
        np.testing.assert_allclose(calibration.joint_ranks(truth, draws), expected, rtol=1e-6)

    def test_outside_at_another_level(self):
        predicted = np.tile(np.linspace(0, 1, 1001)[:, None], (1, 4))
        seen = np.array([0.06, 0.04, 0.94, 0.96])
        assert calibration.outside(seen, predicted, 0.9) == 0.5
        assert calibration.outside(seen, predicted) == 0.0

    def test_distance_knows_neither_offset_nor_unit(self):
        rng = np.random.default_rng(0)
        predicted, observed = rng.normal(size=(80, 3)), np.array([0.2, -0.1, 0.4])
        scale, offset = np.array([1e3, 1e-3, 5.0]), np.array([1e4, 7.0, -3.0])
        assert calibration.unexpected(observed, predicted, 1) == calibration.unexpected(
            observed * scale + offset, predicted * scale + offset, 1
        )
        assert 0 <= calibration.unexpected(observed, predicted, 1) <= 1


class TestConfig:
    @dataclasses.dataclass(frozen=True)
    class Kind:
        number: float
        kind: Literal["a", "b"] = "a"
        few: tuple[float, ...] = ()
        maybe: int | None = None
        named: dict[str, float] = dataclasses.field(default_factory=dict)
        yes: bool = False

    def test_plain_values(self):
        made = config.build(self.Kind, {"number": 3, "few": [1, 2.5], "maybe": 4, "named": {"x": 1}, "yes": True})
        assert made == self.Kind(3.0, "a", (1.0, 2.5), 4, {"x": 1.0}, True)
        assert [type(value) for value in (made.number, made.few[0], made.named["x"])] == [float] * 3
        assert config.build(self.Kind, {"number": 1.0, "maybe": None}).maybe is None

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({}, r"needs a value for \['number'\]"), ({"number": "1"}, "Kind.number = '1': expected float, found str"),
            ({"number": True}, "expected float, found bool"), ({"number": 1, "maybe": True}, "expected int, found bool"),
            ({"number": 1, "kind": "c"}, "expected one of 'a', 'b'"), ({"number": 1, "few": 3}, "expected a list"),
            ({"number": 1, "named": [3]}, "expected keys and values"), ({"number": 1, "yes": 1}, "expected bool, found int"),
            ({"number": 1, "other": 1}, r"has no field \['other'\]"),
        ],
    )  # fmt: skip
    def test_others_are_refused(self, values, says):
        with pytest.raises(config.ConfigError, match=says):
            config.build(self.Kind, values)


class TestSeeds:
    def test_streams_are_those_of_numpy_with_the_path_as_key(self):
        from zlib import crc32  # noqa: PLC0415

        expected = np.random.SeedSequence(7, spawn_key=(crc32(b"modes"), 3))
        assert seeds.sequence(7, "modes", 3).generate_state(4).tolist() == expected.generate_state(4).tolist()
        assert seeds.of(7, "modes", 3) == int(expected.generate_state(1, np.uint64)[0]) // 2
        assert seeds.generator(7, "modes", 3).random() == np.random.default_rng(expected).random()
        many = [seeds.of(0, "x", number) for number in range(200)]
        assert len(set(many)) == 200
        assert 2**62 < max(many) < 2**63


class TestStatistics:
    def test_intervals_within_trials_and_cells(self):
        made = spikes.Spikes(
            np.array([0.5, 0.1, 0.3, 0.2, 0.9, 0.4, 0.6]), np.array([0, 0, 1, 0, 0, 1, 1]), 2, 1.0,
            np.array([0, 0, 0, 1, 1, 1, 1]), 2,
        )  # fmt: skip
        isi, cell = statistics.intervals(made)
        np.testing.assert_allclose(isi, [0.4, 0.7, 0.2])
        assert cell.tolist() == [0, 0, 1]
        np.testing.assert_allclose(statistics.rate(made), [2, 1.5])

    def test_cv_needs_three_intervals(self):
        made = spikes.Spikes(np.array([0.0, 0.1, 0.3, 0.6, 0.0, 0.1, 0.3]), np.array([0, 0, 0, 0, 1, 1, 1]), 2, 1.0)
        found = statistics.isi_cv(made)
        assert found[0] == pytest.approx(np.std([0.1, 0.2, 0.3]) / 0.2)
        assert np.isnan(found[1])
        assert statistics.isi_cv(made, 2)[1] == pytest.approx(np.std([0.1, 0.2]) / 0.15)

    @pytest.mark.parametrize("shape", [(7,), (3, 8), (2, 3, 5)], ids=str)
    def test_autocovariance_of_rows_in_any_number_of_axes(self, shape):
        counts = np.random.default_rng(8).poisson(2, shape)
        found, n = statistics.autocovariance(counts, 3), shape[-1]
        assert found.shape == (*shape[:-1], 4)
        for at in np.ndindex(*shape[:-1]):
            row = counts[at] - sum(counts[at]) / n
            expected = [sum(row[i] * row[i + lag] for i in range(n - lag)) / n for lag in range(4)]
            np.testing.assert_allclose(found[at], expected, atol=1e-12)

    def test_bins_drop_a_last_one_that_is_cut_short(self):
        made = spikes.Spikes(np.array([0.0, 0.1, 0.2999999, 0.3, 0.95]), np.zeros(5, int), 1, 0.98)
        assert spikes.bin_counts(made, 0.1)[0, :, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0]
        edge = spikes.Spikes(np.array([0.3]), np.zeros(1, int), 1, 0.3)
        assert spikes.bin_counts(edge, 0.1)[0, :, 0].tolist() == [0, 0, 0]

    @pytest.mark.parametrize("wrong", [[-0.1], [1.1]])
    def test_the_ends_of_a_recording_belong_to_it(self, wrong):
        spikes.Spikes(np.array([0.0, 1.0]), np.array([0, 1]), 2, 1.0)
        with pytest.raises(ValueError, match="1 spikes fall outside"):
            spikes.Spikes(np.array(wrong), np.array([0]), 2, 1.0)
        for cells in ([2], [-1], [0, 1], []):
            with pytest.raises(ValueError, match=r"cells are \d numbers from .*, expected 1 from 0 to 1"):
                spikes.Spikes(np.array([0.5]), np.array(cells), 2, 1.0)

    @pytest.mark.parametrize("trials", [[3, 0], [-1, 0], [0], [0, 1, 2]])
    def test_spikes_of_a_trial_that_is_not_there_are_refused(self, trials):
        spikes.Spikes(np.array([0.5, 0.6]), np.zeros(2, int), 1, 1.0, np.array([0, 2]), 3)
        said = f"trials are {len(trials)} numbers from {min(trials)} to {max(trials)}, expected 2 from 0 to 2"
        with pytest.raises(ValueError, match=said):
            spikes.Spikes(np.array([0.5, 0.6]), np.zeros(2, int), 1, 1.0, np.array(trials), 3)

    @pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
    def test_times_that_are_no_numbers_are_refused(self, odd):
        with pytest.raises(ValueError, match="1 of 2 times are not finite, expected seconds from 0 to 1"):
            spikes.Spikes(np.array([0.5, odd]), np.zeros(2, int), 1, 1.0)


class TestMeasures:
    def test_facts_are_told_once_each(self):
        found = measures.facts("s", [("a", {"x": 1.0, "y": "t"}), ("a", {"x": 1.0, "y": True}), ("b", {"x": 0.1})])
        assert found.to_numpy().tolist() == [
            ["s", "a", "x", "1"],
            ["s", "a", "y", "t"],
            ["s", "a", "y", "True"],
            ["s", "b", "x", "0.1"],
        ]

    def test_command_lines_become_values(self):
        words = ["--n", "3", "--two-words", "a", "b", "--settings", '{"x": [1, null]}', "--none"]
        assert measures._values(words) == {"n": 3, "two_words": ["a", "b"], "settings": {"x": [1, None]}, "none": []}

    def test_the_same_measure_twice_is_refused_and_another_seed_is_not(self):
        row = measures.Measure("v", 0, "d", "m", 1.0, "u", 3)
        made = measures.table("s", [row, row._replace(seed=1), row._replace(dataset="e"), row._replace(metric="k")])
        assert (list(made.columns), made["study"].unique().tolist(), str(made["n"].dtype)) == (
            list(measures.COLUMNS),
            ["s"],
            "int64",
        )
        with pytest.raises(ValueError, match="measured twice"):
            measures.table("s", [row, row._replace(value=2.0)])


class TestTraining:
    def test_what_is_said_and_how_often(self, tmp_path, capsys):
        table = training.train({}, lambda number: {"loss": 1 / (number + 1)}, 7, tmp_path / "x", {}, report_every=3)
        said = capsys.readouterr().out.splitlines()
        assert [line.split()[1] for line in said] == ["3/7", "6/7", "7/7"]
        assert said[0].startswith("step 3/7  loss 0.3333  ")
        assert table["step"].tolist() == list(range(7))

    def test_it_is_saved_when_so_many_seconds_have_passed(self, tmp_path, monkeypatch):
        clock, saved = iter(np.arange(0, 100, 8.0)), []
        monkeypatch.setattr(training, "SAVE_SECONDS", 20.0)
        monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
        monkeypatch.setattr(training, "_save", lambda parts, rows, output, settings: saved.append(len(rows)))
        training.train({}, lambda number: {}, 8, tmp_path / "x", {})
        assert saved == [3, 6]

    def test_the_state_with_most_rows_takes_the_place_of_the_older(self, tmp_path):
        out = tmp_path / "fit.pt"
        assert [path.name for path in partial.paths(out)] == ["fit.pt.0", "fit.pt.1"]
        for n in (1, 2, 3):
            partial.save(out, {"a": 1}, {"rows": [0] * n})
        kept = sorted(len(partial.JSON.read(path)["rows"]) for path in partial.paths(out))
        assert kept == [2, 3]
        assert len(partial.resume(out, {"a": 1})["rows"]) == 3
        assert partial.resume(out, {"a": 2}) is None

    def test_where_to_train(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert [training.device(name).type for name in ("cpu", "cuda", "auto")] == ["cpu", "cuda", "cuda"]
        assert files.maker["device"] == "cuda"
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert [training.device(name).type for name in ("cpu", "auto")] == ["cpu", "cpu"]
        assert files.maker["device"] == "cpu"
        with pytest.raises(ValueError, match="needs a usable GPU"):
            training.device("cuda")

    def test_best_before_any_score_and_after(self):
        module = torch.nn.Linear(1, 1)
        best = training.Best(module)
        assert (best.score, best.step) == (-math.inf, 0)
        best.offer(0.5, 3)
        with torch.no_grad():
            module.weight.fill_(9)
        best.offer(0.5, 4)
        assert (best.step, float(best.weights["weight"]) == 9) == (3, False)
        best.offer(0.6, 5)
        assert (best.score, best.step, float(best.weights["weight"])) == (0.6, 5, 9)


class TestFiles:
    def test_tables_and_arrays_that_lack_something(self, tmp_path):
        files.write_table(tmp_path / "t.parquet", pd.DataFrame({"a": [1]}))
        assert files.read_table(tmp_path / "t.parquet")["a"].tolist() == [1]
        with pytest.raises(ValueError, match=r"has no column \['b'\]; it has \['a'\]"):
            files.read_table(tmp_path / "t.parquet", ["a", "b"])
        files.write_arrays(tmp_path / "x.npz", a=np.arange(2))
        with pytest.raises(ValueError, match=r"has no array \['b'\]"):
            files.read_arrays(tmp_path / "x.npz", "b")

    def test_without_a_record_a_file_is_taken_as_it_is(self, tmp_path):
        path = tmp_path / "mine.txt"
        path.write_text("mine")
        assert files.read_record(path) is None
        assert files.checked(path) == path
        record = files.record_path(path)
        assert record == tmp_path / ".made/mine.txt.json"
        record.parent.mkdir()
        for text in ("[]", "{}", '{"sha256": 3}', "no"):
            record.write_text(text)
            with pytest.raises(files.CorruptFile, match="is damaged"):
                files.checked(path)


def test_chunks_fill_what_is_between_finished_ones():
    assert chunks.ranges([(2, 3)], 7, 4) == [(0, 1), (2, 3), (4, 6)]
    assert chunks.ranges([], 8, 4) == [(0, 3), (4, 7)]
    assert chunks.ranges([(4, 9)], 8, 4) == [(0, 3), (4, 7)]
    assert chunks.ranges([(4, 9)], 8, 4, beyond=True) == [(0, 3), (4, 9)]
    assert chunks.ranges([(4, 7)], 8, 10) == [(0, 3), (4, 7)]
    assert chunks.ranges([], 0, 3) == []
