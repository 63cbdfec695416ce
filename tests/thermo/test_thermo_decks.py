"""Decks of solutions, fluid states, free energies and of diagrams through pycalphad: their numbers, and what they refuse."""
import numpy as np
import pytest
from invented_systems import BINARY, ORDERING

from hpcnemd.thermo import binary, calphad, calphad_map, deck_jobs, from_tdb, tdb
from hpcnemd.thermo.calphad import PYCALPHAD_GAS_CONSTANT
from hpcnemd.thermo.errors import ImpossibleComposition, NoEquilibrium, ThermoInputError, UnknownComponent, WrongPotential
from hpcnemd.thermo.units import GAS_CONSTANT

JOBS = BINARY.parent


def run(job, tmp_path, text):
    deck = tmp_path / "deck.toml"
    deck.write_text(text)
    return deck_jobs.JOBS[job](deck)


@pytest.mark.parametrize("parameters, x, target", [
    ('model = "nrtl"\ntau = [[0, 1.2], [0.6, 0]]\nalpha = [[0, 0.3], [0.3, 0]]', 0.7, (0.7582229067, 0.1212079000)),
    ('model = "wilson"\nlambda = [[1, 0.5], [0.8, 1]]', 0.7, (0.3734997737, 0.0864253219)),
    ('model = "regular"\ninteraction = "20 kJ/mol"', 0.5, (2500 / (GAS_CONSTANT * 350),) * 2), ('model = "ideal"', 0.5, (0.0, 0.0))])
def test_topic_08_activities_of_a_deck(tmp_path, parameters, x, target):
    outcome = run("activity", tmp_path, f'{parameters}\ncomponents = ["A", "B"]\ntemperature = "700 K"\ncomposition = [{x}, 0.9]\n')
    row = [float(v) for v in outcome.tables["activities"][1]]
    assert row[2:4] == pytest.approx(target, abs=1e-10) and row[4:6] == pytest.approx([(1 - x) * np.exp(target[0]), x * np.exp(target[1])], rel=1e-9)
    assert row[7] == pytest.approx(GAS_CONSTANT * 700 * ((1 - x) * np.log(row[4]) + x * np.log(row[5])), rel=1e-9)      # G_mix = RT sum x ln a
    assert max(outcome.records[0].residuals.values()) < 1e-10


def test_topic_09_a_solution_deck_finds_its_gap(tmp_path):
    record, = deck_jobs.activities(JOBS / "thermo_activity.toml").records
    assert record.values["miscibility gap 1"][0] == pytest.approx((0.0697230, 0.7605153), abs=6e-8) and "unstable" in record.notes[0]
    # the grid search of models without an exact spinodal: NRTL that demixes, symmetric
    record, = run("activity", tmp_path, 'model = "nrtl"\ntau = [[0, 3], [3, 0]]\nalpha = [[0, 0.2], [0.2, 0]]\ncomponents = ["A", "B"]\ntemperature = "300 K"\ncomposition = 0.5\n').records
    low, high = (float(w) for w in record.notes[0].replace("unstable (inside the spinodal) from x(B) =", "").split(" to "))
    assert low + high == pytest.approx(1, abs=1e-9) and 0 < low < 0.3
    three, = run("activity", tmp_path, 'model = "ideal"\ncomponents = ["A", "B", "C"]\ntemperature = "300 K"\ncompositions = [[0.2, 0.3, 0.5]]\n').records
    assert three.values["C: x, ln gamma, activity"][0][0] == [0.5, 0.0, 0.5]


