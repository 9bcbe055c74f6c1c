"""Simulate some of the objects' whisker sweeps: a shard of the stand-in data."""

import sys
from pathlib import Path

import numpy as np

from respike.barrel import params, sweeps
from respike.core import files


def run(*, out: Path, shard: int, shards: int, settings: params.Sweeps, seed: int) -> None:
    """Sweeps of every `shards`-th object, beginning with number `shard`; their content does not depend on `shards`."""
    check(settings)
    n_objects = len(params.CLASSES) * settings.objects_per_class
    mine = np.arange(shard, n_objects, shards)
    forces, torques = [], []
    for count, number in enumerate(mine, 1):
        # classes take turns, so that every shard holds about as many of each
        thing = sweeps.draw_object(number % 3, number // 3, seed, settings)
        parts = [sweeps.simulate(sweeps.place(thing, k), settings.time_step) for k in range(settings.sweeps)]
        forces.append(np.stack([force for force, _ in parts]))
        torques.append(np.stack([torque for _, torque in parts]))
        if count % 10 == 0 or count == len(mine):
            sys.stdout.write(f"object {count}/{len(mine)} of shard {shard}\n")
            sys.stdout.flush()
    files.write_arrays(out, number=mine, force=np.stack(forces), torque=np.stack(torques))


def check(settings: params.Sweeps) -> None:
    """ValueError for settings that cannot be simulated."""
    sweeps.steps_per_frame(settings.time_step)
    if settings.sweeps not in (1, params.SWEEPS):
        raise ValueError(f"barrel.sweeps.sweeps is {settings.sweeps}, expected 1 or {params.SWEEPS}")
    if not 0 < settings.smallest_mm <= settings.largest_mm:
        raise ValueError(
            f"barrel.sweeps.smallest_mm is {settings.smallest_mm} and largest_mm {settings.largest_mm}, "
            "expected 0 < smallest_mm <= largest_mm"
        )
