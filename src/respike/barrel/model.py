"""The network: dense input layers, 200 thalamic cells, 13 populations with sparse positive synapses, a linear readout.

Within a step the populations are updated one after the other, and each sees the new spikes of those before it and the
old spikes of itself and of those after it. Inside this file arrays of the recurrence are (step, cell, trial), because
what a cell does is then one vector operation over the trials of a batch.
"""

import math
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from respike.barrel import kernel, params
from respike.barrel.anatomy import Anatomy, Synapses
from respike.core import seeds
from respike.core.cells import spike

State = tuple[Float[Tensor, "cell trial"], ...]  # v, b, s: what a step needs of the step before it


class Output(NamedTuple):
    """Votes of each class (sum of its probability over the steps), logits of each step, and the spikes of all cells."""

    votes: Float[Tensor, "trial 3"]
    logits: Float[Tensor, "trial step 3"]
    spikes: UInt8[Tensor, "step cell trial"]


class BarrelNetwork(nn.Module):
    """Everything that a trained network is stands in its `state_dict`: synapses, time constants, baseline."""

    def __init__(self, anatomy: Anatomy, synapses: Synapses, form: params.Form, settings: params.Network, seed: int) -> None:
        super().__init__()
        self.form = form
        rng = seeds.generator(seed, "barrel", "weights")
        self.n_thalamic = int(anatomy.sizes[0])
        self.wire(anatomy, synapses)
        read = [anatomy.names.index(name) for name in params.READ_OUT]
        self.register_buffer("rows", torch.from_numpy(np.flatnonzero(np.isin(anatomy.population, read))))
        self.register_buffer("baseline", torch.tensor(settings.baseline))
        self.register_buffer("adaptation", torch.tensor(settings.adaptation))
        self.weight = nn.Parameter(_uniform(rng, 0, settings.initial_weight, len(self.sender)))
        self.tau_membrane = nn.Parameter(torch.full((anatomy.n_cells,), params.TAU_MEMBRANE))
        self.tau_adaptation = nn.Parameter(torch.full((anatomy.n_cells,), params.TAU_ADAPTATION))
        half = self.n_thalamic // 2
        sizes = {"spiking": [(params.CHANNELS, half)] * 2, "real": [(params.REAL_CHANNELS, self.n_thalamic)]}[form]
        self.inputs = nn.ModuleList(_dense(rng, n_in, n_out, xavier=True) for n_in, n_out in sizes)
        self.thalamus = _dense(rng, self.n_thalamic, self.n_thalamic, xavier=False)
        self.hidden = _dense(rng, len(self.rows), params.HIDDEN, xavier=True)
        self.classes = _dense(rng, params.HIDDEN, len(params.CLASSES), xavier=True)

    def wire(self, anatomy: Anatomy, synapses: Synapses) -> None:
        """Number the synapses by receiver and sender; spikes go out by sender and receiver, an order of its own."""
        n, (receiver, sender) = anatomy.n_cells, np.nonzero(synapses)
        by_sender = np.lexsort((receiver, sender))
        next_population = anatomy.bounds[1:][anatomy.population]  # first cell of the population after the sender's
        kept = {"bounds": anatomy.bounds, "receiver": receiver, "sender": sender}
        derived = {  # synapses of sender k begin at start[k], those onto later populations at later[k]
            "by_sender": by_sender,
            "start": np.searchsorted(sender[by_sender], np.arange(n + 1)),
            "later": np.searchsorted((sender * n + receiver)[by_sender], np.arange(n) * n + next_population),
        }
        for name, values in (kept | derived).items():
            self.register_buffer(name, torch.from_numpy(values), persistent=name in kept)
        sign = np.where(anatomy.excitatory, 1.0, -1.0)[anatomy.population[sender]]
        self.register_buffer("sign", torch.from_numpy(sign.astype(np.float32)), persistent=False)

    @property
    def n_cells(self) -> int:
        return len(self.tau_membrane)

    def initial_state(self, seed: int, trials: Iterable[int]) -> State:
        """Potentials and (graded) spikes uniform in [0, 1), the same for a trial in whatever batch it stands."""
        drawn = [seeds.generator(seed, "barrel", "state", trial).random((2, self.n_cells)) for trial in trials]
        v, s = torch.from_numpy(np.stack(drawn, axis=-1).astype(np.float32)).to(self.weight.device)
        return v, torch.full_like(v, self.baseline.item()), s

    def drive(self, x: Float[np.ndarray | Tensor, "trial step channel"]) -> Float[Tensor, "step thalamic trial"]:
        """Current of the thalamic cells, by one matrix product per layer; x holds the channels of force, then of torque."""
        n_trials, n_steps = x.shape[:2]
        flat = torch.as_tensor(x, device=self.weight.device).transpose(0, 1).reshape(n_steps * n_trials, -1)
        parts = flat.split([layer.in_features for layer in self.inputs], dim=1)
        joined = torch.cat([layer(part) for layer, part in zip(self.inputs, parts, strict=True)], dim=1)
        return self.thalamus(joined).view(n_steps, n_trials, -1).transpose(1, 2).contiguous()

    def forward(self, x: Float[np.ndarray | Tensor, "trial step channel"], state: State, checkpoint_steps: int = 0) -> Output:
        """Play `x`. The first step has no vote. With `checkpoint_steps` the way back computes the potentials anew."""
        drive = self.drive(x)
        advance = kernel.advance if drive.device.type == "cpu" else advance_plain
        if checkpoint_steps:
            advance = partial(checkpoint, advance, use_reentrant=False)
        evidence, spikes = [], []
        for part in drive.split(checkpoint_steps or len(drive)):
            decays = torch.exp(-1 / self.tau_membrane), torch.exp(-1 / self.tau_adaptation)
            readout = self.classes.weight @ self.hidden.weight  # two linear layers are one: nothing lies between them
            seen, *state, fired = advance(self, part, *state, self.weight * self.sign, *decays, readout)
            evidence.append(seen)
            spikes.append(fired)
        logits = torch.cat(evidence).permute(2, 0, 1) + (self.classes.weight @ self.hidden.bias + self.classes.bias)
        return Output(logits[:, 1:].softmax(-1).sum(1), logits, torch.cat(spikes))

    @torch.no_grad()
    def project(self, smallest_tau: float) -> None:
        """Bring synapses back into [0, 1] and time constants to at least `smallest_tau`, after each update."""
        self.weight.clamp_(0, 1)
        self.tau_membrane.clamp_(min=smallest_tau)
        self.tau_adaptation.clamp_(min=smallest_tau)

    def dense_weights(self, values: Tensor | None = None) -> Float[Tensor, "receiver sender"]:
        """`values` (the unsigned weights, if not given) as a matrix of all cells."""
        matrix = torch.zeros(self.n_cells, self.n_cells, device=self.weight.device)
        return matrix.index_put((self.receiver, self.sender), self.weight if values is None else values)


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))


