"""Smooth particle-mesh Ewald with analytic differentiation and the influence function of least force error.

Forces are exact derivatives of the energy 1/2 sum of mesh charge times mesh potential, and the virial is its exact derivative with respect to strain.
Sources: Essmann et al., J. Chem. Phys. 103, 8577 (1995); Ballenegger, Cerda, Holm, J. Chem. Theory Comput. 8, 936 (2012)."""
import numpy as np

from ..core.errors import PhysicsError
from ..core.units import COULOMB
from ..kernels import calls_of, entry
from ..kernels import mesh as kernels
from ..kernels.integrate import take_off
from ..kernels.mesh import add_rows
from ..kernels.mesh_simd import make_gather, make_spread
from ..kernels.round_trip import round_trip
from ..kernels.simd import choose_path
from ..kernels.splines import axis_sums, spline_table
from ..parallel.mesh import DistributedMesh, run
from ..parallel.reduce import ordered_sum
from ..parallel.serial import SerialComm
from ..parallel.threads import Table, team_of
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
                                    real=mesh_type(precision, self.path), team=self._team)
        self.spread, self.gather = _loops(settings.order, self.path, self.mesh, self._team)
        self.influence = np.zeros(self.mesh.fft.spectrum_shape)
        self._factors = self.influence.reshape(-1).astype(self.mesh.fft.real, copy=False)
        self.rescale(box)
        self.charge, self._calls = np.empty(0), None
        self._net = np.zeros(3)             # this rank's net force

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
        if len(self.charge) < n:
            self.charge = np.empty(int(1.2 * n) + 16)
        self._place = self.box.upright(state.position[:n]) if self.box.tilted else state.position
        if self.spread(self._place, state.species, self.kinds.charge, n, self.charge, mesh.brick.points):
            self._report_outside(state)
        mesh.send()

    def legs(self):
        """Between `start` and `finish`, where nothing is observed: lists of things to be done in turn, with other work before each; then `finish` is told that they have been. None of
        them where nothing is waited for in between."""
        if self.comm.size == 1 or self.mesh.whole or self.path == "plain":
            return []
        there, across, back, home, _ = self.mesh.legs(self._factors)
        return [there, across + back, home]

    def finish(self, state, observe=True, done=False):
        """Collective. The other half, with the particles where `start` found them; forces on ghosts may be on their way. The net force is still in the forces
        until `settle`; the result has this rank's share. `done`: `legs` have been called."""
        n, mesh, net = state.n_owned, self.mesh, self._net
        energy = virial = None
        if done:
            run(mesh.legs(self._factors)[-1])
        elif observe:
            energy, virial = mesh.convolve(self._factors, lambda spectrum: self._observe(spectrum, self.charge[:n]))
        else:
            mesh.convolve(self._factors)
        if self.box.tilted:
            force = np.zeros((n, 3))
            self.gather(self._place, self.charge, n, mesh.brick.potential, force, net)
            self.box.lay_back(force)
            self.box.lay_back(net[None])
            state.force[:n] += force
        else:
            self.gather(self._place, self.charge, n, mesh.brick.potential, state.force, net)
        return MeshResult(energy, virial, net)

    def calls(self, state):
        """Lists of (kernel, arguments), where a step without an observation calls no more than kernels; None elsewhere: (charges, what follows at once, `legs`, `finish`), and the net force
        (3,) and whether it is to be taken off."""
        n, mesh = state.n_owned, self.mesh
        if self.path == "plain" or self.box.tilted:
            return None
        if self._calls is None:
            self._calls = self._lasting_calls()
        if None in self._calls:
            return None
        setting_out, *legs, end = self._calls
        if len(self.charge) < n:
            self.charge = np.empty(int(1.2 * n) + 16)
        charges, = self.spread.calls(state.position, state.species, self.kinds.charge, n, self.charge, mesh.brick.points)
        forces = self.gather.calls(state.position, self.charge, n, mesh.brick.potential, state.force, self._net)
        return charges, setting_out, legs, [*end, *forces], self._net, self.remove_net_force

    def _lasting_calls(self):
        """What of `calls` stays until the bricks change: lists, None in place of one that is not made of kernels alone."""
        mesh = self.mesh
        if self._team is not None:
            return [calls_of(mesh.setting_out), calls_of(mesh.straight(self._factors))]
        if self.comm.size == 1:
            trip = mesh.trip_arguments(self._factors)
            return [[], trip and [(round_trip, trip)]]
        between, whole = self.legs(), mesh.legs(self._factors)
        end = whole[-1] if between else [thing for leg in whole for thing in leg]
        return [calls_of(things) for things in (mesh.setting_out, *between, end)]

    def place(self, lower, upper):
        """Collective. The domain of this rank reaches from `lower` to `upper` (3,), upright coordinates in angstrom, from here on."""
        self.mesh.place(self.box.lengths, lower, upper)
        self._calls = None
        self.spread, self.gather = _loops(self.settings.order, self.path, self.mesh, self._team)

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

    def settle(self, state, share=None):
        """Collective. Takes the net force over all ranks (3,), which is returned, off the forces in proportion to mass, so that momentum is kept. With `share` (7,)
        that is left to kernels.whole_step: it gets this rank's net force, and a 1 where it is to be taken off."""
        if share is not None:
            share[:3] = self._net
            share[3] = self.remove_net_force
            return None
        n, mass = state.n_owned, self.kinds.mass
        total = ordered_sum(self.comm, np.append(self._net, mass[state.species[:n]].sum()))
        if self.remove_net_force:
            take_off(*(total[:3] / total[3]).tolist(), n, state.species, mass, 0.0, state.velocity, state.force)
        return total[:3]


