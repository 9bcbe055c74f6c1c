"""The report's numbers on small cases by hand: activity, intervals, counts of verdicts, costs, pictures."""

import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from respike.core.spikes import Network, Spikes
from respike.report import activity, cards, claims, intervals, performance, published, records, verdicts
from respike.report.intervals import Side
from tests.constants import check


def test_constants_that_the_pages_state():
    check(activity, WINDOW=0.2, BIN=0.005, FEWEST_FREQUENCIES=4)
    check(intervals, LEVEL=0.95, NOT_ALIKE=0.99, UNKNOWN=(-math.inf, math.inf))
    check(verdicts, SCALE={"%": 100}, EDGE=1e-9)
    assert verdicts.VERDICTS == ("reproduced", "not reproduced", "undecided", "not comparable", "not measured")
    check(cards, WHOSE=("paper", "re-implementation", "goal"), OURS=("re-implementation", "goal"))
    assert cards.OPEN == ("not comparable", "not measured")
    check(published, LARGEST=300_000, LARGEST_TABLE=1_000_000, WIDTHS=(1500, 1200, 1000, 800, 640))
    assert {"value", "spread", "n", "margin", "looks"} == claims.NUMBERS


class TestActivity:
    def network(self, times, cells, trials=None, n_cells=3, duration=1.0, step=0.001):
        n = 1 if trials is None else int(max(trials)) + 1
        given = None if trials is None else np.array(trials)
        spikes = Spikes(np.array(times), np.array(cells), n_cells, duration, given, n)
        return Network("study", "name", "data", True, spikes, step)

    def test_windows_are_whole_steps_not_below(self):
        assert activity.whole_steps(0.2, 0.003) == pytest.approx(0.201)
        assert activity.whole_steps(0.2, 0.004) == pytest.approx(0.2)
        assert activity.whole_steps(0.005, 0.02) == pytest.approx(0.02)

    def test_statistics_of_cells_by_loops(self, rng):
        times, cells, trials = rng.random(300), rng.integers(0, 4, 300), rng.integers(0, 2, 300)
        network = self.network(times, cells, trials, n_cells=5)  # the fifth is silent
        found = activity.of_cells(network, 0.25)
        counts = np.array([
            [[np.sum((cells == c) & (trials == t) & (np.floor(times / 0.25) == w)) for c in range(5)] for w in range(4)]
            for t in range(2)
        ]).reshape(8, 5)  # fmt: skip
        np.testing.assert_allclose(found["rate"], counts.sum(0) / 2)
        np.testing.assert_allclose(found["fano"][:4], counts.var(0)[:4] / counts.mean(0)[:4])
        assert np.isnan(found["fano"][4])
        pairs = [np.corrcoef(counts[:, i], counts[:, j])[0, 1] for i in range(4) for j in range(i)]
        np.testing.assert_allclose(found["correlation"], pairs)

    def test_rows_of_a_network(self, rng):
        network = self.network(np.sort(rng.random(400)), rng.integers(0, 3, 400))
        rows = {row[4]: row for row in activity.measured(network)}
        assert list(rows) == ["rate", "cv_isi", "fano", "correlation", "spectrum_peak", "flatness"]
        assert rows["rate"][:4] == ("study", "name", "data", True)
        rates = np.bincount(network.spikes.cells) / 1.0
        assert rows["rate"][5:8] == pytest.approx((rates.mean(), *np.quantile(rates, [0.1, 0.9])))
        assert rows["rate"][8:10] == ("Hz", 3)
        assert (rows["fano"][10], rows["flatness"][10]) == (pytest.approx(0.2), pytest.approx(0.005))
        assert np.isnan(rows["rate"][10])
        assert rows["correlation"][9] == 3
        short = {row[4]: row for row in activity.measured(self.network([0.01, 0.05], [0, 1], duration=0.1))}
        assert short["fano"][10] == 0.1, "the whole trial"

    def test_rhythm_by_a_plain_transform(self):
        """One trial of 64 bins in one window (Hann, mean removed): peak and flatness of its power without the first."""
        rng = np.random.default_rng(1)
        rate = rng.random(64) < 0.3 + 0.3 * np.sin(2 * np.pi * 10 * np.arange(64) / 64)
        network = self.network((np.flatnonzero(rate) + 0.5) * 0.005, np.zeros(rate.sum(), int), n_cells=1, duration=0.32)
        found = activity.of_population(network, 0.005)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
        power = np.abs(np.fft.rfft((rate - rate.mean()) * window)) ** 2
        power[1:-1] *= 2
        power = power[1:]
        assert found["spectrum_peak"][0] == pytest.approx((power.argmax() + 1) / 0.32)
        assert found["flatness"][0] == pytest.approx(np.exp(np.log(power).mean()) / power.mean())

    def test_a_spectrum_of_four_frequencies_has_a_shape_and_one_of_three_has_none(self):
        for bins, n in ((8, 1), (9, 1), (7, 0), (6, 0)):
            times = np.array([0.5, 1.5, 4.2]) * 0.005
            network = self.network(times, [0, 0, 0], n_cells=1, duration=bins * 0.005)
            assert len(activity.of_population(network, 0.005)["flatness"]) == n


