"""Maps of stored sweeps: every cell is the equilibrium at its place, failed points are shown and counted, what cannot be drawn is refused."""
import csv

import numpy as np
import pytest
from invented_systems import BINARY, GAS
from test_thermo_cli import call

from hpcnemd.ensembles.thermo_sweep import run_sweep
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage.ensemble import read
from hpcnemd.thermo import diagram, from_tdb, tdb
from hpcnemd.thermo.errors import ThermoInputError
from hpcnemd.thermo.property_maps import property_maps

BINARY_DECK = f"""kind = "calphad"
block = 4
[system]
file = "{BINARY}"
components = ["AA", "BB", "VA"]
phases = ["LIQUID", "FCC_A1"]
[grid]
temperature = ["520 K", "640 K", "700 K"]
pressure = "1 atm"
X = {{ BB = {{ from = 0.1, to = 0.9, points = 5 }} }}
"""
GAS_DECK = f"""kind = "gibbs"
data = "{GAS}"
candidates = ["CO", "CO2", "H2", "H2O", "CH4", "C(gr)"]
[grid]
temperature = ["800 K", "923 K", "5500 K"]
pressure = ["0.1 atm", "100 atm"]
elements = {{ C = "1 mol", H = "4 mol", O = ["1 mol", "2 mol"] }}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """{name: path of its finished sweep}"""
    folder, out = tmp_path_factory.mktemp("maps"), {}
    for name, text in (("binary", BINARY_DECK), ("gas", GAS_DECK)):
        (folder / f"{name}.toml").write_text(text)
        out[name] = str(folder / f"{name}.h5")
        run_sweep(SerialComm(), str(folder / f"{name}.toml"), out[name])
    return out


def maps(path, **how):
    held = read(path)
    return property_maps(path, held.arrays, held.attributes, **how)


def panels(figure):
    """[(axes, image (rows, columns), crosses)] of the panels with cells."""
    from matplotlib.collections import QuadMesh
    found = []
    for axes in figure.axes:
        meshes = [c for c in axes.collections if isinstance(c, QuadMesh) and c.get_array().ndim == 2 and axes.get_ylabel()]
        if meshes and axes.get_xlabel():
            found.append((axes, np.ma.filled(meshes[0].get_array(), np.nan), [tuple(map(float, p)) for line in axes.lines if line.get_marker() == "x" for p in zip(*line.get_data())]))
    return found


def test_every_cell_is_the_equilibrium_at_its_place(swept):
    """Against the map of `diagram.property_map`, which answers whole temperatures at once."""
    t, x = np.array([520.0, 640.0, 700.0]), np.linspace(0.1, 0.9, 5)
    want = diagram.property_map(from_tdb.binary_phases(tdb.read(BINARY), ("AA", "BB"), ("LIQUID", "FCC_A1")), t, x)
    outcome = maps(swept["binary"], wanted=["mu(AA)", "mu(BB)", "fraction(LIQUID)", "fraction(FCC_A1)", "phases"])
    images = {}
    for name, draw in outcome.figures.items():
        (axes, image, crosses), = panels(draw())
        images[name] = image
        assert (axes.get_xlabel(), axes.get_ylabel(), crosses) == ("mole fraction of BB", "temperature (K)", [])
        assert axes.get_xlim() == pytest.approx((0, 1)) and axes.get_ylim() == pytest.approx((460, 730))        # cells end halfway to their neighbours
    assert images["map_mu_AA"] * 1e3 == pytest.approx(want["mu_a"], abs=1e-7) and images["map_mu_BB"] * 1e3 == pytest.approx(want["mu_b"], abs=1e-7)
    assert images["map_fraction_LIQUID"] + images["map_fraction_FCC_A1"] == pytest.approx(np.ones((3, 5)), abs=1e-12)
    words = np.array([row[3] for row in outcome.tables["map"][1:]]).reshape(3, 5)
    both = [[len(set(one.split(" + "))) for one in row] for row in words]
    assert [[len(one.split(" + ")) for one in row] for row in words] == want["count"].tolist() and np.max(both) == 2
    named = sorted(set(words.ravel().tolist()))
    assert images["map_phases"].tolist() == [[float(named.index(one)) for one in row] for row in words] and len(named) > 2
    record, = outcome.records
    left, = (c for c in record.candidates if c.status == "excluded")
    assert left.name == "HCP_A3" and left.would_form and record.values["points ok, failed, not yet computed"][0] == [15, 0, 0]
    assert record.data[0].sha256 == tdb.read(BINARY).sha256 and record.residuals["chemical potentials (J/mol)"] < 1e-6
    assert set(maps(swept["binary"]).figures) == {"map_phases", "map_fractions", "map_potentials"}


def test_failed_points_are_shown_and_counted(swept, tmp_path, capsys):
    code, message = call("map", swept["gas"], "--output", tmp_path, "--at", "n(O)=1 mol", "--quantity", "moles(CO)")
    assert (code, message) == (3, "") and "[8, 4, 0]" in capsys.readouterr().out and (tmp_path / "map_moles_CO.png").stat().st_size > 5000
    outcome = maps(swept["gas"], at=["n(O)=1 mol"], wanted=["moles(CO)", "phases"])
    held = read(swept["gas"])
    k, names = held.attributes["points"], held.attributes["substances"].split(",")
    moles = held.arrays["moles"].reshape(-1, len(names))[:k, names.index("CO")].reshape(3, 2, 2)[:, :, 0]
    for name, draw in outcome.figures.items():
        figure = draw()
        (axes, image, crosses), = panels(figure)
        assert np.isnan(image[:, 2]).all() and np.isfinite(image[:, :2]).all() and axes.get_yscale() == "log"
        assert sorted(crosses) == [(5500.0, 10132.5), (5500.0, 10132500.0)]
        assert name != "map_moles_CO" or np.array_equal(image[:, :2], moles.T[:, :2])
        caption = figure.get_supxlabel().replace("\n", " ")
        assert "Failed: 2 (crosses; TemperatureOutOfRange: 2)" in caption and "n(C) = 1 mol" in caption and "gas constant" in caption
    rows = list(csv.DictReader(",".join(f'"{c}"' for c in row) for row in outcome.tables["map"]))
    assert len(rows) == 6 and sum("5500" in row["status"] for row in rows) == 2 and {row["phases"] for row in rows} == {"C(gr) + gas", ""}
    line = maps(swept["gas"], at=["n(O)=2 mol", "P=100 atm"], wanted=["moles(CH4)", "phases"])
    for draw in line.figures.values():
        assert "failed (1)" in str([t.get_text() for t in draw().axes[0].get_yticklabels()] + draw().axes[0].get_legend_handles_labels()[1])


def test_an_unfinished_sweep_tells_what_is_missing(swept):
    held = read(swept["binary"])
    arrays = {name: array.copy() for name, array in held.arrays.items()}
    arrays["point_status"][2:], arrays["conditions"][2:] = 0, np.nan        # as the file is before its last two blocks
    outcome = property_maps("part.h5", arrays, held.attributes, ["G"])
    (_, image, _), = panels(outcome.figures["map_G"]())
    assert np.isfinite(image).sum() == 8 and len(outcome.tables["map"]) == 9 and outcome.records[0].values["points ok, failed, not yet computed"][0] == [8, 0, 7]
    assert "not yet computed: 7" in outcome.figures["map_G"]().get_supxlabel().replace("\n", " ")
    arrays["point_status"][:] = 0
    with pytest.raises(ThermoInputError, match="no point is computed yet"):
        property_maps("part.h5", arrays, held.attributes)


@pytest.mark.parametrize("words, message", [
    ((), "n(O) (2 values) vary"), (("--at", "n(O)=3 mol"), "takes 2 values from 1 to 2"), (("--at", "X(BB)=0.3"), "has the conditions T, P"), (("--at", "P=1"), "no unit"),
    (("--at", "n(O)=1 mol", "--axes", "T"), "with one point at each place"), (("--at", "n(O)=1 mol", "--quantity", "mu(C)"), "it has phases, moles(H2)")])
def test_maps_that_are_refused(swept, tmp_path, words, message):
    code, text = call("map", swept["gas"], "--output", tmp_path / "none", *words)
    assert code == 2 and message in text and not (tmp_path / "none").exists()


def test_other_files_are_refused(swept, tmp_path):
    (tmp_path / "text.h5").write_text("text")
    for path in (tmp_path / "text.h5", tmp_path / "missing.h5"):
        assert call("map", path, "--output", tmp_path)[0] == 2
    with pytest.raises(ThermoInputError, match="no file of a sweep"):
        property_maps("other.h5", {}, {"kind": "work"})
