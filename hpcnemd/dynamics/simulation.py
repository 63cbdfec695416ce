"""One replica in motion: the particles, the forces, the drive and the thermostat of a phase, and the few numbers that all ranks share."""
from dataclasses import dataclass, field

import numpy as np

from ..core.errors import PhysicsError
from ..core.units import BOLTZMANN
from ..kernels.integrate import SUMS
from ..parallel.domain import halo, migrate, refresh
from ..parallel.reduce import ordered_sum
from .drive import Drive
from .thermostat import NoThermostat


@dataclass
class Shared:
    """What every rank knows after the reduction of a step; all of it is in the checkpoint. By species: `kinetic` (s,) peculiar kinetic energy eV,
    `stream` (s,) streaming velocity along the drive angstrom/fs. `current` J e angstrom/fs; `colour_force` sum c F/m e angstrom/fs^2."""
    kinetic: np.ndarray
    stream: np.ndarray
    current: float = 0.0
    colour_force: float = 0.0
    potential: float = np.nan
    work: float = 0.0
    heat: float = 0.0
    impulse: float = 0.0
    charge_moved: float = 0.0
    mesh_force: float = 0.0
    virial: np.ndarray = field(default_factory=lambda: np.full((3, 3), np.nan))


class Simulation:
    """Collective in its constructor and methods. `state` holds this rank's particles; `forces` offers rebuild(state) and compute(state, observe);
    `colour` says who carries the current. Times in fs."""

    def __init__(self, state, domain, forces, colour, timestep, seed=0, replica=0):
        self.state, self.domain, self.forces, self.colour = state, domain, forces, colour
        self.comm, self.timestep, self.seed, self.replica = domain.comm, float(timestep), seed, replica
        self.inverse_mass = 1.0 / colour.mass
        self.step, self.rebuilds, self.rebuilt_at = 0, 0, 0
        n_species = len(colour.mass)
        self.sums = np.zeros((n_species, SUMS))
        self.heat_here = np.zeros(1)
        self.noise = np.zeros((0, 3))
        self.ones = np.ones(n_species)
        self.shared = Shared(np.zeros(n_species), np.zeros(n_species))
        self.reference = np.zeros((0, 3))
        self.enter_phase(Drive(), NoThermostat(), np.zeros(n_species, bool))

    # ---- phases -----------------------------------------------------------------------------------------------------
    def enter_phase(self, drive, thermostat, on):
        """Take another drive and thermostat from here on; the ledger starts again."""
        self.drive, self.thermostat, self.on = drive, thermostat, on
        self.degrees = self.colour.degrees_of_freedom(drive.driven)
        self.shared.work = self.shared.heat = self.shared.impulse = self.shared.charge_moved = 0.0
        self.heat_here[:] = 0.0

    def start(self):
        """Collective. Owners, ghosts, lists and forces of the positions as they are; then the shared numbers."""
        self.rebuild()
        self.evaluate(observe=True)
        self.take_stock()

    def take_stock(self):
        """Collective. Shared numbers of the velocities and forces as they are (no kick)."""
        from ..kernels.integrate import half_kick
        half_kick(self.state.n_owned, self.state.species, self.state.velocity, self.state.force, self.inverse_mass, 0.0, self.sums)
        self.share(ordered_sum(self.comm, self.sums))

    def share(self, sums):
        """Peculiar kinetic energies, streaming velocities and the current from the (s, 7) sums over all ranks. Returns J."""
        colour, shared = self.colour, self.shared
        momentum = sums[:, 1:4]
        along = momentum @ colour.axis
        mass = colour.counts * colour.mass
        if self.drive.driven:
            shared.stream = colour.by_group(along) / np.where(mass > 0, colour.by_group(mass), 1.0)
        else:
            shared.stream = np.zeros(len(mass))
        shared.kinetic = sums[:, 0] - shared.stream * along + 0.5 * mass * shared.stream**2
        shared.current = colour.current(momentum)
        shared.colour_force = float(np.sum(colour.charge / colour.mass * (sums[:, 4:7] @ colour.axis)))
        if not np.all(np.isfinite(sums)):
            raise PhysicsError(f"step {self.step}: velocities or forces are not finite; take a smaller timestep, or look at the structure with `hpcnemd check`")
        return shared.current

    # ---- lists and forces -------------------------------------------------------------------------------------------
    def rebuild(self):
        """Collective. Particles go to their owners, ghosts and lists are made anew."""
        migrate(self.domain, self.state, self.step)
        halo(self.domain, self.state)
        self.forces.rebuild(self.state)
        n = self.state.n_owned
        self.reference = self.state.position[:n].copy()
        self.rebuilds += 1
        self.rebuilt_at = self.step

    def restore_lists(self, reference):
        """Collective. The lists that belong to `reference` positions (n_owned, 3) of the rows as they stand, then the present positions."""
        n = self.state.n_owned
        present = self.state.position[:n].copy()
        self.state.position[:n] = reference
        halo(self.domain, self.state)
        self.forces.rebuild(self.state)
        self.reference = reference.copy()
        self.state.position[:n] = present
        refresh(self.domain, self.state)

    def evaluate(self, observe):
        """Collective. Forces of the present positions; with `observe` also potential energy and virial of all ranks."""
        result = self.forces.compute(self.state, observe)
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
