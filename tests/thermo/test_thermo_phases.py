"""Topics 14, 18, 19, 20 and 23: phase diagrams and their invariants, excluded candidates, CALPHAD, the version of the data; own code against pycalphad."""
import csv
import json

import numpy as np
import pytest
from invented_systems import BINARY, GAPS, ORDERING, TERNARY, gap, random_binary

from hpcnemd.thermo import binary, calphad, deck_jobs, diagram, from_tdb, tdb
from hpcnemd.thermo.errors import BeyondBinary, CandidateExcluded, DataChanged, NoEquilibrium
from hpcnemd.thermo.ledger import file_hash, require_same_file

R_OLD = calphad.PYCALPHAD_GAS_CONSTANT
PHASES = ("LIQUID", "FCC_A1", "HCP_A3")


def own_phases(names=PHASES, constant=R_OLD):
    return from_tdb.binary_phases(tdb.read(BINARY), ("AA", "BB"), names, constant)


@pytest.fixture(scope="module")
def engine():
    pytest.importorskip("pycalphad")
    return calphad.System(BINARY, ["AA", "BB", "VA"], list(PHASES), engine="pycalphad")


@pytest.fixture(scope="module")
def mapped():
    return diagram.map_diagram(own_phases(), np.arange(410.0, 980.0, 20.0), R_OLD)


def ask(system, t, x, phases=None):
    conditions = {"T": t, "P": 101325.0, "X": {"BB": x}}
    return system.point(system.check(conditions), t, 101325.0, {"BB": x}, phases)


def test_topic_14_invariants_against_pycalphad(engine, mapped):
    """Each three-phase temperature lies between two solutions of pycalphad 4e-4 K apart, and all three compositions agree to 1e-5.

    Just above, the phase that ends is one end of both tie lines, right and left of it; just below it is gone. Target of the temperature: 1e-3 K.
    """
    three = [i for i in mapped.invariants if len(i.x) == 3]
    assert [i.kind for i in three] == ["eutectic type"] * 2 and max(i.residual for i in three) < 1e-6
    for inv in three:
        for pair in (inv.x[:2], inv.x[1:]):
            above = ask(engine, inv.temperature + 2e-4, 0.5 * sum(pair))
            assert sorted(x["BB"] for _, _, x in above["phases"]) == pytest.approx(pair, abs=1e-5)
        below = ask(engine, inv.temperature - 2e-4, inv.x[1])
        assert sorted(x["BB"] for _, _, x in below["phases"]) == pytest.approx((inv.x[0], inv.x[2]), abs=1e-5)


def test_topic_14_pure_transitions_and_the_critical_point(mapped):
    pure = {round(i.x[0]): i.temperature for i in mapped.invariants if i.kind == "pure transition"}
    assert pure[0] == pytest.approx(10800 / 11.6, abs=1e-6) and pure[1] == pytest.approx(7200 / 10.4, abs=1e-6)
    top, = (i for i in mapped.invariants if i.kind == "critical")
    # at the top of the gap both d2g/dx2 and d3g/dx3 vanish: d2g by differences of g itself
    f = own_phases(("FCC_A1",))[0].at(top.temperature, R_OLD)
    x = top.x[0] + np.linspace(-0.03, 0.03, 7)
    third = np.polyfit(x - top.x[0], f.stiffness(np.log(x / (1 - x))) / (x * (1 - x)), 4)
    assert abs(third[-1]) < 1e-3 * R_OLD * top.temperature and abs(third[-2]) < 5e-2 * R_OLD * top.temperature
    assert binary.spinodal(own_phases(("FCC_A1",))[0], top.temperature + 1e-3, R_OLD) == []


