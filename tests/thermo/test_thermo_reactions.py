"""Topics 10, 11, 12, 16 and 22: reactions, heat capacities with transitions, Shomate and NASA forms, Clapeyron, reference states and units."""
import numpy as np
import pytest
from invented_systems import GAS

from hpcnemd.thermo import clapeyron, cp, reaction, units
from hpcnemd.thermo.deck import read_substances
from hpcnemd.thermo.errors import (CoefficientScale, ReferenceMismatch, TemperatureGap, TemperatureOutOfRange, ThermoInputError, UnbalancedReaction,
                                   UnitMismatch, UnitMissing, UnknownComponent)
from hpcnemd.thermo.ledger import DataSet
from hpcnemd.thermo.units import GAS_CONSTANT

SUBSTANCES, DATA = read_substances(GAS)
CO2 = (298.0, 1200.0, 24.99735, 55.18696, -33.69137, 7.948387, -0.136638, -403.6075, 228.2431, -393.5224)      # NIST WebBook (Chase 1998)


def metal():
    """An invented metal: a solid-solid transition at 700 K, melting at 1100 K."""
    pieces = [(200.0, 700.0, {0: 22.0, 1: 8e-3, -2: -9e4}), (700.0, 1100.0, {0: 29.0, 1: 2e-3}), (1100.0, 2000.0, {0: 33.5, 0.5: 0.02})]
    return pieces, cp.from_heat_capacity("invented metal", pieces, 298.15, 0.0, 31.0, [(700.0, 900.0), (1100.0, 12000.0)])


def test_topic_10_equilibrium_constants():
    shift = reaction.parse_reaction("CO + H2O = CO2 + H2", SUBSTANCES)
    assert np.exp(shift.ln_k(1000.0)) == pytest.approx(1.435358, abs=1e-6)
    boudouard = reaction.parse_reaction("C(gr) + CO2 = 2 CO", SUBSTANCES)
    ln_k = reaction.shift_reference_pressure(boudouard.ln_k(1000.0), boudouard.gas_moles(), DATA.reference_pressure, units.BAR)
    assert np.exp(ln_k) == pytest.approx(1.786, abs=5e-4)
    assert reaction.reaction_gibbs(shift.delta_g(1000.0), 1000.0, np.exp(shift.ln_k(1000.0))) == pytest.approx(0, abs=1e-8)
    # van 't Hoff: d ln K/dT = Delta H / R T^2
    slope = (shift.ln_k(1100.5) - shift.ln_k(1099.5)) / 1.0
    assert slope == pytest.approx(shift.delta_h(1100.0) / (GAS_CONSTANT * 1100.0 ** 2), rel=1e-5)
    burn = reaction.parse_reaction("2 CO + O2 = 2 CO2", SUBSTANCES)
    assert burn.delta_g(1000.0) == pytest.approx(2 * (SUBSTANCES["CO2"].caloric.g(1000.0) - SUBSTANCES["CO"].caloric.g(1000.0)) - SUBSTANCES["O2"].caloric.g(1000.0), rel=1e-13)


def test_topic_10_against_cantera():
    ct = pytest.importorskip("cantera")
    gas = ct.Solution("gri30.yaml")
    for t in (400.0, 1000.0, 2500.0):
        gas.TP = t, ct.one_atm
        mu = dict(zip(gas.species_names, gas.standard_gibbs_RT))
        own = reaction.parse_reaction("CO + H2O = CO2 + H2", SUBSTANCES).ln_k(t)
        assert own == pytest.approx(-(mu["CO2"] + mu["H2"] - mu["CO"] - mu["H2O"]), rel=1e-9, abs=1e-9)