def _loops(order, path, mesh, team=None):
    """spread(position, species, species_charge, n, charge, points) and gather(position, charge, n, points, out, net) of a path for the brick of a DistributedMesh, on one thread or on those
    of a `team`."""
    loops = _single_loops(order, path, mesh.brick)
    return loops if team is None else (SharedSpread(loops[0], mesh, team), SharedGather(loops[1], team))


class SharedSpread:
    """Of particles in parts, each on a layer of the brick, which the mesh adds."""

    def __init__(self, spread, mesh, team):
        self._spread, self._mesh, self._team, self._table = spread, mesh, team, Table(team, counted=True)

    def _given(self, position, species, species_charge, n, charge):
        edges = self._team.edges(n).tolist()
        return [(position[a:b], species[a:b], species_charge, b - a, charge[a:b], layer) for a, b, layer in zip(edges[:-1], edges[1:], self._mesh.layers)]

    def __call__(self, position, species, species_charge, n, charge, points):
        given, outside = self._given(position, species, species_charge, n, charge), [0] * self._team.size

        def part(k):
            outside[k] = self._spread(*given[k])
        self._team.run(part)
        return sum(outside)

    def calls(self, position, species, species_charge, n, charge, points):
        return self._table.calls([self._spread.calls(*given) for given in self._given(position, species, species_charge, n, charge)])


class SharedGather:
    """Of particles in parts; net forces are added in the order of parts."""

    def __init__(self, gather, team):
        self._gather, self._team, self._nets, self._table = gather, team, np.zeros((team.size, 3)), Table(team)

    def _given(self, position, charge, n, points, out):
        edges = self._team.edges(n).tolist()
        return [(position[a:b], charge[a:b], b - a, points, out[a:b], net) for a, b, net in zip(edges[:-1], edges[1:], self._nets)]

    def __call__(self, position, charge, n, points, out, net):
        given = self._given(position, charge, n, points, out)
        self._team.run(lambda k: self._gather(*given[k]))
        add_rows(self._nets, net)

    def calls(self, position, charge, n, points, out, net):
        return [*self._table.calls([self._gather.calls(*given) for given in self._given(position, charge, n, points, out)]), (add_rows, (self._nets, net))]


def _single_loops(order, path, brick):
    table, slope = spline_table(order)
    place, rows = (brick.scale, brick.low, brick.period, brick.first, brick.last), (brick.planes, brick.rows)
    if path == "plain":
        return (lambda position, species, species_charge, n, charge, points: kernels.spread(position, species, species_charge, n, *place, order, table, *rows, charge, points),
                lambda position, charge, n, points, out, net: kernels.gather(position, charge, n, *place, order, table, slope, *rows, points, out, net))
    spread, gather = make_spread(order), make_gather(order)
    narrow, slope = (values.ravel().astype(brick.potential.dtype) for values in (table, slope))
    table = table.ravel()
    return (Loop(spread, lambda position, species, species_charge, n, charge, points: (position, species, species_charge, n, *place, table, *rows, charge, points)),
            Loop(gather, lambda position, charge, n, points, out, net: (position, charge, n, *place, narrow, slope, *rows, points, out, net)))


class Loop:
    """A kernel of the particles with what `arranged` puts between its arguments; called by its entry."""

    def __init__(self, kernel, arranged):
        self.kernel, self.arranged, self._entry = kernel, arranged, None

    def __call__(self, *given):
        given = self.arranged(*given)
        if self._entry is None:
            self._entry = entry(self.kernel, *given)
        return self._entry(*given)

    def calls(self, *given):
        """[(kernel, arguments)]."""
        return [(self.kernel, self.arranged(*given))]
