"""fsbi against cases made by the published programs: the metrics, exactly."""

import numpy as np
import pytest

from respike.fsbi import mlp
from respike.fsbi.recording import Recording
from respike.fsbi.summary import summarise
from tests.conftest import reference_cases


@pytest.mark.parametrize("path", reference_cases("fsbi", "metric_cases*.npz"))
def test_metrics_agree_with_published_ones(path):
    stored = np.load(path, allow_pickle=False)
    for case, expected in zip(stored["case_names"], stored["metrics"], strict=True):
        found = summarise(recording_of(stored, case))
        values = np.array([found[name] for name in stored["metric_names"]])
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-12, err_msg=str(case))


def recording_of(stored, case) -> Recording:
    """Recording of one case; a type of synapse that the case does not have is not plastic."""
    times, cells, counts = {}, {}, {}
    for population in "ei":
        times[population] = stored[f"{case}__{population}_times"]
        counts[population] = stored[f"{case}__{population}_counts"]
        cells[population] = np.repeat(np.arange(len(counts[population])), counts[population])
    kinds = [kind for kind in ("EE", "EI", "IE", "II") if f"{case}__w_{kind.lower()}" in stored.files]
    weights = {kind: stored[f"{case}__w_{kind.lower()}"].T for kind in kinds}  # stored as (synapse, sample)
    return Recording(
        e_times=times["e"],
        e_cells=cells["e"],
        n_e=len(counts["e"]),
        i_times=times["i"],
        i_cells=cells["i"],
        n_i=len(counts["i"]),
        start=60.0,
        stop=70.0,
        weight_times=stored["w_t"],
        weights=weights,
    )


@pytest.mark.parametrize("path", reference_cases("fsbi", "trace_mlp*.npz"))
def test_function_of_the_mlp_rule_in_the_figures(path):
    stored = np.load(path, allow_pickle=False)
    layers = np.concatenate([stored["Wh1"].ravel(), stored["Wh2"].ravel()])
    for side in ("pre", "post"):
        *readout, bias = stored[f"W{side}"]
        found = mlp.change(stored["fun_in"], layers, np.array(readout), bias)
        np.testing.assert_allclose(found, stored[f"fun_{side}"], rtol=0, atol=1e-6)
