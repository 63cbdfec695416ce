"""The pulled chain: from the deck's table to kernels, and its free energy by quadrature. k_B = 1."""
import math

import numpy as np

from ...ensembles.campaign import padded
from ...ensembles.protocol import protocol
from ...kernels import chain_pulled as kernel
from ...kernels.lane_normals import LANES
from .traps import Lanes, columns, key_of

UNIT = 2.0**-40             # of positions, displacements and energies in whole numbers
REST_DRAWS = 1 << 19        # random numbers of the stage with a bath


def free_energy(table, centre, points=1 << 14):
    """-T ln of the configuration integral over all beads with the trap at `centre`: the distribution of the chain's length is the convolution of those of
    its links; by fast Fourier transform on a grid, where the smooth integrands make the error smaller than rounding. Up to a constant in `centre`."""
    reach = abs(centre) / table.beads + 12 * math.sqrt(table.temperature / table.link_stiffness)
    edge = table.beads * reach + 12 * math.sqrt(table.temperature / table.trap_stiffness)
    r = (np.arange(points) - points // 2) * (2 * edge / points)
    link = np.exp(-(0.5 * table.link_stiffness * r**2 + 0.25 * table.anharmonicity * r**4) / table.temperature)
    norm = link.sum()
    length = np.fft.fftshift(np.fft.ifft(np.fft.fft(np.fft.ifftshift(link / norm))**table.beads).real)
    z = float((length * np.exp(-0.5 * table.trap_stiffness * (r - centre)**2 / table.temperature)).sum())
    return -table.temperature * (math.log(z) + table.beads * math.log(norm * 2 * edge / points))


class Chain(Lanes):
    """Langevin dynamics, forward and reversed."""
    branch_names = ("forward", "reverse")

    def __init__(self, table, run):
        self.table, self.run = table, run
        self.plan = protocol(lambda t: table.start + (table.end - table.start) * t / table.duration, table.duration, table.steps)
        self.plan.values[-1, 0] = table.end
        self.every = table.steps // run.samples
        self.times = (np.arange(run.samples) + 1) * self.every * self.plan.step
        self.keys = key_of(run.seed), key_of(run.seed, "structure"), key_of(run.seed, "velocities")
        self.attributes = {"temperature": table.temperature, "times": np.asarray(self.times)}
        shape, energy = (run.samples,), "k_B T units"
        self.schema = {"work": (shape, "<f8", energy, "work of the trap up to each sample"), "heat": (shape, "<f8", energy, "heat that the bath received up to each sample"),
                       "position": (shape, "<f8", "reduced", "position of the last bead at each sample"),
                       "position_start": ((), "<f8", "reduced", "position of the last bead at the start"),
                       "energy_change": ((), "<f8", energy, "energy at the end minus energy at the start"),
                       "shadow_work": ((), "<f8", energy, "energy change - work + heat: the integrator's error")}

    def link_mean(self, centre):
        """Link length at the minimum of the energy: kappa r + beta r^3 = trap (centre - beads r), by Newton's method."""
        t, r = self.table, 0.0
        for _ in range(200):
            r -= ((t.link_stiffness * r + t.anharmonicity * r**3 - t.trap_stiffness * (centre - t.beads * r))
                  / (t.link_stiffness + 3 * t.anharmonicity * r**2 + t.trap_stiffness * t.beads))
        return r

    def begin(self, branch, ids, centre):
        """Positions and velocities (beads * n,) in equilibrium with the trap at `centre`."""
        t = self.table
        x, v = np.empty(t.beads * len(ids)), np.empty(t.beads * len(ids))
        kernel.draw_start(self.keys[1], ids, branch.number, t.beads, t.link_stiffness, t.anharmonicity, t.trap_stiffness, self.link_mean(centre), t.temperature, x)
        kernel.draw_velocities(self.keys[2], ids, branch.number, t.beads, math.sqrt(t.temperature / t.mass), v)
        return x, v

    def pull(self, branch, ids, plan, x, v, first_draw, samples, every):
        """Moves x and v on by Langevin dynamics; (end positions, work, heat), each (samples * n,)."""
        t, n = self.table, len(ids)
        out = [np.empty(samples * n) for _ in range(3)]
        rate = t.friction / t.mass * plan.step
        kernel.pull(self.keys[0], ids, branch.number, first_draw, every, np.ascontiguousarray(plan.values[:, 0]), t.trap_stiffness, t.beads, t.link_stiffness,
                    t.anharmonicity, t.mass, plan.step, math.exp(-rate), math.sqrt(-math.expm1(-2 * rate) * t.temperature / t.mass), x, v, *out)
        return out

    def energy(self, x, v, centre, n):
        t, e = self.table, np.empty(n)
        kernel.chain_energy(n, t.beads, t.link_stiffness, t.anharmonicity, t.trap_stiffness, centre, t.mass, x, v, e)
        return e

    def rows(self, comm, branch, ids):
        """Rows of the replicas `ids` of a branch; not collective: one rank runs it."""
        plan, s, count = self.plan if branch.name == "forward" else self.plan.reversed(), self.run.samples, len(ids)
        ids = padded(ids, LANES)
        n = len(ids)
        x, v = self.begin(branch, ids, plan.start[0])
        first, before = x.reshape(-1, n)[-1, :count].copy(), self.energy(x, v, plan.start[0], n)
        end, work, heat = (columns(one, s, count) for one in self.pull(branch, ids, plan, x, v, 0, s, self.every))
        change = (self.energy(x, v, plan.end[0], n) - before)[:count]
        return {"work": work, "heat": heat, "position": end, "position_start": first, "energy_change": change,
                "shadow_work": change - work[:, -1] + heat[:, -1]}

    def exact(self):
        """{name: value}."""
        return {"free_energy": free_energy(self.table, self.table.end) - free_energy(self.table, self.table.start)}


class ReversibleChain(Chain):
    """Pulled without bath in whole numbers, then brought back twice: from the very end state with its velocities reversed, and from where a bath has
    taken it meanwhile."""
    branch_names = ("forward",)

    def __init__(self, table, run):
        super().__init__(table, run)
        whole = {"work_units": "work on the way there", "undone_units": "work on the way back after the velocities were reversed",
                 "rested_units": "work on the way back after a rest in contact with the bath"}
        self.schema = {name: ((), "<i8", "2^-40 k_B T units", text) for name, text in whole.items()}
        self.schema["mismatches"] = ((), "<i8", "", "coordinates and velocities that differ from the start after the velocity reversal")
        self.schema["energy_change"] = ((), "<f8", "k_B T units", "energy at the end minus energy at the start, on the way there")
        self.schema["rested_energy_change"] = ((), "<f8", "k_B T units", "the same on the way back after the rest")
        self.attributes = self.attributes | {"energy_unit": UNIT}

    def half_impulse(self, whole, centre):
        """Half a step's change of displacement (beads, n) in whole units' floats, from positions (beads, n) int64."""
        t = self.table
        x = whole * UNIT
        d = np.diff(x, axis=0, prepend=0.0)
        tension = np.concatenate([d * (t.link_stiffness + t.anharmonicity * d**2), t.trap_stiffness * (centre - x[-1:])])
        return 0.5 * np.diff(tension, axis=0) * self.plan.step**2 / t.mass / UNIT

    def march(self, plan, backward, whole, moves):
        """Moves whole numbers (beads * n,) through a protocol; work (n,) int64."""
        t, n = self.table, len(whole) // self.table.beads
        work = np.empty(n, np.int64)
        centre = np.rint(plan.values[:, 0] / UNIT).astype(np.int64)
        kernel.pull_exactly(n, t.beads, centre, t.trap_stiffness, t.link_stiffness, t.anharmonicity, t.mass, plan.step, UNIT, UNIT, backward, whole, moves, work)
        return work

    def rows(self, comm, branch, ids):
        """Rows of the replicas `ids`; not collective: one rank runs it."""
        t, plan, back, count = self.table, self.plan, self.plan.reversed(), len(ids)
        ids = padded(ids, LANES)
        n, h = len(ids), plan.step
        shape = (t.beads, n)
        x, v = self.begin(branch, ids, t.start)
        before = self.energy(x, v, t.start, n)
        whole = np.rint(x / UNIT).astype(np.int64)
        moves = np.rint(v * h / UNIT + self.half_impulse(whole.reshape(shape), plan.values[1, 0]).ravel()).astype(np.int64)
        whole0, moves0 = whole.copy(), moves.copy()
        work = self.march(plan, False, whole, moves)
        # velocities at the time of the last positions, for the bath and the energy
        x_end = whole * UNIT
        v_end = (moves - self.half_impulse(whole.reshape(shape), plan.values[-2, 0]).ravel()) * UNIT / h
        change = self.energy(x_end, v_end, t.end, n) - before
        moves = -moves
        undone = self.march(back, True, whole, moves)
        wrong = ((whole != whole0).reshape(shape) | (moves != -moves0).reshape(shape)).sum(axis=0)
        rest = protocol(lambda time: t.end, t.rest, int(round(t.rest / h))) if t.rest >= h else None
        if rest is not None:
            self.pull(branch, ids, rest, x_end, v_end, REST_DRAWS, 1, rest.steps)
        before = self.energy(x_end, v_end, t.end, n)
        whole = np.rint(x_end / UNIT).astype(np.int64)
        moves = np.rint(v_end * h / UNIT - self.half_impulse(whole.reshape(shape), back.values[1, 0]).ravel()).astype(np.int64)
        rested = self.march(back, True, whole, moves)
        v_end = (moves + self.half_impulse(whole.reshape(shape), back.values[-2, 0]).ravel()) * UNIT / h
        again = self.energy(whole * UNIT, v_end, t.start, n) - before
        return {"work_units": work[:count], "undone_units": undone[:count], "rested_units": rested[:count], "mismatches": wrong[:count].astype(np.int64),
                "energy_change": change[:count], "rested_energy_change": again[:count]}
