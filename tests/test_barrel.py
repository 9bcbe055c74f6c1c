"""The anatomy and the network of barrel: closed forms, brute force, and other ways of computing the same."""

import typing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from respike.barrel import anatomy, kernel, learning, model, params, responses
from respike.core import training
from respike.core.cells import spike
from tests.barrel_small import SMALL, network, samples

FORMS = typing.get_args(params.Form)

# anatomy


def test_expected_synapses_of_the_column():
    column = anatomy.load()
    expected = column.probability * np.outer(column.sizes, column.sizes)
    assert column.sizes[1:].sum() == 4218
    excitatory = np.where(column.excitatory)[0]
    assert expected[:, 0].sum() == pytest.approx(26610, abs=1)
    assert expected[:, excitatory[1:]].sum() == pytest.approx(1024322, abs=3)
    assert expected[:, ~column.excitatory].sum() == pytest.approx(219146, abs=3)
    assert (column.probability > 0).sum() == 33 + 80 + 11


def test_sampled_synapses_at_full_size():
    column, synapses = anatomy.column(1, "anatomical", 0)
    assert synapses.sum() == pytest.approx(1.27e6, rel=3e-3)
    to, origin = np.nonzero(synapses)
    n, population = len(column.sizes), column.population
    counts = np.bincount(population[to] * n + population[origin], minlength=n * n).reshape(n, n)
    pairs, p = np.outer(column.sizes, column.sizes), column.probability
    assert (np.abs(counts - pairs * p) <= 5 * np.sqrt(pairs * p * (1 - p))).all()


def test_other_wirings():
    column = anatomy.load()
    rng = np.random.default_rng(0)
    pairs = np.outer(column.sizes, column.sizes)[1:]
    fixed = anatomy.rewired(column, "fixed", rng).probability[1:]
    assert (fixed * pairs).sum() == pytest.approx((column.probability[1:] * pairs).sum())
    assert np.unique(fixed).size == 1
    mixed = anatomy.rewired(column, "random", rng).probability[1:]
    assert sorted(mixed[:, 1:].ravel()) == sorted(column.probability[1:, 1:].ravel())
    assert (anatomy.rewired(column, "full", rng).probability[1:] == 1).all()


def test_the_table_of_the_anatomy_is_whole():
    table = pd.read_csv(anatomy.TABLE, comment="#")
    assert list(table.columns) == ["population", "layer", "kind", "size", *table["population"][1:]]
    assert set(table["kind"]) == {"E", "I"}
    assert table["size"].min() >= 1
    assert table[table["population"][1:]].stack().between(0, 1).all()


# the network


def loss_and_gradients(built, x, state, how, monkeypatch):
    built.zero_grad()
    with monkeypatch.context() as patch:
        if how.startswith("plain"):
            patch.setattr(kernel, "advance", model.advance_plain)
        output = built(x, state, 5 if how.endswith("checkpointed") else 0)
    value = (output.votes * torch.arange(3)).sum()
    value.backward()
    return output, {name: parameter.grad.clone() for name, parameter in built.named_parameters()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["compiled", "compiled, checkpointed", "plain, checkpointed"])
