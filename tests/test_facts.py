"""What a run says it did: each study reads it off the records of its jobs, under the names that its claims ask for."""

import json
import shlex
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from respike import stage
from respike.barrel import params
from respike.barrel.stages import metrics as barrel
from respike.core import files, measures
from respike.core.measures import Measure
from respike.fsbi.params import THETA
from respike.fsbi.stages import metrics as fsbi
from respike.modes import measurement as modes
from respike.neulvm.params import Circuit, Prior
from respike.neulvm.stages import metrics as neulvm
from respike.rate2lif.stages import metrics as rate2lif
from respike.report import claims
from respike.v1.stages import metrics as v1

STUDIES = Path(claims.__file__).parents[1]
SETTINGS = {field.name for kind in (params.Network, params.Encoding, params.Training) for field in fields(kind)}


@pytest.fixture
def made(tmp_path):
    """Writes a file as a stage would that was told these arguments and given these inputs."""

    def write(name: str, stage: str, *inputs: Path, table: pd.DataFrame | None = None, **told) -> Path:
        words = [
            word
            for option, value in told.items()
            for word in (f"--{option.replace('_', '-')}", value if isinstance(value, str) else json.dumps(value))
        ]
        files.maker.update(stage=stage, arguments=words, inputs=dict.fromkeys(map(str, inputs), ""))
        if table is None:
            files.write_text(tmp_path / name, name)
        else:
            files.write_table(tmp_path / name, table)
        files.maker.clear()
        return tmp_path / name

    yield write
    files.maker.clear()


def told(facts) -> dict[tuple[str, str], list[str]]:
    table = measures.facts("any", facts)
    return table.groupby(["variant", "fact"])["value"].agg(list).to_dict()


@pytest.mark.parametrize("value", [-0.5, [-1, 2], [3, -4.5], "-x=--y", {"a": -1}, "--b"])
def test_what_begins_with_a_dash_is_told_too(tmp_path, monkeypatch, value):
    words = shlex.split(stage.command_line({"seed": 0, "the_shift": value, "out": "a"}))
    monkeypatch.setattr(files, "maker", {"stage": "any.stage", "arguments": words})
    files.write_text(tmp_path / "a", "")
    assert measures.ran(tmp_path / "a", "any.stage") == [{"seed": 0, "the_shift": value, "out": "a"}]


def test_modes(made):
    rest = {"steps": 50, "batches": 3, "learning_rate": 0.001, "clip": 30.0}
    networks = [
        made(f"{n}.pt", "modes.fit", task="digits", cell="spike", neurons=30, modes=n, settings={**rest, "batch": batch})
        for n, batch in ((10, 256), (3, 64))
    ]
    found = told(modes.facts([made("a.npz", "modes.simulate", networks[0]), made("b.npz", "modes.simulate", networks[1])]))
    assert found["digits_spike_N30_P10", "batch"] == ["256"]
    assert found["digits_spike_N30_P10", "loss"] == ["logits"]  # the default counts
    assert found["digits_spike_N30", "batch"] == ["256", "64"]
    assert found["digits_spike_N30", "modes"] == ["3 10"]


def test_rate2lif(made):
    given = {"task": "go-nogo", "trainer": "reference", "taus": [4, 10]}
    archive = made("a.zip", "rate2lif.fit", variant="gonogo", settings=given)
    fixed = made("b.zip", "rate2lif.fit", variant="gonogo_fixed", settings={**given, "taus": [4], "cells": 50})
    found = told(rate2lif.trained([archive, fixed, made("c.zip", "rate2lif.data", variant="mine")]))
    assert {fact: found["gonogo", fact] for fact in ("trainer", "cells", "smallest_tau", "largest_tau")} == {
        "trainer": ["reference"], "cells": ["200"], "smallest_tau": ["20"], "largest_tau": ["50"],
    }  # fmt: skip
    assert (found["gonogo_fixed", "largest_tau"], found["gonogo_fixed", "cells"]) == (["20"], ["50"])
    assert not [key for key in found if key[0] == "mine"]
    rows = [Measure("gonogo", k, "d", "trained", value, "%", 1) for k, value in enumerate((100.0, 0.0, 100.0, 100.0))]
    rows += [Measure("gonogo", k, "d", "best scale", value, "1", 1) for k, value in enumerate((20.0, 25.0, 30.0, 20.0))]
    rows += [
        Measure("gonogo", k, "d", name, value, "1", 1)
        for k in range(4)
        for name, value in zip(rate2lif.GRID, (20.0, 30.0, k != 2), strict=True)
    ]
    expected = {"trained": ["75"], "at_edge": ["3"], "smallest_scale": ["20"], "largest_scale": ["30"]}
    expected["published_grid"] = ["False"]  # one of the four was not tried at all of it
    assert told(rate2lif.found(pd.DataFrame(rows))) == {("gonogo", fact): values for fact, values in expected.items()}


