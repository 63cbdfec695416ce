"""Mistakes that engines accept in silence, one by one: each is a named error with its line, its value and what to type instead."""
import pytest
from invented_systems import BINARY

from hpcnemd.thermo import calphad, precheck, tdb
from hpcnemd.thermo.deck import finish, open_deck, read_substances
from hpcnemd.thermo.errors import (BeyondBinary, DatabaseSyntax, ImpossibleComposition, MissingCondition, MissingVacancy, PressureSuspicious, TemperatureGap,
                                   TemperatureOutOfRange, ThermoInputError, UndefinedFunction, UnknownComponent, UnknownConstituent, UnknownPhase)

TEXT = BINARY.read_text()
GOOD = {"T": 600.0, "P": 101325.0, "X": {"BB": 0.3}}


def line_of(words):
    return next(k for k, line in enumerate(TEXT.split("\n"), 1) if words in line)


def ask(text=TEXT, components=("AA", "BB", "VA"), phases=None, drop=(), **changed):
    conditions = {k: v for k, v in {**GOOD, **changed}.items() if k not in drop}
    return precheck.check(tdb.parse(text, "data.tdb"), components, conditions, phases)


def test_a_sound_question_passes():
    checked = ask()
    assert checked.phases == ("LIQUID", "FCC_A1", "HCP_A3") and checked.temperature_range == (298.15, 2000.0) and not checked.excluded
    assert ask(P="1 atm", T="600 K").conditions["P"] == 101325.0
    assert "left out" in ask(phases=["LIQUID"]).excluded["HCP_A3"]


@pytest.mark.parametrize("kind, words, options", [
    (UnknownPhase, ("HCP_A33", "did you mean HCP_A3"), {"phases": ["LIQUID", "HCP_A33"]}),
    (MissingVacancy, ("FCC_A1", "'VA'", "dropped"), {"components": ("AA", "BB")}),
    (UnknownComponent, ("CC", "AA, BB"), {"components": ("AA", "CC", "VA")}),
    (TemperatureOutOfRange, ("25 K", "298.15-2000", "write 298.15"), {"T": 25.0}),
    (TemperatureOutOfRange, ("5000 K", "on line"), {"T": 5000.0}),
    (TemperatureOutOfRange, ("-5 K",), {"T": -5.0}),
    (ImpossibleComposition, ("1.2", "between 0 and 1"), {"X": {"BB": 1.2}}),
    (ImpossibleComposition, ("-0.1",), {"X": {"BB": -0.1}}),
    (PressureSuspicious, ("1 Pa", '"1 bar"'), {"P": 1.0}),
    (MissingCondition, ("1 mole fraction", "0 are given"), {"X": {}}),
    (MissingCondition, ("follows from the others",), {"X": {"AA": 0.5, "BB": 0.5}}),
    (MissingCondition, ("P is not given",), {"drop": ("P",)}),
    (MissingCondition, ("T is not given",), {"drop": ("T",)}),
    (UnknownComponent, ("X(ZZ)",), {"X": {"ZZ": 0.3}}),
])
def test_questions_that_are_refused(kind, words, options):
    with pytest.raises(kind) as refusal:
        ask(**options)
    assert type(refusal.value) is kind and all(word in str(refusal.value) for word in words), str(refusal.value)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize("kind, old, new, words", [
    (UndefinedFunction, "+GHSERBB#+2900", "+GHSERBX#+2900", ("GHSERBX", "did you mean GHSERBB")),
    (UnknownConstituent, "L(FCC_A1,AA,BB:VA;1)", "L(FCC_A1,AA,BC:VA;1)", ("BC", "sublattice 1", "dropped")),
    (UnknownConstituent, "L(FCC_A1,AA,BB:VA;1)", "L(FCC_A2,AA,BB:VA;1)", ("FCC_A2", "did you mean FCC_A1", "dropped")),
    (UnknownConstituent, "L(HCP_A3,AA,BB:VA;0)", "L(HCP_A3,AA,BB;0)", ("1 sublattices and the phase 2",)),
    (DatabaseSyntax, "L(FCC_A1,AA,BB:VA;1)", "L(FCC_A1,AA,BB:VA;0)", ("already given on line",)),
    (DatabaseSyntax, "PARAMETER L(LIQUID", "PARMETER L(LIQUID", ("did you mean PARAMETER",)),
    (DatabaseSyntax, "+18500-9*T", "+18500-9*T)*(", ("cannot be read",)),
    (DatabaseSyntax, "+18500-9*T", "__import__(T)", ("not arithmetic",)),
    (TemperatureGap, "L(HCP_A3,AA,BB:VA;0) 298.15 +18500-9*T; 2000 N", "L(HCP_A3,AA,BB:VA;0) 298.15 +18500-9*T; 200 N", ("empty",)),
])
def test_data_mistakes_have_their_line(kind, old, new, words):
    assert old in TEXT
    with pytest.raises(kind) as refusal:
        ask(TEXT.replace(old, new))
    message = str(refusal.value)
    assert type(refusal.value) is kind and all(word in message for word in words), message
    assert refusal.value.line == line_of(old.split(" ")[0] if kind is TemperatureGap else old) and f"line {refusal.value.line}" in message


