"""A cold start shortened: the kernels of a run compiled by several processes at once into numba's cache, from which all ranks then load them.

The kernels are parted by what calls them; each part is a few calls of the program's own code on a few particles, so that every kernel gets the signature that the run
uses. Ranks of one node take a part each. A rank that has cores to itself starts helpers, processes that compile, write the cache and end; where it has one core it
does nothing here, and kernels are compiled as they are met. A file beside the cache says that this was done, so that a warm start does not wait for it."""
import contextlib
import gc
import hashlib
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np

from .. import kernels
from ..core.state import State
from ..dynamics.colour import Colour
from ..dynamics.drive import Drive
from ..dynamics.loop import close_half, closing_call, open_half
from ..dynamics.simulation import Simulation
from ..dynamics.stretch import Stretch
from ..dynamics.sweeps import Sweeps
from ..dynamics.thermostat import make_thermostat
from ..dynamics.velocities import draw_velocities
from ..forces.evaluator import Forces
from ..forces.pair import PairForces, RealSpace
from ..forces.spme import mesh_type
from ..kernels import entry
from ..kernels import mesh as mesh_kernels
from ..kernels import shared_memory, tail, transform
from ..kernels.packing import warm_up_leavers
from ..kernels.pair_kernels import folder
from ..kernels.simd import choose_path
from ..kernels.stretch import add_parts
from ..kernels.waiting import share_out
from ..kernels.whole_step import close_shared
from ..parallel.domain import Domain, fold, halo, lists_hold, migrate, refresh, scatter
from ..parallel.launch import node_of
from ..parallel.mesh import DistributedMesh, SlabFFT, repeated
from ..parallel.serial import SerialComm
from ..parallel.threads import cores_here, team_of

FEW = 24
# seconds that each part takes, to share them out fairly: the longest first
PARTS = {"transform": 5.0, "lists": 4.7, "sweeps": 4.0, "ghosts": 3.5, "pair": 1.9, "mesh": 1.8, "exchange": 1.6}


class NoForces:
    """Stands where Forces do; nothing is asked of it."""
    follows_images, skin = False, 0.0


def fewer(system):
    """The System with a few of its particles."""
    few = np.linspace(0, len(system.species) - 1, min(FEW, len(system.species))).astype(int)
    counts = np.bincount(system.species[few], minlength=len(system.kinds.names))
    return replace(system, species=system.species[few], position=system.position[few], counts=counts, grain=None)


