"""Train a network: input values in, the course of the training and the weights before and after it out."""

from dataclasses import replace
from pathlib import Path

from respike.barrel import analysis, fitted, learning, params, samples
from respike.core import files, partial, training


def run(
    *,
    inputs: Path,
    variant: params.Variant,
    settings: params.Fit,
    seed: int,
    device: str,
    history: Path,
    scan: Path | None = None,
    fit: Path | None = None,
) -> None:
    """Write the accuracies by epoch to `history`, and to `fit`, where it is named, the network of the best epoch.

    That is the epoch which is best on the validation samples, or the last one where none are held out.
    """
    given, is_test = samples.read(inputs, variant.form, settings.encoding)
    about = {"form": variant.form, "wiring": variant.wiring, "replicate": variant.replicate}
    network_seed = learning.replicate_seed(seed, variant.replicate)
    if variant.fold:
        is_test = samples.in_fold(given.label, variant.fold, seed)
        about |= {"repeat": variant.fold.repeat, "fold": variant.fold.number}
    if variant.start:
        point = analysis.spread(files.read_table(scan), variant.start.of).iloc[variant.start.rank]
        initial = {"initial_weight": float(point["initial_weight"]), "baseline": float(point["baseline"])}
        settings = replace(settings, network=replace(settings.network, **initial))
        about |= {**initial, "cv": float(point["cv"])}
    trainer, course = learning.fit(history, given, is_test, settings, network_seed, device, variant.wiring)
    if fit:
        untrained = learning.build(settings.network, variant.form, variant.wiring, network_seed, device)
        states = training.weights_of(untrained), trainer.best.weights
        fitted.write(fit, fitted.Fitted(*states, variant.form, network_seed, variant.replicate, given.dataset))
    files.write_table(history, course.assign(**about))
    partial.forget(history)
