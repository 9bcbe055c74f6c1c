"""Which sweep files the study reads: the user's, or those that it simulates."""

SIMULATED = {"train": "results/barrel/sweeps/train.h5", "test": "results/barrel/sweeps/test.h5"}


def chosen(recording: dict[str, str | None]) -> dict[str, str]:
    """Paths of the training and the test file; ValueError when the config names one of them only."""
    named = {name: path for name, path in recording.items() if path}
    if len(named) == 1:
        ((name, path),) = named.items()
        other = "test" if name == "train" else "train"
        raise ValueError(
            f"config: barrel.recording.{name} is {path} but barrel.recording.{other} is empty; name both files or none"
        )
    return named or SIMULATED
