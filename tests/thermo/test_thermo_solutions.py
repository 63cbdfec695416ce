"""Topics 7, 8, 9, 13 and 15: chemical potentials, activities, mixing and common tangents, A = B, the lever rule."""
import numpy as np
import pytest
from invented_systems import GAPS, gap

from hpcnemd.thermo import activity, binary, reaction
from hpcnemd.thermo.errors import ImpossibleComposition, NegativeFraction, NoEquilibrium, ThermoInputError
from hpcnemd.thermo.units import GAS_CONSTANT

R_OLD = 8.3145          # the value of pycalphad, for numbers that were made with it
MODELS = {"ideal": activity.Ideal(), "Redlich-Kister": activity.RedlichKister(((20000.0, -3.0), (3000.0, 1.0), (-500.0, 0.0))),
          "Wilson": activity.wilson_binary(0.5, 0.8), "NRTL": activity.nrtl_binary(1.2, 0.6, 0.3)}


@pytest.mark.parametrize("name", MODELS)
def test_topic_07_gibbs_duhem(name):
    for x in (0.05, 0.3, 0.8):
        assert activity.gibbs_duhem(MODELS[name], [x, 1 - x], 700.0) < 1e-10
        excess = MODELS[name].excess([x, 1 - x], 700.0)
        assert np.dot(MODELS[name].ln_gamma([x, 1 - x], 700.0), [x, 1 - x]) == pytest.approx(excess, abs=1e-14)


def test_topic_07_chemical_potential_at_the_binodal():
    for constant, target in ((R_OLD, -209.502481), (GAS_CONSTANT, -209.498013)):
        line, = binary.tie_lines([gap(20000.0)], 700.0, constant)
        assert line.mu[1] == pytest.approx(target, abs=6e-7)
        # mu from the tangent of g(x), numerically
        f, y = gap(20000.0).at(700.0, constant), line.y[1]
        x = line.x[1]
        slope = (f.g(np.log((x + 1e-6) / (1 - x - 1e-6))) - f.g(np.log((x - 1e-6) / (1 - x + 1e-6)))) / 2e-6
        assert f.mu(y)[1] == pytest.approx(f.g(y) + (1 - x) * slope, abs=1e-5)


def test_topic_08_activity_models():
    """Binary closed forms of Renon and Prausnitz and of Wilson, written out apart from the matrices of the code."""
    x, w, tau, alpha, lam = 0.3, 0.7, (1.2, 0.6), 0.3, (0.5, 0.8)
    g = np.exp(-alpha * np.array(tau))
    nrtl = (w ** 2 * (tau[1] * (g[1] / (x + w * g[1])) ** 2 + tau[0] * g[0] / (w + x * g[0]) ** 2), x ** 2 * (tau[0] * (g[0] / (w + x * g[0])) ** 2 + tau[1] * g[1] / (x + w * g[1]) ** 2))
    k = lam[0] / (x + w * lam[0]) - lam[1] / (w + x * lam[1])
    wilson = (-np.log(x + w * lam[0]) + w * k, -np.log(w + x * lam[1]) - x * k)
    assert np.allclose(activity.nrtl_binary(1.2, 0.6, 0.3).ln_gamma([0.3, 0.7], 300.0), nrtl, rtol=0, atol=1e-14) and nrtl == pytest.approx((0.7582229067, 0.1212079000), abs=5e-11)
    assert np.allclose(activity.wilson_binary(0.5, 0.8).ln_gamma([0.3, 0.7], 300.0), wilson, rtol=0, atol=1e-14) and wilson == pytest.approx((0.3734997737, 0.0864253219), abs=5e-11)
    assert np.allclose(activity.activities(activity.Ideal(3), [0.2, 0.3, 0.5], 300.0), [0.2, 0.3, 0.5], rtol=1e-15)
    with pytest.raises(ThermoInputError, match="binary"):
        MODELS["Redlich-Kister"].ln_gamma([0.2, 0.3, 0.5], 700.0)