def test_topic_10_one_reaction_at_equilibrium():
    boudouard = reaction.parse_reaction("C(gr) + CO2 = 2 CO", SUBSTANCES)
    moles, residual = reaction.gas_extent(boudouard, 1000.0, 2e5, {"C(gr)": 3.0, "CO2": 1.0}, DATA.reference_pressure)
    total = moles["CO"] + moles["CO2"]
    assert residual < 1e-6 and moles["C(gr)"] + moles["CO2"] + moles["CO"] == pytest.approx(4.0, abs=1e-12)
    assert (moles["CO"] / total) ** 2 / (moles["CO2"] / total) * 2e5 / DATA.reference_pressure == pytest.approx(np.exp(boudouard.ln_k(1000.0)), rel=1e-9)
    # too little carbon: it is used up, and an affinity is left
    moles, residual = reaction.gas_extent(boudouard, 1500.0, 1e5, {"C(gr)": 0.1, "CO2": 1.0}, DATA.reference_pressure)
    assert moles["C(gr)"] == pytest.approx(0, abs=1e-12) and residual > 1000


def test_topic_10_refuses_unbalanced_and_unknown():
    with pytest.raises(UnbalancedReaction, match="O"):
        reaction.parse_reaction("CO + H2O = CO2 + 2 H2", SUBSTANCES)
    with pytest.raises(UnknownComponent, match="CO3"):
        reaction.parse_reaction("CO + H2O = CO3 + H2", SUBSTANCES)


def test_topic_11_integration_with_transitions():
    from scipy.integrate import quad
    pieces, substance = metal()

    def heat(t):
        return next(sum(c * t ** p for p, c in terms.items()) for low, high, terms in pieces if low <= t <= high)
    h = quad(heat, 298.15, 700)[0] + 900 + quad(heat, 700, 1100)[0] + 12000 + quad(heat, 1100, 1500)[0]
    s = quad(lambda t: heat(t) / t, 298.15, 700)[0] + 900 / 700 + quad(lambda t: heat(t) / t, 700, 1100)[0] + 12000 / 1100 + quad(lambda t: heat(t) / t, 1100, 1500)[0]
    assert substance.h(1500.0) == pytest.approx(h, rel=1e-12) and substance.s(1500.0) == pytest.approx(31.0 + s, rel=1e-12)
    assert substance.h(250.0) == pytest.approx(-quad(heat, 250, 298.15)[0], rel=1e-12)
    for t in (700.0, 1100.0):                                   # G is continuous, H jumps by the latent heat
        below, above = np.nextafter(t, 0), np.nextafter(t, 1e9)
        assert substance.g(above) - substance.g(below) == pytest.approx(0, abs=1e-8)
    assert substance.h(np.nextafter(1100.0, 1e9)) - substance.h(np.nextafter(1100.0, 0)) == pytest.approx(12000.0, abs=1e-7)


def test_topic_11_fusion_from_two_gibbs_functions():
    """Solid and liquid as SGTE-type functions whose difference is Delta H - T Delta S: the melting point and the latent heat are known."""
    solid = {"a": -7500.0, "b": 130.0, "c": -24.0, 2: -0.0022, -1: 60000.0}
    liquid = {**solid, "a": solid["a"] + 10800.0, "b": solid["b"] - 11.6}
    s, l = (cp.gibbs_function(n, (298.15, 2000.0), (f,)) for n, f in (("solid", solid), ("liquid", liquid)))
    t, heat, entropy = cp.transition(s, l)
    assert t == pytest.approx(10800 / 11.6, rel=1e-12) and heat == pytest.approx(10800, abs=1e-6) and entropy == pytest.approx(11.6, abs=1e-9)
    # G of the segments is the function itself, and H its Gibbs-Helmholtz derivative
    for x in (300.0, 1234.5):
        assert s.g(x) == pytest.approx(-7500 + 130 * x - 24 * x * np.log(x) - 0.0022 * x ** 2 + 60000 / x, rel=1e-13)
    slope = (s.g(800.1) / 800.1 - s.g(799.9) / 799.9) / 0.2
    assert s.h(800.0) == pytest.approx(-slope * 800.0 ** 2, rel=1e-6)


