"""rate2lif: the compiled LIF network against its equations written plainly, and against closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from respike.rate2lif import conversion, lif, model
from respike.rate2lif.network import Network
from respike.rate2lif.params import Lif, Training
from respike.rate2lif.tasks import TASKS, Trials
from tests.rate2lif_small import plain_lif, untrained


@pytest.mark.parametrize(
    "options",
    [
        Lif(),
        Lif(rise=0.0),
        Lif(refractory=0.0),
        Lif(downsample=2),
        Lif(initial_weights=True),
        Lif(neuron="qif", threshold=30.0, bias=0.0),
        Lif(stimulate="inh", stimulated_cells=(0, 5), stimulus_begin=0.01, stimulus_end=0.05),
        Lif(stimulate="exc", stimulated_cells=(0, 5), stimulus_begin=0.01, stimulus_end=0.05),
    ],
    ids=["standard", "single filter", "no refractory", "downsampled", "initial weights", "qif", "held down", "driven"],
)
def test_compiled_lif_equals_the_plain_equations(options, rng):
    small = untrained(rng)
    network = replace(small, w=1.5 * small.w, w_out=small.w_out * 100)
    columns = (20 * rng.random((21, 1))) @ network.w_in.T
    start, noise, coins = rng.random(12), rng.standard_normal((2000, 12)), rng.random(2000)
    push = np.zeros((2000, 12))
    if options.stimulate != "none":
        push[200:1000, [0, 5]] = (0.5 if options.stimulate == "exc" else -0.5) * (coins[200:1000, None] < 0.5)
    (run,) = lif.simulate([lif.wire(network, 2.0, options)], lif.Drive(columns, start, noise, coins), options)
    plain = plain_lif(network, 2.0, options, columns, start, noise, push)
    assert len(plain.fired) > 20
    if options.stimulate == "exc":  # spikes that would come earlier or later if the push did
        assert {step // 200 for step, cell in plain.fired if cell in (0, 5)} >= {1, 2, 3, 4}
    assert list(zip(run.spike_step.tolist(), run.spike_cell.tolist(), strict=True)) == plain.fired
    np.testing.assert_allclose(run.output, plain.output, atol=1e-9)


def test_no_spike_is_lost_where_cells_fire_in_every_other_step(rng):
    """Thousands of spikes in a block, more than room was made for at first."""
    small, options = untrained(rng), Lif(bias=3000.0, refractory=0.0)
    columns, start, noise = np.zeros((9, 12)), rng.random(12), rng.standard_normal((800, 12))
    (run,) = lif.simulate([lif.wire(small, 2.0, options)], lif.Drive(columns, start, noise, np.zeros(800)), options)
    plain = plain_lif(small, 2.0, options, columns, start, noise, np.zeros((800, 12)))
    assert sum(step < lif.BLOCK for step, _ in plain.fired) > 2048
    assert list(zip(run.spike_step.tolist(), run.spike_cell.tolist(), strict=True)) == plain.fired
    np.testing.assert_allclose(run.output, plain.output, rtol=1e-9)


def test_one_cell_fires_at_the_rate_of_the_closed_form():
    """A cell without noise and synapses, driven to J: period = refractory + tau log((J - reset) / (J - threshold))."""
    cell = Network(
        np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1), 0.0, np.ones(1), np.ones((1, 1)), np.zeros(1, bool),
        (4.0,), np.zeros(1),
    )  # fmt: skip
    options = Lif(noise=0.0)
    (run,) = lif.simulate([lif.wire(cell, 1.0, options)], lif.drive(cell, np.full((401, 1), 30.0), options, 0), options)
    expected = 0.002 + 0.010 * np.log((-10 + 65) / (-10 + 40))
    assert np.diff(run.spike_step[1:]).mean() * 5e-5 == pytest.approx(expected, rel=0.02)


def test_spike_filter_has_unit_area(rng):
    """Each spike adds 1 to the time integral of the filtered spikes, with a double and with a single exponential."""
    small = untrained(rng)
    for options in (Lif(noise=0.0), Lif(noise=0.0, rise=0.0)):
        network = replace(small, w=np.zeros((12, 12)), w_out=np.ones(12), taus=(2.0,))
        (run,) = lif.simulate([lif.wire(network, 1.0, options)], lif.drive(network, np.zeros((41, 1)), options, 1), options)
        assert len(run.spike_step) > 0
        assert run.output.sum() * 5e-5 == pytest.approx(len(run.spike_step), rel=0.03)


def test_result_does_not_depend_on_which_scales_run_together_nor_on_the_block(monkeypatch, rng):
    small = untrained(rng)
    options, inputs = Lif(), np.ones((21, 1))
    wirings = [lif.wire(small, scale, options) for scale in (1.0, 3.0)]
    together = lif.simulate(wirings, lif.drive(small, inputs, options, 0, 1), options)
    monkeypatch.setattr(lif, "BLOCK", 170)
    (alone,) = lif.simulate([lif.wire(small, 3.0, options)], lif.drive(small, inputs, options, 0, 1), options)
    np.testing.assert_array_equal(together[1].output, alone.output)
    np.testing.assert_array_equal(together[1].spike_step, alone.spike_step)


def test_lesion_removes_the_share_that_was_asked_for(rng):
    network = model.initial(Training("go-nogo", cells=100), 1, rng)
    whole = lif.wire(network, 1.0, Lif()).jump
    for by_type in (False, True):
        cut = lif.wire(network, 1.0, Lif(lesion=0.25, lesion_by_type=by_type), np.random.default_rng(0)).jump
        assert (cut != 0).sum() == pytest.approx(0.75 * (whole != 0).sum(), abs=1)
        assert ((cut == whole) | (cut == 0)).all()
    share = [(cut[kind] != 0).sum() / (whole[kind] != 0).sum() for kind in (network.inhibitory, ~network.inhibitory)]
    assert share == pytest.approx([0.75, 0.75], abs=0.01)


def test_stimulated_cell_that_does_not_exist_is_refused(rng):
    small = untrained(rng)
    options = Lif(stimulate="exc", stimulated_cells=(3, 12), stimulus_end=1.0)
    with pytest.raises(ValueError, match=r"stimulated_cells \[12\]: the network has 12 cells"):
        lif.simulate([lif.wire(small, 1.0, options)], lif.drive(small, np.zeros((11, 1)), options, 0), options)


def test_output_bias_is_added_once(rng):
    small = untrained(rng)
    network = replace(small, b_out=0.25)
    runs = []
    for options in (Lif(), Lif(output_bias=True)):
        drive = lif.drive(network, np.zeros((11, 1)), options, 0)
        runs += lif.simulate([lif.wire(network, 5.0, options)], drive, options)
    np.testing.assert_allclose(runs[1].output - runs[0].output, 0.25)


def test_every_trial_has_random_numbers_of_its_own_and_every_scale_the_same(rng):
    small, options, inputs = untrained(rng), Lif(stimulate="exc", stimulated_cells=(0,), stimulus_end=1.0), np.zeros((11, 1))

    def numbers(*stream):
        drive = lif.drive(small, inputs, options, 0, "trial", *stream)
        return {"start": drive.start, "noise": drive.noise.standard_normal((50, 12)), "coins": drive.coins.random(50)}

    first, again, second = numbers(0), numbers(0), numbers(1)
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
        assert np.mean(values == second[name]) < 0.01, name
    assert abs(np.corrcoef(first["noise"].ravel(), second["noise"].ravel())[0, 1]) < 0.15  # sd of chance 0.04


def test_noise_of_different_trials_makes_different_spikes(rng):
    """The same stimulus and first voltages: whatever differs comes from the noise."""
    small, options = untrained(rng), Lif()
    start = rng.random(12)
    drives = [replace(lif.drive(small, np.zeros((11, 1)), options, 0, k), start=start) for k in (0, 1, 1)]
    runs = [lif.simulate([lif.wire(small, 5.0, options)], drive, options)[0] for drive in drives]
    spikes = [list(zip(run.spike_step.tolist(), run.spike_cell.tolist(), strict=True)) for run in runs]
    assert spikes[1] == spikes[2]
    assert len(set(spikes[0]) & set(spikes[1])) < len(spikes[0]) / 2


@pytest.mark.parametrize(("name", "first", "end"), [("go-nogo", 10000, 20000), ("xor", 20000, 27000), ("mante", 26000, 50000)])
@pytest.mark.parametrize("downsample", [1, 4])
def test_response_window_of_the_lif_output(name, first, end, downsample):
    """The published program judges samples `first` (counted from 1) and later; the mean output ends with the response."""
    task = TASKS[name]
    options, inside = Lif(downsample=downsample), first // downsample - 1  # counted from 0
    trials = Trials(np.empty((0, 1, 1)), np.empty((0, 1)), np.array([1]), ["kind"])

    def judged(sample, height):
        output = np.zeros(task.n_steps * 100 // downsample)
        output[sample] = height
        nothing = np.empty(0, dtype=int)
        run = lif.Run(1, output, nothing, nothing, *np.empty((3, 0, 1)))
        return conversion.judged(trials, task, [[run]], [25.0], options).iloc[0]

    assert judged(inside, 0.71)["correct"]
    assert not judged(inside - 1, 0.71)["correct"]
    assert not judged(inside, 0.69)["correct"]
    width = end // downsample - inside
    for sample, expected in ((inside - 1, 0), (inside, 1), (end // downsample - 1, 1)):
        assert judged(sample, width)["mean"] == pytest.approx(expected)
    if end < task.n_steps * 100:
        assert judged(end // downsample, width)["mean"] == 0
        assert judged(end // downsample, 0.71)["correct"]  # as published, to the end of the trial


@pytest.mark.parametrize("downsample", [1, 2])
def test_rates_leave_out_the_spikes_of_the_first_nine_steps(downsample):
    steps, cells = np.array([0, 8, 9, 10, 19999]), np.array([0, 1, 1, 2, 2])
    run = lif.Run(4, np.empty(20000), steps, cells, *np.empty((3, 0, 4)))
    assert lif.rates(run, Lif(downsample=downsample)).tolist() == [0, 1 / downsample, 2 / downsample, 0]
