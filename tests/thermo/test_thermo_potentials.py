"""Topics 1-6: state quantities, the two laws, the fundamental relation, Legendre transforms, dF and dG, Maxwell."""
import numpy as np
import pytest

from hpcnemd.thermo import eos, potentials
from hpcnemd.thermo.errors import NoEquilibrium, WrongPotential
from hpcnemd.thermo.jets import exp, log, variables
from hpcnemd.thermo.units import GAS_CONSTANT

VDW = eos.van_der_waals(0.3658, 4.286e-5)
FLUIDS = {"jzg": (eos.lennard_jones("jzg"), 1.5, 2.0), "thol": (eos.lennard_jones("thol"), 1.5, 2.0), "van der Waals": (VDW, 350.0, 2e-4)}


def test_jets_are_the_derivatives():
    """Against hand-written derivatives of x^2 exp(y)/log(x)."""
    x, y = variables(1.7, 0.3)
    f = x ** 2 * exp(y) / log(x)
    l, e = np.log(1.7), np.exp(0.3)
    fx = e * (2 * 1.7 / l - 1.7 / l ** 2)
    fxx = e * (2 / l - 2 / l ** 2 - 1 / l ** 2 + 2 / l ** 3)
    assert np.allclose([f.v, f.x, f.y, f.xx, f.xy, f.yy], [1.7 ** 2 * e / l, fx, f.v, fxx, fx, f.v], rtol=1e-14)


@pytest.mark.parametrize("name", FLUIDS)
def test_topic_01_state_quantities_close_loops(name):
    fluid, t, v = FLUIDS[name]
    loop = potentials.cycle_integrals(fluid, (1.3 * t, 1 / v), (0.2 * t, 0.3 / v))
    size = abs(loop["q"])
    assert abs(loop["u"]) < 1e-10 * size and abs(loop["s"]) * t < 1e-10 * size
    assert size > 1e-2 * fluid.gas_constant * t                 # heat and work are no state quantities
    assert loop["q"] == pytest.approx(loop["w"], rel=1e-10)


def test_topic_02_first_and_second_law():
    slow, free = potentials.isothermal_expansion(300.0, 1.0, 2.0), potentials.free_expansion(300.0, 1.0, 2.0)
    gas = eos.ideal_gas()
    v = np.linspace(0.02, 0.04, 2001)
    p = gas.properties(300.0, v)["p"]
    assert slow["q"] == pytest.approx(np.trapezoid(p, v), rel=1e-7)          # the integral of p dV of the equation of state
    assert slow["ds"] == pytest.approx(float(np.diff(gas.properties(300.0, np.array([0.02, 0.04]))["s"])[0]), rel=1e-12)
    assert free["ds"] == pytest.approx(5.76315, abs=5e-6) and free["q"] == 0.0
    assert potentials.second_law(free["ds"], 0.0) == pytest.approx(GAS_CONSTANT * np.log(2), rel=1e-14)
    assert potentials.second_law(slow["ds"], slow["q"] / 300.0) == pytest.approx(0, abs=1e-14)
    with pytest.raises(NoEquilibrium, match="negative"):
        potentials.second_law(-1.0, 0.0)


@pytest.mark.parametrize("name", FLUIDS)
def test_topic_03_fundamental_relation(name):
    fluid, t, v = FLUIDS[name]
    misses = potentials.fundamental_relation(fluid, t, v)
    assert max(misses.values()) < 1e-8, misses


def test_topic_04_legendre_transforms():
    fluid, t, v = FLUIDS["thol"]
    p = float(fluid.properties(t, v)["p"])
    g, at = potentials.helmholtz_to_gibbs(fluid, t, p, (1.2, 4.0))
    back, pressure = potentials.gibbs_to_helmholtz(fluid, t, v, (0.1, 2.0), (1.1, 20.0))
    f = float(fluid.helmholtz(t, v).v)
    assert back == pytest.approx(f, rel=1e-12) and pressure == pytest.approx(p, rel=1e-10)
    assert g == pytest.approx(f + p * v, rel=1e-13) and at == pytest.approx(v, rel=1e-12)
    # numerical conjugate against the analytic one: |x|^4/4 -> (3/4) p^(4/3), and f of an ideal gas -> f + R T
    value, x = potentials.convex_conjugate(lambda x: x ** 4 / 4, lambda x: x ** 3, 2.0, (0.0, 5.0))
    assert value == pytest.approx(0.75 * 2 ** (4 / 3), rel=1e-14) and x == pytest.approx(2 ** (1 / 3), rel=1e-14)
    gas = eos.ideal_gas()
    g, at = potentials.helmholtz_to_gibbs(gas, 300.0, 1e5, (1e-4, 1e2))
    assert at == pytest.approx(GAS_CONSTANT * 300 / 1e5, rel=1e-13)
    assert g == pytest.approx(float(gas.helmholtz(300.0, at).v) + GAS_CONSTANT * 300, rel=1e-13)
    with pytest.raises(NoEquilibrium, match="not reached"):
        potentials.convex_conjugate(lambda x: x ** 2, lambda x: 2 * x, 100.0, (0.0, 1.0))
    assert potentials.POTENTIALS["G"][0] == ("T", "P", "N") and potentials.potential_for({"T", "P", "N"}) == "G"
    assert potentials.potential_for({"T", "V", "mu"}) == "Omega"


