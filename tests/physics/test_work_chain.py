"""The pulled chain: theorems with and without a bath, and the literal reversal. Seeds are fixed; right code fails for less than 1 % of them."""
import math

import numpy as np
import pytest

from hpcnemd.ensembles.campaign import Branch
from hpcnemd.experiments.work_theorems import prepare
from hpcnemd.experiments.work_theorems.chain import free_energy

from work_runs import check, deck_of, result_of, table_of

EQUILIBRIUM = ("Crooks slope, logistic regression", "free energy, logistic intercept", "free energy, BAR")


def test_free_energies_by_quadrature():
    """Harmonic links: k_eff L^2/2 in closed form. One hardening link: a one-dimensional integral."""
    from scipy.integrate import quad
    table = deck_of("pulled_chain", {"samples": 1}, anharmonicity=0.0, beads=5, steps=400, temperature=0.8).system
    stiff = 1 / (5 / 10.0 + 1 / 5.0)
    assert free_energy(table, 2.0) - free_energy(table, 0.0) == pytest.approx(0.5 * stiff * 4.0, abs=1e-9)
    table = deck_of("pulled_chain", {"samples": 1}, beads=1, steps=400).system
    z = [quad(lambda r: math.exp(-5 * r**2 - 2.5 * r**4 - 2.5 * (r - c)**2), -6, 6, epsabs=1e-13)[0] for c in (0.0, 2.0)]
    assert free_energy(table, 2.0) - free_energy(table, 0.0) == pytest.approx(math.log(z[0] / z[1]), abs=1e-8)


def test_starts_are_in_equilibrium():
    """Moments of the last bead and of the links at a stretched trap against the distribution by quadrature: 4 standard errors."""
    model = prepare(deck_of("pulled_chain", {"samples": 1})).model
    n, table = 8000, model.table
    x, v = model.begin(Branch("reverse", 1, 0, n), np.arange(n), 2.0)
    end = x.reshape(8, n)[-1]
    h = 1e-3                                                # <k (centre - end)> is the slope of the free energy, its variance the curvature
    f = [free_energy(table, 2.0 + s * h) for s in (-1, 0, 1)]
    force = table.trap_stiffness * (2.0 - end)
    assert abs(force.mean() - (f[2] - f[0]) / (2 * h)) < 4 * force.std() / math.sqrt(n)
    variance = table.trap_stiffness - (f[2] - 2 * f[1] + f[0]) / h**2
    assert abs(force.var() - variance) < 4 * variance * math.sqrt(2 / n)
    links = np.diff(x.reshape(8, n), axis=0, prepend=0.0)
    means = links.mean(axis=1)
    assert (abs(means - means.mean()) < 4.5 * links.std() / math.sqrt(n)).all()           # links are exchangeable
    assert abs(v.var() - 1.0) < 4 * math.sqrt(2 / v.size)


def test_pulled_in_a_bath(tmp_path):
    result = result_of(tmp_path, "pulled_chain", {"replicas": 8000})
    check(result, EQUILIBRIUM)
    assert result.number("free energy, BAR").target == pytest.approx(2.336696, abs=1e-5)
    assert all(one.value > 5 * one.error for one in result.ledger)


def test_velocities_reversed_against_a_rest_in_a_bath(tmp_path):
    """The literal reversal gives the work back to the last unit in every trajectory; after a rest with a bath Crooks' theorem holds."""
    result = result_of(tmp_path, "pulled_chain", {"replicas": 1600, "samples": 1, "batch": 400}, dynamics="reversible", steps=480, rest=10.0)
    assert not any("undone exactly" in text for text in result.warnings)
    assert "in 1600 of 1600 trajectories, 0 coordinates differ" in result.facts[0]
    check(result, EQUILIBRIUM)
    assert result.number("mean work").value - result.number("free energy, BAR").value > 0.3        # it was driven away from equilibrium
    assert abs(result.number("shadow work").value) < 0.05 and abs(result.number("shadow work, way back").value) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("run, table", [({"replicas": 50000}, {}), ({"replicas": 20000, "samples": 1}, {"dynamics": "reversible", "steps": 960})])
def test_chains_in_full(tmp_path, run, table):
    result = result_of(tmp_path, "pulled_chain", run, **table)
    print("\n" + table_of(result))
    check(result, EQUILIBRIUM)
    assert abs(result.number("Crooks slope, logistic regression").value - 1) < 0.02
