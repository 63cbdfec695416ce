"""The end of a rank's pair work, in pieces that other ranks of the node take: the same bits whoever does them."""
import gc
import os

import numpy as np
import pytest
from mpi4py import MPI
from pair_oracle import folded, half_shell, make_forcefield, random_positions

from hpcnemd.core.box import Box
from hpcnemd.core.state import State
from hpcnemd.forces.pair import PairForces, RealSpace
from hpcnemd.kernels import tail as kernels
from hpcnemd.kernels.simd import available_paths
from hpcnemd.kernels.tail import PIECES
from hpcnemd.parallel import launch, tail
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.parallel.shared_memory import open_channels
from hpcnemd.parallel.tail import Tail

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi
ATTRACTION = [("A", "A", "lennard_jones", dict(epsilon=0.02, sigma=1.8)), ("A", "B", "lennard_jones", dict(epsilon=0.03, sigma=1.6))]
SALT = [*ATTRACTION[:1], ("A", "B", "morse", dict(D0=0.4, alpha=1.7, r0=2.0)), ("B", "B", "born_mayer_huggins", dict(A=0.2, sigma=2.3, rho=0.32, C=6.0, D=8.0))]
EWALD = RealSpace("ewald", 0.4, 4.0)
KINDS = [("salt", "double"), ("salt", "mixed"), ("full lists", "double"), ("full lists", "mixed")]


def mine():
    return comm.Dup() if comm.size > 1 else SerialComm()


class Cell:
    """Particles of this rank alone, others than those of other ranks, their ghosts and PairForces with this tail (or None)."""

    def __init__(self, kind, precision, path, tail, number=60, seed=0):
        rng, box = np.random.default_rng(100 * seed + comm.rank), Box(np.array([9.0, 8.0, 10.0]) + 0.1 * comm.rank)
        field = make_forcefield(("A", "B"), *((SALT, (1.0, -1.0), True) if kind == "salt" else (ATTRACTION, None, False)))
        number += 9 * comm.rank
        self.forces = PairForces(field, field.kinds(), box, 4.0, 0.6, "shift_force", EWALD if kind == "salt" else None, path, precision, tail=tail)
        assert self.forces.plan.full == (kind != "salt" and path != "plain")
        self.take(box, rng.integers(0, 2, number).astype(np.int32), random_positions(rng, box, number, 1.3))

    def take(self, box, species, position):
        self.state = State.of(box, self.forces.kinds, species, position)
        self.owner = half_shell(self.state, self.forces.list_radius)
        self.forces.build(self.state)

    def force(self, order=None, spent=None):
        """Collective where the ranks end one after another, in this order."""
        self.state.force[:] = 0.0
        if order is None:
            self.forces.compute(self.state, False, spent)
            comm.Barrier()                  # who is not yet through would take pieces of what comes next
        else:
            self.forces.compute(self.state, False, spent, (0, 2))
            comm.Barrier()
            for rank in order:
                if rank == comm.rank:
                    self.forces.compute(self.state, False, spent, (1, 2))
                comm.Barrier()
        return folded(self.state, self.owner)

    def observed(self):
        self.state.force[:] = 0.0
        result = self.forces.compute(self.state, True)
        return folded(self.state, self.owner), np.append(result.virial.ravel(), result[:2])


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("kind, precision", KINDS)
def test_the_first_who_is_through_does_all_pieces_and_no_bit_changes(kind, precision, path):
    alone, cell = (Cell(kind, precision, path, tail) for tail in (None, Tail(mine(), 60)))
    wanted, sums = alone.observed()
    strength = np.abs(alone.state.force).max()
    upwards, downwards = list(range(comm.size)), list(range(comm.size))[::-1]
    for spent in (None, 0.0, None, 0.0):
        first, by_last = cell.force(upwards, spent), cell.forces._tail.helped
        again, by_first = cell.force(downwards, spent), cell.forces._tail.helped
        assert by_last == PIECES * (comm.rank > 0) and by_first == PIECES * (comm.rank < comm.size - 1)
        assert np.array_equal(first, again) and np.array_equal(cell.force(None, spent), first)
        assert np.abs(first - wanted).max() < (1e-12 if precision == "double" else 1e-5) * strength
    seen, numbers = cell.observed()
    assert np.array_equal(seen, cell.force())
    assert np.abs(numbers - sums).max() < (1e-12 if precision == "double" else 1e-5) * np.abs(sums).max()


