"""Topic 21 (and 3, 6, 16 with real water): IAPWS-95 through CoolProp, and the Lennard-Jones equations of state against teqp."""
import numpy as np
import pytest

from hpcnemd.thermo import clapeyron, eos, potentials
from hpcnemd.thermo.errors import TemperatureOutOfRange, ThermoInputError
from hpcnemd.thermo.jets import variables

# IAPWS R6-95, Table 7: T, rho, p (MPa), cv (kJ/kg/K), w (m/s), s (kJ/kg/K)
TABLE_7 = """
300 0.9965560e3 0.992418352e-1 4.13018112 1501.51914 0.393062643
300 0.1005308e4 0.200022515e2 4.06798347 1534.92501 0.387405401
300 0.1188202e4 0.700004704e3 3.46135580 2443.57992 0.132609616
500 0.4350000 0.999679423e-1 1.50817541 548.314253 7.94488271
500 0.4532000e1 0.999938125 1.66991025 535.739001 6.82502725
500 0.8380250e3 0.100003858e2 3.22106219 1271.28441 2.56690919
500 0.1084564e4 0.700000405e3 3.07437693 2412.00877 2.03237509
647 0.3580000e3 0.220384756e2 6.18315728 252.145078 4.32092307
900 0.2410000 0.100062559 1.75890657 724.027147 9.16653194
900 0.5261500e2 0.200000690e2 1.93510526 698.445674 6.59070225
900 0.8707690e3 0.700000006e3 2.66422350 2019.33608 4.17223802"""
# Table 8: T, p (MPa), rho', rho'', h', h'' (kJ/kg), s'
TABLE_8 = """
275 0.698451167e-3 0.999887406e3 0.550664919e-2 0.775972202e1 0.250428995e4 0.283094670e-1
450 0.932203564 0.890341250e3 0.481200360e1 0.749161585e3 0.277441078e4 0.210865845e1
625 0.169082693e2 0.567090385e3 0.118290280e3 0.168626976e4 0.255071625e4 0.380194683e1"""


@pytest.fixture(scope="module")
def water():
    pytest.importorskip("CoolProp")
    from hpcnemd.thermo.fluids import Water
    return Water()


def rows(table):
    return [tuple(float(v) for v in line.split()) for line in table.strip().split("\n")]


@pytest.mark.parametrize("row", rows(TABLE_7), ids=lambda row: f"{row[0]:g}-{row[1]:g}")
def test_topic_21_iapws_table_7(water, row):
    t, rho, p, cv, w, s = row
    got = water.properties(t, rho)
    assert np.allclose([got["p"] / 1e6, got["cv"] / 1e3, got["w"], got["s"] / 1e3], [p, cv, w, s], rtol=1e-8)


@pytest.mark.parametrize("row", rows(TABLE_8), ids=lambda row: f"{row[0]:g}")
def test_topic_21_iapws_table_8(water, row):
    got = water.saturation(row[0])
    have = [got["p"] / 1e6, got["rho_liquid"], got["rho_gas"], got["h_liquid"] / 1e3, got["h_gas"] / 1e3, got["s_liquid"] / 1e3]
    assert np.allclose(have, row[1:], rtol=1e-8)


def test_topic_06_maxwell_of_water(water):
    got = water.properties(500.0, 838.025)
    ds_dv = potentials.difference(lambda v: water.properties(500.0, 1 / v)["s"], 1 / 838.025, 0.01 / 838.025)
    assert ds_dv == pytest.approx(1.48133e6, rel=3e-6) and got["dpdt"] == pytest.approx(ds_dv, rel=1e-8)


def test_topic_03_fundamental_relation_of_water(water):
    """T = (du/ds)_v to 1e-9 and p = -(du/dv)_s to 1e-8, along numerical paths of constant v and of constant s; mu of Euler's relation is dG/dN."""
    t, rho = 500.0, 838.025
    at = water.properties(t, rho)
    du, ds = (potentials.difference(lambda x: water.properties(x, rho)[k], t, 2.0) for k in ("u", "s"))
    assert du / ds == pytest.approx(t, rel=1e-9)
    # along constant s: dT = -(ds/dv)_T / (ds/dT)_v dv
    u_v, s_v = (potentials.difference(lambda v: water.properties(t, 1 / v)[k], 1 / rho, 0.01 / rho) for k in ("u", "s"))
    assert -(u_v - du * s_v / ds) == pytest.approx(at["p"], rel=1e-8)          # p is a small difference of large terms here
    # u = T s - p v + mu for one kilogram, mu = d(m u)/dm at constant S and V: u - s (du/ds) - v (du/dv)
    mu = at["u"] - at["s"] * du / ds - (u_v - du * s_v / ds) / rho
    assert t * at["s"] - at["p"] / rho + mu == pytest.approx(at["u"], rel=1e-8) and mu == pytest.approx(at["h"] - t * at["s"], rel=1e-8)