def test_compiled_and_plain_steps_agree(rng, monkeypatch, form, how):
    built = network(form)
    with torch.no_grad():
        built.tau_membrane.uniform_(3, 20, generator=torch.Generator().manual_seed(0))
        built.tau_adaptation.uniform_(2, 9, generator=torch.Generator().manual_seed(1))
    some = samples(rng, 5, form)
    x, state = some.inputs(0)[:, :18], built.initial_state(0, [3, 1, 4, 15, 9])
    output, gradients = loss_and_gradients(built, x, state, how, monkeypatch)
    wanted, by_autograd = loss_and_gradients(built, x, state, "plain", monkeypatch)
    assert torch.equal(output.spikes, wanted.spikes)
    assert 0.01 < output.spikes.float().mean() < 0.9
    torch.testing.assert_close(output.votes, wanted.votes, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients.items():
        assert (gradient - by_autograd[name]).abs().max() <= 1e-4 * by_autograd[name].abs().max(), name


@pytest.mark.parametrize("form", FORMS)
def test_adam_magnifies_the_rounding_of_gradients_near_zero_and_nothing_else(rng, monkeypatch, form):
    """Two ways to the same gradients, one first update by each: the weights differ by what Adam makes of the rounding."""
    built, some = network(form), samples(rng, 4, form)
    x, state = some.inputs(0), built.initial_state(0, [0, 1, 2, 3])
    before, rate = built.weight.detach().clone(), 0.008
    gradients, updates = [], []
    for how in ("compiled", "plain"):
        _, found = loss_and_gradients(built, x, state, how, monkeypatch)
        training.Adam([built.weight], rate).step()
        gradients.append(found["weight"].double())
        updates.append((built.weight.detach() - before).double())
        with torch.no_grad():
            built.weight.copy_(before)
    for gradient, update in zip(gradients, updates, strict=True):
        torch.testing.assert_close(update, -rate * gradient / (gradient.abs() + 1e-8), atol=2e-7, rtol=0)
    rounding, difference = (gradients[0] - gradients[1]).abs(), (updates[0] - updates[1]).abs()
    assert rounding.max() <= 1e-6 * gradients[0].abs().max()
    assert difference[gradients[0].abs() > 1e4 * rounding.max()].max() < 1e-6
    assert difference.max() <= 2e-7 + rate / 1e-8 * rounding.max()


def test_update_order_of_the_populations():
    """A cell sees the new spikes of earlier populations and the old ones of its own and later populations."""
    column = anatomy.load()
    column = replace(column, sizes=np.concatenate([[200], np.ones(13, dtype=int)]))
    first, second, later = 200, 201, 204  # Pyr_SP, Pyr_SS, Pyr: all excitatory
    synapses = np.zeros((213, 213), dtype=bool)
    synapses[second, first] = synapses[first, later] = True
    built = model.BarrelNetwork(column, synapses, "spiking", params.Network(baseline=0.0), 0)
    with torch.no_grad():
        built.weight.fill_(1)
        built.tau_membrane.fill_(1e-3)  # alpha 0: v is the current
        built.tau_adaptation.fill_(1e6)  # no adaptation
    v, b, s = (torch.zeros(213, 1) for _ in range(3))
    s[later] = 1
    with torch.no_grad():
        fired = built(torch.zeros(1, 2, 186), (v, b, s)).spikes[:, :, 0]
    assert fired[0, first] == 1, "sees the old spike of a later population"
    assert fired[0, second] == 1, "sees the new spike of an earlier population"
    assert fired[0, later] == 0, "gets no input"
    assert fired[1, first] == 0, "the later population was silent in the step before"


@pytest.mark.parametrize("how", ["compiled", "compiled, checkpointed", "plain"])
def test_the_first_step_has_no_vote(rng, monkeypatch, how):
    """Votes are the probabilities of steps 1 to the last, by hand from the logits of all steps."""
    some, built = samples(rng, 2), network()
    x = some.inputs(0)[:, :12]
    output, _ = loss_and_gradients(built, x, built.initial_state(0, [0, 1]), how, monkeypatch)
    logits = output.logits.detach().double().numpy()
    share = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    assert logits.shape == (2, 12, 3)
    assert np.abs(share[:, 0] - 1 / 3).max() > 0.01, "a vote of the first step would be seen"
    np.testing.assert_allclose(output.votes.detach(), share[:, 1:].sum(1), rtol=1e-5)
    np.testing.assert_allclose(output.votes.detach().sum(1), 11, rtol=1e-5)


def test_the_state_of_a_trial_does_not_depend_on_its_batch():
    built = network(settings=replace(SMALL, baseline=0.1))
    (v, b, s), (v_alone, _, s_alone) = built.initial_state(0, [5, 8, 2]), built.initial_state(0, [8])
    assert torch.equal(v[:, 1], v_alone[:, 0])
    assert torch.equal(s[:, 1], s_alone[:, 0])
    assert (b == 0.1).all()


def test_spikes_of_a_trial_do_not_depend_on_its_batch_to_the_bit(rng):
    """33 trials, one more than a vector over trials holds: the last one stands among filled-up ones."""
    some, built = samples(rng, 33), network()
    spikes = learning.play(built, some, 0).spikes
    assert spikes.shape[2] == 33
    assert spikes[..., 32].any()
    for trials in (slice(32, 33), slice(20, 33)):
        assert torch.equal(learning.play(built, some.part(trials), 0).spikes, spikes[..., trials])


def test_accuracy_does_not_depend_on_the_batch(rng):
    built, some = network(), samples(rng)
    votes = [learning.play(built, some, 0, batch).votes for batch in (9, 4, 1)]
    torch.testing.assert_close(votes[0], votes[1])
    torch.testing.assert_close(votes[0], votes[2])


def test_untrained_cells_fire_92_spikes_under_constant_current():
    taus = torch.full((4,), params.TAU_MEMBRANE), torch.full((4,), params.TAU_ADAPTATION)
    assert responses.driven_rate(*taus) == pytest.approx(92 / 550)


def test_spike_is_strict_and_its_derivative_half_a_gaussian():
    x = torch.tensor([-1.0, 0.0, 0.5], requires_grad=True)
    spikes = spike(x, kernel.surrogate)
    assert spikes.tolist() == [0, 0, 1]
    spikes.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 0.5 * stats.norm.pdf([-1, 0, 0.5], scale=0.5), rtol=1e-6)


def test_no_adaptation_when_switched_off(rng):
    some = samples(rng, 3)
    x = some.inputs(0)
    rates = []
    for adaptation in (0.0, 1.8):
        built = network(settings=replace(SMALL, adaptation=adaptation))
        with torch.no_grad():
            rates.append(built(x, built.initial_state(0, [0, 1, 2])).spikes.float().mean())
    assert rates[0] > rates[1]


@pytest.mark.slow
def test_the_whole_column_trains(rng):
    """One update at full size, batch 8 and 110 steps: finite, and synapses and time constants move."""
    some = replace(samples(rng, 8), encoding=params.Encoding(frame_stride=5, repeats=5))
    built = network(settings=params.Network())
    before = training.weights_of(built)
    trainer = learning.Trainer(built, params.Training(batch=8, checkpoint_steps=55), 0, (some, some.part([]), some))
    row = trainer.epoch(0)
    assert np.isfinite(row["loss"])
    after = built.state_dict()
    assert (after["weight"] != before["weight"]).float().mean() > 0.5
    assert (after["tau_membrane"] != before["tau_membrane"]).float().mean() > 0.5
