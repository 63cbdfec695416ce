"""Topic 17: element-constrained minimum of the Gibbs energy, alone and against Cantera."""
import numpy as np
import pytest
from invented_systems import GAS

from hpcnemd.thermo import cp, gmin
from hpcnemd.thermo.deck import read_substances
from hpcnemd.thermo.errors import CandidateExcluded, ReferenceMismatch, TemperatureOutOfRange, ThermoInputError, UnknownComponent
from hpcnemd.thermo.ledger import DataSet
from hpcnemd.thermo.reaction import Substance, parse_reaction
from hpcnemd.thermo.sweep_grid import left_out
from hpcnemd.thermo.units import ATMOSPHERE, GAS_CONSTANT

SUBSTANCES, DATA = read_substances(GAS)


def grid(step):
    return [(n, 100.0 - m, float(m - n)) for m in range(0, 97, step) for n in range(0, m - 5, step)]


def from_cantera(ct, file, phase="gas"):
    out = {}
    for s in ct.Species.list_from_file(file):
        c = s.thermo.coeffs
        out[s.name] = Substance(s.name, dict(s.composition), phase, cp.nasa7(s.name, [s.thermo.min_temp, c[0], s.thermo.max_temp], [c[8:15], c[1:8]]),
                                DataSet("cantera", reference_pressure=ATMOSPHERE))
    return out


def check(found, substances, elements, t, p):
    """Element balance, and Delta_r G = 0 of independent reactions, from the definition of mu (not from the solver's own residual)."""
    total = sum(elements.values())
    for e, amount in elements.items():
        held = sum(n * substances[k].elements.get(e, 0.0) for k, n in found.moles.items())
        assert abs(held - amount) < 1e-12 * total
    gas = {k: n for k, n in found.moles.items() if substances[k].is_gas and n > 1e-250}
    count = sum(gas.values())
    mu = {k: substances[k].caloric.g(t) + GAS_CONSTANT * t * np.log(n / count * p / ATMOSPHERE) for k, n in gas.items()}
    mu |= {k: substances[k].caloric.g(t) for k, n in found.moles.items() if n > 0 and not substances[k].is_gas}
    for text in ("CO + H2O = CO2 + H2", "CH4 + H2O = CO + 3 H2", "2 CO = C(gr) + CO2", "2 H2O = 2 H2 + O2"):
        r = parse_reaction(text, substances)
        if all(k in mu for k in r.stoichiometry):
            assert abs(sum(nu * mu[k] for k, nu in r.stoichiometry.items())) < 1e-5, text
    return mu


def test_topic_17_element_constrained_minimum():
    seen = set()
    for c, h, o in grid(18):
        elements = {"C": c, "H": h, "O": o}
        found = gmin.minimise(SUBSTANCES, elements, 923.0, ATMOSPHERE)
        mu = check(found, SUBSTANCES, {e: n for e, n in elements.items()}, 923.0, ATMOSPHERE)
        seen.add("C(gr)" in mu)
        # no feasible direction lowers G: graphite that is absent has no driving force
        assert all(k.driving_force <= 1e-6 for k in found.candidates if k.status == "unstable")
    assert seen == {True, False}


def test_topic_17_trace_products_of_one_compound():
    """Pure water at 550 K: H2 and O2 of 1e-14 mol, in the ratio 2, which element balances of order one cannot see."""
    found = gmin.minimise(SUBSTANCES, gmin.element_amounts({"H2O": 2.0, "N2": 0.7}, SUBSTANCES), 550.0, 2 * ATMOSPHERE)
    assert found.moles["H2"] / found.moles["O2"] == pytest.approx(2, rel=5e-3)
    k = np.exp(parse_reaction("2 H2O = 2 H2 + O2", SUBSTANCES).ln_k(550.0))
    # 4 y^3 / (2^2 n) P/p0 = K for y mol of O2 and n mol of gas
    assert found.moles["O2"] == pytest.approx((k * 2.7 * 2.0 ** 2 / 4 / 2.0) ** (1 / 3), rel=1e-2)
    assert any("AR" in note for note in found.notes)


