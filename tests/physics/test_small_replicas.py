"""Replicas beside each other on one rank: each has the bits that it has alone, whatever runs between its steps, and its own end."""
import numpy as np
import pytest

from hpcnemd.core.errors import PhysicsError
from hpcnemd.dynamics.colour import Colour
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.loop import advance
from hpcnemd.dynamics.observers import Blocks, Series
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.dynamics.thermostat import make_thermostat
from hpcnemd.dynamics.velocities import draw_velocities
from hpcnemd.experiments.structures import load_structure
from hpcnemd.experiments.system import prepare_system, simulation_of
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.domain import gather_sorted, scatter
from hpcnemd.parallel.serial import SerialComm

STEPS, CUTS = 60, (7, 8, 23, 37, 60)            # lists are built anew several times


@pytest.fixture(scope="module")
def system():
    return prepare_system(load_structure(StructureTable(build="nacl", supercell=(2, 2, 2))), load_forcefield("nacl_tosi_fumi"), coulomb="spme", accuracy=1e-4,
                          cutoff=7.0, skin=0.5)


class Salt:
    """Replica `index` of molten salt under a constant current, with a run's observers."""

    def __init__(self, system, index):
        colour = Colour.of(system.kinds, system.counts, "all")
        self.sim = simulation_of(system, colour, SerialComm(), (1, 1, 1), 2.0, 11, index)
        sim = self.sim
        scatter(sim.domain, sim.state, {"species": system.species, "position": system.position})
        draw_velocities(sim.comm, sim.state, 1500.0, 11, index)
        bath, on = make_thermostat("nose_hoover", 1500.0, colour, True, 2.0)
        sim.enter_phase(Drive("constant_current", 0.5), bath, on)
        self.observers = [Blocks(10, 0, STEPS // 10, 2), Series(5, 0, STEPS // 5 + 1, 2)]

    def start(self):
        self.sim.start()
        return self

    def to(self, step):
        advance(self.sim, step, self.observers)

    def rows(self):
        """All that a run stores of a replica, and where its ions are."""
        found = gather_sorted(self.sim.comm, self.sim.state, ["position", "velocity", "force", "image"])
        return found | {name: values for watch in self.observers for name, values in watch.data.items()} | {"numbers": self.sim.shared.numbers.copy()}


def equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture(scope="module")
def alone(system):
    found = []
    for index in range(3):
        salt = Salt(system, index).start()
        salt.to(STEPS)
        assert salt.sim.rebuilds > 3
        found.append(salt.rows())
    assert not np.array_equal(found[0]["position"], found[1]["position"])
    return found


@pytest.mark.parametrize("batch", [(0, 1), (2, 0, 1)])
def test_a_replica_has_the_same_bits_in_any_batch(system, alone, batch):
    salts = {index: Salt(system, index).start() for index in batch}
    for cut in CUTS:
        for salt in salts.values():
            salt.to(cut)
    for index, salt in salts.items():
        equal(salt.rows(), alone[index])


def test_a_restart_in_the_middle_of_a_batch_changes_no_bit(system, alone):
    """One of two replicas goes on from its snapshot in another object, while the other runs."""
    first, second = Salt(system, 0).start(), Salt(system, 1).start()
    first.to(23)
    second.to(37)
    tree, arrays = snapshot(first.sim)
    again = Salt(system, 0)
    restore(again.sim, tree, arrays, same_grid=True)
    again.observers = first.observers
    second.to(STEPS)
    again.to(STEPS)
    equal(again.rows(), alone[0])
    equal(second.rows(), alone[1])


def test_a_replica_that_fails_says_the_same_as_alone_and_the_others_go_on(system, alone):
    def failing():
        salt = Salt(system, 2).start()
        salt.to(8)
        salt.sim.state.velocity[3] = 5.0        # angstrom/fs: further than the ghosts reach, in a step or two
        return salt

    lonely, other, broken = failing(), Salt(system, 1).start(), failing()
    other.to(7)
    said = []
    for salt in (lonely, broken):
        with pytest.raises(PhysicsError) as problem:
            salt.to(STEPS)
        said.append(str(problem.value))
        other.to(other.sim.step + 16)
    assert said[0] == said[1] and "particles id" in said[0]
    other.to(STEPS)
    equal(other.rows(), alone[1])
