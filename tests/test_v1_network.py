"""Sample-and-measure: network, losses, particle filter and the stand-in's generator, each against a judge of its own."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from respike.v1 import losses, particles, recurrence, simulation, trials, truth
from respike.v1 import model as model_module
from respike.v1.fourier import Convolution
from respike.v1.model import FrontEnd, Pass, SpikingNetwork, pool
from respike.v1.params import Network, Standin


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
    movie, recorded = uniform(29, 7, 7), uniform(4, 29, 3, seed=2) < 0.3
    draw = uniform(4, 20, 5, seed=3)

    def run():
        drive = model.drive(movie)
        return model.free(drive, draw) if mode == "free" else model.forced(drive, recorded, draw)

    ran, compiled = gradients(model, run)
    monkeypatch.setattr(recurrence, "run", recurrence.run_plain)
    judge, plain = gradients(model, run)
    np.testing.assert_array_equal(ran.spikes.detach(), judge.spikes.detach())
    assert 0.05 < ran.spikes.mean() < 0.95
    torch.testing.assert_close(ran.voltage, judge.voltage, rtol=0, atol=1e-5)
    for one, other in zip(compiled, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.4, 2.0])
def test_slope_of_the_surrogate_in_closed_form(threshold):
    """d spike / d voltage, not d spike / d u: the triangle is 1 / threshold as high and reaches from 0 to 2 thresholds."""
    voltage = threshold * torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.5, 2.0, 2.1], dtype=torch.float64)
    triangle = recurrence.Surrogate("triangle", threshold, 0.3, 2.5).slope(voltage)
    np.testing.assert_allclose(triangle, np.array([0, 0, 0.5, 1, 0.5, 0, 0]) * 0.3 / threshold, atol=1e-12)
    voltage.requires_grad_(True)
    torch.sigmoid(2.5 * (voltage - threshold) / threshold).sum().backward()
    sigmoid = recurrence.Surrogate("sigmoid", threshold, 0.3, 2.5).slope(voltage.detach())
    np.testing.assert_allclose(sigmoid, voltage.grad, rtol=1e-12)
    assert float(sigmoid[3]) == pytest.approx(2.5 / (4 * threshold))


@pytest.mark.parametrize("plain", [False, True])
def test_gradient_through_a_spike_in_closed_form(plain):
    """Cell 0, at 1.2 thresholds, drives cell 1 two bins later: d v_1(2) / d drive_0(0) = w d spike / d voltage."""
    weights = torch.zeros(2, 3, 2)
    weights[0, 1, 1] = 0.7  # pre, lag 2, post
    drive = torch.zeros(4, 2)
    drive[0, 0] = 0.48
    drive.requires_grad_(True)
    run = recurrence.run_plain if plain else recurrence.run
    nobody, level = torch.zeros(1, 7, 0, dtype=torch.bool), torch.full((1, 4, 2), 0.4)
    voltage, spikes = run(drive, weights, level, nobody, recurrence.Surrogate("triangle", 0.4, 0.3, 1.0))
    assert spikes[0].nonzero().tolist() == [[0, 0], [2, 1]]
    voltage[0, 2, 1].backward()
    expected = torch.zeros(4, 2)
    expected[2, 1], expected[0, 0] = 1, 0.7 * 0.3 * 0.8 / 0.4
    torch.testing.assert_close(drive.grad, expected)


def test_voltage_by_hand():
    """v_j(t) = sum_i sum_k w_rec[j, i, k] s_i(t - D + k) + drive_j, from the definition, recorded spikes fed back."""
    model = small_model(hidden=0)
    drive, recorded = uniform(12, 3), uniform(2, 21, 3, seed=2) < 0.4
    voltage = model.forced(drive, recorded).voltage.detach().numpy()
    weights, spikes = model.w_rec.detach().numpy(), recorded.numpy().astype(float)
    for b, t, j in np.ndindex(2, 12, 3):
        expected = drive[t, j] + sum(weights[j, i] @ spikes[b, t : t + 9, i] for i in range(3))
        assert voltage[b, t, j] == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_spikes_have_the_probability_that_is_said(temperature):
    model = small_model(hidden=0, coupling="none", temperature=temperature)
    drive = torch.linspace(-0.5, 1.5, 3).expand(50, 3).contiguous()
    ran = model.free(drive, uniform(400, 50, 3))._asdict()
    ran = Pass(**{name: tensor.detach() for name, tensor in ran.items()})
    expected = 1 / (1 + np.exp(-temperature * (np.linspace(-0.5, 1.5, 3) - 0.4) / 0.4))
    np.testing.assert_allclose(ran.probabilities[0, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(ran.spikes.mean((0, 1)), expected, atol=0.02)


def test_free_runs_do_not_depend_on_the_chunk(monkeypatch):
    model = small_model()
    drive = uniform(15, 5)
    whole = simulation.free_runs(model, drive, 7, 0, ("x",), 4)
    monkeypatch.setattr(simulation, "CHUNK", 2)
    parts = simulation.free_runs(model, drive, 7, 0, ("x",), 4)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-6)


@pytest.mark.parametrize("size", [5, 6, 13, 14])
@pytest.mark.parametrize(("side", "stride"), [(3, 2), (2, 2), (4, 2), (5, 3), (3, 1), (2, 1), (4, 1), (2, 3)])
def test_pooling_by_brute_force(size, side, stride):
    image = uniform(size, size, 2, 3) - 0.5  # row, column, channel, step
    n_out = -(-size // stride)
    before = max((n_out - 1) * stride + side - size, 0) // 2
    expected = np.zeros((n_out, n_out, 2, 3), dtype=np.float32)
    for y, x in np.ndindex(n_out, n_out):
        rows, columns = (slice(max(0, k * stride - before), k * stride - before + side) for k in (y, x))
        expected[y, x] = image[rows, columns].numpy().max((0, 1))
    np.testing.assert_array_equal(pool(image, side, stride), expected)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # even kernels
@pytest.mark.parametrize("side", [1, 2, 3, 7, 8, 12])
@pytest.mark.parametrize("pixels", [1, 6, 7, 13])
def test_convolution_by_fourier_transforms_is_that_of_torch(pixels, side):
    """Values, and gradients for images and weights; torch's in double precision."""
    torch.manual_seed(0)
    layer, images, weight = (
        Convolution(pixels, 3, 2, side),
        uniform(pixels, pixels, 3, 5),
        uniform(pixels, pixels, 2, 5, seed=2),
    )
    images.requires_grad_(True)
    found = layer.images(layer.kernels() @ layer.spectra(images))
    found = (found, *torch.autograd.grad((found * weight).sum(), [images, layer.weight]))
    u, w = images.detach().double().requires_grad_(True), layer.weight.detach().double().requires_grad_(True)
    judge = functional.conv2d(u.permute(3, 2, 0, 1), w, padding="same").permute(2, 3, 1, 0)
    judge = (judge, *torch.autograd.grad((judge * weight).sum(), [u, w]))
    for one, other in zip(found, judge, strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=0, atol=2e-6 * float(other.detach().abs().max()))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("pixels", "kernels", "pools", "strides"), [(9, (7, 7), (3, 3), (2, 2)), (8, (4, 3), (2, 4), (1, 3))])