def test_topic_17_candidates_and_refusals():
    feed = gmin.element_amounts({"CH4": 1.0, "H2O": 0.4}, SUBSTANCES)
    found = gmin.minimise(SUBSTANCES, feed, 923.0, ATMOSPHERE, excluded=("C(gr)",))
    left = next(c for c in found.candidates if c.name == "C(gr)")
    assert left.status == "excluded" and left.driving_force > 100
    with pytest.raises(CandidateExcluded, match=r"excluded: C\(gr\), driving force"):
        gmin.record(found, feed, 923.0, ATMOSPHERE, "1 atm", SUBSTANCES).require_no_exclusion()
    # a gas that is left out: RT ln of its mole fraction, and whether that counts; all that is not chosen is left out
    whole = gmin.minimise(SUBSTANCES, feed, 923.0, ATMOSPHERE)
    out = gmin.minimise(SUBSTANCES, feed, 923.0, ATMOSPHERE, excluded=left_out(SUBSTANCES, [n for n in SUBSTANCES if n not in ("C2H4", "OH")], ["C2H4"]))
    forces = {c.name: c for c in out.candidates if c.status == "excluded" and c.driving_force is not None}
    gas = sum(n for k, n in whole.moles.items() if SUBSTANCES[k].is_gas)
    for name in ("C2H4", "OH"):
        assert forces[name].driving_force == pytest.approx(GAS_CONSTANT * 923.0 * np.log(whole.moles[name] / gas), rel=1e-4)
        assert forces[name].would_form == (whole.moles[name] / gas > gmin.GAS_TRACE)
    with pytest.raises(UnknownComponent, match="Xx"):
        left_out(SUBSTANCES, ["all"], ["Xx"])
    dry = gmin.minimise(SUBSTANCES, {"C": 1.0, "O": 2.0, "H": 0.0}, 923.0, ATMOSPHERE)
    assert next(c for c in dry.candidates if c.name == "CH4").reason.startswith("needs H")
    with pytest.raises(ThermoInputError, match="cannot hold"):
        gmin.minimise({k: SUBSTANCES[k] for k in ("CO", "CO2")}, {"C": 1.0, "O": 5.0}, 923.0, ATMOSPHERE)
    with pytest.raises(TemperatureOutOfRange):
        gmin.minimise(SUBSTANCES, {"C": 1.0, "O": 2.0}, 9000.0, ATMOSPHERE)
    with pytest.raises(UnknownComponent):
        gmin.element_amounts({"Xx": 1.0}, SUBSTANCES)
    bar = Substance("CO2", {"C": 1.0, "O": 2.0}, "gas", SUBSTANCES["CO2"].caloric, DataSet("bar", reference_pressure=1e5, reference_state=DATA.reference_state))
    with pytest.raises(ReferenceMismatch):
        gmin.minimise({**SUBSTANCES, "CO2": bar}, {"C": 1.0, "O": 1.5}, 923.0, ATMOSPHERE)


@pytest.mark.parametrize("feed", ({"C": 1.0, "H": 4.0, "O": 1.0}, {"C": 2.0, "H": 1.0, "O": 3.0}, {"C": 1.0, "H": 6.0, "O": 4.0}))
def test_topic_17_against_cantera(feed):
    """53 species and graphite at five temperatures; Cantera's `gibbs` solver at tight tolerance."""
    ct = pytest.importorskip("cantera")
    gas, carbon = ct.Solution("gri30.yaml"), ct.Solution("graphite.yaml")
    own = {**from_cantera(ct, "gri30.yaml"), **from_cantera(ct, "graphite.yaml", "graphite")}
    for t in (800.0, 1200.0, 1800.0, 2400.0, 3000.0):
        gas.TPX = t, ATMOSPHERE, {"C": feed["C"], "H": feed["H"], "O": feed["O"]}
        mix = ct.Mixture([(gas, sum(feed.values())), (carbon, 0.0)])
        mix.T, mix.P = t, ATMOSPHERE
        mix.equilibrate("TP", solver="gibbs", rtol=1e-12, max_steps=5000)
        other = dict(zip(mix.species_names, mix.species_moles))
        found = gmin.minimise(own, {**feed, "N": 0.0, "Ar": 0.0}, t, ATMOSPHERE, ct.gas_constant / 1e3)
        check(found, {**own, **{k: own[k] for k in own}}, feed, t, ATMOSPHERE)
        for k, n in found.moles.items():
            assert n == pytest.approx(other[k], abs=1e-9 * sum(feed.values())), (t, k)


def test_topic_17_cantera_grid_has_no_failure():
    """The C-H-O-graphite grid of 136 points at 923 K, 1 atm, on which multiphase solvers are known to fail."""
    ct = pytest.importorskip("cantera")
    own = {**from_cantera(ct, "gri30.yaml"), **from_cantera(ct, "graphite.yaml", "graphite")}
    points = grid(6)
    assert len(points) == 136
    for c, h, o in points:
        found = gmin.minimise(own, {"C": c, "H": h, "O": o}, 923.0, ATMOSPHERE)
        assert found.residuals["element balance"] < 1e-12 and found.residuals["chemical potentials (J/mol)"] < 1e-5
    h2o2 = from_cantera(ct, "h2o2.yaml")
    assert gmin.minimise(h2o2, gmin.element_amounts({"H2O": 2.0, "N2": 0.7}, h2o2), 550.0, 2 * ATMOSPHERE).residuals["element balance"] < 1e-12
