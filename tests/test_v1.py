"""Sample-and-measure: its equations against brute force and closed forms, its files, its messages, its stages."""

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch

from respike.__main__ import main
from respike.core import files, style, training
from respike.core import spikes as core_spikes
from respike.core.measures import Measure
from respike.v1 import agreement, fitted, losses, plan, recorded, simulated, trials, truth
from respike.v1.fitting import Fitting
from respike.v1.model import SpikingNetwork
from respike.v1.params import Network, Objective, Preprocessing, Sampling, Standin, Training, Variant
from respike.v1.simulated import Simulation
from respike.v1.stages import data, figures, fit, forecast, metrics, simulate, spikes, standin

SMALL = Standin(pixels=7, frames=40, trials=14, visible=4, hidden=2, least_correlation=0.0)
SPLIT = Preprocessing(pixels=7, train=8, test=4, validation=2)
NETWORK = Network(filters=(2, 3), kernels=(3, 3))
SM = Objective(likelihood=0.4, psth=0.1, noise_correlation=50.0)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Folder with a small stand-in in the raw format."""
    folder = tmp_path_factory.mktemp("raw")
    names = ("natural_movie.mat", "data_monkey1_natural_movie.mat", "ground_truth.npz")
    movie, events, ground_truth = (folder / name for name in names)
    standin.run(movie=movie, events=events, ground_truth=ground_truth, standin=SMALL, seed=0)
    return folder


@pytest.fixture(scope="module")
def recording(raw, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "recording.npz"
    data.run(folder=raw, out=path, preprocessing=SPLIT, dataset="stand-in")
    return path


def fit_one(recording, path, variant, optimiser):
    """Fit replicate 0 of a variant on the CPU: `path` with the endings .pt and .parquet."""
    made = {"fit": path.with_name(f"{path.name}.pt"), "history": path.with_name(f"{path.name}.parquet")}
    given = {"network": NETWORK, "variant": variant, "optimiser": optimiser, "replicate": 0, "seed": 0, "device": "cpu"}
    fit.run(recording=recording, **made, **given)


def test_spikes_of_the_standin_lie_in_their_bins_however_short_these_are():
    spikes = np.ones((3, 5, 2), dtype=bool)
    for width in (0.0004, 0.0015, 0.04):
        cells = standin.spike_times(np.random.default_rng(0), spikes, width)
        assert (np.floor(np.array(cells) / width) == np.arange(5)).all()


def test_all_stages(raw, recording, tmp_path):
    variants = {"mle": Variant(), "sm-h": Variant(SM, hidden=2)}
    for name, variant in variants.items():
        fit_one(recording, tmp_path / name, variant, Training(steps=3, batch=4, evaluate_every=2))
    fits, histories, runs = ([tmp_path / f"{name}.{kind}" for name in variants] for kind in ("pt", "parquet", "npz"))
    sampling = Sampling(trials=6, hidden_samples=3)
    simulate.run(fits=fits, recording=recording, runs=runs, sampling=sampling, seed=0, device="cpu")
    record, model = recorded.read(recording), fitted.read(fits[0], torch.device("cpu")).model
    test = trials.cut(record.movie, record.of("test"), model.network)
    with torch.no_grad():
        p = torch.sigmoid(model.forced(model.drive(test.movie), test.recorded).logits).numpy()
    nll = -np.log(np.where(record.of("test")[:, 9:], p, 1 - p)).mean((1, 2))
    np.testing.assert_allclose(simulated.read(runs[0]).nll, nll, rtol=1e-5)
    np.testing.assert_array_equal(simulated.read(runs[0]).nll, simulated.read(runs[0]).nll_marginal)  # nothing is hidden
    table, ground_truth = tmp_path / "metrics.parquet", raw / "ground_truth.npz"
    names = [f"{name}_0" for name in variants]
    told = {"also": [], "also_facts": [], "out": table, "facts": tmp_path / "facts.parquet"}
    metrics.run(recording=recording, runs=runs, names=names, ground_truth=ground_truth, **told)
    measured = pd.read_parquet(table)
    assert {"mle", "sm-h", "constant rate", "psth", "generator", "training trials", "data"} == set(measured["variant"])
    shown = {"recording": recording, "runs": runs, "names": list(variants)}
    rest = {"metrics": table, "ground_truth": ground_truth, "variants": variants, "folder": tmp_path / "figures"}
    figures.run(**shown, histories=histories, **rest)
    assert sorted(path.stem for path in (tmp_path / "figures").glob("*.png")) == sorted(plan.FIGURES)
    spikes.run(**shown, out=tmp_path / "spikes.npz")
    networks = core_spikes.read_networks(tmp_path / "spikes.npz")
    assert [(network.name, network.recorded) for network in networks] == [("recording", True), ("mle", False), ("sm-h", False)]
    expected = [record.of("test")[:, 9:]]  # the bins before a free run starts are left out
    expected += [simulated.read(path).spikes[:4, :, : SMALL.visible] for path in runs]
    for network, raster in zip(networks, expected, strict=True):
        np.testing.assert_array_equal(core_spikes.bin_counts(network.spikes, 0.04), raster)


def test_standin_survives_the_raw_files(raw, recording):
    """Generator spikes, through spike times in a MATLAB v7.3 file, back to bins: none lost."""
    known, found = np.load(raw / "ground_truth.npz"), np.load(recording)
    np.testing.assert_array_equal(found["spikes"], known["spikes"][:, :, : SMALL.visible])
    assert found["late"] == found["merged"] == 0
    movie = scipy.io.loadmat(raw / "natural_movie.mat")["M"]
    np.testing.assert_allclose(found["movie"], movie.transpose(2, 0, 1) / 255, atol=1e-7)


# Training


def fitting_of(recording, objective=SM, batch=4, replicate=0, hidden=0, **changes):
    variant, optimiser = Variant(objective, hidden), Training(batch=batch, **changes)
    return Fitting(recorded.read(recording), NETWORK, variant, optimiser, (0, replicate), torch.device("cpu"))


def test_every_training_trial_is_drawn_once_per_epoch(recording):
    """Also with looks at the validation trials in between: the published loader saw 30 of 80 trials."""
    fitting = fitting_of(recording, batch=2)
    seen = []
    for step in range(4):
        seen += fitting.batch(step)
        fitting.validate(step)
    assert sorted(seen) == list(range(8))
    assert fitting.batch(4) + fitting.batch(5) != seen[:4]


def test_replicates_start_differently_and_draw_other_trials(recording):
    first, again, second = (fitting_of(recording, batch=2, replicate=replicate) for replicate in (0, 0, 1))
    for one, same, other in zip(*(fitting.model.parameters() for fitting in (first, again, second)), strict=True):
        assert torch.equal(one, same)
        assert not one.any() or not torch.equal(one, other)  # biases start at zero
    assert [first.batch(step) for step in range(4)] == [again.batch(step) for step in range(4)]
    assert [first.batch(step) for step in range(4)] != [second.batch(step) for step in range(4)]
    free = Objective(likelihood=0, psth=1)
    with_noise = [fitting_of(recording, free, batch=8, replicate=replicate, learning_rate=1e-12) for replicate in (0, 0, 1)]
    with_noise[2].model.load_state_dict(with_noise[0].model.state_dict())
    losses_ = [[fitting.step(number)["train"] for number in range(2)] for fitting in with_noise]
    assert losses_[0] == losses_[1]
    assert losses_[0][0] != pytest.approx(losses_[0][1], abs=1e-9)  # all trials and the same weights, other random numbers
    assert losses_[0] != pytest.approx(losses_[2], abs=1e-9)


def test_each_split_serves_its_purpose(recording):
    """Every split fires in cells of its own, so that a leak would show."""
    record = recorded.read(recording)
    spikes = np.zeros_like(record.spikes)
    for cell, split in enumerate(recorded.SPLITS):
        spikes[record.split == split, :, cell] = True
    fitting = Fitting(record._replace(spikes=spikes), NETWORK, Variant(), Training(batch=4), (0, 0), torch.device("cpu"))
    assert fitting.train.y.mean((0, 1)).tolist() == [1, 0, 0, 0]
    assert fitting.validation.y.mean((0, 1)).tolist() == [0, 0, 1, 0]
    assert [len(part.y) for part in (fitting.train, fitting.validation)] == [8, 2]


def test_best_weights_are_kept_and_validation_draws_the_same_numbers(recording, tmp_path):
    optimiser = Training(steps=12, batch=4, evaluate_every=1, learning_rate=0.2)  # so fast that it gets worse again
    fit_one(recording, tmp_path / "fit", Variant(SM, hidden=1), optimiser)
    validation = pd.read_parquet(tmp_path / "fit.parquet")["validation"]
    kept = fitted.read(tmp_path / "fit.pt", torch.device("cpu"))
    assert kept.best_step == validation.idxmin() + 1 < 12
    fitting = Fitting(recorded.read(recording), NETWORK, Variant(SM, hidden=1), optimiser, (0, 0), torch.device("cpu"))
    fitting.model.load_state_dict(kept.model.state_dict())
    assert fitting.validate(0) == fitting.validate(1) == pytest.approx(validation.min(), rel=1e-6)


def test_loss_of_a_step_is_the_weighted_sum_of_its_terms(recording):
    objective = Objective(likelihood=0.4, psth=0.1, psth_mse=2.0, noise_correlation=50.0, single_trial=0.3, nc_ramp=4)
    row = fitting_of(recording, objective).step(1)
    terms = {name: row[name] for name in ("likelihood", "psth", "psth_mse", "noise_correlation", "single_trial")}
    assert all(value > 0 for value in terms.values())
    weights = (0.4, 0.1, 2.0, 50.0 * 2 / 4, 0.3)  # the second of four steps over which the noise correlation comes in
    assert row["train"] == pytest.approx(sum(w * term for w, term in zip(weights, terms.values(), strict=True)), rel=1e-6)


def test_targets_and_free_runs_as_the_objective_asks(recording, monkeypatch):
    seen = {}

    def spy(objective, y, targets, forced, free):
        seen.update(y=y, targets=targets, free=free)
        return terms(objective, y, targets, forced, free)

    terms = losses.terms
    monkeypatch.setattr(losses, "terms", spy)
    fitting_of(recording, SM).step(0)
    assert len(seen["free"].spikes) == 4
    torch.testing.assert_close(seen["targets"].psth, seen["y"].mean(0))
    fitting = fitting_of(recording, Objective(psth=1.0, noise_correlation=1.0, target_stats="all", simulated_trials=7))
    fitting.step(0)
    assert len(seen["free"].spikes) == 7
    torch.testing.assert_close(seen["targets"].psth, fitting.train.y.mean(0))
    torch.testing.assert_close(seen["targets"].covariance, losses.published_covariance(fitting.train.y, None, 9))
    assert seen["targets"].rate == pytest.approx(float(fitting.train.y.mean()))
    fitting = fitting_of(recording, Objective(psth=1.0, hidden_rate=1.0, target_rate=0.17), hidden=2)
    with torch.no_grad():
        fitting.model.bias.copy_(torch.linspace(-1, 1, 6))
    found = fitting.step(0)["hidden_rate"]
    rates = seen["free"].spikes.detach().numpy()[:, :, 4:].mean((0, 1))
    assert found == pytest.approx(((rates[0] - 0.17) ** 2 + (rates[1] - 0.17) ** 2) / 2, rel=1e-5)


def test_same_seed_same_bytes_and_resumed_training_equals_an_undisturbed_one(recording, tmp_path, monkeypatch):
    def train(name, steps, stop=None):
        def interrupted(self, number):
            if number == stop:
                raise KeyboardInterrupt
            return step(self, number)

        with monkeypatch.context() as patch:
            patch.setattr(Fitting, "step", interrupted)
            fit_one(recording, tmp_path / name, Variant(SM, hidden=1), Training(steps=steps, batch=4, evaluate_every=3))
        return (tmp_path / f"{name}.pt").read_bytes(), pd.read_parquet(tmp_path / f"{name}.parquet")

    step = Fitting.step
    straight, log = train("straight", 12)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train("resumed", 12, stop=7)
    assert not (tmp_path / "resumed.pt").exists()
    resumed, resumed_log = train("resumed", 12)
    one, other = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("straight", "resumed"))
    for name in one["weights"]:
        assert torch.equal(one["weights"][name], other["weights"][name]), name
    pd.testing.assert_frame_equal(log, resumed_log)
    assert resumed == straight == train("straight", 12)[0]


def test_unfinished_training_on_another_recording_is_discarded(raw, recording, tmp_path, monkeypatch, capsys):
    """A training is killed, the recording changes under the same name, and the same command runs again."""
    monkeypatch.setattr(files, "maker", {})
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    step, stop = Fitting.step, 3

    def interrupted(self, number):
        if number == stop:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Fitting, "step", interrupted)
    path = tmp_path / "recording.npz"
    arguments = ["--recording", path, "--fit", tmp_path / "a.pt", "--history", tmp_path / "a.parquet"]
    arguments += ["--network", '{"filters": [2, 3], "kernels": [3, 3]}', "--variant", "{}", "--seed", "0", "--replicate", "0"]
    command = ["v1.fit", *map(str, arguments), "--optimiser", '{"steps": 5, "batch": 4}', "--device", "cpu"]
    path.write_bytes(recording.read_bytes())
    with pytest.raises(KeyboardInterrupt):
        main(command)
    stop = -1
    data.run(folder=raw, out=path, preprocessing=Preprocessing(pixels=7, train=7, test=5, validation=2), dataset="stand-in")
    assert main(command) == 0
    assert "made with other settings, code or inputs" in capsys.readouterr().out
    assert files.read_table(tmp_path / "a.parquet")["step"].tolist() == list(range(5))


@pytest.mark.parametrize("estimator", losses.COVARIANCE)
def test_noise_covariance_of_a_single_trial_is_refused(recording, estimator):
    """What is left of one trial without the trial mean is nothing: no covariance, and B / (B - 1) is no number."""
    with pytest.raises(ValueError, match="noise covariance of 1 trial; expected 2 or more"):
        losses.COVARIANCE[estimator](torch.rand(1, 20, 3), None, 3)
    with pytest.raises(ValueError, match=r"objective.simulated_trials = 1: expected 2 or more, or 0"):
        Objective(noise_correlation=1.0, nc_estimator=estimator, simulated_trials=1)
    assert Objective(psth=1.0, simulated_trials=1).runs_free
    objective = Objective(noise_correlation=1.0, nc_estimator=estimator, simulated_trials=2)
    assert np.isfinite(fitting_of(recording, objective, batch=2).step(0)["train"])
    with pytest.raises(ValueError, match=r"v1.training.batch = 1: expected 2 or more"):
        fitting_of(recording, objective, batch=1)
    record = recorded.read(recording)
    one = record._replace(split=np.where(np.arange(len(record.split)) == 13, "validation", "train"))
    with pytest.raises(ValueError, match=r"v1.data.validation = 1: expected 2 or more"):
        Fitting(one, NETWORK, Variant(objective), Training(batch=2), (0, 0), torch.device("cpu"))


def test_training_lowers_the_loss(recording):
    fitting = fitting_of(recording, Objective(), learning_rate=5e-3, evaluate_every=30)
    rows = [fitting.step(number) for number in range(30)]
    assert rows[-1]["validation"] < 0.9 * rows[0]["train"]


def test_batch_larger_than_the_training_trials(recording):
    with pytest.raises(ValueError, match="v1.training.batch = 9: expected 1 to the 8 training trials"):
        fitting_of(recording, batch=9)


def test_diverging_loss_is_an_error(recording):
    fitting = fitting_of(recording, Objective())
    with torch.no_grad():
        fitting.model.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="loss of step 5 is nan.*lower v1.training.learning_rate"):
        fitting.step(5)


# Measures


def test_correlations_by_numpy(rng):
    spikes = rng.random((20, 30, 4)) < rng.random((30, 4))
    found = agreement.correlations(spikes)
    total = np.corrcoef(spikes.reshape(-1, 4), rowvar=False)
    np.testing.assert_allclose(found["total"], total[np.tril_indices(4, -1)], atol=1e-12)
    np.testing.assert_allclose(found["noise"] + found["stimulus"], found["total"], atol=1e-12)


def test_a_cell_that_never_changes_has_correlation_0_and_the_others_keep_theirs(rng):
    spikes = rng.random((20, 30, 3)) < 0.3
    expected = {kind: values[0] for kind, values in agreement.correlations(spikes[:, :, :2]).items()}
    for constant in (False, True):
        spikes[:, :, 2] = constant
        for kind, found in agreement.correlations(spikes).items():
            np.testing.assert_allclose(found, [expected[kind], 0, 0])


def test_chances_stay_half_a_spike_away_from_never_and_always():
    spikes = np.zeros((4, 3, 3), dtype=bool)
    spikes[:2, :, 1], spikes[..., 2] = True, True
    np.testing.assert_allclose(agreement.spike_probability(spikes, (0, 1)), [0.5 / 12, 0.5, 1 - 0.5 / 12])
    np.testing.assert_allclose(agreement.spike_probability(spikes, (0,)), np.tile([0.5 / 4, 0.5, 1 - 0.5 / 4], (3, 1)))


def test_baselines_are_those_of_the_training_trials(rng):
    """Entropies by hand: two cells that fire in turn, in the training trials as in the test trials."""
    train, test = (np.tile(np.eye(2, dtype=bool), (n, 3, 1)) for n in (8, 2))
    rows = itertools.islice(metrics.of_baselines(train, test, "a set"), 4)  # without the free runs that follow
    found = {(row.variant, row.metric): row for row in rows}
    assert found["constant rate", "nll"].value == pytest.approx(np.log(2))
    assert found["psth", "nll"].value == pytest.approx(-np.log(1 - 0.5 / 8))
    assert found["constant rate", "bits per spike"].value == 0
    assert found["psth", "bits per spike"].value == pytest.approx((1 + np.log2(1 - 0.5 / 8)) / 0.5)
    assert (found["psth", "nll"].n, found["psth", "nll"].seed, found["psth", "nll"].dataset) == (2, 0, "a set")


def test_gratings_of_the_stand_in_lie_well_inside_the_frame(rng):
    """Mean place of the squared filter: the centre, from about 0.2 to 0.8 of a side, on average in the middle."""
    place = (np.arange(80) + 0.5) / 80
    centres = []
    for _ in range(200):
        weight = truth.gabor(rng, 80) ** 2
        centres.append([weight.sum(axis) @ place / weight.sum() for axis in (1, 0)])
    assert 0.17 < np.min(centres) < 0.27
    assert 0.73 < np.max(centres) < 0.83
    np.testing.assert_allclose(np.mean(centres, 0), 0.5, atol=0.05)


def test_couplings_of_the_stand_in_decay_over_one_to_three_bins(rng):
    standin_ = Standin(visible=40, hidden=20, hidden_gain=3.0, coupling_gain=1.2)
    weights = truth.couplings(rng, standin_)
    off = ~np.eye(60, dtype=bool) & (weights[:, :, 0] != 0)
    decay = -1 / np.log(weights[off][:, 1] / weights[off][:, 0])
    assert 1 < decay.min() < 1.1
    assert 2.9 < decay.max() < 3
    np.testing.assert_allclose(weights[off], weights[off][:, :1] * np.exp(-np.arange(9) / decay[:, None]))
    np.testing.assert_allclose(weights[range(60), range(60), 0], -1.5)  # a cell's own refractoriness
    assert np.mean(weights[:, :40, 0][off[:, :40]] ** 2) * 9 == pytest.approx(
        np.mean(weights[:, 40:, 0][off[:, 40:]] ** 2), rel=0.5
    )
    total = (weights[:, :40, 0][off[:, :40]] ** 2).sum() / (60 * 40)  # DENSITY x 1.2^2 / (DENSITY x 60)
    assert total == pytest.approx(1.2**2 / 60, rel=0.25)


@pytest.mark.parametrize(
    ("n", "fits"), [(5, "ten trials"), (6, "2, 2, 2"), (10, "6, 2, 2"), (20, "14, 4, 2"), (25, "18, 5, 2")]
)
def test_too_few_trials_are_told_with_a_split_that_fits(n, fits, tmp_path):
    with pytest.raises(
        ValueError, match=rf"{n} trials, fewer than .*v1\.data\.train 30 .* = 36\); expected for instance {fits}$"
    ):
        recorded.split_trials(n, Preprocessing(train=30, test=4, validation=2), tmp_path)


def test_bits_per_spike_of_a_perfect_rate():
    """Two bins, chance 0.9 and 0.1: against the constant rate 0.5 the gain is 1 - H(0.1) bits per bin, half a spike each."""
    p = np.tile([0.9, 0.1], (1000, 50))[..., None]
    fired = np.random.default_rng(0).random(p.shape) < p
    nll, constant = (agreement.bernoulli_nll(rate, fired) for rate in (p, np.full_like(p, 0.5)))
    entropy = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    assert agreement.bits_per_spike(nll, constant, fired.mean()) == pytest.approx((1 - entropy) / 0.5, rel=0.02)


def test_likelihood_of_the_generator_by_hand(raw, recording):
    """Log odds bin by bin, from the definition."""
    known = truth.read(raw / "ground_truth.npz")
    fired, losses_of_bins = known.spikes.astype(float), []
    for b, t, j in np.ndindex(4, 31, SMALL.visible):
        trial, bin_ = 8 + b, 9 + t
        past = sum(known.couplings[j, :, k] @ fired[trial, bin_ - 1 - k] for k in range(9))
        logit = known.drive[bin_, j] + known.bias[j] + past
        losses_of_bins.append(np.logaddexp(0, logit) - fired[trial, bin_, j] * logit)
    (row,) = metrics.of_generator(known, recorded.read(recording), first=9)
    assert row.value == pytest.approx(np.mean(losses_of_bins))


def test_measures_by_hand(raw, recording, tmp_path):
    """A model whose free runs are the test trials and whose couplings are the true ones, on units in another order."""
    data.run(folder=raw, out=tmp_path / "recording.npz", preprocessing=replace(SPLIT, units=(2, 0, 3)), dataset="stand-in")
    record, known = recorded.read(tmp_path / "recording.npz"), truth.read(raw / "ground_truth.npz")
    np.testing.assert_array_equal(record.spikes, known.spikes[:, :, [2, 0, 3]])
    train, test = known.spikes[:8, 9:][:, :, [2, 0, 3]], known.spikes[8:12, 9:][:, :, [2, 0, 3]]
    cells = np.ix_([2, 0, 3, 4], [2, 0, 3, 4])  # and a hidden one
    runs = np.concatenate([test, known.spikes[8:12, 9:, 4:5]], 2)
    fit_ = (
        np.full(4, 0.5),
        np.full(4, 0.4),
        0.4 * known.couplings[cells][:, :, ::-1],
        np.zeros(4),
        np.float64(0.8),
        2.0,
        3,
        1,
    )
    copied = Simulation(runs, runs[:, :, :3] + 0.0, *fit_, "stand-in")
    files.write_arrays(tmp_path / "run.npz", **copied._asdict())
    made = {"runs": [tmp_path / "run.npz"], "names": ["copy_1"], "out": tmp_path / "metrics.parquet"}
    made |= {"also": [], "also_facts": [], "facts": tmp_path / "facts.parquet"}
    metrics.run(recording=tmp_path / "recording.npz", ground_truth=raw / "ground_truth.npz", **made)
    table = pd.read_parquet(tmp_path / "metrics.parquet").set_index(["variant", "seed", "metric"])["value"].sort_index()
    found = table["copy", 1]
    ones = [f"psth r ({len(test)} trials)", f"noise correlation R2 ({len(test)} trials)", "rate ratio", "coupling r"]
    np.testing.assert_allclose(found[ones], 1, rtol=1e-6)
    p = np.clip(train.mean((0, 1)), 0.5 / (8 * 31), None)
    constant = -np.log(np.where(test, p, 1 - p)).mean()
    assert table["constant rate", 0, "nll"] == pytest.approx(constant)
    assert found["bits per spike"] == pytest.approx((constant - 0.5) / test.mean() / np.log(2))
    assert found["nll marginal"] == pytest.approx(0.4)
    assert found["hidden rate"] == pytest.approx(known.spikes[8:12, 9:, 4].mean())
    p = np.clip(train.mean(0), 0.5 / 8, 1 - 0.5 / 8)
    assert table["psth", 0, "nll"] == pytest.approx(-np.log(np.where(test, p, 1 - p)).mean())
    share = (constant - 0.5) / (constant - table["generator", 0, "nll"])
    assert found["share of the way to the generator"] == pytest.approx(share)


def shown_of(raw, folder, units, runs, couplings):
    """What figures draw of `units` of the stand-in: a network with these free runs and `couplings`, at another slope."""
    data.run(folder=raw, out=folder / "recording.npz", preprocessing=replace(SPLIT, units=units), dataset="stand-in")
    n, scale = runs.shape[2], (np.float64(0.8), np.float64(2.0))
    fit_ = (np.full(4, 0.5), np.full(4, 0.4), couplings, np.zeros(n), *scale, len(units), 1, "stand-in")
    simulation = Simulation(runs, runs[:, :, : len(units)] + 0.0, *fit_)
    return figures.Shown(
        recorded.read(folder / "recording.npz"),
        {"copy": simulation},
        {},
        pd.DataFrame(),
        truth.read(raw / "ground_truth.npz"),
        {"copy": 50.0},
    )


def test_figures_show_true_couplings_of_the_cells_that_were_kept(raw, tmp_path):
    """And the fitted ones in the same unit: a copy of the truth looks like it."""
    known = truth.read(raw / "ground_truth.npz")
    cells = [2, 0, 4, 5]
    true = known.couplings[cells][:, cells]
    shown = shown_of(raw, tmp_path, (2, 0), known.spikes[8:12, 9:, cells], 0.4 * true[:, :, ::-1])
    panels = [panel for panel in figures.couplings(shown).axes if panel.images]
    assert [panel.get_title("left") for panel in panels] == ["truth", "copy"]
    for panel in panels:
        np.testing.assert_allclose(panel.images[0].get_array(), true.sum(2), rtol=1e-12)
    for cell, panel in enumerate(figures.self_couplings(shown).axes):
        for line in panel.lines[1:]:  # truth and copy
            np.testing.assert_allclose(line.get_ydata(), true[cell, cell], rtol=1e-12)


def test_a_way_of_fitting_has_one_colour_in_all_figures(raw, tmp_path):
    known = truth.read(raw / "ground_truth.npz")
    shown = shown_of(raw, tmp_path, (0, 1), known.spikes[8:12, 9:, :2], np.zeros((2, 2, 9)))
    shown = shown._replace(simulations={"first": shown.simulations["copy"], **shown.simulations})
    measured = {"nll": 0.3, "rate ratio": 1.0, f"noise correlation R2 ({shown.n_runs} trials)": 0.5, "coupling r": 0.5}
    names = ("copy", "copy@nc500", "copy@hidden0")
    rows = [Measure(name, 0, "d", *one, "1", 1) for name in names for one in measured.items()]
    shown, colors = shown._replace(measures=pd.DataFrame(rows)), set()
    for draw in (figures.psth, figures.self_couplings, figures.pareto, figures.hidden_cells):
        colors |= {line.get_color() for line in draw(shown).axes[0].lines if line.get_label() == "copy"}
    assert colors == {shown.color("copy")} != {shown.color("first")}


def test_points_of_the_pareto_figure_are_named_by_their_weights(raw, tmp_path):
    """That of the config among them."""
    known = truth.read(raw / "ground_truth.npz")
    shown = shown_of(raw, tmp_path, (0, 1), known.spikes[8:12, 9:, :2], np.zeros((2, 2, 9)))
    measured = {"nll": 0.3, "rate ratio": 1.0, f"noise correlation R2 ({shown.n_runs} trials)": 0.5}
    rows = [Measure(name, 0, "d", *one, "1", 1) for name in ("copy", "copy@nc500") for one in measured.items()]
    left, _ = figures.pareto(shown._replace(measures=pd.DataFrame(rows))).axes
    assert sorted(text.get_text() for text in left.texts) == ["50", "500"]


def test_logit_couplings_are_what_a_spike_adds_to_the_log_odds():
    network = SpikingNetwork(replace(NETWORK, threshold=0.7, temperature=3.0), n_recorded=2, pixels=7)
    network.initialise(torch.Generator().manual_seed(0))
    spikes = torch.zeros(2, 10, 2, dtype=torch.bool)
    spikes[1, 6, 1] = True  # three bins before the first step
    with torch.no_grad():
        logits = network.forced(torch.zeros(1, 2), spikes).logits[:, 0]
        w_rec = network.couplings.numpy()
    made = Simulation(*[None] * 4, w_rec, None, 0.7, 3.0, 2, 1, "")
    np.testing.assert_allclose(logits[1] - logits[0], made.logit_couplings[:, 1, 2], rtol=1e-5)


def test_figures_and_table_tell_the_same_correlations(raw, tmp_path):
    """Of a network with a silent cell: 0 for its pairs, nowhere nan."""
    known = truth.read(raw / "ground_truth.npz")
    runs = known.spikes[:6, 9:, :3] & [True, True, False]
    shown = shown_of(raw, tmp_path, (0, 1, 2), runs, np.zeros((3, 3, 9)))
    (row,) = (
        row
        for row in metrics.of_free_runs(shown.of("test"), runs, "6 trials", partial(Measure, "copy", 0, "stand-in"))
        if row.metric == "noise correlation R2 (6 trials)"
    )
    panel, others = figures.correlation_scatter(shown).axes
    assert panel.get_title("left") == f"copy\nR² {row.value:.2f}"
    assert others.get_title("left").startswith("8 other trials\n")
    x, y = panel.lines[1].get_data()
    noise = [agreement.correlations(spikes)["noise"] for spikes in (shown.of("test"), runs)]
    np.testing.assert_array_equal([x, y], noise)
    below = figures.correlation_matrices(shown).axes[1].images[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(below[np.tril_indices(3, -1)], noise[1])


def test_a_recording_of_one_unit(raw, tmp_path):
    """There are no pairs: their measures are nan, and figures are drawn."""
    known = truth.read(raw / "ground_truth.npz")
    shown = shown_of(raw, tmp_path, (1,), known.spikes[8:12, 9:, 1:2], known.couplings[1:2, 1:2])
    files.write_arrays(tmp_path / "run.npz", **shown.simulations["copy"]._asdict())
    made = {"runs": [tmp_path / "run.npz"], "names": ["mle_0"], "out": tmp_path / "metrics.parquet"}
    made |= {"also": [], "also_facts": [], "facts": tmp_path / "facts.parquet"}
    metrics.run(recording=tmp_path / "recording.npz", ground_truth=raw / "ground_truth.npz", **made)
    found = pd.read_parquet(tmp_path / "metrics.parquet").query("variant == 'mle'").set_index("metric")
    pairs = found.index.str.contains("correlation|coupling")
    assert (found.loc[pairs, "n"] == 0).all()
    assert found.loc[pairs, "value"].isna().all()
    assert found.loc[~pairs, "value"].notna().all()
    shown = shown._replace(measures=pd.read_parquet(tmp_path / "metrics.parquet"))
    for name in sorted(set(plan.FIGURES) - {"training"}):
        style.save(getattr(figures, name)(shown), tmp_path, name, "stand-in")


def test_forecast_on_another_movie(recording, tmp_path, rng):
    fit_one(recording, tmp_path / "fit", Variant(hidden=1), Training(steps=1, batch=4))
    np.save(tmp_path / "movie.npy", rng.random((14, 14, 50)))
    wanted = {"fit": tmp_path / "fit.pt", "seed": 0, "device": "cpu"}
    forecast.run(movie=tmp_path / "movie.npy", out=tmp_path / "one.npz", trials_wanted=3, **wanted)
    forecast.run(movie=tmp_path / "movie.npy", out=tmp_path / "two.npz", trials_wanted=5, **wanted)
    one, two = np.load(tmp_path / "one.npz"), np.load(tmp_path / "two.npz")
    assert one["spikes"].shape == one["probabilities"].shape == (3, 41, SMALL.visible + 1)
    np.testing.assert_array_equal(one["spikes"], two["spikes"][:3])
    np.save(tmp_path / "short.npy", rng.random((7, 7, 12)))
    with pytest.raises(ValueError, match="the movie has 12 frames"):
        forecast.run(movie=tmp_path / "short.npy", out=tmp_path / "no.npz", trials_wanted=1, **wanted)
    np.save(tmp_path / "flat.npy", rng.random((7, 7)))
    with pytest.raises(ValueError, match=r"flat.npy: the array is float64 of shape \(7, 7\)"):
        forecast.run(movie=tmp_path / "flat.npy", out=tmp_path / "no.npz", trials_wanted=1, **wanted)
    assert not (tmp_path / "no.npz").exists()


def test_bad_input_ends_with_status_2_and_no_output(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "maker", {})
    arguments = ["--folder", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out.npz"), "--dataset", "test"]
    assert main(["v1.data", *arguments, "--preprocessing", "{}"]) == 2
    assert "the folder does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()
    network = '{"movie_frames": 5}'
    wanted = ["--recording", "r.npz", "--fit", "o.pt", "--history", "l.parquet", "--variant", "{}", "--optimiser", "{}"]
    assert main(["v1.fit", *wanted, "--network", network, "--seed", "0", "--replicate", "0"]) == 2
    assert "v1.network.movie_frames = 5" in capsys.readouterr().err
