"""Explicit SIMD values against numpy, on every path of this processor."""
from math import factorial

import numpy as np
import pytest
import simd_programs
from scipy.special import erf, erfc

from hpcnemd.kernels import coefficients, simd

VECTOR = [path for path in simd.available_paths() if path != "plain"]
pytestmark = pytest.mark.skipif(not VECTOR, reason="this processor has no vector path")


def test_arithmetic_comparison_and_choice():
    rng = np.random.default_rng(1)
    for dtype in (np.float64, np.float32):
        a, b = rng.normal(size=16).astype(dtype), rng.normal(size=16).astype(dtype)
        out = np.zeros((12, 16), dtype)
        total, mask = simd_programs.arithmetic(a, b, out.ravel())
        eps = np.finfo(dtype).eps
        expected = [a + b, a - b, a * b, a / b, -a, np.minimum(a, b), np.maximum(a, b), np.where(a < b, a, b), np.abs(a), np.floor(a), np.rint(a), np.sqrt(np.abs(a))]
        for got, want in zip(out, expected):
            assert np.array_equal(got, want)
        assert abs(total - a[:8].astype(float).sum()) < 8 * eps * np.abs(a[:8]).sum()
        assert mask == sum(1 << k for k in range(8) if a[k] >= b[k])


def test_fma_rounds_once_or_twice():
    rng = np.random.default_rng(2)
    a, b, c = rng.normal(size=(3, 8))
    out = np.zeros(8)
    simd_programs.fused(a, b, c, out)
    exact = np.array([float(np.longdouble(x) * np.longdouble(y) + np.longdouble(z)) for x, y, z in zip(a, b, c)])
    assert np.all(np.abs(out - exact) <= 4 * np.finfo(float).eps * (np.abs(a * b) + np.abs(c)))


def test_integers_and_bits():
    a = np.array([3, -5, 1 << 20, 7, 0, -1, 12345, -(1 << 30)], np.int32)
    out = np.zeros((5, 8), np.int32)
    simd_programs.integers(a, out.ravel())
    for got, want in zip(out, [a + 9, a * 3, a & 255, a << 2, a >> 3]):
        assert np.array_equal(got, want)
    u = a.view(np.uint32)
    out = np.zeros(8, np.uint32)
    simd_programs.unsigned_shift(u, out)
    assert np.array_equal(out, u >> np.uint32(3))
    assert simd_programs.bit_walk(0b1011000) == 3 + 100 * 4 + 10000 * 6


def test_places_and_orders():
    rng = np.random.default_rng(8)
    array, order, out = rng.integers(-99, 99, 30).astype(np.int32), np.concatenate((rng.integers(0, 30, 8), rng.permutation(8))).astype(np.int32), np.zeros(16, np.int32)
    simd_programs.places(array, order, out)
    assert np.array_equal(out[:8], array[order[:8]]) and np.array_equal(out[8:], out[:8][order[8:]])


def test_conversions():
    a = np.array([1.9, -1.9, 0.0, 3e9, -7.5, 12.25, 1e15, -0.1])
    out = np.zeros(8)
    assert simd_programs.conversions(a, out) == 12
    assert np.array_equal(out, np.trunc(a))


