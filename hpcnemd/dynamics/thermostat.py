"""Thermostats as half steps on peculiar velocities. Each gives the factor by which the peculiar velocities of its species are scaled;
the heat that leaves is the kinetic energy change, exactly.

Nose-Hoover chains: Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635 (1992), with the reversible splitting of Martyna, Tuckerman, Tobias,
Klein, Mol. Phys. 87, 1117 (1996). Gaussian isokinetic: the constraint of Evans and Morriss, kept by projection."""
import math

import numpy as np

from ..core.errors import InputError
from ..core.units import BOLTZMANN

KINDS = ("nose_hoover", "gaussian", "langevin", "none")
CHAIN = 3           # links at equilibrium


class NoThermostat:
    """The numbers that `kernels.step_numbers` wants: `code`, `numbers` (degrees of freedom, kT, target kinetic energy), chain `velocity` and `mass`."""
    kind, code = "none", 0

    def __init__(self):
        self.numbers, self.velocity, self.mass = np.zeros(3), np.zeros(0), np.zeros(0)

    def variables(self):
        """What a restart needs, (k,) float64."""
        return self.velocity.copy()

    def restore(self, variables):
        """Take up the variables of another thermostat of this kind; links that one of them lacks start at rest."""
        kept = min(len(variables), len(self.velocity))
        self.velocity[:kept] = variables[:kept]


class GaussianIsokinetic(NoThermostat):
    kind, code = "gaussian", 1

    def __init__(self, temperature, degrees):
        super().__init__()
        self.numbers[:] = degrees, BOLTZMANN * temperature, 0.5 * degrees * BOLTZMANN * temperature


class NoseHooverChain(NoThermostat):
    """`time` fs sets the masses Q_1 = g kT time^2, Q_k = kT time^2; `chain` links.

    In a steady state <2K> = g kT + Q_1 <v_1 v_2>: exact with one link, but with more of them too hot where work flows through (v_1 > 0), by 0.35 % in
    molten NaCl at 0.05 V/angstrom. Hence the defaults of `make_thermostat`."""
    kind, code = "nose_hoover", 2

    def __init__(self, temperature, degrees, time=100.0, chain=3):
        kt = BOLTZMANN * temperature
        self.numbers = np.array([degrees, kt, 0.5 * degrees * kt])
        self.mass = np.full(chain, kt * time**2)
        self.mass[0] *= degrees
        self.velocity = np.zeros(chain)


class Langevin(NoThermostat):
    """Ornstein-Uhlenbeck half steps with friction 1/`time` (fs) on absolute velocities; the loop draws its numbers by particle id and step."""
    kind = "langevin"

    def __init__(self, temperature, time, half_step, mass, on):
        super().__init__()
        keep = math.exp(-half_step / time)
        self.keep = np.where(on, keep, 1.0)
        self.spread = np.where(on, np.sqrt((1 - keep * keep) * BOLTZMANN * temperature / mass), 0.0)


def make_thermostat(kind, temperature, colour, driven, timestep, time=100.0, chain=None, group="all"):
    """(thermostat, on): `on` (s,) says which species it acts on. `group`: "all", "framework" or "mobile". `chain` None: one link where a drive works
    on the system, else CHAIN links. Raises InputError."""
    choices = {"all": np.ones_like(colour.mobile), "framework": ~colour.mobile, "mobile": colour.mobile}
    if kind not in KINDS:
        raise InputError(f"run.thermostat.kind = {kind!r}: one of {', '.join(KINDS)}")
    if group not in choices:
        raise InputError(f"run.thermostat.group = {group!r}: one of {', '.join(choices)}")
    on = choices[group] & (colour.counts > 0)
    if not on.any() and kind != "none":
        raise InputError(f"run.thermostat.group = {group!r}: no particle belongs to it; write group = \"all\"")
    if kind == "none":
        return NoThermostat(), np.zeros_like(on)
    degrees = float(np.sum(colour.degrees_of_freedom(driven)[on]))
    if degrees <= 0:
        raise InputError("run.thermostat: too few particles for a temperature; write run.thermostat.kind = \"none\"")
    if kind == "gaussian":
        return GaussianIsokinetic(temperature, degrees), on
    if kind == "nose_hoover":
        return NoseHooverChain(temperature, degrees, time, chain or (1 if driven else CHAIN)), on
    if driven and np.any(colour.charge[on] != 0):
        raise InputError("run.thermostat.kind = \"langevin\": its friction acts on absolute velocities and would brake the driven current "
                         "itself; write kind = \"nose_hoover\" (or set group to species that carry no colour charge)")
    return Langevin(temperature, time, 0.5 * timestep, colour.mass, on), on