def _dense(rng: np.random.Generator, n_in: int, n_out: int, xavier: bool) -> nn.Linear:
    """Linear layer with weights of Xavier's range or of torch's own range, and biases of the latter."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    usual = 1 / math.sqrt(n_in)
    widest = math.sqrt(6 / (n_in + n_out)) if xavier else usual
    with torch.no_grad():
        layer.weight.copy_(_uniform(rng, -widest, widest, n_out, n_in))
        layer.bias.copy_(_uniform(rng, -usual, usual, n_out))
    return layer


def step(current: Tensor, v: Tensor, b: Tensor, s: Tensor, alpha: Tensor, rho: Tensor, baseline: float, adaptation: float):
    """One step of adapting, leaking, integrating and firing. The old spike subtracts the new threshold. Gives v, b, s.

    Arrays are (cell, trial): current, potential v, adaptation b, spikes s of the step before. alpha = exp(-1 / tau_m) and
    rho = exp(-1 / tau_adp) are (cell, 1); `baseline` is b0, `adaptation` beta.
    """
    b = rho * b + (1 - rho) * s
    threshold = baseline + adaptation * b
    v = alpha * v + (1 - alpha) * current - threshold * s
    return v, b, spike(v - threshold, kernel.surrogate)


def advance_plain(network: BarrelNetwork, drive, v, b, s, weight, alpha, rho, readout):
    """Steps of the recurrence in plain torch, on any device. Gives evidence (step, class, trial), the state, the spikes."""
    sizes = network.bounds.diff().tolist()
    rows, *cells = (part.split(sizes) for part in (network.dense_weights(weight), v, b, s, alpha[:, None], rho[:, None]))
    states, decays = list(zip(*cells[:3], strict=True)), list(zip(*cells[3:], strict=True))
    evidence, spikes = [], []
    for current in drive:
        for p, decay in enumerate(decays):
            total = rows[p] @ torch.cat([part[2] for part in states]) if p else current
            states[p] = step(total, *states[p], *decay, network.baseline, network.adaptation)
        fired = torch.cat([part[2] for part in states])
        evidence.append(readout @ fired[network.rows])
        spikes.append(fired.detach().to(torch.uint8))
    v, b, s = (torch.cat(parts) for parts in zip(*states, strict=True))
    return torch.stack(evidence), v, b, s, torch.stack(spikes)
