"""The phase at constant pressure of the conductivity experiment: one mean cell for all replicas, on every rank count and over stops; the order of the sites."""
import tomllib

import numpy as np
import pytest
from engines import simulation, system_of
from mpi4py import MPI

from hpcnemd.core.errors import InputError, StoppedEarly
from hpcnemd.experiments import site_order
from hpcnemd.experiments.ionic_conductivity import Deck, analyse, groups, prepare, summary
from hpcnemd.experiments.tables import CELL_BLOCKS, OrderTable, problems_of
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble

comm = MPI.COMM_WORLD
DECK = """experiment = "ionic_conductivity"
[structure]
build = "nacl"
supercell = [2, 2, 2]
[forcefield]
table = "nacl_tosi_fumi"
cutoff = "8 angstrom"
coulomb = { method = "dsf" }
[run]
temperature = "300 K"
timestep = "2 fs"
npt = "0.16 ps"
equilibrate = "0.02 ps"
measure = "0.08 ps"
blocks = 4
replicas = 2
sample = "4 fs"
[run.barostat]
pressure = "0.5 GPa"
coupling = "anisotropic"
compressibility = "0.04 1/GPa"
time = "100 fs"
every = 2
[drive]
kind = "constant_current"
current_density = "1e7 A/cm^2"
mobile = "all"
[order]
species = ["Na"]
framework = ["Cl"]
[[order.classes]]
name = "octahedra"
positions = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
[[order.classes]]
name = "tetrahedra"
positions = [[0.25, 0.25, 0.25], [0.75, 0.75, 0.25], [0.75, 0.25, 0.75], [0.25, 0.75, 0.75], [0.75, 0.75, 0.75], [0.25, 0.25, 0.75], [0.25, 0.75, 0.25], [0.75, 0.25, 0.25]]
"""


def launch(folder, world, per_replica=1, text=DECK):
    prepared = prepare(Deck.model_validate(tomllib.loads(text)))
    groups.run(prepared, Layout(world, prepared.deck.run.replicas, per_replica, box=prepared.system.box), folder, text)