def test_topic_11_refuses_extrapolation_and_gaps():
    _, substance = metal()
    with pytest.raises(TemperatureOutOfRange, match="200-2000 K"):
        substance.g(25.0)
    with pytest.raises(TemperatureOutOfRange, match="5000"):
        substance.cp(np.array([300.0, 5000.0]))
    with pytest.raises(TemperatureGap, match="do not meet"):
        cp.from_heat_capacity("gap", [(200.0, 600.0, {0: 25.0}), (700.0, 900.0, {0: 26.0})], 298.15, 0.0, 30.0)
    with pytest.raises(ThermoInputError, match="not where two Cp ranges meet"):
        cp.from_heat_capacity("x", [(200.0, 600.0, {0: 25.0})], 298.15, 0.0, 30.0, [(500.0, 100.0)])


def test_topic_12_shomate():
    gas = cp.shomate("CO2", *CO2, scale="t = T/1000")
    assert gas.cp(1000.0) == pytest.approx(54.3047, abs=5e-5) and gas.s(1000.0) == pytest.approx(269.3022, abs=5e-5)
    assert gas.increment_published(1000.0) / 1e3 == pytest.approx(33.3990, abs=5e-5)       # the published formula ...
    assert gas.increment_integrated(1000.0) / 1e3 == pytest.approx(33.4019, abs=5e-5)      # ... and the integral of Cp: not the same
    assert gas.increment_published(298.15) == pytest.approx(-2.9, abs=0.05) and gas.s(298.15) == pytest.approx(213.788, abs=5e-4)


def test_topic_12_shomate_and_nasa_against_cantera():
    ct = pytest.importorskip("cantera")
    entry = ct.Species.from_dict({"name": "CO2", "composition": {"C": 1, "O": 2}, "thermo": {"model": "Shomate", "temperature-ranges": [298.0, 1200.0], "data": [list(CO2[2:9])]}})
    gas = cp.shomate("CO2", *CO2, scale="t = T/1000")
    kilo = GAS_CONSTANT / (ct.gas_constant / 1e3)
    for t in (300.0, 777.0, 1200.0):
        assert gas.cp(t) == pytest.approx(entry.thermo.cp(t) / 1e3 * kilo, rel=1e-8)
        assert gas.s(t) == pytest.approx(entry.thermo.s(t) / 1e3 * kilo, rel=1e-8)
        assert gas.h(t) == pytest.approx(entry.thermo.h(t) / 1e3 * kilo, rel=1e-8)
    for species in ct.Species.list_from_file("gri30.yaml"):
        if species.name in SUBSTANCES:
            own = SUBSTANCES[species.name].caloric
            for t in (own.low, 950.0, 1000.0, 2900.0):
                assert own.cp(t) == pytest.approx(species.thermo.cp(t) / 1e3, rel=1e-8)
                assert own.h(t) == pytest.approx(species.thermo.h(t) / 1e3, rel=1e-8, abs=1e-4)
                assert own.s(t) == pytest.approx(species.thermo.s(t) / 1e3, rel=1e-8)


def test_topic_12_nasa9_against_cantera():
    """Two ranges of invented but sensible coefficients."""
    ct = pytest.importorskip("cantera")
    data = [[2.2e4, -380.0, 6.1, -8.5e-3, 1.4e-5, -9.6e-9, 2.5e-12, 710.0, -10.8], [5.9e5, -2240.0, 6.07, -6.1e-4, 1.5e-7, -1.9e-11, 1.1e-15, 12832.0, -15.9]]
    other = ct.Species.from_dict({"name": "X", "composition": {"N": 2}, "thermo": {"model": "NASA9", "temperature-ranges": [200.0, 1000.0, 6000.0], "data": data}}).thermo
    own = cp.nasa9("X", [200.0, 1000.0, 6000.0], data)
    for t in (200.0, 640.0, 3000.0):
        assert own.cp(t) == pytest.approx(other.cp(t) / 1e3, rel=1e-8)
        assert own.h(t) == pytest.approx(other.h(t) / 1e3, rel=1e-8, abs=1e-4)
        assert own.s(t) == pytest.approx(other.s(t) / 1e3, rel=1e-8)


