"""Threads of one rank: parts in a fixed order, the forces of one thread to rounding, and the same bits every time."""
import time
from types import SimpleNamespace

import numpy as np
import pytest
from pair_oracle import folded, half_shell, make_forcefield, random_positions
from pydantic import ValidationError

from hpcnemd.app.check import thread_problems
from hpcnemd.core.box import Box
from hpcnemd.core.errors import HpcnemdError
from hpcnemd.core.state import State
from hpcnemd.experiments.structures import Structure, load_structure
from hpcnemd.experiments.system import forces_of, prepare_system
from hpcnemd.experiments.tables import ParallelTable, StructureTable
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.forces.pair import PairForces
from hpcnemd.kernels.simd import available_paths
from hpcnemd.parallel import threads
from hpcnemd.parallel.domain import Domain, halo, scatter
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.parallel.threads import Team, thread_problem


def salt(precision, coulomb="spme"):
    """Molten-like NaCl, 216 ions, displaced at random by 0.2 angstrom."""
    plain = load_structure(StructureTable(build="nacl", supercell=(3, 3, 3)))
    noise = np.random.default_rng(11).normal(scale=0.2, size=plain.positions.shape)
    return prepare_system(Structure(plain.box, plain.names, plain.positions + noise), load_forcefield("nacl_tosi_fumi"), coulomb=coulomb, accuracy=1e-4, cutoff=7.0,
                          precision=precision)


def computed(system, number):
    """(forces by row, Potential, (pointer, list)) with a number of threads."""
    domain, state = Domain(SerialComm(), system.box, (1, 1, 1), system.cutoff + system.skin), State.empty(system.box, system.kinds)
    scatter(domain, state, {"species": system.species, "position": system.position})
    forces = forces_of(system, domain, threads=number)
    halo(domain, state)
    forces.rebuild(state)
    found = forces.compute(state, True)
    observed = state.force[:state.n_owned].copy()
    forces.compute(state, False)
    assert np.array_equal(state.force[:state.n_owned], observed)            # the same whether energies are asked for or not
    pair = forces.pair
    return observed, found, (pair._pointer[:pair._clusters * len(system.kinds.names) + 1], pair._neighbour[:pair.list_length])


@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("number", [2, 3])
def test_threads_give_the_forces_of_one_and_the_same_bits_again(precision, number):
    system = salt(precision)
    one, alone, lists = computed(system, 1)
    several, together, same = computed(system, number)
    bound = 1e-9 * max(1.0, np.abs(one).max())
    assert np.abs(several - one).max() < bound
    assert precision == "mixed" or not np.array_equal(several, one)         # other sums: not the bits of one thread, unless 32 bits hide them
    assert together.potential == pytest.approx(alone.potential, rel=1e-11) and np.abs(together.virial - alone.virial).max() < 1e-8
    assert all(np.array_equal(a, b) for a, b in zip(lists, same))
    again, _, _ = computed(system, number)
    assert np.array_equal(several, again)


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_threads_share_full_lists(precision, path):
    """Where clusters give force to their own particles alone, straight to the rows; once more, nothing is left of the forces before."""
    rng, box, found = np.random.default_rng(2), Box(np.array([9.0, 8.0, 10.0])), []
    field = make_forcefield(("A",), [("A", "A", "lennard_jones", dict(epsilon=0.02, sigma=1.8))])
    position = random_positions(rng, box, 60, 1.6)
    for number in (1, 3):
        state = State.of(box, field.kinds(), np.zeros(60, np.int32), position)
        forces = PairForces(field, state.kinds, box, 4.0, 0.4, "shift_force", None, path, precision, number)
        assert forces.plan.full == (path != "plain")
        owner = half_shell(state, forces.list_radius)
        forces.build(state)
        for _ in range(3):
            state.force[:] = 0.0
            result = forces.compute(state, True)
            found.append((folded(state, owner), np.append(result.virial.ravel(), result[:2])))
    for force, sums in found:
        assert np.abs(force - found[0][0]).max() < 1e-9 * np.abs(force).max() and np.abs(sums - found[0][1]).max() < 1e-9 * np.abs(sums).max()


def test_every_part_runs_once_and_errors_reach_the_caller():
    team, seen = Team(3), []
    for _ in range(50):
        team.run(seen.append)
    assert sorted(seen) == sorted([0, 1, 2] * 50)
    assert list(team.edges(10)) == [0, 3, 6, 10] and list(team.edges(0)) == [0, 0, 0, 0]
    for culprit in (0, 2):
        def work(k, culprit=culprit):
            if k == culprit:
                raise HpcnemdError(f"part {k}")
        with pytest.raises(HpcnemdError, match=f"part {culprit}"):
            team.run(work)
    team.run(seen.append)
    assert len(seen) == 153


def test_threads_fall_asleep_and_wake_for_work():
    team, seen = Team(2), []
    for _ in range(3):
        team.run(seen.append)
        until = time.monotonic() + 10.0
        while not team._asleep and time.monotonic() < until:
            time.sleep(0.002)
        assert team._asleep == {1: True}
    for _ in range(200):                                                    # and between the two: some of these find it on its way to sleep
        team.run(seen.append)
        time.sleep(1.0e-3)
    assert sorted(seen) == [0] * 203 + [1] * 203
    team.close()
    assert not team._threads[0].is_alive()


def test_more_threads_than_cores_are_refused(monkeypatch):
    monkeypatch.setattr(threads, "cores_here", lambda: 2)
    assert thread_problem(2) is None
    assert "parallel.threads = 3: this rank may use 2 cores" in thread_problem(3) and "--cpus-per-task=3" in thread_problem(3)


def test_threads_that_would_do_nothing_are_refused():
    deck = SimpleNamespace(parallel=SimpleNamespace(threads=2))
    ions = SimpleNamespace(system=object())
    assert list(thread_problems(deck, ions, None)) == []
    assert "ASE calculator" in list(thread_problems(deck, ions, object()))[0]
    assert "this deck has none" in list(thread_problems(deck, SimpleNamespace(system=None), None))[0]
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        ParallelTable(threads=0)
