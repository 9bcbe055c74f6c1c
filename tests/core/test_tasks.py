"""Stimuli of contextual integration: exact windows, means and contexts."""

import numpy as np
import pytest

from respike.core.tasks import contextual, windows


def test_windows_and_statistics(rng):
    trials = contextual(rng, 500, 2000)
    begin, end = windows(500)
    assert (begin, end) == (50, 250)
    evidence = trials.inputs[:, :, :2]
    assert not evidence[:begin].any()
    assert not evidence[end:].any()
    centred = evidence[begin:end] - trials.offsets
    assert centred.mean() == pytest.approx(0, abs=0.02)
    assert centred.std() == pytest.approx(1, abs=0.01)
    assert set(np.abs(trials.offsets).ravel()) == {0.5}
    assert trials.context.mean() == pytest.approx(0.5, abs=0.04)
    np.testing.assert_array_equal(trials.inputs[:, :, 2:].sum(2), 1)


def test_target_is_the_sign_of_the_cued_channel(rng):
    trials = contextual(rng, 100, 50)
    cued = trials.offsets[np.arange(50), trials.inputs[0, :, 3].astype(int)]
    assert not trials.target[:50].any()
    np.testing.assert_array_equal(trials.target[50:], np.broadcast_to(np.sign(cued), (50, 50)))


def test_switch_swaps_context_and_target_at_the_end_only(rng):
    trials = contextual(rng, 500, 40, 1.0, 200)
    first, last = trials.inputs[0, :, 2:], trials.inputs[-1, :, 2:]
    np.testing.assert_array_equal(first, last[:, ::-1])
    np.testing.assert_array_equal(trials.inputs[299, :, 2:], first)
    other = trials.offsets[np.arange(40), 1 - trials.context]
    np.testing.assert_array_equal(trials.target[-1], np.sign(other))
    np.testing.assert_array_equal(trials.target[299], np.sign(trials.offsets[np.arange(40), trials.context]))


@pytest.mark.parametrize("steps", [0, 300])
def test_switch_steps_out_of_range_are_refused(rng, steps):
    with pytest.raises(ValueError, match="expected 1 to 250"):
        contextual(rng, 500, 4, 0.5, steps)
