"""Constant pressure by stochastic cell rescaling: isotropic Bernetti and Bussi, J. Chem. Phys. 153, 114107 (2020); by axes Del Tatto, Raiteri, Bernetti,
Bussi, Appl. Sci. 12, 1139 (2022); here for strains along x, y and z. A tilted cell is strained with all that is in it: xy / lx, xz / lx and yz / ly stay, and
its angles where all three strains are one; shear strains of its own it has none.

The logarithms e of the edges that may change (all three as one; two as one and the third; each) follow d e = -b (P0 - P) dt + sqrt(2 kT b / (m V)) dW with
b = compressibility / (3 time), P the mean of the pressure along the m edges of e, momenta taken along inversely. Every move of a few time steps is a proposal
that is accepted by the test of Metropolis and Hastings, as in Rossky, Doll, Friedman, J. Chem. Phys. 69, 4628 (1978): the cell then samples
exp(-(H + P0 V)/kT) dLx dLy dLz (dV where the shape is fixed) without any error of its own time step. The total momentum is constant, so that an ideal
gas of N particles has the volumes of V^(N-1) exp(-P0 V/kT)."""
import math

import numpy as np

from ..core.errors import InputError, PhysicsError
from ..core.random import stream_key
from ..core.units import BOLTZMANN, PRESSURE_GPA
from ..kernels.philox import normals
from .loop import settle_lists
from .observers import pressure_tensor

COUPLINGS = {"isotropic": ((0, 1, 2),), "semi_isotropic": ((0, 1), (2,)), "anisotropic": ((0,), (1,), (2,))}
MOVES = np.array([0, 1])            # counters of the normal numbers of a move
REFUSED = 100                       # moves in a row
LONGEST = 0.1                       # change of the logarithm of an edge in one move
THINNEST, SMALLEST, LARGEST = 0.5, 1 / 3, 3.0       # of an edge, and of the volume, over the first


class Barostat:
    """`pressure` eV/angstrom^3, `temperature` K, `time` fs and `compressibility` angstrom^3/eV (they set the pace, not the ensemble), `coupling` one of
    COUPLINGS, `every`: time steps from one move to the next, `timestep` fs, `lengths` (3,) angstrom of the cell in which the run began.

    Since the phase began: `tried`, `accepted` moves; `energy` eV that they brought into the system; `drift` eV, the sum over accepted moves of the change of
    the effective energy of Bernetti and Bussi, which would not change if the moves were infinitely short."""

    def __init__(self, pressure, temperature, time, compressibility, coupling, every, timestep, lengths):
        if coupling not in COUPLINGS:
            raise InputError(f"run.barostat.coupling = {coupling!r}: one of {', '.join(COUPLINGS)}")
        self.pressure, self.kt, self.groups, self.every = float(pressure), BOLTZMANN * temperature, COUPLINGS[coupling], int(every)
        self.pace = compressibility / (3.0 * time) * every * timestep           # b times the time of a move
        self.first = np.array(lengths)
        self.tried = self.accepted = self.refused = 0
        self.energy = self.drift = 0.0

    def due(self, step):
        return step % self.every == 0

    def variables(self):
        """What a restart needs, (5,) float64."""
        return np.array([self.tried, self.accepted, self.refused, self.energy, self.drift])

    def restore(self, variables):
        if len(variables):
            self.tried, self.accepted, self.refused = (int(n) for n in variables[:3])
            self.energy, self.drift = float(variables[3]), float(variables[4])

    def move(self, sim):
        """Collective. Proposes a strain of the cell of a Simulation whose potential and virial are those of its positions; afterwards lists, forces,
        energies and shared numbers are those of the cell as it is then. Raises PhysicsError where the cell collapses, grows thin or bursts."""
        if sim.thermostat.kind == "langevin":
            sim.take_stock()            # its last half step came after the reduction
        lengths, energy = sim.state.box.lengths, sim.energy
        noise = np.empty((2, 3))
        normals(*stream_key(sim.seed, "barostat", sim.replica), MOVES, sim.step, 0, noise)
        step = noise[0, :len(self.groups)]
        mean, width = self._proposal(sim)
        change = mean + width * step
        self.tried += 1
        if np.abs(change).max() > LONGEST:                      # its way back would be as long: never taken either
            self._refuse(sim)
            return
        self._strain(sim, lengths * np.exp(self._by_axis(change)))
        back, width_back = self._proposal(sim)
        forward = -0.5 * np.sum(step**2) - np.sum(np.log(width))
        backward = -0.5 * np.sum(((-change - back) / width_back)**2) - np.sum(np.log(width_back))
        gained, grown = sim.energy - energy, math.log(sim.state.box.volume / np.prod(lengths))
        cost = gained + self.pressure * (sim.state.box.volume - np.prod(lengths)) - self.kt * (grown + backward - forward)
        if 0.5 * math.erfc(noise[1, 0] / math.sqrt(2.0)) < math.exp(min(0.0, -cost / self.kt)):
            self.accepted, self.refused, self.energy, self.drift = self.accepted + 1, 0, self.energy + gained, self.drift + cost
            self._check(sim)
            return
        self._strain(sim, lengths)
        self._refuse(sim)

    def _refuse(self, sim):
        self.refused += 1
        if self.refused >= REFUSED:
            raise PhysicsError(f"step {sim.step}: {REFUSED} changes of the cell in a row were refused: the moves are too long for this material; write a longer "
                               "run.barostat.time, a smaller run.barostat.compressibility, or let the ions relax first at constant volume")

    def _by_axis(self, change):
        axes = np.empty(3)
        for group, value in zip(self.groups, change):
            axes[list(group)] = value
        return axes

    def _proposal(self, sim):
        """Collective. Mean and standard deviation of the change of each group's logarithm."""
        pressure = np.diag(pressure_tensor(sim))
        if np.isnan(pressure).any():
            raise PhysicsError(f"step {sim.step}: the forces tell no pressure (a calculator without stress), which run.npt needs; write npt = 0")
        mean = [-self.pace * (self.pressure - pressure[list(group)].mean()) for group in self.groups]
        return np.array(mean), np.sqrt([2.0 * self.kt * self.pace / (len(group) * sim.state.box.volume) for group in self.groups])

    def _strain(self, sim, lengths):
        """Collective. Cell, positions and, inversely, velocities; then everything that follows from them."""
        state = sim.state
        state.velocity[:state.n_owned] *= state.box.lengths / lengths
        sim.rescale(lengths)
        settle_lists(sim, False)
        sim.evaluate(observe=True)
        sim.take_stock()

    def _check(self, sim):
        lengths = sim.state.box.lengths
        edges, volume = lengths / self.first, float(np.prod(lengths / self.first))
        told = f"{lengths[0]:.4g} x {lengths[1]:.4g} x {lengths[2]:.4g} angstrom at {self.pressure * PRESSURE_GPA:g} GPa, {volume:.3g} of its first volume"
        if not SMALLEST < volume < LARGEST:
            word, why = ("collapses", "the structure or the force field holds no crystal or melt at this pressure") if volume < 1 else (
                "bursts", "at this temperature and pressure nothing holds it together")
            raise PhysicsError(f"step {sim.step}: the cell {word} ({told}): {why}; look at the structure with `hpcnemd check`, or start nearer to the right density")
        if edges.min() < THINNEST:
            raise PhysicsError(f"step {sim.step}: the cell has become too thin ({told}): a liquid resists no change of shape; write "
                               "run.barostat.coupling = \"isotropic\", or a larger supercell")