def test_v1(made):
    fits = [
        made(f"{name}.pt", "v1.fit", fit=f"x/{name}.pt", optimiser={"steps": k}) for k, name in ((5, "mle_0"), (9, "sm_0"))
    ]
    runs = [made(f"{name}.npz", "v1.simulate", *fits) for name in ("mle_0", "sm_0", "other_0")]
    assert told(v1.trained(runs, ["mle@hidden0_0", "sm_0", "other_0"], 69)) == {
        ("mle@hidden0", "steps"): ["5"], ("mle@hidden0", "cells"): ["69"], ("sm", "steps"): ["9"], ("sm", "cells"): ["69"],
    }  # fmt: skip


def test_barrel(made):
    def course(name: str, divide_by: int, **variant) -> Path:
        blocks = {"encoding": {"frame_stride": 2}, "network": {"divide_by": divide_by, "adaptation": 0.0}}
        blocks |= {"training": {"epochs": 7, "loss": "logits", "redraw": True}}
        table = pd.DataFrame({"n_train": [40, 40], "n_test": [12, 12]})
        return made(name, "barrel.fit", data, table=table, variant={"form": "spiking", **variant}, settings=blocks)

    data = made("i", "barrel.data", form="real", normalise="zscore")
    courses = [
        course("a", 1),
        course("b", 4, wiring="full"),
        course("c", 8, start={"rank": 0, "of": 3}),
        course("d", 2, form="real"),
    ]
    found = told(barrel.trained(courses))
    assert {variant: found[variant, "divide_by"] for variant, fact in found if fact == "divide_by"} == {
        **dict.fromkeys(("wiring anatomical", "spiking", "spiking initial", "spiking trained", "spiking deprived"), ["1"]),
        **dict.fromkeys(("real", "real initial", "real trained", "real deprived"), ["2"]),
        "wiring full": ["4"],
        "cv scan": ["8"],
    }
    assert {variant for variant, _ in found if (variant, "initial_weight") not in found} == {"cv scan"}, "its starts differ"
    assert {variant for variant, _ in found if (variant, "baseline") not in found} == {"cv scan"}
    for form, extra in (("spiking", {"repeats": "5"}), ("real", {})):
        assert {fact: value for (variant, fact), [value] in found.items() if variant == f"{form} deprived"} == {
            **{"train_objects": "40", "test_objects": "12", "divide_by": "2" if form == "real" else "1"},
            **{"initial_weight": "0.06", "baseline": "0.04", "adaptation": "0", "frame_stride": "2", "epochs": "7"},
            **{"batch": "128", "learning_rate": "0.008", "tau_adaptation_factor": "5", "tau_membrane_factor": "2"},
            **{"decay_every": "20", "decay": "0.8", "loss": "logits", "smallest_tau": "0.5", "validation_share": "0.2"},
            **{"redraw": "True", "checkpoint_steps": "0", "normalise": "zscore"},
            **extra,
        }


def test_fsbi(made):
    chunks = [
        made(f"{k}.parquet", "fsbi.simulate", settings={"protocol": {"settle": 60, "record": k, "stop": "early"}})
        for k in (10, 11)
    ]
    table = pd.DataFrame({name: [0.0] for name in THETA["poly"]}).assign(round=2)
    found = told(fsbi.simulated([(made("t.parquet", "fsbi.table", *chunks), table)]))
    assert found == {("poly_pi2", "settle"): ["60"], ("poly_pi2", "record"): ["10", "11"], ("poly_pi2", "stop"): ["early"]}


