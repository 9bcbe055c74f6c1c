"""Sample-and-measure: its equations against brute force and closed forms, its files, its messages, its stages."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch

from respike.__main__ import main
from respike.core import files, training
from respike.core import spikes as core_spikes
from respike.v1 import agreement, losses, particles, plan, pooling, recorded, recurrence, simulated, simulation, trials, truth
from respike.v1 import recording as reader
from respike.v1.fitting import Fitting
from respike.v1.model import Pass, SpikingNetwork
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


# Files


def cells_of(rng, trials=3, units=2, n=4):
    return [[np.sort(rng.uniform(0, 1.6, n)) for _ in range(units)] for _ in range(trials)]


def write_raw(folder, frames=None, cells=None):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (9, 9, 40), dtype=np.uint8) if frames is None else frames
    reader.write_mat(folder / "natural_movie.mat", frames)
    reader.write_events(folder / "data_monkey1_natural_movie.mat", cells_of(rng) if cells is None else cells)
    return folder


def load(folder, preprocessing=None):
    out = folder / "recording.npz"
    split = preprocessing or Preprocessing(pixels=9, train=1, test=1, validation=1)
    data.run(folder=folder, out=out, preprocessing=split, dataset="test")
    return dict(np.load(out))


def test_standin_survives_the_raw_files(raw, recording):
    """Generator spikes, through spike times in a MATLAB v7.3 file, back to bins: none lost."""
    known, found = np.load(raw / "ground_truth.npz"), np.load(recording)
    np.testing.assert_array_equal(found["spikes"], known["spikes"][:, :, : SMALL.visible])
    assert found["late"] == found["merged"] == 0
    movie = scipy.io.loadmat(raw / "natural_movie.mat")["M"]
    np.testing.assert_allclose(found["movie"], movie.transpose(2, 0, 1) / 255, atol=1e-7)


def test_late_and_merged_spikes_are_counted(tmp_path, rng):
    cells = cells_of(rng, units=60)
    cells[0][0] = np.array([0.001, 0.002, 0.003, 1.59])  # three in the first of 40 bins of 40 ms
    cells[1][1] = np.array([0.5, 1.6, 1.65])  # two past the end
    expected = np.zeros((3, 40, 60), dtype=bool)
    for trial, row in enumerate(cells):
        for unit, times in enumerate(row):
            expected[trial, [int(t / 0.04) for t in times if t < 1.6], unit] = True
    found = load(write_raw(tmp_path / "raw", cells=cells))
    np.testing.assert_array_equal(found["spikes"], expected)
    assert found["late"] == 2
    assert found["merged"] == sum(len(times) for row in cells for times in row) - 2 - expected.sum()


def test_last_frames_and_most_active_units(tmp_path, rng):
    cells = [[np.sort(rng.uniform(0, 1.6, n)) for n in (3, 30, 1, 20)] for _ in range(3)]
    folder = write_raw(tmp_path / "raw", cells=cells)
    everything = load(folder)
    some = load(folder, Preprocessing(pixels=9, train=1, test=1, validation=1, last_frames=30, most_active=2))
    np.testing.assert_array_equal(some["spikes"], everything["spikes"][:, 10:][:, :, [1, 3]])
    np.testing.assert_array_equal(some["movie"], everything["movie"][10:])


def test_arrays_of_the_published_program_are_read(tmp_path, rng):
    movie, spikes = rng.random((5, 5, 20)), rng.random((6, 20, 3)) < 0.2
    np.save(tmp_path / "M_train(last)_natural.npy", movie)
    for part, name in zip((spikes[:3], spikes[3:5], spikes[5:]), ("first80", "mid30", "last10"), strict=True):
        np.save(tmp_path / f"S_1_train(last)_natural_{name}.npy", part.reshape(-1, 3))
    found = load(tmp_path)
    np.testing.assert_array_equal(found["spikes"], spikes)
    np.testing.assert_allclose(found["movie"], movie.transpose(2, 0, 1), rtol=1e-6)
    assert found["split"].tolist() == ["train"] * 3 + ["test"] * 2 + ["validation"]


def refused(folder, *words, preprocessing=None):
    """`data` stops with a message that holds all `words`, and leaves nothing behind."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load(folder, preprocessing)
    for word in words:
        assert word in str(error.value), str(error.value)
    assert not (folder / "recording.npz").exists()
    assert not list(folder.glob(".tmp*"))


