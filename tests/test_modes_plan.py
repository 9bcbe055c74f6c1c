"""Study modes: what its workflow rules ask for."""

import pytest

from respike.modes import digits, plan
from respike.modes.params import Variant

PLAIN = {"steps": 100, "switch_steps": 0, "switch_probability": 0}
CONFIG = {
    "digits_dir": None,
    "redundant_modes": False,
    "chunk": 2,
    "digits": PLAIN,
    "contextual": PLAIN,
    "switch": {"steps": 100, "switch_steps": 20, "switch_probability": 0.5},
    "networks": [
        {"task": "digits", "cell": "spike", "neurons": [10, 20], "modes": [9, 2], "replicas": 3},
        {"task": "digits", "cell": "rate", "neurons": [10], "modes": [3], "replicas": 1},
        {"task": "switch", "cell": "rate", "neurons": [10], "modes": [3], "replicas": 1},
        {"task": "contextual", "cell": "spike", "neurons": [10], "modes": [30, 4, 1], "replicas": 1},
    ],
}


def config(**changes):
    return {**CONFIG, "redundant_modes": True, **changes}


def test_every_combination_is_a_variant_and_the_larger_number_of_replicas_counts():
    more = {"task": "digits", "cell": "spike", "neurons": [20], "modes": [2], "replicas": 1}
    replicas = plan.variants(config(networks=[*CONFIG["networks"], more]))
    assert len(replicas) == 9
    assert replicas[Variant("digits", "spike", 20, 2)] == 3
    assert str(Variant("digits", "spike", 20, 2)) == "digits_spike_N20_P2"


def test_more_modes_than_neurons_are_refused_with_key_value_and_limit():
    with pytest.raises(ValueError, match=r"modes\.networks: 30 modes for 10 neurons; expected at most 10.*redundant_modes"):
        plan.variants(CONFIG)


@pytest.mark.parametrize("switch_steps", [0, 19, 51])
def test_a_switch_outside_the_response_or_within_the_decision_is_refused_before_anything_runs(switch_steps):
    """The last 20 of 100 steps decide: with fewer switched ones a perfect output has the wrong sign there."""
    switch = {**CONFIG["switch"], "switch_steps": switch_steps}
    with pytest.raises(ValueError, match=rf"modes\.switch\.switch_steps = {switch_steps}; expected 20 to 50"):
        plan.variants(config(switch=switch))
    plan.variants(config(switch=switch, networks=CONFIG["networks"][:1]))


@pytest.mark.parametrize(("task", "share", "expected"), [("switch", 0, "more than 0"), ("contextual", 0.5, "0: trials")])
def test_trials_switch_in_the_task_of_that_name_alone(task, share, expected):
    changed = config(**{task: {**CONFIG[task], "switch_probability": share}})
    with pytest.raises(ValueError, match=rf"modes\.{task}\.switch_probability = {share:g} .* expected {expected}"):
        plan.variants(changed)
    plan.variants({**changed, "networks": CONFIG["networks"][:1]})


def test_trials_come_in_chunks_and_finished_ones_stay(tmp_path):
    networks = CONFIG["networks"][1:2] + [{**CONFIG["networks"][0], "neurons": [10], "modes": [2]}]
    asked = config(networks=networks)
    expected = ["digits_rate_N10_P3_0-0", "digits_spike_N10_P2_0-1", "digits_spike_N10_P2_2-2"]
    assert plan.simulations(asked, str(tmp_path)) == [f"{tmp_path}/{name}.npz" for name in expected]
    (tmp_path / "digits_spike_N10_P2_0-0.npz").touch()
    expected[1:] = ["digits_spike_N10_P2_0-0", "digits_spike_N10_P2_1-2"]
    assert plan.simulations(asked, str(tmp_path)) == [f"{tmp_path}/{name}.npz" for name in expected]


def test_fits_of_a_chunk():
    wildcards = {"task": "digits", "cell": "spike", "neurons": "10", "modes": "2", "first": "9", "last": "11"}
    assert plan.fits("fits", **wildcards) == [f"fits/digits_spike_N10_P2_replica{number}.pt" for number in (9, 10, 11)]


def test_of_each_task_the_spiking_network_nearest_to_three_modes_is_shown(tmp_path):
    """2 is nearer than 9, 4 nearer than 1 and 30; of two sizes the first; rate networks have no spikes."""
    expected = ["digits_spike_N10_P2_0-1", "contextual_spike_N10_P4_0-0"]
    assert plan.shown(config(), str(tmp_path)) == [f"{tmp_path}/{name}.npz" for name in expected]


def test_digits_of_the_user_or_those_that_are_embedded(tmp_path):
    assert plan.digit_source(CONFIG, "standin") == {"folder": "standin", "standin": "scikit-learn digits"}
    assert plan.digit_files(CONFIG, "standin") == [f"standin/{name}" for name in digits.FILES]
    mine = config(digits_dir=str(tmp_path))
    assert plan.digit_source(mine, "standin") == {"folder": str(tmp_path)}
    assert plan.digit_files(mine, "standin") == []
    for name in (digits.FILES[3], f"{digits.FILES[0]}.gz", "notes.txt"):
        (tmp_path / name).touch()
    assert plan.digit_files(mine, "standin") == [f"{tmp_path}/{digits.FILES[0]}.gz", f"{tmp_path}/{digits.FILES[3]}"]
