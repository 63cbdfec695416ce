"""What a step does with every particle besides forces, shared out among the threads of a rank."""
import contextlib

import numpy as np

from ..kernels.integrate import SUMS, half_kick
from ..kernels.team_step import DOING, close_rows, close_team, kick_team, open_rows, open_team
from ..kernels.waiting import LINE
from ..parallel.threads import Table

LEAST = 2000            # particles of each thread of all ranks: to wake the threads three times takes as long as a sweep over some thousand


class Sweeps:
    """Of the phase in which `sim` is, by the threads of `team`. `opening`, `kicking` and `closing` are (kernel, arguments), to be called while they are `awake`."""

    def __init__(self, sim, team):
        self._sim, self._team = sim, team
        self._open, self._kick, self._close = (Table(team) for _ in range(3))
        self._largest, self._doing = np.zeros((team.size, LINE)), np.zeros(DOING)
        self._parts = np.zeros((team.size, len(sim.sums) + 3, SUMS))       # three rows apart: threads must not write to one line of memory
        self._arranged = self._reference = self._places = None

    @staticmethod
    def wanted(sim):
        """Whether the sweeps of `sim` are worth sharing out: the same on all ranks and in the whole run, since sums depend on it."""
        team, expected = getattr(sim.forces, "team", None), sim.domain.expected
        return team is not None and expected is not None and expected[0] >= LEAST * team.size * sim.comm.size

    def awake(self):
        return self._team.awake()

    def _arrange(self):
        """Tables for the rows as they are."""
        sim, state = self._sim, self._sim.state
        if self._arranged == sim.arranged and self._reference is sim.reference:
            return
        self._arranged, self._reference = sim.arranged, sim.reference
        edges, half, shared, axis = self._team.edges(state.n_owned).tolist(), 0.5 * sim.timestep, sim.shared, sim.colour.axis
        opened, kicked, closed = [], [], []
        for k, (a, b) in enumerate(zip(edges[:-1], edges[1:])):
            species, position, velocity, force = (rows[a:b] for rows in (state.species, state.position, state.velocity, state.force))
            opened.append([(open_rows, (self._largest[k, :1], b - a, species, position, velocity, force, sim.inverse_mass, sim.scale, shared.stream, sim.kick, axis, half, sim.timestep,
                                        sim.reference[a:b], sim.stretch))])
            kicked.append([(half_kick, (b - a, species, velocity, force, sim.inverse_mass, half, self._parts[k, :len(sim.sums)]))])
            closed.append([(close_rows, (self._doing, b - a, species, velocity, force, sim.colour.mass, half, sim.scale, shared.stream, sim.kick, axis))])
        self._places = [table.calls(lists)[0][1][:3] for table, lists in ((self._open, opened), (self._kick, kicked), (self._close, closed))]

    def opening(self):
        """Of kernels.team_step.open_team."""
        self._arrange()
        sim, bath, drive, colour, shared = self._sim, self._sim.thermostat, self._sim.drive, self._sim.colour, self._sim.shared
        return open_team, (*self._places[0], self._largest, sim.scale, sim.kick, sim.timestep, drive.code, drive.value, sim.norm, bath.code, bath.numbers, bath.velocity, bath.mass, sim.on,
                           colour.mass, colour.charge, shared.kinetic, shared.numbers)

    def kicking(self):
        """Of kernels.team_step.kick_team."""
        self._arrange()
        return kick_team, (*self._places[1], self._parts, self._sim.sums)

    def closing(self, others):
        """Of kernels.team_step.close_team; `others`: arguments of close_shared from `settle` on."""
        self._arrange()
        sim = self._sim
        return close_team, (*self._places[2], self._doing, sim.state.species, sim.state.velocity, sim.state.force, sim.reduced if sim.comm.size == 1 else sim.total, *others)


def awake(sim):
    """For calls of kernels of a step, one by one."""
    return contextlib.nullcontext() if sim.sweeps is None else sim.sweeps.awake()
