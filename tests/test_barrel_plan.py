"""What the workflow rules of barrel are asked for."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from respike.barrel import params, plan
from respike.barrel.stages import metrics
from respike.core import measures
from respike.core.config import build
from respike.report import claims
from respike.schema import check
from tests.barrel_small import ROOT


def complete(preset: str = "") -> dict:
    """The config of the quick run or with a preset laid over it, checked and complete, as the workflow rules see it."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    over = yaml.safe_load((ROOT / f"workflow/presets/{preset}.yaml").read_text()) if preset else {}
    return check(laid_over(config, over), schema)["barrel"]


def laid_over(config: dict, overlay: dict) -> dict:
    both = {key: laid_over(config[key], overlay[key]) for key in config.keys() & overlay if isinstance(config[key], dict)}
    return {**config, **overlay, **both}


@pytest.fixture
def config():
    """The config of the quick run."""
    return complete()


def test_half_a_recording_is_refused():
    assert plan.sweep_files({"train": None, "test": None}, "sweeps") == {"train": "sweeps/train.h5", "test": "sweeps/test.h5"}
    assert plan.sweep_files({"train": "a.h5", "test": "b.h5"}, "sweeps") == {"train": "a.h5", "test": "b.h5"}
    with pytest.raises(ValueError, match=r"recording is \{'train': 'a\.h5', 'test': None\}; name both"):
        plan.sweep_files({"train": "a.h5", "test": None}, "sweeps")


def test_trainings_of_the_quick_run(config):
    assert list(plan.purposes(config)["histories"]) == ["spiking_0", "spiking_1", "spiking_2", "real_0"]
    assert list(plan.purposes(config)["folds"]) == [f"fold_spiking_0_{number}" for number in range(3)]
    others = [f"wiring_{wiring}_{number}" for wiring in ("random", "full", "fixed") for number in range(2)]
    assert list(plan.purposes(config)["wirings"]) == ["spiking_0", "spiking_1", *others], (
        "the anatomy as it is is not trained twice"
    )
    assert plan.histories(config, "r")["wirings"][1:3] == ["r/fits/spiking_1.parquet", "r/courses/wiring_random_0.parquet"]
    assert list(plan.purposes(config)["starts"]) == ["start_0_0", "start_1_0", "start_2_0"]
    config["scan"] |= {"weights": [0.1, 0.2], "baselines": [0.1], "trained": 3}
    assert list(plan.purposes(config)["starts"]) == ["start_0_0", "start_1_0"], "no more than there are points"
    variants = [build(params.Variant, values) for values in plan.trainings(config).values()]
    assert len(set(variants)) == len(variants)
    config["scan"]["networks"] = 2
    assert list(plan.purposes(config)["starts"]) == ["start_0_0", "start_0_1", "start_1_0", "start_1_1"]
    config["scan"]["networks"] = config["crossval"]["repeats"] = 0
    left = plan.purposes(config)
    assert (left["starts"], left["folds"]) == ({}, {}), "what is left out is not trained"
    config["ablation"]["networks"] = 4
    assert plan.trainings(config)["wiring_anatomical_3"] == {"form": "spiking", "wiring": "anatomical", "replicate": 3}


def test_settings_are_only_those_that_a_stage_reads(config):
    assert set(plan.training(config, "spiking")["encoding"]) == {"frame_stride", "repeats"}
    assert set(plan.training(config, "real")["encoding"]) == {"frame_stride"}
    assert "test_share" not in plan.simulation(config["sweeps"])
    assert not {"initial_weight", "baseline"} & set(plan.scan(config)["network"])
    assert set(plan.scan(config)) == {"coding", "network", "weights", "baselines", "samples"}
    for form in ("spiking", "real"):
        build(params.Fit, plan.training(config, form))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sweeps": {"time_step": 0.03}}, r"barrel\.sweeps\.time_step is 0\.03"),
        ({"real": {"encoding": {"normalise": "reference"}}}, r"barrel\.sweeps\.sweeps is 1, expected 12"),
        ({"crossval": {"folds": 51}}, r"barrel\.crossval\.folds is 51, expected at most .* 50"),
    ],
)
def test_configs_without_a_result_are_refused_before_any_job(config, change, message):
    plan.check(config)
    for key, part in change.items():
        config[key] = {**config[key], **part}
    with pytest.raises(ValueError, match=message):
        plan.check(config)
    if "sweeps" not in change:
        plan.check({**config, "recording": {"train": "a.h5", "test": "b.h5"}})  # what files hold is seen when they are read