def test_topic_12_refuses_the_wrong_scale():
    """WebBook coefficients taken as SI, SI coefficients taken as WebBook's, and no scale said."""
    with pytest.raises(CoefficientScale, match="SI"):
        cp.shomate("CO2", *CO2, scale="SI")
    a = list(CO2)
    scaled = a[:2] + [a[2], a[3] * 1e-3, a[4] * 1e-6, a[5] * 1e-9, a[6] * 1e6] + a[7:]
    with pytest.raises(CoefficientScale, match="T/1000"):
        cp.shomate("CO2", *scaled, scale="t = T/1000")
    with pytest.raises(CoefficientScale, match="must be said"):
        cp.shomate("CO2", *CO2, scale=None)
    right = cp.shomate("CO2", *scaled, scale="SI")
    assert right.cp(1000.0) == pytest.approx(54.3047, abs=5e-5)


def test_topic_16_clapeyron():
    slope = clapeyron.slope(273.15, 333.43e3, -9.07e-5)
    assert slope == pytest.approx(-13.46e6, rel=1e-3)
    assert clapeyron.slope_from_entropy(333.43e3 / 273.15, -9.07e-5) == pytest.approx(slope, rel=1e-14)
    # the integrated line of constant latent heat and ideal gas is Clausius and Clapeyron's
    t = np.array([320.0, 360.0, 400.0, 450.0])
    line = clapeyron.follow(373.15, 101325.0, t, lambda t, p: 40650.0, lambda t, p: GAS_CONSTANT * t / p)
    assert np.allclose(line, clapeyron.vapour_pressure(t, 373.15, 101325.0, 40650.0), rtol=1e-8)
    with pytest.raises(ThermoInputError):
        clapeyron.slope(273.15, 1.0, 0.0)


def test_topic_22_reference_pressure():
    assert reaction.shift_reference_pressure(0.0, 1, units.BAR, units.ATMOSPHERE) == pytest.approx(-0.0131630, abs=5e-8)
    assert GAS_CONSTANT * 1000 * np.log(units.ATMOSPHERE / units.BAR) == pytest.approx(109.44, abs=0.005)
    bar = DataSet("in bar", reference_pressure=units.BAR, reference_state=DATA.reference_state)
    mixed = {**SUBSTANCES, "CO2": reaction.Substance("CO2", {"C": 1, "O": 2}, "gas", SUBSTANCES["CO2"].caloric, bar)}
    with pytest.raises(ReferenceMismatch, match="reference_pressure differs"):
        reaction.parse_reaction("CO + H2O = CO2 + H2", mixed)


def test_topic_22_units_are_asked_for():
    assert units.quantity("5 kJ/mol", "J/mol") == 5000.0 and units.quantity("1 atm", "Pa") == 101325.0
    assert units.quantity("2 cal/mol/K", "J/mol/K") == pytest.approx(8.368) and units.quantity("25 degC", "K") == pytest.approx(298.15)
    assert units.quantity("1 J/m^3", "Pa") == 1.0 and units.quantity("1 MPa*m^3/mol", "J/mol") == 1e6
    with pytest.raises(UnitMissing, match="no unit"):          # 5 for 5 kJ/mol would give K = 0.99940 for 0.54806
        units.quantity(5, "J/mol", "delta_g")
    with pytest.raises(UnitMissing):
        units.quantity("5", "J/mol")
    with pytest.raises(UnitMismatch, match="per mole and per kilogram"):
        units.quantity("5 kJ/kg", "J/mol")
    with pytest.raises(UnitMismatch):
        units.quantity("300 K", "Pa")
    with pytest.raises(UnitMismatch, match="not known"):
        units.quantity("3 furlong", "m")
    assert units.per_mole("2501 kJ/kg", "J/kg", 0.018015) == pytest.approx(45055.5, abs=0.1)
