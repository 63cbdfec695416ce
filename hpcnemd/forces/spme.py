"""Smooth particle-mesh Ewald with analytic differentiation and the influence function of least force error.

Forces are exact derivatives of the energy 1/2 sum of mesh charge times mesh potential, and the virial is its exact derivative with respect to strain.
Sources: Essmann et al., J. Chem. Phys. 103, 8577 (1995); Ballenegger, Cerda, Holm, J. Chem. Theory Comput. 8, 936 (2012)."""
import numpy as np

from ..core.errors import PhysicsError
from ..core.units import COULOMB
from ..kernels import mesh as kernels
from ..kernels.integrate import take_off
from ..kernels.mesh_simd import make_gather, make_spread
from ..kernels.simd import choose_path
from ..kernels.splines import axis_sums, spline_table
from ..parallel.mesh import DistributedMesh
from ..parallel.reduce import ordered_sum
from ..parallel.serial import SerialComm
from ..parallel.threads import team_of
from . import oblique
from .coulomb import MeshResult, self_energy


def mesh_type(precision, path="auto"):
    """Type of the numbers that are transformed and gathered."""
    return np.float32 if precision == "mixed" and choose_path(path) != "plain" else np.float64


class Spme:
    """`settings`: a CoulombSettings; `box` in three dimensions; `kinds` a Species; `domain`: has `.comm`, `.lower`, `.upper` (or None: one rank, whole box).
    `margin`: angstrom that owned particles may lie outside the domain (the skin is enough). `path`: one of kernels.simd.PATHS or "auto".
    `threads`: of this rank, among which the particles are shared out. `precision`: "double", or "mixed": vector code then transforms and gathers in
    float32 (charges are summed in float64: in float32 the order of the sum would show more than the rounding of the rest). Collective."""

    def __init__(self, settings, box, kinds, domain=None, margin=1.0, remove_net_force=True, path="auto", threads=1, precision="double"):
        self.settings, self.box, self.kinds = settings, box, kinds
        self.margin, self.remove_net_force = float(margin), remove_net_force
        self.comm = SerialComm() if domain is None else domain.comm
        lower, upper = (np.zeros(3), box.lengths) if domain is None else (domain.lower, domain.upper)
        self.path, self._team = choose_path(path), team_of(int(threads))
        self.mesh = DistributedMesh(self.comm, settings.mesh, settings.order, box.lengths, lower, upper, self.margin * box.slant, self.path,
                                    real=mesh_type(precision, self.path))
        self.spread, self.gather = _loops(settings.order, self.path, self.mesh.brick, self._team)
        self.influence = np.zeros(self.mesh.fft.spectrum_shape)
        self._factors = self.influence.reshape(-1).astype(self.mesh.fft.real, copy=False)
        self.rescale(box)
        self.force, self.charge = np.empty((0, 3)), np.empty(0)
        self._net = np.zeros(4)             # this rank's net force and the mass that it acts on

    def rescale(self, box):
        """Take another box: the mesh keeps its points and bricks, the influence function follows."""
        settings, fft, self.box = self.settings, self.mesh.fft, box
        self.mesh.brick.scale[:] = self.mesh.shape / box.lengths
        owned = (np.arange(fft.shape[0]), np.arange(fft.shape[1])[fft.y_range], np.arange(fft.modes))
        self.sums = [axis_sums(points, settings.order, length, settings.beta, index)
                     for points, length, index in zip(fft.shape, box.lengths, owned)]
        self._weights = None
        if box.tilted:
            self.aliases = [oblique.axis_aliases(points, settings.order, length, index) for points, length, index in zip(fft.shape, box.lengths, owned)]
            self.influence[...] = oblique.influence(self.sums, self.aliases, oblique.metric_of(box), settings.beta)[1]
        else:
            kernels.influence_function(*self.sums, self.influence)
        if fft.ny and fft.y_range.start == 0:
            self.influence[0, 0, 0] = 0.0                           # the surrounding medium conducts
        # backward() divides by the number of points, the potential does not
        self.influence *= COULOMB / box.volume * float(np.prod(fft.shape))
        self._factors[:] = self.influence.reshape(-1)               # the same numbers, or their float32

    def compute(self, state, observe=True):
        """Collective. Adds the mesh forces to state.force[:n_owned]; returns a MeshResult. Raises PhysicsError where a particle left the brick."""
        self.start(state)
        result = self.finish(state, observe)
        return MeshResult(result.energy, result.virial, self.settle(state))

    def start(self, state):
        """The first half of `compute`: charges are spread, and what other ranks need of them sets out."""
        n, mesh = state.n_owned, self.mesh
        if len(self.force) < n:
            self.force, self.charge = np.empty((int(1.2 * n) + 16, 3)), np.empty(int(1.2 * n) + 16)
        charge = self.charge[:n]
        kernels.begin(state.species, self.kinds.charge, n, charge, mesh.brick.points)
        self._place = self.box.upright(state.position[:n])
        if self.spread(self._place, charge, n, mesh.brick.points):
            self._report_outside(state)
        mesh.send()

    def finish(self, state, observe=True):
        """Collective. The other half, with the particles where `start` found them; forces on ghosts may be on their way. On several ranks the net force
        is still in the forces until `settle`."""
        n, mesh = state.n_owned, self.mesh
        charge, force = self.charge[:n], self.force[:n]
        spectrum = mesh.fft.forward(mesh.deposit())
        energy, virial = self._observe(spectrum, charge) if observe else (None, None)
        mesh.collect(mesh.fft.backward(spectrum, mesh.slab, self._factors))
        self.gather(self._place, charge, n, mesh.brick.potential, force)
        self.box.lay_back(force)
        return MeshResult(energy, virial, self._add(state, force))

    def place(self, lower, upper):
        """Collective. The domain of this rank reaches from `lower` to `upper` (3,), upright coordinates in angstrom, from here on."""
        self.mesh.place(self.box.lengths, lower, upper)
        self.spread, self.gather = _loops(self.settings.order, self.path, self.mesh.brick, self._team)

    def _report_outside(self, state):
        lost = state.id[:state.n_owned][self.mesh.brick.misses(self.box.upright(state.position[:state.n_owned]))]
        named = ", ".join(map(str, lost[:10])) + (" ..." if len(lost) > 10 else "")
        raise PhysicsError(f"{len(lost)} particles lie more than {self.margin:g} angstrom outside their domain, where the charge mesh has no points "
                           f"(ids {named}): the lists should have been built anew before; shorten run.timestep or raise the skin")

    def _observe(self, spectrum, charge):
        """This rank's share of the energy and the virial, eV."""
        total = np.empty(7)
        fft = self.mesh.fft
        if self.box.tilted:
            if self._weights is None:
                self._weights = oblique.strain_weights(self.sums, self.aliases, oblique.metric_of(self.box), self.settings.beta)
            energy, virial = oblique.energy_virial(spectrum, self.influence, self._weights, oblique.wave_basis(self.box), fft.shape[2])
            scale = 0.5 * self.mesh.share / float(np.prod(fft.shape))
            return scale * energy + self_energy(self.settings.beta, charge), scale * virial
        kernels.energy_virial(spectrum, self.influence, *self.sums, self.settings.beta, fft.shape[2], total)
        total *= 0.5 * self.mesh.share / float(np.prod(fft.shape))
        virial = total[0] * np.eye(3) + np.array([[total[1], total[4], total[5]], [total[4], total[2], total[6]], [total[5], total[6], total[3]]])
        return float(total[0]) + self_energy(self.settings.beta, charge), virial

    def _add(self, state, force):
        """Mesh forces to state.force; on one rank without their net force. Returns this rank's net force, before."""
        n, mass, net = state.n_owned, self.kinds.mass, self._net
        kernels.settle_forces(force, state.species, mass, n, self.remove_net_force and self.comm.size == 1, net, state.force)
        return net[:3]

    def settle(self, state, share=None):
        """Collective. Takes the net force over all ranks (3,), which is returned, off the forces in proportion to mass, so that momentum is kept. With `share` (7,)
        that is left to kernels.whole_step.close_shared: it gets this rank's net force and the mass that it acts on (0 where there is nothing to take off)."""
        several = self.comm.size > 1
        if share is not None:
            share[:] = 0.0
            if several and self.remove_net_force:
                share[:4] = self._net
            return None
        total = ordered_sum(self.comm, self._net)
        if several and self.remove_net_force:
            n = state.n_owned
            take_off(*(total[:3] / total[3]).tolist(), n, state.species, self.kinds.mass, 0.0, state.velocity, state.force)
        return total[:3]


