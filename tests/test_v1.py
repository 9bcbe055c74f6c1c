"""Sample-and-measure: its equations against brute force and closed forms, its files, its messages, its stages."""

import pandas as pd
import pytest

from respike.v1 import data, figures, fit, metrics, simulate, standin
from respike.v1.params import Network, Objective, Preprocessing, Sampling, Standin, Training, Variant

SMALL = Standin(pixels=7, frames=40, trials=14, visible=4, hidden=2)
SPLIT = Preprocessing(pixels=7, train=8, test=4, validation=2)
NETWORK = Network(filters=(2, 3), kernels=(3, 3))
SM = Objective(likelihood=0.4, psth=0.1, noise_correlation=50.0)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Folder with a small stand-in in the raw format."""
    folder = tmp_path_factory.mktemp("raw")
    names = ("natural_movie.mat", "data_monkey1_natural_movie.mat", "ground_truth.npz")
    movie, events, ground_truth = (folder / name for name in names)
    standin.run(movie=movie, events=events, ground_truth=ground_truth, standin=SMALL, seed=0)
    return folder


@pytest.fixture(scope="module")
def recording(raw, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "recording.npz"
    data.run(folder=raw, out=path, preprocessing=SPLIT, dataset="stand-in")
    return path


def test_all_stages(raw, recording, tmp_path):
    variants = {"mle": Variant(), "sm-h": Variant(SM, hidden=2)}
    for name, variant in variants.items():
        fit.run(
            recording=recording,
            out=tmp_path / f"{name}.pt",
            log_table=tmp_path / f"{name}.parquet",
            network=NETWORK,
            variant=variant,
            optimiser=Training(steps=3, batch=4, evaluate_every=2),
            seed=0,
            replicate=0,
            device="cpu",
        )
    fits, runs = ([tmp_path / f"{name}.{kind}" for name in variants] for kind in ("pt", "npz"))
    simulate.run(fits=fits, recording=recording, out=runs, sampling=Sampling(trials=6, hidden_samples=3), seed=0, device="cpu")
    names, ground_truth = [f"{name}_0" for name in variants], [raw / "ground_truth.npz"]
    table = tmp_path / "metrics.parquet"
    metrics.run(recording=recording, runs=runs, names=names, ground_truth=ground_truth, out=table)
    measured = pd.read_parquet(table)
    assert {"mle", "sm-h", "constant rate", "psth", "generator", "training trials", "data"} == set(measured["variant"])
    figures.run(
        recording=recording,
        runs=runs,
        logs=[tmp_path / f"{name}.parquet" for name in variants],
        names=names,
        shown=list(variants),
        metrics=table,
        ground_truth=ground_truth,
        folder=tmp_path / "figures",
    )
    assert len(list((tmp_path / "figures").glob("*.png"))) >= 9