def launch_with_stops(monkeypatch, at, folder, text=DECK):
    """Starts the run on one rank again and again, told to stop whenever it has asked so many times in all; the number of starts."""
    class Flag:
        asked = 0

        def install(self):
            return self

        def restore(self):
            pass

        @property
        def received(self):
            Flag.asked += 1
            return Flag.asked in at
    monkeypatch.setattr(groups, "StopFlag", Flag)
    for starts in range(1, 10):
        try:
            launch(folder, SerialComm(), text=text)
            return starts
        except StoppedEarly:
            pass
    raise AssertionError("it comes to no end")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Arrays and attributes of the run on one rank, which every rank makes for itself."""
    folder = tmp_path_factory.mktemp("whole")
    launch(folder, SerialComm())
    stored = ensemble.read(folder / "ensemble.h5")
    return folder, stored.arrays, stored.attributes


def same(a, b):
    assert set(a) == set(b)
    return [name for name in a if not np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f")]


def test_all_replicas_take_the_mean_cell(whole):
    folder, arrays, attributes = whole
    edges = arrays["cell_edges"]
    assert edges.shape == (2, CELL_BLOCKS, 3) and np.isfinite(edges).all() and np.abs(edges - 11.28).max() > 1e-3
    assert attributes["box"] == pytest.approx(edges[:, CELL_BLOCKS // 2:].mean(axis=(0, 1)), rel=1e-14)
    assert attributes["volume"] == pytest.approx(np.prod(attributes["box"]), rel=1e-14)
    # a current density stays what it was asked to be, in the cell that was found
    assert arrays["drive_value"] / attributes["volume"] == pytest.approx(1e7 * 6.241509074e18 * 1e-16 * 1e-15, rel=1e-9)
    assert np.all(arrays["final_position"] < attributes["box"])
    assert np.all(arrays["cell_moves"][:, 0] == 40) and np.all(arrays["cell_moves"][:, 1] > 20) and np.abs(arrays["cell_ledger"]).max() < 0.02
    assert np.allclose(arrays["site_occupation"], [1.0, 0.0]) and np.allclose(arrays["cell_site_occupation"], [1.0, 0.0])
    result = analyse(folder)
    found = result.numbers["cell"]
    assert [entry["value"] for entry in found["edges"]] == pytest.approx(attributes["box"].tolist(), rel=1e-12) and found["edges"][0]["error"] > 0
    assert result.numbers["sites"]["measurement"]["ordered_along"] == "octahedra"
    assert any("common to all replicas" in line for line in summary(result)) and any("ordered along octahedra" in line for line in summary(result))
    assert '"cell"' in result.to_json()


def test_stops_in_every_phase_change_nothing(whole, tmp_path, monkeypatch):
    """Stopped in the cells of both replicas, between them, and in the measurement."""
    assert launch_with_stops(monkeypatch, (30, 52, 90, 200, 280), tmp_path) > 4
    assert same(ensemble.read(tmp_path / "ensemble.h5").arrays, whole[1]) == []


@pytest.mark.mpi(min_size=2)
@pytest.mark.skipif(comm.size == 3, reason="two ranks side by side, and four that share the space")
def test_ranks_agree_with_one(whole, tmp_path_factory):
    """Two ranks with a replica each: bit for bit. More ranks share each replica: the cell to 1e-9 angstrom."""
    from pathlib import Path
    folder = Path(comm.bcast(str(tmp_path_factory.mktemp("many")) if comm.rank == 0 else None))
    launch(folder, comm, 1 if comm.size == 2 else comm.size)
    stored = ensemble.read(folder / "ensemble.h5")
    if comm.size == 2:
        assert same(stored.arrays, whole[1]) == []
    assert np.abs(stored.arrays["cell_edges"] - whole[1]["cell_edges"]).max() < 1e-9
    assert np.abs(stored.attributes["box"] - whole[2]["box"]).max() < 1e-9


@pytest.mark.parametrize("build, supercell", [("llzo_tetragonal", (1, 1, 1)), ("llzo_tetragonal", (2, 1, 1)), ("llzo_cubic", (2, 2, 2))])
def test_the_built_garnets(build, supercell):
    """Ideal tetragonal garnet: 8a full, 16e empty, 48g full. Cubic: 24d of the three axes alike, within 4 standard errors of a random filling (one structure)."""
    system = system_of(build, "llzo_buckingham", supercell, cutoff=6.0)
    sites = site_order.reference_of(OrderTable(sites="llzo"), system, supercell)
    assert sites.labels == ("24d x", "24d y", "24d z", "48g")
    # a framework that has moved, by a fraction of a cell, carries the sites along
    from dataclasses import replace
    system = replace(system, position=system.position + (1.3, -2.9, 40.0))
    occupation = site_order.occupation(simulation(system, 300.0, 1.0, mobile=["Li"]), sites)
    order = site_order.order_parameters(occupation, sites.sets)
    assert occupation[:3].sum() / 3 * 24 + occupation[3] * 48 == pytest.approx(56)
    if build == "llzo_tetragonal":
        assert occupation == pytest.approx([0, 0, 1, 1]) and order[:3] == pytest.approx([-0.5, -0.5, 1.0])
    else:
        assert np.abs(order[:3]).max() < 4 * np.sqrt(1.5 * 0.47 * 0.53 / 64)
    assert np.isnan(order[3])


def test_wrong_input_says_what_to_write():
    def told(*changes):
        text = DECK
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        from pydantic import ValidationError
        try:
            prepare(Deck.model_validate(tomllib.loads(text)))
        except ValidationError as error:
            return " ".join(problems_of(error, Deck))
        except InputError as error:
            return " ".join(error.problems)
        return ""
    assert told() == ""
    assert "write 0.16 ps at least" in told(("npt = \"0.16 ps\"", "npt = \"0.1 ps\""))
    assert "npt = \"20 ps\"" in told(("npt = \"0.16 ps\"\n", ""))
    assert "nose_hoover" in told(("[run.barostat]", "[run.thermostat]\nkind = \"gaussian\"\n[run.barostat]"))
    assert "semi_isotropic" in told(("\"anisotropic\"", "\"cubic\""))
    assert "holds no Br" in told(("framework = [\"Cl\"]", "framework = [\"Br\"]"))
    garnet = ("build = \"nacl\"", "build = \"llzo_tetragonal\""), ("nacl_tosi_fumi", "llzo_buckingham"), ("[order]\nspecies = [\"Na\"]\nframework = [\"Cl\"]", "[order]")
    classes = DECK[DECK.index("[[order.classes]]"):]
    assert told(*garnet, (classes, "sites = \"llzo\"\n"), ("\"all\"", "[\"Li\"]")) == ""
    assert "order.cells" in told(*garnet, (classes, "sites = \"llzo\"\ncells = [1, 1, 1]\n"), ("\"all\"", "[\"Li\"]"))
    assert "no La and Zr" in told((DECK[DECK.index("[order]"):], "[order]\nsites = \"llzo\"\n"))
