"""neuLVM: constants against the published ones; generators, summaries and drives against plain loops over every cell."""

import copy
import math
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import poisson

from respike.core import seeds
from respike.neulvm import clusters, drives, embedded, freerun, kernel, measurement, microscopic, model, simulation, states
from respike.neulvm.fitted import Fitted
from respike.neulvm.inference import (
    ascent,
    choice,
    diagnostics,
    em,
    meanfield,
    particles,
    partition,
    posterior,
    summaries,
    tried,
)
from respike.neulvm.model import Trial
from respike.neulvm.params import (
    PUBLISHED_BOX,
    Baselines,
    Choice,
    Circuit,
    Cluster,
    Data,
    Fit,
    Free,
    Posterior,
    Prior,
    Refine,
    Sweep,
    Window,
)
from respike.neulvm.rivals import glm, hmm, plds
from respike.neulvm.stages import metrics
from tests.constants import check

SMALL = Circuit(
    (6, 4), ((1, -0.5), (-1, 0)), (50.0, 40.0), (8.0, 6.0), (14.0, 11.0), (3.7, 3.2), (300.0, 150.0), refractory=0.004,
    delay=0.002, input_gain=0.7, typical_rates=(12.0, 20.0),
)  # fmt: skip
CALM = replace(SMALL, rest=(7.0, 6.0))  # cells that fire now and then


def test_constants_of_the_published_circuit_and_program():
    """The generator and the loss as published: 2.5 mV noise, mV and ms made dimensionless, floors of hazard and variance."""
    check(
        Circuit(), sizes=(400, 400, 200), connectivity=((1, 0, 1), (0, 1, 1), (-1, -1, -1)), mem_rate=(1 / 0.020,) * 3,
        coupling=(9.984, 9.984, 19.968), rest=(36 / 2.5,) * 3, syn_rate=(1 / 0.003, 1 / 0.003, 1 / 0.006),
        refractory=0.004, delay=0, input_gain=1, typical_rates=(5, 20, 25),
    )  # fmt: skip
    assert Circuit().threshold == pytest.approx((3.6974149,) * 3, abs=1e-7)
    check(kernel, SILENT=1e-8, LEAST_RATE=0.1, SWITCH=0.01, FEW=1e-60, LEAST_SURVIVAL=1e-100)
    check(em, BETA=(0.9, 0.999), EPSILON=1e-7, WIDE=(0.3, 3))
    check(drives, OU_TAU=0.003, EVERY=1, LENGTH=0.5, STRENGTH=20)
    check(
        Prior(), mem_rate=((1 / 0.050, 1 / 0.010),), coupling=((3, 25), (3, 25), (10, 50)), rest=((6, 30),),
        threshold=((1.5, 8),), weights="row",
    )  # fmt: skip
    assert (PUBLISHED_BOX, model.QUADRATURE) == ((0.4, 2.0), 0.001)
    assert microscopic.START_AGES[[0, -1]] == pytest.approx([0, 0.4998])
    assert np.diff(microscopic.START_AGES) == pytest.approx(0.0002)


