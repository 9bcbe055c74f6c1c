"""v1: constants, the stand-in's recipe, the front end, first weights and the course of a training against values here."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy import special
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from respike.v1 import agreement, fitting, losses, recurrence, simulation, trials, truth
from respike.v1.model import Pass, SpikingNetwork, uniforms
from respike.v1.params import Network, Objective, Preprocessing, Sampling, Standin, Training, Variant
from respike.v1.recorded import Recording
from respike.v1.stages import metrics
from tests.constants import check


def test_constants_of_the_published_program_and_of_the_stand_in():
    """Network, loss, Adam and splits as published; the stand-in with rates of 4 Hz and strong noise correlations."""
    check(
        Network(), hidden=0, movie_frames=10, history=9, filters=(16, 32), kernels=(7, 7), pools=(3, 3), strides=(2, 2),
        threshold=0.4, temperature=1, surrogate="triangle", dampening=0.3, coupling="full",
    )  # fmt: skip
    assert asdict(Objective()) == {
        "likelihood": 1, "psth": 0, "psth_mse": 0, "noise_correlation": 0, "single_trial": 0, "hidden_rate": 0.001,
        "target_rate": None, "nc_estimator": "published", "target_stats": "batch", "simulated_trials": 0, "nc_ramp": 0,
    }  # fmt: skip
    check(
        Training(), steps=2000, batch=20, learning_rate=0.001, clip=1, beta1=0.9, beta2=0.999, epsilon=1e-7, evaluate_every=10
    )
    check(Preprocessing(), pixels=27, bin_ms=40, last_frames=0, most_active=0, units=(), train=80, test=30, validation=10)
    check(Sampling(), trials=600, hidden_samples=20, particles=200)
    check(
        Standin(), pixels=13, frames=150, trials=120, visible=12, hidden=8, coupling_gain=1.6, hidden_gain=4,
        least_correlation=0.04, bin_ms=40,
    )  # fmt: skip
    check(truth, LAGS=9, DENSITY=0.3, DRIVE_GAIN=1.2, BIAS_MEAN=-2.8, BIAS_SPREAD=0.5, TAME=(0.01, 0.45), ATTEMPTS=300)
    check(losses, EDGE=1e-7)
    check(metrics, RUNAWAY=3)
    assert not Variant().hidden


class TestStandin:
    def test_movie(self):
        found, rng = truth.movie(np.random.default_rng(1), 8, 30), np.random.default_rng(1)
        noise = gaussian_filter(rng.standard_normal((8, 8, 30)), 1.5)
        z = (noise - noise.mean()) / noise.std()
        np.testing.assert_array_equal(found, np.round(255 / (1 + np.exp(-1.5 * z))))

    def test_receptive_field(self):
        """Filter times frame, a kernel over ten bins, half-rectified at a standard deviation of 1."""
        frames = np.random.default_rng(2).random((6, 6, 40))
        found, rng = truth.receptive_field(np.random.default_rng(3), frames), np.random.default_rng(3)
        centre = 0.5 + rng.uniform(-0.3, 0.3, 2)
        size, frequency = rng.uniform(0.08, 0.18), rng.uniform(2, 5)
        angle, phase = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
        weights = np.empty((6, 6))
        for row, column in np.ndindex(6, 6):
            y, x = (row + 0.5) / 6 - centre[0], (column + 0.5) / 6 - centre[1]
            along = x * math.cos(angle) + y * math.sin(angle)
            weights[row, column] = math.exp(-(x * x + y * y) / (2 * size**2)) * math.cos(
                2 * math.pi * frequency * along + phase
            )
        seen = [(weights * (frames[:, :, t] - frames.mean())).sum() for t in range(40)]
        response = [sum(math.exp(-k / 2) * math.cos(k / 2) * seen[t - k] for k in range(min(t + 1, 10))) for t in range(40)]
        half = np.maximum(np.array(response) / np.std(response), 0)
        np.testing.assert_allclose(found, half - half.mean(), rtol=1e-9, atol=1e-12)

    def test_network(self):
        """Drive 1.2 times the receptive fields, bias -2.8 +- 0.5; a third of the couplings, those of hidden cells stronger."""
        settings = Standin(visible=3, hidden=2, coupling_gain=1.3, hidden_gain=5.0)
        frames = np.random.default_rng(4).integers(0, 256, (5, 5, 30)).astype(np.uint8)
        found, rng = truth.network(np.random.default_rng(5), settings, frames), np.random.default_rng(5)
        fields = np.stack([truth.receptive_field(rng, frames / 255) for _ in range(5)], 1)
        np.testing.assert_allclose(found.drive, 1.2 * fields)
        np.testing.assert_allclose(found.bias, -2.8 + 0.5 * rng.standard_normal(5))
        strength = 1.3 / math.sqrt(0.3 * 5) * rng.standard_normal((5, 5))
        there, decay = rng.random((5, 5)) < 0.3, rng.uniform(1, 3, (5, 5))
        for post, pre, lag in np.ndindex(5, 5, 9):
            expected = strength[post, pre] * there[post, pre] * (5 if pre >= 3 else 1) * math.exp(-lag / decay[post, pre])
            if post == pre:
                expected = -2 * math.exp(-lag) + 0.5 * math.exp(-lag / 4)
            assert found.couplings[post, pre, lag] == pytest.approx(expected)
        assert (found.n_visible, found.spikes.shape) == (3, (0, 30, 5))

    @pytest.mark.parametrize(("rate", "spread", "taken"), [(0.02, 0.3, 0), (0.005, 0.3, 1), (0.46, 0.3, 1), (0.2, 0.1, 1)])
    def test_the_first_tame_network_is_taken(self, monkeypatch, rate, spread, taken):
        """Rates of all cells between 0.01 and 0.45, correlations of the visible cells of at least what is asked for."""
        attempts = iter([(rate, spread), (0.2, 0.3), (0.2, 0.3)])
        now = {}

        def sample(rng, drawn, n_trials):
            now["rate"], now["spread"] = next(attempts)
            raster = np.zeros((n_trials, 1000, 3), dtype=bool)
            raster[:, : round(1000 * now["rate"]), 0] = True
            raster[:, :200, 1:] = True
            return raster

        def correlation(spikes):
            assert spikes.shape[2] == 2
            return np.array([[1.0, now["spread"], 0.0], [0, 1.0, -now["spread"]], [0, 0, 1.0]]).T

        numbers = iter(range(9))
        made = truth.Truth(np.zeros((3, 3, 9)), np.zeros(3), np.zeros((1000, 3)), np.zeros((0, 1000, 3), bool), 2)
        monkeypatch.setattr(truth, "network", lambda *_: made._replace(bias=np.full(3, float(next(numbers)))))
        monkeypatch.setattr(truth, "sample", sample)
        monkeypatch.setattr(truth.statistics, "noise_correlation", correlation)
        found = truth.tame(0, Standin(visible=2, hidden=1, trials=2, least_correlation=0.2), None)
        assert found.bias[0] == taken


class TestModel:
    def small(self, **changes):
        model = SpikingNetwork(Network(filters=(2, 3), kernels=(3, 5), **changes), 4, 9)
        model.initialise(torch.Generator().manual_seed(0))
        return model

    def test_front_end_by_torch_in_the_usual_order(self):
        """Convolution, pooling in windows of 3 by steps of 2, ReLU; a feature is (row, column, filter)."""
        front, movie = self.small().front_end, torch.rand(11, 9, 9, generator=torch.Generator().manual_seed(1)) - 0.5
        x = torch.stack([movie[:10], movie[1:]])  # windows of ten frames
        with torch.no_grad():
            for layer, before in zip(front.layers, ((1, 1), (0, 1)), strict=True):
                y = functional.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)
                padded = functional.pad(y, (*before, *before), value=-torch.inf) if y.shape[-1] == 9 else functional.pad(
                    y, (1, 1, 1, 1), value=-torch.inf
                )  # fmt: skip
                side = math.ceil(y.shape[-1] / 2)
                x = torch.stack([
                    torch.stack([padded[..., 2 * r : 2 * r + 3, 2 * c : 2 * c + 3].amax((-2, -1)) for c in range(side)], -1)
                    for r in range(side)
                ], -2).relu()  # fmt: skip
            expected = torch.stack([x[:, f, r, c] for r in range(3) for c in range(3) for f in range(3)], 1)
            torch.testing.assert_close(front(movie), expected)
        assert front.n_features == 27

    def test_first_weights(self):
        """Kernels uniform in Glorot's range, the others normal with one over the root of the inputs, cut at two of these."""
        model = SpikingNetwork(Network(hidden=6), 30, 13)
        model.initialise(torch.Generator().manual_seed(0))
        for layer, n_in, n_out in zip(model.front_end.layers, (10, 16), (16, 32), strict=True):
            widest = math.sqrt(6 / (49 * (n_in + n_out)))
            assert 0.98 * widest < layer.weight.abs().max() <= widest
            assert not layer.bias.any()
        for weights, n_inputs in ((model.w_in, 512), (model.w_rec, 36 * 9)):
            spread = 1 / math.sqrt(n_inputs)
            assert 1.9 * spread < weights.max() <= 2 * spread
            assert -2 * spread <= weights.min() < -1.9 * spread
            assert float(weights.detach().std()) == pytest.approx(0.8796 * spread, rel=0.03)  # of a normal one, cut
        assert not model.bias.any()
        assert (model.w_in.shape, model.w_rec.shape) == ((512, 36), (36, 36, 9))

    def test_which_couplings_exist(self):
        ones = {name: self.small(coupling=name) for name in ("full", "self", "none")}
        for model in ones.values():
            torch.nn.init.ones_(model.w_rec)
        assert (ones["full"].couplings == 1).all()
        assert (ones["self"].couplings == torch.eye(4)[:, :, None]).all()
        assert not ones["none"].couplings.any()

    def test_the_compiled_loop_runs_on_the_cpu(self, monkeypatch):
        monkeypatch.setattr(recurrence, "run_plain", None)
        model = self.small(hidden=0)
        drive = torch.zeros(12, 4)
        model.free(drive, torch.full((1, 12, 4), 0.5))
        with pytest.raises(TypeError):
            model.free(drive.double(), torch.full((1, 12, 4), 0.5))

    def test_forced_cells_need_random_numbers_only_where_some_are_hidden(self):
        recorded = torch.zeros(1, 21, 4, dtype=torch.bool)
        assert not self.small().forced(torch.zeros(12, 4), recorded).spikes.any()
        with pytest.raises(ValueError, match="uniforms needed"):
            SpikingNetwork(Network(hidden=1, filters=(2,), kernels=(3,), pools=(3,), strides=(2,)), 4, 9).forced(
                torch.zeros(12, 5), recorded
            )


