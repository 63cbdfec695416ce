"""Forces of any ASE calculator: a machine-learned potential, an electronic-structure code, another program's force field.

A replica on one rank hands the calculator its whole periodic cell. Space can be shared out where the energy is a sum of atomic energies e_i of finite range R:
each rank then hands over its own atoms and all images within 2 R, as a cluster without periods. The force on an own atom is whole there: it comes from the e_j
of atoms j within R, and these see nothing beyond R of themselves. The energy is the sum of e_i over own atoms, so nothing has to be sent home."""
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ..core.errors import InputError, PhysicsError
from ..core.state import Species
from ..core.units import MASS
from ..parallel.launch import agree_on_errors
from ..parallel.reduce import ordered_sum
from .evaluator import Potential


@dataclass(frozen=True)
class Engine:
    """Which calculator: `factory`, "module.name" or "file.py:name" (relative to `base`), called with the keywords `arguments`. `reach`: range R of its atomic
    energies in angstrom, None where they have none, or it is not known."""
    factory: str
    arguments: dict
    reach: float | None = None
    base: str = "."

    def calculator(self):
        """A new ASE calculator. Raises InputError where it cannot be made, or has no forces."""
        make = _find(self.factory, self.base)
        try:
            found = make(**self.arguments)
        except Exception as problem:
            raise InputError(f"forcefield.calculator = \"{self.factory}\": {type(problem).__name__} when it was called with {self.arguments}: {problem}") from None
        able = getattr(found, "implemented_properties", ())
        if "forces" not in able or "energy" not in able:
            raise InputError(f"forcefield.calculator = \"{self.factory}\" gives {type(found).__name__}, which is no ASE calculator with energy and forces; "
                             "name a calculator class, or a function that returns one")
        return found

    def indivisible(self):
        """Why the space of a replica cannot be shared by ranks, and what to write; "" where it can."""
        if self.reach is None:
            return ("forcefield.interaction_range is not given, so the calculator needs the whole cell of a replica on one rank; write the range of its "
                    "atomic energies, or use one rank for each replica (parallel.ranks_per_replica = 1, and at least as many replicas as ranks)")
        if "energies" not in self.calculator().implemented_properties:
            return (f"forcefield.calculator = \"{self.factory}\" has no atomic energies (property \"energies\"), which ranks that share a replica need; "
                    "use one rank for each replica (parallel.ranks_per_replica = 1, and at least as many replicas as ranks)")
        return ""


def _find(factory, base):
    """The callable of "module.name", "module:name" or "file.py:name"."""
    where, _, name = factory.partition(":") if ":" in factory else factory.rpartition(".")
    path = Path(base, where)
    try:
        if where.endswith(".py"):
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(where)
        return getattr(module, name)
    except Exception as problem:
        raise InputError(f"forcefield.calculator = \"{factory}\": {type(problem).__name__}: {problem}; write \"package.module.Calculator\", or "
                         "\"file.py:function\" for a file beside the deck") from None


@dataclass(frozen=True)
class AseField:
    """What the rest of the program asks of a force field, for species that a calculator knows: `species` symbols, `charges` = `formal_charges` (s,) e (they
    carry the current; the calculator knows nothing of them), `masses` (s,) u."""
    name: str
    species: tuple
    charges: np.ndarray
    masses: np.ndarray
    description: str = "an ASE calculator"
    coulomb: bool = False
    units: str = "metal"
    notes: tuple = ()
    pairs: tuple = ()

    @property
    def formal_charges(self):
        return self.charges

    def kinds(self, names):
        rows = [self.species.index(name) for name in names]
        return Species(tuple(names), self.masses[rows] * MASS, self.charges[rows], self.charges[rows])

    def describe(self):
        """Rows for `check`: species, charge and mass, provenance, reference."""
        return [(name, f"formal charge {self.charges[k]:+g} e, mass {self.masses[k]:g} u", "deck", "") for k, name in enumerate(self.species)]