def test_missing_files_say_where_to_get_them(tmp_path):
    refused(tmp_path, "natural_movie.mat", "crcns.org", "v1.data_dir")


def test_events_of_an_older_matlab_version(tmp_path, rng):
    folder = write_raw(tmp_path / "raw")
    with (folder / "data_monkey1_natural_movie.mat").open("wb") as file:
        scipy.io.savemat(file, {"data": 1})
    refused(folder, "data_monkey1_natural_movie.mat", "older than v7.3", "-v7.3")


def test_events_without_the_field(tmp_path):
    folder = write_raw(tmp_path / "raw")
    with h5py.File(folder / "data_monkey1_natural_movie.mat", "w") as file:
        file["data/SPIKES"] = 1.0
    refused(folder, "data_monkey1_natural_movie.mat", "data/EVENTS", "SPIKES")


def test_events_that_are_numbers(tmp_path):
    folder = write_raw(tmp_path / "raw")
    with h5py.File(folder / "data_monkey1_natural_movie.mat", "w") as file:
        file["data/EVENTS"] = np.zeros((3, 2))
    refused(folder, "data/EVENTS", "float64", "cell array")


def test_empty_cells_are_silent_units_but_not_all_of_them(tmp_path, rng):
    cells = cells_of(rng)
    cells[1][0] = np.empty(0)
    assert not load(write_raw(tmp_path / "some", cells=cells))["spikes"][1, :, 0].any()
    refused(write_raw(tmp_path / "all", cells=[[np.empty(0)] * 2] * 3), "data/EVENTS", "6 cells", "empty")


def test_spike_times_in_milliseconds(tmp_path, rng):
    cells = [[1000 * times for times in row] for row in cells_of(rng)]
    refused(write_raw(tmp_path / "raw", cells=cells), "data/EVENTS", "milliseconds", "1.6 s")


@pytest.mark.parametrize("wrong", [-0.1, np.nan])
def test_spike_times_below_zero_or_nan(tmp_path, rng, wrong):
    cells = cells_of(rng)
    cells[2][1][0] = wrong
    refused(write_raw(tmp_path / "raw", cells=cells), "data/EVENTS", "unit 2, trial 3", str(wrong), "seconds")


@pytest.mark.parametrize(("frames", "hint"), [(30, "does the movie have all its frames"), (80, "is it the movie")])
def test_movie_with_another_frame_count(tmp_path, frames, hint):
    movie = np.zeros((9, 9, frames), dtype=np.uint8)
    refused(write_raw(tmp_path / "raw", frames=movie), "natural_movie.mat", f"{frames} frames", "v1.data.bin_ms", hint)


def test_movie_with_nan(tmp_path):
    movie = np.zeros((9, 9, 40))
    movie[2, 3, 7] = np.nan
    refused(write_raw(tmp_path / "raw", frames=movie), "natural_movie.mat", "M has 1 frames", "first frame 7")


def test_movie_without_its_variable_or_with_a_wrong_shape(tmp_path):
    folder = write_raw(tmp_path / "raw", frames=np.zeros((9, 40)))
    refused(folder, "natural_movie.mat", "M is", "(9, 40)", "row x column x frame")
    with (folder / "natural_movie.mat").open("wb") as file:
        scipy.io.savemat(file, {"movie": np.zeros((9, 9, 40))})
    refused(folder, "natural_movie.mat", "'M'", "movie")


