"""Bond-valence site energy of a mobile ion: where it can sit in a crystal, and over which energies its paths percolate.

E(r) = 1/2 sum over counter-ions D0 {[exp(alpha (r_min - r)) - 1]^2 - 1} + sum over framework ions of its own sign 14.4 q1 q2/sqrt(n1 n2) erfc(r/rho)/r,
rho = f (r1 + r2) with covalent radii r and f = 0.74; n are principal quantum numbers. Source: Chen, Wong and Adams, Acta Cryst. B 75, 18 (2019), with the halved
Morse branch and ASE's covalent radii as in BVlain (dembart/BVlain). A quick look at paths, not a force field: barriers are those of a rigid framework."""
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..kernels.percolation import add_site_energy, percolate

TABLE = Path(__file__).with_name("softbv.toml")
CUTOFF = 10.0           # angstrom
SCREENING = 0.74
PREFACTOR = 14.4        # eV angstrom, as the parameters were made with


@dataclass(frozen=True)
class SiteEnergy:
    """`energy` (nx, ny, nz) eV at fractions i/nx, ... of the cell; `cell` (3, 3) angstrom, rows; `thresholds` (3,) eV at which paths first percolate in 1, 2 and 3
    dimensions (nan where they never do below the highest energy); `lowest` eV; `mobile` the ion."""
    energy: np.ndarray
    cell: np.ndarray
    thresholds: np.ndarray
    mobile: str

    @property
    def lowest(self):
        return float(self.energy.min())

    @property
    def barriers(self):
        """(3,) thresholds above the lowest energy, eV."""
        return self.thresholds - self.lowest

    def sites(self, below=None):
        """[(energy, fractional place (3,))] of the local minima of the grid, lowest first; those below `below` eV over the lowest (default: the barrier of
        three dimensions)."""
        from scipy.ndimage import minimum_filter
        limit = self.barriers[2] if below is None else below
        low = (self.energy == minimum_filter(self.energy, size=3, mode="wrap")) & (self.energy - self.lowest <= limit)
        places = np.argwhere(low)
        order = np.argsort(self.energy[low], kind="stable")
        return [(float(self.energy[tuple(places[k])]), places[k] / self.energy.shape) for k in order]


def load_table():
    """({element: charge}, {(a, b) sorted: (D0, r_min, alpha)})."""
    raw = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return raw["charges"], {tuple(sorted(row["between"])): (row["D0"], row["r_min"], row["alpha"]) for row in raw["pair"]}


def site_energy(atoms, mobile, resolution=0.2, charges=None):
    """SiteEnergy of the element `mobile` in ASE Atoms (any cell, periodic), its own ions taken away. `charges` {element: e} overrides the table's; `resolution`
    angstrom between grid points, at most. Raises InputError where parameters are missing."""
    from ase.data import atomic_numbers, covalent_radii
    known, pairs = load_table()
    charges = known | (charges or {})
    present = list(dict.fromkeys(atoms.get_chemical_symbols()))
    problems = [f"no charge is known for {name}; write it as --charges {name}=2" for name in {mobile, *present} if name not in charges]
    if mobile not in present:
        problems.append(f"the structure has no {mobile}; it has {', '.join(present)}")
    if not 0.02 <= resolution <= 1.0:
        problems.append(f"resolution {resolution:g}: between 0.02 and 1 angstrom are needed")
    if problems:
        raise InputError(problems)
    framework = atoms[[k for k, name in enumerate(atoms.get_chemical_symbols()) if name != mobile]]
    names = list(dict.fromkeys(framework.get_chemical_symbols()))
    morse, screened, counter = np.zeros((len(names), 3)), np.ones((len(names), 2)), False
    number, charge = atomic_numbers[mobile], charges[mobile]
    screened[:, 0] = 0.0
    for k, name in enumerate(names):
        if charges[name] * charge < 0:
            counter, row = True, pairs.get(tuple(sorted((mobile, name))))
            if row is None:
                problems.append(f"no bond-valence row for {mobile}-{name}; there are rows for {', '.join('-'.join(pair) for pair in pairs)}")
            else:
                morse[k] = 0.5 * row[0], row[1], row[2]
        elif charges[name] * charge > 0:
            other = atomic_numbers[name]
            screened[k] = (PREFACTOR * charge * charges[name] / np.sqrt(_period(number) * _period(other)), SCREENING * (covalent_radii[number] + covalent_radii[other]))
    if not counter:
        problems.append(f"{mobile} ({charge:+g}) has no counter-ions in the structure")
    if problems:
        raise InputError(problems)
    cell = atoms.cell.array
    shape = tuple(int(np.ceil(length / resolution)) for length in atoms.cell.lengths())
    energy = np.zeros(shape)
    place, kind = _images(framework, names, cell)
    add_site_energy(np.zeros(3), cell / np.array(shape)[:, None], shape, place, kind, CUTOFF, morse, screened, energy)
    thresholds = np.full(3, np.nan)
    percolate(energy, np.argsort(energy.ravel(), kind="stable"), thresholds)
    return SiteEnergy(energy, cell, thresholds, mobile)


def _period(number):
    """Of the periodic table: the principal quantum number of the outer shell."""
    return int(np.searchsorted((2, 10, 18, 36, 54, 86, 118), number)) + 1


def _images(framework, names, cell):
    """Positions of all images of the framework within the cutoff of the cell, and their kinds."""
    heights = abs(np.linalg.det(cell)) / np.array([np.linalg.norm(np.cross(cell[(k + 1) % 3], cell[(k + 2) % 3])) for k in range(3)])
    turns = np.ceil(CUTOFF / heights).astype(int)
    fraction = np.linalg.solve(cell.T, framework.positions.T).T % 1.0
    margin = CUTOFF / heights
    found, kinds = [], []
    index = np.array([names.index(name) for name in framework.get_chemical_symbols()])
    for shift in np.ndindex(*(2 * turns + 1)):
        moved = fraction + np.array(shift) - turns
        near = np.all((moved > -margin) & (moved < 1 + margin), axis=1)
        found.append(moved[near] @ cell)
        kinds.append(index[near])
    return np.ascontiguousarray(np.vstack(found)), np.concatenate(kinds).astype(np.int64)
