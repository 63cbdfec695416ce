"""A series before it runs: its deck, its points, how ranks share them."""
import numpy as np
import pytest

from hpcnemd.app.deck import parse_deck
from hpcnemd.core.errors import InputError
from hpcnemd.core.units import BOLTZMANN, SIEMENS_PER_METRE, in_unit
from hpcnemd.experiments.conductivity_series.assignment import assign, duration
from hpcnemd.experiments.conductivity_series.points import placed, points_of

DECK = """experiment = "conductivity_series"
[structure]
build = "nacl"
supercell = [2, 2, 2]
[forcefield]
table = "nacl_tosi_fumi"
cutoff = "5 angstrom"
coulomb = { method = "dsf", damping = "0.25 1/angstrom" }
[run]
timestep = "2 fs"
measure = "1 ps"
replicas = 2
[drive]
mobile = "all"
[series]
temperatures = ["1000 K", "1200 K"]
lattices = ["6.5 angstrom", "6.6 angstrom"]
drives = ["constant_current", "constant_field", "none"]
directions = ["x", [1, 1, 0]]
strengths = [0.2, 0.4]
expected = { conductivity = "300 S/m", temperature = "1000 K", activation_energy = "0.1 eV" }
"""


def deck(*changes, more=""):
    text = DECK
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return parse_deck(text + more)


def problems(*changes, more="", prepared=False):
    with pytest.raises(InputError) as found:
        loaded = deck(*changes, more=more)
        (loaded.experiment.prepare if prepared else points_of)(loaded.deck)
    return "\n".join(found.value.problems)


# ---- points --------------------------------------------------------------------------------------------------------------
def test_points_are_all_combinations_with_names_and_seeds_of_their_own():
    loaded = deck()
    points = points_of(loaded.deck)
    names = [one.name for one in points]
    assert len(names) == len(set(names)) == 2 * (2 * 2 * 2 + 1) and "1000K_2x2x2_current_1_1_0_s0.2" in names and "1200K_2x2x2_equilibrium" in names
    fewer = [one.name for one in points_of(deck(('["1000 K", ', "["), ('"6.5 angstrom", ', "")).deck)]
    assert set(fewer) < set(names)                          # names do not change as the series grows
    prepared = loaded.experiment.prepare(loaded.deck)
    assert len({run.deck.run.seed for run in prepared.runs}) == len(points)
    assert {run.system.box.lengths[0] for run in prepared.runs} == {13.0, 13.2}


def test_a_strength_is_a_field_and_times_the_expected_conductivity_a_current():
    loaded = deck()
    prepared = loaded.experiment.prepare(loaded.deck)
    for point, run in zip(prepared.points, prepared.runs):
        if point.kind == "none":
            assert run.drive_value == 0
            continue
        field = 2 * point.level.value * BOLTZMANN * point.temperature / 2.0
        sigma = 300 * 1000 / point.temperature * np.exp(0.1 / BOLTZMANN * (1 / 1000 - 1 / point.temperature)) / SIEMENS_PER_METRE
        wanted = field if point.kind == "constant_field" else sigma * field * run.system.box.volume
        assert run.drive_value == pytest.approx(wanted, rel=1e-5)
        np.testing.assert_allclose(run.colour.axis, [1, 0, 0] if point.direction == "x" else np.array([1, 1, 0]) / np.sqrt(2), atol=1e-12)


def test_tables_change_points_and_leave_some_out():
    more = """[[series.point]]
temperature = "1200 K"
drive = ["constant_current", "constant_field"]
strengths = [0.3]
measure = "3 ps"
blocks = 10
[[series.point]]
temperature = ["1000 K", "1200 K"]
direction = [1, 1, 0]
leave_out = true
[[series.point]]
supercell = [2, 2, 2]
temperature = "1000 K"
lattice = "6.4 angstrom"
"""
    loaded = deck(more=more)
    prepared = loaded.experiment.prepare(loaded.deck)
    names = [one.name for one in prepared.points]
    assert names == ["1000K_2x2x2_current_x_s0.2", "1000K_2x2x2_current_x_s0.4", "1000K_2x2x2_field_x_s0.2", "1000K_2x2x2_field_x_s0.4", "1000K_2x2x2_equilibrium",
                     "1200K_2x2x2_current_x_s0.3", "1200K_2x2x2_field_x_s0.3", "1200K_2x2x2_equilibrium"]
    runs = dict(zip(names, prepared.runs))
    assert runs["1200K_2x2x2_field_x_s0.3"].deck.run.measure == 3000 and runs["1200K_2x2x2_field_x_s0.3"].deck.run.n_blocks == 10
    assert runs["1200K_2x2x2_equilibrium"].deck.run.measure == 1000 and runs["1000K_2x2x2_equilibrium"].system.box.lengths[0] == pytest.approx(12.8)


def test_explicit_drives_and_those_of_the_drive_table():
    loaded = deck(("strengths = [0.2, 0.4]", "drift_velocities = [\"0.1 angstrom/ps\", \"-0.2 angstrom/ps\"]\nfields = [\"0.02 V/angstrom\"]"))
    prepared = loaded.experiment.prepare(loaded.deck)
    found = {point.name: run for point, run in zip(prepared.points, prepared.runs)}
    assert in_unit(found["1000K_2x2x2_current_x_v-0.2"].deck.drive.drift_velocity, "angstrom/ps") == pytest.approx(-0.2)
    assert found["1000K_2x2x2_field_x_f0.02"].drive_value == pytest.approx(0.02)
    one = deck(("mobile = \"all\"", "mobile = \"all\"\nkind = \"constant_field\"\nfield = \"0.03 V/angstrom\""),
               ("drives = [\"constant_current\", \"constant_field\", \"none\"]\n", ""), ("strengths = [0.2, 0.4]\n", ""))
    assert {run.drive_value for run in one.experiment.prepare(one.deck).runs} == {0.03}