def test_a_gap_in_the_ranges():
    with pytest.raises(TemperatureGap, match="more ranges after the N"):
        tdb.parse(TEXT.replace("60000*T**(-1); 700 Y", "60000*T**(-1); 700 N"))
    with pytest.raises(DatabaseSyntax, match="no ! at its end"):
        tdb.parse(TEXT.rstrip().rstrip("!"))


def test_all_problems_are_reported_at_once():
    with pytest.raises(ThermoInputError) as refusal:
        ask(TEXT.replace("+GHSERBB#+2900", "+GHSERBX#+2900"), T=25.0, P=1.0, X={"BB": 1.2})
    kinds = {text.split(":")[0] for text in refusal.value.problems}
    assert kinds == {"UndefinedFunction", "TemperatureOutOfRange", "PressureSuspicious", "ImpossibleComposition"}
    with pytest.raises(ThermoInputError) as refusal:
        ask(T="25 K", P="1", X={"BB": "0.3 mol"})
    assert {text.split(":")[0] for text in refusal.value.problems} == {"TemperatureOutOfRange", "UnitMissing", "UnitMismatch"}


def test_what_the_engine_would_have_answered(tmp_path):
    """The reason for the pre-check, shown with pycalphad itself: without VA both solid phases vanish and the answer is all liquid, far below the eutectic."""
    pytest.importorskip("pycalphad")
    from pycalphad import Database, equilibrium, variables as v
    eq = equilibrium(Database(str(BINARY)), ["AA", "BB"], ["LIQUID", "FCC_A1", "HCP_A3"], {v.T: 500.0, v.P: 101325, v.N: 1, v.X("BB"): 0.5})
    assert [n for n in eq.Phase.values.ravel() if n] == ["LIQUID"]
    with pytest.raises(MissingVacancy):
        calphad.System(BINARY, ["AA", "BB"], ["LIQUID", "FCC_A1", "HCP_A3"], engine="pycalphad").equilibrium({"T": 500.0, "P": "1 atm", "X": {"BB": 0.5}})


def test_reader_keeps_lines_types_and_species():
    db = tdb.parse("$ comment\nELEMENT AA S 1 0 0 !\nELEMENT BB S 1 0 0 !\nSPECIES AA2B AA2BB1 !\nTYPE_DEF & GES A_P_D S MAGNETIC -1.0 0.4 !\n"
                   "PHASE S & 1 1 !\nCONST S :AA%,BB, AA2B: !\nPARA TC(S,AA;0) 298.15 1000; 6000 N !\nFUN F 1 2D+3*T**2+LN(T)*EXP(-1/T); 10 N !")
    assert db.species["AA2B"] == {"AA": 2.0, "BB": 1.0} and db.phases["S"].line == 6 and "MAGNETIC" in tdb.needs_engine(db, "S")
    assert db.function("F", 2.0) == pytest.approx(2e3 * 4 + 0.6931471805599453 * 0.6065306597126334, rel=1e-15)
    with pytest.raises(BeyondBinary, match="MAGNETIC"):
        calphad.binary_phases(db, ("AA", "BB"), ["S"])
    with pytest.raises(TemperatureOutOfRange, match="1-10 K"):
        db.function("F", 11.0)
    odd = tdb.parse(TEXT.replace("L(FCC_A1,AA,BB:VA;1)", "L(FCC_A1,BB,AA:VA;1)"))
    assert "alphabetical" in precheck.order_notes(odd)[0]


def test_decks_report_everything_at_once(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[grid]\ntemperature = { from = 300, to = "400 K", points = 3 }\npressur = "1 atm"\n')
    table, _ = open_deck(path)
    grid = table.table("grid")
    grid.numbers("temperature", "K")
    grid.number("pressure", "Pa")
    grid.end()
    with pytest.raises(ThermoInputError) as refusal:
        finish(table)
    text = str(refusal.value)
    assert "no unit" in text and "did you mean pressure" in text and len(refusal.value.problems) == 2


@pytest.mark.parametrize("old, new, words", [('scale = "t = T/1000"', 'scale = "SI"', "CoefficientScale"), ('reference_pressure = "1 bar"', "reference_pressure = 1", "UnitMissing"),
                                             ('form = "shomate"', 'form = "shomat"', "did you mean shomate"), ("coefficients = [24.99735, ", "coefficients = [", "cannot be read")])
def test_data_files_are_checked(tmp_path, old, new, words):
    text = ('[source]\nreference_pressure = "1 bar"\nreference_state = "elements at 298.15 K"\nprovenance = "test"\n[[substance]]\nname = "CO2"\nelements = { C = 1, O = 2 }\n'
            'phase = "gas"\nform = "shomate"\nrange = [298.0, 1200.0]\nscale = "t = T/1000"\n'
            'coefficients = [24.99735, 55.18696, -33.69137, 7.948387, -0.136638, -403.6075, 228.2431, -393.5224]\n')
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(text)
    assert read_substances(good)[0]["CO2"].caloric.cp(1000.0) == pytest.approx(54.3047, abs=5e-5)
    bad.write_text(text.replace(old, new))
    with pytest.raises(ThermoInputError, match=words):
        read_substances(bad)
