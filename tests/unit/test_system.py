"""What is refused when a structure and a force field meet."""
import numpy as np
import pytest

from hpcnemd.core.errors import InputError
from hpcnemd.experiments.structures import close_pairs, load_structure
from hpcnemd.experiments.system import cutoff_limit, prepare_system
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.forcefield import load_forcefield

CELL = load_structure(StructureTable(build="llzo_cubic_box"))
FIELD = load_forcefield("llzo_buckingham")


def test_ions_inside_their_wall_are_named():
    first, second = 181, 182                # two oxygens, whose dispersion wins below 0.8 angstrom
    position = CELL.positions.copy()
    position[second] = position[first] + [0.56, 0, 0]
    with pytest.raises(InputError, match=r"are 0\.560 angstrom apart, inside the repulsive wall of llzo_buckingham \(0\.799 angstrom\)"):
        prepare_system(CELL._replace(positions=position), FIELD)


def test_close_pairs_look_through_the_boundary():
    position = CELL.positions.copy()
    position[5], position[9] = [0.1, 3.0, 13.0], [13.0, 3.0, 0.2]
    found = {(min(i, j), max(i, j)): r for r, i, j in close_pairs(CELL._replace(positions=position), 1.0)}
    assert found[5, 9] == pytest.approx(np.hypot(0.27, 0.37), abs=1e-12)


def test_the_cutoff_limit_is_told():
    limit = cutoff_limit(CELL.box)
    prepare_system(CELL, FIELD, cutoff=limit)
    with pytest.raises(InputError, match=f"limit for this cell is {limit:.4g}"):
        prepare_system(CELL, FIELD, cutoff=limit * 1.01)