def test_fewer_trials_than_the_split_asks_for(tmp_path):
    split = Preprocessing(pixels=9, train=2, test=1, validation=1)
    refused(write_raw(tmp_path / "raw"), "3 trials", "v1.data.train 2", "= 4", preprocessing=split)


def test_units_and_frames_that_are_not_there(tmp_path):
    folder, split = write_raw(tmp_path / "raw"), {"pixels": 9, "train": 1, "test": 1, "validation": 1}
    refused(folder, "v1.data.units", "[7]", "2 units", preprocessing=Preprocessing(units=(0, 7), **split))
    refused(folder, "v1.data.most_active", "3", preprocessing=Preprocessing(most_active=3, **split))
    refused(folder, "v1.data.last_frames", "50", preprocessing=Preprocessing(last_frames=50, **split))


def test_movie_shorter_than_the_history_in_view():
    with pytest.raises(ValueError, match=r"movie_frames = 9: 8 frames .*history = 9 bins; expected .* at least 10"):
        Network(movie_frames=9)


def test_broken_bytes_never_end_in_another_error(tmp_path, rng):
    """One region of a good file overwritten, 60 times: read as before, or refused with a message that names the file."""
    folder = write_raw(tmp_path / "raw", cells=cells_of(rng, trials=2, units=2))
    good = (folder / "data_monkey1_natural_movie.mat").read_bytes()
    broken, refusals = tmp_path / "broken.mat", 0
    for _ in range(60):
        start, length = rng.integers(len(good)), rng.integers(1, 64)
        broken.write_bytes(good[:start] + rng.bytes(length) + good[start + length :])
        try:
            reader.read_spike_times(broken)
        except ValueError as error:
            refusals += 1
            assert str(broken) in str(error)  # noqa: PT017
    assert refusals


def test_resize_of_a_constant_and_of_a_ramp():
    """A constant stays, and a linear ramp is sampled at the centres of the new pixels (away from the mirrored edge)."""
    row = np.arange(64.0)[:, None, None] + np.zeros((1, 64, 1))
    found = recorded.resize(row, 16)[:, :, 0]
    centres = (np.arange(16) + 0.5) * 4 - 0.5
    np.testing.assert_allclose(found[3:-3], centres[3:-3, None] + np.zeros((1, 16)), atol=1e-3)
    np.testing.assert_allclose(recorded.resize(np.full((40, 30, 2), 0.3), 13), 0.3)


def test_windows_end_with_the_frame_of_their_step():
    movie = np.arange(20.0)[:, None, None]
    windows = trials.movie_windows(movie, Network(movie_frames=12, history=4))
    np.testing.assert_array_equal(windows[:, :, 0, 0], [list(range(k - 11, k + 1)) for k in range(11, 20)])


# Network and losses


def small_model(hidden=2, n_recorded=3, pixels=7, **changes):
    model = SpikingNetwork(Network(hidden=hidden, filters=(2, 3), kernels=(3, 3), **changes), n_recorded, pixels)
    model.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.w_rec.mul_(3)
    return model


