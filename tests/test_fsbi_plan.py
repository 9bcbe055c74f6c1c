"""What the workflow rules of fsbi are told: files, rounds, settings, and configs that cannot be used."""

from functools import cache
from pathlib import Path

import pytest
import yaml

from respike.fsbi import plan
from respike.schema import check

ROOT = Path(__file__).resolve().parents[1]
FIRST = {"rules": 40}
SECOND = {"rules": 20, "metrics": ["rate", "w_blow"], "aim": {"rate": [5, 10]}, "filter": {"rate": [3, 15]}, "thin": "aim"}
SPACE = {"data": "surrogate", "rounds": 2, "chunk": 15, "draw": 30, "schedule": [FIRST, SECOND], "fit": {"members": 3}}


@cache
def schema() -> dict:
    """The schema of the block `fsbi`."""
    return yaml.load((ROOT / "workflow/schemas/config.schema.yaml").read_text(), yaml.CSafeLoader)["properties"]["fsbi"]


def config(family: str = "mlp", longevity: dict | None = None, **space: object) -> dict:
    """The block `fsbi` of the default config with one family, defaults filled in."""
    block = yaml.load((ROOT / "config.yaml").read_text(), yaml.CSafeLoader)["fsbi"]
    block |= {"networks": [family], family: {**SPACE, **space}, "longevity": longevity or {"rules": 7, "chunk": 4}}
    return check(block, schema())


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def mine(tmp_path, monkeypatch) -> None:
    """Files of a user, in the present folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.npy", "b.npy", "long.npy", "all.npy", "hidden.txt"):
        Path(name).write_text("1")


# -- which rules stand in which file ----------------------------------------------------------------------------------


def test_a_round_is_drawn_in_lots_and_simulated_in_chunks(tmp_path):
    where = (config(), str(tmp_path), "mlp", "round0")
    assert plan.ranges(*where, "rules") == [(0, 29), (30, 39)]
    assert plan.ranges(*where, "surrogate") == [(0, 14), (15, 29), (30, 39)]
    home = f"{tmp_path}/mlp/round0"
    assert plan.results(*where) == [f"{home}/surrogate_{name}.parquet" for name in ("0-14", "15-29", "30-39")]
    assert plan.drawn(*where) == [f"{home}/rules_{name}.parquet" for name in ("0-29", "30-39")]


def test_finished_files_keep_their_size_and_surplus_rules_are_kept(tmp_path):
    touch(tmp_path / "mlp/round0", ".made/rules_0-49.parquet.json", "surrogate_0-9.parquet", "surrogate_35-49.parquet")
    where = (config(), str(tmp_path), "mlp", "round0")
    assert plan.ranges(*where, "rules") == [(0, 49)]  # more were asked for before
    assert plan.ranges(*where, "surrogate") == [(0, 9), (10, 24), (25, 39)]


def test_a_chunk_across_two_lots_says_where_it_starts(tmp_path):
    where = (config(), str(tmp_path), "mlp", "round0")
    home = f"{tmp_path}/mlp/round0"
    assert plan.drawn(*where, 15, 29) == [f"{home}/rules_0-29.parquet"]
    assert plan.rows(*where, 15, 29) == {"first": 15, "count": 15}
    assert plan.drawn(*where, 28, 33) == [f"{home}/rules_0-29.parquet", f"{home}/rules_30-39.parquet"]
    assert plan.rows(*where, 28, 33) == {"first": 28, "count": 6}
    assert plan.rows(*where, 30, 39) == {"first": 0, "count": 10}


def test_the_longevity_test_has_rules_and_chunks_of_its_own(tmp_path):
    where = (config(), str(tmp_path), "mlp", "longevity")
    assert plan.ranges(*where, "rules") == [(0, 6)]
    assert plan.ranges(*where, "surrogate") == [(0, 3), (4, 6)]


@pytest.mark.usefixtures("mine")
def test_released_files_take_the_place_of_rules_and_simulations():
    released = {"released": ["a.npy", "b.npy"], "released_longevity": "long.npy", "released_whole": "all.npy"}
    asked = config(data="released", **released)
    assert [plan.results(asked, "r", "mlp", part) for part in ("round1", "longevity", "whole")] == [
        ["b.npy"],
        ["long.npy"],
        ["all.npy"],
    ]
    assert not any(plan.drawn(asked, "r", "mlp", part) for part in ("round1", "longevity", "whole"))
    assert plan.whole(asked, "r") == ["r/mlp/whole/table.parquet"]
    assert plan.whole(config(), "r") == []


def test_a_round_reads_the_tables_before_it_and_the_study_those_of_all():
    assert plan.tables(config(), "r", "mlp", 0) == []
    assert plan.tables(config(), "r", "mlp", 1) == ["r/mlp/round0/table.parquet"]
    assert plan.tables(config(), "r", "mlp") == ["r/mlp/round0/table.parquet", "r/mlp/round1/table.parquet"]


def test_only_a_round_with_metrics_has_an_ensemble_and_only_one_that_thins_a_classifier():
    assert plan.members(config(), "r", "mlp", 0) == plan.thinning(config(), "r", "mlp", 0) == []
    assert plan.members(config(), "r", "mlp", 1) == [f"r/mlp/round1/member{number}.pt" for number in range(3)]
    assert plan.thinning(config(), "r", "mlp", 1) == [f"r/mlp/round1/{name}.npz" for name in ("classifier", "predictor")]
    assert plan.posteriors(config(), "r", "mlp") == ["r/mlp/round1/posterior.npz"]
    assert plan.thinning(config(schedule=[FIRST, {**SECOND, "thin": "none"}]), "r", "mlp", 1) == []


def test_a_network_is_shown_only_where_it_was_simulated():
    simulated, formula = config("poly", data="simulate"), config("poly")
    assert plan.recordings(simulated, "r", "poly") == ["r/poly/example/recordings_0-0.npz"]
    assert plan.recordings(formula, "r", "poly") == []
    assert set(plan.figures(simulated, "poly")) - set(plan.figures(formula, "poly")) == {"network"}
    assert set(plan.figures(formula, "poly")) - set(plan.figures(config(), "mlp")) == {"mean_field"}


# -- what stages are told ---------------------------------------------------------------------------------------------


def test_a_data_set_says_what_was_simulated():
    small = config(data="simulate", network={"n_e": 512, "n_i": 128})
    assert plan.dataset(small, "mlp", "round0") == "simulated network, 512 + 128 cells"
    assert plan.dataset(config(), "mlp", "round0") == "surrogate"
    assert plan.dataset(small, "mlp", "whole") == "released"


def test_a_round_changes_its_aims_and_no_plausible_bound():
    bounds = config()["targets"]
    changed = plan.targets(config(), "mlp", 1)
    assert changed["rate"] == {"aim": [5.0, 10.0], "plausible": bounds["rate"]["plausible"]}
    assert {name: entry for name, entry in changed.items() if name != "rate"} == {
        name: entry for name, entry in bounds.items() if name != "rate"
    }
    conditioned = {"rate": {"aim": [5.0, 10.0]}, "w_blow": {"aim": [0.0, 0.1]}}
    assert plan.aims(config(), "mlp", 1) == {"metrics": ["rate", "w_blow"], "targets": conditioned}
    proposal = plan.proposal(config(), "mlp", 1)
    assert (proposal["sharpness"], proposal["among"], proposal["patience"]) == (1.0, 1, 20_000)


@pytest.mark.parametrize(("thin", "known"), [("aim", {"rate", "w_blow"}), ("none", set()), ("finite", set())])
def test_a_classifier_is_told_no_bound_that_it_does_not_need(thin, known):
    labels = plan.labels(config(schedule=[FIRST, {**SECOND, "thin": thin}]), "mlp", 1)
    assert set(labels["targets"]) == known
    everything = plan.labels(config(schedule=[FIRST, {**SECOND, "thin": "plausible"}]), "mlp", 1)
    assert everything["targets"] == plan.targets(config(), "mlp", 1)


def test_the_longevity_test_runs_longer_and_stops_on_a_blow_up_only():
    asked = config(longevity={"settle": 1190})
    short, long = (plan.simulation(asked, "mlp", part)["protocol"] for part in ("round0", "longevity"))
    assert (short["settle"], short["record"], short["wall_limit"]) == (60, 10, 3600)
    assert {**short, "settle": 1190.0, "stop": "reference", "wall_limit": 3600 * 1200 / 70} == long
    assert short["stop"] == "early"


@pytest.mark.parametrize(("data", "seconds"), [("simulate", 200), ("released", None), ("surrogate", None)])
def test_figures_know_how_long_the_longevity_test_was_where_it_is_ours(data, seconds):
    asked = config(longevity={"condition": "activity", "settle": 190}, data=data)
    assert plan.shown(asked, "mlp")["seconds"] == seconds


def test_time_limits_grow_with_the_work_and_end_at_a_day():
    asked = config("poly", simulation={"protocol": {"settle": 60, "record": 10}}, network={"n_e": 4096, "n_i": 1024})
    assert plan.minutes(asked, "poly", "round0", 0, 29) == 10 + int(2 * 0.4 * 70 * 30 / 60)
    assert plan.minutes(asked, "poly", "round0", 0, 99_999) == 24 * 60


@pytest.mark.parametrize(("condition", "n"), [("activity", 2), ("plausible", 17)])
def test_survivors_know_the_bounds_of_their_condition(condition, n):
    assert len(plan.survival(config(longevity={"condition": condition}))["targets"]) == n


def test_the_table_of_metrics_knows_the_rounds_that_are_run():
    assert plan.measured(config(rounds=1))["schedule"] == {"mlp": [{"metrics": [], "aim": {}}]}
    assert plan.measured(config())["schedule"]["mlp"][1] == {"metrics": ["rate", "w_blow"], "aim": {"rate": [5, 10]}}


def test_networks_without_cells_and_recordings_without_excitatory_ones_are_refused():
    for key in ("n_e", "n_i", "n_input"):
        with pytest.raises(ValueError, match=f"network.{key} = 0"):
            config(network={key: 0})
    with pytest.raises(ValueError, match="n_recorded_e = 0"):
        config(simulation={"protocol": {"n_recorded_e": 0}})
    assert config(simulation={"protocol": {"n_recorded_i": 0}})


# -- configs that cannot be used --------------------------------------------------------------------------------------

REFUSED = [
    ("mlp", {"rounds": 3}, r"fsbi.mlp.rounds = 3: schedule has only 2 entries"),
    ("mlp", {"data": "released", "released": ["a.npy"]}, r"fsbi.mlp.released = \['a.npy'\]: expected 2 .npy files"),
    (
        "mlp",
        {"data": "released", "released": ["a.npy", "b.npy"]},
        r"fsbi.mlp.released_longevity = '': expected the .npy file of the 20",
    ),
    (
        "mlp",
        {"schedule": [FIRST, {"rules": 20, "thin": "aim", "among": 1024, "sharpness": 16}]},
        r"schedule\[1\].thin = 'aim': a round without metrics has no aim",
    ),
    ("mlp", {"simulation": {"protocol": {"record": 0.5}}}, r"protocol.record = 0.5: .*1"),
    ("poly", {"hidden_file": "hidden.txt"}, r"fsbi.poly.hidden_file = 'hidden.txt': only mlp rules have hidden layers"),
    (
        "mlp",
        {"schedule": [FIRST, {**SECOND, "thin_by": "mean_field"}]},
        r"mlp.schedule\[1\].thin_by = 'mean_field': only poly",
    ),
    (
        "mlp",
        {"schedule": [FIRST, {**SECOND, "metrics": ["weif"]}]},
        r"schedule\[1\].metrics = 'weif': a network of mlp has rate",
    ),
    ("mlp", {"schedule": [FIRST, {**SECOND, "aim": {"rats": [1, 2]}}]}, r"schedule\[1\].aim = 'rats': a network of mlp has"),
    (
        "mlp",
        {"schedule": [FIRST, {**SECOND, "metrics": ["w_blow"]}]},
        r"schedule\[1\].aim = 'rate': expected metrics that the round is conditioned on, \['w_blow'\]",
    ),
    (
        "mlp",
        {"schedule": [{**FIRST, "thin": "finite"}, SECOND]},
        r"schedule\[0\].thin = 'finite': the first round .* prior; none",
    ),
    (
        "mlp",
        {"schedule": [{**FIRST, "metrics": ["rate"]}, SECOND]},
        r"schedule\[0\].metrics = \['rate'\]: the first round .* prior; \[\]",
    ),
    (
        "mlp",
        {"schedule": [{**FIRST, "filter": {"rate": [1, 2]}}, SECOND]},
        r"schedule\[0\].filter = .*: the first round .* prior; {}",
    ),
    (
        "mlp",
        {"schedule": [FIRST, {**SECOND, "metrics": [], "aim": {}}]},
        r"schedule\[1\].filter = {'rate': \[3.0, 15.0\]}: .* any without metrics .* prior; {}",
    ),
    ("mlp", {"schedule": [{**FIRST, "aim": {"rate": [1, 2]}}, SECOND]}, r"schedule\[0\].aim = 'rate': expected metrics"),
    ("mlp", {"schedule": [FIRST, {**SECOND, "filter": {"rate": [3]}}]}, r"schedule.1.filter.rate = \[3.0\]: .* too short"),
    (
        "mlp",
        {"schedule": [FIRST, {**SECOND, "aim": {"rate": [10, 5]}}]},
        r"aim.rate = \[10.0, 5.0\]: expected the lower bound first",
    ),
]


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(("family", "space", "message"), REFUSED)
def test_a_config_that_cannot_be_used_is_refused(family, space, message):
    with pytest.raises(ValueError, match=f"^config: .*{message}"):
        plan.check(config(family, **space))


@pytest.mark.parametrize("kind", ["aim", "plausible"])
def test_bounds_the_wrong_way_round_are_refused_with_the_config(kind):
    asked = config()
    asked["targets"]["rate"][kind] = [30.0, 1.0]
    with pytest.raises(ValueError, match=rf"targets.rate.{kind} = \[30.0, 1.0\]: expected the lower bound first"):
        check(asked, schema())


def test_a_round_is_conditioned_on_metrics_with_an_aim():
    asked = config()
    del asked["targets"]["w_blow"]
    with pytest.raises(
        ValueError, match=r"fsbi.mlp.schedule\[1\].metrics = 'w_blow': fsbi.targets has no aim for it; it has .*fft"
    ):
        plan.check(asked)


def test_a_round_thinned_by_plausibility_has_bounds_to_judge_by():
    asked = config()
    asked["mlp"]["schedule"][1]["thin"] = "plausible"
    plan.check(asked)
    for bounds in asked["targets"].values():
        bounds["plausible"] = None
    with pytest.raises(
        ValueError, match=r"fsbi.mlp.schedule\[1\].thin = 'plausible': no metric in fsbi.targets has plausible"
    ):
        plan.check(asked)


@pytest.mark.parametrize(("block", "part"), [("targets", None), ("examine", "condition")])
def test_a_metric_that_does_not_exist_is_refused(block, part):
    asked = config()
    named = asked[block][part] if part else asked[block]
    named["ratee"] = asked["targets"]["rate"]
    with pytest.raises(ValueError, match=rf"fsbi.{'.'.join(filter(None, (block, part)))}.ratee = .*: metrics are rate, "):
        plan.check(asked)
