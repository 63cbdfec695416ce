"""The chain between two baths: against plain numpy, the exact covariances of the harmonic chain in discrete time, and the transfer integral of the phi^4 chain.
Seeds are fixed; right code fails a statistical test for less than 0.1 % of them (numbers over 4 to 4.5 standard errors of independent replicas)."""
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov, solve_discrete_lyapunov

from hpcnemd.kernels import chain_heated, simd
from hpcnemd.kernels.chain_heated import heat_chains, leaps_of, momenta_of
from hpcnemd.kernels.lane_normals import fill_normals

KEY = np.array([12345, 67890])
FPUT, PHI4, HARMONIC, ALL = ((1.0, 0.8), None), ((1.0, 0.0), (0.0, 1.0)), ((1.0, 0.0), None), ((1.2, 0.8), (0.3, 1.1))


class Chains:
    """Replicas `ids` and their books, moved on by `run`."""

    def __init__(self, chain, sites, ids, step=0.05, friction=(0.7, 0.7), temperature=(1.2, 0.8), start=0):
        self.links, self.pinning = chain
        self.ids, self.step, self.friction, self.temperature, self.time = np.asarray(ids), step, friction, temperature, start
        rng = [np.random.default_rng([7, i]) for i in self.ids]
        self.q, p = (np.stack([spread * r.normal(size=sites) for r in rng], axis=1) for spread in (0.3, 1.0))
        self.u = leaps_of(self.q, p, step, self.links, self.pinning)
        self.ledger, self.sums = np.zeros((4, len(ids))), np.zeros((3, sites, len(ids)))

    @property
    def p(self):
        return momenta_of(self.q, self.u, self.step, self.links, self.pinning)

    def run(self, samples, every, path="auto", temperature=None):
        found = heat_chains(KEY, self.ids, 3, self.time, every, samples, self.step, self.links, self.pinning, self.friction,
                            self.temperature if temperature is None else temperature, self.q, self.u, self.ledger, self.sums, path)
        self.time += samples * every
        return found


def tensions(q, links):
    r = np.diff(q, axis=0, prepend=0.0, append=0.0)
    return r, links[0] * r + links[1] * r**3


def pinned(q, pinning):
    k2, k4 = pinning or (0.0, 0.0)
    return k2 * q + k4 * q**3, k2 * q**2 / 2 + k4 * q**4 / 4


