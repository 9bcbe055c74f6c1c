"""Metastable clusters: a single inhibitory population whose cells fire in K synchronous groups, one after the other.

K follows from the population activity alone: the groups together oscillate K times as fast as a cell fires.
"""

import math

import numpy as np
from jaxtyping import Float

from respike.neulvm import microscopic
from respike.neulvm.params import CLUSTER_WINDOW, Circuit, Cluster

HOP, PADDING = 0.1, 4  # s, factor
LOWEST, HIGHEST = 5.0, 120.0  # Hz: slower peaks are drift, faster ones are not shown


def circuit(cluster: Cluster) -> Circuit:
    """The population in units of its noise; its synapse has no filter, only a delay (one step of it is the step itself)."""
    return Circuit(
        sizes=(cluster.size,), connectivity=((math.copysign(1.0, cluster.coupling),),), mem_rate=(cluster.mem_rate,),
        coupling=(abs(cluster.coupling) / cluster.noise,), rest=(cluster.rest / cluster.noise,),
        threshold=(cluster.threshold / cluster.noise - math.log(10),), syn_rate=(1e4 / cluster.dt,),
        refractory=cluster.refractory, delay=cluster.delay - cluster.dt, typical_rates=(18.0,),
    )  # fmt: skip


def simulate(cluster: Cluster, rng: np.random.Generator) -> Float[np.ndarray, " step"]:
    """Population activity, Hz."""
    counts = microscopic.simulate(circuit(cluster), cluster.seconds, rng, cluster.dt).counts[:, 0]
    return counts / (cluster.size * cluster.dt)


def number(activity: Float[np.ndarray, " step"], dt: float) -> dict[str, np.ndarray]:
    """By window: `time` of its centre (s), `power` at each `frequency` (Hz), and `k`.

    K is the frequency of the highest peak over the mean rate, rounded.
    """
    n, hop = round(CLUSTER_WINDOW / dt), round(HOP / dt)
    cut = np.lib.stride_tricks.sliding_window_view(activity, n)[::hop]
    mean = cut.mean(1)
    power = np.abs(np.fft.rfft((cut - mean[:, None]) * np.hanning(n), PADDING * n)) ** 2
    frequency = np.fft.rfftfreq(PADDING * n, dt)
    peak = frequency[np.where(frequency > LOWEST, power, 0).argmax(1)]
    k = np.where(mean > 0, np.rint(peak / np.maximum(mean, 1e-9)), 0).astype(np.int64)
    time, keep = (np.arange(len(cut)) * hop + n / 2) * dt, frequency <= HIGHEST
    return {"time": time, "frequency": frequency[keep], "power": power[:, keep].astype(np.float32), "k": k}
