"""rate2lif.plan: chunks that stay as they are, what belongs to each workflow rule, and what is refused before any job runs."""

from copy import deepcopy
from pathlib import Path

import pytest

from respike.rate2lif import plan

CONFIG = {
    "variants": {
        "gonogo": {
            "training": {"task": "go-nogo", "taus": [4.0, 20.0]},
            "file": "",
            "replicas": 5,
            "scales": [],
            "conditions": ["standard", "no noise"],
        },
        "mante": {
            "training": {"task": "mante"},
            "file": "mine.mat",
            "replicas": 1,
            "scales": [40.0],
            "conditions": ["standard"],
        },
    },
    "chunk": 2,
    "search": {"method": "grid", "scales": [20.0, 25.0], "trials": 3},
    "conditions": {"standard": {}, "no noise": {"noise": 0.0}, "unused": {}},
    "figures": {"example": "gonogo", "contextual": "mante", "motif": "gonogo", "tasks": ["mante", "gonogo"]},
}


@pytest.fixture
def config():
    return deepcopy(CONFIG)


@pytest.fixture
def results(tmp_path):
    """An empty folder of results; `finish(results, ...)` puts archives into it."""
    return str(tmp_path)


def finish(results, *archives):
    for archive in archives:
        path = Path(results) / f"networks/{archive}.zip"
        path.parent.mkdir(exist_ok=True)
        path.touch()


def chunks(config, results):
    return [path.rpartition("/")[2] for path in plan.archives(config, results)["trials"] if "gonogo" in path]


def test_every_network_stands_in_one_archive_of_each_kind(config, results):
    names = ["gonogo_0-1", "gonogo_2-3", "gonogo_4-4", "mante_0-0"]
    expected = {kind: [f"{results}/{kind}/{name}.zip" for name in names] for kind in ("networks", "searches", "trials")}
    assert plan.archives(config, results) == expected


def test_finished_chunks_stay_when_more_replicas_or_another_chunk_are_asked_for(config, results):
    finish(results, "gonogo_0-1", "gonogo_2-2")
    config["chunk"], config["variants"]["gonogo"]["replicas"] = 3, 8
    assert chunks(config, results) == ["gonogo_0-1.zip", "gonogo_2-2.zip", "gonogo_3-5.zip", "gonogo_6-7.zip"]


def test_finished_chunk_that_holds_more_than_is_asked_for_is_not_used(config, results):
    finish(results, "gonogo_0-9")
    assert chunks(config, results) == ["gonogo_0-1.zip", "gonogo_2-3.zip", "gonogo_4-4.zip"]


def test_unfinished_files_and_other_variants_are_no_finished_chunks(config, results):
    finish(results, ".tmp-node_1-0-4", ".partial_0-4", "gonogo_n50_0-4", "gonogo")
    assert chunks(config, results) == ["gonogo_0-1.zip", "gonogo_2-3.zip", "gonogo_4-4.zip"]


def test_plan_of_a_run_does_not_change_by_what_the_run_makes(config, results):
    before = plan.archives(config, results)
    finish(results, "gonogo_0-0")
    assert plan.archives(config, results) == before


def test_networks_of_the_figures_are_the_first_of_their_variants(config, results):
    archives = plan.of_examples(config, results)
    assert archives["example"] == [f"{results}/{kind}/gonogo_0-1.zip" for kind in ("networks", "searches", "trials")]
    assert archives["contextual"] == [f"{results}/{kind}/mante_0-0.zip" for kind in ("networks", "searches", "trials")]
    assert plan.of_tasks(config, results) == [f"{results}/trials/mante_0-0.zip", f"{results}/trials/gonogo_0-1.zip"]


def test_settings_of_a_variant(config):
    assert (plan.pattern(config, given=True), plan.pattern(config, given=False)) == ("mante", "gonogo")
    assert plan.training(config, "mante") == {"task": "mante"}
    assert plan.conditions(config, "gonogo") == [{"name": "standard", "lif": {}}, {"name": "no noise", "lif": {"noise": 0.0}}]
    assert plan.search(config, "gonogo") == CONFIG["search"]
    assert plan.search(config, "mante") == {"method": "grid", "scales": [40.0], "trials": 3}
    config["variants"]["mante"]["file"] = ""
    assert (plan.pattern(config, given=True), plan.pattern(config, given=False)) == ("none", "gonogo|mante")


