"""Conductivity estimators on free ions in a Langevin bath, where sigma = n q^2 / (m gamma) exactly: prefactors, errors, entropy, refusal.

Constant current: with J held, the field balances friction and noise, so its impulse per block is Gaussian with mean J0 tau/(sigma V) and
variance 2 k_B T tau/(sigma V), exactly. Constant field: J is an Ornstein-Uhlenbeck process about sigma V E."""
import math

import langevin_ions
import numpy as np
import pytest
from langevin_ions import COUNT, EXACT, FRICTION, INSIDE, KT, TEMPERATURE, VOLUME
from scipy import stats

from hpcnemd.analysis import blocks, conductivity
from hpcnemd.core.units import BOLTZMANN, ELEMENTARY_CHARGE, SIEMENS_PER_METRE

BLOCK = 2000.0


def constant_current(rng, current, replicas=1, length=40):
    """(impulse rows, current rows, work rows)"""
    impulse = rng.normal(current * BLOCK / (INSIDE * VOLUME), math.sqrt(2 * KT * BLOCK / (INSIDE * VOLUME)), (replicas, length))
    return list(impulse), list(np.full((replicas, length), current)), list(current * impulse)


def constant_field(rng, field, replicas=1, length=40, step=10.0):
    """The same from an exactly integrated Ornstein-Uhlenbeck current."""
    path = langevin_ions.displacement(rng, int(length * BLOCK / step), step, (replicas,))[:, ::int(BLOCK / step)]
    rows = list(np.diff(path, axis=1) / BLOCK + INSIDE * VOLUME * field)
    return [np.full(length, field * BLOCK) for _ in rows], rows, [field * row * BLOCK for row in rows]


def drive_for(entropy_per_block):
    return langevin_ions.drive_for(entropy_per_block, BLOCK)


def test_the_unit_is_si():
    # n q^2/(m gamma) in SI
    si = COUNT / (VOLUME * 1e-30) * ELEMENTARY_CHARGE ** 2 / (6.94 * 1.66053906660e-27 * FRICTION * 1e15)
    assert EXACT == pytest.approx(si, rel=1e-9)


@pytest.mark.parametrize("mode", ["constant_current", "constant_field"])
def test_sigma_of_free_langevin_ions_with_calibrated_errors(mode):
    # 200 runs of 40 blocks: the chance of a z-score in its t distribution must be uniform; Kolmogorov-Smirnov and chi-square at 0.1 % each
    rng = np.random.default_rng(17)
    current, field = drive_for(50.0)
    chances, inside, quality = [], 0, []
    for _ in range(200):
        impulse, flow, work = constant_current(rng, current) if mode == "constant_current" else constant_field(rng, field)
        result = conductivity.driven(mode, impulse, flow, BLOCK, VOLUME)
        exact = {"constant_current": current / (INSIDE * VOLUME), "constant_field": INSIDE * VOLUME * field}[mode]
        chances.append(stats.t.cdf((result.response.value - exact) / result.response.error, result.response.dof))
        inside += result.sigma.low < EXACT < result.sigma.high
        response = conductivity.response_rows(mode, impulse, flow, BLOCK)
        quality.append(conductivity.quality(response, work, TEMPERATURE, 1))
        whole, _ = conductivity.entropy_production(work, TEMPERATURE)
        assert not conductivity.refusals(result, whole)
    assert stats.kstest(chances, "uniform").pvalue > 1e-3
    tenths = np.histogram(chances, bins=10, range=(0, 1))[0]
    assert stats.chisquare(tenths).pvalue > 1e-3
    assert 0.89 <= inside / 200 <= 0.99                 # 0.95 +- 0.015
    # Q is 1 for white noise; at constant field the block has ends, which takes 1/(gamma tau) = 2.5 % off. One standard error is 1.6 %.
    value = np.mean([q.value for q in quality])
    assert value == pytest.approx(1.0 if mode == "constant_current" else 1 - 1 / (FRICTION * BLOCK), abs=0.065)
    held = np.mean([q.low < value < q.high for q in quality])
    assert 0.89 <= held <= 0.99


def test_both_drives_and_the_noise_give_one_conductivity():
    # three independent estimates, p > 0.001
    rng = np.random.default_rng(3)
    current, field = drive_for(20.0)
    a = conductivity.driven("constant_current", *constant_current(rng, current, 4, 60)[:2], BLOCK, VOLUME).sigma
    b = conductivity.driven("constant_field", *constant_field(rng, field, 4, 60)[:2], BLOCK, VOLUME).sigma
    quiet = conductivity.response_rows("constant_current", *constant_current(rng, 0.0, 4, 60)[:2], BLOCK)
    c = conductivity.from_noise("constant_current", quiet, BLOCK, VOLUME, TEMPERATURE)
    centre, error, _, dof, p = conductivity.agreement([a, b, c])
    assert dof == 2 and p > 1e-3
    assert abs(centre - EXACT) < 4 * error and error < 0.02 * EXACT
    assert c.low < EXACT < c.high


def test_noise_of_the_current_gives_the_same_conductivity():
    # 240 blocks: 9 % for one standard error, 4 of them; 2.5 % of bias from block ends is inside
    rng = np.random.default_rng(30)
    _, flow, _ = constant_field(rng, 0.0, 4, 60)
    estimate = conductivity.from_noise("constant_field", flow, BLOCK, VOLUME, TEMPERATURE, blocks.Level(1, True, 1.0))
    assert abs(estimate.value - EXACT) < 4 * estimate.error and estimate.relative < 0.1