def test_more_objects_than_meshes_are_refused(config, tmp_path):
    """A mesh that were two objects would be in the training and in the test."""
    for kind, n in (("helmet", 50), ("box", 50), ("plane", 10)):
        for number in range(n):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / f"{number}.obj").touch()
    config["sweeps"]["meshes"] = str(tmp_path)
    with pytest.raises(ValueError, match=r"sweeps.objects_per_class is 50, expected at most 10, the \.obj files of plane"):
        plan.check(config)
    plan.check({**config, "sweeps": {**config["sweeps"], "objects_per_class": 10}})


@pytest.mark.parametrize("key", ["weights", "baselines"])
def test_a_point_of_the_scan_stands_there_once(key):
    """Twice the same has no place in the figure's grid."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["barrel"]["scan"][key] = [0.3, 0.3, 0.6]
    with pytest.raises(ValueError, match=rf"barrel.scan.{key} = \[0.3, 0.3, 0.6\]"):
        check(config, schema)


def test_an_edit_changes_the_commands_that_read_it_and_no_others(tmp_path):
    """Commands of all jobs of a dry run, before and after edits of settings that used to reach too many of them."""

    def commands(text):
        (tmp_path / "edit.yaml").write_text(text)
        line = f"-n -p --forceall --cores 1 -s {ROOT}/Snakefile --directory {tmp_path}".split()
        files_ = ["--configfile", str(ROOT / "config.yaml"), str(tmp_path / "edit.yaml"), "--", "barrel"]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *line, *files_], capture_output=True, text=True, check=True, cwd=ROOT
        )
        return set(re.findall(r"python -m respike (barrel\.\w+ .*) >", done.stdout + done.stderr))

    shutil.copy(ROOT / "config.yaml", tmp_path)
    before = commands("barrel: {sweeps: {sweeps: 12}}")
    after = commands(
        "barrel: {real: {encoding: {normalise: reference, repeats: 4}}, spiking: {encoding: {normalise: reference},"
        " training: {decay: 0.7}}, sweeps: {sweeps: 12, test_share: 0.3}}"
    )
    changed = {re.search(r"^barrel\.(\w+)", line)[1] for line in after - before}
    assert changed == {"data", "gather", "fit"}
    assert sum("barrel.data" in line for line in after - before) == 1, "only that of the real-valued form"
    assert not any('"form": "real"' in line for line in after - before if "barrel.fit" in line)


@pytest.mark.parametrize("preset", ["paper", "claims_barrel"])
def test_the_published_size_trains_as_claims_on_recorded_sweeps_ask_for_and_the_quick_one_does_not(preset):
    claimed = claims.read(ROOT / "src/respike/barrel/claims.csv")
    claimed = [claim for claim in claimed if "dataset=recorded sweeps" in claim.conditions]
    for claim in claimed:
        form, asked = claim.variant.split()[0], claims.conditions(claim.conditions)
        form = form if form == "real" else "spiking"
        unmet = {}
        for name in (preset, ""):
            settings = build(params.Fit, plan.training(complete(name), form))
            told = [("networks", metrics.settings_read(params.Variant(form), settings))]
            facts = dict(measures.facts("barrel", told)[["fact", "value"]].to_numpy())
            unmet[name] = {each.fact for each in asked if each.fact in facts and not each.holds(facts[each.fact])}
        assert not unmet[preset], claim.item
        assert claim.variant == "real LSTM" or {"divide_by", "batch", "learning_rate", "epochs"} <= unmet[""]
        assert {("test_objects", "55"), ("n", "55")} & {(each.fact, each.needed) for each in asked}, "as many as in the paper"
    assert len(claimed) == 14
