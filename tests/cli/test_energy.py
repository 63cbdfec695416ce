"""The single point: published numbers, what its JSON holds, and no dependence on the number of ranks."""
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from hpcnemd.app.energy import as_result, evaluate, single_point
from hpcnemd.core.errors import InputError
from hpcnemd.experiments.structures import load_structure, named_structure
from hpcnemd.experiments.system import prepare_system
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.serial import SerialComm

MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
BAR = 1e-4          # GPa


def point(structure, forcefield, **options):
    system = prepare_system(structure, load_forcefield(forcefield), **{"cutoff": 10.0, "skin": 0.0, "truncation": "plain", **options})
    return system, as_result(system, *evaluate(SerialComm(), system))


def test_rock_salt_against_lammps():
    """512 ions, Ewald 1e-10, rc = 10 angstrom: -8.055948877 eV and -2927.07 bar (science reference, section 7.1)."""
    system, result = point(load_structure(StructureTable(build="nacl", supercell=[4, 4, 4])), "nacl_tosi_fumi", coulomb="ewald", accuracy=1e-9)
    assert result["energy"] / 256 == pytest.approx(-8.055948877, rel=1e-6)
    assert result["parts"]["short_range"] / 256 == pytest.approx(0.867562018, rel=1e-8)
    assert np.allclose(result["pressure_tensor"], -2927.07 * BAR * np.eye(3), atol=1e-5 * 2927.07 * BAR)
    assert np.abs(result["forces"]).max() < 1e-9 and result["settings"]["coulomb"]["method"] == "ewald"


@pytest.mark.parametrize("table, energy, short, pxx, pzz, forces", [
    ("llzo_buckingham", -4148.150082, 682.242799, -102575.18, -84064.51,
     {(1.065709, 2.150405, 11.823466): (0.43621, 0.219981, -0.639373), (1.685878, 3.309018, 4.76314): (0.566563, 0, 0),
      (0.45818, 9.192676, 5.986263): (-1.510869, 0.601378, 2.88177)}),
    ("oxides_du_teter", -1683.736595, 55.204991, -40980.60, -36608.12,
     {(1.065709, 2.150405, 11.823466): (0.069921, 0.281745, -0.214487), (1.685878, 3.309018, 4.76314): (-0.030721, 0, 0),
      (0.45818, 9.192676, 5.986263): (-0.189657, 0.181913, 0.948737)})])
def test_tetragonal_llzo_against_lammps(table, energy, short, pxx, pzz, forces):
    system, result = point(named_structure("llzo_tetragonal"), table, coulomb="ewald", accuracy=1e-9)
    assert result["energy"] == pytest.approx(energy, rel=1e-6)
    assert result["parts"]["short_range"] == pytest.approx(short, abs=1e-6 * abs(energy))
    wanted = np.diag([pxx, pxx, pzz]) * BAR
    assert np.allclose(result["pressure_tensor"], wanted, atol=1e-5 * np.abs(wanted).max())
    for place, force in forces.items():                                         # in input order: found by place
        row = np.argmin(np.linalg.norm(system.position - place, axis=1))
        assert np.allclose(system.position[row], place, atol=2e-6) and np.allclose(result["forces"][row], force, atol=5e-6)


def test_ranks_and_file_formats_make_no_difference(tmp_path):
    """A shuffled file with ions outside the cell, SPME, 3 ranks: the forces come back in the file's order."""
    import ase.build
    import ase.io
    atoms = ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(2)
    random = np.random.default_rng(5)
    atoms = atoms[random.permutation(len(atoms))]
    atoms.positions += 0.1 * random.standard_normal(atoms.positions.shape)
    atoms.positions[3] += [11.28, -22.56, 0.0]
    ase.io.write(tmp_path / "salt.extxyz", atoms)
    system, alone = point(named_structure(str(tmp_path / "salt.extxyz")), "nacl_tosi_fumi", accuracy=1e-6, cutoff=8.0)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX"))}
    env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    done = subprocess.run([MPIRUN, "-n", "3", sys.executable, "-m", "hpcnemd", "energy", "salt.extxyz", "--forcefield", "nacl_tosi_fumi", "--cutoff", "8",
                           "--accuracy", "1e-6", "--json", "out.json"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    three = json.loads((tmp_path / "out.json").read_text())
    assert set(three) == {"energy", "parts", "forces", "cell", "notes", "pressure_tensor", "settings", "units"} and three["settings"] == alone["settings"]
    assert three["energy"] == pytest.approx(alone["energy"], rel=1e-10)
    largest = max(1.0, np.abs(alone["forces"]).max())
    assert np.abs(np.array(three["forces"]) - alone["forces"]).max() < 1e-9 * largest
    assert np.allclose(three["pressure_tensor"], alone["pressure_tensor"], rtol=0, atol=1e-9 * np.abs(alone["pressure_tensor"]).max())


def test_wrong_options_are_told_at_once(tmp_path):
    arguments = Namespace(structure="absent.cif", forcefield="nacl_tosifumi", cutoff="3 K", accuracy=3.0, coulomb="spme", damping=None,
                          truncation="plain", json=None)
    with pytest.raises(InputError) as caught:
        single_point(SerialComm(), arguments)
    assert [word in problem for word, problem in zip(("--accuracy 3", "absent.cif", "nacl_tosi_fumi", "--cutoff '3 K'"), caught.value.problems)] == [True] * 4
