"""One replica in motion: the particles, the forces, the drive and the thermostat of a phase, and the few numbers that all ranks share."""
import time

import numpy as np

from ..core.errors import InputError, PhysicsError
from ..core.units import BOLTZMANN
from ..kernels import step_numbers
from ..kernels.integrate import SUMS, half_kick
from ..parallel.balance import ROUNDS
from ..parallel.domain import halo, lists_hold, migrate, refresh
from ..parallel.migration import name_ids
from ..parallel.persistent import SUM, VOTE
from ..parallel.reduce import Parts, ordered_sum
from ..parallel.shared_memory import channels_of, open_channels
from .drive import Drive
from .thermostat import NoThermostat


RENEWED = 0.25             # of the skin: how far pairs that the lists miss must be beyond the cutoff where the lists are to stay
FEW = 1000                 # particles of all ranks, below which new lists cost no more than a look at who has met


class Shared:
    """What every rank knows after the reduction of a step; all of it is in the checkpoint. By species: `kinetic` (s,) peculiar kinetic energy eV,
    `stream` (s,) streaming velocity along the drive angstrom/fs. `numbers`: see kernels.step_numbers, and the properties below.
    Of the last observed configuration: `potential` eV, `virial` (3, 3) eV, `mesh_force` eV/angstrom."""

    def __init__(self, n_species):
        self.kinetic, self.stream, self.numbers = np.zeros(n_species), np.zeros(n_species), np.zeros(step_numbers.COUNT)
        self.potential, self.mesh_force, self.virial = np.nan, 0.0, np.full((3, 3), np.nan)

    current = property(lambda self: float(self.numbers[step_numbers.CURRENT]), doc="J, e angstrom/fs")
    colour_force = property(lambda self: float(self.numbers[step_numbers.COLOUR_FORCE]), doc="sum c F/m, e angstrom/fs^2")
    impulse = property(lambda self: float(self.numbers[step_numbers.IMPULSE]), doc="sum of the field impulses of the phase, eV fs/angstrom per e")
    charge_moved = property(lambda self: float(self.numbers[step_numbers.CHARGE_MOVED]), doc="integral of J over the phase, e angstrom")
    work = property(lambda self: float(self.numbers[step_numbers.WORK]), doc="work of the drive in the phase, eV")
    heat = property(lambda self: float(self.numbers[step_numbers.HEAT]), doc="heat taken out by the thermostat in the phase, eV")