def oracle(one, samples, every, temperature):
    """The same, a step written out as B A O A B in positions and momenta."""
    q, p, dt, n = one.q.copy(), one.p, one.step, len(one.ids)
    ids = np.concatenate([one.ids, np.repeat(one.ids[-1], -n % 8)])
    c = np.exp(-dt * np.array(one.friction))
    ledger, sums, energies = np.zeros((4, n)), np.zeros((3, *q.shape)), []

    def force(q):
        return np.diff(tensions(q, one.links)[1], axis=0) - pinned(q, one.pinning)[0]
    for s in range(samples * every):
        g = np.empty(2 * len(ids))
        fill_normals(KEY, ids, 3, (one.time + s) % 2**32, (one.time + s) // 2**32, g)
        p = p + dt / 2 * force(q)
        q = q + dt / 2 * p
        for end, site in enumerate((0, -1)):
            t = temperature[end, s if temperature.shape[1] > 1 else 0]
            w = c[end] * p[site] + np.sqrt((1 - c[end]**2) * t) * g.reshape(2, -1)[end, :n]
            heat = (w**2 - p[site]**2) / 2
            ledger[end] += heat
            ledger[2 + end] += heat / t
            p[site] = w
        q = q + dt / 2 * p
        p = p + dt / 2 * force(q)
        if (s + 1) % every == 0:
            r, f = tensions(q, one.links)
            link = one.links[0] * r**2 / 2 + one.links[1] * r**4 / 4
            link[1:-1] /= 2
            site_energy = p**2 / 2 + pinned(q, one.pinning)[1] + link[:-1] + link[1:]
            energies.append(site_energy.sum(axis=0))
            sums[0] += ((p - dt / 2 * force(q))**2 + (p + dt / 2 * force(q))**2) / 2
            sums[1] += site_energy
            sums[2, :-1] -= f[1:-1] * (p[:-1] + p[1:]) / 2
    return q, p, ledger, sums, np.array(energies)


@pytest.mark.parametrize("path", simd.available_paths())
@pytest.mark.parametrize("chain, sites, every", [(FPUT, 9, 13), (PHI4, 7, 40), (HARMONIC, 2, 5), (HARMONIC, 3, 6), (((0.8, 0.0), (0.3, 1.1)), 4, 3),
                                                 pytest.param(ALL, 6, 9, marks=pytest.mark.slow)])
def test_steps_books_and_profiles_are_those_of_plain_numpy(chain, sites, every, path):
    """Steps whose numbers pass 2^32, temperatures that change, odd numbers of steps and of replicas."""
    one = Chains(chain, sites, np.arange(13) + 2**31, start=2**32 - 7, friction=(0.7, 0.3))
    temperature = np.stack([np.linspace(1.2, 2.0, 3 * every), np.linspace(0.8, 0.5, 3 * every)])
    q, p, ledger, sums, energies = oracle(one, 3, every, temperature)
    energy, heat = one.run(3, every, path, temperature)
    for got, want in ((one.q, q), (one.p, p), (one.ledger, ledger), (one.sums[:2], sums[:2]), (one.sums[2, :-1], sums[2, :-1]), (energy, energies), (heat[-1], ledger[:2])):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chain", [FPUT, PHI4])
def test_a_replica_is_the_same_in_any_batch_and_in_parts(chain):
    """To the last bit: other lanes, other company, samples or not, a run in parts."""
    whole = Chains(chain, 10, range(21))
    whole.run(1, 71)
    for ids in ([20], [3, 2, 20, 4, 17, 0, 9, 11, 19]):
        some = Chains(chain, 10, ids)
        some.run(5, 13)
        some.run(6, 1)
        for a, b in ((some.q, whole.q), (some.u, whole.u), (some.ledger, whole.ledger)):
            assert np.array_equal(a, b[:, ids])


@pytest.mark.slow
def test_width_of_the_vectors_changes_no_bit(monkeypatch):
    """What AVX-512 and other processors compile, on whatever processor this is."""
    found = []
    for path in ("avx2", "avx512"):
        monkeypatch.setattr(chain_heated, "choose_path", lambda wanted: path)
        found.append([Chains(chain, 10, range(13)) for chain in (FPUT, PHI4, ALL)])
        for one in found[-1]:
            one.run(2, 33)
    for narrow, wide in zip(*found):
        assert np.array_equal(narrow.sums, wide.sums) and np.array_equal(narrow.q, wide.q) and np.array_equal(narrow.ledger, wide.ledger)


@pytest.mark.slow
def test_a_processor_without_vectors_computes_the_same_physics():
    """The comparison with plain numpy once more, in a process that compiles for no particular processor (no fma: other bits)."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", __file__, "-k", "plain_numpy"], env={**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
                          capture_output=True, text=True)
    assert done.returncode == 0 and "5 passed" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("chain", [FPUT, PHI4])
def test_the_step_is_of_second_order(chain):
    """With friction but no noise everything has a limit: positions, momenta and heat at a fixed time."""
    found = []
    for k in (1, 2, 16):
        one = Chains(chain, 6, range(8), step=0.08 / k, temperature=(0.0, 0.0), friction=(0.7, 0.4))
        one.run(1, 50 * k)
        found.append(np.concatenate([one.q, one.p, one.ledger[:2]]))
    first, second = (np.linalg.norm(one - found[2]) for one in found[:2])
    assert 1e-3 < first < 0.3
    assert first / second == pytest.approx((1 - 1 / 16**2) / (1 / 4 - 1 / 16**2), rel=0.05)


@pytest.mark.parametrize("chain", [FPUT, PHI4])
def test_first_law(chain):
    """Heat of both baths is the change of energy, up to an error that falls as the square of the step; heat flows from hot to cold, the same through all links."""
    rms = []
    for k in (1, 4):
        one = Chains(chain, 12, range(1024), step=0.1 / k, temperature=(1.5, 0.5))
        before = one.run(1, 800 * k)[0]
        books, one.sums[:] = one.ledger.copy(), 0
        after = one.run(100, 10 * k)[0]
        flow = one.ledger - books
        rms.append(np.sqrt(np.mean((after[-1] - before[-1] - flow[0] - flow[1])**2)))
        np.testing.assert_allclose(flow[2:], [flow[0] / 1.5, flow[1] / 0.5], rtol=0, atol=1e-9)
    assert rms[0] < 0.1 and np.log(rms[0] / rms[1]) / np.log(4) == pytest.approx(2, abs=0.15)
    error = flow[:2].std(axis=1) / np.sqrt(1024)
    assert flow[0].mean() > 10 * error[0] and flow[1].mean() < -10 * error[1]
    away = one.sums[2, :-1] - flow[0]                       # 100 units of time, 100 samples
    assert np.all(np.abs(away.mean(axis=1)) < 4.5 * away.std(axis=1) / np.sqrt(1024) + abs((after[-1] - before[-1]).mean()))


def linear_step(sites, step, friction, temperature, pin=0.0):
    """(K, M, D): forces -K q, and a step z' = M z + noise of covariance D for z = (q, momenta before the kick)."""
    stiff = (2 + pin) * np.eye(sites) - np.eye(sites, k=1) - np.eye(sites, k=-1)
    one, zero = np.eye(sites), np.zeros((sites, sites))
    decay, noise = np.ones(sites), np.zeros(sites)
    decay[[0, -1]] = c = np.exp(-step * np.array(friction))
    noise[[0, -1]] = (1 - c**2) * temperature
    kick = np.block([[one, zero], [-step * stiff, one]])
    half = np.block([[one, step / 2 * one], [zero, one]])
    bath = np.block([[one, zero], [zero, np.diag(decay)]])
    added = half @ np.block([[zero, zero], [zero, np.diag(noise)]]) @ half.T
    return stiff, half @ bath @ half @ kick, added


def stationary(sites, step, friction, temperature, pin=0.0):
    """Exact stationary (kinetic profile, current through each link, heat of each bath per time) of the harmonic chain in discrete time."""
    stiff, move, added = linear_step(sites, step, friction, temperature, pin)
    c = solve_discrete_lyapunov(move, added)
    one, zero = np.eye(sites), np.zeros((sites, sites))
    after = np.hstack([-step * stiff, one])
    now = np.hstack([-step / 2 * stiff, one])
    kinetic = np.diag(c[sites:, sites:] + after @ c @ after.T) / 2
    pull = np.hstack([np.diff(one, axis=0), zero[1:]])
    current = -np.array([pull[i] @ c @ (now[i] + now[i + 1]) / 2 for i in range(sites - 1)])
    before = np.diag(after @ c @ after.T)[[0, -1]]
    heat = (1 - np.exp(-2 * step * np.array(friction))) * (np.array(temperature) - before) / (2 * step)
    return kinetic, current, heat


def test_the_covariance_equation_itself():
    """Both heats the same and the currents within the square of the step (inner links exactly) of them; limit of a small step: the flat profile and the current of
    Rieder, Lebowitz and Lieb (1967) for a long chain, friction g at its ends, springs of stiffness 1 to the walls: Delta T/(2 g) (1 + v/2 - v/2 sqrt(1 + 4/v)),
    v = 1/g^2; and the covariance equation in continuous time."""
    kinetic, current, heat = stationary(40, 0.1, (0.7, 0.7), (1.5, 0.5))
    np.testing.assert_allclose(current[1:-1], current[1], rtol=1e-9)
    np.testing.assert_allclose(current, heat[0], rtol=0.5 * 0.1**2)
    np.testing.assert_allclose(heat[1], -heat[0], rtol=1e-9)
    assert np.abs(kinetic[5:-5] - 1.0).max() < 1e-3
    for step in (0.1, 0.05):
        kinetic, current, heat = stationary(40, step, (0.7, 0.7), (1.5, 0.5))
        v = 1 / 0.7**2
        limit = 1 / 1.4 * (1 + v / 2 - v / 2 * np.sqrt(1 + 4 / v))
        assert abs(current[0] - limit) < 0.1 * step**2
    stiff, unused1, unused2 = linear_step(6, 0.1, (0.7, 0.4), (1.5, 0.5))
    drift = np.block([[np.zeros((6, 6)), np.eye(6)], [-stiff, np.diag([-0.7, 0, 0, 0, 0, -0.4])]])
    c = solve_continuous_lyapunov(drift, -np.diag([0] * 6 + [2 * 0.7 * 1.5, 0, 0, 0, 0, 2 * 0.4 * 0.5]))
    np.testing.assert_allclose(stationary(6, 1e-3, (0.7, 0.4), (1.5, 0.5))[0], np.diag(c)[6:], rtol=1e-5)


def test_harmonic_chain_between_two_baths():
    """Kinetic temperatures, currents and heats against the exact stationary values of the same step, 4.5 standard errors of 512 replicas."""
    sites, step, friction, temperature = 8, 0.5, (0.7, 0.5), (1.5, 0.5)
    one = Chains(HARMONIC, sites, range(512), step, friction, temperature)
    one.run(1, 1000)
    one.sums[:], one.ledger[:] = 0, 0
    one.run(1000, 5)
    exact, continuous = stationary(sites, step, friction, temperature), stationary(sites, 1e-3, friction, temperature)
    for got, want, other in zip((one.sums[0] / 1000, one.sums[2, :-1] / 1000, one.ledger[:2] / (5000 * step)), exact, continuous):
        error = got.std(axis=1) / np.sqrt(512)
        assert np.all(np.abs(got.mean(axis=1) - want) < 4.5 * error)
        assert np.any(np.abs(other - want) > 10 * error)                # it tells this step from a small one


def test_harmonic_chain_in_equilibrium():
    """Positions have the covariance T/K at any step, the momenta on both sides of the kick the temperature: 4.5 standard errors of 4096 replicas."""
    one = Chains(((1.0, 0.0), (0.5, 0.0)), 6, range(4096), 0.3, temperature=(0.8, 0.8))
    one.run(1, 400)
    one.sums[:] = 0
    one.run(10, 30)
    want = 0.8 * np.linalg.inv(linear_step(6, 0.3, (0.7, 0.7), (0.8, 0.8), 0.5)[0])
    products = one.q[:, None] * one.q[None]
    assert np.all(np.abs(products.mean(axis=2) - want) < 4.5 * products.std(axis=2) / np.sqrt(4096))
    kinetic = one.sums[0] / 10
    assert np.all(np.abs(kinetic.mean(axis=1) - 0.8) < 4.5 * kinetic.std(axis=1) / np.sqrt(4096))


def transfer_integral_energy(sites, temperature):
    """Mean energy of the phi^4 chain between walls: the configurational integral by repeated quadrature, T^2 d ln Z/dT by a central difference."""
    x, weight = np.polynomial.legendre.leggauss(160)
    x, weight = 6.0 * x, 6.0 * weight

    def log_integral(t):
        site, link = np.exp(-x**4 / (4 * t)) * weight, np.exp(-(x[:, None] - x)**2 / (2 * t))
        z, total = np.exp(-x**2 / (2 * t)), 0.0
        for _ in range(sites - 1):
            z = link @ (site * z)
            total += np.log(z.max())
            z /= z.max()
        return total + np.log(np.sum(site * z * np.exp(-x**2 / (2 * t))))
    h = 1e-3 * temperature
    return sites * temperature / 2 + temperature**2 * (log_integral(temperature + h) - log_integral(temperature - h)) / (2 * h)


def test_phi4_chain_in_equilibrium():
    """Energy and kinetic temperatures of 16 sites at T = 1; 4 and 4.5 standard errors of 512 replicas, and 0.01 for the step's own error of the energy."""
    assert transfer_integral_energy(32, 1.0) == pytest.approx(28.3703, abs=2e-4)
    one = Chains(PHI4, 16, range(512), 0.03, (1.0, 1.0), (1.0, 1.0))
    one.run(1, 5000)
    one.sums[:] = 0
    energy = one.run(40, 100)[0].mean(axis=0)
    assert abs(energy.mean() - transfer_integral_energy(16, 1.0)) < 4 * energy.std() / np.sqrt(512) + 0.01
    kinetic = one.sums[0] / 40
    assert np.all(np.abs(kinetic.mean(axis=1) - 1) < 4.5 * kinetic.std(axis=1) / np.sqrt(512))


def test_arrays_that_do_not_fit_are_refused():
    one = Chains(FPUT, 5, range(4))
    with pytest.raises(ValueError, match="4 chains of 5 sites"):
        one.run(2, 5, temperature=np.ones((2, 9)))
    one.ids = np.arange(3)
    with pytest.raises(ValueError, match="3 ids"):
        one.run(1, 1)
