"""Beyond EM: the distribution of the parameters given the spikes, the latent activity integrated out by simulation.

Circuits from the prior are simulated as the recording was made, and a regression tells how the parameters follow from the
summaries of the spike trains. The posterior is the regression's value for the recording plus the errors that it makes on
simulations like the recording, which it was not fitted to (ABC with regression adjustment; Beaumont et al. 2002, with the
nearness of Fearnhead & Prangle 2012). Parameters are regressed as logits of their place in the box.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from respike.core import seeds
from respike.neulvm import freerun
from respike.neulvm.inference import summaries
from respike.neulvm.inference.box import Box
from respike.neulvm.model import Trial
from respike.neulvm.params import Posterior, age_bins, bins

SETTLE = 0.5  # s of each simulation that are thrown away
RIDGES = np.logspace(0, 4, 9)  # penalties that the regression chooses from
FOLDS = 5
LEVELS = (0.5, 0.9)  # of the credible intervals whose coverage is counted
JUDGED = 400  # simulations that count


@dataclass(frozen=True)
class Regression:
    """What the simulations taught: parameters (logits) from summaries, and the errors on simulations not fitted to."""

    ridge: RidgeCV
    centre: Float[np.ndarray, " feature"]
    spread: Float[np.ndarray, " feature"]
    guesses: Float[np.ndarray, "simulation free"]  # by folds that did not see the simulation
    errors: Float[np.ndarray, "simulation free"]

    def guess(self, features: Float[np.ndarray, "recording feature"]) -> Float[np.ndarray, "recording free"]:
        """Mean of the logits."""
        return self.ridge.predict((features - self.centre) / self.spread)

    def near(self, guess: Float[np.ndarray, " free"], share: float) -> np.ndarray:
        """Indices of the simulations whose guesses are nearest to this one, in units of the errors."""
        distance = (((self.guesses - guess) / self.errors.std(0)) ** 2).sum(1)
        return np.argsort(distance, kind="stable")[: max(2, round(share * len(distance)))]

    def cases(self, features: Float[np.ndarray, " feature"], share: float) -> Iterator[tuple[int, np.ndarray]]:
        """Simulations near the recording, at most JUDGED, each with those near to it, itself left out."""
        for k in self.near(self.guess(features[None])[0], share)[:JUDGED]:
            others = self.near(self.guesses[k], share)
            yield k, others[others != k]


def predicted(
    trial: Trial, search: Box, posterior: Posterior, theta: Float[np.ndarray, "draw free"], stream: tuple
) -> Float[np.ndarray, "draw feature"]:
    """Summaries of recordings of circuits with these parameters: as long as the trial, with its drive and its cells.

    `stream`: seed and names of their random numbers.
    """
    history = age_bins("neulvm.posterior.history", posterior.history, trial.dt, search.template)
    settle = bins(SETTLE, trial.dt)
    current = np.concatenate([np.zeros((settle, trial.shape[2])), trial.drive.reshape(-1, trial.shape[2])])
    features = []
    for k, x in enumerate(theta):
        rng = seeds.generator(*stream, k)
        spikes = freerun.record(search.circuit(x / search.high), current, trial.population, rng, trial.dt, history)
        features.append(summaries.find(spikes[settle:], trial.population, trial.dt))
    return np.array(features)


def learn(
    theta: Float[np.ndarray, "simulation free"], features: Float[np.ndarray, "simulation feature"], search: Box
) -> Regression:
    """Ridge regression of the logits on the summaries; its penalty and its errors by cross-validation."""
    centre, spread = features.mean(0), features.std(0) + 1e-9
    x, y = (features - centre) / spread, search.logits(theta)
    guesses = cross_val_predict(RidgeCV(RIDGES), x, y, cv=KFold(FOLDS))
    return Regression(RidgeCV(RIDGES).fit(x, y), centre, spread, guesses, y - guesses)


def draws(learnt: Regression, features: Float[np.ndarray, " feature"], share: float, search: Box) -> np.ndarray:
    """Samples of the parameters (sample, free) given the summaries of a recording."""
    guess = learnt.guess(features[None])[0]
    return search.of_logits(guess + learnt.errors[learnt.near(guess, share)])


def coverage(learnt: Regression, features: Float[np.ndarray, " feature"], share: float, names: list[str]) -> pd.DataFrame:
    """For each parameter, how often the posterior of a simulation near the recording holds the truth that it was made with.

    The posterior of each is made as that of the recording, from simulations other than itself.
    """
    rank = np.array([(learnt.errors[others] < learnt.errors[k]).mean(0) for k, others in learnt.cases(features, share)])
    table = {f"within_{round(100 * level)}": (np.abs(rank - 0.5) <= level / 2).mean(0) for level in LEVELS}
    return pd.DataFrame({"name": names, "judged": len(rank), "mean_rank": rank.mean(0), **table})
