"""Diagnostics of a posterior on toys with known answers: the exact posterior, one too narrow, one with wrong correlations."""

import numpy as np
import pytest
from scipy import stats

from respike.core import calibration

CASES, DRAWS = 1500, 200
COVARIANCE = np.array([[1.0, 0.8], [0.8, 1.0]])


def toy(rng, draws_like=COVARIANCE, shift=0.0):
    """Truth and draws around the same centres; the truth is Gaussian with COVARIANCE there, the draws as they are told."""
    centres = rng.normal(size=(CASES, 2))
    truth = centres + rng.multivariate_normal([0, 0], COVARIANCE, CASES)
    return truth, shift + centres + rng.multivariate_normal([0, 0], draws_like, (DRAWS, CASES))


def deviations(truth, draws, rng):
    """Of the worst parameter, of the joint density, of TARP."""
    marginal = max(calibration.deviation(calibration.coverage(r)) for r in calibration.ranks(truth, draws).T)
    joint = calibration.deviation(calibration.coverage(calibration.joint_ranks(truth, draws)))
    return marginal, joint, calibration.deviation(calibration.tarp(truth, draws, rng))


def test_the_exact_posterior_stays_in_the_band(rng):
    assert max(deviations(*toy(rng), rng)) < calibration.band(CASES, 0.999)


def test_right_marginals_with_wrong_correlations_are_caught_by_joint_coverage_and_tarp_alone(rng):
    marginal, joint, tarp = deviations(*toy(rng, COVARIANCE * [[1, -1], [-1, 1]]), rng)
    assert marginal < calibration.band(CASES, 0.999)
    assert joint > calibration.band(CASES, 0.999)
    assert tarp > calibration.band(CASES, 0.999)


@pytest.mark.parametrize("wrong", [{"draws_like": COVARIANCE / 3}, {"draws_like": COVARIANCE * 3}, {"shift": 0.7}])
def test_too_narrow_too_wide_and_shifted_are_caught_by_all(rng, wrong):
    assert min(deviations(*toy(rng, **wrong), rng)[:2]) > calibration.band(CASES, 0.99)


def test_joint_ranks_of_many_parameters_from_few_draws(rng):
    """Twelve parameters, a Gaussian from 30 draws: a poor density, but truth and draws are equally strange to it."""
    truth, draws = rng.normal(size=(CASES, 12)), rng.normal(size=(60, CASES, 12))
    curve = calibration.coverage(calibration.joint_ranks(truth, draws))
    assert calibration.deviation(curve) < calibration.band(CASES, 0.999) + 1 / 30  # ranks come in steps


def test_ranks_by_hand():
    draws = np.arange(10.0)[:, None, None] * np.array([1.0, -1.0])
    np.testing.assert_allclose(calibration.ranks(np.array([[2.5, -2.5]]), draws), [[0.3, 0.7]])


def test_joint_ranks_by_a_density_that_is_given():
    """A density that falls from 0: the truth 2.5 is less likely than 0, 1, 2, so seven of ten draws are below it."""
    draws = np.arange(10.0)[:, None, None]
    found = calibration.joint_ranks(np.array([[2.5]]), draws, lambda theta, case: -theta[:, 0])
    np.testing.assert_allclose(found, [0.7])


def test_joint_ranks_of_a_gaussian_follow_chi_square(rng):
    """The truth lies two standard deviations off in both of two independent parameters: P(chi2 > 8)."""
    draws = rng.normal(size=(40000, 1, 2))
    assert calibration.joint_ranks(np.array([[2.0, 2.0]]), draws)[0] == pytest.approx(stats.chi2.sf(8, 2), abs=0.004)


def test_band_holds_what_chance_gives(rng):
    found = [calibration.deviation(calibration.coverage(rng.random(50))) for _ in range(1000)]
    assert np.mean(np.array(found) < calibration.band(50, 0.9)) == pytest.approx(0.92, abs=0.04)  # steps counted halfway


def test_an_observation_unlike_all_predictions_is_unexpected(rng):
    predicted = rng.normal(size=(300, 5))
    assert calibration.unexpected(np.full(5, 6.0), predicted, 1) < 0.02
    inside = np.array([calibration.unexpected(x, predicted, 1) for x in rng.normal(size=(8, 5))])
    assert np.mean(inside > 0.05) >= 0.7


def test_as_many_lie_outside_as_chance_gives_however_few_draws_there_are(rng):
    observed, predicted = rng.normal(size=40_000), rng.normal(size=(100, 40_000))
    assert calibration.outside(observed, predicted) == pytest.approx(0.05, abs=0.004)
    assert calibration.outside(observed, predicted[:39], 0.9) == pytest.approx(
        0.1, abs=0.006
    )  # the second and the last but one


def test_outside_by_hand():
    predicted = np.tile(np.linspace(0, 1, 101)[:, None], (1, 4))
    assert calibration.outside(np.array([0.5, 0.01, 0.99, 0.03]), predicted) == 0.5
    assert calibration.outside(np.array([0.5, np.nan, 0.99, 0.03]), predicted) == 0.5, "nan lies in no interval"


def test_what_is_no_number_is_neither_expected_nor_ranked(rng):
    truth, draws = rng.normal(size=(20, 2)), rng.normal(size=(10, 20, 2))
    assert np.isnan(calibration.unexpected(np.full(3, np.nan), rng.normal(size=(50, 3)), 1))
    for rank in (calibration.ranks, calibration.joint_ranks):
        for given in ((np.where(truth > 1, np.nan, truth), draws), (truth, draws[:, :1, :1]), (truth[:, :1], draws[..., 0])):
            with pytest.raises(ValueError, match=r"draws \(10.* of truth \(20.*: expected finite ones, \(draw, case"):
                rank(*given)
