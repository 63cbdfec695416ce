"""Crystals from their sites and the number of their space group, with the operations of ASE's table.

`ase.spacegroup.crystal` gives the same ions in the same order (a test holds both together), but its import takes half a second of every start."""
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SAME = 1e-3         # fractional coordinates that differ by less are one site, as in ASE


def _fraction(word):
    above, _, below = word.partition("/")
    return float(above) / float(below or 1)


def operations(number, setting=1):
    """(rotations (k, 3, 3), translations (k, 3)) of a space group, centring and inversion included. Raises KeyError where the table lacks it."""
    table = Path(find_spec("ase").submodule_search_locations[0]) / "spacegroup" / "spacegroup.dat"
    for entry in table.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in entry.splitlines() if line and not line.startswith("#")]
        if len(lines) < 2 or int(lines[0].split()[0]) != number or int(lines[1].split()[1]) != setting:
            continue
        inverted, start = int(lines[2].split()[1]), 11                   # a title and three rows of each of two primitive cells stand before
        centrings = np.array([[_fraction(word) for word in line.split()] for line in lines[start + 1:start + 1 + int(lines[start].split()[0])]])
        rows = np.array([[_fraction(word) for word in line.split()] for line in lines[start + 2 + len(centrings):]])
        turns = np.concatenate([sign * np.tile(rows[:, :9].reshape(-1, 3, 3), (len(centrings), 1, 1)) for sign in ((1, -1) if inverted else (1,))])
        shifts = np.tile(np.concatenate([np.mod(rows[:, 9:] + centring, 1) for centring in centrings]), (1 + inverted, 1))
        return turns, shifts
    raise KeyError(f"space group {number}, setting {setting}: not in ASE's table")


def orbit(point, turns, shifts):
    """(m, 3) fractional coordinates in [0, 1) of all sites equivalent to one."""
    found = []
    for candidate in ((turns @ np.asarray(point, dtype=float)) + shifts % 1.0) % 1.0:
        apart = candidate - np.array(found).reshape(-1, 3)
        if not (np.abs(apart - np.rint(apart)) < SAME).all(axis=1).any():
            found.append(candidate)
    return np.array(found)


def crystal(symbols, basis, number, edges, occupancies=None, setting=1):
    """ASE Atoms of one conventional cell with right angles, with the array "spacegroup_kinds" (which of the `basis` a site is equivalent to) and, with
    `occupancies`, info["occupancy"], as ASE's CIF reader leaves them."""
    import ase
    turns, shifts = operations(number, setting)
    orbits = [orbit(point, turns, shifts) for point in basis]
    kinds = np.repeat(np.arange(len(basis)), [len(sites) for sites in orbits])
    info = {} if occupancies is None else {"occupancy": {str(k): {symbol: share} for k, (symbol, share) in enumerate(zip(symbols, occupancies))}}
    atoms = ase.Atoms([symbols[k] for k in kinds], scaled_positions=np.concatenate(orbits), cell=edges, pbc=True, info=info)
    atoms.new_array("spacegroup_kinds", kinds)
    return atoms
