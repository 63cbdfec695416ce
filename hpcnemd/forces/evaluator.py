"""All forces of one configuration: pair part, mesh part, and the way home of what ghosts received."""
from dataclasses import dataclass, replace

import numpy as np

from ..parallel.domain import add_forces, ghost_calls, own_images, send_forces
from ..parallel.mesh import run
from ..parallel.reduce import ordered_sum
from ..parallel.tail import Tail
from ..parallel.threads import team_of
from .coulomb import dsf_self_energy, settings_for
from .ewald import Ewald
from .pair import PairForces, RealSpace
from .spme import Spme


LOOK_AGAIN = 0.005          # relative change of a cell edge after which the accuracy of the mesh is looked at


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


@dataclass(frozen=True)
class StepCalls:
    """Kernels of a step, (kernel, arguments) each: lists of those that send ghosts out and wait for them; that of the charges, or None; the pair part in k pieces, with the inner
    parts of the lists or the whole ones; and k + 1 lists of all others, before, between and after these. `net` (3,): where the mesh leaves its net force, which is to be `removed` or not."""
    start: list
    wait: list
    charges: tuple
    near: list
    far: list
    others: list
    net: np.ndarray
    removed: bool


class Forces:
    """`settings`: CoulombSettings, or None where nothing is charged. `truncation`: plain, shift, switch or shift_force (of the whole real-space
    pair function). `remove_net_force`: the mesh's small net force is taken out in proportion to mass. `precision` and `threads`: see PairForces."""

    leaves_net_force = True     # where `compute` is asked to

    def __init__(self, forcefield, kinds, box, domain, cutoff, skin, truncation="shift_force", settings=None, path="auto", remove_net_force=True,
                 counts=None, precision="double", threads=1):
        self.domain, self.skin, self.settings = domain, float(skin), settings
        self.box, self.kinds, self.counts, self.remove_net_force = box, kinds, counts, remove_net_force
        real = None
        if settings is not None:
            real = RealSpace("dsf" if settings.method == "dsf" else "ewald", settings.beta, cutoff)
        tail = Tail(domain.comm, 0 if counts is None else int(np.sum(counts))) if domain.comm.size > 1 and threads == 1 else None
        self.pair = PairForces(forcefield, kinds, box, cutoff, skin, truncation=truncation, coulomb=real, path=path, precision=precision, threads=threads, tail=tail)
        self.threads, self.team = int(threads), team_of(int(threads))
        self.mesh = None
        self.constant = 0.0
        if settings is not None and settings.method == "dsf":
            self.constant = dsf_self_energy(settings, kinds, counts, cutoff)
        self._make_mesh()

    def _make_mesh(self):
        """Collective."""
        self.meshed = self.box.lengths          # the box for which its accuracy was looked at last
        if self.settings is not None and self.settings.method == "spme":
            self.mesh = Spme(self.settings, self.box, self.kinds, self.domain, self.skin, self.remove_net_force, threads=self.threads, precision=self.pair.precision)
        elif self.settings is not None and self.settings.method == "ewald":
            self.mesh = Ewald(self.settings, self.box, self.kinds, self.domain, self.remove_net_force)

    def rescale(self, box):
        """Take another box (after the domain has): lists, mesh and k-vectors stay what they are in units of the box."""
        self.box = box
        self.pair.rescale(box)
        if self.mesh is not None:
            self.mesh.rescale(box)

    def keep_accuracy(self):
        """Collective. After the box has changed: a finer mesh where the one in use has become too coarse. A function of the box and of `variables` alone."""
        if self.mesh is None or np.abs(np.log(self.box.lengths / self.meshed)).max() < LOOK_AGAIN:
            return
        before, self.settings = self.settings, settings_for(self.settings, self.box, self.kinds, self.counts)
        if (before.mesh, before.kmax) != (self.settings.mesh, self.settings.kmax):
            self._make_mesh()
        self.meshed = self.box.lengths

    def variables(self):
        """What a restart needs to have the same mesh: {} where there is none."""
        if self.mesh is None:
            return {}
        return {"meshed": self.meshed.copy(), "mesh": np.array(self.settings.mesh or self.settings.kmax, np.int64)}

    def restore(self, variables):
        """Collective. The mesh of the `variables` of another run, in the box as it is now."""
        if not variables or self.mesh is None:
            return
        points = tuple(int(n) for n in variables["mesh"])
        if points != (self.settings.mesh or self.settings.kmax):
            self.settings = replace(self.settings, **{"mesh" if self.settings.mesh else "kmax": points})
            self._make_mesh()
        self.meshed = np.array(variables["meshed"])

    def place(self):
        """Collective. To be called when the cuts of the domain have moved."""
        if hasattr(self.mesh, "place"):
            self.mesh.place(self.domain.lower, self.domain.upper)

    def rebuild(self, state):
        """Lists of the particles and ghosts as they stand (after `halo`)."""
        self.pair.build(state, own_images(self.domain) if self.follows_images else None)

    @property
    def follows_images(self):
        """Whether `refresh` may leave images of this rank's own particles where they are."""
        return self.pair.follows_images

    def calls(self, state):
        """What `compute` calls where nothing is observed and kernels are all that is called, as StepCalls; None elsewhere."""
        if not self.follows_images:
            return None
        mesh, ghosts = None, ghost_calls(self.domain, state)
        if self.mesh is not None:
            mesh = self.mesh.calls(state) if hasattr(self.mesh, "calls") else None
            if mesh is None:
                return None
        charges, setting_out, legs, end, net, removed = mesh or (None, [], [], [], np.zeros(3), False)
        pair = self.pair.calls(state, len(legs) + 1)
        if pair is None or ghosts is None:
            return None
        start, wait, send, add = ghosts
        near, far, fetch, deliver = pair
        more = [[]] * (len(near) > len(legs) + 1)               # the tail has a call before the first piece and one behind the last
        return StepCalls(start, wait, charges, near, far, [[*setting_out, *fetch], *more, *legs, *more, [*deliver, *send, *end, *add]], net, removed)

    def _legs(self, observe):
        """Parts of the mesh's work that go in between those of the pair part."""
        return self.mesh.legs() if not observe and self.threads == 1 and hasattr(self.mesh, "legs") else []

    def _pair_part(self, state, observe, spent, legs=()):
        """The PairResult, and the `legs` (lists of things to be done) on the way: what each waits for arrives while pairs are worked out."""
        for k in range(len(legs) + 1):
            pair = self.pair.compute(state, observe, spent, (k, len(legs) + 1))
            if k < len(legs):
                run(legs[k])
        return pair

    def compute(self, state, observe, unsettled=None, spent=None):
        """Collective. Forces of all owned rows into state.force; a Potential when `observe`, else None. Messages travel while others work: those of the
        mesh during the pair part, forces on ghosts during the end of the mesh part. With `unsettled` (7,) the net force of the mesh is left in the forces, and what
        kernels.whole_step needs to take it off goes there: a reduction less. `spent`: see PairForces.compute."""
        images = not self.follows_images
        state.force[:state.n_all] = 0.0
        if self.mesh is not None:
            self.mesh.start(state)
        legs = self._legs(observe)
        pair = self._pair_part(state, observe, spent, legs)
        send_forces(self.domain, state, images)
        mesh = self.mesh.finish(state, observe, **({"done": True} if legs else {})) if self.mesh is not None else None
        add_forces(self.domain, state, images)
        if mesh is not None:
            self.mesh.settle(state, unsettled)
        if not observe:
            return None
        share = np.zeros(15)
        share[0], share[1] = pair.energy_short, pair.energy_coulomb
        share[3:12] = pair.virial.ravel()
        if mesh is not None:
            share[2] = mesh.energy
            share[3:12] += mesh.virial.ravel()
            share[12:] = mesh.net_force
        total = ordered_sum(self.domain.comm, share)
        parts = {"short_range": float(total[0])}
        if self.settings is not None:
            parts["coulomb_real"] = float(total[1])
            if self.mesh is not None:
                parts["coulomb_reciprocal"] = float(total[2])
            else:
                parts["coulomb_self"] = self.constant
        return Potential(parts, total[3:12].reshape(3, 3), float(np.abs(total[12:]).max()))