def uniform(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def gradients(model, run):
    """Gradients of a loss of voltages and spikes with fixed random weights."""
    ran = run()
    weight = [uniform(*ran.voltage.shape, seed=k) - 0.5 for k in (5, 6)]
    loss = (ran.voltage * weight[0]).sum() + (ran.spikes * weight[1]).sum()
    return ran, torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("surrogate", ["triangle", "sigmoid"])
@pytest.mark.parametrize("coupling", ["full", "self"])
@pytest.mark.parametrize("mode", ["free", "forced"])
def test_compiled_time_loop_is_the_plain_one(mode, coupling, surrogate, monkeypatch):
    model = small_model(surrogate=surrogate, coupling=coupling)
    movie, recorded = uniform(20, 10, 7, 7), uniform(4, 29, 3, seed=2) < 0.3
    draw = uniform(4, 20, 5, seed=3)

    def run():
        drive = model.drive(movie)
        return model.free(drive, draw) if mode == "free" else model.forced(drive, recorded, draw)

    ran, compiled = gradients(model, run)
    monkeypatch.setattr(recurrence, "run", recurrence.run_plain)
    monkeypatch.setattr(pooling, "run", pooling.run_plain)
    judge, plain = gradients(model, run)
    np.testing.assert_array_equal(ran.spikes.detach(), judge.spikes.detach())
    assert 0.05 < ran.spikes.mean() < 0.95
    torch.testing.assert_close(ran.voltage, judge.voltage, rtol=0, atol=1e-5)
    for one, other in zip(compiled, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_voltage_by_hand():
    """v_j(t) = sum_i sum_k w_rec[j, i, k] s_i(t - D + k) + drive_j, from the definition, recorded spikes fed back."""
    model = small_model(hidden=0)
    drive, recorded = uniform(12, 3), uniform(2, 21, 3, seed=2) < 0.4
    voltage = model.forced(drive, recorded).voltage.detach().numpy()
    weights, spikes = model.w_rec.detach().numpy(), recorded.numpy().astype(float)
    for b, t, j in np.ndindex(2, 12, 3):
        expected = drive[t, j] + sum(weights[j, i] @ spikes[b, t : t + 9, i] for i in range(3))
        assert voltage[b, t, j] == pytest.approx(float(expected), abs=1e-5)


def test_spikes_have_the_probability_that_is_said():
    model = small_model(hidden=0, coupling="none")
    drive = torch.linspace(-0.5, 1.5, 3).expand(50, 3).contiguous()
    ran = model.free(drive, uniform(400, 50, 3))._asdict()
    ran = Pass(**{name: tensor.detach() for name, tensor in ran.items()})
    expected = 1 / (1 + np.exp(-(np.linspace(-0.5, 1.5, 3) - 0.4) / 0.4))
    np.testing.assert_allclose(ran.probabilities[0, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(ran.spikes.mean((0, 1)), expected, atol=0.02)


@pytest.mark.parametrize("size", [5, 6, 13, 14])
@pytest.mark.parametrize(("side", "stride"), [(3, 2), (2, 2), (3, 1), (2, 1), (2, 3)])
def test_pooling_by_brute_force(size, side, stride):
    image = uniform(2, 3, size, size) - 0.5
    n_out = -(-size // stride)
    before = max((n_out - 1) * stride + side - size, 0) // 2
    expected = np.zeros((2, 3, n_out, n_out), dtype=np.float32)
    for f, c, y, x in np.ndindex(expected.shape):
        rows, columns = (slice(max(0, k * stride - before), k * stride - before + side) for k in (y, x))
        expected[f, c, y, x] = max(0.0, image[f, c, rows, columns].max())
    np.testing.assert_array_equal(pooling.run(image, side, stride), expected)
    np.testing.assert_array_equal(pooling.run_plain(image, side, stride), expected)


def test_size_of_the_front_end():
    assert SpikingNetwork(Network(), 69, 27).w_in.shape == (1568, 69)
    assert sum(p.numel() for p in SpikingNetwork(Network(), 69, 27).parameters()) == 184_086
    assert sum(p.numel() for p in SpikingNetwork(Network(), 12, 13).parameters()) == 40_428


def test_delayed_covariance_by_brute_force(rng):
    x, y = rng.random((2, 3, 7, 2))
    circular = losses.delayed_covariance(torch.from_numpy(x), torch.from_numpy(y), 4)
    inside = losses.delayed_covariance(torch.from_numpy(x), torch.from_numpy(y), 4, circular=False)
    for d, i, j in np.ndindex(4, 2, 2):
        pairs = [(b, t) for b in range(3) for t in range(7)]
        assert circular[d, i, j] == pytest.approx(np.mean([x[b, t, i] * y[b, (t - d) % 7, j] for b, t in pairs]))
        assert inside[d, i, j] == pytest.approx(np.mean([x[b, t, i] * y[b, t - d, j] for b, t in pairs if t >= d]))


def test_lag_consistent_estimator_is_unbiased_and_the_published_one_is_not():
    """Two cells, the second follows the first by one bin: the covariance of its spikes is known in closed form."""
    n_trials, n_steps, low, high = 10, 400, 0.1, 0.7
    generator = np.random.default_rng(0)
    first = generator.random((200, n_trials, n_steps)) < 0.5
    p_second = np.where(np.concatenate([np.zeros_like(first[..., :1]), first[..., :-1]], 2), high, low)
    p = torch.from_numpy(np.stack([np.full(first.shape, 0.5), p_second], 3))
    z = torch.from_numpy(np.stack([first, generator.random(first.shape) < p_second], 3).astype(float))
    true = (high - low) / 4  # cov(second(t), first(t - 1)) = (high - low) var(first)
    consistent = np.mean([losses.lag_consistent_covariance(p[k], z[k], 3)[1, 1, 0] for k in range(200)])
    published = np.mean([losses.published_covariance(p[k], None, 3)[1, 1, 0] for k in range(200)])
    assert consistent == pytest.approx(true, rel=0.01)
    assert abs(published) < 0.1 * true


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


def test_psth_loss_is_least_at_the_data():
    data = uniform(20, 3)
    entropy = -(data * data.log() + (1 - data) * (1 - data).log()).mean()
    assert losses.psth_cross_entropy(data, data) == pytest.approx(float(entropy))
    assert losses.psth_cross_entropy(data, data + 0.01) > entropy
    assert torch.isfinite(losses.psth_cross_entropy(data, torch.zeros_like(data)))
    assert losses.psth_mse(data, data + 0.1) == pytest.approx(0.01)


def test_likelihood_with_a_hidden_cell_summed_out():
    """Particles against the sum over all 2^4 spike trains of the hidden cell."""
    model = small_model(hidden=1, n_recorded=1)
    with torch.no_grad():
        model.w_rec.mul_(4)
    n_steps = 4
    drive, recorded = uniform(n_steps, 2), uniform(9 + n_steps, 1, seed=2) < 0.5
    likelihood = 0.0
    for code in range(2**n_steps):
        hidden = [code >> t & 1 for t in range(n_steps)]
        both = torch.cat([recorded.float(), torch.tensor([0.0] * 9 + hidden)[:, None]], 1)
        chance = 1.0
        for t in range(n_steps):
            v = drive[t] + torch.einsum("ki,jik->j", both[t : t + 9], model.couplings)
            p = torch.sigmoid((v - 0.4) / 0.4)
            chance *= float(torch.where(both[t + 9] > 0, p, 1 - p).prod().detach())
        likelihood += chance
    n_particles = 20_000
    found = particles.marginal_nll(model, drive, recorded, uniform(n_steps, n_particles, 1), uniform(n_steps, seed=3))
    assert found == pytest.approx(-np.log(likelihood) / n_steps, abs=2e-3)


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


def test_training_lowers_the_loss(recording):
    fitting = fitting_of(recording, Objective(), learning_rate=5e-3, evaluate_every=30)
    rows = [fitting.step(number) for number in range(30)]
    assert rows[-1]["validation"] < 0.9 * rows[0]["train"]


def test_free_runs_do_not_depend_on_the_chunk(monkeypatch):
    model = small_model()
    drive = uniform(15, 5)
    whole = simulation.free_runs(model, drive, 7, 0, ("x",), 4)
    monkeypatch.setattr(simulation, "CHUNK", 2)
    parts = simulation.free_runs(model, drive, 7, 0, ("x",), 4)
    np.testing.assert_array_equal(whole.spikes, parts.spikes)
    np.testing.assert_allclose(whole.probabilities, parts.probabilities, rtol=1e-6)


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
        past = sum(known.network.couplings[j, :, k] @ fired[trial, bin_ - 1 - k] for k in range(9))
        logit = known.network.drive[bin_, j] + known.network.bias[j] + past
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