def test_settings_of_fits_windows_runs_and_trials():
    """Published where the comment in `params` says so: window, smoothing, Adam; the others as the page has them."""
    assert asdict(Fit()) == {
        "scheme": "exact", "e_step": "lbfgs", "iterations": 1, "m_steps": 200, "e_steps": 400, "e_patience": 3, "e_rate": 1e-3,
        "e_tolerance": 1e-6, "smoothing": 0.4, "kernel": "gaussian",
    }  # fmt: skip
    assert asdict(Refine()) == {"rounds": 40, "paths": 8, "particles": 150, "history": 0.3, "momentum": 0.7, "step": 0.7}
    factors = (0.92, 0.94, 0.96, 0.98, 1, 1.02, 1.04, 1.06, 1.08)
    assert asdict(Choice()) == {"starts": 4, "factors": factors, "seconds": 400, "history": 0.3, "recordings": 0}
    assert asdict(Data()) == {
        "recording": "embedded", "start": 0, "column": "", "order": (), "groups": (), "units": {}, "seconds": 21,
        "drive": "none", "sampled": 10,
    }  # fmt: skip
    assert asdict(Window()) == {
        "dt": 0.004, "fine": 0.0002, "history": 1, "end": 11, "length": 10, "batch": 10, "held_out": 10, "cells": 3,
        "pick": "first",
    }  # fmt: skip
    assert asdict(Free()) == {
        "seconds": 200, "pulses": 60, "pulse_size": 30, "pulse_first": 0, "pulse_target": 1, "pulse_start": 1.5,
        "pulse_length": 0.3, "trial": 3,
    }  # fmt: skip
    assert asdict(Cluster()) == {
        "size": 500, "coupling": -40, "delay": 0.004, "noise": 0.75, "rest": 30, "threshold": 15, "mem_rate": 50,
        "refractory": 0.004, "seconds": 60, "dt": 0.0005,
    }  # fmt: skip
    steps = (0.004, 0.002, 0.001)
    assert asdict(Sweep()) == {"exact": steps, "compat": steps, "seconds": 400, "network_seconds": 400, "history": 0.5}
    assert asdict(Baselines()) == {"latents": (2, 3), "iterations": 30, "seconds": 200}
    assert asdict(Posterior()) == {"simulations": 4000, "tolerance": 0.4, "share": 0.25, "history": 0.3, "recordings": 20}


def test_constants_of_what_is_measured_and_inferred():
    """What the pages state: 50 ms and 8 Hz tell states apart, 20 ms smooth correlations, Hann windows of 0.4 s, and so on."""
    check(states, WIDTH=0.05, MARGIN=8)
    check(measurement, SMOOTH=0.02)
    check(clusters, CLUSTER_WINDOW=0.4, HOP=0.1, PADDING=4, LOWEST=5, HIGHEST=120)
    check(embedded, TRIES=50, CLEAR=0.2)
    check(simulation, CELLS=3, SECONDS=20)
    check(ascent, RENEW=5, DIFFERENCE=1e-3, FLATTEST=1e-3, LONGEST=0.05)
    check(posterior, SETTLE=0.5, FOLDS=5, LEVELS=(0.5, 0.9), JUDGED=400)
    np.testing.assert_allclose(posterior.RIDGES, 10.0 ** np.arange(0, 4.5, 0.5))
    check(diagnostics, DRAWS=300)
    check(
        meanfield, STEP=0.002, LONGEST=0.5, GRID=20, PER_ROUND=4000, MOST_ROUNDS=200, VAIN_ROUNDS=5, CANDIDATES=2, WIDEST=1.6
    )
    assert meanfield.POTENTIALS[[0, 1, -1]] == pytest.approx([-5, -5 + 65 / 129, 60])
    check(partition, SMOOTHING=0.1, STARTS=20)
    check(summaries, SLOW=0.15, QUANTILES=(0.05, 0.25, 0.5, 0.75, 0.95), PRIOR_BINS=2)
    assert summaries.AGES == (0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.044, 0.06, 0.08, 0.112, 0.16, 0.3)
    lags = ((0, 0), (0.004, 0.008), (0.012, 0.02), (0.024, 0.04), (0.044, 0.1), (0.104, 0.2), (0.204, 0.5))
    assert lags == summaries.LAGS
    check(tried, ROUNDS=30)
    check(glm, TAUS=(0.004, 0.016, 0.064, 0.256), COPIES=20)
    check(hmm, LEAST=1e-5)
    assert hmm.START.tolist() == [0.5, 0.5]
    check(plds, NEWTON=20, TOLERANCE=1e-6, LARGEST_RADIUS=0.9995)


