"""Tangent dynamics against differences of trajectories, exact structure, and the estimators of spectra."""
import math

import numpy as np
import pytest

from hpcnemd.analysis.lyapunov import Spectrum
from hpcnemd.core.errors import InputError
from hpcnemd.dynamics import tangent
from hpcnemd.experiments.orbital_instability.systems import RandomDiscs
from hpcnemd.kernels import tangent_billiards
from hpcnemd.parallel.serial import SerialComm

comm = SerialComm()


def soft(**options):
    return tangent.SoftParticles(comm, options.pop("n", 8), options.pop("dimensions", 2), options.pop("density", 0.4), 1.0, **{"equilibrate": 3.0, **options})


SYSTEMS = {"soft discs": soft, "soft spheres": lambda **o: soft(n=27, dimensions=3, density=0.6, **o),
           "hard discs": lambda **o: tangent.HardDiscs(comm, 9, 2, 0.4, equilibrate=2.0, **o),
           "hard spheres": lambda **o: tangent.HardDiscs(comm, 8, 3, 0.4, equilibrate=2.0, **o),
           "colour discs": lambda **o: tangent.ColourDiscs(comm, 8, 0.4, 1.0, 1.0, equilibrate=2.0, **o)}


@pytest.mark.parametrize("name", SYSTEMS)
def test_tangent_vectors_are_differences_of_neighbouring_trajectories(name):
    """Two trajectories 2e-7 apart, followed for a short time, against one column: the error is that of the differences, about 1e-6 of the column."""
    system = SYSTEMS[name](columns=1)
    n, d = system.q.shape
    q, p, vector = system.q.copy(), system.p.copy(), system.frame[:, 0].copy()
    ends, h = [], 1e-7
    for sign in (1.0, -1.0):
        other = SYSTEMS[name](columns=1)
        other.q[:] = q + sign * h * vector[:n * d].reshape(n, d)
        other.p[:] = p + sign * h * vector[n * d:].reshape(n, d)
        none = np.zeros((n, d, 0))
        other._move(0.3, none, none.copy())
        ends.append((other.q, other.p))
    apart = ends[0][0] - ends[1][0]
    apart -= system.length * np.rint(apart / system.length)
    wanted = np.concatenate([apart.ravel(), (ends[0][1] - ends[1][1]).ravel()]) / (2 * h)
    dq, dp = (np.ascontiguousarray(one.reshape(n, d, 1)) for one in (vector[:n * d].copy(), vector[n * d:].copy()))
    system._move(0.3, dq, dp)
    got = np.concatenate([dq.ravel(), dp.ravel()])
    assert np.abs(got - wanted).max() < 2e-5 * np.abs(wanted).max()
    assert np.linalg.norm(wanted) > 0.5


@pytest.mark.parametrize("name", ["soft discs", "soft spheres", "hard discs", "hard spheres"])
def test_conjugate_frames_pair_exactly_and_keep_volume(name):
    """A symplectic map has symplectic QR factors: in a frame of conjugate unit vectors growth factors pair at every time, to rounding."""
    system = SYSTEMS[name](frame="conjugate")
    total = np.zeros(system.columns)
    for _ in range(30):
        total += system.grow(0.1)[1]
    assert total[0] > 1.0
    assert np.abs(total + total[::-1]).max() < 1e-9
    assert abs(total.sum()) < 1e-10


def test_phase_volume_is_kept_for_a_thousand_steps():
    """Product of the QR factors of the full spectrum, 1000 steps, random frame: 1 to 1e-10."""
    system, total = soft(timestep=0.004), 0.0
    for _ in range(100):
        total += system.grow(0.04)[1].sum()
    assert abs(total) < 1e-10


