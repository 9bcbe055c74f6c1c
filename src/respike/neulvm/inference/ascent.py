"""Up the likelihood of the spikes alone, the latent activity integrated out: Monte-Carlo EM with momentum.

The fit of `em` maximises the joint density of spikes and activity, and so prefers parameters that make the activity smooth.
Here each round draws activities given the spikes (`particles`); their mean slope of the loss is the slope of the negative
log-likelihood of the spikes (Fisher's identity; Cappe, Moulines, Ryden 2005, ch. 10). Each draw comes from a filter of its
own and counts as much as that filter finds the spikes likely, which makes up for few particles (Andrieu, Doucet, Holenstein
2010). A Newton step on the mean loss is what a round of EM comes to. A few cells say little about their population, so EM
creeps: the steps are given momentum. They shrink over the second half of the rounds. What counts is the mean over those
rounds in a row, a quarter of all, in which the spikes were likeliest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, softmax

from respike.core import seeds
from respike.neulvm import model
from respike.neulvm.inference import particles
from respike.neulvm.inference.box import Box
from respike.neulvm.inference.resumable import Resumable
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Refine, Scheme

RENEW = 5  # rounds after which the curvature is measured anew
DIFFERENCE = 1e-3  # of log parameters, for the curvature
FLATTEST = 1e-3  # least curvature that counts, relative to the greatest
LONGEST = 0.05  # greatest change of a log parameter in a round

Free = Float[np.ndarray, " free"]


@dataclass
class State(Resumable):
    """Where the ascent stands: logs of the free numbers (units of the box), their last change, curvature, and all rounds."""

    x: Free
    speed: Free
    curvature: Float[np.ndarray, "free free"] = field(default_factory=lambda: np.zeros((0, 0)))
    seen: list[list[float]] = field(default_factory=list)  # x at the start of each round
    log_likelihood: list[float] = field(default_factory=list)  # nats, of the spikes there, by the particles


def begin(box: Box) -> State:
    """State before the first round: at the circuit that the box is that of."""
    x = np.log(box.inside(box.vector(box.template)))
    return State(x, np.zeros_like(x))


def counted(state: State) -> tuple[int, int]:
    """First and last of the rounds, a quarter of all and in a row, with the greatest mean log-likelihood."""
    width = max(1, len(state.seen) // 4)
    first = int(np.argmax(np.convolve(state.log_likelihood, np.ones(width), mode="valid")))
    return first, first + width - 1


def result(state: State, box: Box) -> Circuit:
    """Mean of the parameters (of their logs) over the rounds that count."""
    first, last = counted(state)
    return box.circuit(box.inside(np.exp(np.mean(state.seen[first : last + 1], axis=0))))


def advance(state: State, number: int, trial: Trial, box: Box, scheme: Scheme, settings: Refine, stream: tuple) -> None:
    """Round `number`, which changes `state`.

    `stream`: seed and names that the random numbers of the round follow from.
    """
    paths, log_likelihoods = draw(box.circuit(np.exp(state.x)), trial, scheme, settings, (*stream, number))
    shares = softmax(log_likelihoods)

    def slope(x: Free) -> Free:
        here = box.circuit(np.exp(x))
        losses = (model.loss(here, trial, latent, scheme, drawn=True) for latent in paths)
        return sum(share * box.gradient(loss) for share, loss in zip(shares, losses, strict=True)) * np.exp(x)

    if number % RENEW == 0:
        state.curvature = curvature_at(slope, state.x)
    fall = min(1.0, 2 * (1 - number / settings.rounds))
    low, high = np.log(box.bounds).T
    step = newton(slope(state.x), state.curvature, state.x, low, high)
    moved = fall * (settings.momentum * state.speed + settings.step * step)
    moved *= min(1.0, LONGEST / max(np.abs(moved).max(), 1e-300))
    new = np.clip(state.x + moved, low, high)
    state.seen.append(state.x.tolist())
    state.log_likelihood.append(float(logsumexp(log_likelihoods) - np.log(settings.paths)))
    state.speed, state.x = new - state.x, new


def draw(
    circuit: Circuit, trial: Trial, scheme: Scheme, settings: Refine, stream: tuple
) -> tuple[Float[np.ndarray, "path batch bin population"], Float[np.ndarray, " path"]]:
    """Activities given the spikes, and the log-likelihood (nats) of the spikes in the filters that each was drawn from.

    The lines of one filter meet in the past, so several paths of the same one would be the same there.
    """

    def one(batch: int, path: int) -> particles.Samples:
        return particles.sample(circuit, trial, batch, settings.particles, 1, seeds.generator(*stream, batch, path), scheme)

    samples = [[one(batch, path) for batch in range(trial.shape[0])] for path in range(settings.paths)]
    paths = np.stack([np.concatenate([each.latent for each in path]) for path in samples])
    return paths, np.array([[each.log_likelihood for each in path] for path in samples]).sum(1)


def curvature_at(slope: Callable[[Free], Free], x: Free) -> Float[np.ndarray, "free free"]:
    """Curvature at x by differences of the slope, made positive."""
    ways = np.eye(len(x)) * DIFFERENCE
    slopes = np.array([(slope(x + way) - slope(x - way)) / (2 * DIFFERENCE) for way in ways])
    size, axes = np.linalg.eigh((slopes + slopes.T) / 2)
    return (axes * np.maximum(size, FLATTEST * size.max())) @ axes.T


def newton(gradient: Free, curvature: Float[np.ndarray, "free free"], x: Free, low: Free, high: Free) -> Free:
    """Newton step of the numbers that no bound holds."""
    free = ~(((x <= low + 1e-9) & (gradient > 0)) | ((x >= high - 1e-9) & (gradient < 0)))
    step = np.zeros_like(x)
    step[free] = -np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
    return step
