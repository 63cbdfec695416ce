"""Steps made several in one call: every bit is that of steps made one by one, whoever looks on, stops or fails."""
import numpy as np
import pytest
from engines import advance, heat_bath, simulation, system_of

from hpcnemd.core.errors import PhysicsError
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.observers import Blocks, Observer, Series
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.dynamics.stretch import MOST, Stretch
from hpcnemd.kernels import njit
from hpcnemd.kernels.frames import RETURNED, WIDTH, Bound, invoke

SYSTEMS = {"salt": lambda precision: system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), coulomb="spme", accuracy=1e-4, cutoff=6.5, skin=0.8, precision=precision),
           "damped": lambda precision: system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), coulomb="dsf", cutoff=6.5, skin=0.8, precision=precision)}
DRIVES = {"none": Drive(), "current": Drive("constant_current", 0.02), "field": Drive("constant_field", 0.01)}


def begun(system="salt", precision="double", drive="none", thermostat="nose_hoover", one_by_one=False):
    sim = simulation(SYSTEMS[system](precision), 1200.0, 2.0)
    heat_bath(sim, 1200.0, thermostat, DRIVES[drive])
    sim.start()
    if one_by_one:
        sim.hurrying = False
    return sim


def numbers_of(sim):
    n = sim.state.n_owned
    shared = sim.shared
    return [getattr(sim.state, name)[:n].copy() for name in ("id", "position", "velocity", "force", "image")] + [
        shared.kinetic.copy(), shared.stream.copy(), shared.numbers.copy(), np.array([shared.potential, sim.step, sim.rebuilds, sim.room])]


@pytest.mark.parametrize("system, precision, drive, thermostat", [
    ("salt", "double", "none", "nose_hoover"), ("salt", "mixed", "current", "nose_hoover"), ("salt", "double", "field", "gaussian"), ("damped", "double", "current", "nose_hoover")])
def test_the_same_bits_as_one_by_one(system, precision, drive, thermostat):
    """Over lists renewed and made anew, with observers of every step, of some steps, and of energies."""
    found = []
    for one_by_one in (True, False):
        sim = begun(system, precision, drive, thermostat, one_by_one)
        blocks, series = Blocks(30, 7, 6, 2), Series(10, 7, 15, 2)
        advance(sim, 160, (blocks, series))
        assert isinstance(sim.hurrying, Stretch) != one_by_one and sim.rebuilds > 2
        found.append((*numbers_of(sim), *blocks.data.values(), blocks.sums, *(value for value in series.data.values() if isinstance(value, np.ndarray))))
    assert all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in zip(*found))


def test_steps_are_made_together_and_not_beyond_what_is_due():
    sim, runs = begun(), []
    advance(sim, 2)
    run = sim.hurrying.run if sim.hurrying else Stretch(sim).run

    def counted(count, every):
        first = sim.step
        answer = run(count, every)
        runs.append((count, sim.step - first))
        return answer
    advance(sim, 10)
    sim.hurrying.run = counted

    class Ninth(Observer):
        def observe(self, sim):
            seen.append(sim.step)
    seen = []
    advance(sim, 100, (Ninth(9),))
    assert seen == list(range(18, 100, 9)) and sim.step == 100
    assert max(count for count, _ in runs) == 8 and sum(made for _, made in runs) > 50 and all(made <= count <= MOST for count, made in runs)


def test_who_wants_to_see_every_step_sees_it():
    """An observer that does not say that shared numbers are enough finds the particles of each step."""
    class Path(Observer):
        def every_step(self, sim):
            places.append(sim.state.position[0].copy())
    found = []
    for one_by_one in (True, False):
        places = []
        advance(begun(one_by_one=one_by_one), 12, (Path(10**6),))
        found.append(np.array(places))
    assert np.array_equal(*found) and len(np.unique(found[0], axis=0)) == 12


def test_a_stop_comes_within_a_stretch():
    sim, asked = begun(), []

    def stop():
        asked.append(sim.step)
        return len(asked) > 2
    assert advance(sim, 1000, stop=stop)
    assert sim.step <= 3 * (MOST + 1) and max(np.diff(asked)) <= MOST + 1


def test_a_snapshot_between_stretches_goes_on_bit_for_bit():
    sim = begun(drive="current")
    advance(sim, 33)
    meta, rows = snapshot(sim)
    advance(sim, 97)
    other = simulation(SYSTEMS["salt"]("double"), 1200.0, 2.0)
    heat_bath(other, 1200.0, "nose_hoover", DRIVES["current"])
    restore(other, meta, rows, same_grid=True)
    for until in (40, 41, 80, 97):                                  # other stretches
        advance(other, until)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(numbers_of(sim), numbers_of(other)))


def test_a_run_that_is_taken_back_shows_the_same_again():
    """A snapshot restored into the simulation that made it: shared numbers lie in other arrays then."""
    sim, found = begun(drive="current"), []
    advance(sim, 20)
    meta, rows = snapshot(sim)
    for _ in range(2):
        blocks = Blocks(10, 20, 3, 2)
        blocks.begin(sim)
        advance(sim, 50, (blocks,))
        found.append((*blocks.data.values(), *numbers_of(sim)[:8]))
        restore(sim, meta, rows, same_grid=True)
    assert all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in zip(*found))


def test_numbers_that_are_none_end_the_run_at_their_step():
    told = []
    for one_by_one in (True, False):
        sim = begun(one_by_one=one_by_one)
        advance(sim, 6)
        sim.state.velocity[3] = np.nan
        with pytest.raises(PhysicsError) as problem:
            advance(sim, 100)
        told.append((sim.step, str(problem.value)))
    assert told[0][1] == told[1][1]


def test_arrays_of_another_kind_are_refused():
    @njit
    def scaled(values, factor, flag):
        values *= factor
        return values.sum() if flag else -1.0

    words = np.zeros(WIDTH, np.int64)
    values = np.array([1.0, 2.0, 3.0])
    bound = Bound(scaled, (values, 2.0, True), words)

    @njit
    def call(address, frame):
        return invoke(address, frame)
    assert call(bound.address, words.ctypes.data) == 0
    assert np.array_equal(values, [2.0, 4.0, 6.0]) and words.view(np.float64)[RETURNED] == 12.0
    bound.bind((values, 0.5, False))
    assert call(bound.address, words.ctypes.data) == 0 and words.view(np.float64)[RETURNED] == -1.0 and values[2] == 3.0
    for other in (values.astype(np.float32), values.reshape(3, 1), np.zeros(6)[::2]):
        with pytest.raises(TypeError, match="is what the kernel was compiled for"):
            bound.bind((other, 2.0, True))