def test_topic_14_peritectic_congruent_and_compound():
    """A line compound that melts by a peritectic, and a minimum of the melting range: every kind of invariant has its name."""
    solid = binary.SolutionPhase("SOLID", lambda t: 0.0, lambda t: 0.0, (lambda t: 6000.0,))
    liquid = binary.SolutionPhase("LIQUID", lambda t: 10000 - 10 * t, lambda t: 9000 - 10 * t, ())
    found = diagram.map_diagram([solid, liquid], np.arange(700.0, 1010.0, 12.0))
    minimum, = (i for i in found.invariants if i.kind == "congruent")
    x, t = minimum.x[0], minimum.temperature
    f, g = solid.at(t), liquid.at(t)
    y = np.log(x / (1 - x))
    assert np.allclose(f.mu(y), g.mu(y), rtol=0, atol=1e-8)             # equal mu at one composition
    # and nothing liquid a hundredth of a kelvin below, two fields a hundredth above
    assert not binary.tie_lines([solid, liquid], t - 0.01) and len(binary.tie_lines([solid, liquid], t + 0.01)) == 2
    compound = binary.CompoundPhase("COMPOUND", 0.4, lambda t: -1500 + 0.5 * t)
    a = binary.SolutionPhase("ALPHA", lambda t: 0.0, lambda t: 3000 - t, (lambda t: 12000.0, lambda t: 2000.0))
    b = binary.SolutionPhase("BETA", lambda t: 4000.0, lambda t: 0.0, (lambda t: 18000.0,))
    melt = binary.SolutionPhase("MELT", lambda t: 10700 - 11.5 * t, lambda t: 7300 - 10.5 * t, (lambda t: 10000 - 3 * t,))
    kinds = {i.kind: i for i in diagram.map_diagram([a, b, melt, compound], np.arange(500.0, 960.0, 20.0)).invariants}
    assert set(kinds) == {"eutectic type", "peritectic type", "pure transition"}
    assert kinds["peritectic type"].phases == ("ALPHA", "COMPOUND", "MELT") and kinds["peritectic type"].x[1] == 0.4
    assert max(i.residual for i in kinds.values()) < 1e-6


def test_topic_14_miscibility_gaps_against_pycalphad(tmp_path):
    """The four invented gaps at four temperatures: tie lines to 1e-9 in x, 1e-8 J/mol in mu."""
    pytest.importorskip("pycalphad")
    for k, terms in enumerate(GAPS):
        path = tmp_path / f"gap{k}.tdb"
        path.write_text("ELEMENT AA S 1 0 0 !\nELEMENT BB S 1 0 0 !\nTYPE_DEFINITION % SEQ * !\nPHASE SOL % 1 1 !\nCONSTITUENT SOL :AA,BB: !\n"
                        + "".join(f"PARAMETER G(SOL,{e};0) 298.15 0; 3000 N !\n" for e in ("AA", "BB"))
                        + "".join(f"PARAMETER L(SOL,AA,BB;{m}) 298.15 {value:+}; 3000 N !\n" for m, value in enumerate(terms)))
        system = calphad.System(path, ["AA", "BB"], engine="pycalphad")
        for t in (600.0, 800.0, 950.0, 1100.0):
            lines = binary.tie_lines([gap(*terms)], t, R_OLD)
            if not lines:
                continue
            found = ask(system, t, 0.5 * sum(lines[0].x))
            assert sorted(x["BB"] for _, _, x in found["phases"]) == pytest.approx(lines[0].x, abs=1e-9)
            assert (found["mu"]["AA"], found["mu"]["BB"]) == pytest.approx(lines[0].mu, abs=1e-8)


def compare_random(seed, systems, points, folder):
    """(largest |dx|, largest |dmu|, number of differing phase sets) of own code against pycalphad on random binaries."""
    rng, worst_x, worst_mu, different = np.random.default_rng(seed), 0.0, 0.0, []
    for k in range(systems):
        path = folder / f"random{seed}_{k}.tdb"
        path.write_text(random_binary(rng))
        theirs, ours = (calphad.System(path, ["AA", "BB", "VA"], engine=e, gas_constant=R_OLD) for e in ("pycalphad", "own"))
        for _ in range(points):
            t, x = float(rng.uniform(400, 1500)), float(rng.uniform(0.02, 0.98))
            a, b = ask(theirs, t, x), ask(ours, t, x)
            pa, pb = (sorted((n, xs["BB"]) for n, _, xs in found["phases"]) for found in (a, b))
            if [n for n, _ in pa] != [n for n, _ in pb]:
                different.append((k, t, x, pa, pb, a["g"] - b["g"]))
                continue
            worst_x = max([worst_x] + [abs(u[1] - v[1]) for u, v in zip(pa, pb)])
            worst_mu = max([worst_mu] + [abs(a["mu"][e] - b["mu"][e]) for e in a["mu"]])
    return worst_x, worst_mu, different


