"""What a deck's [structure] and [forcefield] tables amount to: particles, species, force field, ranges, Coulomb settings."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.box import Box
from ..core.errors import InputError
from ..core.state import Species, State
from ..dynamics.simulation import Simulation
from ..forces.ase_engine import AseForces, Engine, ase_field
from ..forces.coulomb import CoulombSettings, choose_coulomb, coulomb_force_scale
from ..forces.evaluator import Forces
from ..forces.forcefield import ForceField, load_forcefield
from ..forces.pair import RealSpace
from ..forces.pair_table import PairTable
from ..parallel.balance import Balance
from ..parallel.domain import Domain
from .structures import Structure, close_pairs, kinds_of, load_structure, structure_problems

CUTOFF_LIMIT = 3.0      # distances between faces: beyond it a particle would have hundreds of images of itself in its list


@dataclass(frozen=True)
class System:
    """`species` (n,) int32 rows of `kinds`; `position` (n, 3) angstrom; `counts` (s,). `coulomb` is None where nothing is charged.
    `grain` (n,) int32 of each ion, None where there are no grains; `notes`: lines on how the structure was built; `rough`: it needs to be relaxed;
    `precision`: of the pair forces, "double" or "mixed". `engine`: the ASE calculator that takes the place of the force field's pairs, or None; `cutoff` is then
    its range, 0 where it needs whole cells."""
    box: Box
    kinds: Species
    species: np.ndarray
    position: np.ndarray
    counts: np.ndarray
    forcefield: ForceField
    cutoff: float
    skin: float
    truncation: str
    coulomb: CoulombSettings | None
    grain: np.ndarray | None = None
    notes: tuple = ()
    rough: bool = False
    precision: str = "double"
    engine: Engine | None = None

    @property
    def structure(self):
        return Structure(self.box, [self.kinds.names[k] for k in self.species], self.position, self.grain, self.notes, self.rough)


def cutoff_limit(box):
    """The largest cutoff for a box, angstrom."""
    return CUTOFF_LIMIT * float(box.heights[:box.dimensions].min())


def prepare_system(structure, forcefield, coulomb="spme", accuracy=1e-5, cutoff=None, skin=1.0, truncation="shift_force", damping=None,
                   minimum_distance=0.5, precision="double"):
    """The System of a Structure and a ForceField. Raises InputError with every problem found."""
    problems = structure_problems(structure, forcefield, minimum_distance)
    cutoff = forcefield.cutoff_default if cutoff is None else cutoff
    limit = cutoff_limit(structure.box)
    if cutoff > limit:
        problems.append(f"forcefield.cutoff = \"{cutoff:g} angstrom\": the limit for this cell is {limit:.4g} angstrom ({CUTOFF_LIMIT:g} times its "
                        f"{'smallest distance between faces' if structure.box.tilted else 'shortest edge'}); write a smaller cutoff, or repeat the cell with structure.supercell")
    if problems:
        raise InputError(problems)
    kinds, species = kinds_of(structure, forcefield)
    counts = np.bincount(species, minlength=len(kinds.names))
    settings = None
    if forcefield.coulomb and coulomb != "none" and np.any(kinds.charge != 0):
        extra = {"damping": damping} if damping is not None else {}
        scale = coulomb_force_scale(structure.box, kinds, species, structure.positions) if coulomb in ("spme", "ewald") else None
        settings = choose_coulomb(coulomb, accuracy, cutoff, structure.box, kinds, counts, truncation, force_scale=scale, **extra)
    fallen = _inside_the_wall(structure, forcefield, kinds, species, cutoff, truncation, settings)
    if fallen:
        raise InputError(fallen)
    return System(structure.box, kinds, species, structure.positions, counts, forcefield, float(cutoff), float(skin), truncation, settings,
                  structure.grain, structure.notes, structure.rough, precision)


def _inside_the_wall(structure, forcefield, kinds, species, cutoff, truncation, settings):
    """Messages: pairs of ions so close that the pair function attracts them to r = 0 (a Buckingham exponential loses against -C/r^6 and the charges)."""
    real = RealSpace("dsf" if settings.method == "dsf" else "ewald", settings.beta, cutoff) if settings is not None else None
    wall = PairTable(forcefield, kinds, cutoff, truncation, real).minimum_distance
    problems = []
    for distance, i, j in close_pairs(structure, float(wall.max())):
        limit = wall[species[i], species[j]]
        if distance < limit:
            problems.append(f"structure: ions {i} ({structure.names[i]}) and {j} ({structure.names[j]}) are {distance:.3f} angstrom apart, inside the "
                            f"repulsive wall of {forcefield.name} ({limit:.3f} angstrom), where they would fall into each other; move them apart, or relax "
                            "the structure with another force field first")
    return problems[:5]


def system_of_deck(structure_table, forcefield_table, base="."):
    """The System of a deck's two tables; `base`: the deck's folder, where relative paths start. Raises InputError."""
    problems, field, structure = [], None, None
    try:
        field = _field(forcefield_table, base)
    except InputError as error:
        problems += error.problems
    charges = dict(zip(field.species, field.charges.tolist())) if field is not None else None
    try:
        if field is not None or not any(cell.doping for cell in (structure_table, *structure_table.phases)):         # a dopant cannot be balanced without charges: one problem at a time
            structure = load_structure(structure_table, base, charges)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    if forcefield_table.calculator is not None:
        engine = Engine(forcefield_table.calculator, dict(forcefield_table.arguments), forcefield_table.interaction_range, str(base))
        return _system_of_engine(structure, field, engine, forcefield_table.skin, structure_table.minimum_distance)
    coulomb = forcefield_table.coulomb
    return prepare_system(structure, field, coulomb=coulomb.method, accuracy=coulomb.accuracy, cutoff=forcefield_table.cutoff, skin=forcefield_table.skin,
                          truncation=forcefield_table.truncation, damping=coulomb.damping, minimum_distance=structure_table.minimum_distance,
                          precision=forcefield_table.precision)


def _field(forcefield_table, base):
    """The force field of a table, or the species of a calculator."""
    if forcefield_table.calculator is not None:
        return ase_field(forcefield_table.calculator, forcefield_table.formal_charges, forcefield_table.masses)
    table = forcefield_table.table
    return load_forcefield(str(Path(base, table)) if Path(base, table).is_file() else table)


def _system_of_engine(structure, field, engine, skin, minimum_distance):
    """The System of an ASE calculator; it is made once, so that what is wrong with it is known before any work."""
    problems = structure_problems(structure, field, minimum_distance)
    if problems:
        raise InputError(problems)
    engine.calculator()
    kinds, species = kinds_of(structure, field)
    counts = np.bincount(species, minlength=len(kinds.names))
    return System(structure.box, kinds, species, structure.positions, counts, field, float(engine.reach or 0.0), float(skin), "none", None,
                  structure.grain, structure.notes, structure.rough, engine=engine)


def forces_of(system, domain, counts=None, threads=1):
    """Collective. The forces of a System on a domain; `counts`: where they are not the system's own; `threads` of each rank."""
    if system.engine is not None:
        return AseForces(system.engine, system.kinds, system.box, domain, system.skin)
    return Forces(system.forcefield, system.kinds, system.box, domain, system.cutoff, system.skin, system.truncation, system.coulomb,
                  counts=system.counts if counts is None else counts, precision=system.precision, threads=threads)


def domain_of(system, comm, grid):
    """Collective. The Domain of this rank, with the ghosts that the system's forces need."""
    if system.engine is not None:
        return Domain(comm, system.box, grid, 2 * system.cutoff + system.skin if comm.size > 1 else 0.0, whole=True)
    return Domain(comm, system.box, grid, system.cutoff + system.skin)


def simulation_of(system, colour, comm, grid, timestep, seed, replica, balance="cost", threads=1):
    """Collective over `comm`. A Simulation of the System on a grid of ranks, without particles yet. `balance`: one of parallel.balance.KINDS; forces of
    another program's are not balanced. `threads` of each rank."""
    domain = domain_of(system, comm, grid)
    state = State.empty(system.box, system.kinds, 64)
    order = system.coulomb.order if system.coulomb is not None and system.coulomb.method == "spme" else 0
    return Simulation(state, domain, forces_of(system, domain, threads=threads), colour, timestep, seed, replica, None if system.engine is not None else Balance(balance, order))