@pytest.mark.parametrize("text, kind, words", [
    ('model = "regular"\ncomponents = ["A", "B"]\ntemperature = "300 K"\ncomposition = 0.5\ninteraction = 5\n', ThermoInputError, "no unit"),
    ('model = "regular"\ncomponents = ["A", "B"]\ntemperature = "300 K"\ncomposition = 1.2\ninteraction = "5 kJ/mol"\n', ImpossibleComposition, "between 0 and 1"),
    ('model = "ideal"\ncomponents = ["A", "B"]\ntemperature = "300 K"\ncomposition = 0.0\n', ImpossibleComposition, "above 0"),
    ('model = "regular"\ncomponents = ["A", "B", "C"]\ntemperature = "300 K"\ncompositions = [[0.2, 0.3, 0.5]]\ninteraction = "5 kJ/mol"\n', ThermoInputError, "use wilson or nrtl"),
    ('model = "uniquac"\ncomponents = ["A", "B"]\ntemperature = "300 K"\ncomposition = 0.5\n', ThermoInputError, "possible are"),
    ('model = "wilson"\ncomponents = ["A", "B"]\ntemperature = "300 K"\ncomposition = 0.5\nlambda = [[1, 2]]\n', ThermoInputError, "2 rows of 2"),
    ('model = "redlich_kister"\ncomponents = ["A", "B"]\ntemperature = "300 K"\n', ThermoInputError, "terms is missing")])
def test_solution_decks_that_are_refused(tmp_path, text, kind, words):
    with pytest.raises(kind, match=words):
        run("activity", tmp_path, text)


def test_topic_13_isomerisation_of_a_deck(tmp_path):
    for interaction, x in ((4000, 0.314315), (-4000, 0.380701), (15000, 0.123475)):
        outcome = run("react", tmp_path, f'temperature = ["1000 K"]\n[isomerisation]\ndelta_g = "5 kJ/mol"\ninteraction = "{interaction} J/mol"\n')
        assert [float(v) for v in outcome.tables["isomerisation"][1]][1:3] == pytest.approx([0.548065, x], abs=5e-7)
    with pytest.raises(ThermoInputError, match="no unit"):          # 5 for 5 kJ/mol would give K = 0.99940
        run("react", tmp_path, 'temperature = ["1000 K"]\n[isomerisation]\ndelta_g = 5\n')


def test_topics_01_to_06_state_of_a_deck(tmp_path):
    """One fluid at (T, P) and at the (T, V) that follows: G and F, the same state, and Maxwell's and Euler's relations in the record."""
    head = 'fluid = "lennard_jones"\n[state]\ntemperature = 1.5\n'
    at_p, = run("eos", tmp_path, head + "pressure = 0.8\n").records
    at_v, = run("eos", tmp_path, head + f"volume = {at_p.values['V'][0]!r}\n").records
    assert (at_p.potential, at_v.potential) == ("G", "F") and at_p.natural_variables == ("T", "P", "N") and at_v.values["P"][0] == pytest.approx(0.8, rel=1e-12)
    assert len(at_p.residuals) == 6 and max(at_p.residuals.values()) < 1e-8
    u, h, f, g, s, v = (at_p.values[k][0] for k in "UHFGSV")
    assert (h, f, g) == pytest.approx((u + 0.8 * v, u - 1.5 * s, u + 0.8 * v - 1.5 * s), abs=1e-12)
    with pytest.raises(WrongPotential, match="G is not minimal at fixed N, T, V"):
        run("eos", tmp_path, head + 'volume = 2.0\nminimise = "G"\n')
    for state, words in (("", "either pressure or volume"), ("volume = 1.0\npressure = 1.0\n", "either pressure or volume"), ("volume = -1.0\n", "must be positive")):
        with pytest.raises(ThermoInputError, match=words):
            run("eos", tmp_path, head + state)
    with pytest.raises(ThermoInputError, match="saturation"):
        run("eos", tmp_path, 'fluid = "lennard_jones"\n')
    with pytest.raises(ThermoInputError, match="volume of the molecules"):
        run("eos", tmp_path, 'fluid = "van_der_waals"\na = "0.3658 Pa*m^6/mol^2"\nb = "4.286e-5 m^3/mol"\n[state]\ntemperature = "300 K"\nvolume = "4e-5 m^3/mol"\n')