class TestIntervals:
    def test_sample(self):
        side = intervals.sample([1.0, 2.0, 6.0])
        assert side == (3.0, 3, pytest.approx(math.sqrt(7)), 2)
        assert np.isnan(intervals.sample([2.0, 2.0]).spread)
        assert np.isnan(intervals.sample([2.0]).spread)

    def test_one_spread_of_two(self):
        """The known spread serves both: half = t(freedom of that side) s sqrt(1/n + 1/m)."""
        low, high = intervals.means(Side(5.0, 4, 2.0, 3), Side(4.0, 9))
        half = stats.t.ppf(0.975, 3) * 2 * math.sqrt(1 / 4 + 1 / 9)
        assert (low, high) == pytest.approx((1 - half, 1 + half))
        low, high = intervals.means(Side(5.0, 4, 2.0, 3), Side(4.0))
        assert high - 1 == pytest.approx(stats.t.ppf(0.975, 3) * 2 / 2)
        assert intervals.means(Side(5.0, 4), Side(4.0, 2)) == (-math.inf, math.inf)

    def test_counts_and_shares_of_nothing_and_all(self):
        assert intervals.poisson(Side(0.0, 10.0)) == pytest.approx((0, -math.log(0.025) / 10))
        assert intervals.binomial(Side(0.0, 20)) == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
        assert intervals.binomial(Side(1.0, 20)) == pytest.approx((0.025 ** (1 / 20), 1))
        assert intervals.poisson(Side(3.0)) == intervals.binomial(Side(3.0)) == (3.0, 3.0)
        low, high = intervals.added(0.5, (0.4, 0.7), 0.3, (0.25, 0.35))
        assert (low, high) == pytest.approx((0.2 - math.hypot(0.1, 0.05), 0.2 + math.hypot(0.2, 0.05)))

    def test_the_smallest_of_as_many(self):
        values = np.arange(40.0)
        low, high = intervals.minimum(values, 40)
        chance, j = 1.0, 0
        while True:
            chance *= (40 - j) / (80 - j)
            if chance <= 0.025:
                break
            j += 1
        assert (low, high) == (-math.inf, values[j])
        assert intervals.minimum(values, np.nan) == (low, high)
        assert intervals.minimum(np.arange(78.0), 2)[0] == 0.0  # 78/80 = 0.975
        assert intervals.minimum([1.0, 2.0], 1)[1] == math.inf


class TestCards:
    def test_texts(self):
        row = pd.Series({"low": -0.5, "high": math.inf, "verdict": "undecided", "compared": "x", "why": "y", "note": "z"})
        assert cards.interval(row) == "-0.5 to ∞"
        assert cards.interval(row.replace({-0.5: np.nan})) == ""
        assert (cards.text(0.123456), cards.text(np.nan), cards.text("a"), cards.text(3)) == ("0.1235", "", "a", "3")
        assert cards.reason(row) == "x; y"
        assert cards.reason(pd.Series({**row, "why": ""})) == "x"
        assert cards.reason(pd.Series({**row, "verdict": "not comparable"})) == "y"
        assert cards.reason(pd.Series({**row, "verdict": "not measured", "why": ""})) == "z"
        assert cards.reason(pd.Series({**row, "compared": ""})) == "y"

    def test_counts(self):
        card = pd.DataFrame(
            [
                ("b", "paper", "undecided"),
                ("a", "goal", "reproduced"),
                ("b", "paper", "undecided"),
                ("b", "goal", "reproduced"),
            ],
            columns=["study", "whose", "verdict"],
        )
        found = cards.counts(card)
        assert found.index.tolist() == ["b", "a"]
        assert found.loc["b"].tolist() == [1, 0, 2, 0, 0]
        assert cards.counts(card, ["paper"]).loc["a"].sum() == 0
        assert cards.in_order(card)["verdict"].tolist() == ["reproduced", "reproduced", "undecided", "undecided"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"spread": 0.0, "n": 3.0}, "spread 0.0 of n = 3.0"), ({"n": 0.5}, "of n = 0.5"),
        ({"spread": 0.1, "n": 1.0, "like": "x"}, "of n = 1.0"), ({"spread": 0.1, "n": 1.0}, ""),
        ({"spread": 0.1, "n": 2.0}, ""), ({"n": 1.0}, ""), ({"margin": 0.0}, ""), ({"margin": -0.1}, "margin -0.1"),
        ({"value": np.inf}, "value inf"), ({"source": ""}, "no item or no source"), ({"direction": ""}, "no direction"),
        ({"direction": "", "note": "why"}, ""), ({"metric": ""}, "no metric"), ({"metric": "", "note": "why"}, ""),
        ({"whose": "mine"}, "whose 'mine'"), ({"conditions": "batches"}, "condition 'batches'"),
    ],
)  # fmt: skip
def test_what_keeps_a_claim_from_being_judged(changes, says):
    claim = claims.Claim(
        "paper", "item", "source", "", "variant", "metric", "mean", "equal", 1.0, np.nan, np.nan, 0.1, "", "", "", ""
    )
    assert says in claims.fault(claim._replace(**changes))
    assert bool(claims.fault(claim._replace(**changes))) == bool(says)