@pytest.mark.parametrize("name", FLUIDS)
def test_topic_05_differentials_of_g_and_f(name):
    fluid, t, v = FLUIDS[name]
    at = fluid.properties(t, v)
    span = (0.7 * v, 1.4 * v)
    dgdt = potentials.difference(lambda x: potentials.helmholtz_to_gibbs(fluid, x, at["p"], span)[0], t, 0.01 * t)
    dgdp = potentials.difference(lambda x: potentials.helmholtz_to_gibbs(fluid, t, x, span)[0], at["p"], 0.02 * abs(at["p"]))
    assert abs(dgdt + at["s"]) < 1e-8 * max(abs(at["s"]), fluid.gas_constant) and dgdp == pytest.approx(v, rel=1e-8)
    dfdt = potentials.difference(lambda x: float(fluid.helmholtz(x, v).v), t, 0.01 * t)
    assert abs(dfdt + at["s"]) < 1e-8 * max(abs(at["s"]), fluid.gas_constant)


def test_topic_05_fixed_volume_minimises_f_and_never_g():
    fluid = FLUIDS["thol"][0]
    found = potentials.minimise_volume(fluid, 0.9, volume=4.0)
    assert found["potential"] == "F" and len(found["phases"]) == 2
    assert sum(w for w, _ in found["phases"]) == pytest.approx(1, abs=1e-14)
    assert sum(w * v for w, v in found["phases"]) == pytest.approx(4.0, rel=1e-12)
    # lower than one phase, and than any other split along the way
    assert found["value"] < float(fluid.properties(0.9, 4.0)["f"]) - 0.05
    for dv in (0.97, 1.03):
        (w, vg), (_, vl) = found["phases"]
        weight = (4.0 - vl) / (vg * dv - vl)
        other = weight * fluid.properties(0.9, vg * dv)["f"] + (1 - weight) * fluid.properties(0.9, vl)["f"]
        assert other > found["value"]
    assert potentials.minimise_volume(fluid, 0.9, pressure=0.5)["potential"] == "G"
    with pytest.raises(WrongPotential, match="G is not minimal at fixed N, T, V: the potential there is F"):
        potentials.minimise_volume(fluid, 0.9, volume=4.0, wanted="G")
    with pytest.raises(WrongPotential, match="no potential"):
        potentials.potential_for({"T", "S", "N"})


@pytest.mark.parametrize("name", FLUIDS)
def test_topic_06_maxwell_relations(name):
    misses = potentials.maxwell_residuals(*FLUIDS[name])
    assert max(misses.values()) < 1e-8, misses


def test_van_der_waals_critical_point_and_saturation():
    """Closed forms: T_c = 8a/27Rb, v_c = 3b, p_c = a/27b^2; both phases on the line have equal p and mu, and Maxwell's areas are equal."""
    a, b = 0.3658, 4.286e-5
    t, rho, p = VDW.critical_point()
    assert t == pytest.approx(8 * a / (27 * GAS_CONSTANT * b), rel=1e-9) and p == pytest.approx(a / (27 * b * b), rel=1e-8) and rho == pytest.approx(1 / (3 * b), rel=1e-3)
    line = VDW.saturation(0.8 * t)
    v = np.linspace(1 / line["rho_liquid"], 1 / line["rho_gas"], 200001)
    assert np.trapezoid(GAS_CONSTANT * 0.8 * t / (v - b) - a / v ** 2 - line["p"], v) == pytest.approx(0, abs=1e-4 * line["p"] * v[-1])