def test_binaries_against_pycalphad(tmp_path):
    pytest.importorskip("pycalphad")
    dx, dmu, different = compare_random(7, 2, 10, tmp_path)
    assert not different and dx < 1e-6 and dmu < 1e-4


@pytest.mark.slow
def test_two_hundred_random_binaries_against_pycalphad(tmp_path):
    pytest.importorskip("pycalphad")
    dx, dmu, different = compare_random(8, 20, 10, tmp_path)
    assert not different and dx < 1e-6 and dmu < 1e-4


def test_topic_18_excluded_candidate(tmp_path):
    """HCP left out at 500 K, x = 0.97: correct mathematics from a wrong premise. It is named with its driving force, and --strict refuses."""
    system = calphad.System(BINARY, ["AA", "BB", "VA"], ["LIQUID", "FCC_A1"])
    conditions = {"T": 500.0, "P": "1 atm", "X": {"BB": 0.97}}
    record = system.equilibrium(conditions)
    left, = (c for c in record.candidates if c.status == "excluded")
    with_it = calphad.System(BINARY, ["AA", "BB", "VA"]).equilibrium(conditions)
    assert left.name == "HCP_A3" and left.driving_force > record.values["G"][0] - with_it.values["G"][0] > 0
    assert any("excluded: HCP_A3, driving force" in line for line in record.lines())
    with pytest.raises(CandidateExcluded, match="excluded: HCP_A3, driving force .* add it"):
        system.equilibrium(conditions, strict=True)
    assert {c.name: c.status for c in with_it.candidates}["HCP_A3"] == "stable"


def test_topic_18_driving_force_through_the_engine(engine):
    """The sampled driving force of pycalphad is a lower bound of the own one, close to it."""
    mu = ask(engine, 500.0, 0.97, ("LIQUID", "FCC_A1"))["mu"]
    own = calphad.System(BINARY, ["AA", "BB", "VA"], engine="own", gas_constant=R_OLD).driving_forces(500.0, 101325.0, mu, ["HCP_A3"])["HCP_A3"]
    from pycalphad import Database, calculate
    points = calculate(Database(str(BINARY)), ["AA", "BB", "VA"], "HCP_A3", T=500.0, P=101325, N=1, pdens=2000)
    x = points.X.values.reshape(-1, 2)
    sampled = float(np.max(x @ [mu["AA"], mu["BB"]] - points.GM.values.ravel()))
    assert sampled <= own + 1e-9 and own - sampled < 0.5


def test_topic_19_order_parameter(tmp_path):
    """B2 by the Bragg-Williams model: eta = tanh(eta Tc/T), Tc = 1000 K; through the adapter."""
    pytest.importorskip("pycalphad")
    path = tmp_path / "b2.tdb"
    path.write_text(ORDERING.replace("ELEMENT CC SOL 10 0 0 !\n", ""))
    system = calphad.System(path, ["AA", "BB"])
    assert system.engine == "pycalphad"                         # own code says no
    for t, eta in ((500.0, 0.957504024), (900.0, 0.525429513)):
        sites = ask(system, t, 0.5)["sites"][0]
        assert abs(sites[0] - sites[2]) == pytest.approx(eta, abs=1e-9)
    with pytest.raises(BeyondBinary, match="hpcnemd\\[calphad\\]"):
        calphad.System(path, ["AA", "BB"], engine="own")


def ternary_points(count, seed=19):
    rng = np.random.default_rng(seed)
    x = rng.dirichlet((1, 1, 1), count) * 0.94 + 0.02
    return [(float(t), {"BB": float(a[1]), "CC": float(a[2])}) for t, a in zip(rng.uniform(500, 1000, count), x)]