def compile_part(part, system, ranks=1, threads=1):
    """Calls the kernels of one of PARTS, for a System of a few particles that so many `ranks` of so many `threads` share."""
    comm, team = SerialComm(), team_of(threads)
    domain, state = Domain(comm, system.box, (1, 1, 1), system.cutoff + system.skin), State.empty(system.box, system.kinds)
    if part == "pair":
        _pair_forces(system).kernel                                     # noqa: B018  (made when it is asked for)
    elif part == "lists":
        state = State.of(system.box, system.kinds, system.species, system.position)
        _pair_forces(system).build(state, (0, domain.plan.shift, domain.plan.index, 0, domain.plan.start, 0, 0))
    elif part == "mesh" and system.coulomb is not None and system.coulomb.method in ("spme", "ewald"):
        coarse = {"spme": {"mesh": (16, 16, 16)}, "ewald": {"kmax": (2, 2, 2)}}[system.coulomb.method]
        forces = Forces(system.forcefield, system.kinds, system.box, domain, system.cutoff, system.skin, system.truncation, replace(system.coulomb, **coarse),
                        counts=system.counts, precision=system.precision)
        if system.coulomb.method == "spme":
            spectrum = np.zeros_like(forces.mesh.mesh.fft.spectrum)
            forces.mesh.mesh.convolve = lambda influence, look: look(spectrum)
        forces.mesh.compute(State.of(system.box, system.kinds, system.species, system.position), True)
    elif part == "transform" and system.coulomb is not None and system.coulomb.method == "spme":
        real = mesh_type(system.precision)
        if team is not None:
            mesh = DistributedMesh(comm, (8, 8, 8), 4, np.ones(3), np.zeros(3), np.ones(3), 0.1, real=real, team=team)
            mesh.convolve(np.zeros(mesh.fft.spectrum.size, real))
        if not repeated(system.coulomb.mesh, ranks):
            fft = SlabFFT((8, 8, 8), comm, real=real)
            slab = np.zeros(fft.slab_shape, fft.real)
            fft.backward(fft.forward(slab), slab)
            half, block = np.zeros((8, 8, 2 * fft.modes), fft.real), np.zeros(64 * fft.modes, fft.real)
            transform.pack_rows(half, 0, 4, block)
            transform.unpack_rows(half, 0, 4, block)
            transform.multiply(fft.flat, np.zeros(fft.flat.size // 2, fft.real))
            transform.lines(fft.flat, 1, 8, 16 * fft.modes, *fft.plans[:2], transform.FORWARD, fft.work)
        elif team is None:
            mesh = DistributedMesh(comm, (8, 8, 8), 4, np.ones(3), np.zeros(3), np.ones(3), 0.1, real=real)
            mesh.convolve(np.zeros(mesh.fft.spectrum.size, real))
        if ranks > 1:
            cut = DistributedMesh(comm, (8, 8, 8), 4, np.ones(3), np.zeros(3), np.ones(3), 0.1, whole=False, real=real)
            cut.collect(cut.deposit())
            brick, planes = cut.brick, np.arange(2)
            mesh_kernels.pack_planes(brick.points, planes, brick.ny, brick.nz, 2, 2, np.zeros(8))
            mesh_kernels.unpack_planes(np.zeros(8), planes, brick.ny, brick.nz, 2, 2, brick.potential)
            mesh_kernels.take_planes(cut.slab, planes, 0, 0, 2, 2, np.zeros(8), planes, 2, 2)
            mesh_kernels.clear(np.zeros(8))
    elif part == "exchange":
        scatter(domain, state, {"species": system.species, "position": system.position})
        migrate(domain, state)
        if team is not None:
            mesh_kernels.add_points(np.zeros(1), np.zeros(1))
            mesh_kernels.add_rows(np.zeros((1, 3)), np.zeros(3))
            mesh_kernels.clear(np.zeros(1))
            entry(share_out, team.flags, threads, 0, False)
        if ranks > 1:
            warm_up_leavers()
            tail.warm_up()
            table = np.zeros((0, shared_memory.COLUMNS), np.int64)
            shared_memory.post(table)
            shared_memory.take(table, 0, 1)
            shared_memory.await_taken(table, 0, 1)
            shared_memory.give_back(table)
            add_parts(np.zeros((2, 7)), np.zeros(7), 0, np.zeros(7))
    elif part == "ghosts":
        state = State.of(system.box, system.kinds, system.species, system.position)
        for verb in (halo, refresh, fold):
            verb(domain, state)
        domain.expected = (state.n_owned,)
        lists_hold(domain, state, state.position[:state.n_owned].copy(), system.cutoff, system.cutoff + system.skin)
    elif part == "sweeps":
        _sweep(comm, domain, system, ranks, team)


def _pair_forces(system):
    settings = system.coulomb
    real = RealSpace("dsf" if settings.method == "dsf" else "ewald", settings.beta, system.cutoff) if settings is not None else None
    return PairForces(system.forcefield, system.kinds, system.box, system.cutoff, system.skin, truncation=system.truncation, coulomb=real, precision=system.precision)


def _sweep(comm, domain, system, ranks, team):
    """A step without forces, lists and ghosts."""
    s, temperature, state = len(system.counts), 300.0, State.of(system.box, system.kinds, system.species, system.position)
    colour = Colour(system.counts.astype(float), system.kinds.mass, np.zeros(s), np.zeros(s, np.int64), np.ones(s, bool), np.array([1.0, 0.0, 0.0]),
                    system.box.dimensions)
    sim = Simulation(state, domain, NoForces(), colour, 1e-3)
    draw_velocities(comm, state, temperature, 1, 0)
    sim.enter_phase(Drive(), *make_thermostat("nose_hoover", temperature, colour, False, 1e-3))
    sim.take_stock()
    sim.reference = state.position.copy()
    open_half(sim)
    close_half(sim)
    if team is not None:
        by_threads = Simulation(state, domain, NoForces(), colour, 1e-3)
        by_threads.enter_phase(sim.drive, sim.thermostat, sim.on)
        by_threads.reference, by_threads.sweeps = sim.reference, Sweeps(by_threads, team)
        open_half(by_threads)
        close_half(by_threads)
    if ranks > 1:
        _, numbers = closing_call(sim)
        entry(close_shared, *numbers[:4], *numbers[6:])      # with sums over all ranks in place of this rank's
    Stretch(sim).compile()


def shares(number):
    """PARTS shared out to `number` ranks (list of lists of names)."""
    busy, found = [0.0] * number, [[] for _ in range(number)]
    for part, seconds in PARTS.items():
        least = busy.index(min(busy))
        found[least].append(part)
        busy[least] += seconds
    return found


def mark_of(system, ranks, threads):
    """The file that says that the kernels of a System on so many ranks and threads were compiled here: of this source, for this processor."""
    sources = sorted((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in Path(kernels.__path__[0]).glob("*.py"))
    settings = system.coulomb and (system.coulomb.method, system.coulomb.order, system.coulomb.beta, bool(system.coulomb.mesh) and repeated(system.coulomb.mesh, ranks))
    text = repr((sources, threads > 1, system.kinds.names, system.cutoff, system.truncation, system.precision, settings, system.box.dimensions, system.box.tilted,
                 choose_path("auto"), numba.__version__, llvm.get_host_cpu_name()))
    return folder() / f"compiled_{hashlib.sha256(text.encode() + pickle.dumps(system.forcefield)).hexdigest()[:20]}"


def compile_parts(comm, system, ranks, threads=1):
    """Collective. Kernels of a System that so many `ranks` of so many `threads` share into the cache of every node, unless they are there."""
    if system.engine is not None:
        return
    node, system = node_of(comm), fewer(system)
    mark = mark_of(system, ranks, threads)
    if not node.bcast(mark.exists()):
        if node.size > 1:
            _compile(shares(node.size)[node.rank], system, ranks, threads)
        else:
            _with_helpers(system, ranks, threads)
        node.Barrier()
        if node.rank == 0:
            mark.touch()
    node.Free()
    comm.Barrier()


def _compile(parts, system, ranks, threads):
    """What cannot be computed with a few particles of this system is compiled where it is met; whatever is wrong with it, the run itself says it better."""
    with _no_collection():
        for part in parts:
            with contextlib.suppress(Exception):
                compile_part(part, system, ranks, threads)


@contextlib.contextmanager
def _no_collection():
    """Without the search for cycles of objects, which a compiler that makes millions of them pays for with a twentieth of its time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _with_helpers(system, ranks, threads):
    """PARTS in a pipe, from which this process and its helpers take the next one when they are free."""
    number = min(cores_here(), len(PARTS))
    if number == 1:
        return
    queue, filled = os.pipe()
    os.write(filled, bytes(range(len(PARTS))))
    os.close(filled)
    helpers, given = [], pickle.dumps((system, ranks, threads))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMI", "PRTE_", "SLURM_"))}     # no ranks of any run
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(kernels.__path__[0]).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    for _ in range(number - 1):
        helper = subprocess.Popen([sys.executable, "-m", __spec__.name, str(queue)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env=environment, pass_fds=(queue,))
        helpers.append(helper)
        try:
            helper.stdin.write(given)
            helper.stdin.close()
        except BrokenPipeError:             # it could not start
            pass
    _compile(_taken(queue), system, ranks, threads)
    for helper in helpers:
        helper.wait()
    os.close(queue)


def _taken(queue):
    """Those of PARTS that this process gets out of the pipe `queue`, each when it is asked for."""
    names = list(PARTS)
    while number := os.read(queue, 1):
        yield names[number[0]]


if __name__ == "__main__":
    _compile(_taken(int(sys.argv[1])), *pickle.load(sys.stdin.buffer))
