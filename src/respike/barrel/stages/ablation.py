"""Train networks that are wired by another rule than the anatomy: one row per epoch and seed."""

from pathlib import Path

import pandas as pd

from respike.barrel import learning, params
from respike.core import files, seeds


def run(
    *, inputs: Path, form: str, wiring: str, out: Path, settings: params.Fit, networks: int, seed: int, device: str
) -> None:
    """Train `networks` networks wired by `wiring`, each with its own synapses, initial weights and spikes."""
    samples, is_test = learning.load(inputs, form, settings.encoding)
    tables = []
    for k in range(networks):
        state = out.with_name(f"{out.stem}_network{k}.pt")
        about = {"form": form, "wiring": wiring, "network": k, "n_test": int(is_test.sum())}
        table = learning.fit_table(
            state, samples, is_test, settings, seeds.of(seed, "barrel", "ablation", k) % 2**31, device, **about
        )
        tables.append(table)
    files.write_table(out, pd.concat(tables, ignore_index=True).assign(root=seed))