def test_topic_16_saturated_water(water):
    def sat(t):
        return water.saturation(t)
    at = sat(373.15)
    dv = 1 / at["rho_gas"] - 1 / at["rho_liquid"]
    slope = clapeyron.slope_from_entropy(at["s_gas"] - at["s_liquid"], dv)
    assert slope == pytest.approx(3619.337, abs=5e-4)
    assert clapeyron.slope(373.15, at["h_gas"] - at["h_liquid"], dv) == pytest.approx(slope, rel=1e-9)
    assert potentials.difference(lambda t: sat(t)["p"], 373.15, 1.0) == pytest.approx(slope, rel=1e-7)


def test_water_refuses_what_it_does_not_hold(water):
    with pytest.raises(TemperatureOutOfRange, match="298.15 K"):
        water.properties(25.0, 997.0)
    with pytest.raises(TemperatureOutOfRange, match="critical"):
        water.saturation(650.0)


@pytest.mark.parametrize("which, kind", [("thol", "LJ126_TholJPCRD2016"), ("jzg", "LJ126_Johnson1993")])
def test_topic_21_lennard_jones_against_teqp(which, kind):
    """Residual Helmholtz energy and its first and second derivatives at 40 random states."""
    teqp = pytest.importorskip("teqp")
    other, own, z = teqp.make_model({"kind": kind, "model": {}}), eos.lennard_jones(which), np.array([1.0])
    rng = np.random.default_rng(3)
    for t, rho in zip(rng.uniform(0.8, 5.0, 40), rng.uniform(0.01, 0.9, 40)):
        a = own.residual(*variables(t, rho))
        ideal = np.array([a.v / t, rho * a.y / t, rho ** 2 * a.yy / t])
        assert np.allclose(ideal, [other.get_Ar00(t, rho, z), other.get_Ar01(t, rho, z), other.get_Ar02(t, rho, z)], rtol=1e-9, atol=1e-10)
        # tau d/dtau of a/T is u/T
        assert a.v / t - a.x == pytest.approx(other.get_Ar10(t, rho, z), rel=1e-9, abs=1e-10)


def test_topic_21_lennard_jones_numbers():
    thol, jzg = eos.lennard_jones("thol"), eos.lennard_jones("jzg")
    t, rho, _ = jzg.critical_point()
    assert (t, rho) == (pytest.approx(1.3130, abs=5e-5), pytest.approx(0.3100, abs=5e-5))
    assert thol.critical_point()[0] == pytest.approx(1.32, abs=1e-4)
    assert eos.second_virial(jzg, 1.0) == pytest.approx(-5.31475, abs=5e-6)
    residual = [float(f.residual(*variables(1.5, 0.5)).v / 1.5) for f in (jzg, thol)]
    assert residual == pytest.approx([-0.8829, -0.8938], abs=5e-5)


def test_second_virial_of_the_potential_itself():
    """B2(T = 1) = -2 pi int (exp(-u/T) - 1) r^2 dr, by quadrature: Thol within 0.2 %, JZG within 0.1 %."""
    from scipy.integrate import quad
    exact = -2 * np.pi * sum(quad(lambda r: (np.exp(-4 * (r ** -12 - r ** -6)) - 1) * r * r, a, b, epsabs=1e-12, limit=200)[0] for a, b in ((0.01, 1), (1, 3), (3, 2000)))
    assert exact == pytest.approx(-5.31571, abs=1e-4)
    assert eos.second_virial(eos.lennard_jones("jzg"), 1.0) == pytest.approx(exact, rel=1e-3)
    assert eos.second_virial(eos.lennard_jones("thol"), 1.0) == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize("which", ("thol", "jzg"))
def test_saturation_curve_for_the_liquid_gas_experiment(which):
    """Equal p and mu to rounding, and the slope of p(T) is Clapeyron's, on the whole curve."""
    fluid = eos.lennard_jones(which)
    t = np.array([0.7, 1.25])
    curve = eos.saturation_curve(fluid, t)
    for row in curve:
        gas, liquid = (fluid.properties(row[0], 1 / r) for r in row[2:4])
        assert abs(gas["p"] - liquid["p"]) < 1e-10 and abs(gas["g"] - liquid["g"]) < 1e-10
        assert potentials.difference(lambda x: fluid.saturation(x)["p"], row[0], 0.01) == pytest.approx(row[5], rel=1e-7)
        assert clapeyron.slope(row[0], row[4], 1 / row[2] - 1 / row[3]) == pytest.approx(row[5], rel=1e-9)
    assert np.all(np.diff(curve[:, 1]) > 0) and np.all(np.diff(curve[:, 3]) < 0)
    with pytest.raises(TemperatureOutOfRange, match="critical"):
        fluid.saturation(1.4)
    with pytest.raises(ThermoInputError, match="jzg"):
        eos.lennard_jones("unknown")
