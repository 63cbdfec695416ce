"""Threads of one rank: parts in a fixed order, the forces of one thread to rounding, and the same bits every time."""
import time
from types import SimpleNamespace

import numpy as np
import pytest
from engines import advance, heat_bath, simulation
from pair_oracle import folded, half_shell, make_forcefield, random_positions
from pydantic import ValidationError

from hpcnemd.app.check import thread_problems
from hpcnemd.core.box import Box
from hpcnemd.core.errors import HpcnemdError
from hpcnemd.core.state import State
from hpcnemd.dynamics import sweeps
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.observers import Series
from hpcnemd.dynamics.stretch import Stretch
from hpcnemd.experiments.structures import Structure, load_structure
from hpcnemd.experiments.system import forces_of, prepare_system
from hpcnemd.experiments.tables import ParallelTable, StructureTable
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.forces.pair import PairForces
from hpcnemd.kernels import njit
from hpcnemd.kernels.simd import available_paths
from hpcnemd.parallel import threads
from hpcnemd.parallel.domain import Domain, halo, scatter
from hpcnemd.parallel.mesh import SlabFFT
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.parallel.threads import Table, Team, team_of, thread_problem


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


@pytest.mark.parametrize("coulomb, precision, number", [("spme", "double", 2), ("spme", "mixed", 3), ("dsf", "double", 2)])
def test_steps_made_several_in_one_call_have_the_bits_of_steps_made_one_by_one(coulomb, precision, number, monkeypatch):
    if number == 2:
        monkeypatch.setattr(sweeps, "LEAST", 50)        # what is done with every particle is shared out, too
    found = []
    for one_by_one in (True, False):
        sim = simulation(salt(precision, coulomb), 1500.0, 2.0, threads=number)
        heat_bath(sim, 1500.0, drive=Drive("constant_current", 0.02))
        sim.start()
        if one_by_one:
            sim.hurrying = False
        series = Series(10, 7, 10, 2)
        advance(sim, 100, (series,))
        assert isinstance(sim.hurrying, Stretch) != one_by_one and sim.rebuilds > 2 and (sim.sweeps is not None) == (number == 2)
        found.append((sim.state.position, sim.state.velocity, sim.state.force[:sim.state.n_owned], sim.shared.kinetic, sim.shared.numbers,
                      *(value for value in series.data.values() if isinstance(value, np.ndarray))))
    assert all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in zip(*found))


@pytest.mark.parametrize("coulomb, bath", [("spme", "nose_hoover"), ("dsf", "gaussian"), ("spme", "langevin")])
def test_sweeps_of_threads_are_those_of_one(coulomb, bath, monkeypatch):
    """Thirty steps over new lists: sums run in another order, all else is the same; in each of them the threads are called."""
    monkeypatch.setattr(sweeps, "LEAST", 50)
    found = []
    for number in (1, 2, 3):
        sim = simulation(salt("double", coulomb), 1500.0, 2.0, threads=number)
        heat_bath(sim, 1500.0, bath, Drive() if bath == "langevin" else Drive("constant_current", 0.02))
        sim.start()
        advance(sim, 30)
        assert (sim.sweeps is not None) == (number > 1) and sim.rebuilds > 1
        order = np.argsort(sim.state.id[:sim.state.n_owned])
        found.append([*(getattr(sim.state, name)[:sim.state.n_owned][order] for name in ("position", "velocity", "force")), sim.shared.kinetic, sim.shared.numbers, sim.sums.sum(axis=0)[1:4]])
    for other in found[1:]:
        for mine, theirs, scale in zip(found[0], other, (1.0, 1e-2, 1.0, 1.0, 1.0, 1.0)):
            np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-8 * scale)


@njit(no_cpython_wrapper=False)
def write_down(values, k, value):
    if value < 0:
        raise MemoryError("no room")
    values[k] = value
    return 10 * value


def test_kernels_of_a_table_are_called_on_their_threads_and_a_failure_is_told():
    team, values = Team(3), np.zeros(4)
    table, counting = Table(team), Table(team, counted=True)
    with team.awake():
        (kernel, arguments), = counting.calls([[(write_down, (values, 0, 1)), (write_down, (values, 1, 2))], [], [(write_down, (values, 2, 3))]])
        for _ in range(2000):
            values[:] = 0.0
            assert kernel(*arguments) == 60 and values.tolist() == [1, 2, 3, 0]
        (kernel, arguments), = counting.calls([[(write_down, (values, 0, 1))], [(write_down, (values, 3, 5))], [(write_down, (values, 2, 3))]])
        assert kernel(*arguments) == 90 and values.tolist() == [1, 2, 3, 5]
        for culprit in range(3):
            calls = [[(write_down, (values, k, -1 if k == culprit else 7 + culprit))] for k in range(3)]
            (kernel, arguments), = table.calls(calls)
            with pytest.raises(MemoryError):
                kernel(*arguments)
            assert [values[k] for k in range(3) if k != culprit] == [7 + culprit] * 2         # the others have done theirs
        (kernel, arguments), = table.calls([[(write_down, (values, k, 1))] for k in range(3)])
        assert kernel(*arguments) == 0 and values.tolist() == [1, 1, 1, 5]
        seen = []
        team.run(seen.append)                               # Python's work in between
        assert sorted(seen) == [0, 1, 2] and kernel(*arguments) == 0
    until = time.monotonic() + 10.0
    while len(team._asleep) < 2 and time.monotonic() < until:
        time.sleep(0.002)
    assert team._asleep == {1: True, 2: True}               # nobody looks for work for ever
    with team.awake():
        values[:] = 0.0
        assert kernel(*arguments) == 0 and values.tolist() == [1, 1, 1, 0]
    team.close()


@pytest.mark.skipif(available_paths() == ["plain"], reason="the transform is made of vectors")
@pytest.mark.parametrize("real", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(12, 12, 12), (20, 14, 16), (1, 2, 8), (7, 3, 5), (2, 45, 22)])
def test_threads_share_out_a_transform(shape, real):
    """Also where there are more threads than planes; of an even number of rows a plane, with the bits of one thread."""
    mesh, factors = np.random.default_rng(2).standard_normal(shape).astype(real), np.linspace(0.5, 1.5, shape[0] * shape[1] * (shape[2] // 2 + 1)).astype(real)
    found = []
    for team in (None, team_of(2), team_of(3)):
        fft = SlabFFT(shape, SerialComm(), real=real, team=team)
        spectrum = fft.forward(mesh.copy()).copy()
        found.append((spectrum, fft.backward(fft.spectrum, np.empty(shape, real), factors)))
    bound = 1e-14 if real == np.float64 else 1e-5
    for spectrum, back in found[1:]:
        assert np.abs(spectrum - found[0][0]).max() <= bound * np.abs(spectrum).max() and np.abs(back - found[0][1]).max() <= bound * np.abs(back).max()
        assert shape[1] % 2 or np.array_equal(spectrum, found[0][0]) and np.array_equal(back, found[0][1])


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