class TestLosses:
    @pytest.fixture
    def passes(self, rng):
        y = torch.from_numpy((rng.random((4, 11, 3)) < 0.3).astype(np.float32))
        logits = torch.from_numpy(rng.standard_normal((4, 11, 5)).astype(np.float32))
        spikes = torch.from_numpy((rng.random((4, 11, 5)) < 0.4).astype(np.float32))
        return y, Pass(logits, logits, spikes), Pass(logits, logits.flip(0) * 0.5, spikes.flip(1))

    def test_every_term_by_numpy(self, passes):
        y, forced, free = passes
        objective = Objective(
            likelihood=1, psth=1, psth_mse=1, noise_correlation=1, single_trial=1, hidden_rate=1, target_rate=0.25
        )
        found = losses.terms(objective, y, losses.Targets(y, objective, 3), forced, free)
        data, p = y.numpy().astype(float), special.expit(free.logits[..., :3].numpy().astype(float))

        def entropy(logits):
            q = special.expit(logits.numpy().astype(float))
            return -(data * np.log(q) + (1 - data) * np.log(1 - q)).mean()

        mean, q = data.mean(0), p.mean(0)
        noise = [x - x.mean(0) for x in (data, p)]
        of_data, of_model = (
            np.array(
                [[[(x[:, :, i] * np.roll(x[:, :, j], d, 1)).mean() for j in range(3)] for i in range(3)] for d in range(3)]
            )
            for x in noise
        )
        expected = {
            "likelihood": entropy(forced.logits[..., :3]),
            "psth": -(mean * np.log(q) + (1 - mean) * np.log(1 - q)).mean(),
            "psth_mse": ((mean - q) ** 2).mean(),
            "noise_correlation": ((of_data - of_model) ** 2).mean(),
            "single_trial": entropy(free.logits[..., :3]),
            "hidden_rate": ((free.spikes[..., 3:].numpy().mean((0, 1)) - 0.25) ** 2).mean(),
        }
        assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, rel=1e-4)

    def test_a_term_without_weight_is_left_out_and_hidden_cells_count_in_the_forced_run(self, passes):
        y, forced, _ = passes
        found = losses.terms(Objective(), y, losses.Targets(y, Objective(), 3), forced, None)
        assert list(found) == ["likelihood", "hidden_rate"]
        expected = ((forced.spikes[..., 3:].mean((0, 1)) - y.mean()) ** 2).mean()
        assert float(found["hidden_rate"]) == pytest.approx(float(expected))
        assert not losses.terms(Objective(hidden_rate=0), y, losses.Targets(y, Objective(), 3), forced, None).keys() - {
            "likelihood"
        }
        only = losses.terms(Objective(likelihood=0, psth=1), y, losses.Targets(y, Objective(), 3), None, forced)
        assert list(only) == ["psth", "hidden_rate"]

    def test_total_by_hand(self):
        objective = Objective(likelihood=0.5, noise_correlation=10, hidden_rate=2)
        values = {"likelihood": torch.tensor(4.0), "noise_correlation": torch.tensor(0.1), "hidden_rate": torch.tensor(3.0)}
        assert float(losses.total(objective, values)) == pytest.approx(2 + 1 + 6)
        assert float(losses.total(objective, values, 0.25)) == pytest.approx(2 + 0.25 + 6)