def test_conditions_hold_as_numbers_or_as_text():
    hold = {"n>=3": ("3", "4", "10"), "n<=3": ("3", "2"), "n=3": ("3", "3.0"), "d=MN*": ("MNIST",)}
    fail = {"n>=3": ("2", "x"), "n<=3": ("4", "x"), "n=3": ("4",), "d=MN*": ("other", "3")}
    for expected, cases in ((True, hold), (False, fail)):
        for text, values in cases.items():
            (condition,) = claims.conditions(text)
            assert [condition.holds(value) for value in values] == [expected] * len(values)
    assert [each.wanted for each in claims.conditions("a>=1; b<=2 ;c=x")] == ["at least 1", "at most 2", "x"]


class TestCosts:
    def test_last_record_of_a_job_counts_and_jobs_add_up(self):
        def made(stage, arguments, wall, cpu, memory):
            return {"stage": stage, "arguments": arguments, "cost": {"wall_s": wall, "cpu_s": cpu, "memory_mb": memory}}

        rows = [made("v1.fit", ["a"], 1, 2, 30), made("v1.fit", ["a"], 3, 4, 20), made("v1.fit", ["b"], 5, 6, 10)]
        found = records.costs([*rows, made("v1.data", [], 7, 8, 9), {"sha256": "x"}]).set_index("stage")
        assert found.loc["fit"].tolist() == ["v1", 2, 8, 10, 30]
        assert found.loc["data"].tolist() == ["v1", 1, 7, 8, 9]

    def test_records_without_their_file_and_parts_are_left_out(self, tmp_path):
        for name in ("a/.made/x.npz", "a/.made/gone.npz", "a/.partial/.made/y.npz"):
            path = tmp_path / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"sha256": name}))
        for name in ("a/x.npz", "a/.partial/y.npz"):
            (tmp_path / name).touch()
        assert records.read(tmp_path) == [{"sha256": "a/.made/x.npz"}]

    def test_provenance(self):
        made = [
            {"seed": 5, "time": "2024-05-01T10", "host": {"system": "Linux-6", "processor": "x"},
             "versions": {"b": "2", "a": "1"}},
            {"seed": 0, "time": "2024-06-01T10", "versions": {"a": "3"}}, {"seed": None},
        ]  # fmt: skip
        assert records.provenance(made) == {
            "seed": "0, 5", "machine": "Linux x", "finished": "2024-06-01", "files with a record of their origin": "3",
            "a": "1, 3", "b": "2",
        }  # fmt: skip
        assert records.provenance([])["seed"] == records.provenance([])["machine"] == "unknown"


def test_workloads_of_both_tables_by_name(tmp_path):
    about = {"yardstick": "other", "yardstick_cpu_s": 2.0, "ratio": 0.12345, "peak_mb": np.nan, "load": 1}
    pd.DataFrame([{"workload": "v1 step", "cpu_s": 1234.5, **about}]).to_csv(tmp_path / "bench.csv", index=False)
    pd.DataFrame([{"workload": "v2 step", "cpu_s": 1.0, **about}]).to_csv(tmp_path / "peers.csv", index=False)
    assert performance.lines(tmp_path, "v1*") == [["v1 step", "1.23e+03", "other", "2", "0.123", "", "1"]]
    assert len(performance.lines(tmp_path, "v*")) == 2
    assert performance.lines(tmp_path / "none", "*") == []