def _loops(order, path, brick, team=None):
    """spread(position, charge, n, points) and gather(position, charge, n, points, out) of a path for one brick, on one thread or on those of a `team`."""
    loops = _single_loops(order, path, brick)
    return loops if team is None else _shared_loops(*loops, brick, team)


def _shared_loops(spread, gather, brick, team):
    """The same of particles in parts, each spread on a mesh of its own; the meshes are added in the order of parts."""
    meshes, outside = [np.empty_like(brick.points) for _ in range(1, team.size)], [0] * team.size

    def shared_spread(position, charge, n, points):
        edges = team.edges(n)

        def part(k):
            mesh, rows = points if k == 0 else meshes[k - 1], slice(edges[k], edges[k + 1])
            if k:
                mesh[:] = 0.0
            outside[k] = spread(position[rows], charge[rows], int(edges[k + 1] - edges[k]), mesh)
        team.run(part)
        for mesh in meshes:
            points += mesh
        return sum(outside)

    def shared_gather(position, charge, n, points, out):
        edges = team.edges(n)

        def part(k):
            rows = slice(edges[k], edges[k + 1])
            gather(position[rows], charge[rows], int(edges[k + 1] - edges[k]), points, out[rows])
        team.run(part)
    return shared_spread, shared_gather


def _single_loops(order, path, brick):
    table, slope = spline_table(order)
    place, rows = (brick.scale, brick.low, brick.period, brick.first, brick.last), (brick.planes, brick.rows)
    if path == "plain":
        return (lambda position, charge, n, points: kernels.spread(position, charge, n, *place, order, table, *rows, points),
                lambda position, charge, n, points, out: kernels.gather(position, charge, n, *place, order, table, slope, *rows, points, out))
    spread, gather = make_spread(order), make_gather(order)
    narrow, slope = (values.ravel().astype(brick.potential.dtype) for values in (table, slope))
    table = table.ravel()
    return (lambda position, charge, n, points: spread(position, charge, n, *place, table, *rows, points),
            lambda position, charge, n, points, out: gather(position, charge, n, *place, narrow, slope, *rows, points, out))