def test_the_isokinetic_flow_contracts_as_its_multiplier_says():
    system, total, contraction = SYSTEMS["colour discs"](), 0.0, 0.0
    kinetic = (system.p**2).sum()
    for _ in range(200):
        _, logs, one = system.grow(0.1)
        total, contraction = total + logs.sum(), contraction + one
    assert contraction > 5.0                                # 20 time units at about 3
    assert abs(total + contraction) < 1e-3 * contraction
    assert (system.p**2).sum() == pytest.approx(kinetic, rel=1e-4)
    assert contraction == pytest.approx((2 * 8 - 1) * system.alpha, rel=1e-12)
    np.testing.assert_allclose(system.p.sum(axis=0), 0.0, atol=1e-9)


def test_hard_discs_never_overlap_and_keep_energy():
    system = tangent.HardDiscs(comm, 16, 2, 0.7, equilibrate=0.0, columns=1)
    energy, momentum = (system.p**2).sum(), system.p.sum(axis=0)
    for _ in range(100):
        system.grow(0.2)
    assert system.collisions > 1000
    assert (system.p**2).sum() == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(system.p.sum(axis=0), momentum, atol=1e-11)
    apart = system.q[:, None] - system.q[None]
    apart -= system.length * np.rint(apart / system.length)
    assert ((apart**2).sum(axis=2) + 10 * np.eye(16)).min() > 1 - 1e-9


def twin_of_lattice(spacing, x, v, flights):
    """Time and growth on the triangular lattice: all discs near the path, with a two-by-two tangent vector across the flight."""
    basis = spacing * np.array([[1.0, 0.0], [0.5, math.sqrt(3) / 2]])
    total, grown, kappa = 0.0, 0.0, 0.0
    for flight in range(flights):
        best, normal = math.inf, None
        middle = np.rint(np.linalg.solve(basis.T, x))
        for a in range(-9, 10):
            for b in range(-9, 10):
                centre = basis.T @ (middle + (a, b))
                d = x - centre
                along, gap = d @ v, d @ d - 1
                root = along * along - gap
                if along < 0 and root > 0 and 1e-9 < -along - math.sqrt(root) < best:
                    best = -along - math.sqrt(root)
                    normal = (x + best * v - centre)
        if normal is None:
            return None
        x = x + best * v
        normal /= np.linalg.norm(normal)
        if flight:
            total, grown = total + best, grown + math.log1p(kappa * best)
        speed = v @ normal
        kappa = (kappa / (1 + kappa * best) if flight else 0.0) - 2 / speed
        v = v - 2 * speed * normal
    return total, grown


def test_lattice_flights_against_a_slow_twin():
    spacing, angle = 2.4, 0.3
    x, v = np.array([math.cos(angle), math.sin(angle)]), np.array([math.cos(0.9), math.sin(0.9)])
    want = twin_of_lattice(spacing, x, v, 9)
    state, times, growth = np.array([*x, *v]), np.zeros(1), np.zeros(1)
    kappa = tangent_billiards.lattice_flights(1, 1, spacing, state, 0.0, times, growth)
    tangent_billiards.lattice_flights(1, 8, spacing, state, kappa, times, growth)
    assert times[0] == pytest.approx(want[0], rel=1e-9) and growth[0] == pytest.approx(want[1], rel=1e-9)