@pytest.mark.parametrize(("factor", "box"), [(1.0, "published"), (1.01, "another")])
def test_neulvm(made, factor, box):
    truth = Circuit()
    pairs = {
        name: [[0.4 * x * factor, 2 * x] for x in getattr(truth, name)]
        for name in ("mem_rate", "coupling", "rest", "threshold")
    }
    fit = {"scheme": "compat", "e_step": "adam"}
    window = {"cells": 4, "length": 5, "dt": 0.002}
    trial = made("trial.npz", "neulvm.preprocess", circuit={}, window=window)
    starts = [made(f"{k}.json", "neulvm.fit", trial, circuit={}, prior=pairs, fit=fit, start=k) for k in range(5)]
    found = told(neulvm.inferred_by(starts))
    rules = {"scheme": ["compat"], "e_step": ["adam"], "iterations": ["1"], "e_steps": ["400"], "box": [box]}
    rules |= {"cells": ["4"], "length": ["5"], "dt": ["0.002"]}
    both = ("em", "best")
    assert found == {(name, fact): value for name in both for fact, value in {**rules, "starts": ["5"]}.items()}
    assert not Prior().is_centred(truth)
    further = [
        made(f"{k}.parquet", "neulvm.recovery", circuit={}, prior=pairs, fit=fit, choose={"starts": k}, window=window)
        for k in (3, 7)
    ]
    fitted = [f"recordings {name}" for name in ("start", "known", "em", "shared", "chosen")]
    assert told(neulvm.tried_by(further)) == {
        (name, fact): value for name in fitted for fact, value in {**rules, "starts": ["3", "7"]}.items()
    }


def test_free_runs_are_compared_with_the_network():
    rows = [("network", "rate_up", 19.0, "Hz", 9), ("best", "rate_up", 20.5, "Hz", 9), ("best", "switch_rate", 1.0, "1/s", 9)]
    assert list(neulvm.against_network(rows)) == [("best", "rate_up over network", 1.5, "Hz", 9)]


def test_each_further_recording_has_its_excitatory_coupling():
    table = pd.DataFrame(
        {"recording": [0, 0, 0, 3], "name": [f"coupling_{m}" for m in (0, 1, 2, 0)], "mean": [1.0, 1.2, 9.0, 0.9]}
    ).assign(low=0.5, high=1.5)
    values = {row[-1]: row[2] for row in neulvm.recovered(table, Circuit()) if row[1].endswith("each recording")}
    assert values == {0: pytest.approx(1.1), 3: 0.9}


def test_measures_across_modes_are_of_each_replica():
    rows = [Measure(f"digits_spike_N30_P{p}", k, "d", "final_loss", p + k, "nats", 9) for p in (1, 3) for k in (0, 1)]
    rows += [Measure("digits_rate_N30_P1", 0, "d", "final_loss", 1.0, "nats", 9)]  # one number of modes: no mean over them
    never = [Measure(f"digits_spike_N50_P{p}", 0, "d", "batches_to_1.7", x, "batches", 9) for p, x in ((1, 60), (3, np.nan))]
    assert [np.isnan(row.value) for row in modes.means_across_modes(pd.DataFrame(never))] == [True]
    found = modes.means_across_modes(pd.DataFrame(rows))
    assert [(row.variant, row.seed, row.metric, row.value, row.n) for row in found] == [
        ("digits_spike_N30", 0, "final_loss, mean over modes", 2.0, 2),
        ("digits_spike_N30", 1, "final_loss, mean over modes", 3.0, 2),
    ]


NAMES = {  # facts that each study tells; `dataset`, `networks`, `replicas` and `n` are those of the measures
    "modes": {*modes.TOLD, "modes"},
    "rate2lif": {
        *rate2lif.TOLD,
        *("smallest_tau", "largest_tau"),
        *("trained", "at_edge", "smallest_scale", "largest_scale", "published_grid"),
    },
    "v1": {"steps", "cells"},
    "barrel": {*SETTINGS, "normalise", "train_objects", "test_objects"},
    "fsbi": {"settle", "record"},
    "neulvm": {*neulvm.FACTS, "box", "starts"},
}


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*/claims.csv")), ids=lambda path: path.parent.name)
def test_claims_ask_for_facts_that_their_study_tells(path):
    asked = {each.fact for claim in claims.read(path) for each in claims.conditions(claim.conditions)}
    assert asked <= NAMES[path.parent.name] | {"dataset", "networks", "replicas", "n"}