def direct(path, components, phases, points):
    """pycalphad alone, one fresh `equilibrium` call per point: (G, mu..., phases, amounts)."""
    from pycalphad import Database, equilibrium, variables as v
    db, out = Database(str(path)), []
    for t, x in points:
        eq = equilibrium(db, components, phases, {v.T: t, v.P: 101325.0, v.N: 1, **{v.X(c): value for c, value in x.items()}})
        names = [n for n in eq.Phase.values.ravel() if n]
        out.append((float(eq.GM.values.ravel()[0]), *eq.MU.values.ravel().tolist(), *names, *eq.NP.values.ravel()[:len(names)].tolist()))
    return out


@pytest.mark.parametrize("count", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_topic_19_ternary_through_the_adapter_is_bit_equal(tmp_path, count):
    pytest.importorskip("pycalphad")
    path = tmp_path / "ternary.tdb"
    path.write_text(TERNARY)
    system, points = calphad.System(path, ["AA", "BB", "CC", "VA"]), ternary_points(count)
    for (t, x), theirs in zip(points, direct(path, ["AA", "BB", "CC", "VA"], ["SOL", "LIQ", "ORD"], points)):
        found = system.point(system.check({"T": t, "P": 101325.0, "X": x}), t, 101325.0, x)
        ours = (found["g"], *(found["mu"][e] for e in ("AA", "BB", "CC")), *(n for n, _, _ in found["phases"]), *(f for _, f, _ in found["phases"]))
        assert ours == theirs


def test_topic_19_functions_of_the_reader_against_pycalphad(engine):
    """G, H, S and Cp of the pure phases, from the strict reader and from pycalphad."""
    from pycalphad import Database, calculate
    db, theirs = tdb.read(BINARY), Database(str(BINARY))
    for t in (310.0, 900.0, 1500.0):
        for name in PHASES:
            phase = own_phases((name,))[0]
            points = calculate(theirs, ["AA", "BB", "VA"], name, T=t, P=101325, N=1, points=np.array([[1 - 1e-12, 1e-12] + [1.0] * (name != "LIQUID")]))
            assert float(points.GM.values.ravel()[0]) == pytest.approx(phase.end_a(t), abs=1e-6)
    assert db.functions["GHSERAA"].ranges[1][:2] == (700.0, 2000.0)


def test_topic_20_data_version(tmp_path):
    copy = tmp_path / "data.tdb"
    copy.write_bytes(BINARY.read_bytes())
    record = calphad.System(copy, ["AA", "BB", "VA"]).equilibrium({"T": 600.0, "P": "1 atm", "X": {"BB": 0.4}})
    data = record.data[0]
    assert data.sha256 == file_hash(copy) and data.temperature_range == (298.15, 2000.0)
    assert data.elements == ("AA", "BB") and data.phases == PHASES and record.gas_constant == 8.314462618
    plain = json.loads(json.dumps(record.as_dict(), allow_nan=False))
    assert plain["data"][0]["sha256"] == data.sha256 and plain["potential"] == "G" and plain["natural_variables"] == ["T", "P", "N"]
    assert plain["conditions"]["P as given"][0] == "1 atm" and plain["residuals"]["mass balance"] < 1e-12
    require_same_file(copy, data.sha256)
    copy.write_text(copy.read_text().replace("+18500-9*T", "+18500-8*T"))
    with pytest.raises(DataChanged, match="SHA-256"):
        require_same_file(copy, data.sha256)


def test_one_component_needs_no_engine(engine):
    """Own code against pycalphad on both elements, on either side of their melting points; the phase that is left out has its driving force."""
    for element in ("AA", "BB"):
        own, theirs = (calphad.System(BINARY, [element, "VA"], engine=which, gas_constant=R_OLD) for which in ("auto", "pycalphad"))
        assert own.engine == "own"
        for t in (500.0, 1000.0):
            conditions = {"T": t, "P": 101325.0, "X": {}}
            a, b = (s.point(s.check(conditions), t, 101325.0, {}) for s in (own, theirs))
            assert a["phases"][0][0] == b["phases"][0][0] and a["g"] == pytest.approx(b["g"], abs=1e-6)
    record = calphad.System(BINARY, ["AA", "VA"], ["LIQUID", "HCP_A3"]).equilibrium({"T": 500.0, "P": "1 atm"})
    left, = (c for c in record.candidates if c.status == "excluded")
    assert left.name == "FCC_A1" and left.driving_force == pytest.approx(5400 - 1.8 * 500) and record.excluded_that_would_form() == [left]


def test_near_a_critical_point_the_engine_fails_by_name_and_own_code_answers(tmp_path):
    """Within 1e-5 of Tc pycalphad 0.11 gives NaN without a word. Should a later one answer, it must answer right."""
    pytest.importorskip("pycalphad")
    path = tmp_path / "gap.tdb"
    path.write_text("ELEMENT AA S 1 0 0 !\nELEMENT BB S 1 0 0 !\nTYPE_DEFINITION % SEQ * !\nPHASE SOL % 1 1 !\nCONSTITUENT SOL :AA,BB: !\nPARAMETER G(SOL,AA;0) 298.15 0; 3000 N !\n"
                    "PARAMETER G(SOL,BB;0) 298.15 0; 3000 N !\nPARAMETER L(SOL,AA,BB;0) 298.15 20000; 3000 N !\n")
    t = 20000 / (2 * R_OLD) * (1 - 1e-5)
    own = calphad.System(path, ["AA", "BB"], engine="own", gas_constant=R_OLD)
    assert min(x["BB"] for _, _, x in ask(own, t, 0.5)["phases"]) == pytest.approx(0.49726, abs=5e-6)
    try:
        found = ask(calphad.System(path, ["AA", "BB"], engine="pycalphad"), t, 0.5)
    except NoEquilibrium as refusal:
        assert "NaN" in str(refusal) and "own" in str(refusal)
    else:
        assert min(x["BB"] for _, _, x in found["phases"]) == pytest.approx(0.49726, abs=3e-3)


def test_topic_23_from_data_to_diagram(tmp_path):
    """The whole way of a deck: data, candidates, minimum, diagram, tables and record; every tie line of the table balances and is certified."""
    deck = tmp_path / "binary.toml"
    deck.write_text(f'[system]\nfile = "{BINARY}"\ncomponents = ["AA", "BB", "VA"]\nphases = ["LIQUID", "FCC_A1"]\n'
                    '[grid]\npressure = "1 atm"\ntemperature = { from = "500 K", to = "700 K", points = 5 }\ngibbs_at = ["500 K"]\n')
    outcome = deck_jobs.binary(deck)
    diagram.write_csv(outcome.tables["diagram"], tmp_path / "diagram.csv")
    with open(tmp_path / "diagram.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows and all(row["status"] == "ok" and float(row["residual_J_per_mol"]) < 1e-6 for row in rows)
    for row in rows:
        found = binary.equilibrium(own_phases(("LIQUID", "FCC_A1"), 8.314462618), float(row["T_K"]), 0.5 * (float(row["x_alpha"]) + float(row["x_beta"])), 8.314462618)
        assert found["mu"] == pytest.approx((float(row["mu_A_J_per_mol"]), float(row["mu_B_J_per_mol"])), abs=1e-8)
    left, = (c for c in outcome.records[0].candidates if c.status == "excluded")
    assert left.name == "HCP_A3" and left.driving_force > 1000 and set(outcome.figures) == {"diagram", "gibbs_500K"}
    with pytest.raises(CandidateExcluded):
        deck_jobs.binary(deck, strict=True)


def test_property_map_is_the_equilibrium_at_every_point():
    t, x = np.array([520.0, 640.0, 700.0]), np.linspace(0.05, 0.95, 7)
    phases = own_phases()
    got = diagram.property_map(phases, t, x, R_OLD)
    for i, a in enumerate(t):
        for j, b in enumerate(x):
            found = binary.equilibrium(phases, float(a), float(b), R_OLD)
            assert got["g"][i, j] == pytest.approx(found["g"], abs=1e-9) and got["count"][i, j] == len(found["phases"])
    assert not got["status"].any() and not got["reasons"]
