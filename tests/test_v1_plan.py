"""What the workflow rules of sample-and-measure are asked for, from a config as users write it."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from respike import schema
from respike.core.config import build
from respike.v1 import plan, truth
from respike.v1.params import Standin

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml").read_text())["properties"]["v1"]
SAMPLING = {"likelihood": 0.4, "psth": 0.1, "noise_correlation": 50}


def config_of(**changes):
    """The block v1 with the schema's defaults filled in."""
    block = {"variants": {"mle": {}, "sm": {"hidden": 3, "objective": SAMPLING}}, "shown": ["mle"], **changes}
    return schema.check(block, SCHEMA)


def test_points_of_the_sweep_differ_from_their_variant_in_one_weight():
    config = config_of(seeds=2, pareto={"sm": [5, 30000, 1e7]})
    variants = plan.variants(config)
    assert list(variants) == ["mle", "sm", "sm@nc5", "sm@nc30000", "sm@nc1e+07"]
    for name, weight in (("sm", 50), ("sm@nc5", 5), ("sm@nc1e+07", 1e7)):
        assert variants[name]["objective"] == {**variants["sm"]["objective"], "noise_correlation": weight}
        assert variants[name]["hidden"] == 3
    assert plan.fits(config) == ["mle_0", "mle_1", "sm_0", "sm_1", "sm@nc5_0", "sm@nc30000_0", "sm@nc1e+07_0"]
    assert plan.names(config) == plan.fits(config)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"shown": ["mle", "ml"]}, "shown"),
        ({"pareto": {"ml": [5]}}, "pareto"),
        ({"hidden_study": {"variants": ["ml"]}}, "hidden_study.variants"),
    ],
)
def test_names_that_are_no_variants_are_refused(changes, key):
    with pytest.raises(ValueError, match=rf"v1.{key} = \['ml'\]: expected names among v1.variants, \['mle', 'sm'\]"):
        plan.variants(config_of(**changes))


def test_what_cannot_be_fitted_is_refused_before_any_job_runs():
    with pytest.raises(ValueError, match=r"v1.network.movie_frames = 5: .* expected movie_frames of at least 10"):
        plan.variants(config_of(network={"movie_frames": 5}))
    assert plan.variants(config_of(data={"most_active": 2}))
    with pytest.raises(ValueError, match=r"v1.data.most_active = 2 with v1.data.units = \[0, 5\]: expected 0, or no units"):
        plan.variants(config_of(data={"most_active": 2, "units": [0, 5]}))
    single = {"objective": {"psth": 1, "simulated_trials": 1}}
    assert plan.variants(config_of(variants={"mle": single}))
    with pytest.raises(ValueError, match="all terms of an objective have the weight 0"):
        plan.variants(config_of(variants={"mle": {"objective": {"likelihood": 0, "hidden_rate": 1}}}))
    with pytest.raises(ValueError, match="objective.simulated_trials = 1: expected 2 or more"):
        plan.variants(config_of(variants={"mle": single}, pareto={"mle": [50]}))


def test_points_of_the_sweep_of_one_name_are_refused():
    """Else one of them would be left out without a word."""
    with pytest.raises(ValueError, match=r"v1.pareto.sm: two weights are called 1.23457e\+06; expected others"):
        plan.variants(config_of(pareto={"sm": [1234567, 1234568]}))


def test_frames_of_the_standin_last_as_long_as_bins():
    """In bins of another length its spikes lie under other frames than those that caused them."""
    with pytest.raises(ValueError, match=r"v1.standin.bin_ms = 33: expected 40, as v1.data.bin_ms"):
        plan.variants(config_of(standin={"bin_ms": 33}))
    assert plan.variants(config_of(standin={"bin_ms": 33}, data={"bin_ms": 33}))
    assert plan.variants(config_of(data={"bin_ms": 33}, data_dir="/"))


def test_study_of_hidden_cells_is_the_study_on_other_standins():
    config = config_of(seeds=3, pareto={"sm": [5]}, hidden_study={"hidden": [0, 30], "variants": ["sm", "mle"]})
    studies = plan.hidden_studies(config)
    assert list(studies) == [0, 30]
    other = studies[30]
    assert (other["standin"]["hidden"], other["standin"]["least_correlation"]) == (30, 0)
    assert {
        **other["standin"],
        **{key: config["standin"][key] for key in ("hidden", "coupling_gain", "least_correlation")},
    } == (config["standin"])
    assert (plan.dataset(config), plan.dataset(other)) == ("stand-in", "stand-in with 30 hidden cells")
    assert plan.fits(other) == ["sm_0", "sm_1", "sm_2", "mle_0", "mle_1", "mle_2"]
    assert plan.names(other)[2:4] == ["sm@hidden30_2", "mle@hidden30_0"]
    assert plan.variants(other)["sm"] == config["variants"]["sm"]
    assert plan.hidden_studies(other) == {}  # and not once more
    for key in ("network", "training", "sampling", "data"):
        assert other[key] == config[key]


def test_couplings_are_as_strong_whatever_the_number_of_hidden_cells():
    def spread(standin: dict) -> float:
        between = ~np.eye(standin["visible"], dtype=bool)
        draws = (truth.couplings(np.random.default_rng(seed), build(Standin, standin)) for seed in range(200))
        return np.concatenate([draw.sum(2)[: standin["visible"], : standin["visible"]][between] for draw in draws]).std()

    config = config_of(hidden_study={"hidden": [0, 30]})
    here = spread(config["standin"])
    for other in plan.hidden_studies(config).values():
        assert spread(other["standin"]) == pytest.approx(here, rel=0.05)


def test_recorded_data_have_no_study_of_hidden_cells(tmp_path):
    for name in ("natural_movie.mat", "b.npy", "notes.txt"):
        (tmp_path / name).touch()
    config = config_of(data_dir=str(tmp_path), dataset="my cells", hidden_study={"hidden": [0]})
    assert not plan.is_standin(config)
    assert plan.dataset(config) == "my cells"
    assert plan.hidden_studies(config) == {}
    assert plan.raw_files(config) == [str(tmp_path / "b.npy"), str(tmp_path / "natural_movie.mat")]
    (tmp_path / "nothing").mkdir()
    assert plan.raw_files(config_of(data_dir=str(tmp_path / "nothing"))) == []