class Simulation:
    """Collective in its constructor and methods. `state` holds this rank's particles; `forces` offers rebuild(state) and compute(state, observe);
    `colour` says who carries the current; `balance` (parallel.balance.Balance, or None) moves the cuts of the domain. Times in fs."""

    def __init__(self, state, domain, forces, colour, timestep, seed=0, replica=0, balance=None):
        self.state, self.domain, self.forces, self.colour, self.balance = state, domain, forces, colour, balance
        self.comm, self.timestep, self.seed, self.replica = domain.comm, float(timestep), seed, replica
        self.inverse_mass = 1.0 / colour.mass
        self.norm, self.group_mass, self.group_charge = colour.norm, colour.group_mass, colour.group_charge
        self.step, self.rebuilds, self.rebuilt_at = 0, 0, 0
        n_species = len(colour.mass)
        self.reduced = np.zeros((n_species + 1, SUMS))         # what the reduction of a step adds up: sums by species, and the net force of the mesh
        self.sums, self.total = self.reduced[:n_species], np.zeros_like(self.reduced)
        self.unsettled = self.reduced[n_species] if getattr(forces, "leaves_net_force", False) else None
        open_channels(self.comm)
        self._waited = channels_of(self.comm).waited
        self.summed, self.vote = Parts(self.comm, self.reduced, SUM), Parts(self.comm, np.zeros(2), VOTE)
        self.heat_here = np.zeros(1)
        self.noise = np.zeros((0, 3))
        self.scale, self.kick = np.ones(n_species), np.zeros(n_species)
        self.shared = Shared(n_species)
        self.listed = np.zeros((0, 3))                          # positions for which the lists were made, in the box that they had then
        self.reference, self.room = self.listed, forces.skin    # positions from which two may come closer by `room` (angstrom) before the lists must be looked at
        self.built_lengths, self.stretch = state.box.lengths, np.ones(3)
        self.arranged = 0                                       # grows whenever lists, box or arrays are others than before
        self.spent = None                                       # of the skin (angstrom), for the next forces; None where it was not looked at
        self.sweeps = None                                      # what shares out the rest of a step among threads, where that is worth it (dynamics.loop)
        self.enter_phase(Drive(), NoThermostat(), np.zeros(n_species, bool))

    # ---- phases -----------------------------------------------------------------------------------------------------
    def enter_phase(self, drive, thermostat, on, barostat=None):
        """Take another drive, thermostat and barostat from here on; the ledger starts again. Raises InputError for a barostat under a drive."""
        if barostat is not None and drive.driven:
            raise InputError("a barostat under a drive: work flows through the system, so that its pressure belongs to no equilibrium ensemble of the cell; "
                             "let the cell relax before the drive is switched on (run.npt)")
        self.drive, self.thermostat, self.on, self.barostat = drive, thermostat, on, barostat
        self.opening = self.closing = self.hurrying = None      # entries of the kernels of a step, for the types of this phase's numbers, and their Stretch
        self.degrees = self.colour.degrees_of_freedom(drive.driven)
        self.shared.numbers[[step_numbers.WORK, step_numbers.HEAT, step_numbers.IMPULSE, step_numbers.CHARGE_MOVED]] = 0.0
        self.heat_here[:] = 0.0

    def start(self):
        """Collective. Owners, ghosts, lists and forces of the positions as they are; then the shared numbers."""
        self.settle_cuts()
        self.evaluate(observe=True)
        self.take_stock()

    def take_stock(self):
        """Collective. Shared numbers of the velocities and forces as they are (no kick)."""
        half_kick(self.state.n_owned, self.state.species, self.state.velocity, self.state.force, self.inverse_mass, 0.0, self.sums)
        colour, shared = self.colour, self.shared
        step_numbers.take_stock(ordered_sum(self.comm, self.sums), self.drive.driven, colour.axis, colour.mass, colour.charge, colour.counts,
                                colour.group, self.group_mass, shared.kinetic, shared.stream, shared.numbers)
        if not np.all(np.isfinite(shared.kinetic)):
            self.report_not_finite(self.step)

    def report_not_finite(self, step):
        """Collective. Raises PhysicsError, naming `step` and the ids."""
        n, state = self.state.n_owned, self.state
        bad = ~np.isfinite(state.velocity[:n]).all(axis=1) | ~np.isfinite(state.force[:n]).all(axis=1)
        ids = np.concatenate(self.comm.allgather(state.id[:n][bad]))
        named = f" (particles {name_ids(ids)})" if len(ids) else ""             # none where only their sum is too large a number
        raise PhysicsError(f"step {step}: velocities or forces are not finite{named}; take a smaller timestep, or look at the structure with "
                           "`hpcnemd check`")

    # ---- lists and forces -------------------------------------------------------------------------------------------
    def settle_cuts(self):
        """Collective. First lists; then cuts that share the work out fairly, and the lists for them."""
        self.rebuild()
        if self.balance is None or self.balance.kind == "none" or self.comm.size == 1:
            return
        for _ in range(ROUNDS):
            if not self.balance.adjust(self.domain, self.forces.pair, self.state):
                return
            self.forces.place()
            self.rebuild()

    def move_cuts(self, fractions):
        """Collective. The cuts of a checkpoint, before its rows are taken up."""
        if not all(np.array_equal(new, old) for new, old in zip(fractions, self.domain.fractions)):
            self.domain.move(fractions)
            self.forces.place()

    def rebuild(self):
        """Collective. Particles go to their owners, ghosts and lists are made anew; now and then the cuts between the ranks move before."""
        if self.balance is not None and self.balance.due(self.domain, self.rebuilds) and self.balance.adjust(self.domain, self.forces.pair, self.state, self.rebuilds):
            self.forces.place()
        migrate(self.domain, self.state, self.step)
        halo(self.domain, self.state, placed=True)
        self.forces.rebuild(self.state)
        n = self.state.n_owned
        self.listed = self.reference = self.state.position[:n].copy()
        self.room = self.forces.skin
        self.arranged += 1
        self.built_lengths, self.stretch = self.state.box.lengths, np.ones(3)
        self.spent = None
        self.rebuilds += 1
        self.rebuilt_at = self.step

    def restore_lists(self, reference, lengths):
        """Collective. The lists that belong to `reference` positions (n_owned, 3) of the rows as they stand, in the box as it is, then the present
        positions and the box `lengths` (3,) that they belong to."""
        n = self.state.n_owned
        present = self.state.position[:n].copy()
        self.state.position[:n] = reference
        halo(self.domain, self.state)
        self.forces.rebuild(self.state)
        self.listed = self.reference = reference.copy()
        self.room = self.forces.skin
        self.arranged += 1
        self.built_lengths, self.stretch = self.state.box.lengths, np.ones(3)
        self.state.position[:n] = present
        self.take_box(lengths)
        refresh(self.domain, self.state)

    # ---- the box ----------------------------------------------------------------------------------------------------
    def take_box(self, lengths):
        """The box and all that depends on it, but no particle: for positions that belong to `lengths` (3,) angstrom; a tilted cell keeps its skew."""
        if np.array_equal(lengths, self.state.box.lengths):
            return
        self.arranged += 1
        self.state.box = self.state.box.with_lengths(lengths)
        self.domain.rescale(self.state.box)
        self.forces.rescale(self.state.box)
        self.stretch = self.state.box.lengths / self.built_lengths

    def rescale(self, lengths):
        """Collective. Strain the cell to `lengths` (3,) angstrom with all that is in it; velocities stay. Ghosts and forces are those of before."""
        self.state.position[:self.state.n_owned] *= np.asarray(lengths) / self.state.box.lengths
        self.take_box(lengths)
        self.forces.keep_accuracy()

    def renew(self, moved):
        """Collective. Whether the lists may stay although particles have moved, by the root of `moved` from `reference`: no pair that they miss is near. Motion is counted anew then. Once
        for each list: soon after, too many particles have gone far."""
        room = RENEWED * self.forces.skin
        if self.room <= room or self.domain.expected[0] < FEW or not hasattr(self.forces, "pair") or not (self.stretch == 1.0).all():
            return False                # pair lists must be all that has to be safe, in the box for which they were made
        pair = self.forces.pair
        if not lists_hold(self.domain, self.state, self.listed, pair.cutoff + room, pair.list_radius, moved):
            return False
        self.reference, self.room = self.state.position[:self.state.n_owned].copy(), room
        return True

    def worked(self):
        """Nanoseconds of a clock that stands still while messages of steps are waited for."""
        return time.perf_counter_ns() - int(self._waited[0])

    @property
    def safe_skin(self):
        """By how much (angstrom) two may come closer than they were at `reference`: pairs that a shrunken cell has brought within the cutoff must have been in the lists."""
        least = min(self.stretch.tolist())
        return self.room if least >= 1.0 else self.room - (1.0 - least) * self.domain.halo_width

    def evaluate(self, observe, unsettled=None):
        """Collective. Forces of the present positions; with `observe` also potential energy and virial of all ranks; `unsettled` as forces.Forces has it."""
        spent, self.spent = self.spent, None
        try:
            start = self.worked()
            result = self.forces.compute(self.state, observe, unsettled, spent)
            if self.balance is not None and not observe:
                self.balance.note(self.worked() - start, 1)
        except PhysicsError as problem:
            raise PhysicsError(f"after step {self.step}: {problem}") from None
        if observe:
            self.shared.potential, self.shared.virial = result.potential, result.virial
            self.shared.mesh_force = result.mesh_force

    # ---- readings ---------------------------------------------------------------------------------------------------
    @property
    def kinetic(self):
        """Total kinetic energy, eV, the streaming part included."""
        mass = self.colour.counts * self.colour.mass
        return float(self.shared.kinetic.sum() + 0.5 * np.sum(mass * self.shared.stream**2))

    @property
    def temperature(self):
        """Peculiar temperature, K."""
        return float(2 * self.shared.kinetic.sum() / (BOLTZMANN * self.degrees.sum()))

    def temperature_species(self):
        """(s,) peculiar temperature of each species, K (nan where it has no particles)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.colour.counts > 0, 2 * self.shared.kinetic / (BOLTZMANN * self.degrees), np.nan)

    @property
    def energy(self):
        return self.kinetic + self.shared.potential
