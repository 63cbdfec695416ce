"""Harmonic traps: from the deck's table to kernels, with everything about them that is known exactly. k_B = 1.

Exact results: Mazonka and Jarzynski (cond-mat/9912121), van Zon and Cohen (2003) for the dragged trap; the rest from the moments of Gaussian processes."""
import math

import numpy as np

from ...core.random import stream_key
from ...ensembles.campaign import Branch, padded
from ...ensembles.protocol import cycle, protocol
from ...kernels import traps
from ...kernels.lane_normals import LANES


def key_of(seed, purpose="langevin"):
    """int64 (2,) for the kernels' random numbers."""
    return np.array(stream_key(seed, purpose), np.int64)


def columns(flat, samples, count):
    """(count, samples) from an array whose sample s of replica r is at s * n + r."""
    return np.ascontiguousarray(flat.reshape(samples, -1).T[:count])


def path_rows(samples):
    """Schema of what every driven particle leaves."""
    return {"work": ((samples,), "<f8", "k_B T units", "work of the protocol up to each sample"),
            "heat": ((samples,), "<f8", "k_B T units", "heat that the bath received up to each sample"),
            "position": ((samples,), "<f8", "reduced", "position at each sample (dragged_trap, overdamped: relative to the trap)"),
            "position_start": ((), "<f8", "reduced", "position at the start"),
            "energy_change": ((), "<f8", "k_B T units", "energy at the end minus energy at the start"),
            "shadow_work": ((), "<f8", "k_B T units", "energy change - work + heat: the integrator's error")}


class Lanes:
    """A model whose kernels take replicas in full vectors: a few of each branch compile them all."""
    kernel_path = "lanes"

    def warm_up(self):
        """Compiles everything on this rank alone."""
        for number, name in enumerate(self.branch_names):
            self.rows(None, Branch(name, number, 0, LANES), np.arange(LANES))


class DraggedOverdamped(Lanes):
    """The trap moves at constant speed; exact steps in its own frame."""
    branch_names = ("forward", "reverse")

    def __init__(self, table, run):
        self.table, self.run, self.key = table, run, key_of(run.seed)
        if table.start == "steady_state":
            self.branch_names = ("forward",)
        self.every = table.steps // run.samples
        self.times = (np.arange(run.samples) + 1) * self.every * table.duration / table.steps
        self.schema = path_rows(run.samples)
        self.attributes = {"temperature": table.temperature, "times": np.asarray(self.times)}

    def coefficients(self, velocity):
        t = self.table
        a, h, d = t.stiffness / t.friction, t.duration / t.steps, t.temperature / t.friction
        decay, lag = math.exp(-a * h), velocity / a
        rest = -math.expm1(-a * h)
        spread = math.sqrt(t.temperature / t.stiffness * -math.expm1(-2 * a * h))
        cross = d / a**2 * rest**2 / spread
        integral = 2 * d / a**2 * (h - 2 * rest / a - math.expm1(-2 * a * h) / (2 * a))
        power = -t.stiffness * velocity
        return np.array([decay, -lag * rest, spread, power * rest / a, -power * lag * (h - rest / a), power * cross,
                         power * math.sqrt(max(0.0, integral - cross**2))])

    def rows(self, comm, branch, ids):
        """Rows of the replicas `ids` of a branch; not collective: one rank runs it."""
        t, s, count = self.table, self.run.samples, len(ids)
        ids = padded(ids, LANES)
        n = len(ids)
        velocity = t.velocity if branch.name == "forward" else -t.velocity
        start = np.array([0.0 if t.start == "equilibrium" else -t.friction * velocity / t.stiffness, math.sqrt(t.temperature / t.stiffness)])
        first, position, work = np.empty(n), np.empty(n * s), np.empty(n * s)
        traps.dragged_overdamped(self.key, ids, branch.number, t.steps, self.every, self.coefficients(velocity), start, first, position, work)
        first, position, work = first[:count], columns(position, s, count), columns(work, s, count)
        energy = 0.5 * t.stiffness * (position**2 - first[:, None]**2)
        return {"work": work, "heat": work - energy, "position": position, "position_start": first, "energy_change": energy[:, -1].copy(),
                "shadow_work": np.zeros(count)}

    def exact(self):
        """{name: value} at the end of a trajectory."""
        t = self.table
        tau, v2 = t.friction / t.stiffness, t.friction * t.velocity**2
        transient = v2 * (t.duration - tau * -math.expm1(-t.duration / tau))
        if t.start == "equilibrium":
            return {"free_energy": 0.0, "mean_work": transient, "work_variance": 2 * t.temperature * transient}
        return {"mean_work": v2 * t.duration, "work_variance": 2 * t.temperature * transient, "work_slope": v2 * t.duration / transient,
                "mean_entropy": v2 * t.duration / t.temperature, "entropy_variance": 2 * v2 * t.duration / t.temperature, "entropy_slope": 1.0}

    def entropy(self, rows):
        """Total entropy production (n, samples): heat/T + ln p(start)/p(end), with the steady state's distribution."""
        t = self.table
        lag = -t.friction * t.velocity / t.stiffness
        def surprise(y):
            return 0.5 * t.stiffness * (y - lag)**2 / t.temperature
        return rows["heat"] / t.temperature + surprise(rows["position"]) - surprise(rows["position_start"])[:, None]