def test_power_of_two():
    k = np.array([-900.0, -52.0, -1.0, 0.0, 1.0, 10.0, 52.0, 900.0])
    out = np.zeros(8)
    simd_programs.powers(k + 1.5 * 2.0**52, out)
    assert np.array_equal(out, 2.0**k)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_rows(k):
    """Rows are gathered, spread over lanes, summed, and subtracted one after another (an index that stands twice counts twice); four rows of a cluster likewise."""
    rng = np.random.default_rng(k)
    table, index, targets = rng.normal(size=(9, 4)), np.array([7, 2, 2, 5], np.int32)[:k], [2, -1, 0, 2]
    i = rng.normal(size=4)
    force = rng.normal(size=(9, 4))
    want = force.copy()
    force = np.ascontiguousarray(force.ravel())
    own_force, row_force = np.ones(6 * 4), np.ones((3, 3))
    simd_programs.ROWS[k](table.ravel(), np.array([*index, *[0] * (4 - k), *targets], np.int32), i, 3, force, own_force, row_force)
    products = [np.stack([(i - table[j, c]) * (c + 1) for c in range(3)], axis=1) for j in index]
    for j, p in zip(index, products):
        want[j, :3] -= p.sum(axis=0)
    assert np.abs(force.reshape(9, 4) - want).max() < 1e-14
    four = sum(table[3:7, :3] - table[j, :3] for j in index)
    want = np.ones((6, 4))
    want[1:5, :3] += four
    assert np.abs(own_force.reshape(6, 4) - want).max() < 1e-14
    want = np.ones((3, 3))
    np.add.at(want, [2, 0, 2], four[[0, 2, 3]])
    assert np.abs(row_force - want).max() < 1e-14


def test_rows_of_three():
    """They are read and added to without a look behind the last one, which would be NaN; integers stand in the lower halves of what was rounded by adding."""
    buffer, out = np.full(7, np.nan), np.zeros(4)
    position = buffer[:6].reshape(2, 3)
    position[:] = np.arange(6).reshape(2, 3)
    simd_programs.threes(position, 1, out)
    assert np.array_equal(out, [3, 4, 5, 0]) and np.array_equal(position, [[0, 1, 2], [6, 8, 10]]) and np.isnan(buffer[6])
    words = np.zeros(4, np.int32)
    simd_programs.words(np.array([[-3.0, 2.0**31 + 5, 2.0**40 - 7]]) + 1.5 * 2.0**52, words)
    assert np.array_equal(words[:3], [-3, 5 - 2**31, -7])


def test_paths(monkeypatch):
    assert simd.choose_path("plain") == "plain"
    monkeypatch.setenv("HPCNEMD_KERNELS", "plain")
    assert simd.choose_path() == "plain"
    monkeypatch.delenv("HPCNEMD_KERNELS")
    assert simd.choose_path() == simd.available_paths()[-1]
    with pytest.raises(ValueError, match="HPCNEMD_KERNELS"):
        simd.choose_path("neon")


@pytest.mark.parametrize("reach", [1.5, 2.6, 3.1, 3.5, 4.8, 6.0])
def test_ewald_polynomials(reach):
    """Against scipy: the error that the fit was asked for is 1e-12 (the scale beta is below 1), the rest is rounding at the smallest r."""
    force, energy = coefficients.ewald_polynomials(reach / 10, 10.0)
    r = np.linspace(0.3, 10, 777)
    beta, t = reach / 10, 2 * r**2 / 100 - 1
    fe = np.polynomial.polynomial.polyval(t, energy)
    ff = np.polynomial.polynomial.polyval(t, force)
    assert np.abs(1 / r - fe - erfc(beta * r) / r).max() < 3e-12
    exact = erfc(beta * r) / r**3 + 2 * beta / np.sqrt(np.pi) * np.exp(-(beta * r)**2) / r**2
    assert np.abs((1 / r**3 + ff - exact) / np.maximum(1, 1 / r**3)).max() < 3e-12
    x = np.linspace(0, 4, 300)
    z = np.maximum(np.sqrt(x), 1e-8)
    assert np.abs(coefficients.energy_correction(x) - erf(z) / z).max() < 1e-14


def test_exp2_polynomial():
    """Degree n: the first term left out, 2 (ln 2/4)^(n+1)/(n+1)!, relative to the smallest value 2^(-1/2), and a tenth for the terms behind it."""
    f, n = np.linspace(-0.5, 0.5, 1001), coefficients.EXP2_DEGREE["double"]
    bound = 1.1 * 2**0.5 * 2 * (np.log(2) / 4)**(n + 1) / factorial(n + 1)
    assert np.abs(np.polynomial.polynomial.polyval(f, coefficients.exp2_polynomial()) / 2**f - 1).max() < bound