def test_topic_08_against_thermo():
    nrtl = pytest.importorskip("thermo.nrtl").NRTL
    wilson = pytest.importorskip("thermo.wilson").Wilson
    tau, alpha = [[0.0, 1.2, -0.3], [0.6, 0.0, 0.9], [0.2, 0.4, 0.0]], [[0.0, 0.3, 0.2], [0.3, 0.0, 0.25], [0.2, 0.25, 0.0]]
    x = [0.2, 0.3, 0.5]
    other = np.log(nrtl(T=300.0, xs=x, tau_as=tau, alpha_cs=alpha).gammas())
    assert np.allclose(activity.NRTL(tau, alpha).ln_gamma(x, 300.0), other, rtol=0, atol=1e-13)
    lambdas = [[1.0, 0.5, 1.3], [0.8, 1.0, 0.7], [0.6, 1.1, 1.0]]
    other = np.log(wilson(T=300.0, xs=x, lambda_as=np.log(lambdas).tolist()).gammas())
    assert np.allclose(activity.Wilson(lambdas).ln_gamma(x, 300.0), other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("constant, binodal, spinodal, subregular", [(R_OLD, 0.04087961, 0.17674120, (0.069724255, 0.760512503)),
                                                                     (GAS_CONSTANT, 0.04087884, 0.17674019, (0.0697230, 0.7605153))])
def test_topic_09_spinodal_and_common_tangent(constant, binodal, spinodal, subregular):
    line, = binary.tie_lines([gap(20000.0)], 700.0, constant)
    assert line.x == pytest.approx((binodal, 1 - binodal), abs=6e-9)
    assert binary.spinodal(gap(20000.0), 700.0, constant) == pytest.approx([spinodal, 1 - spinodal], abs=6e-9)
    line, = binary.tie_lines([gap(16000.0, 4000.0)], 800.0, constant)
    assert line.x == pytest.approx(subregular, abs=6e-8)
    assert binary.critical_temperature(20000.0, R_OLD) == pytest.approx(1202.72, abs=0.005)


@pytest.mark.parametrize("terms", GAPS)
@pytest.mark.parametrize("t", (600.0, 800.0, 950.0, 1100.0))
def test_topic_09_tangents_are_tangents(terms, t):
    """The line touches g at both ends with its own slope, and g lies above it everywhere: definitions, with g and its slope taken numerically."""
    phase = gap(*terms)
    lines = binary.tie_lines([phase], t)
    x = np.linspace(1e-4, 1 - 1e-4, 20001)
    ex = x * (1 - x) * sum(value * (1 - 2 * x) ** m for m, value in enumerate(terms))
    g = GAS_CONSTANT * t * (x * np.log(x) + (1 - x) * np.log(1 - x)) + ex
    assert len(lines) == int(np.any(np.diff(g, 2) < 0))
    for line in lines:
        assert line.residual < 1e-9
        assert np.min(g - (1 - x) * line.mu[0] - x * line.mu[1]) > -1e-9
        assert np.interp(line.x, x, g - (1 - x) * line.mu[0] - x * line.mu[1]) == pytest.approx((0, 0), abs=2e-3)


@pytest.mark.parametrize("off", (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7))
def test_topic_09_near_the_critical_point(off):
    """Mean field: x = 1/2 - sqrt(3 (1-T/Tc))/2 to leading order; the next term is (9/10) (1-T/Tc) of the half width."""
    line, = binary.tie_lines([gap(20000.0)], binary.critical_temperature(20000.0) * (1 - off))
    half = 0.5 * np.sqrt(3 * off)
    assert 0.5 - line.x[0] == pytest.approx(half, rel=2 * off + 1e-4 * (off < 1e-5))
    assert line.x[0] + line.x[1] == pytest.approx(1, abs=1e-6 * half + 1e-7)


def test_topic_13_isomerisation():
    assert reaction.equilibrium_constant(5000.0, 1000.0, 8.314) == pytest.approx(0.548046, abs=5e-7)
    assert reaction.equilibrium_constant(5000.0, 1000.0) == pytest.approx(0.548065, abs=5e-7)
    assert reaction.isomerisation(5000.0, 1000.0)[0] == pytest.approx(0.354032, abs=5e-7)
    for interaction, x in ((4000.0, 0.314315), (-4000.0, 0.380701), (15000.0, 0.123475)):
        assert reaction.isomerisation(5000.0, 1000.0, interaction)[0] == pytest.approx(x, abs=5e-7)
    # beyond L = 2RT there are three roots: the one of lowest G, against a scan of G itself
    x = np.linspace(1e-4, 1 - 1e-4, 400001)
    g = -300.0 * x + GAS_CONSTANT * 500 * (x * np.log(x) + (1 - x) * np.log(1 - x)) + 15000.0 * x * (1 - x)
    best, value = reaction.isomerisation(-300.0, 500.0, 15000.0)
    assert best == pytest.approx(x[np.argmin(g)], abs=5e-6) and value == pytest.approx(g.min(), abs=1e-6)


def test_topic_15_lever_rule():
    # six printed digits of the compositions, half a unit each: (f 0.5e-6 + (1-f) 0.5e-6)/0.27 = 1.9e-6 in the fractions, and half a unit of their own
    fractions = binary.lever(0.220130, 0.491528, 0.4)
    assert fractions == pytest.approx((0.337248, 0.662752), abs=2.4e-6)
    assert sum(fractions) == 1.0 and np.dot(fractions, (0.220130, 0.491528)) == pytest.approx(0.4, abs=1e-12)
    found = binary.equilibrium([gap(16000.0, 4000.0)], 800.0, 0.3)
    assert sum(f for _, f, _ in found["phases"]) == 1.0 and sum(f * x for _, f, x in found["phases"]) == pytest.approx(0.3, abs=1e-12)
    compounds = [binary.CompoundPhase("P", 0.3, lambda t: -1000.0), binary.CompoundPhase("Q", 0.6, lambda t: -900.0)]
    found = binary.equilibrium(compounds, 600.0, 0.5)
    assert [f for _, f, _ in found["phases"]] == pytest.approx([1 / 3, 2 / 3], rel=1e-12) and found["g"] == pytest.approx(-1000 / 3 - 600, rel=1e-12)
    with pytest.raises(NoEquilibrium, match="line compounds"):
        binary.equilibrium(compounds, 600.0, 0.1)
    with pytest.raises(NegativeFraction, match="outside the tie line"):
        binary.lever(0.2, 0.5, 0.6)
    with pytest.raises(ImpossibleComposition):
        binary.equilibrium([gap(16000.0)], 800.0, 1.2)
