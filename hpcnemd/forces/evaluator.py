"""All forces of one configuration: pair part, mesh part, and the way home of what ghosts received."""
from dataclasses import dataclass

import numpy as np

from ..parallel.domain import fold
from ..parallel.reduce import ordered_sum
from .coulomb import dsf_self_energy
from .ewald import Ewald
from .pair import PairForces, RealSpace
from .spme import Spme


@dataclass(frozen=True)
class Potential:
    """Sums over all ranks: `parts` {name: eV}, `virial` (3, 3) eV = sum of r_a f_b over pairs, `mesh_force` eV/angstrom (largest component of the
    net mesh force before its removal)."""
    parts: dict
    virial: np.ndarray
    mesh_force: float

    @property
    def potential(self):
        return float(sum(self.parts.values()))


class Forces:
    """`settings`: CoulombSettings, or None where nothing is charged. `truncation`: plain, shift, switch or shift_force (of the whole real-space
    pair function). `remove_net_force`: the mesh's small net force is taken out in proportion to mass. `precision`: see PairForces."""

    def __init__(self, forcefield, kinds, box, domain, cutoff, skin, truncation="shift_force", settings=None, path="auto", remove_net_force=True,
                 counts=None, precision="double"):
        self.domain, self.skin, self.settings = domain, float(skin), settings
        real = None
        if settings is not None:
            real = RealSpace("dsf" if settings.method == "dsf" else "ewald", settings.beta, cutoff)
        self.pair = PairForces(forcefield, kinds, box, cutoff, skin, truncation=truncation, coulomb=real, path=path, precision=precision)
        self.mesh = None
        self.constant = 0.0
        if settings is not None and settings.method == "dsf":
            self.constant = dsf_self_energy(settings, kinds, counts, cutoff)
        elif settings is not None:
            maker = Spme if settings.method == "spme" else Ewald
            self.mesh = maker(settings, box, kinds, domain, remove_net_force=remove_net_force, **({"margin": skin} if maker is Spme else {}))

    def rebuild(self, state):
        """Lists of the particles and ghosts as they stand (after `halo`)."""
        self.pair.build(state)

    def compute(self, state, observe):
        """Collective. Forces of all owned rows into state.force; a Potential when `observe`, else None."""
        state.force[:state.n_all] = 0.0
        pair = self.pair.compute(state, observe)
        fold(self.domain, state)
        mesh = self.mesh.compute(state, observe) if self.mesh is not None else None
        if not observe:
            return None
        share = np.zeros(12)
        share[0], share[1] = pair.energy_short, pair.energy_coulomb
        share[3:12] = pair.virial.ravel()
        if mesh is not None:
            share[2] = mesh.energy
            share[3:12] += mesh.virial.ravel()
        total = ordered_sum(self.domain.comm, share)
        parts = {"short_range": float(total[0])}
        if self.settings is not None:
            parts["coulomb_real"] = float(total[1])
            if self.mesh is not None:
                parts["coulomb_reciprocal"] = float(total[2])
            else:
                parts["coulomb_self"] = self.constant
        net = float(np.abs(mesh.net_force).max()) if mesh is not None else 0.0
        return Potential(parts, total[3:12].reshape(3, 3), net)