def test_topic_21_state_of_water_of_a_deck(tmp_path):
    """A row of the release's Table 7 at (T, V), the same state at (T, P), and vapour with liquid at a volume between."""
    pytest.importorskip("CoolProp")
    head = 'fluid = "water"\n[state]\ntemperature = "500 K"\n'
    at_v, = run("eos", tmp_path, head + f'volume = "{1 / 838.025!r} m^3/kg"\n').records
    assert at_v.values["P"][0] == pytest.approx(10.0003858e6, rel=1e-8) and at_v.values["S"][0] == pytest.approx(2566.90919, rel=1e-8) and max(at_v.residuals.values()) < 1e-8
    at_p, = run("eos", tmp_path, head + f'pressure = "{at_v.values["P"][0]!r} Pa"\n').records
    assert at_p.potential == "G" and at_p.values["G"][0] == pytest.approx(at_v.values["G"][0], rel=1e-9)
    mixed, = run("eos", tmp_path, head + 'volume = "0.01 m^3/kg"\n').records
    assert [c.name for c in mixed.candidates] == ["liquid", "gas"] and 0 < mixed.values["fraction of vapour"][0] < 1
    with pytest.raises(ThermoInputError, match="above 1e"):
        run("eos", tmp_path, head + 'pressure = "2 GPa"\n')


def test_topic_24_free_energy_deck(tmp_path):
    """The shipped deck. Its energies have errors of 5 J/mol, its works are exact samples; data and seeds are fixed, chance of failure of new ones below 1e-3."""
    energy, work = deck_jobs.free_energies(JOBS / "thermo_free_energy.toml").records
    assert energy.residuals["the same in standard errors"] < 4.5 and energy.values["F at 660 K"][0][1] < 2
    for name, (value, _) in work.values.items():
        assert abs(value[0] - 0.5 * GAS_CONSTANT * 500 * np.log(3)) < 4 * value[1], name
    text = (JOBS / "thermo_free_energy.toml").read_text()
    for one in ("energies.csv", "work_forward.csv", "work_reverse.csv"):
        (tmp_path / f"thermo_{one}").write_bytes((JOBS / f"thermo_{one}").read_bytes())
    (tmp_path / "thermo_metal.toml").write_bytes((JOBS / "thermo_metal.toml").read_bytes())
    for old, new, kind, words in (('"300 K"', '"305 K"', ThermoInputError, "not among the temperatures"), ('"M[(]s[)]"', '"M(x)"', UnknownComponent, "M[(]x[)]: not in"),
                                  ("thermo_energies", "missing", ThermoInputError, "cannot be read"), ("forward = \"thermo_work_forward.csv\"", "forward = \"thermo_energies.csv\"", ThermoInputError, "write work_J_per_mol")):
        old = old.replace("[(]", "(").replace("[)]", ")")
        assert old in text
        with pytest.raises(kind, match=words):
            run("free_energy", tmp_path, text.replace(old, new, 1))
    (tmp_path / "thermo_energies.csv").write_text("T_K,U_J_per_mol\n300,1.0\n310,abc\n")
    with pytest.raises(ThermoInputError, match="abc"):
        run("free_energy", tmp_path, text)


def test_topic_19_diagram_through_pycalphad(tmp_path):
    """The eutectic range by the mapping of pycalphad: boundaries of own code to 1e-6, and the eutectic."""
    pytest.importorskip("pycalphad")
    head = f'[system]\nfile = "{BINARY}"\ncomponents = ["AA", "BB", "VA"]\nengine = "pycalphad"\n'
    grid = '[grid]\ntemperature = { from = "640 K", to = "680 K", points = 3 }\npressure = "1 atm"\n'
    outcome = run("binary", tmp_path, head + grid)
    record, = outcome.records
    assert record.status == "ok" and record.gas_constant == PYCALPHAD_GAS_CONSTANT and record.residuals.popitem()[1] < 1e-6
    phases = from_tdb.binary_phases(tdb.read(BINARY), ("AA", "BB"), ("LIQUID", "FCC_A1", "HCP_A3"), PYCALPHAD_GAS_CONSTANT)
    rows = [(float(t), a, float(xa), b, float(xb)) for t, a, xa, b, xb in outcome.tables["diagram"][1:]]
    assert {tuple(sorted((a, b))) for _, a, _, b, _ in rows} >= {("FCC_A1", "HCP_A3"), ("FCC_A1", "LIQUID"), ("HCP_A3", "LIQUID")} and len(rows) > 12
    for t, a, xa, b, xb in rows:
        lines = {line.phases: line.x for line in binary.tie_lines(phases, t, PYCALPHAD_GAS_CONSTANT)}
        nearest = [x for names, x in lines.items() if names == (a, b)] or [None]
        if nearest[0] is None:                  # the invariant itself: a hair above or below, the other fields are there
            assert min(abs(t - v[0][0]) for v in record.values.values()) < 1e-3
        else:
            assert nearest[0] == pytest.approx((xa, xb), abs=1e-6), t
    (name, (found, _)), = record.values.items()
    assert name == "three phases: FCC_A1, LIQUID, HCP_A3" and found == pytest.approx([645.1321, 0.65520, 0.85758, 0.96326], abs=1e-3)
    assert outcome.figures["diagram"]() is not None


