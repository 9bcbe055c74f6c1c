"""The smallest rate network, on which the tests of rate2lif run."""

import numpy as np

from respike.rate2lif import model, network
from respike.rate2lif.params import Training

SMALL = Training("go-nogo", cells=12, batch=2, trials=8, check_every=4, check_trials=5)


def untrained(rng: np.random.Generator) -> network.Network:
    """A network of SMALL before its training."""
    return model.initial(SMALL, 1, rng)
