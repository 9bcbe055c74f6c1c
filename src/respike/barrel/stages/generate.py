"""Simulate some of the objects' whisker sweeps: a shard of the stand-in data."""

import sys
from pathlib import Path

import numpy as np

from respike.barrel import params
from respike.barrel.sweeps import objects, simulation
from respike.core import files


def run(*, meshes: list[Path], shard: int, shards: int, settings: params.Sweeps, seed: int, out: Path) -> None:
    """Sweeps of every `shards`-th object, beginning with number `shard`; their content does not depend on `shards`.

    `meshes`: the .obj files of the folder that the settings name.
    """
    n_classes = len(params.CLASSES)
    numbers = np.arange(shard, n_classes * settings.objects_per_class, shards)
    forces, torques = [], []
    for count, number in enumerate(numbers, 1):
        # classes take turns, so that every shard holds about as many of each
        kind, index = number % n_classes, number // n_classes
        things = [objects.draw(kind, index, k, seed, settings, meshes) for k in range(settings.sweeps)]
        parts = [simulation.simulate(thing, settings.time_step) for thing in things]
        forces.append(np.stack([force for force, _ in parts]))
        torques.append(np.stack([torque for _, torque in parts]))
        if count % 10 == 0 or count == len(numbers):
            sys.stdout.write(f"object {count}/{len(numbers)} of shard {shard}\n")
            sys.stdout.flush()
    files.write_arrays(out, number=numbers, force=np.array(forces), torque=np.array(torques))
