"""Numbers of the published programs and of an independent re-implementation that hold in any run: tests, not claims."""

import numpy as np
import pytest

from respike.barrel import anatomy
from respike.neulvm import freerun, states
from respike.neulvm.params import Circuit


def test_synapses_of_the_whole_column():
    assert anatomy.column(1, "anatomical", 0)[1].sum() == pytest.approx(1_270_082, rel=0.003)  # published code


@pytest.mark.parametrize(
    ("scheme", "dt", "up", "down", "inhibitory"),
    [  # Hz, with what two runs of 200 s differ by at most
        ("exact", 0.004, (19.08, 0.4), (5.9, 0.5), (24.57, 0.25)),
        ("exact", 0.002, (19.08, 0.3), (5.9, 0.3), (24.57, 0.25)),
        ("compat", 0.004, (21.65, 0.4), (3.52, 0.3), None),
    ],
)
def test_rates_of_the_true_circuit_in_bins(scheme, dt, up, down, inhibitory):
    bins = round(200 / dt)
    activity = freerun.simulate(Circuit(), np.zeros((bins, 3)), np.random.default_rng(0), dt, round(0.5 / dt), scheme) / dt
    found = states.find(activity, dt)
    for value, expected in ((found.up, up), (found.down, down), (found.others, inhibitory)):
        if expected:
            assert value == pytest.approx(expected[0], abs=expected[1])
