"""Play all samples through a network before and after training, and describe its parts: what the analyses need."""

from pathlib import Path

import numpy as np

from respike.barrel import fitted, params, responses, samples
from respike.core import files, seeds


def run(*, fit: Path, inputs: Path, coding: params.Encoding, out: Path) -> None:
    """Responses of the network before training, after it, and with senders shuffled; its parts before and after."""
    kept = fitted.read(fit)
    given, is_test = samples.read(inputs, kept.form, coding)
    arrays = {"label": given.label, "is_test": is_test, "dataset": np.array(kept.dataset)}
    arrays |= {"seed": kept.seed, "replicate": kept.replicate}
    for condition in ("initial", "trained", "shuffled"):
        network = kept.network("initial" if condition == "initial" else "trained")
        if condition == "shuffled":
            responses.shuffle(network, seeds.generator(kept.seed, "barrel", "shuffle"))
        described = responses.describe(network, given, kept.seed)
        if condition != "shuffled":
            described |= responses.parts(network)
        arrays |= {f"{condition}_{name}": values for name, values in described.items()}
    sizes = np.diff(network.bounds.numpy())
    files.write_arrays(out, sizes=sizes[1:], **arrays)