class TestTraining:
    @pytest.fixture
    def fit(self, rng):
        split = np.repeat(["train", "test", "validation"], [7, 2, 2])
        record = Recording(rng.random((24, 5, 5)), rng.random((11, 24, 3)) < 0.3, split, np.arange(3), 40.0, 0, 0, "noise")

        def made(**changes):
            network = Network(filters=(2,), kernels=(3,), pools=(3,), strides=(2,), movie_frames=4, history=3)
            settings = Training(**{"steps": 7, "batch": 3, "evaluate_every": 3, **changes})
            return fitting.Fitting(record, network, Variant(), settings, (1, 0), torch.device("cpu"))

        return made

    def test_when_validation_is_due(self, fit):
        fitted = fit()
        seen = [not math.isnan(fitted.step(number)["validation"]) for number in range(7)]
        assert seen == [False, False, True, False, False, True, True]

    def test_batches_are_disjoint_within_an_epoch(self, fit):
        fitted = fit()
        batches = [fitted.batch(number) for number in range(4)]
        assert [len(batch) for batch in batches] == [3] * 4
        assert not set(batches[0]) & set(batches[1])
        assert not set(batches[2]) & set(batches[3])
        assert set().union(*batches) <= set(range(7))

    def test_first_step_of_the_optimiser(self, fit):
        """Adam's first step goes by the learning rate along the sign of each gradient that is not small."""
        fitted = fit(learning_rate=0.01, beta1=0.8, beta2=0.9)
        before = fitted.model.bias.detach().clone()
        fitted.step(0)
        moved = (fitted.model.bias.detach() - before).abs()
        np.testing.assert_allclose(moved, 0.01, rtol=1e-3)
        assert (fitted.settings.clip, fitted.objective.likelihood) == (1, 1)

    def test_batches_of_all_or_one(self, fit):
        assert sorted(fit(batch=7).batch(0)) == list(range(7))
        for batch in (0, 8):
            with pytest.raises(ValueError, match=f"v1.training.batch = {batch}: expected 1 to the 7 training trials"):
                fit(batch=batch)