def changed(config, key, value):
    *path, last = key.split(".")
    for part in path:
        config = config[part]
    config[last] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "variants.gonogo.conditions",
            ["standrad"],
            r"rate2lif\.variants\.gonogo\.conditions names 'standrad': expected one of rate2",
        ),
        ("figures.example", "gonogo_n50", r"rate2lif\.figures\.example names 'gonogo_n50': expected one of .*, gonogo, mante"),
        ("figures.tasks", ["gonogo", "xor"], r"rate2lif\.figures\.tasks names 'xor'"),
        ("figures.contextual", "gonogo", r"rate2lif\.figures\.contextual = 'gonogo', whose task is go-nogo: expected mante"),
        (
            "variants.mante.training.taus",
            [20.0, 4.0],
            r"rate2lif\.variants\.mante\.training: taus = \[20\.0, 4\.0\], expected",
        ),
        ("variants.mante.replicas", 3, r"variants\.mante\.replicas = 3: mine\.mat holds one network.*; expected 1"),
        ("figures.example", "mante", r"rate2lif\.figures\.example = 'mante', whose task is mante: expected go-nogo"),
        (
            "conditions.unused",
            {"stimulate": "exc", "stimulated_cells": [0]},
            r"conditions\.unused: stimulate = exc with .* stimulus_end = 0 s: expected exc or inh, cells, and an end",
        ),
        (
            "conditions.unused",
            {"stimulate": "inh", "stimulus_end": 1.0},
            r"unused: .*stimulated_cells = \[\].*expected exc or inh, cells",
        ),
        (
            "conditions.unused",
            {"stimulated_cells": [0], "stimulus_end": 1.0},
            r"unused: stimulate = none with .* expected exc",
        ),
        ("conditions.unused", {"reset": -30}, r"unused: reset = -30 mV: expected less than threshold = -40 mV"),
        (
            "conditions.no noise",
            {"stimulate": "exc", "stimulated_cells": [0], "stimulus_begin": 1.0, "stimulus_end": 2.0},
            r"conditions\.no noise\.stimulus_begin = 1 s: expected less than 1, a trial of gonogo",
        ),
        (
            "conditions.no noise",
            {"stimulate": "exc", "stimulated_cells": [199, 200], "stimulus_end": 1.0},
            r"conditions\.no noise\.stimulated_cells = \[199, 200\]: expected less than 200, the cells of gonogo",
        ),
        ("conditions.unused", {"neuron": "qif", "reset": 30}, r"unused: reset = 30 mV: expected less than threshold = 30 mV"),
        (
            "conditions.unused",
            {"tau_membrane": 4.9e-5},
            r"tau_membrane = 4.9e-05 s: expected at least 5e-05, one step",
        ),
        (
            "conditions.unused",
            {"rise": 9e-4, "downsample": 20},
            r"unused: rise = 0.0009 s: expected at least 0.001, one step \(downsample = 20\)",
        ),
        ("variants.gonogo.training.trials", 3, r"gonogo\.training: trials = 3: expected at least batch = 4"),
    ],
)
def test_what_cannot_be_is_refused(config, key, value, message):
    plan.check(config)
    changed(config, key, value)
    with pytest.raises(ValueError, match=message):
        plan.check(config)


def test_stimulations_that_can_be_and_time_constants_of_a_step_pass(config):
    """The cells of a network in a file are counted when it is read."""
    late = {"stimulate": "exc", "stimulated_cells": [999], "stimulus_begin": 2.4, "stimulus_end": 2.5}
    config["conditions"]["late"] = late
    config["variants"]["mante"]["conditions"] = ["standard", "late"]
    config["conditions"]["short"] = {"tau_membrane": 5e-5, "rise": 5e-5}
    config["conditions"]["single"] = {"rise": 0, "neuron": "qif", "reset": 29, "threshold": -70}
    plan.check(config)
