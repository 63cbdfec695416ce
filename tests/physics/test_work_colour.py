"""Colour-driven discs: Evans-Searles, transient correlation functions, phase-space contraction. Fixed seeds; right code fails for less than 1 % of them."""
import math

import numpy as np
import pytest

from hpcnemd.core.random import stream_key
from hpcnemd.experiments.work_theorems import prepare
from hpcnemd.ensembles.campaign import Branch
from hpcnemd.kernels.lane_normals import fill_normals

from work_runs import check, deck_of, result_of, table_of


def acceleration(q, p, edge, field):
    """(dp/dt, alpha) of one system, q and p (discs, 2), written from the equations of motion."""
    d = q[:, None] - q[None]
    d -= edge * np.round(d / edge)
    r2 = (d**2).sum(axis=-1) + np.eye(len(q)) * 100.0
    push = np.where(r2 < 2**(1 / 3), 48 / r2**7 - 24 / r2**4, 0.0)
    f = (push[:, :, None] * d).sum(axis=1)
    f[:, 0] += field * np.where(np.arange(len(q)) % 2, 1.0, -1.0)
    alpha = (f * p).sum() / (p**2).sum()
    return f - alpha * p, alpha


def test_the_kernel_is_its_numpy_twin():
    deck = deck_of("colour_field", {"samples": 1}, duration=0.1, settle=0.2, spacing=0.05, daughters=2)
    model, ids = prepare(deck).model, np.arange(8)
    rows = model.rows(None, Branch("forward", 0, 0, 8), ids)
    edge, h, colour = math.sqrt(20.0), 0.005, np.where(np.arange(8) % 2, 1.0, -1.0)
    q = np.array([((i % 3 + 0.5) * edge / 3, (i // 3 + 0.5) * edge / 3) for i in range(8)])
    p, out = np.empty((8, 2)), np.empty(16)
    for i in range(8):
        fill_normals(np.array(stream_key(2026, "velocities"), np.int64), ids, 0, 0, i, out)
        p[i] = out[5], out[13]                              # replica 5

    def rescale(p):
        p = p - p.mean(axis=0)
        return p * math.sqrt(13.0 / (p**2).sum())

    def step(q, p, field):
        kq, kp, ka = [], [], []
        for ahead in (0.0, 0.5, 0.5, 1.0):
            q1, p1 = (q + ahead * h * kq[-1], p + ahead * h * kp[-1]) if kq else (q, p)
            a, alpha = acceleration(q1, p1, edge, field)
            kq.append(p1)
            kp.append(a)
            ka.append(alpha)
        w = (1, 2, 2, 1)
        j = sum(x * (colour * k[:, 0]).sum() for x, k in zip(w, kq)) * h / 6
        return q + h / 6 * sum(x * k for x, k in zip(w, kq)), p + h / 6 * sum(x * k for x, k in zip(w, kp)), j, h / 6 * sum(x * k for x, k in zip(w, ka))
    p = rescale(p)
    for d, steps in enumerate((40, 10)):
        for s in range(steps):
            q, p, *_ = step(q, p, 0.0)
            p = rescale(p) if s % 20 == 0 else p
        p = rescale(p)
        for m, (turn, mirror) in enumerate(((1, 1), (-1, 1), (1, -1), (-1, -1))):
            x, y = q * [mirror, 1], p * [turn * mirror, turn]
            current, contraction = 0.0, 0.0
            start = (colour * y[:, 0]).sum()
            for s in range(20):
                x, y, j, a = step(x, y, 0.5)
                current, contraction = current + j, contraction + a
            np.testing.assert_allclose([*rows["current"][5, d, m], rows["current_integral"][5, d, m, 0], rows["thermostat_integral"][5, d, m, 0]],
                                       [start, (colour * y[:, 0]).sum(), current, contraction], rtol=1e-9, atol=1e-9)


def test_transients_from_equilibrium(tmp_path):
    """About ten thousand transients: the slope is 1 within three standard errors, <exp(-Omega)> is 1, both averages of the current agree."""
    result = result_of(tmp_path, "colour_field", {"replicas": 128, "batch": 32, "samples": 20})
    assert result.replicas["transients"] == 128 * 80
    check(result, ("slope of ln P/P, dissipation", "<exp(-dissipation)>", "direct - TTCF"))
    assert abs(result.number("slope of ln P/P, dissipation").value - 1) < 0.05
    assert abs(result.number("current at the start").value) < 1e-12
    assert abs(result.number("current, direct average").value - 1.25) < 3.3 * result.number("current, direct average").error + 0.011


def test_a_weak_field_needs_the_correlation_function(tmp_path):
    result = result_of(tmp_path, "colour_field", {"replicas": 128, "batch": 32, "samples": 20}, field=1e-3)
    through, direct = result.number("current, TTCF"), result.number("current, direct average, no images")
    assert through.error < 0.12 * through.value and abs(through.value - 0.00256) < 3.3 * math.hypot(through.error, 4.2e-5)
    assert direct.error > 10 * through.error                # at least a hundred times the transients would be needed


def test_contraction_is_dissipation_in_the_steady_state(tmp_path):
    """The means agree; the slope is above 1 at short and nearer at long times."""
    result = result_of(tmp_path, "colour_field", {"replicas": 64, "batch": 32, "samples": 4}, start="steady_state", field=0.5, duration=4.0, spacing=2.0)
    check(result, ("contraction - dissipation",))
    slopes = result.curves["slopes"]["entropy"]
    assert slopes[0] > slopes[-1] > 0.8 and slopes[0] > 1.2


@pytest.mark.slow
@pytest.mark.parametrize("field, duration, seed", [(0.5, 0.5, 1), (0.5, 1.0, 2), (1.0, 1.0, 3)])
def test_transients_in_full(tmp_path, field, duration, seed):
    """361 000 transients: slope within 2 % and two standard errors of 1; both averages of the current within 2 %. Two standard errors are missed by right code
    in one case of twenty: where that happens an independent ensemble of the same size decides, which must be within two. So right code fails in
    0.05^2 = 0.25 % of the cases, 0.8 % with the numbers that are held to three standard errors; a slope that is wrong by three standard errors fails in 71 %, by four in 95 %."""
    def ensemble(seed):
        result = result_of(tmp_path / str(seed), "colour_field", {"replicas": 4512, "batch": 32, "samples": 20, "seed": seed}, field=field, duration=duration)
        print("\n" + table_of(result))
        return result

    result = ensemble(seed)
    if abs(result.number("slope of ln P/P, dissipation").distance) > 2:
        result = ensemble(seed + 100)
    trusted = ("<exp(-dissipation)>",) if result.number("<exp(-dissipation)>").trusted else ()
    check(result, ("direct - TTCF", *trusted))
    check(result, ("slope of ln P/P, dissipation",), 2.0)
    assert abs(result.number("slope of ln P/P, dissipation").value - 1) < 0.02
    direct, through = result.number("current, direct average"), result.number("current, TTCF")
    print(f"current: direct {direct.value:.5f} +- {direct.error:.5f}, TTCF {through.value:.5f} +- {through.error:.5f}, ratio {through.value / direct.value:.4f}")
    assert through.value == pytest.approx(direct.value, rel=0.02)


@pytest.mark.slow
def test_slopes_of_the_steady_state_go_to_one(tmp_path):
    """Gallavotti and Cohen: slope a + b/t of dissipation and phase-space contraction, fitted from t = 3 to 12; a is 1 within three standard errors and 8 %."""
    result = result_of(tmp_path, "colour_field", {"replicas": 1600, "batch": 32, "samples": 16, "seed": 5}, field=0.5, duration=12.0, spacing=12.0, start="steady_state")
    print("\n" + table_of(result))
    names = ("slope of ln P/P, dissipation, t to infinity", "slope of ln P/P, contraction, t to infinity")
    check(result, ("contraction - dissipation", *names))
    for name in names:
        assert result.number(name).error < 0.03 and abs(result.number(name).value - 1) < 0.08
    assert result.curves["slopes"]["entropy"][0] > 1.3 and result.curves["slopes"]["work"][0] < 0.8     # far from it at first, from both sides


@pytest.mark.slow
def test_a_weak_field_in_full(tmp_path):
    """At a field of 0.001 the error of TTCF is below 3 %; without the images that of the direct average is above 100 %."""
    weak = result_of(tmp_path, "colour_field", {"replicas": 1504, "batch": 32, "samples": 20}, field=1e-3)
    for name in ("current, direct average, no images", "current, direct average", "current, TTCF"):
        print(f"\nfield 0.001, {name}: {weak.number(name).value:.6f} +- {weak.number(name).error:.6f}")
    through, direct = weak.number("current, TTCF"), weak.number("current, direct average, no images")
    assert through.error < 0.03 * through.value and direct.error > through.value