def test_random_discs_on_a_lattice_are_the_lattice():
    """The walk through cells and images, with a rectangular arrangement of the triangular lattice as its configuration."""
    spacing, rows = 3.0, 14
    discs = RandomDiscs(16, 0.01, np.random.default_rng(1))
    width, height = 12 * spacing, rows * spacing * math.sqrt(3) / 2
    places = np.array([[(k + 0.5 * (j % 2)) * spacing, j * spacing * math.sqrt(3) / 2] for j in range(rows) for k in range(12)])
    assert width == pytest.approx(height, rel=0.02)         # nearly square: the last column leaves a gap
    discs.length = max(width, height)
    discs.cells, discs.centres = 6, places + 0.5
    discs.side = discs.length / discs.cells
    pairs = sorted({(int(x // discs.side) % 6 + 6 * (int(y // discs.side) % 6), k) for k, c in enumerate(discs.centres)
                    for x in (c[0] - 1, c[0] + 1) for y in (c[1] - 1, c[1] + 1)})
    inside = np.array([k for _, k in pairs])
    first = np.searchsorted([c for c, _ in pairs], np.arange(37))
    angle, lean = 0.3, 0.9
    centre = discs.centres[6 * 12 + 6]
    out = np.zeros(2)
    start = np.array([*(centre + 1.0000001 * np.array([math.cos(angle), math.sin(angle)])), math.cos(lean), math.sin(lean)])
    tangent_billiards.random_flights(3, 1, discs.centres, 6, discs.side, first, inside, start, out)
    state, times, growth = np.array([math.cos(angle), math.sin(angle), math.cos(lean), math.sin(lean)]), np.zeros(1), np.zeros(1)
    kappa = tangent_billiards.lattice_flights(1, 1, spacing, state, 0.0, times, growth)
    tangent_billiards.lattice_flights(1, 3, spacing, state, kappa, times, growth)
    assert out[0] == pytest.approx(times[0], rel=1e-4) and out[1] == pytest.approx(growth[0], rel=1e-4)


def test_the_thermostatted_billiard_contracts_as_its_multiplier_says_and_has_one_zero():
    s, w, growth = np.array([1.0, 0.0, 0.7]), np.eye(3), np.zeros(3)
    alpha, time, hits, moved = tangent_billiards.thermostatted(20000, 0.02, 0.4, 2.3, s, w, growth)
    assert hits > 400 and abs(alpha) > 5
    assert growth.sum() == pytest.approx(-alpha, rel=1e-9) and alpha == pytest.approx(0.4 * moved, rel=1e-9)       # T = p^2/m = 1
    assert np.abs(growth).min() < 0.01 * growth[0] and growth[0] / time > 1.0
    still = np.zeros(3)
    tangent_billiards.thermostatted(2000, 0.02, 0.0, 2.3, np.array([1.0, 0.0, 0.7]), np.eye(3), still)
    assert abs(still.sum()) < 1e-10                         # no field, no contraction


def test_estimators_of_a_spectrum():
    random = np.random.default_rng(7)
    rates, times = np.array([2.0, 0.5, 0.01, -0.01, -0.6, -2.2]), np.full(200, 5.0)
    growth = rates * times[:, None] + random.normal(size=(200, 6))
    found = Spectrum.of(growth, times)
    expected = 1 / math.sqrt(200) / 5.0
    assert np.abs(found.exponents - rates).max() < 4 * expected         # chance to fail 4e-4
    np.testing.assert_allclose(found.errors, expected, rtol=0.3)
    exact = Spectrum(rates, np.zeros(6), (rates.sum(), 0.0), 1000.0)
    assert exact.pairing() == pytest.approx(0.1) and exact.pairing(-0.2) == pytest.approx(0.1)
    assert exact.zeros() == (2, pytest.approx(0.5 / (0.02 * 2.2)))
    assert exact.kaplan_yorke() == pytest.approx(5 + (2.0 + 0.5 - 0.6) / 2.2)
    assert Spectrum(np.array([1.0, -1.0]), np.zeros(2), (0.0, 0.0), 1.0).kaplan_yorke() == 2.0
    value, error = found.kolmogorov_sinai(growth, times)
    assert value == pytest.approx(found.exponents[found.exponents > 0].sum()) and error > 0


def test_bad_input_is_told():
    with pytest.raises(InputError, match="less than twice the cutoff"):
        tangent.SoftParticles(comm, 8, 2, 2.0, 1.0)
    with pytest.raises(InputError, match="do not fit"):
        tangent.HardDiscs(comm, 17, 2, 0.9)
    with pytest.raises(InputError, match="write an even number"):
        tangent.ColourDiscs(comm, 7, 0.4, 1.0, 1.0)
    with pytest.raises(InputError, match="exponents = 99"):
        soft(columns=99)