class SteppedTrap(Lanes):
    """A trap with any stepwise protocol of centre and stiffness, over- or underdamped, forward and reversed."""
    branch_names = ("forward", "reverse")

    def __init__(self, run, plan, temperature, friction, mass=None):
        self.run, self.plan, self.temperature, self.friction, self.mass = run, plan, temperature, friction, mass
        self.key = key_of(run.seed)
        self.every = max(1, plan.steps // run.samples)
        self.times = (np.arange(run.samples) + 1) * self.every * plan.step
        self.schema = path_rows(run.samples)
        if mass is not None:
            self.schema |= {"velocity": ((run.samples,), "<f8", "reduced", "velocity at each sample"),
                            "velocity_start": ((), "<f8", "reduced", "velocity at the start")}
        self.attributes = {"temperature": temperature, "times": np.asarray(self.times)}

    def start_of(self, plan):
        """Mean and standard deviation of the position at the start: equilibrium in the trap as it is there."""
        return plan.start[0], math.sqrt(self.temperature / plan.start[1])

    def rows(self, comm, branch, ids):
        """Rows of the replicas `ids` of a branch; not collective: one rank runs it."""
        plan, s, count = self.plan if branch.name == "forward" else self.plan.reversed(), self.run.samples, len(ids)
        ids = padded(ids, LANES)
        n = len(ids)
        centre, stiffness = (np.ascontiguousarray(column) for column in plan.values.T)
        first, position, work, heat = np.empty(n), np.empty(n * s), np.empty(n * s), np.empty(n * s)
        extra, kinetic = {}, 0.0
        if self.mass is None:
            decay = np.exp(-stiffness / self.friction * plan.step)
            spread = np.sqrt(self.temperature / stiffness * -np.expm1(-2 * stiffness / self.friction * plan.step))
            traps.overdamped(self.key, ids, branch.number, self.every, centre, stiffness, decay, spread, np.array(self.start_of(plan)), first,
                             position, work, heat)
        else:
            velocity0, velocity = np.empty(n), np.empty(n * s)
            thermal = math.sqrt(self.temperature / self.mass)
            c1 = math.exp(-self.friction / self.mass * plan.step)
            traps.underdamped(self.key, ids, branch.number, self.every, centre, stiffness, self.mass, plan.step, c1,
                              thermal * math.sqrt(-math.expm1(-2 * self.friction / self.mass * plan.step)), np.array([*self.start_of(plan), thermal]), first,
                              velocity0, position, velocity, work, heat)
            extra = {"velocity": columns(velocity, s, count), "velocity_start": velocity0[:count]}
            kinetic = 0.5 * self.mass * (extra["velocity"][:, -1]**2 - extra["velocity_start"]**2)
        rows = {"work": columns(work, s, count), "heat": columns(heat, s, count), "position": columns(position, s, count), "position_start": first[:count]}
        rows["energy_change"] = (0.5 * stiffness[-1] * (rows["position"][:, -1] - centre[-1])**2
                                 - 0.5 * stiffness[0] * (rows["position_start"] - centre[0])**2 + kinetic)
        rows["shadow_work"] = rows["energy_change"] - rows["work"][:, -1] + rows["heat"][:, -1]
        return rows | extra

    def exact(self):
        """{name: value}: the free energy, and the mean work of a sudden jump."""
        (c0, k0), (c1, k1) = self.plan.start, self.plan.end
        known = {"free_energy": 0.5 * self.temperature * math.log(k1 / k0)}
        if self.plan.steps == 0:
            known["mean_work"] = 0.5 * k1 * (self.temperature / k0 + (c1 - c0)**2) - 0.5 * self.temperature
        return known


class DraggedUnderdamped(SteppedTrap):
    """The dragged trap with inertia."""

    def __init__(self, table, run):
        super().__init__(run, protocol(lambda t: (table.velocity * t, table.stiffness), table.duration, table.steps), table.temperature, table.friction, table.mass)
        self.table = table

    def exact(self):
        """Of the smooth protocol: m y'' + friction y' + k y = -friction v from y = 0, y' = -v; <W> = -k v int y, Var W = 2 T <W>."""
        from scipy.linalg import expm
        t = self.table
        flow = np.array([[0, 1, 0, 0], [-t.stiffness / t.mass, -t.friction / t.mass, 0, -t.friction * t.velocity / t.mass], [1, 0, 0, 0], [0, 0, 0, 0]], float)
        work = -t.stiffness * t.velocity * (expm(flow * t.duration) @ np.array([0.0, -t.velocity, 0.0, 1.0]))[2]
        return {"free_energy": 0.0, "mean_work": float(work), "work_variance": 2 * t.temperature * float(work)}


def stiffened(table, run):
    """SteppedTrap of a StiffenedTrap table: the stiffness rises linearly in time, or at once."""
    def parameters(time):
        share = time / table.duration if table.duration else 0.0
        return 0.0, table.initial_stiffness + share * (table.final_stiffness - table.initial_stiffness)
    plan = protocol(parameters, table.duration, table.steps)
    plan.values[-1, 1] = table.final_stiffness
    return SteppedTrap(run, plan, table.temperature, table.friction, table.mass if table.dynamics == "underdamped" else None)


class Breathing(SteppedTrap):
    """Cycles from periodic steady state to periodic steady state; the drive is its own reverse, so that there is one branch."""
    branch_names = ("forward",)

    def __init__(self, table, run):
        def parameters(time):
            swing = table.amplitude * math.cos(2 * math.pi * time / table.period)
            return (0.0, table.stiffness * (1 + swing)) if table.motion == "stiffness" else (swing, table.stiffness)
        self.one = cycle(parameters, table.period, table.steps)
        super().__init__(run, self.one.repeated(table.periods), table.temperature, table.friction)
        self.table = table

    def steady_state(self):
        """(means (steps + 1,), variances (steps + 1,)) of the position at the jumps of one period, in the periodic steady state: a Gaussian, whose moments
        follow x' = c + (x - c) decay + noise through the plateaus and come back."""
        centre, stiffness = self.one.values.T
        decay = np.exp(-stiffness / self.friction * self.one.step)
        m_a, m_b, s_b = 1.0, 0.0, 0.0
        for j in range(1, self.one.steps + 1):
            m_b = centre[j] + (m_b - centre[j]) * decay[j]
            s_b = s_b * decay[j]**2 + self.temperature / stiffness[j] * (1 - decay[j]**2)
            m_a *= decay[j]
        means, variances = [m_b / (1 - m_a)], [s_b / (1 - m_a**2)]
        for j in range(1, self.one.steps + 1):
            means.append(centre[j] + (means[-1] - centre[j]) * decay[j])
            variances.append(variances[-1] * decay[j]**2 + self.temperature / stiffness[j] * (1 - decay[j]**2))
        return np.array(means), np.array(variances)

    def start_of(self, plan):
        means, variances = self.steady_state()
        return means[0], math.sqrt(variances[0])

    def exact(self):
        """Mean work over all periods: each jump's mean energy change in the steady state's moments."""
        means, variances = self.steady_state()
        centre, stiffness = self.one.values.T
        before = 0.5 * stiffness[:-1] * (variances + (means - centre[:-1])**2)
        after = 0.5 * stiffness[1:] * (variances + (means - centre[1:])**2)
        work = self.table.periods * float((after - before).sum())
        return {"mean_work": work, "mean_entropy": work / self.temperature, "entropy_slope": 1.0}

    def entropy(self, rows):
        """Total entropy production (n, samples): heat/T + ln p(start)/p(end); exact where a sample ends a period."""
        means, variances = self.steady_state()
        m, s = means[0], variances[0]
        return (rows["heat"] / self.temperature + 0.5 * (rows["position"] - m)**2 / s - 0.5 * (rows["position_start"][:, None] - m)**2 / s)
