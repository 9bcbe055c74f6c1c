"""Sample-and-measure: its equations against brute force and closed forms, its files, its messages, its stages."""

import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch

from respike.__main__ import main
from respike.core import files, training
from respike.core import spikes as core_spikes
from respike.v1 import agreement, losses, plan, recorded, simulated, truth
from respike.v1.fitting import Fitting
from respike.v1.params import Network, Objective, Preprocessing, Sampling, Standin, Training, Variant
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


def test_all_stages(raw, recording, tmp_path):
    variants = {"mle": Variant(), "sm-h": Variant(SM, hidden=2)}
    for name, variant in variants.items():
        fit_one(recording, tmp_path / name, variant, Training(steps=3, batch=4, evaluate_every=2))
    fits, histories, runs = ([tmp_path / f"{name}.{kind}" for name in variants] for kind in ("pt", "parquet", "npz"))
    sampling = Sampling(trials=6, hidden_samples=3)
    simulate.run(fits=fits, recording=recording, runs=runs, sampling=sampling, seed=0, device="cpu")
    table, ground_truth = tmp_path / "metrics.parquet", raw / "ground_truth.npz"
    names = [f"{name}_0" for name in variants]
    metrics.run(recording=recording, runs=runs, names=names, ground_truth=ground_truth, also=[], out=table)
    measured = pd.read_parquet(table)
    assert {"mle", "sm-h", "constant rate", "psth", "generator", "training trials", "data"} == set(measured["variant"])
    shown = {"recording": recording, "runs": runs, "names": list(variants)}
    figures.run(**shown, histories=histories, metrics=table, ground_truth=ground_truth, folder=tmp_path / "figures")
    assert sorted(path.stem for path in (tmp_path / "figures").glob("*.png")) == sorted(plan.FIGURES)
    spikes.run(**shown, out=tmp_path / "spikes.npz")
    networks = core_spikes.read_networks(tmp_path / "spikes.npz")
    assert [(network.name, network.recorded) for network in networks] == [("recording", True), ("mle", False), ("sm-h", False)]
    expected = [recorded.read(recording).of("test")[:, 9:]]  # the bins before a free run starts are left out
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


def fitting_of(recording, objective=SM, batch=4, replicate=0, **changes):
    variant, optimiser = Variant(objective), Training(batch=batch, **changes)
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