def test_front_end_is_that_of_plain_torch(pixels, kernels, pools, strides, monkeypatch):
    """Convolutions, pooling and ReLU of the windows one by one, with torch's layers in double precision and its gradient."""
    monkeypatch.setattr(model_module, "CHUNK", 8)  # 20 steps: two whole chunks and a half
    network = Network(filters=(3, 4), kernels=kernels, pools=pools, strides=strides)
    front_end, movie = FrontEnd(network, pixels), uniform(29, pixels, pixels)
    with torch.no_grad():
        for number, parameter in enumerate(front_end.parameters()):
            parameter.copy_(uniform(*parameter.shape, seed=number) - 0.5)
    found = front_end(movie)
    assert found.shape == (20, front_end.n_features)
    weight = uniform(*found.shape, seed=9)
    twins = [parameter.detach().double().requires_grad_(True) for parameter in front_end.parameters()]
    x = torch.stack([movie[step : step + 10] for step in range(20)]).double()
    for k, (side, stride) in enumerate(zip(pools, strides, strict=True)):
        x = functional.conv2d(x, *twins[2 * k : 2 * k + 2], padding="same").relu()
        full = max((-(-x.shape[3] // stride) - 1) * stride + side - x.shape[3], 0)
        x = functional.max_pool2d(functional.pad(x, (full // 2, full - full // 2) * 2), side, stride)  # zeros hide nothing now
    judge = x.permute(0, 2, 3, 1).flatten(1)
    found = (found, *torch.autograd.grad((found * weight).sum(), list(front_end.parameters())))
    judge = (judge, *torch.autograd.grad((judge * weight).sum(), twins))
    for one, other in zip(found, judge, strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), rtol=0, atol=2e-6 * float(other.detach().abs().max()))


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


def test_psth_loss_is_least_at_the_data():
    data = uniform(20, 3)
    entropy = -(data * data.log() + (1 - data) * (1 - data).log()).mean()
    assert losses.psth_cross_entropy(data, data) == pytest.approx(float(entropy))
    assert losses.psth_cross_entropy(data, data + 0.01) > entropy
    for never, always in (
        (data * 0, data * 0 + 1),
        (data * 0 + 1, data * 0),
    ):  # as wrong as can be: 16 nats, not infinitely many
        assert losses.psth_cross_entropy(never, always) == pytest.approx(-np.log(1e-7), rel=0.02)
        assert losses.psth_cross_entropy(never, never) == pytest.approx(0, abs=1e-6)
    assert losses.squared_distance(data, data + 0.1) == pytest.approx(0.01)


# Hidden cells


def hidden_chain():
    """A recorded and a hidden cell: the hidden one holds its state for long, and the recorded one tells it.

    Where the particles come from matters here: those that guessed wrong stay wrong unless they are replaced.
    """
    model = small_model(hidden=1, n_recorded=1)
    with torch.no_grad():
        model.w_rec.zero_()
        model.w_rec[1, 1, -1] = 2.4  # hidden on hidden, lag 1: six logits
        model.w_rec[0, 1, -2:] = torch.tensor([0.8, 2.0])  # hidden on recorded, lags 2 and 1
        model.w_rec[0, 0, -1] = -0.8
        model.w_rec[1, 0, -3] = 0.4
    drive = torch.tensor([-0.6, -0.6]).expand(12, 2).clone()  # 0.08 per bin for a cell on its own
    recorded = torch.zeros(9 + 12, 1, dtype=torch.bool)
    recorded[[8, 12, 13, 14, 16, 17, 18, 20]] = True
    return model, drive, recorded


def every_hidden_train(model, drive, recorded):
    """Probabilities [train, step, cell] under each of the 2^T spike trains of the hidden cell, and these trains, by numpy."""
    n_steps = len(drive)
    hidden = np.arange(2**n_steps)[:, None] >> np.arange(n_steps) & 1
    visible = np.broadcast_to(recorded[:, 0].numpy(), (len(hidden), 9 + n_steps))
    both = np.stack([visible, np.pad(hidden, ((0, 0), (9, 0)))], 2).astype(float)
    weights = model.w_rec.detach().numpy().astype(float)
    voltage = np.stack([np.einsum("jik,bki->bj", weights, both[:, t : t + 9]) for t in range(n_steps)], 1) + drive.numpy()
    return 1 / (1 + np.exp(-(voltage - 0.4) / 0.4)), both[:, 9:]


def test_likelihood_with_the_hidden_cell_summed_out():
    """The particle filter against the sum over all 4096 spike trains of the hidden cell."""
    model, drive, recorded = hidden_chain()
    p, spikes = every_hidden_train(model, drive, recorded)
    likelihood = np.where(spikes > 0, p, 1 - p).prod((1, 2)).sum()
    draws = uniform(12, 20_000, 1), uniform(12, seed=3)
    found = particles.marginal_nll(model, drive, recorded, *draws)
    assert found == pytest.approx(-np.log(likelihood) / 12, abs=2e-3)


@torch.no_grad()
def test_likelihood_by_probabilities_averaged_over_the_hidden_cell():
    """As above, but each bin on its own: its probability is the mean over what the hidden cell does unobserved."""
    model, drive, recorded = hidden_chain()
    p, spikes = every_hidden_train(model, drive, recorded)
    chance = np.where(spikes[:, :, 1] > 0, p[:, :, 1], 1 - p[:, :, 1]).prod(1)  # of each train of the hidden cell
    assert chance.sum() == pytest.approx(1)
    mean = (chance[:, None] * p[:, :, 0]).sum(0)
    expected = -np.log(np.where(spikes[0, :, 0] > 0, mean, 1 - mean)).mean()
    one = trials.Trials(torch.empty(0), recorded[None], recorded[None, 9:].float())
    assert simulation.averaged_nll(model, drive, one, 20_000, 0, ("x",)) == pytest.approx(expected, abs=5e-3)


def test_systematic_resampling_by_hand():
    weights = torch.tensor([0.1, 0.0, 0.55, 0.35])
    assert particles.systematic(weights, torch.tensor(0.2)).tolist() == [0, 2, 2, 3]  # points 0.05, 0.3, 0.55, 0.8
    assert particles.systematic(weights, torch.tensor(0.9)).tolist() == [2, 2, 3, 3]  # points 0.225, 0.475, 0.725, 0.975
    offsets = (torch.arange(1000) + 0.5) / 1000
    counts = torch.stack([torch.bincount(particles.systematic(weights, offset), minlength=4) for offset in offsets])
    np.testing.assert_allclose(counts.float().mean(0) / 4, weights, atol=1e-3)
    assert ((counts == (4 * weights).floor()) | (counts == (4 * weights).ceil())).all()


# The network behind the stand-in


def chain(n_steps=8):
    """Cell 0 fires in its first bin and drives cell 1 three bins later, which drives cell 2 one bin later; else silence."""
    couplings = np.zeros((3, 3, truth.LAGS))
    couplings[1, 0, 2], couplings[2, 1, 0] = 80, 80
    drive = np.zeros((n_steps, 3))
    drive[0, 0] = 80
    return truth.Truth(couplings, np.full(3, -40.0), drive, np.zeros((0, n_steps, 3), dtype=bool), 3)


def test_spikes_of_the_generator_follow_their_lags(rng):
    spikes = truth.sample(rng, chain(), 5)
    assert np.argwhere(spikes[0]).tolist() == [[0, 0], [3, 1], [4, 2]]
    assert (spikes == spikes[0]).all()
    np.testing.assert_allclose(truth.logits(chain()._replace(spikes=spikes)), 80.0 * spikes - 40)


def test_spikes_of_the_generator_have_their_probability(rng):
    """Against the log odds of `logits`: frequencies where these are alike, and no trace left of any earlier spike."""
    standin = Standin(pixels=7, frames=60, visible=4, hidden=2, coupling_gain=2.0)
    network = truth.network(rng, standin, truth.movie(rng, 7, 60))
    spikes = truth.sample(rng, network, 800)
    p = 1 / (1 + np.exp(-truth.logits(network._replace(spikes=spikes))))
    for low, high in ((0.0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        inside = (low <= p) & (p < high)
        error = np.sqrt(np.sum(p[inside] * (1 - p[inside]))) / inside.sum()
        assert inside.sum() > 500
        assert abs(spikes[inside].mean() - p[inside].mean()) < 4 * error
    for lag in range(1, 12):
        left = np.einsum("bti,btj->ij", (spikes - p)[:, lag:], spikes[:, :-lag].astype(float))
        error = np.sqrt(np.einsum("bti,btj->ij", (p * (1 - p))[:, lag:], spikes[:, :-lag].astype(float)))
        assert (np.abs(left) < 4.5 * error).all()
