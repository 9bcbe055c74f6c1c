"""Train a network: input values in, its weights before and after and the course of the training out."""

from pathlib import Path

from respike.barrel import learning, params
from respike.core import files, training


def run(*, inputs: Path, form: str, out: Path, history: Path, settings: params.Fit, seed: int, device: str) -> None:
    """Weights of the epoch that is best on the validation samples (of the last epoch where none are held out)."""
    samples, is_test = learning.load(inputs, form, settings.encoding)
    initial = learning.weights_of(learning.build(settings.network, form, "anatomical", seed, "cpu"))
    trainer, course = learning.fit(out, samples, is_test, settings, seed, device)
    content = {"initial": initial, "trained": trainer.best.weights, "form": form, "seed": seed, "dataset": samples.dataset}
    files.write_table(history, course.assign(seed=seed, form=form, dataset=samples.dataset, n_test=int(is_test.sum())))
    files.write_checkpoint(out, content)
    training.forget(out)