@pytest.mark.parametrize("kind, precision", KINDS)
def test_lists_that_grow_move_and_change(kind, precision):
    """Further lists of the same object, larger and smaller ones, on some ranks only."""
    cell = Cell(kind, precision, "auto", Tail(mine()), number=30)
    for seed, number in enumerate((30, 90, 50, 110)):
        other = Cell(kind, precision, "auto", None, 30 if comm.rank % 2 else number, seed)
        cell.take(other.state.box, other.state.species[:other.state.n_owned], other.state.position[:other.state.n_owned])
        cell.forces.rescale(other.state.box)
        wanted, strength = other.force(), np.abs(other.state.force).max()
        for order in (range(comm.size), range(comm.size)[::-1]):
            assert np.abs(cell.force(order) - wanted).max() < (1e-12 if precision == "double" else 1e-5) * strength
            assert cell.forces._tail.helped == PIECES * (comm.rank != order[0])


@pytest.mark.parametrize("why", ["told so", "no such files", "cannot be opened", "another file", "no room"])
def test_where_nobody_can_help_the_bits_are_the_same(why, monkeypatch):
    wanted = Cell("salt", "double", "auto", Tail(mine(), 60)).force()
    if why == "told so":
        monkeypatch.setenv("HPCNEMD_SHARED_MEMORY", "0")
    elif why == "no such files":
        monkeypatch.delattr(os, "memfd_create")
    elif why == "cannot be opened" and comm.rank == comm.size - 1:
        monkeypatch.setattr(tail, "_mapped", lambda path, token, size: open("/nowhere/at/all"))
    elif why == "another file" and comm.rank == 0:                  # as where process numbers mean something else
        right = tail._mapped
        monkeypatch.setattr(tail, "_mapped", lambda path, token, size: right(path, bytes(16), size))
    elif why == "no room":
        monkeypatch.setattr(tail, "LEAST", tail.START + 5000)
        monkeypatch.setattr(tail, "EACH", 0)
    cell = Cell("salt", "double", "auto", Tail(mine(), 60))
    assert np.array_equal(cell.force(range(comm.size)), wanted) and cell.forces._tail.helped == 0
    assert len(cell.forces._tail.others) == (comm.size - 1 if why == "no room" else 0)


def test_ranks_of_two_nodes_help_on_their_own(monkeypatch):
    monkeypatch.setattr(launch, "node_of", lambda comm: comm.Split(comm.rank // 2))
    cell = Cell("salt", "double", "auto", Tail(mine(), 60))
    cell.force(range(comm.size))
    assert cell.forces._tail.helped == PIECES * (comm.rank % 2)


def test_only_the_next_ranks_are_looked_at(monkeypatch):
    """Each rank helps the one behind it: when they end in turn, the last but one is helped by the last, and so on."""
    monkeypatch.setattr(tail, "FRIENDS", 1)
    cell = Cell("salt", "double", "auto", Tail(mine(), 60))
    assert len(cell.forces._tail.others) == min(1, comm.size - 1)
    cell.force(range(comm.size))
    before = (comm.rank - 1) % comm.size                            # who looks for pieces of this rank
    assert cell.forces._tail.helped == PIECES * (before < comm.rank)


def test_no_handle_stays():
    """Each mapping keeps a handle of its own, for as long as there are arrays in it."""
    def handles():
        gc.collect()
        return len(os.listdir("/proc/self/fd"))
    mine_alone = mine()
    open_channels(mine_alone)
    before = handles()
    cell = Cell("salt", "double", "auto", Tail(mine_alone, 60))
    cell.force()
    assert handles() == before + (comm.size if comm.size > 1 else 0)
    del cell
    assert handles() == before


def test_all_its_kernels_are_compiled_ahead():
    kernels.warm_up()
    for kind, precision in KINDS:
        Cell(kind, precision, "auto", Tail(mine())).force()
    for kernel in (kernels.open_pieces, kernels.work_off, kernels.settle, kernels.bring_rows):
        assert len(kernel.signatures) == 1, kernel.signatures
