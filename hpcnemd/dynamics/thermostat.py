"""Thermostats as half steps on peculiar velocities. Each gives the factor by which the peculiar velocities of its species are scaled;
the heat that leaves is the kinetic energy change, exactly.

Nose-Hoover chains: Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635 (1992), with the reversible splitting of Martyna, Tuckerman, Tobias,
Klein, Mol. Phys. 87, 1117 (1996). Gaussian isokinetic: the constraint of Evans and Morriss, kept by projection."""
import math

import numpy as np

from ..core.errors import InputError
from ..core.units import BOLTZMANN
from ..kernels.chain_thermostat import chain_half_step

KINDS = ("nose_hoover", "gaussian", "langevin", "none")


class NoThermostat:
    kind = "none"

    def half_step(self, kinetic, half_step):
        """The factor for peculiar velocities whose kinetic energy is `kinetic` (eV); `half_step` fs."""
        return 1.0

    def variables(self):
        """What a restart needs, (k,) float64."""
        return np.zeros(0)

    def restore(self, variables):
        pass


class GaussianIsokinetic(NoThermostat):
    kind = "gaussian"

    def __init__(self, temperature, degrees):
        self.kinetic = 0.5 * degrees * BOLTZMANN * temperature

    def half_step(self, kinetic, half_step):
        return math.sqrt(self.kinetic / kinetic) if kinetic > 0 else 1.0


class NoseHooverChain(NoThermostat):
    """`time` fs sets the masses Q_1 = g kT time^2, Q_k = kT time^2; `chain` links."""
    kind = "nose_hoover"

    def __init__(self, temperature, degrees, time=100.0, chain=3):
        self.kt, self.degrees = BOLTZMANN * temperature, degrees
        self.mass = np.full(chain, self.kt * time**2)
        self.mass[0] *= degrees
        self.velocity = np.zeros(chain)

    def half_step(self, kinetic, half_step):
        return chain_half_step(self.velocity, self.mass, kinetic, self.degrees, self.kt, half_step)

    def variables(self):
        return self.velocity.copy()

    def restore(self, variables):
        self.velocity[:] = variables


class Langevin(NoThermostat):
    """Ornstein-Uhlenbeck half steps with friction 1/`time` (fs) on absolute velocities; the loop draws its numbers by particle id and step."""
    kind = "langevin"

    def __init__(self, temperature, time, half_step, mass, on):
        keep = math.exp(-half_step / time)
        self.keep = np.where(on, keep, 1.0)
        self.spread = np.where(on, np.sqrt((1 - keep * keep) * BOLTZMANN * temperature / mass), 0.0)


def make_thermostat(kind, temperature, colour, driven, timestep, time=100.0, chain=3, group="all"):
    """(thermostat, on): `on` (s,) says which species it acts on. `group`: "all", "framework" or "mobile". Raises InputError."""
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
        return NoseHooverChain(temperature, degrees, time, chain), on
    if driven and np.any(colour.charge[on] != 0):
        raise InputError("run.thermostat.kind = \"langevin\": its friction acts on absolute velocities and would brake the driven current "
                         "itself; write kind = \"nose_hoover\" (or set group to species that carry no colour charge)")
    return Langevin(temperature, time, 0.5 * timestep, colour.mass, on), on
