"""Barrel study: one simulated sweep, and one update of the whole column as published (batch 128, 550 steps).

Yardsticks are the published programs, measured on a quiet machine: 23.7 CPU seconds per sweep, 0.19 per step and update.
"""

from benchmarks.workload import Workload
from respike.barrel import params

PUBLISHED_SWEEP, PUBLISHED_STEP = 23.7, 0.19  # CPU seconds
STEPS, TRIALS = 550, 128


def sweep():
    """Function that simulates one sweep, of each class in turn."""
    from respike.barrel.sweeps import objects, simulation  # noqa: PLC0415  (each workload is measured with its own imports)

    settings = params.Sweeps()
    turn = iter(range(10**6))

    def run():
        number = next(turn)
        return simulation.simulate(objects.draw(number % 3, number // 3, 0, 0, settings), settings.time_step)

    return run


def update(n_steps: int, checkpoint_steps: int):
    """Function that computes loss and gradients of the whole column."""

    def run():
        import torch  # noqa: PLC0415

        from respike.barrel import learning  # noqa: PLC0415

        torch.set_num_threads(1)
        if not cached:
            cached.append(learning.build(params.Network(), "spiking", "anatomical", 0, "cpu"))
        network = cached[0]
        spikes = (torch.rand(TRIALS, n_steps, 2 * params.CHANNELS, generator=torch.Generator().manual_seed(0)) < 0.3).float()
        state = network.initial_state(0, range(TRIALS))
        network.zero_grad()
        output = network(spikes, state, checkpoint_steps)
        learning.loss(output, torch.arange(TRIALS) % 3, "reference").backward()

    cached = []
    return run


def workloads() -> list[Workload]:
    """One sweep; one full update, all kept in memory and with checkpoints."""
    published = f"published program, {PUBLISHED_STEP} CPU s per step"
    return [
        Workload("barrel: one sweep of 11 s", sweep(), "published generator", yardstick_cpu_s=PUBLISHED_SWEEP),
        Workload(
            f"barrel: update, 4218 cells, batch {TRIALS}, {STEPS} steps",
            update(STEPS, 0),
            published,
            yardstick_cpu_s=PUBLISHED_STEP * STEPS,
        ),
        Workload(
            f"barrel: update, batch {TRIALS}, 100 steps, checkpoints every 25",
            update(100, 25),
            published,
            yardstick_cpu_s=PUBLISHED_STEP * 100,
        ),
    ]