def test_pictures_shrink_until_they_fit(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (100, 2000, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    sizes = {}
    for largest in (10**9, 90_000, 1):
        monkeypatch.setattr(published, "LARGEST", largest)
        with Image.open(io.BytesIO(published.small(tmp_path / "noise.png"))) as picture:
            sizes[largest] = picture.size
    assert sizes[10**9] == (1500, 75)
    assert sizes[1] == (640, 32)
    assert 640 <= sizes[90_000][0] < 1500


class TestJudgement:
    claim = claims.Claim("paper", "item", "source", "", "a", "m", "mean", "equal", 2.0, 0.5, 4, 0.3, "", "", "", "")

    def judged(self, rows, **changes):
        columns = ["variant", "metric", "value", "n", "dataset"]
        measured = pd.DataFrame(rows, columns=columns).assign(study="s", seed=range(len(rows)), unit="")
        facts = pd.DataFrame(columns=["study", "variant", "fact", "value"], dtype=str)
        claim, run = self.claim._replace(**changes), verdicts.Run(measured, facts, "quick")
        return verdicts.judge(verdicts.evidence(claim, [run] * len(verdicts.kinds_of(claim))))

    def test_mean_against_mean(self):
        row = self.judged(
            [("a", "m", value, 9, "d") for value in (1.9, 2.1, 2.3)] + [("b", "m", 9.0, 9, "d"), ("a", "x", 9.0, 9, "d")]
        )
        ours = np.array([1.9, 2.1, 2.3])
        variance = ours.var(ddof=1) / 3, 0.25 / 4
        freedom = sum(variance) ** 2 / (variance[0] ** 2 / 2 + variance[1] ** 2 / 3)
        half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(variance))
        assert (row["value"], row["low"], row["high"]) == pytest.approx((2.1, 0.1 - half, 0.1 + half))
        assert row["verdict"] == "undecided"

    def test_two_kinds(self):
        rows = [("a", "m", value, 9, "d") for value in (5.0, 5.2)] + [("b", "m", value, 9, "d") for value in (1.0, 1.4)]
        row = self.judged(rows, variant="a - b", value=1.0, spread=np.nan, n=np.nan, direction="at least", margin=0.0)
        variance = 0.02 / 2, 0.08 / 2
        half = stats.t.ppf(0.975, sum(variance) ** 2 / sum(each**2 for each in variance)) * math.sqrt(sum(variance))
        assert (row["value"], row["low"], row["high"]) == pytest.approx((3.9, 2.9 - half, 2.9 + half))

    def test_counted_shares_and_their_size(self):
        rows = [("a", "m", 0.5, 10, "d"), ("a", "m", 0.8, 40, "d")]
        row = self.judged(rows, statistic="share", value=0.7, spread=np.nan, n=np.nan)
        assert row["value"] == pytest.approx(37 / 50)
        low, high = stats.binomtest(37, 50).proportion_ci(0.95, "exact")
        assert (row["low"], row["high"]) == pytest.approx((low - 0.7, high - 0.7))
        row = self.judged(
            [("a", "m", 100.0, 9, "d"), ("a", "m", 0.0, 9, "d")],
            statistic="share of networks",
            unit="%",
            value=50.0,
            spread=np.nan,
        )
        low, high = stats.binomtest(1, 2).proportion_ci(0.95, "exact")
        paper = stats.binomtest(2, 4).proportion_ci(0.95, "exact")
        assert row["low"] == pytest.approx(-100 * math.hypot(0.5 - low, paper.high - 0.5))

    def test_exact_values_at_the_margin(self):
        for value, verdict in (
            (2.3, "reproduced"),
            (1.7, "reproduced"),
            (2.3001, "not reproduced"),
            (1.6999, "not reproduced"),
        ):
            assert self.judged([("a", "m", value, 9, "d")], statistic="exact")["verdict"] == verdict
        for direction, value, verdict in (
            ("at least", 1.7, "reproduced"),
            ("at least", 1.69, "not reproduced"),
            ("at most", 2.31, "not reproduced"),
            ("at most", -9.0, "reproduced"),
        ):
            assert self.judged([("a", "m", value, 9, "d")], statistic="exact", direction=direction)["verdict"] == verdict

    def test_values_that_are_no_numbers_are_told(self):
        row = self.judged([("a", "m", np.nan, 9, "d"), ("a", "m", 1.0, 9, "d")])
        assert (row["verdict"], row["why"]) == ("not comparable", "1 of 2 values are not finite")
        row = self.judged([("a", "m", 1.0, 9, "d"), ("a", "m", 1.0, 9, "e")])
        assert row["why"] == "measured on d and e, and the claim does not say on which"
