"""fsbi: metrics, surrogate, released format, filter, proposals, estimator, from closed forms and hand values."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy import stats

from respike.__main__ import main
from respike.core import calibration, config, files, style
from respike.fsbi import (
    fitted,
    inference_figure,
    mean_field,
    mlp,
    network_figure,
    protocol,
    released,
    summary,
    surrogate,
)
from respike.fsbi.inference import classifier, comparison, flow, posterior, proposals, targets, whitening
from respike.fsbi.inference.targets import Target
from respike.fsbi.params import FAMILIES, FINISHED, METRICS, PLASTIC, THETA, Cells, Network, Protocol, Wiring, box, metrics_of
from respike.fsbi.recording import Recording
from respike.fsbi.rules import Rows, joined, parameters
from respike.fsbi.stages import example, figures, metrics, survivors, table
from respike.fsbi.stages import filter as rule_filter
from respike.fsbi.stages import surrogate as surrogate_stage

ROOT = Path(__file__).resolve().parents[1]
RATE = {"rate": Target((5.0, 10.0), (1.0, 50.0))}


def bounds() -> dict[str, Target]:
    """The table of targets of the quick size."""
    stored = yaml.safe_load((ROOT / "config.yaml").read_text())["fsbi"]["targets"]
    floats = {name: {key: [float(v) for v in value] for key, value in entry.items()} for name, entry in stored.items()}
    return {name: config.build(Target, entry) for name, entry in floats.items()}


def prior_rules(n: int, family: str = "poly", round: int = 0) -> pd.DataFrame:
    settings = proposals.Proposal((), {})
    return pd.DataFrame([proposals.propose(family, round, index, [], [], settings, 0) for index in range(n)])


def measured(n: int, family: str = "poly", round: int = 0) -> pd.DataFrame:
    """A table of a round, as fsbi.table writes it."""
    drawn = prior_rules(n, family, round)
    metrics = surrogate.metrics_of_rules(drawn, family)
    outcome = np.where(metrics["rate"].isna(), "blow_up", FINISHED)
    return pd.concat([drawn, metrics], axis=1).assign(outcome=outcome, stop_time=-1.0, dataset="surrogate")


def recording(**changes) -> Recording:
    """Ten seconds of 3 E and 2 I cells: E cell 0 fires every 100 ms, cell 1 four times, cell 2 never; I cells once."""
    clock = 60.05 + 0.1 * np.arange(100)
    few = np.array([60.5, 61.0, 63.0, 64.0])
    values = {
        "e_times": np.concatenate([clock, few]),
        "e_cells": np.repeat([0, 1], [100, 4]),
        "n_e": 3,
        "i_times": np.array([62.0, 63.0]),
        "i_cells": np.array([0, 1]),
        "n_i": 2,
        "start": 60.0,
        "stop": 70.0,
        "weight_times": 60 + 0.1 * np.arange(100),
        "weights": {kind: np.full((100, 4), 2.0) for kind in PLASTIC["poly"]},
    }
    return Recording(**{**values, **changes})


# -- metrics ----------------------------------------------------------------------------------------------------------


def test_rates_and_irregularity_of_hand_made_trains():
    found = summary.summarise(recording())
    assert found["rate"] == pytest.approx(104 / 30)
    assert found["rate_i"] == pytest.approx(2 / 20)
    isi = np.array([0.5, 2.0, 1.0])
    assert found["cv_isi"] == pytest.approx(
        (0 + isi.std() / isi.mean() + 0) / 3, abs=1e-9
    )  # a clock and a silent cell count as 0
    assert found["std_rate_spatial"] == pytest.approx(np.std([10, 0.4, 0]))


def test_fano_factors_of_hand_made_counts():
    # 99 bins of 0.1 s: the clock has one spike in each; cell 1 has four spikes, in four bins
    counts = np.zeros((99, 3))
    counts[:, 0] = 1
    counts[[5, 10, 30, 40], 1] = 1
    found = summary.summarise(recording())
    few = counts[:, 1]
    assert found["temporal_Fano"] == pytest.approx((0 + few.var() / few.mean() + 0) / 3)
    assert found["spatial_Fano"] == 0.0  # never more than 3 spikes in a bin


def test_a_silent_network_has_finite_metrics():
    found = summary.summarise(recording(e_times=np.zeros(0), e_cells=np.zeros(0, int)))
    assert all(np.isfinite(list(found.values())))
    assert [found[name] for name in ("rate", "cv_isi", "kl_isi", "spatial_Fano", "auto_cov", "fft")] == [0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("changes", [{"blow_up": 3.2, "outcome": "blow_up"}, {"outcome": "silent"}, {"weights": {}}])
def test_what_did_not_finish_has_no_metrics(changes):
    assert np.isnan(list(summary.summarise(recording(**changes)).values())).all()


def test_no_inhibitory_recording_leaves_its_rate_open():
    found = summary.summarise(recording(n_i=0, i_times=np.zeros(0), i_cells=np.zeros(0, int)))
    assert np.isnan(found["rate_i"])
    assert np.isfinite(found["rate"])


def test_weights_at_a_bound_and_drift():
    rising = np.linspace(1, 3, 100)[:, None] * np.ones(4)
    bound = np.full((100, 4), 2.0)
    bound[:, 0] = 20.0
    found = summary.summarise(recording(weights={"EE": rising, "IE": bound}))
    assert found["w_blow"] == pytest.approx((0 + 0.25) / 2)
    assert found["w_creep"] == pytest.approx(2 * (3 - 1) / (3 + 1))
    assert found["weef"] == pytest.approx(3)
    assert np.isnan(found["wiif"])  # not plastic


def test_first_weight_sample_does_not_count_as_blown():
    start = np.full((100, 4), 2.0)
    start[0] = 0.0  # at 60.0 s exactly
    assert summary.summarise(recording(weights={"EE": start}))["w_blow"] == 0


def test_weights_near_zero_do_not_creep():
    assert summary.creep(0.01, 0.09) == 0.0
    assert summary.creep(0.04, 0.08) == pytest.approx(2 * 0.04 / 0.12)


def test_bins_drop_the_last_started_one_and_close_on_the_right():
    spikes = np.array([60.0, 69.9, 69.95])
    counts = summary.binned(recording(e_times=spikes, e_cells=np.zeros(3, int)), 0.1)
    assert counts.shape == (99, 3)
    assert counts[0, 0] == 1
    assert counts[-1, 0] == 1  # 69.9 lies on the closed edge; 69.95 is outside


def test_poisson_train_is_close_to_exponential_and_a_clock_is_not(rng):
    poisson = np.sort(rng.exponential(0.1, 4000))
    assert summary.poisson_distance(rng.exponential(0.1, 40_000), 10.0, 100) < 0.01
    assert summary.poisson_distance(np.full(100, 0.1), 10.0, 100) > 1
    assert summary.poisson_distance(poisson[:0], 0.0, 100) == 0


def by_the_book(one: Recording) -> dict[str, float]:
    """The metrics that are more than a mean or a count, cell by cell and bin by bin as they are defined."""
    trains = [np.sort(one.e_times[one.e_cells == cell]) for cell in range(one.n_e)]

    def counts(width: float) -> np.ndarray:
        edges = np.arange(one.start, one.stop, width)
        return np.array([np.histogram(train, edges)[0] for train in trains])

    def fano(count: np.ndarray) -> float:
        return count.var() / count.mean() if count.sum() > 3 else 0.0

    def correlated(count: np.ndarray) -> float:
        if count.std() <= 0.05:
            return 1.0
        full = np.abs(np.correlate(count - count.mean(), count - count.mean(), "full"))
        middle = len(count) - 1
        return np.mean(full[middle - 50 : middle + 51] / full.max())

    coarse, middle, fine = counts(0.1), counts(0.01), counts(0.001).mean(0)
    isi = np.concatenate([np.diff(train) for train in trains])
    p = np.histogram(np.minimum(isi, 1), np.linspace(0, 1, 100))[0] / len(isi)
    q = -np.diff(np.exp(-np.linspace(0, 1, 100) / isi.mean()))
    return {
        "spatial_Fano": np.mean([fano(coarse[:, number]) for number in range(coarse.shape[1])]),
        "temporal_Fano": np.mean([fano(train) for train in coarse]),
        "auto_cov": np.mean([correlated(train) for train in middle]),
        "fft": sum(2 / len(fine) * np.abs(np.fft.fft(fine))[1 : len(fine) // 2]),
        "std_rate_temporal": np.sqrt(np.mean((fine - fine.mean()) ** 2)),
        "kl_isi": abs(sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)),
        "std_cv": np.std([np.diff(train).std() / np.diff(train).mean() if len(train) > 3 else 0.0 for train in trains]),
    }


def test_metrics_by_the_book(rng):
    numbers = [0, 3, 4, 5, 40, 80, 200, 500]  # spikes of each cell: silent, too few to be judged, bursting, fast
    trains = [rng.uniform(60, 70, n) for n in numbers]
    trains[5] = 61 + 8 * rng.beta(0.3, 0.3, 80)
    cells = np.repeat(np.arange(len(numbers)), numbers)
    one = recording(e_times=np.concatenate(trains), e_cells=cells, n_e=len(numbers))
    found = summary.summarise(one)
    for name, value in by_the_book(one).items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


# -- targets, filter --------------------------------------------------------------------------------------------------


def test_intervals_are_closed_and_nan_is_outside():
    rules = pd.DataFrame({"rate": [5.0, 10.0, 10.0001, np.nan]})
    assert targets.meets(rules, {"rate": (5.0, 10.0)}).tolist() == [True, True, False, False]


def test_mlp_rules_have_no_weights_of_static_types():
    assert len(metrics_of("poly")) == 17
    assert set(metrics_of("poly")) - set(metrics_of("mlp")) == {"weif", "wiif"}


def test_every_group_has_bounds_in_the_default_config():
    for family in ("poly", "mlp"):
        for name in targets.GROUPS:
            assert targets.plausible(bounds(), targets.group(name, family))


def test_a_metric_without_plausible_bounds_is_no_condition():
    """As the schema says: null or left out; the run does not stop after all simulations."""
    fewer = {name: target for name, target in bounds().items() if name != "std_cv"} | {"weef": Target((0.0, 0.5))}
    assert targets.plausible(fewer, ["kl_isi", "std_cv", "weef", "rate"]) == {"rate": (1, 50)}
    shares = metrics.fractions(measured(30), "poly", fewer)
    assert set(targets.GROUPS) <= set(shares)
    assert not {"in_std_cv", "in_weef"} & set(shares)


def test_filter_keeps_finite_rules_inside_the_margins(tmp_path):
    rules = measured(60)
    rules.to_parquet(tmp_path / "table.parquet")
    rule_filter.run(
        tables=[tmp_path / "table.parquet"],
        out=tmp_path / "out.parquet",
        family="poly",
        round=1,
        settings=rule_filter.Training(("rate",), {"rate": (3.0, 15.0)}),
    )
    kept = pd.read_parquet(tmp_path / "out.parquet")
    assert kept["rate"].between(3, 15).all()
    assert len(kept) == rules["rate"].between(3, 15).sum()


def test_no_survivor_says_how_many_met_each_bound(tmp_path, capsys):
    measured(30).to_parquet(tmp_path / "table.parquet")
    status = stage(
        "filter",
        tables=tmp_path / "table.parquet",
        out=tmp_path / "out.parquet",
        family="poly",
        round=1,
        settings='{"metrics": ["rate"], "margins": {"rate": [1e6, 2e6]}}',
    )
    message = capsys.readouterr().err
    assert status == 2
    assert "none of 30 rules survives the filter of round 1" in message
    assert "rate in [1000000.0, 2000000.0]: 0" in message
    assert "fsbi.poly.schedule[1].filter" in message
    assert not (tmp_path / "out.parquet").exists()


def stage(name: str, **values) -> int:
    """Exit status of one stage, called as a rule calls it."""
    return main(
        [f"fsbi.{name}", *(part for key, value in values.items() for part in (f"--{key.replace('_', '-')}", str(value)))]
    )


# -- released format --------------------------------------------------------------------------------------------------


def released_file(path: Path, n: int = 12) -> pd.DataFrame:
    rules = measured(n)
    released.write(path, rules, "poly")
    return rules


def test_record_sizes_are_the_released_ones():
    assert (released.dtype("poly").itemsize, released.dtype("mlp").itemsize) == (592, 560)


def test_released_format_round_trip(tmp_path):
    rules = released_file(tmp_path / "rules.npy")
    array = np.load(tmp_path / "rules.npy", allow_pickle=False)
    assert array.dtype.names[:3] == ("seed", "theta", "rate")
    back = released.read(tmp_path / "rules.npy", "poly")
    columns = [*THETA["poly"], *METRICS]
    pd.testing.assert_frame_equal(back[columns], rules[columns])
    assert back["name"].str.fullmatch("[0-9a-f]{32}").all()


def test_released_table_has_our_columns(tmp_path):
    rules = released_file(tmp_path / "rules.npy")
    table.run(
        rules=[],
        chunks=[tmp_path / "rules.npy"],
        out=tmp_path / "t.parquet",
        records=tmp_path / "t.npy",
        family="poly",
        round=2,
        dataset="released",
    )
    found = pd.read_parquet(tmp_path / "t.parquet")
    assert set(found["round"]) == {2}
    assert (found["outcome"] == "blow_up").sum() == rules["rate"].isna().sum()
    assert (tmp_path / "rules.npy").read_bytes() == (tmp_path / "t.npy").read_bytes()


class Trap:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (pytest.fail, ("the file was unpickled",))


def test_pickled_objects_are_refused_without_loading_them(tmp_path):
    np.save(tmp_path / "bad.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="bad.npy: .*holds Python objects, which are not read because they can run programs"):
        released.read(tmp_path / "bad.npy", "poly")


def test_wrong_dtype_names_the_fields(tmp_path):
    array = np.zeros(3, [("seed", "<U64"), ("theta", "<f4", (25,)), *[(name, "<f8") for name in METRICS[1:]]])
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(ValueError, match=r"missing fields \['rate'\], field theta is .*expected .*'<f8', \(25,\)"):
        released.read(tmp_path / "bad.npy", "poly")
    np.save(tmp_path / "plain.npy", np.zeros(4))
    with pytest.raises(ValueError, match="an array of float64, expected records"):
        released.read(tmp_path / "plain.npy", "poly")


def test_file_of_the_other_family_is_refused(tmp_path):
    released_file(tmp_path / "rules.npy")
    with pytest.raises(ValueError, match="is it a file of the mlp family"):
        released.read(tmp_path / "rules.npy", "mlp")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"theta,rate\n1,2\n", "rules.npy: the array cannot be read .*expected an array of numbers"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path, content, word):
    (tmp_path / "rules.npy").write_bytes(content)
    with pytest.raises(ValueError, match=word):
        released.read(tmp_path / "rules.npy", "poly")


def test_file_cut_short_is_refused(tmp_path):
    released_file(tmp_path / "rules.npy")
    whole = (tmp_path / "rules.npy").read_bytes()
    (tmp_path / "rules.npy").write_bytes(whole[:-100])
    released.files.record_path(tmp_path / "rules.npy").unlink()
    with pytest.raises(ValueError, match=r"rules\.npy: the array cannot be read .*header announces .* bytes follow"):
        released.read(tmp_path / "rules.npy", "poly")


# -- surrogate --------------------------------------------------------------------------------------------------------


def test_exact_prior_acceptance_agrees_with_counting():
    rates = surrogate.metrics_of_rules(prior_rules(1000), "poly")["rate"]
    expected = surrogate.prior_acceptance(24, (5, 10))
    assert rates.between(5, 10).mean() == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 1000))


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_metrics_of_the_surrogate_in_the_middle_of_the_prior_by_hand(monkeypatch, noise):
    """All four coordinates 0, and every random number equal to `noise`."""
    for n in (24, 40):
        surrogate.directions(n)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: SimpleNamespace(standard_normal=lambda n: np.full(n, noise)))
    w = 1 / (1 + np.exp(1 - 0.3 * noise))
    root = np.sqrt(10 ** (surrogate.CENTRE + surrogate.NOISE * noise))
    expected = {
        "rate": root**2, "rate_i": 10 ** (0.9 + surrogate.NOISE * noise), "w_blow": w, "w_creep": 0.02 * np.exp(0.3 * noise),
        "cv_isi": 1.1 - 0.5 * w + 0.05 * noise, "kl_isi": 0.02 + 0.1 * w * w + 0.005 * noise,
        "spatial_Fano": 0.9 + 0.6 * w + 0.05 * noise, "temporal_Fano": 0.9 + 0.4 * w + 0.05 * noise,
        "auto_cov": 0.02 + 0.5 / (1 + root**2) + 0.002 * noise, "fft": 0.1 + 0.02 * root**2 + 0.02 * noise,
        "std_rate_temporal": 0.002 * root + 0.0002 * root * noise, "std_rate_spatial": root / 2,
        "std_cv": 0.08 + 0.1 * w + 0.01 * noise, "weef": 0.1, "weif": 0.1, "wief": 1.0, "wiif": 1.0,
    }  # fmt: skip
    for family, n in (("poly", 24), ("mlp", 40)):
        found = surrogate.measure(np.zeros(n), 5, family)
        assert found == pytest.approx({name: expected[name] for name in released.metrics_of(family)})


def test_exact_posterior_acceptance_agrees_with_rejection(rng):
    # exact posterior by brute force: keep the prior draws whose noisy rate lies within 1 % of one drawn from the aim
    direction = surrogate.directions(24)[0]
    s = rng.uniform(-1, 1, (100_000, 24)) @ direction
    rates = 10 ** (0.8 + 0.8 * s + 0.1 * rng.standard_normal(len(s)))
    weight = np.histogram(rates, np.linspace(5, 10, 41))[0]
    inside = (rates > 5) & (rates < 10)
    per_rate = 1 / weight[np.digitize(rates[inside], np.linspace(5, 10, 41)) - 1]  # rates drawn uniformly
    again = 10 ** (0.8 + 0.8 * s[inside] + 0.1 * rng.standard_normal(inside.sum()))
    brute = np.sum(per_rate * ((again > 5) & (again < 10))) / per_rate.sum()
    assert surrogate.posterior_acceptance(24, (5, 10)) == pytest.approx(brute, abs=0.01)


def test_exact_relation_of_asked_and_found_agrees_with_rejection(rng):
    direction = surrogate.directions(24)[0]
    s = rng.uniform(-1, 1, (200_000, 24)) @ direction
    rates, again = (10 ** (0.8 + 0.8 * s + 0.1 * rng.standard_normal(len(s))) for _ in range(2))
    inside = (rates > 1) & (rates < 30)
    edges = np.linspace(1, 30, 117)
    bins = np.digitize(rates[inside], edges) - 1
    weight = 1 / np.bincount(bins, minlength=116)[bins]  # rates asked for are drawn uniformly
    asked, found = np.log10(rates[inside]), np.log10(again[inside])
    cov = np.cov(asked, found, aweights=weight)
    near = np.average(np.abs(asked - found) < np.log10(2), weights=weight)
    correlation, share = surrogate.posterior_relation(24, (1, 30))
    assert (correlation, share) == (
        pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), abs=0.01),
        pytest.approx(near, abs=0.01),
    )


def test_density_of_the_projection_integrates_to_one():
    grid, density = surrogate.projection_density(24)
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-6)
    assert np.trapezoid(density * grid**2, grid) == pytest.approx(1 / 3, abs=1e-4)  # variance of a unit vector times uniform


def test_blown_up_rules_have_no_metrics():
    found = surrogate.metrics_of_rules(prior_rules(400), "poly")
    assert found[found["rate"].isna()].isna().all(axis=None)
    assert found["rate"].max() <= surrogate.RATE_MAX


# -- proposals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["poly", "mlp"])
def test_prior_draws_fill_the_box(rule):
    rules = prior_rules(300, rule)
    for name in THETA[rule]:
        low, high = box(name)
        assert low < rules[name].min() < rules[name].max() < high
        assert rules[name].mean() == pytest.approx((low + high) / 2, abs=4 * (high - low) / np.sqrt(12 * 300))


def test_a_rule_does_not_depend_on_its_chunk(tmp_path):
    common = {
        "members": "",
        "thinning": "",
        "family": "poly",
        "round": 0,
        "settings": '{"metrics": [], "targets": {}}',
        "seed": 3,
    }
    for name, first, last in (("all", 0, 5), ("tail", 4, 5)):
        arguments = [
            "fsbi.data",
            "--out",
            str(tmp_path / f"{name}.parquet"),
            "--first",
            str(first),
            "--last",
            str(last),
            "--members",
            "--thinning",
        ]
        for key in ("family", "round", "settings", "seed"):
            arguments += [f"--{key}", str(common[key])]
        assert main(arguments) == 0
    whole, tail = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("all", "tail"))
    pd.testing.assert_frame_equal(whole.iloc[4:].reset_index(drop=True), tail)
    assert whole["seed"].is_unique


def test_every_rule_of_every_round_has_random_numbers_of_its_own():
    settings = proposals.Proposal((), {})
    rows = [
        proposals.propose("poly", round, index, [], [], settings, seed)
        for round in (0, 1)
        for index in (0, 1)
        for seed in (0, 1)
    ]
    table = pd.DataFrame(rows)
    for column in ("seed", "EE_tau_pre", "II_kappa", "rate_in"):
        assert table[column].is_unique, column


class Leaky:
    """An estimator that puts nothing into the box."""

    def conditions(self, table):
        return table[["rate"]].to_numpy()

    def sample(self, condition, n, seed):
        return np.full((n, 24), 7.0)


def test_a_leaking_estimator_is_named():
    settings = proposals.Proposal(("rate",), RATE, patience=200)
    with pytest.raises(ValueError, match=r"round 1, rule 4: none of 256 candidates was accepted \(0 inside .*leaks out"):
        proposals.propose("poly", 1, 4, [Leaky()], [], settings, 0)


def test_classifier_prefers_good_rules_and_survives_its_file(tmp_path, rng):
    theta = rng.uniform(-1, 1, (400, 5))
    good = theta[:, 0] + theta[:, 1] > 0
    trained = classifier.train(theta, good, 1)
    classifier.write(tmp_path / "c.npz", trained)
    back = classifier.read(tmp_path / "c.npz")
    new = rng.uniform(-1, 1, (1000, 5))
    probability = back.probability(new)
    np.testing.assert_array_equal(probability, trained.probability(new))
    assert np.mean((probability > 0.5) == (new[:, 0] + new[:, 1] > 0)) > 0.95


def test_classifier_agrees_with_scikit_learn(rng):
    theta = rng.uniform(-1, 1, (100, 3))
    good = theta[:, 0] > 0.2
    one = classifier._network(theta, good, 3)
    ours = classifier.Classifier(
        np.zeros(3),
        np.ones(3),
        *(part[None] for pair in zip(one.coefs_, one.intercepts_, strict=True) for part in pair),
        "theta",
    )
    np.testing.assert_allclose(ours.probability(theta), one.predict_proba(theta)[:, 1], rtol=1e-12)


def test_restricted_prior_loses_few_rules_that_finish(rng):
    theta = rng.uniform(-1, 1, (600, 4))
    finishes = theta[:, 0] < 0.3
    hard = classifier.train(theta, finishes, 0, lose=0.01)
    assert hard.weight(theta[finishes], {}, 1.0).mean() >= 0.985
    assert hard.weight(theta[~finishes], {}, 1.0).mean() < 0.3


def test_a_predictor_knows_how_wrong_it_is_and_survives_its_file(tmp_path, rng):
    theta = rng.uniform(-1, 1, (400, 5))
    noise = rng.standard_normal((2, 400)) * [[0.2], [0.5]]
    table = pd.DataFrame({"rate": 10 ** (theta[:, 0] + noise[0]) - 0.1, "w_blow": 10 ** (noise[1] - 3) - 0.001})
    classifier.write(tmp_path / "p.npz", classifier.predictor(table, theta, ["rate", "w_blow"], 1))
    back = classifier.read(tmp_path / "p.npz")
    assert back.spread == pytest.approx([0.2, 0.5], rel=0.15)
    new = rng.uniform(-1, 1, (500, 5))
    assert np.sqrt(np.mean((back.predict(new)[:, 0] - new[:, 0]) ** 2)) < 0.1
    likelihood = back.weight(new, {"rate": 1.9, "w_blow": 0.009}, 2.0)
    miss = (back.predict(new) - [np.log10(2), -2]) / back.spread  # log10(1.9 + 0.1), log10(0.009 + 0.001)
    np.testing.assert_allclose(likelihood, np.exp(-(miss**2).sum(1)), rtol=1e-6)


@pytest.mark.parametrize(("n", "metrics"), [(3, ["rate"]), (40, [])], ids=["few rules", "nothing asked"])
def test_a_predictor_that_knows_nothing_prefers_nothing(tmp_path, n, metrics):
    table = measured(60).dropna()[:n]
    classifier.write(tmp_path / "p.npz", classifier.predictor(table, parameters(table, "poly"), metrics, 0, "mean_field"))
    asked = proposals.Proposal(tuple(metrics), RATE, sharpness=2.0)
    none, thinned = (
        proposals.propose("poly", 1, 7, [], thinning, asked, 0) for thinning in ([], [classifier.read(tmp_path / "p.npz")])
    )
    assert thinned == none


def test_relation_of_asked_and_found_by_hand():
    table = pd.DataFrame(
        {"aim_rate": [0.9, 9.9, 9.9, 5.0], "rate": [1.4, 9.9, 99.9, np.nan]}
    )  # + 0.1: 1, 10, 10 and 1.5, 10, 100
    asked, found = [0, 1, 1], [np.log10(1.5), 1, 2]
    assert targets.relation(table, "rate") == (pytest.approx(np.corrcoef(asked, found)[0, 1]), pytest.approx(2 / 3))
    assert np.isnan(targets.relation(table[3:], "rate")).all()


def test_predicted_proposals_have_the_rate_they_were_asked_for_as_far_as_is_possible():
    table = measured(300)
    thinning = [comparison.predictor(table, 0)]
    asked = proposals.Proposal(("rate",), {"rate": Target((1.0, 30.0))}, among=256)
    rows = comparison.simulated(proposals.propose("poly", 1, index, [], thinning, asked, 0) for index in range(150))
    exact = surrogate.posterior_relation(24, (1.0, 30.0))
    assert targets.relation(rows, "rate")[0] >= 0.9 * exact[0]
    assert targets.relation(rows, "rate")[1] >= 0.8 * exact[1]
    blind = comparison.simulated(proposals.propose("poly", 1, index, [], [], asked, 0) for index in range(150))
    assert abs(targets.relation(blind, "rate")[0]) < 0.3


def test_mean_field_coefficients_by_hand_and_what_the_classifier_learns_from_them(rng):
    rules = prior_rules(400)[list(THETA["poly"][:-1])]
    found = mean_field.coefficients(rules.to_numpy(float))
    one = rules.iloc[7]
    by_hand = one["IE_kappa"] * one["IE_tau_post"] + one["IE_gamma"] * one["IE_tau_pre"]
    assert found[7, 6:9].tolist() == pytest.approx([one["IE_alpha"], one["IE_beta"], by_hand])
    good = found[:, 2] + found[:, 8] > 0
    theta = rules.to_numpy(float)
    probability = {
        sees: classifier.train(theta[:200], good[:200], 0, sees=sees).probability(theta[200:]) for sees in classifier.FEATURES
    }
    right = {sees: np.mean((value > 0.5) == good[200:]) for sees, value in probability.items()}
    assert right["mean_field"] > 0.9 > right["theta"]


def test_the_best_of_many_candidates_is_chosen(rng):
    good = rng.uniform(-1, 1, (400, 24))
    thin = classifier.train(good, good[:, 0] > 0, 0)
    rows = {}
    for among in (1, 64):
        settings = proposals.Proposal((), {}, sharpness=50.0, among=among)
        box = np.stack([-np.ones(24), np.ones(24)])
        half = lambda number: np.random.default_rng(number).uniform(-1.26, 1.26, (64, 24))  # noqa: E731  (0.4 % inside)
        chosen = [proposals.chosen(half, box, [thin], np.random.default_rng(k), settings, {}, "rule") for k in range(5)]
        rows[among] = np.mean([thin.probability(theta[None])[0] for theta, _, _ in chosen])
        assert min(inside for _, _, inside in chosen) >= among
    assert rows[64] > rows[1]


class Weigher:
    """A classifier whose weight is the parameter itself."""

    def weight(self, theta, asked, sharpness):
        return theta[:, 0] ** sharpness


@pytest.mark.parametrize("sharpness", [1.0, 2.0])
def test_candidates_are_chosen_in_proportion_to_a_power_of_their_weight(sharpness):
    block, box = lambda number: np.tile([[0.2], [0.8]], (32, 1)), np.array([[0.0], [1.0]])  # noqa: E731
    settings = proposals.Proposal((), {}, sharpness=sharpness, among=64)
    chosen = [proposals.chosen(block, box, [Weigher()], np.random.default_rng(k), settings, {}, "")[0][0] for k in range(600)]
    expected = 0.8**sharpness / (0.8**sharpness + 0.2**sharpness)
    assert np.mean(np.array(chosen) == 0.8) == pytest.approx(expected, abs=0.05)


def test_a_classifier_without_examples_keeps_everything(tmp_path, rng):
    theta = rng.uniform(-1, 1, (20, 4))
    classifier.write(tmp_path / "c.npz", classifier.train(theta, np.arange(20) == 3, 0))
    assert classifier.read(tmp_path / "c.npz") is None


def test_labels_of_the_classifier():
    rules = pd.DataFrame({"outcome": ["finished", "blow_up", "finished"], "rate": [7.0, np.nan, 40.0]})
    assert classifier.labels(rules, "finite", {}).tolist() == [True, False, True]
    assert classifier.labels(rules, "aim", {"rate": (5.0, 10.0)}).tolist() == [True, False, False]
    assert classifier.labels(rules, "plausible", {"rate": (1.0, 50.0)}).tolist() == [True, False, True]
    assert classifier.labels(rules, "none", {}).all()


# -- longevity --------------------------------------------------------------------------------------------------------


def survived(folder: Path, rules: pd.DataFrame, first: int, last: int, known=None) -> pd.DataFrame:
    """Numbers `first` to `last` of the survivors among `rules`."""
    rules.to_parquet(folder / "t.parquet")
    settings = survivors.Survival("activity", bounds() if known is None else known)
    survivors.run(
        tables=[folder / "t.parquet"],
        out=folder / "s.parquet",
        family="poly",
        first=first,
        last=last,
        settings=settings,
        seed=0,
    )
    return pd.read_parquet(folder / "s.parquet")


def test_survivors_are_the_latest_with_new_seeds_and_none_is_no_error(tmp_path):
    rules = measured(80)
    chosen = survived(tmp_path, rules, 0, 4)
    alive = rules[targets.meets(rules, targets.plausible(bounds(), targets.group("activity", "poly")))]
    assert chosen["index"].tolist() == alive["index"].tolist()[:-6:-1]
    assert not set(chosen["seed"]) & set(rules["seed"])
    assert len(survived(tmp_path, rules.assign(rate=0.0), 0, 4)) == 0


def test_a_group_of_conditions_without_any_is_met_by_no_rule(tmp_path):
    """Not by all, those that blew up among them."""
    known = {**bounds(), "rate": Target((1.0, 30.0))}
    del known["rate_i"]
    shares = metrics.fractions(measured(30), "poly", known)
    assert "activity" not in shares
    assert "weights" in shares
    with pytest.raises(ValueError, match=r"fsbi.longevity.condition = 'activity', .* fsbi.targets of one .* rate, rate_i"):
        survived(tmp_path, measured(30), 0, 4, known)


@pytest.mark.parametrize(("seconds", "told"), [(30.0, "3 rules after 30 s"), (None, "3 rules after a longer simulation")])
def test_the_longevity_figure_tells_the_length_of_what_was_simulated_here_alone(seconds, told):
    figure = figures.survival(measured(3), "poly", bounds(), seconds)
    assert figure.axes[0].get_title(loc="left") == told


@pytest.mark.parametrize("rate", [1.0, 0.0], ids=["fewer", "none"])
def test_fewer_survivors_than_asked_for_are_no_error(tmp_path, rate):
    rules = measured(30).eval(f"rate = rate * {rate}")
    lots, chunks = [], []
    for n, first in enumerate((0, 20, 40)):
        lots.append(tmp_path / f"rules_{n}.parquet")
        survived(tmp_path, rules, first, first + 19).to_parquet(lots[n])
        chunks.append(tmp_path / f"surrogate_{n}.parquet")
    for n, path in enumerate(chunks):
        surrogate_stage.run(rules=lots, rows=Rows(15 * n, 15), out=path, family="poly")
    together = joined(lots, chunks, "poly")
    alive = survived(tmp_path, rules, 0, 59)
    assert (len(alive) > 0) == (rate > 0)
    assert together["index"].tolist() == sorted(alive["index"])
    assert rate == 0 or together["rate"].dtype == float


def test_more_survivors_change_none_of_those_before(tmp_path):
    rules = measured(80)
    parts = [survived(tmp_path, rules, 0, 1), survived(tmp_path, rules, 2, 4)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), survived(tmp_path, rules, 0, 4))


# -- rules drawn in larger lots than they are simulated in -----------------------------------------------------------


def cut(folder: Path, table: pd.DataFrame, name: str, *ends: int) -> list[Path]:
    """Files of the rows of `table` up to each of `ends`."""
    paths = [folder / f"{name}_{end}.parquet" for end in ends]
    for path, start, end in zip(paths, (0, *ends), ends, strict=False):
        table.iloc[start:end].to_parquet(path, index=False)
    return paths


def test_the_surrogate_takes_its_rules_from_several_files(tmp_path):
    lots = cut(tmp_path, prior_rules(12), "rules", 3, 5, 12)
    for first, count in ((0, 2), (2, 4), (6, 6)):
        surrogate_stage.run(rules=lots, rows=Rows(first, count), out=tmp_path / f"{first}.parquet", family="poly")
    whole = measured(12)[["index", "round", "seed", "rate", "w_blow"]]
    parts = pd.concat([pd.read_parquet(tmp_path / f"{first}.parquet") for first in (0, 2, 6)], ignore_index=True)
    pd.testing.assert_frame_equal(parts[list(whole)], whole)


def test_proposals_and_results_are_joined_however_they_are_cut(tmp_path):
    expected = measured(20).drop(columns="dataset")
    results = expected.drop(columns=["drawn", "inside"])
    for n, ends in enumerate([(20,), (3, 10, 20)]):
        lots, chunks = (
            cut(tmp_path, prior_rules(20)[::-1], f"rules{n}", 7, 20),
            cut(tmp_path, results[::-1], f"found{n}", *ends),
        )
        pd.testing.assert_frame_equal(joined(lots, chunks, "poly"), expected, check_dtype=False)
    # rules that were drawn when more were asked for
    found = joined(cut(tmp_path, prior_rules(20), "rules", 20), cut(tmp_path, results, "found", 4, 8), "poly")
    pd.testing.assert_frame_equal(found, expected[:8], check_dtype=False)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda found: found.assign(seed=found["seed"] + (found["index"] == 5)), "found_6.parquet"),
        (lambda found: found.assign(round=1), "found_3.parquet, .*found_6.parquet"),
        (lambda found: found.assign(index=found["index"].replace(1, 0)), "found_3.parquet"),
        (lambda found: found.iloc[[0, 1, 2, 2, 3, 4]], "found_3.parquet, .*found_6.parquet"),
        (lambda _: measured(7)[1:], "found_6.parquet"),
    ],
    ids=["seed", "round", "index", "twice", "not the first"],
)
def test_results_of_other_rules_are_refused(tmp_path, change, names):
    lots, chunks = cut(tmp_path, prior_rules(9), "rules", 9), cut(tmp_path, change(measured(6)), "found", 3, 6)
    with pytest.raises(ValueError, match=f"^[^,]*{names} does not hold the rules of .*rules_9.parquet; delete"):
        joined(lots, chunks, "poly")


# -- example, whitening, protocols ------------------------------------------------------------------------------------


def test_example_is_the_rule_that_meets_most(tmp_path):
    rules = measured(50)
    rules.to_parquet(tmp_path / "t.parquet")
    example.run(tables=[tmp_path / "t.parquet"], out=tmp_path / "e.parquet", family="poly", targets=bounds(), seed=0)
    one = pd.read_parquet(tmp_path / "e.parquet").iloc[0]
    conditions = targets.plausible(bounds(), targets.group("plausible", "poly"))
    met = sum(targets.meets(rules, {name: interval}).astype(int) for name, interval in conditions.items())
    assert met[int(one["index"])] == met.max()


def test_whitened_prior_has_unit_variance_and_flat_spectrum():
    sample = whitening.whiten(prior_rules(1000), "poly")
    np.testing.assert_allclose(sample.std(0), 1, atol=0.1)
    share = whitening.components(sample)[1]
    assert share.sum() == pytest.approx(1)
    assert share[0] < 1.35 / 24


def test_components_find_a_line(rng):
    line = rng.standard_normal(300)[:, None] * np.array([0.6, 0.8, 0.0])
    axes, share = whitening.components(line)
    assert share[0] == pytest.approx(1)
    np.testing.assert_allclose(np.abs(axes[0]), [0.6, 0.8, 0], atol=1e-9)


def test_poly_protocol_by_hand():
    rule = {"EE_alpha": 0.5, "EE_beta": -0.2, "EE_gamma": 2.0, "EE_kappa": -1.0, "EE_tau_pre": 0.02, "EE_tau_post": 0.05}
    found = protocol.poly(rule, "EE", np.array([-0.05, 0.0, 0.02]))
    np.testing.assert_allclose(found, [0.3 - np.exp(-1), 0.3 + 2, 0.3 + 2 * np.exp(-1)])


def test_mlp_change_by_hand():
    # all hidden weights 0: every unit is sigmoid(0) = 1/2
    inputs = np.array([[0.0, 1.0, 1.0, -0.06, 0.1, 0.1], [1.0, 0.0, 1.0, -0.06, 0.1, 0.1]])
    readout, bias = np.array([1.0, 2.0, 3.0, 4.0]), -1.0
    assert mlp.change(inputs, np.zeros(500), readout, bias).tolist() == [4.0, 4.0]


def test_mlp_protocol_by_hand(rng):
    rule = {name: float(rng.uniform(*box(name))) for name in THETA["mlp"]}
    layers, state = mlp.fixed_layers(Wiring()), [5.0, -0.06, 0.5, 0.15]  # w, <V>, C_exc, C_inh at half activity
    readout = {side: [rule[f"IE_{side}_{name}"] for name in ("0", "1", "2", "3", "bias")] for side in ("pre", "post")}
    lags, found = np.array([-0.01, 0.02]), []
    for lag in lags:
        late, early = (np.exp(-0.5), 0.0) if lag < 0 else (0.0, np.exp(-1))  # fast traces, here 20 ms
        at_pre = mlp.change(np.array([5.0, late, *state]), layers, np.array(readout["pre"][:4]), readout["pre"][4])
        at_post = mlp.change(np.array([early, 0.5, *state]), layers, np.array(readout["post"][:4]), readout["post"][4])
        found.append(rule["eta_IE"] * (at_pre + at_post))
    np.testing.assert_allclose(protocol.mlp(rule, "IE", lags, layers, 0.02, 0.5), found, rtol=1e-12)


def test_mean_field_axes_by_hand():
    rules = pd.DataFrame(
        {
            f"IE_{t}": [v]
            for t, v in zip(
                ("alpha", "beta", "gamma", "kappa", "tau_pre", "tau_post"), (1.0, 2.0, 3.0, 4.0, 0.05, 0.1), strict=True
            )
        }
    )
    rules = rules.assign(rate=8.0, rate_i=10.0)
    x, y, colour, _ = mean_field.axes(rules, "IE")
    slope = 4 * 0.1 + 3 * 0.05
    assert (x[0], y[0], colour[0]) == pytest.approx((-10, 2 + 10 * slope, 8))


def test_weighted_correlation_agrees_with_numpy(rng):
    x, y, weight = rng.normal(size=(3, 200)) + [[0], [1], [4]]
    cov = np.cov(x, y, aweights=weight)
    assert posterior.weighted_correlation(x, y, weight) == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))
    assert posterior.weighted_correlation(np.ones(3), np.arange(3), np.ones(3)) == 0.0


def test_weighted_correlation_of_a_gaussian():
    x, y = (part.ravel() for part in np.meshgrid(np.linspace(-6, 6, 201), np.linspace(-6, 6, 201), indexing="ij"))
    rho = -0.6
    density = np.exp(-(x**2 - 2 * rho * x * y + y**2) / (2 * (1 - rho**2)))
    assert posterior.weighted_correlation(x, y, density) == pytest.approx(rho, abs=1e-6)


# -- table of metrics -------------------------------------------------------------------------------------------------


def told(rows) -> dict[str, float]:
    """Values of measures by name."""
    return {row.metric: row.value for row in rows}


def of_rates(*rates: float, family: str = "poly", round: int = 1, **columns) -> pd.DataFrame:
    """A table of a round whose rules differ in their rate alone; nan blew up."""
    values = {**dict.fromkeys(metrics_of(family), 1.0), "rate": rates, "w_blow": 0.0, "round": round}
    table = measured(len(rates), family).assign(**values)
    blown = np.isnan(rates)
    table.loc[blown, list(metrics_of(family))] = np.nan
    return table.assign(outcome=np.where(blown, "blow_up", FINISHED), **columns)


def test_gain_of_a_round_and_its_misses_by_hand():
    schedule = {"poly": (metrics.Aim(), metrics.Aim(("rate",), {"rate": (5.0, 10.0)}))}
    settings = metrics.Measured(bounds(), schedule)
    prior = of_rates(7.0, 20.0, 30.0, 40.0, round=0)
    table = of_rates(6.0, 9.0, 11.0, np.nan, aim_rate=[7.0, 7.0, 7.0, 7.0], drawn=8, inside=2)
    values = told(metrics.of_round(table, prior, settings, 0))
    assert (values["in_aim"], values["in_aim_prior"], values["gain"]) == (0.5, 0.25, 2.0)
    assert values["miss_rate"] == 2.0  # of 1, 2 and 4; the rule that blew up has none
    assert values["inside_box"] == 0.25
    assert values["share_rate_within_2"] == 1.0
    assert (values["outcome_finished"], values["outcome_blow_up"]) == (0.75, 0.25)
    assert values["in_rate"] == 0.75  # plausible: 1 to 50 Hz
    assert "gain" not in told(metrics.of_round(prior, prior, settings, 0))


def test_one_rule_is_a_round_too():
    """Nothing varies over it, so that there are no components; all else is yes or no."""
    one, settings = of_rates(7.0, round=0), metrics.Measured(bounds(), {})
    rows = list(metrics.of_round(one, one, settings, 3))
    assert {(row.variant, row.seed, row.n) for row in rows} == {("poly_pi0", 3, 1)}
    values = told(rows)
    assert (values["in_rate"], values["outcome_finished"], values["outcome_blow_up"]) == (1, 1, 0)
    assert "pca_first" not in values
    assert told(metrics.of_release(one, settings, 0))["rate_5_to_10_count"] == 1
    assert told(metrics.of_longevity(one, settings, 0))["finite"] == 1


def test_every_file_leaves_its_measures_in_the_table(tmp_path, monkeypatch):
    def table(name: str, rows: pd.DataFrame) -> Path:
        files.write_table(tmp_path / f"{name}.parquet", rows)
        return tmp_path / f"{name}.parquet"

    monkeypatch.setattr(metrics, "simulated", lambda rounds: [(path.stem, {"rules": len(rows)}) for path, rows in rounds])
    ranks = np.linspace(0.01, 0.99, 20)
    examined = {"ranks": ranks[:, None], "round": 2, "dataset": "surrogate", "joint": ranks, "surplus": ranks}
    examined |= {"tarp": np.array([[0.0, 1.0], [0.0, 1.0]]), "unexpected": np.array([0.2]), "learned": np.array([9])}
    examined |= {"attainable": np.array([[0.4]]), "condition_names": np.array(["rate"])}
    for family in FAMILIES:
        arrays = {name: np.asarray(each) for name, each in (examined | {"rule": family}).items()}
        files.write_arrays(tmp_path / f"{family}.npz", **arrays)
    ways = {"method": ["prior", "box"], "rules": 0.0, "n": 5, "relation": 0.0, "within_2": 0.0, "acceptance": [0.1, 0.2]}
    metrics.run(
        tables=[table(f"{family}{k}", of_rates(7.0, 9.0, family=family, round=k)) for family in FAMILIES for k in (0, 1)],
        longevity=[table(f"long {family}", of_rates(7.0, family=family)) for family in FAMILIES],
        whole=[table(f"whole {family}", of_rates(7.0, family=family, round=-2)) for family in FAMILIES],
        posteriors=[tmp_path / f"{family}.npz" for family in FAMILIES],
        compare=table("compare", pd.DataFrame(ways)),
        out=tmp_path / "metrics.parquet",
        facts=tmp_path / "facts.parquet",
        settings=metrics.Measured(bounds(), {}),
        seed=0,
    )
    ends = ("pi0", "pi1", "pi2", "longevity", "whole")
    expected = {f"{family}_{end}" for family in FAMILIES for end in ends} | {"compare_prior", "compare_box"}
    assert set(files.read_table(tmp_path / "metrics.parquet")["variant"]) == expected
    told = files.read_table(tmp_path / "facts.parquet")
    assert set(zip(told["variant"], told["value"], strict=True)) == {(f"{name}{k}", "2") for name in FAMILIES for k in (0, 1)}


def test_a_round_is_held_against_the_prior_of_its_own_family():
    rounds = [of_rates(1.0, family=family, round=round) for family in ("mlp", "poly") for round in (0, 1)]
    assert metrics.first_round(rounds, rounds[3]) is rounds[2]
    assert metrics.first_round(rounds, rounds[1]) is rounds[0]


def test_survivors_with_any_metric_are_finite():
    table = of_rates(5.0, np.nan, round=-1).assign(kl_isi=np.nan)
    assert told(metrics.of_longevity(table, metrics.Measured(bounds(), {}), 0))["finite"] == 0.5
    assert list(metrics.of_longevity(table[:0], metrics.Measured(bounds(), {}), 0)) == []


def test_counts_of_the_tutorial_by_hand():
    table = of_rates(7.0, 7.0, 12.0, 40.0, np.nan, round=-2)
    good = {name: (interval[0] + interval[1]) / 2 for name, interval in plausible_bounds().items() if name != "rate"}
    table = table.assign(**good)
    table.loc[1, "w_creep"] = 1.0
    values = told(metrics.of_release(table, metrics.Measured(bounds(), {}), 0))
    counts = {name: values[f"{name}_count"] for name in ("plausible", "rate_5_to_10", "rate_3_to_15")}
    assert counts == {"plausible": 3, "rate_5_to_10": 2, "rate_3_to_15": 3}
    assert values["plausible_rate_5_to_10_count"] == 1
    assert values["plausible_rate_3_to_15_fraction"] == 2 / 5


def test_rules_at_the_edges_of_the_tutorial_are_counted():
    table = of_rates(2.9, 3.0, 4.9, 5.0, 10.0, 10.1, 15.0, 15.1, round=-2)
    values = told(metrics.of_release(table, metrics.Measured(bounds(), {}), 0))
    assert (values["rate_5_to_10_count"], values["rate_3_to_15_count"]) == (2, 6)


def plausible_bounds() -> dict[str, targets.Interval]:
    return targets.plausible(bounds(), targets.group("plausible", "poly"))


# -- config -----------------------------------------------------------------------------------------------------------


def test_schema_has_every_constant_with_its_value():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    space = schema["properties"]["fsbi"]["properties"]["poly"]["properties"]
    simulation = space["simulation"]["properties"]
    for kind, part in ((Cells, simulation["cells"]), (Wiring, simulation["wiring"]), (Protocol, simulation["protocol"])):
        assert {name: key["default"] for name, key in part["properties"].items()} == vars(kind())
    assert {name: key["default"] for name, key in space["network"]["properties"].items()} | {"family": "poly"} == vars(
        Network()
    )


# -- estimator (slow to import) ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    """A small flow trained on 300 rules of the surrogate, the same from its file, and the rules."""
    rules = measured(300)
    usable = rules[rules["rate"].notna()]
    settings = flow.FlowSettings(hidden=8, transforms=1, bins=4, batch=100, learning_rate=5e-3, max_epochs=5, log_metrics=True)
    path = tmp_path_factory.mktemp("flow") / "member.pt"
    trained = flow.train(usable, "poly", ["rate"], settings, 5)
    fitted.write(path, trained)
    return trained, fitted.read(path), usable


def test_a_stored_flow_draws_what_the_trained_one_draws(member):
    trained, stored, usable = member
    theta, condition = parameters(usable, "poly")[:5], np.array([0.9])
    with torch.no_grad():
        rows = torch.tensor(theta, dtype=torch.float32)[:, None]
        direct = trained.net.log_prob(rows, condition=torch.tensor([[0.9]]))[:, 0].numpy()
    np.testing.assert_allclose(stored.log_density(theta, condition), direct, rtol=1e-5)
    np.testing.assert_array_equal(stored.sample(condition, 8, 3), trained.sample(condition, 8, 3))
    assert not np.array_equal(stored.sample(condition, 8, 3), stored.sample(condition, 8, 4))
    assert (stored.settings, stored.metrics, stored.losses) == (trained.settings, ("rate",), trained.losses)
    np.testing.assert_array_equal(stored.held_out, trained.held_out)


def test_a_flow_sees_the_logarithm_of_a_metric_if_it_shall(member):
    seen = member[1].conditions(pd.DataFrame({"rate": [9.9]}))
    assert seen.tolist() == [[pytest.approx(1.0)]]  # log10(rate + 0.1)


def test_a_flow_learns_from_the_logarithm_and_members_differ(member):
    trained, _, usable = member
    linear = flow.train(usable, "poly", ["rate"], replace(trained.settings, log_metrics=False), 5)
    assert linear.losses != trained.losses
    settings = replace(trained.settings, max_epochs=1, members=2)
    one, other = comparison.ensemble(usable, settings, 0)
    assert not np.array_equal(one.sample(np.array([0.9]), 4, 0), other.sample(np.array([0.9]), 4, 0))


class Normal:
    """Standard normal in place of a trained net: the density of theta is then a logit-normal one."""

    def log_prob(self, theta, condition):
        return torch.distributions.Normal(0, 1).log_prob(theta).sum(-1)

    def sample(self, shape, condition):
        return torch.randn(*shape, 1, 1)


def test_a_bounded_flow_is_a_density_on_the_box():
    box = np.array([[-2.0], [3.0]])
    one = flow.Member(Normal(), flow.FlowSettings(bounded=True), ("rate",), box, np.zeros(0, int), ())
    grid = np.linspace(-2, 3, 20_001)[1:-1]
    density = np.exp(one.log_density(grid[:, None], np.zeros(1)))
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-4)
    drawn = one.sample(np.zeros(1), 20_000, 0)[:, 0]
    assert ((drawn > -2) & (drawn < 3)).all()
    assert drawn.var() == pytest.approx(np.trapezoid((grid - 0.5) ** 2 * density, grid), rel=0.03)
    np.testing.assert_allclose(flow.bounded(flow.unbounded(grid[:, None], box), box)[:, 0], grid, atol=1e-9)


def test_sampling_leaves_the_global_random_state_alone(member):
    before = torch.get_rng_state()
    member[1].sample(np.array([0.9]), 4, 1)
    assert torch.equal(before, torch.get_rng_state())


# -- what a posterior says --------------------------------------------------------------------------------------------

EXAMINED = posterior.Examination(held_out=300, draws=199, condition={}, samples=3, grid=41)


class Exact:
    """The exact posterior N(x/2, 1/2) of theta ~ N(0, 1) given x = theta + noise ~ N(0, 1), `width` times as wide."""

    box = np.array([[-50.0] * 24, [50.0] * 24])

    def __init__(self, held_out: np.ndarray, width: float = 1.0) -> None:
        self.held_out, self.width = held_out, width

    def conditions(self, table: pd.DataFrame) -> np.ndarray:
        return table[[f"x{number}" for number in range(24)]].to_numpy()

    def log_density(self, theta: np.ndarray, condition: np.ndarray) -> np.ndarray:
        return -((theta - condition / 2) ** 2).sum(1) / self.width**2

    def sample(self, condition: np.ndarray, n: int, seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).standard_normal((n, 24))
        return condition / 2 + self.width * np.sqrt(0.5) * noise


def observed(rng, n: int) -> pd.DataFrame:
    """Rules and what is observed of each parameter."""
    theta = rng.standard_normal((n, 24))
    seen = theta + rng.standard_normal(theta.shape)
    columns = [*THETA["poly"][:-1], *(f"x{number}" for number in range(24))]
    return pd.DataFrame(np.hstack([theta, seen]), columns=columns)


def test_ranks_under_the_exact_posterior_are_uniform(rng):
    table, held_out = observed(rng, 400), rng.permutation(400)[:350]
    trained = np.setdiff1d(np.arange(400), held_out)
    table.iloc[trained, :24] += 5.0  # these must not be ranked
    found = posterior.held_out([Exact(held_out)], table, "poly", EXAMINED, [rng])
    assert (found["ranks"].shape, found["joint"].shape) == ((300, 24), (300,))
    assert stats.kstest(found["ranks"][:, 3], "uniform").pvalue > 0.01
    assert stats.kstest(found["joint"], "uniform").pvalue > 0.01
    # -(theta - x/2)^2 per parameter, half on average, over a box of width 100
    assert found["surplus"].mean() == pytest.approx(24 * (np.log(100) - 0.5), abs=1)
    assert calibration.deviation(calibration.Coverage(*found["tarp"])) < calibration.band(300, 0.99)
    # the same draws for other rules are no posterior of theirs
    table[[f"x{number}" for number in range(24)]] = observed(rng, 400)[[f"x{number}" for number in range(24)]]
    found = posterior.held_out([Exact(held_out)], table, "poly", EXAMINED, [rng])
    assert stats.kstest(found["ranks"][:, 3], "uniform").pvalue < 1e-3
    assert calibration.deviation(calibration.coverage(found["joint"])) > calibration.band(300, 0.999)


def test_a_flow_that_leaks_is_held_against_the_prior_as_it_is_drawn_from(rng):
    """Uniform over a region that reaches half as far again out of the box on two sides: cut to the box it is the prior."""

    class Leaky(Exact):
        def log_density(self, theta, condition):
            return np.full(len(theta), -23 * np.log(100) - np.log(200))

        def sample(self, condition, n, seed):
            return np.random.default_rng(seed).uniform(-50, 50, (n, 24)) * np.where(np.arange(24) == 7, 2, 1)

    found = posterior.held_out([Leaky(np.arange(300))], observed(rng, 300), "poly", EXAMINED, [rng])
    assert len(found["surplus"]) == 300
    assert found["surplus"].mean() == pytest.approx(0, abs=0.02)


def test_coverage_in_the_figure_is_that_of_the_region_of_each_credibility(rng):
    """A posterior of two parameters with half the true spread: its region of 50 % holds 1 - 2^(-1/4) of the truths."""
    truth = rng.standard_normal((4000, 2))
    joint = np.exp(-2 * (truth**2).sum(1))  # of draws further out than the truth
    one = {"round": 1, "ranks": truth, "joint": joint, "tarp": np.eye(2), "condition_names": [], "learned": np.array([9])}
    compare = pd.DataFrame({"method": ["asked_npe"], "rules": [9], "relation": [0.1], "acceptance": [0.2]})
    curve = inference_figure.draw([one], [], compare).axes[1].lines[0]
    credibility, above = curve.get_data()
    assert 0.5 + np.interp(0.5, credibility, above) == pytest.approx(1 - 2**-0.25, abs=0.02)


def test_each_parameter_has_a_curve_and_the_band_is_that_of_all_of_them(rng):
    """Of calibrated ranks all curves stay inside in 95 % of cases; a posterior too narrow in one parameter leaves the band."""
    ranks = rng.random((100, 24))
    ranks[:, 5] = np.round(ranks[:, 5])
    one = {"round": 1, "ranks": ranks, "joint": ranks[:, 0], "tarp": np.eye(2)}
    one |= {"condition_names": [], "learned": np.array([9])}
    compare = pd.DataFrame({"method": ["asked_npe"], "rules": [9], "relation": [0.1], "acceptance": [0.2]})
    panel = inference_figure.draw([one], [], compare).axes[0]
    curves, high = [line.get_data() for line in panel.lines], panel.patches[0].get_bbox().y1
    assert (len(curves), panel.get_legend_handles_labels()[1]) == (24, ["pi1, 100 rules "])
    assert [number for number, (_, above) in enumerate(curves) if np.abs(above).max() > high] == [5]
    farthest = [stats.ks_1samp(rng.random(100), stats.uniform.cdf).statistic for _ in range(24 * 300)]
    assert np.mean(np.reshape(farthest, (300, 24)).max(1) <= high) == pytest.approx(0.95, abs=0.04)


def test_each_metric_of_a_round_has_a_line_of_its_own(rng):
    """Of one colour, and named by it in the legend."""
    one = {"round": 1, "condition_names": ["rate", "w_blow"], "learned": np.array([9, 20]), "attainable": rng.random((2, 2))}
    axes = style.panels()[1][0, 0]
    inference_figure.draw_attainable(axes, [one], [measured(9), measured(9, round=1)])
    lines, labels = axes.get_legend_handles_labels()
    assert labels == ["pi1, rate", "pi1, w_blow"]
    assert len({line.get_color() for line in lines}) == 1
    assert len({line.get_linestyle() for line in lines}) == 2


@pytest.mark.parametrize(("family", "n"), [("poly", 17), ("mlp", 15)])
def test_figures_of_metrics_say_the_units(family, n):
    rounds = [measured(20, family)]
    along = figures.histograms(rounds, family, bounds()).axes
    against = figures.against_rate(rounds, family, bounds()).axes
    labels = [axes.get_xlabel() for axes in along[:n]]
    assert labels[0] == "rate (Hz)"
    assert [label.partition(" ")[0] for label in labels] == list(metrics_of(family))
    assert [axes.get_ylabel().replace("\n", " ") for axes in against[: n - 1]] == labels[1:]


@pytest.mark.parametrize(
    "left",
    [
        {"outcome": "blow_up", "blow_up": 3.0, "weight_times": np.zeros(0), "weights": {"EE": np.zeros((0, 4))}},
        {"outcome": "wall_limit", "stop": 60.0, "weight_times": np.zeros(0), "weights": {}},
    ],
)
def test_a_network_without_a_recording_is_shown_by_its_outcome(tmp_path, left):
    figure = network_figure.draw(recording(**left))
    (panel,) = figure.axes
    assert panel.get_title("left") == f"ended before the recording: {left['outcome']}"
    style.save(figure, tmp_path, "network", "a set")


def test_a_network_of_which_no_inhibitory_cell_was_recorded_is_shown():
    one, none = (
        recording(i_times=times, i_cells=times.astype(int), n_i=n) for times, n in ((np.ones(1) * 62, 63), (np.zeros(0), 0))
    )
    assert [len(network_figure.draw(each).axes[1].lines) for each in (one, none)] == [2, 1]


@pytest.mark.parametrize("width", [0.5, 2.0])
def test_coverage_of_a_posterior_of_the_wrong_width_is_the_one_of_a_normal(rng, width):
    found = posterior.held_out([Exact(np.arange(300), width)], observed(rng, 300), "poly", EXAMINED, [rng])
    ranks, joint = found["ranks"], found["joint"]
    region = stats.chi2.cdf(width**2 * stats.chi2.ppf(0.9, 24), 24)  # of the truth inside the region said to hold 90 %
    assert np.mean(joint > 0.1) == pytest.approx(region, abs=0.06)
    for level in (0.5, 0.9):
        reach = width * stats.norm.ppf((1 + level) / 2)  # in standard deviations of the true posterior
        expected = stats.norm.cdf(reach) - stats.norm.cdf(-reach)
        assert np.mean(np.abs(ranks - 0.5) <= level / 2) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("ranks", "half", "nine_tenths", "calibrated"),
    [((np.arange(200) + 0.5) / 200, 0.5, 0.9, True), (np.linspace(0.3, 0.7, 200), 1.0, 1.0, False)],
    ids=["uniform", "too sure"],
)
def test_calibration_of_known_ranks(ranks, half, nine_tenths, calibrated):
    examined = {
        "ranks": np.stack([ranks] * 3, 1),
        "rule": "poly",
        "round": 1,
        "dataset": "surrogate",
        "joint": ranks,
        "surplus": ranks,
    }
    examined |= {"tarp": np.array([[0.0, 0.5, 1.0], [0.0, 0.7, 1.0]]), "unexpected": np.array([0.01, 0.2]), "learned": [9, 99]}
    examined |= {"attainable": np.array([[0.1], [0.4]]), "condition_names": np.array(["rate"])}
    values = {row.metric: row.value for row in metrics.of_posterior(examined, 0)}
    assert values["coverage_50"] == pytest.approx(half)
    assert values["coverage_90"] == pytest.approx(nine_tenths)
    assert values["sbc_p"] == (1.0 if calibrated else pytest.approx(0, abs=1e-6))
    assert (values["joint_deviation"] < values["chance_deviation"]) == calibrated
    assert values["tarp_deviation"] == pytest.approx(0.2)
    assert values["chance_deviation"] == pytest.approx(1.358 / np.sqrt(200), rel=0.02)  # Kolmogorov's limit, 95 %
    assert (values["surprising_aims"], values["relation_rate_attainable"]) == (0.5, 0.4)


def test_an_aim_is_held_against_what_rules_do_and_what_can_be_predicted(rng, monkeypatch):
    monkeypatch.setattr(posterior, "AIMS", 2)
    table = measured(400, "mlp")
    table["rate"] = 10 ** (surrogate.unit_cube(table, "mlp")[:, 0] + 0.3 * rng.standard_normal(400))
    inside, beyond = (
        posterior.aims(table, "mlp", proposals.Proposal(("rate",), {"rate": Target(aim)}), rng)
        for aim in ((1.0, 10.0), (1e5, 1e6))
    )
    assert (inside["unexpected"] > 0.05).all()
    assert (beyond["unexpected"] < 0.05).all()
    assert inside["learned"].tolist() == [50, 100, 200, 400]
    asked = np.log10(np.linspace(1.0, 10.0, 1000) + 0.1).std()
    best = asked / np.hypot(asked, 0.3)
    assert inside["attainable"][-1, 0] == pytest.approx(best, abs=0.05)
    assert inside["attainable"][0, 0] < best


def test_conditional_correlations_of_a_gaussian():
    precision = np.array([[2.0, 0.8, 0.0], [0.8, 1.0, -0.5], [0.0, -0.5, 1.5]])

    class Gaussian:
        box = np.array([[-9.0] * 3, [9.0] * 3])

        def log_density(self, theta, condition):
            return -np.einsum("ni,ij,nj->n", theta, precision, theta) / 2

        def conditions(self, table):
            return table.to_numpy()

        def sample(self, condition, n, seed):
            return np.zeros((n, 3))  # the mean; the correlations do not depend on where the others are held

    scale = np.sqrt(np.diag(precision))
    exact = -precision / np.outer(scale, scale) + 2 * np.eye(3)
    matrix = posterior.correlations([Gaussian()], {"rate": 1.0}, EXAMINED, np.random.default_rng(0))
    np.testing.assert_allclose(matrix, exact, atol=1e-6)


def test_posterior_is_examined_at_the_given_value_or_in_the_middle_of_the_aim():
    asked = proposals.Proposal(("rate", "w_blow"), {"rate": Target((5.0, 10.0)), "w_blow": Target((0.0, 0.1))})
    settings = replace(EXAMINED, condition={"w_blow": 0.02})
    assert posterior.condition_of(settings, asked) == {"rate": 7.5, "w_blow": 0.02}


def test_too_few_rules_to_train_on(tmp_path, capsys):
    measured(6).to_parquet(tmp_path / "training.parquet")
    status = stage(
        "fit",
        training=tmp_path / "training.parquet",
        out=tmp_path / "m.pt",
        family="poly",
        round=1,
        member=0,
        metrics="rate",
        settings=json.dumps({}),
        device="cpu",
        seed=0,
    )
    assert status == 2
    assert "6 rules survived the filter, expected at least 10" in capsys.readouterr().err


def test_a_rule_outside_the_prior_box_is_named_where_it_has_no_logit(tmp_path, capsys):
    table = measured(30).dropna()
    table.iloc[3, table.columns.get_loc("IE_beta")] = 2.0
    table.to_parquet(tmp_path / "training.parquet")
    told = {"training": tmp_path / "training.parquet", "out": tmp_path / "m.pt", "family": "poly", "round": 1, "member": 0}
    told |= {"metrics": "rate", "device": "cpu", "seed": 0}
    assert stage("fit", **told, settings=json.dumps({"bounded": True, "max_epochs": 1})) == 2
    said = capsys.readouterr().err
    assert "training.parquet: row 3, IE_beta is 2, expected more than -2 and less than 2, the prior box (1 values" in said
    assert "fsbi.poly.fit.bounded: false" in said
    small = {"max_epochs": 1, "hidden": 4, "transforms": 1, "bins": 2}
    assert stage("fit", **told, settings=json.dumps(small)) == 0


@pytest.mark.slow
def test_proposals_beat_the_prior_as_far_as_the_surrogate_allows(tmp_path):
    fit = {"members": 1, "hidden": 32, "transforms": 3, "bins": 8, "batch": 200, "learning_rate": 1e-3, "patience": 10}
    settings = {"rules": 2000, "proposals": 1000, "rate": [5.0, 10.0], "asked": [1.0, 30.0], "sizes": [300], "fit": fit}
    assert stage("compare", out=tmp_path / "c.parquet", settings=json.dumps(settings), seed=0) == 0
    found = pd.read_parquet(tmp_path / "c.parquet").set_index("method")
    acceptance = found["acceptance"]
    assert found["relation"]["asked_predicted"] >= 0.9 * found["relation"]["asked_exact"]
    assert acceptance["prior"] == pytest.approx(acceptance["prior_exact"], abs=0.05)
    assert acceptance["npe_log"] >= 0.9 * acceptance["posterior_exact"]
    assert acceptance["npe_log_ensemble_thinned"] >= 0.58
    assert acceptance["npe_truncated"] >= 0.8 * acceptance["posterior_exact"]
