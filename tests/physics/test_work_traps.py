"""Work theorems on harmonic traps against exact numbers (table 4.2 and section 4.6 of the project's notes on irreversibility).

Seeds are fixed. Limits are three standard errors, or 3.5 where a test checks many numbers: each number fails right code for 0.27 % (0.05 %) of seeds,
a test for less than 1 %. The numbers of one test are correlated, which lowers that further."""
import math

import numpy as np
import pytest

from hpcnemd.core.random import stream_key
from hpcnemd.ensembles.campaign import Branch
from hpcnemd.experiments.work_theorems import prepare
from hpcnemd.kernels.lane_normals import fill_normals

from work_runs import check, deck_of, result_of, table_of

EQUILIBRIUM = ("Crooks slope, logistic regression", "free energy, logistic intercept", "free energy, BAR")


def draws(seed, purpose, ids, branch, step, draw):
    out = np.empty(2 * len(ids))
    fill_normals(np.array(stream_key(seed, purpose), np.int64), ids, branch, step, draw, out)
    return out[:len(ids)], out[len(ids):]


def test_the_overdamped_kernel_is_its_numpy_twin():
    deck = deck_of("stiffened_trap", {"samples": 5}, duration=1.0, steps=10)
    model, ids = prepare(deck).model, np.arange(40, 56)
    rows = model.rows(None, Branch("reverse", 1, 0, 100), ids)
    plan = model.plan.reversed()
    x = draws(2026, "langevin", ids, 1, 0, 1)[0] * math.sqrt(1.0 / plan.start[1])
    np.testing.assert_allclose(rows["position_start"], x, rtol=1e-13)
    work, heat = np.zeros(16), np.zeros(16)
    for j in range(1, 11):
        k = plan.values[j, 1]
        work += 0.5 * (k - plan.values[j - 1, 1]) * x**2
        if j % 2:
            pair = draws(2026, "langevin", ids, 1, j, 0)
        before, decay = 0.5 * k * x**2, math.exp(-k * plan.step)
        x = x * decay + math.sqrt((1 - decay**2) / k) * pair[1 - j % 2]
        heat += before - 0.5 * k * x**2
        if j in (2, 4, 6, 8):
            np.testing.assert_allclose([rows["work"][:, j // 2 - 1], rows["heat"][:, j // 2 - 1], rows["position"][:, j // 2 - 1]], [work, heat, x], atol=1e-13)
    work += 0.5 * (plan.end[1] - plan.values[10, 1]) * x**2
    np.testing.assert_allclose([rows["work"][:, -1], rows["heat"][:, -1]], [work, heat], atol=1e-13)
    assert abs(rows["shadow_work"]).max() < 1e-13


def test_the_underdamped_kernel_is_its_numpy_twin():
    deck = deck_of("dragged_trap", {"samples": 1}, dynamics="underdamped", friction=0.5, mass=2.0, stiffness=1.5, temperature=0.7, steps=20)
    model, ids = prepare(deck).model, np.arange(8)
    rows = model.rows(None, Branch("forward", 0, 0, 100), ids)
    c, h, c1 = model.plan.values[:, 0], model.plan.step, math.exp(-0.25 * 0.1)
    g, other = draws(2026, "langevin", ids, 0, 0, 1)
    x, v = g * math.sqrt(0.7 / 1.5), other * math.sqrt(0.7 / 2.0)
    start = 0.75 * x**2 + v**2
    work, heat = 0.0, 0.0
    for j in range(1, 21):
        work = work + 0.75 * ((x - c[j])**2 - (x - c[j - 1])**2)
        v = v - 0.5 * h * 0.75 * (x - c[j])
        x = x + 0.5 * h * v
        if j % 2:
            pair = draws(2026, "langevin", ids, 0, j, 0)
        after = c1 * v + math.sqrt(0.35 * (1 - c1**2)) * pair[1 - j % 2]
        heat = heat + v**2 - after**2
        x = x + 0.5 * h * after
        v = after - 0.5 * h * 0.75 * (x - c[j])
    work = work + 0.75 * ((x - c[-1])**2 - (x - c[-2])**2)
    np.testing.assert_allclose([rows["work"][:, 0], rows["heat"][:, 0], rows["position"][:, 0], rows["velocity"][:, 0]], [work, heat, x, v], atol=1e-12)
    end = 0.75 * (x - c[-1])**2 + v**2
    np.testing.assert_allclose(rows["energy_change"], end - start, atol=1e-12)
    np.testing.assert_allclose(rows["shadow_work"], end - start - work + heat, atol=1e-12)
    assert 1e-9 < abs(rows["shadow_work"]).max() < 1e-2


def test_a_replica_does_not_depend_on_its_company():
    """Rows of odd sets of ids, in other lanes and batches, bit for bit."""
    for kind, table in (("dragged_trap", {}), ("dragged_trap", {"dynamics": "underdamped", "steps": 40}), ("breathing_trap", {}), ("pulled_chain", {}),
                        ("colour_field", {"duration": 0.05, "settle": 0.1, "spacing": 0.1, "daughters": 2})):
        deck = deck_of(kind, {"samples": 2}, **table)
        model, branch = prepare(deck).model, Branch("forward", 0, 0, 1000)
        whole = model.rows(None, branch, np.arange(24))
        some = model.rows(None, branch, np.array([3, 4, 17, 21, 22]))
        for name, values in whole.items():
            np.testing.assert_array_equal(some[name], values[[3, 4, 17, 21, 22]], err_msg=f"{kind} {name}")


def test_dragged_trap_from_equilibrium(tmp_path):
    result = result_of(tmp_path, "dragged_trap")
    assert result.number("mean work").target == pytest.approx(2.5545, abs=5e-5) and result.number("variance of the work").target == pytest.approx(5.109, abs=5e-4)
    check(result, ("mean work", "variance of the work", *EQUILIBRIUM))
    assert abs(result.number("free energy, second cumulant").value) < 3 * result.number("free energy, second cumulant").error
    assert all(one.value > 5 * one.error for one in result.ledger)      # S(A) <= S(B), forward and reverse


def test_dragged_trap_in_its_steady_state(tmp_path):
    result = result_of(tmp_path, "dragged_trap", start="steady_state")
    assert result.number("slope of ln P(w)/P(-w), work").target == pytest.approx(1.7616, abs=5e-5)
    check(result, ("mean work", "variance of the work", "mean entropy production", "variance of the entropy production",
                   "slope of ln P(s)/P(-s), total entropy", "slope of ln P(w)/P(-w), work"), 3.5)
    assert not result.number("<exp(-s)>").trusted and any("cannot be trusted" in text for text in result.warnings)
    slopes = result.curves["slopes"]
    assert (abs(slopes["entropy"] - 1) < 3.5 * slopes["entropy_error"]).all() and slopes["work"][0] > 5      # 1 at every time; the work's is far from it


def test_large_heats_break_the_relation_without_its_boundary_term(tmp_path):
    """Negative control, sixteen relaxation times: the total entropy obeys ln P(s)/P(-s) = s up to the largest values met, the heat falls below."""
    result = result_of(tmp_path, "dragged_trap", duration=16.0, steps=320, velocity=0.5, start="steady_state")
    entropy, heat = (result.number(f"ln P(s)/P(-s) - s at large s, {name}") for name in ("total entropy", "heat"))
    assert abs(entropy.value) < 3.5 * entropy.error
    assert heat.value < -4 * heat.error


@pytest.mark.parametrize("friction, mean", [(0.5, 3.3986), (3.0, 3.9108)])
def test_dragged_trap_with_inertia(tmp_path, friction, mean):
    result = result_of(tmp_path, "dragged_trap", dynamics="underdamped", friction=friction, steps=200)
    assert result.number("mean work").target == pytest.approx(mean, abs=5e-5)
    check(result, ("mean work", "variance of the work", *EQUILIBRIUM))
    assert abs(result.number("shadow work").value) < 1e-3


def test_sudden_stiffening(tmp_path):
    """dF = ln 2, <W> = 1.5, and the distribution W^(-1/2) exp(-W/3) by Kolmogorov and Smirnov (0.1 %)."""
    from scipy import stats

    from hpcnemd.analysis.fluctuation_pymbar import bar
    from hpcnemd.storage import ensemble
    result = result_of(tmp_path, "stiffened_trap", {"samples": 1})
    check(result, ("mean work", *EQUILIBRIUM, "Crooks slope, histogram", "free energy, Jarzynski forward"))
    assert result.number("free energy, BAR").target == math.log(2)
    assert not result.number("free energy, Jarzynski reverse").trusted         # exp(1.5 x^2) has no variance in the stiff trap
    work = ensemble.read(tmp_path / "ensemble.h5").arrays["work"][:, 0]
    assert stats.kstest(work[:20000], stats.gamma(0.5, scale=3.0).cdf).pvalue > 1e-3
    peer = bar(work[:20000], work[20000:])
    assert abs(result.number("free energy, logistic intercept").value - peer.value) < 1e-6
    assert abs(result.number("free energy, BAR").value - peer.value) < 1e-6


@pytest.mark.parametrize("dynamics", ["overdamped", "underdamped"])
def test_slow_stiffening(tmp_path, dynamics):
    result = result_of(tmp_path, "stiffened_trap", dynamics=dynamics, duration=2.0, steps=40)
    check(result, (*EQUILIBRIUM, "Crooks slope, histogram", "free energy, Jarzynski forward"), 3.5)
    assert result.number("free energy, Jarzynski reverse").trusted == (dynamics == "overdamped")       # inertia: heavier tail
    assert result.number("mean work").value < 1.2           # less than at once


@pytest.mark.parametrize("motion, amplitude", [("stiffness", 0.5), ("centre", 1.0)])
def test_cycles_from_steady_state_to_steady_state(tmp_path, motion, amplitude):
    result = result_of(tmp_path, "breathing_trap", {"samples": 2}, motion=motion, amplitude=amplitude)
    check(result, ("mean work", "mean entropy production", "slope of ln P(s)/P(-s), total entropy"))
    slopes = result.curves["slopes"]
    assert (abs(slopes["entropy"] - 1) < 3.3 * slopes["entropy_error"]).all()
    if motion == "centre":                                  # without the boundary term the slope is another one
        assert abs(slopes["work"][-1] - 1) > 10 * slopes["work_error"][-1]


@pytest.mark.slow
@pytest.mark.parametrize("kind, run, table", [
    ("dragged_trap", {"replicas": 400000}, {"steps": 400}), ("dragged_trap", {"replicas": 400000}, {"steps": 400, "start": "steady_state"}),
    ("dragged_trap", {"replicas": 200000}, {"dynamics": "underdamped", "friction": 0.5, "steps": 200}),
    ("dragged_trap", {"replicas": 200000}, {"dynamics": "underdamped", "friction": 3.0, "steps": 200}),
    ("stiffened_trap", {"replicas": 1000000, "samples": 1}, {}), ("stiffened_trap", {"replicas": 200000}, {"duration": 2.0, "steps": 40}),
    ("breathing_trap", {"replicas": 200000, "samples": 4}, {"periods": 4})])
def test_table_in_full(tmp_path, kind, run, table):
    result = result_of(tmp_path, kind, {"batch": 16384, **run}, **table)
    print("\n" + table_of(result))
    names = [one.name for one in result.numbers if one.distance is not None]
    check(result, names, 3.5)
    for name in ("Crooks slope, logistic regression", "slope of ln P(s)/P(-s), total entropy"):
        if name in names:
            assert abs(result.number(name).value - 1) < 0.02