def test_entropy_is_work_over_temperature_and_predicts_the_error():
    rng = np.random.default_rng(9)
    current, field = drive_for(30.0)
    impulse, flow, work = constant_current(rng, current, 2, 100)
    whole, per_block = conductivity.entropy_production(work, TEMPERATURE)
    assert whole.value == pytest.approx(sum(row.sum() for row in work) / KT, rel=1e-12)
    assert whole.value == pytest.approx(200 * per_block.value, rel=1e-12)
    assert abs(per_block.value - 30.0) < 4 * per_block.error
    sigma = conductivity.driven("constant_current", impulse, flow, BLOCK, VOLUME).sigma
    # the law: relative error^2 = 2/entropy; a standard error from 200 blocks is known to 5 %
    assert sigma.relative == pytest.approx(math.sqrt(2 / whole.value), rel=0.25)


def test_interval_is_the_reciprocal_of_that_of_the_field_for_either_sign():
    rng = np.random.default_rng(10)
    for sign in (1, -1):
        current = sign * drive_for(5.0)[0]
        impulse, flow, _ = constant_current(rng, current)
        result = conductivity.driven("constant_current", impulse, flow, BLOCK, VOLUME)
        ends = sorted(SIEMENS_PER_METRE * current / VOLUME / x for x in (result.response.low, result.response.high))
        assert [result.sigma.low, result.sigma.high] == pytest.approx(ends, rel=1e-12)
        assert result.sigma.low < result.sigma.value < result.sigma.high


def test_too_small_a_current_is_refused_and_the_suggested_one_is_not():
    rng = np.random.default_rng(14)
    current = drive_for(0.005)[0]                       # 0.2 k_B in the whole run
    refused = []
    for _ in range(50):
        impulse, flow, work = constant_current(rng, current)
        result = conductivity.driven("constant_current", impulse, flow, BLOCK, VOLUME)
        refused.append(bool(conductivity.refusals(result, conductivity.entropy_production(work, TEMPERATURE)[0])))
    assert sum(refused) >= 45                           # 97.5 % each at least: 45 or fewer has a chance below 0.3 %
    response = conductivity.response_rows("constant_current", impulse, flow, BLOCK)
    guess = conductivity.from_noise("constant_current", response, BLOCK, VOLUME, TEMPERATURE)
    advice = conductivity.suggest(guess.value, VOLUME, TEMPERATURE, 40 * BLOCK, 0.05, 1.0, 2.0)
    assert advice.entropy == pytest.approx(800.0)
    impulse, flow, work = constant_current(rng, advice.current)
    result = conductivity.driven("constant_current", impulse, flow, BLOCK, VOLUME)
    assert not conductivity.refusals(result, conductivity.entropy_production(work, TEMPERATURE)[0])
    assert result.sigma.relative == pytest.approx(0.05, rel=0.8)        # guess and error each from 40 blocks


def test_suggestion_asks_for_time_where_the_drive_would_leave_linear_response():
    short = conductivity.suggest(EXACT, VOLUME, TEMPERATURE, 1e3, 0.01, 1.0, 2.0)
    assert short.x > conductivity.LINEAR_LIMIT and short.linear_time > short.time
    enough = conductivity.suggest(EXACT, VOLUME, TEMPERATURE, short.linear_time, 0.01, 1.0, 2.0)
    assert enough.x == pytest.approx(conductivity.LINEAR_LIMIT)


def test_numbers_of_the_hop_model_and_the_speed_up_law():
    # LLZO cell of 17.6 nm^3, sigma 0.1 S/m, 300 K, window 10 ns, 0.03 V/angstrom: about 130 times, x = 1.16
    rate = 0.1 / SIEMENS_PER_METRE * 0.03 ** 2 * 17600.0 / (BOLTZMANN * 300.0)
    assert conductivity.speed_up(rate, 1e7) == pytest.approx(130, rel=0.03)
    assert conductivity.linearity(0.03, 1, 2.0, 300.0) == pytest.approx(1.16, abs=0.01)


def test_estimates_that_differ_are_told_apart():
    made = [blocks.student(v, 1.0, 50) for v in (100.0, 100.5, 107.0)]
    centre, error, total, dof, p = conductivity.agreement(made)
    assert centre == pytest.approx(102.5) and error == pytest.approx(3 ** -0.5) and dof == 2
    assert total == pytest.approx(2.5 ** 2 + 2.0 ** 2 + 4.5 ** 2) and p < 1e-6


def test_replicas_with_different_currents_share_one_conductivity():
    # 60 runs of four replicas whose currents differ by a factor of three: interval 95 % (50 of 60 or fewer: chance 0.2 %), and the error of the
    # weighted mean, 1 / sqrt(sum of entropies / 2), which a plain ratio of means would miss by 10 %
    rng = np.random.default_rng(77)
    inside, errors, entropies = 0, [], []
    for _ in range(60):
        parts = [constant_current(rng, drive_for(s)[0], 1, 60) for s in (10.0, 20.0, 50.0, 90.0)]
        impulse, flow, work = ([part[k][0] for part in parts] for k in range(3))
        result = conductivity.driven("constant_current", impulse, flow, BLOCK, VOLUME)
        inside += result.sigma.low < EXACT < result.sigma.high
        errors.append(result.sigma.relative)
        entropies.append(conductivity.entropy_production(work, TEMPERATURE, result.level)[0].value)
    assert inside > 50
    assert np.median(errors) == pytest.approx(math.sqrt(2 / np.mean(entropies)), rel=0.06)