def test_files_of_a_point_are_named_from_its_own_folder(tmp_path):
    (tmp_path / "cell.cif").write_text("")
    bare = deck(("build = \"nacl\"", "file = \"cell.cif\"")).deck
    moved = placed(bare, tmp_path, tmp_path / "runs" / "series" / "point")
    assert moved.structure.file == "../../../cell.cif" and moved.forcefield.table == "nacl_tosi_fumi"


# ---- ranks -----------------------------------------------------------------------------------------------------------------
def test_no_rank_idles_and_the_longest_come_first():
    work = [(80, 192, 1)] + [(10, 192, 1)] * 10
    assert assign(work, 1) == (1, [list(range(11))])
    size, shares = assign(work, 2)
    assert size == 1 and shares[0][0] == 0 and sorted(sum(shares, [])) == list(range(11))
    assert abs(sum(work[k][0] for k in shares[0]) - 90) <= 10
    for ranks in range(1, 33):
        for points, replicas, ions in ((1, 1, 64), (3, 2, 5000), (5, 4, 192), (13, 1, 1536)):
            size, shares = assign([(10 + k % 3, ions, replicas) for k in range(points)], ranks)
            assert size * len(shares) == ranks and all(shares) and sorted(sum(shares, [])) == list(range(points))


def test_points_and_replicas_beside_each_other_before_ranks_share_space():
    assert assign([(1, 192, 4)], 4) == (4, [[0]]) and duration(1, 192, 4, 4) == 192
    assert duration(1, 1536, 1, 2) < 1536 < 2 * duration(1, 1536, 1, 2)
    assert assign([(1, 192, 1)] * 2, 8)[0] == 4 and assign([(1, 64, 1)] * 4, 3)[0] == 1 and assign([(1, 20000, 1)] * 4, 3)[0] == 3
    work = [(1, 64, 1)] * 4
    assert assign(work, 2, left=[1, 2, 3]) == (1, [[1, 3], [2]]) and assign(work, 2, left=[3]) == (2, [[3]])
    with pytest.raises(InputError, match="ranks_per_replica = 3"):
        assign([(1, 192, 1)] * 5, 4, 3)


# ---- bad decks ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("changes, more, text", [
    ([("lattices = [\"6.5 angstrom\", \"6.6 angstrom\"]", "lattices = [\"6.5 angstrom\"]")], "", "lattices has 1 entries for 2 temperatures; write one for each"),
    ([("[0.2, 0.4]", "[0.2, 0.2]")], "", "strengths: an entry is there twice"),
    ([("[0.2, 0.4]", "[2.5]")], "", "strengths: 2.5 is not between 0 and 2"),
    ([("strengths = [0.2, 0.4]\n", "")], "", "drives has constant_current, but nothing says how strong; write strengths or drift_velocities or currents"),
    ([("expected = {", "# {")], "", "need series.expected = {"),
    ([("strengths = [0.2, 0.4]", "strengths = [0.2]\nfields = [\"1 V/angstrom\"]")], "", "strengths and fields exclude each other"),
    ([("strengths = [0.2, 0.4]", "drift_velocities = [\"0 angstrom/ps\"]\nfields = [\"1 V/angstrom\"]")], "", "a drive is 0"),
    ([("mobile = \"all\"", "mobile = \"all\"\nkind = \"zero_current\""), ("drives = [\"constant_current\", \"constant_field\", \"none\"]\n", "")], "",
     "drive.kind = \"zero_current\": a series repeats"),
    ([("temperatures", "temperature")], "", "did you mean \"temperatures\""),
    ([], "[[series.point]]\ntemperature = \"900 K\"\nmeasure = \"2 ps\"\n", "no point of the series agrees with it (temperature 900.0)"),
    ([], "[[series.point]]\nstrengths = [0.3]\n", "strengths needs the drive that it belongs to"),
    ([], "[[series.point]]\ndrive = \"none\"\nstrengths = [0.3]\n", "takes one of: none of them"),
    ([], "[[series.point]]\nblocks = 3\nblock = \"1 ps\"\n", "blocks and block exclude each other"),
    ([], "[[series.point]]\nleave_out = true\n", "all points are left out"),
    ([], "[[series.reference]]\ntemperature = \"900 K\"\nconductivity = \"2 S/m\"\nsource = \"\"\n", "source"),
    ([], "[[series.reference]]\ntemperature = \"900 K\"\nconductivity = \"2 eV\"\nsource = \"a paper, table 1\"\n", "eV is not a unit of this quantity"),
])
def test_bad_decks_say_what_to_write(changes, more, text):
    assert text in problems(*changes, more=more)


def test_what_only_a_point_shows_names_the_point():
    assert problems(("\"6.6 angstrom\"", "\"0.5 angstrom\""), prepared=True).startswith("1200K_2x2x2_current_x_s0.2: ")
    found = problems(more="[[series.point]]\ntemperature = \"1200 K\"\ndrive = \"none\"\nblock = \"0.9 ps\"\n", prepared=True)
    assert "1200K_2x2x2_equilibrium: run" in found and "two blocks" in found
