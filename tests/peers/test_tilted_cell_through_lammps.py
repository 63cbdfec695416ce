"""A single point in a tilted cell by LAMMPS and by us. LAMMPS comes by `scaling/bench.py --setup-peers`, or is named by HPCNEMD_LAMMPS; without it the test is skipped."""
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "scaling"), str(ROOT / "tests" / "unit")]
import peers
from charged_cells import real_space
from test_ewald import lammps_splitting, rational_erfc
from tilted_salt import rhombohedral

from hpcnemd.app.energy import evaluate
from hpcnemd.core.units import in_unit
from hpcnemd.experiments.system import prepare_system
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.serial import SerialComm

LAMMPS = Path(os.environ.get("HPCNEMD_LAMMPS", peers.PEERS / "bin" / "lmp"))


def by_lammps(system, folder):
    """(energy eV, pressure xx yy zz xy xz yz bar, forces) with `kspace_style ewald 1e-10`."""
    case = SimpleNamespace(charged=True, forcefield=system.forcefield.name, cutoff=system.cutoff, mesh=True)
    peers.write_data(case, system, folder)
    pair = [line if "kspace" not in line else "kspace_style ewald 1e-10\npair_modify table 0" for line in peers._pair_lines(case, system)]
    lines = ["units metal", "atom_style charge", "boundary p p p", "read_data data", *pair, "neighbor 1.0 bin", "thermo_style custom pe pxx pyy pzz pxy pxz pyz",
             'thermo_modify format float "%.12g"', "run 0 post no", "write_dump all custom forces id fx fy fz modify sort id format float %.16e",
             'print "FOUND $(pe:%.12g) $(pxx:%.12g) $(pyy:%.12g) $(pzz:%.12g) $(pxy:%.12g) $(pxz:%.12g) $(pyz:%.12g)"']
    (folder / "in").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run([LAMMPS, "-in", "in", "-log", "log"], cwd=folder, env=peers.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    numbers = [float(word) for word in found.split()[1:]]
    return numbers[0], np.array(numbers[1:]), np.loadtxt(folder / "forces", skiprows=9)[:, 1:4]


@pytest.mark.skipif(not LAMMPS.exists(), reason="LAMMPS is not there: run scaling/bench.py --setup-peers, or name it with HPCNEMD_LAMMPS")
def test_rhombohedral_salt(tmp_path):
    """Energy to 1e-6 as it is, and, with the error of LAMMPS' erfc (1.5e-7) taken into account, to 1e-8; forces to 1e-6 eV/angstrom and the pressure tensor, shear
    parts included, to 1e-5 of its largest element."""
    structure, _ = rhombohedral(3)
    system = prepare_system(structure, load_forcefield("nacl_tosi_fumi"), "ewald", 1e-10, 8.0, truncation="plain")
    potential, force = evaluate(SerialComm(), system)
    energy, pressure, wanted = by_lammps(replace(system, position=structure.positions), tmp_path)
    charge = system.kinds.charge[system.species]
    beta = lammps_splitting(system.box, charge, 8.0)
    theirs, true = (real_space(system.box, system.position, charge, beta, 8.0, **how) for how in ({"erfc": rational_erfc}, {}))
    assert potential.potential == pytest.approx(energy, rel=1e-6)
    assert potential.potential + theirs[0] - true[0] == pytest.approx(energy, rel=1e-8)
    assert np.abs(force + theirs[1] - true[1] - wanted).max() < 1e-6
    found = in_unit((potential.virial + theirs[2] - true[2]) / system.box.volume, "bar")[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    assert np.abs(found - pressure).max() < 1e-5 * np.abs(pressure).max()