def test_windows_history_and_targets_of_a_short_movie():
    """Movie of 12 frames, windows of 4, history of 5 bins: the first step is bin 5."""
    network = Network(movie_frames=6, history=5)
    movie, spikes = np.arange(12.0)[:, None, None] * np.ones((12, 2, 2)), np.random.default_rng(0).random((2, 12, 3)) < 0.4
    cut = trials.cut(movie, spikes, network)
    assert network.first_step == 5
    np.testing.assert_array_equal(cut.movie, movie)
    np.testing.assert_array_equal(cut.recorded, spikes)
    np.testing.assert_array_equal(cut.y, spikes[:, 5:])
    with pytest.raises(ValueError, match="the movie has 10 frames; .* need more than 10"):
        trials.cut(movie[:10], spikes[:, :10], network)
    trials.cut(movie[:11], spikes[:, :11], network)
    assert Network(movie_frames=10, history=2).first_step == 9


def test_uniform_numbers_of_a_stream():
    assert uniforms(0, ("a", 1), 3, 2).shape == (3, 2)
    assert not torch.equal(uniforms(0, ("a", 1), 3), uniforms(0, ("a", 2), 3))
    assert not torch.equal(uniforms(0, ("a", 1), 3), uniforms(1, ("a", 1), 3))


def test_probabilities_are_kept_of_the_first_runs_only(monkeypatch):
    """Of 7 runs in chunks of 3 the first 4, each the same as alone."""
    monkeypatch.setattr(simulation, "CHUNK", 3)
    model = SpikingNetwork(Network(filters=(2,), kernels=(3,), pools=(3,), strides=(2,)), 2, 5)
    model.initialise(torch.Generator().manual_seed(0))
    spikes, probabilities = simulation.free_runs(model, torch.ones(15, 2), 7, 0, ("x",), 4)
    assert (spikes.shape, probabilities.shape) == ((7, 15, 2), (4, 15, 2))
    for number in range(7):
        alone = model.free(torch.ones(15, 2), uniforms(0, ("x", number), 15, 2)[None])
        np.testing.assert_array_equal(spikes[number], alone.spikes[0].detach() > 0)
        if number < 4:
            np.testing.assert_allclose(probabilities[number], alone.probabilities[0].detach(), rtol=1e-5)


def test_agreement_by_hand():
    assert agreement.bits_per_spike(0.3, 0.5, 0.1) == pytest.approx(2 / math.log(2))
    true = np.array([[9.0, 1.0, 2.0], [3.0, 9.0, 5.0], [4.0, 7.0, 9.0]])
    off = [1, 2, 3, 5, 4, 7]
    other = true * 2 + np.diag([5.0, -40.0, 3.0])
    other[0, 1] = 0.0
    assert agreement.coupling_r(other, true) == pytest.approx(np.corrcoef(off, [0, 4, 6, 10, 8, 14])[0, 1])
    data = np.zeros((2, 4, 2), bool)
    data[:, 1, 0] = True
    np.testing.assert_allclose(agreement.psth_r(data, data), [1, 0])
    np.testing.assert_allclose(agreement.spike_probability(data, (0, 1)), [0.25, 0.0625])