def test_network_equals_a_loop_over_its_cells():
    """A small network with delay, input and sampled cells; the same random numbers, the equations written anew."""
    seconds, dt, n_sampled, every = 0.3, 0.0005, 2, 8
    current = 30 * np.random.default_rng(1).standard_normal((math.ceil(600 / every), 2))
    run = microscopic.simulate(SMALL, seconds, np.random.default_rng(5), dt, n_sampled, current, every)
    rng, sizes, alpha = np.random.default_rng(5), SMALL.sizes, np.array(SMALL.mem_rate)
    chosen = [sorted(rng.choice(size, n_sampled, replace=False)) for size in sizes]
    weights = np.array([[8.0, -4.0], [-6.0, 0.0]])  # coupling of the row times the sign
    h = np.array([14.0, 11.0]) + np.array([12.0, 20.0]) @ weights / alpha
    ages, grid = [], np.arange(0, 0.5, 0.0002)
    for m, size in enumerate(sizes):
        rising = np.where(grid >= 0.004, h[m] * (1 - np.exp(-alpha[m] * grid)), 0)
        survival = np.exp(-0.0002 * np.cumsum(np.where(rising == 0, 0, np.exp(rising - SMALL.threshold[m]))))
        ages.append(rng.choice(grid, size, p=survival / survival.sum()))
    u = [[h[m] * (1 - math.exp(-alpha[m] * a)) if a >= 0.004 else 0.0 for a in ages[m]] for m in (0, 1)]
    wait = [[max(0, 8 - int(a / dt + 1e-9)) for a in ages[m]] for m in (0, 1)]  # steps before a cell may fire
    bound = [[rng.exponential() for _ in range(size)] for size in sizes]
    summed, synapse = [[0.0] * size for size in sizes], np.array([12.0, 20.0])
    counts, sampled, chances = np.zeros((600, 2), int), np.zeros((600, 4), bool), np.zeros((600, 4))
    keep = np.exp(-np.array([300.0, 150.0]) * dt)
    for c in range(600):
        if c > 4:  # the delay of 2 ms, and a step
            synapse = keep * synapse + (1 - keep) * counts[c - 5] / (np.array(sizes) * dt)
        drive = 0.7 * current[c // every] + synapse @ weights
        for m in (0, 1):
            x, leak = np.zeros(sizes[m]), math.exp(-alpha[m] * dt)
            for i in range(sizes[m]):
                u[m][i] = leak * u[m][i] + (1 - leak) * SMALL.rest[m] + dt * drive[m] if wait[m][i] <= 0 else 0.0
                x[i] = dt * math.exp(u[m][i] - SMALL.threshold[m]) if wait[m][i] <= 0 else 0.0
                wait[m][i] -= 1
                summed[m][i] += x[i]
            chances[c, 2 * m : 2 * m + 2] = 1 - np.exp(-x[chosen[m]])
            fired = [summed[m][i] >= bound[m][i] for i in range(sizes[m])]
            sampled[c, 2 * m : 2 * m + 2] = [fired[i] for i in chosen[m]]
            counts[c, m] = sum(fired)
            for i in np.flatnonzero(fired):
                u[m][i], summed[m][i], wait[m][i], bound[m][i] = 0.0, 0.0, 8, rng.exponential()
    assert counts.sum() > 30
    np.testing.assert_array_equal(run.counts, counts)
    np.testing.assert_array_equal(run.sampled, sampled)
    np.testing.assert_allclose(run.probabilities, chances, rtol=1e-5, atol=1e-9)


def fire(rng, scheme, m, one, decay, drive):
    """One bin of 4 ms of population m of `one` (v, s by age, past with the latest first), as the head of `model` has it."""
    dt, history, size = 0.004, len(one.v[m]), SMALL.sizes[m]
    one.v[m] = np.append(0.0, decay[m] * one.v[m][1:] + drive[m])  # one bin refractory
    x = np.append(1e-8 * dt, dt * np.exp(one.v[m][1:] - SMALL.threshold[m]))
    p = np.where((scheme == "compat") & (x < 0.01), x, 1 - np.exp(-x))
    mass = one.s[m] * np.array(one.past[m][:history])
    left = (1 - one.s[m]) * mass
    old = p[-1] * (scheme == "exact")  # nobody has fired for as long as is followed
    mean = (left * p).sum() / left.sum() if left.sum() > 1e-60 else old
    expected = (mass * p).sum() + mean * (1 - mass.sum())
    chance = min(max(expected, 0), 1)
    fired = rng.binomial(size, chance) / size if scheme == "exact" else max(0.0, rng.normal(chance, math.sqrt(chance / size)))
    one.past[m].insert(0, fired)
    one.v[m], one.s[m] = np.append(0.0, one.v[m][:-1]), np.append(1.0, (one.s[m] * np.exp(-x))[:-1])
    return fired


def begun(circuit, early, history, scheme):
    """State at the start, all having fired at the rates `early`; factor and gain of a step of the membrane."""
    alpha, weights = np.array(circuit.mem_rate), np.array([[8.0, -4.0], [-6.0, 0.0]])
    h = np.array(circuit.rest) + early @ weights / alpha
    start = [model.stationary(circuit, m, h[m], history, 0.004, scheme) for m in (0, 1)]
    state = SimpleNamespace(v=[np.array(each.v) for each in start], s=[np.exp(each.l) for each in start], synapse=early.copy())
    state.past, state.h, state.line = [[early[m] * 0.004] * history for m in (0, 1)], h, []
    decay = np.exp(-alpha * 0.004) if scheme == "exact" else 1 - alpha * 0.004
    return state, weights, decay, -np.expm1(-alpha * 0.004) / alpha if scheme == "exact" else np.full(2, 0.004)


@pytest.mark.parametrize("scheme", ["exact", "compat"])
def test_free_run_equals_a_loop_over_its_cohorts(scheme):
    """The equations at the head of `model` in plain NumPy, cohorts by age; the same draws."""
    current = 20 * np.random.default_rng(2).standard_normal((50, 2))
    found = freerun.simulate(SMALL, current, np.random.default_rng(6), 0.004, 30, scheme)
    rng, keep = np.random.default_rng(6), np.exp(-np.array(SMALL.syn_rate) * 0.004)
    one, weights, decay, gain = begun(SMALL, np.array([12.0, 20.0]), 30, scheme)
    for c in range(50):
        if c > 0:  # a delay of 2 ms is no whole bin
            one.synapse = keep * one.synapse + (1 - keep) * np.array([one.past[0][0], one.past[1][0]]) / 0.004
        drive = gain * (np.multiply(SMALL.mem_rate, SMALL.rest) + one.synapse @ weights + 0.7 * current[c])
        for m in (0, 1):
            assert found[c, m] == pytest.approx(fire(rng, scheme, m, one, decay, drive), rel=1e-9)


def test_single_cells_of_a_free_run_equal_a_loop():
    """Driven by the populations' activity of the same run; at the start a cell is at reset and free to fire."""
    dt, history, population = 0.002, 20, np.array([0, 1, 1])
    circuit, current = replace(SMALL, rest=(20.0, 14.0)), 40 * np.random.default_rng(3).random((200, 2))
    spikes = freerun.record(circuit, current, population, np.random.default_rng(7), dt, history)
    rng = np.random.default_rng(7)
    latent = freerun.simulate(circuit, current, rng, dt, history, "exact")
    alpha, keep, synapse, drive = (
        np.array(circuit.mem_rate),
        np.exp(-np.array(circuit.syn_rate) * dt),
        np.array([12.0, 20.0]),
        [],
    )
    for c in range(200):
        if c > 1:  # the delay of a bin, and the bin of the scheme
            synapse = keep * synapse + (1 - keep) * latent[c - 2] / dt
        drive.append(-np.expm1(-alpha * dt) / alpha * (alpha * circuit.rest + 0.7 * current[c] + synapse @ circuit.weights))
    expected = np.zeros_like(spikes)
    for i, m in enumerate(population):
        v, rested = 0.0, 2  # bins since the last spike
        for c in range(200):
            v = math.exp(-alpha[m] * dt) * v + drive[c][m] if rested >= 2 else 0.0
            p = 1 - math.exp(-dt * math.exp(v - circuit.threshold[m])) if rested >= 2 else 0.0
            rested += 1
            if rng.random() < p:
                expected[c, i], v, rested = 1, 0.0, 0
    assert expected.sum() > 20
    np.testing.assert_array_equal(spikes, expected)


@pytest.mark.parametrize("scheme", ["exact", "compat"])
def test_particle_filter_equals_a_loop_over_its_particles(scheme):
    """Five particles of two populations for three histories: activity, weights, resampling and lines of descent."""
    dt, n_bins, n = 0.004, 24, 5
    rng = np.random.default_rng(11)
    population, spikes = np.array([0, 1, 1]), (rng.random((1, 8 + n_bins, 3)) < 0.15).astype(np.uint8)
    trial = Trial(dt, 8, spikes, population, 20 * rng.standard_normal((1, n_bins, 2)))
    found = particles.sample(CALM, trial, 0, n, 2, np.random.default_rng(6), scheme)
    rng, early = np.random.default_rng(6), np.array([spikes[0, :8, :1].mean(), spikes[0, :8, 1:].mean()]) / dt
    one, weights, decay, gain = begun(CALM, early, 8, scheme)
    last = [np.flatnonzero(spikes[0, :8, i]) for i in range(3)]
    age = [7 - each[-1] if len(each) else (8 if scheme == "exact" else 0) for each in last]
    free = [max(each - 1, 0) * dt if scheme == "exact" else each * dt for each in age]
    one.u = [one.h[m] * (1 - math.exp(-CALM.mem_rate[m] * free[i])) for i, m in enumerate(population)]
    swarm, log_w, total = [copy.deepcopy(one) for _ in range(n)], np.zeros(n), 0.0
    keep = np.exp(-np.array(CALM.syn_rate) * dt)
    for c in range(n_bins):
        for number, one in enumerate(swarm):
            if c:
                one.synapse = keep * one.synapse + (1 - keep) * np.array([one.past[0][0], one.past[1][0]]) / dt
            drive = gain * (np.multiply(CALM.mem_rate, CALM.rest) + one.synapse @ weights + 0.7 * trial.drive[0, c])
            one.line.append([fire(rng, scheme, m, one, decay, drive) for m in (0, 1)])
            for i, m in enumerate(population):
                spike = spikes[0, 8 + c, i]
                one.u[i] = decay[m] * one.u[i] + drive[m] if age[i] >= 1 else 0.0
                x = dt * math.exp(one.u[i] - CALM.threshold[m])
                # a spike in the refractory time counts as the published program scores it
                published = age[i] < 1 or (scheme == "compat" and x < 0.01)
                of_spike = math.log(x) if published else math.log(-math.expm1(-x))
                log_w[number] += of_spike if spike else -x * (age[i] >= 1)
                one.u[i] = 0.0 if spike else one.u[i]
        w = softmax(log_w)
        if 1 / (w**2).sum() < n / 2:
            total += logsumexp(log_w) - math.log(n)
            points = (rng.random() + np.arange(n)) / n
            swarm = [copy.deepcopy(swarm[k]) for k in np.searchsorted(np.cumsum(w), points)]
            log_w, w = np.zeros(n), np.full(n, 1 / n)
        age = [0 if spikes[0, 8 + c, i] else each + 1 for i, each in enumerate(age)]
    assert -1000 < found.log_likelihood == pytest.approx(total + logsumexp(log_w) - math.log(n), rel=1e-9)
    assert total < -1, "some of it before the last resampling"
    chosen = rng.choice(n, 2, p=w)
    np.testing.assert_allclose(found.latent[:, :8], np.tile(early * dt, (2, 8, 1)))
    np.testing.assert_allclose(found.latent[:, 8:], [swarm[k].line for k in chosen], rtol=1e-9)


class TestSummaries:
    """Each number of the summaries by a loop."""

    @pytest.fixture
    def spikes(self):
        rng = np.random.default_rng(8)
        slow = np.repeat(np.where(rng.random(10) < 0.5, 0.03, 0.25), 60)[:, None]
        return (rng.random((600, 4)) < slow * [1, 1, 0.5, 0.5]).astype(np.uint8), np.array([0, 0, 1, 1]), 0.004

    def test_rates_levels_and_changes(self, spikes):
        spikes, population, dt = spikes
        found = summaries.find(spikes, population, dt)
        rate = np.stack([spikes[:, :2].mean(1), spikes[:, 2:].mean(1)], axis=1) / dt
        reach = np.arange(-150, 151)  # four times the width of 37.5 bins
        kernel_ = np.exp(-(reach**2) / (2 * 37.5**2))
        padded = np.pad(rate, ((150, 150), (0, 0)), mode="symmetric")
        slow = np.array([[np.sum(kernel_ * padded[t : t + 301, m]) for m in (0, 1)] for t in range(600)]) / kernel_.sum()
        levels = np.quantile(slow, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        changes, middle = [], (levels[0] + levels[4]) / 2
        for m in (0, 1):
            margin, side, count = (levels[4, m] - levels[0, m]) / 4, 0, 0
            for x in slow[:, m]:
                new = 1 if x > middle[m] + margin else -1 if x < middle[m] - margin else side
                count, side = count + (side * new == -1), new
            changes.append(count)
        by_hand = [
            *np.log(rate.mean(0) + 0.3),
            *np.log(levels + 0.5).ravel(),
            *(slow > middle).mean(0),
            *np.log(1 + np.array(changes)),
        ]
        assert max(changes) > 1
        np.testing.assert_allclose(found[: len(by_hand)], by_hand, rtol=1e-6)

    def test_margin_of_a_change_is_a_quarter_of_the_range(self):
        """One swing per second between two levels, and small ones in between that come short of a quarter by a little."""
        high = np.concatenate([np.tile([0.0] * 500 + [1.0] * 500, 4), np.tile([0.73] * 500 + [0.29] * 500, 4)])
        spikes = (np.random.default_rng(0).random((len(high), 400)) < 0.1 * high[:, None]).astype(np.uint8)
        found = summaries.find(spikes, np.zeros(400, int), 0.004)
        assert found[1 + 5 + 1] == pytest.approx(np.log1p(7))

    def test_hazards(self, spikes):
        spikes, population, dt = spikes
        high = np.random.default_rng(9).random(spikes.shape) < 0.5
        found = summaries._hazards(spikes, high, population, dt)
        edges = [1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 75]
        fired, there = np.zeros((2, 2, 12)), np.zeros((2, 2, 12))
        for i in range(4):
            for t in range(600):
                before = np.flatnonzero(spikes[:t, i])
                if len(before):
                    age = t - before[-1]
                    group = max(k for k in range(12) if edges[k] <= age)
                    there[population[i], int(high[t, i]), group] += 1
                    fired[population[i], int(high[t, i]), group] += spikes[t, i]
        for m in (0, 1):
            mean = (fired[m].sum() + 0.5) / (there[m].sum() + 20)
            np.testing.assert_allclose(found[m], np.log((fired[m] + 2 * mean) / (there[m] + 2)))


def test_pozzorini_drive_by_a_loop():
    dt, n_bins = 0.004, 3000
    found = drives.pozzorini(np.random.default_rng(1), n_bins, 2, dt)
    noise, keep, value, expected = np.random.default_rng(1).standard_normal(n_bins), math.exp(-0.004 / 0.003), 0.0, []
    for c in range(n_bins):
        time = c * dt
        inside = time >= 1 - 1e-9 and (time + 1e-9) % 1 < 0.5 and math.floor(time + 1e-9) <= 12 - 1.5
        sigma = abs(20 * (1 + 20 * math.sin(2 * math.pi * 0.2 * time)))
        value = keep * value + sigma * math.sqrt(1 - keep**2) * noise[c] if inside else 0.0
        expected.append(value)
    np.testing.assert_allclose(found, np.tile(np.array(expected)[:, None], 2), rtol=1e-9, atol=1e-9)
    assert np.count_nonzero(found[:, 0]) == 10 * 125  # ten windows of half a second: at 1, 2, ... 10 s


def test_white_drive_and_pulses():
    current = drives.draw("random", np.random.default_rng(2), 1000, 2, 0.004)
    np.testing.assert_allclose(current[250:375, 0], 20 * np.random.default_rng(2).standard_normal(1000)[250:375])
    assert not current[:, 1].any()
    assert drives.draw("none", np.random.default_rng(2), 7, 3, 0.004).tolist() == [[0.0] * 3] * 7
    pulse = drives.pulses(Free(pulse_size=4.0, pulse_start=0.9, pulse_length=0.2, trial=1.5), 2, 0.1)
    expected = np.zeros((15, 2))
    expected[3:5, 0], expected[9:11, 1] = 4.0, 4.0
    np.testing.assert_array_equal(pulse, expected)


class TestEmbedded:
    @pytest.mark.parametrize(("moment", "counts"), [(2.9, False), (3.2, True), (8.8, True), (9.1, False)])
    def test_a_switch_counts_in_the_middle_three_fifths_of_the_window(self, moment, counts):
        """The window of 1 to 11 s: a switch before 3 s or after 9 s does not count, and the second run is taken."""
        window, circuit = Window(fine=0.004), Circuit()
        asked = []

        def draw(attempt):
            asked.append(attempt)
            spikes, switch = np.full((2750, 3), 4), round((6.0 if attempt else moment) / 0.004)
            spikes[:switch, 0], spikes[switch:, 1] = 40, 40
            return microscopic.Run(spikes, np.zeros((2750, 0), bool), np.zeros((2750, 0)))

        embedded.first_with_switch(draw, circuit, window)
        assert asked == ([0] if counts else [0, 1])

    def test_a_driven_recording_is_the_first_run(self):
        window = Window(end=1.2, length=1.0, batch=1.0, history=0.1, held_out=0.4, dt=0.004)
        data = Data(seconds=1.7002, drive="random", sampled=2)
        made, chances = embedded.record(Circuit(), data, window, 3)
        rng = seeds.generator(3, "neulvm", "data", 0)
        drive = drives.white(rng, 426, 3, 0.004)
        run = microscopic.simulate(Circuit(), 1.7002, rng, 0.0002, 2, drive, 20)
        np.testing.assert_allclose(made.rates, run.counts / (np.array([400, 400, 200]) * 0.0002))
        np.testing.assert_array_equal(made.drive, [drive[step // 20] for step in range(8501)])
        np.testing.assert_array_equal(made.spikes[2], run.sampled[:, 4:6])
        np.testing.assert_array_equal(chances[1], run.probabilities[:, 2:4])


def test_of_one_population_the_only_rate_is_the_last():
    found = states.find(np.full((100, 1), 7.0), 0.01)
    assert (found.others, found.duration) == (7.0, 1.0)
    assert np.isnan([found.n_switches, found.up, found.down]).all()
    assert found.winner.tolist() == [-1] * 20


def test_the_only_thing_to_choose_where_nobody_can_win_is_the_best_fit():
    trial = Trial(0.004, 5, np.ones((1, 9, 1), np.uint8), np.zeros(1, int), np.zeros((1, 4, 1)))
    fits = ["best", "second", "third"]
    alone = SimpleNamespace(template=SimpleNamespace(has_rivals=False))
    best, table = choice.choose(fits, [None] * 3, trial, alone, Choice(), "exact", [])
    assert best == "best"
    assert table.to_dict("list") == {"fit": [0], "factor": [1.0], "switch_rate": [0.0], "probability": [1.0]}


def test_cluster_circuit_in_units_of_the_noise():
    made = clusters.circuit(Cluster())
    check(
        made, sizes=(500,), connectivity=((-1,),), mem_rate=(50,), coupling=(40 / 0.75,), rest=(40,), refractory=0.004,
        delay=0.0035, syn_rate=(1e4 / 0.0005,), typical_rates=(18,),
    )  # fmt: skip
    assert made.threshold[0] == pytest.approx(20 - math.log(10))


def test_windows_of_the_cluster_count():
    """Frequency grid of a window of 0.4 s padded to 1.6 s; K is the peak over the mean rate."""
    time = np.arange(0, 1.0, 0.0005)
    found = clusters.number(10 + 8 * np.sin(2 * np.pi * 40 * time) + 9 * np.sin(2 * np.pi * 4.5 * time), 0.0005)
    np.testing.assert_allclose(found["time"], 0.2 + 0.1 * np.arange(7))
    np.testing.assert_allclose(found["frequency"], np.arange(193) / 1.6)
    at = round(40 * 1.6)
    assert (found["power"][:, at] > found["power"][:, [at - 8, at + 8]].max(1)).all()
    assert clusters.number(np.zeros(1000), 0.0005)["k"].tolist() == [0, 0]


def test_a_fitted_model_runs_as_the_equation_or_as_the_network():
    current = np.zeros((30, 2))
    of_network = Fitted(SMALL, "network", 0.004, 20, {})
    run = microscopic.simulate(SMALL, 0.12, np.random.default_rng(1), 0.0002, current=current, every=20)
    expected = run.counts.reshape(30, 20, 2).sum(1) / (np.array([6, 4]) * 0.004)
    np.testing.assert_allclose(simulation.rates(of_network, current, np.random.default_rng(1)), expected)
    of_equation = replace(of_network, kind="exact")
    expected = freerun.simulate(SMALL, current, np.random.default_rng(1), 0.004, 20, "exact") / 0.004
    np.testing.assert_allclose(simulation.rates(of_equation, current, np.random.default_rng(1)), expected)
    assert simulation.cells(of_network, Free(seconds=0.1), np.random.default_rng(1)).shape == (500, 6)


def test_the_network_is_not_run_in_bins_of_half_steps_or_under_too_short_a_current():
    with pytest.raises(ValueError, match="dt = 0.0005 s is not a multiple of the step of the network's free runs"):
        simulation.rates(Fitted(SMALL, "network", 0.0005, 20, {}), np.zeros((30, 2)), np.random.default_rng(1))
    for current in (np.zeros((29, 2)), np.zeros((30, 1))):
        with pytest.raises(ValueError, match=r"each for 20 steps; expected 2 columns and 600 steps in all"):
            microscopic.simulate(SMALL, 0.12, np.random.default_rng(1), 0.0002, current=current, every=20)


def test_numbers_of_a_free_run_by_hand():
    rates = np.repeat([[20.0, 5.0, 9.0], [5.0, 20.0, 9.0], [20.0, 5.0, 9.0]], 100, axis=0)
    found = {metric: (value, n) for metric, value, _, n in measurement.free_run(rates, 0.05)}
    assert found["switch_rate"] == (2 / 15, 15)
    assert found["switches_per_200s"][0] == pytest.approx(200 * 2 / 15)
    assert [found[name][0] for name in ("rate_up", "rate_down", "rate_last")] == [20.0, 5.0, 9.0]
    assert found["dwell_mean"] == (5.0, 1)
    assert [metric for metric, *_ in measurement.free_run(rates, 0.05, apart=False)] == ["rate_last"]


def test_share_of_recordings_within_five_per_cent_and_within_chance():
    rows = [
        (k, "em", name, value, "", 30)
        for k, (up, switches) in enumerate([(20.9, 40.0), (21.1, 0.0), (19.1, 107.0)])
        for name, value in (("rate_up", up), ("rate_down", 5.0), ("rate_last", 9.0), ("switches_per_200s", switches))
    ]
    free = np.repeat([[20.0, 5.0, 9.0], [5.0, 20.0, 9.0]] * 2, 100, axis=0)  # three switches in 15 s: 40 in 200 s
    found = metrics.each_recording(pd.DataFrame(rows, columns=tried.COLUMNS), {"free": free[:300], "dt": 0.05})
    found = {metric: value for variant, metric, value, *rest in found if len(rest) == 2}
    assert found["switches_median"] == 40.0
    assert found["rates_inside"] == pytest.approx(2 / 3)
    assert (found["switches_low"], found["switches_high"]) == (0.0, 100.0)  # 0 to 15 in 30 s
    assert found["switches_inside"] == pytest.approx(2 / 3)


def test_chance_of_another_run_of_the_network():
    """19 switches in 200 s, then a run of 400 s: a Poisson count at every rate, weighed by what the 19 say of the rate."""
    rate = np.linspace(1e-3, 0.5, 5000)
    weight = rate ** (19 - 0.5) * np.exp(-200 * rate)
    below = np.cumsum([(weight * poisson.pmf(k, 400 * rate)).sum() / weight.sum() for k in range(150)])
    low, high = np.searchsorted(below, [0.025, 0.975])
    assert measurement.chance(19.0, 200.0, 400.0) == (low / 2, high / 2)