def test_topic_19_a_wrong_line_of_a_diagram_is_told_and_settled():
    """Lines that no mapping gave: FCC_A1 + HCP_A3 above the eutectic is metastable, by as much as own code says; the stable line with false ends is moved."""
    pytest.importorskip("pycalphad")
    system = calphad.System(BINARY, ["AA", "BB", "VA"], engine="pycalphad")
    checked = system.check({"T": 660.0, "P": 101325.0, "X": {"BB": 0.5}})
    all_phases = [from_tdb.binary_phases(tdb.read(BINARY), ("AA", "BB"), names, PYCALPHAD_GAS_CONSTANT) for names in (checked.phases, ("FCC_A1", "HCP_A3"))]
    stable, above = (binary.equilibrium(phases, 660.0, 0.8, PYCALPHAD_GAS_CONSTANT) for phases in all_phases)
    miss, text = calphad_map._ask(system, checked, ("FCC_A1", "HCP_A3"), 660.0, np.array([0.64, 0.96]), 101325.0, "BB")
    assert miss == 0 and f"{above['g'] - stable['g']:.3g} J/mol higher" in text and text.startswith(f"{' + '.join(n for n, _, _ in stable['phases'])} instead of FCC_A1 + HCP_A3")
    ends = np.array([x for _, _, x in stable["phases"]])
    miss, text = calphad_map._ask(system, checked, ("FCC_A1", "LIQUID"), 660.0, ends + np.array([0.0, 0.01]), 101325.0, "BB")
    assert text == "" and miss == pytest.approx(0.01, abs=1e-6)


@pytest.mark.slow
def test_topic_19_diagram_of_an_ordering_system(tmp_path):
    """What own code refuses: a phase that orders, and a liquid. The liquid is ideal and both ends of B2 are 0: known melting points."""
    pytest.importorskip("pycalphad")
    (tmp_path / "b2.tdb").write_text(ORDERING.replace("ELEMENT CC SOL 10 0 0 !\n", "") + "PHASE LIQ % 1 1 !\nCONSTITUENT LIQ :AA,BB: !\nPARAMETER G(LIQ,AA;0) 298.15 9000-9*T; 3000 N !\n"
                                     "PARAMETER G(LIQ,BB;0) 298.15 8000-10*T; 3000 N !\n")
    text = '[system]\nfile = "b2.tdb"\ncomponents = ["AA", "BB"]\n{}[grid]\ntemperature = {{ from = "780 K", to = "1100 K", points = 17 }}\npressure = "1 atm"\n'
    outcome = run("binary", tmp_path, text.format(""))
    record, = outcome.records
    ends = [(float(xa) + float(xb), float(t)) for t, _, xa, _, xb in outcome.tables["diagram"][1:]]
    assert record.status == "ok" and min(ends)[1] == pytest.approx(1000, abs=0.1) and max(ends)[1] == pytest.approx(800, abs=0.1)
    with pytest.raises(NoEquilibrium, match="no two-phase field"):
        run("binary", tmp_path, text.format('phases = ["B2"]\n'))