def ase_field(factory, charges, masses):
    """AseField of {symbol: formal charge} and {symbol: u}, which defaults to ASE's atomic masses. Raises InputError."""
    from ase.data import atomic_masses, atomic_numbers
    problems = [f"forcefield.formal_charges: {name!r} is no chemical symbol, by which a calculator knows an atom" for name in charges if name not in atomic_numbers]
    problems += [f"forcefield.masses.{name}: no such species in forcefield.formal_charges" for name in masses if name not in charges]
    problems += [f"forcefield.masses.{name} = {mass!r}: a positive number of u is needed" for name, mass in masses.items() if not mass > 0]
    problems += [f"forcefield.formal_charges.{name} = {charge:g}: the current is carried by whole charges" for name, charge in charges.items() if charge != round(charge)]
    if problems:
        raise InputError(problems)
    return AseField(factory, tuple(charges), np.array([float(z) for z in charges.values()]),
                    np.array([float(masses.get(name, atomic_masses[atomic_numbers[name]])) for name in charges]))


class AseForces:
    """Stands where `evaluator.Forces` does. `domain`: of one rank, or with a halo of twice the engine's range. `skin` (angstrom): how far atoms may come together
    before owners and ghosts are found anew."""
    settings, follows_images = None, False

    def __init__(self, engine, kinds, box, domain, skin):
        from ase import Atoms
        from ase.data import atomic_numbers
        self.engine, self.box, self.domain, self.skin = engine, box, domain, float(skin)
        self.calculator = engine.calculator()
        self.whole = domain.size == 1
        self.threads = 1
        self.pair = SimpleNamespace(path=f"ase {type(self.calculator).__name__}")
        self._numbers = np.array([atomic_numbers[name] for name in kinds.names])
        self._empty = Atoms
        self._atoms, self._cell = None, None

    def rebuild(self, state):
        """Atoms of the particles and ghosts as they stand (after `halo`)."""
        n = state.n_owned if self.whole else state.n_all
        if self.whole:
            cell, periods = self.box.matrix, np.arange(3) < self.box.dimensions
        else:                               # for calculators that divide by a volume
            cell, periods = self.box.lengths + 2 * self.domain.halo_width, False
        self._atoms = self._empty(numbers=self._numbers[state.species[:n]], positions=state.position[:n], cell=cell, pbc=periods)
        self._atoms.calc = self.calculator

    def rescale(self, box):
        """Take another box."""
        self.box = box
        if self.whole and self._atoms is not None:
            self._atoms.set_cell(box.matrix, scale_atoms=False)

    def keep_accuracy(self):
        """There is no mesh."""

    def variables(self):
        return {}

    def compute(self, state, observe, unsettled=None, spent=None):
        """Collective. Forces of all owned rows into state.force; a Potential when `observe`, else None. Its virial is nan where the calculator has no stress.
        Raises PhysicsError on all ranks, with the calculator's own words. `unsettled` and `spent` are for forces with a mesh and lists of their own."""
        own, share, problem = state.n_owned, np.zeros(10), None
        state.force[:state.n_all] = 0.0
        if own:
            atoms = self._atoms
            atoms.positions[:] = state.position[:len(atoms)]
            try:
                state.force[:own] = atoms.get_forces(apply_constraint=False)[:own]
                if observe:
                    share[0], share[1:] = self._energy(own), self._virial(own)
            except Exception as failure:
                problem = PhysicsError(f"the calculator {type(self.calculator).__name__} failed with {type(failure).__name__}: {failure}")
        agree_on_errors(self.domain.comm, problem)
        if not observe:
            return None
        total = ordered_sum(self.domain.comm, share)
        return Potential({"calculator": float(total[0])}, total[1:].reshape(3, 3), 0.0)

    def _energy(self, own):
        if not self.whole:
            return self._atoms.get_potential_energies()[:own].sum()
        return self._atoms.get_potential_energy(force_consistent="free_energy" in self.calculator.implemented_properties)

    def _virial(self, own):
        """sum of r_a f_b = -V stress; of the own atoms' shares where the calculator tells them."""
        able, volume = self.calculator.implemented_properties, self._atoms.cell.volume
        if self.whole and "stress" in able:
            return -volume * self._atoms.get_stress(voigt=False, apply_constraint=False).ravel()
        if not self.whole and "stresses" in able:
            return -volume * self._atoms.get_stresses(voigt=False)[:own].sum(axis=0).ravel()
        return np.full(9, np.nan)

