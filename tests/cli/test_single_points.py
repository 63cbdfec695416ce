"""`hpcnemd energy`: what its file holds, and that the numbers do not depend on the ranks."""
import json

import ase
import ase.io
import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.app.energy import single_point
from hpcnemd.app.main import build_parser
from hpcnemd.experiments.structures import named_structure
from hpcnemd.parallel.serial import SerialComm
from whole_runs import end_of, start

comm = MPI.COMM_WORLD
CELLS = {"llzo_cubic_box": "llzo_buckingham", "nacl_melt": "nacl_tosi_fumi"}
CHOICES = ("--cutoff", "8", "--accuracy", "1e-4", "--truncation", "shift_force")      # a pair that passes the cutoff makes no jump


def displaced(name, path):
    """A built-in cell with its ions shaken by 0.1 angstrom, so that forces are no zeros of symmetry, as a file; the number of ions."""
    cell = named_structure(name)
    place = cell.positions + np.random.default_rng(7).normal(0, 0.1, cell.positions.shape)
    ase.io.write(path, ase.Atoms(cell.names, place, cell=cell.box.lengths, pbc=True), parallel=False)      # by this rank alone
    return len(place)


def evaluated(over, structure, table, out, *words):
    assert single_point(over, build_parser().parse_args(["energy", str(structure), "--forcefield", table, *words, "--json", str(out)])) == 0
    over.Barrier()
    return json.loads(out.read_text())


@pytest.mark.mpi
@pytest.mark.parametrize("name", CELLS)
def test_forces_do_not_depend_on_the_number_of_ranks(mpi_tmp_path, name):
    structure = mpi_tmp_path / "cell.extxyz"
    if comm.rank == 0:
        displaced(name, structure)
    comm.Barrier()
    found = evaluated(comm, structure, CELLS[name], mpi_tmp_path / "all.json", "--accuracy", "1e-5")
    alone = comm.bcast(evaluated(SerialComm(), structure, CELLS[name], mpi_tmp_path / "one.json", "--accuracy", "1e-5") if comm.rank == 0 else None)
    forces, expected = np.array(found["forces"]), np.array(alone["forces"])
    assert forces.shape == expected.shape and np.abs(expected).max() > 0.3
    assert np.abs(forces - expected).max() <= 1e-9 * max(np.abs(expected).max(), 1.0)
    assert abs(found["energy"] / alone["energy"] - 1) < 1e-11
    assert np.abs(np.subtract(found["pressure_tensor"], alone["pressure_tensor"])).max() <= 1e-9 * np.abs(alone["pressure_tensor"]).max()
    assert found["settings"] == alone["settings"] and found["settings"]["truncation"] == "plain"


@pytest.mark.mpi
def test_the_number_of_ranks_changes_mixed_forces_by_less_than_their_error(mpi_tmp_path):
    """A pair has the same force on every rank; only the order of the sums differs, and with it their rounding."""
    structure = mpi_tmp_path / "cell.extxyz"
    if comm.rank == 0:
        displaced("nacl_melt", structure)
    comm.Barrier()
    found = evaluated(comm, structure, "nacl_tosi_fumi", mpi_tmp_path / "all.json", "--precision", "mixed")
    if comm.rank == 0:
        one, double = (evaluated(SerialComm(), structure, "nacl_tosi_fumi", mpi_tmp_path / "one.json", "--precision", name) for name in ("mixed", "double"))
        many, one, double = (np.array(result["forces"]) for result in (found, one, double))
        error = np.sqrt(((one - double)**2).mean())
        assert 0 < error < 1e-5 * np.sqrt((double**2).mean())
        assert np.sqrt(((many - one)**2).mean()) < 0.5 * error
    comm.Barrier()


def test_the_file_of_a_single_point_under_mpirun(tmp_path):
    ions = displaced("nacl_melt", tmp_path / "cell.extxyz")
    code, text = end_of(start(3, "-m", "hpcnemd", "energy", tmp_path / "cell.extxyz", "--forcefield", "nacl_tosi_fumi", *CHOICES,
                              "--json", tmp_path / "out.json"))
    assert code == 0 and "energy" in text, text
    found = json.loads((tmp_path / "out.json").read_text())
    assert {"energy", "parts", "forces", "pressure_tensor", "settings"} <= set(found)
    assert np.shape(found["forces"]) == (ions, 3) and np.shape(found["pressure_tensor"]) == (3, 3)
    assert np.isclose(sum(found["parts"].values()), found["energy"], rtol=1e-12)
    settings = found["settings"]
    assert settings["cutoff"] == 8.0 and settings["truncation"] == "shift_force"
    coulomb = settings["coulomb"]
    assert coulomb["method"] == "spme" and coulomb["beta"] > 0 and len(coulomb["mesh"]) == 3 and coulomb["order"] >= 4
    assert 0 < coulomb["estimated_error"] <= 1e-4 * max(coulomb["force_scale"], 1.0)
    # forces are in the order of the input: one ion of the file, moved on and back, meets the force that the file gives for it
    number, energies = 100, []
    for move in (-1e-3, 1e-3):
        atoms = ase.io.read(tmp_path / "cell.extxyz")
        atoms.positions[number, 0] += move
        ase.io.write(tmp_path / "moved.extxyz", atoms)
        energies.append(evaluated(SerialComm(), tmp_path / "moved.extxyz", "nacl_tosi_fumi", tmp_path / "moved.json", *CHOICES)["energy"])
    slope = (energies[0] - energies[1]) / 2e-3
    assert abs(slope - found["forces"][number][0]) < 5e-3           # eV/angstrom: the accuracy of the Coulomb forces, and of the slope


def test_a_wrong_single_point_ends_with_code_2(tmp_path):
    code, text = end_of(start(2, "-m", "hpcnemd", "energy", "nacl_melt", "--forcefield", "nacl_tosi_fumi", "--cutoff", "8 fs"))
    assert code == 2 and text.count("--cutoff") == 1 and "Traceback" not in text, text
