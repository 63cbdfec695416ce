"""The disc gas that can be turned back: kernels against their slow twins, exact return, float returns, energy."""
import re

import numpy as np
import pytest
from numba import njit

from disc_gas import disc_gas, half_box, there_and_back, twin_kicks
from hpcnemd.core.errors import InputError, PhysicsError
from hpcnemd.dynamics.reversible import DiscGas
from hpcnemd.kernels import reversible as kernels
from hpcnemd.parallel.serial import SerialComm

comm = SerialComm()


def test_kicks_equal_those_of_the_slow_twin_bit_for_bit():
    """List, cells and images included: the twin adds all pairs of the box in another order."""
    gas = disc_gas(comm, 90, density=0.6)
    gas.advance(700)
    position, velocity, kick = gas.gather()
    np.testing.assert_array_equal(kick, twin_kicks(position, gas.length, gas.timestep))
    assert np.abs(kick).max() > 0 and (kick.sum(axis=0) == 0).all()
    assert gas.rebuilds > 3


def test_forces_are_the_derivative_of_the_energy():
    gas = disc_gas(comm, 90, density=0.6)
    gas.advance(500)
    position, _, kick = gas.gather()
    force = kick / gas.kick_scale
    places = gas.coordinates(position)
    i, h = int(np.abs(force[:, 0]).argmax()), 1e-5
    energy = []
    for shift in (-h, h):
        moved = places.copy()
        moved[i, 0] += shift
        other = DiscGas(comm, gas.length, 0.004)
        other.load(moved, np.zeros_like(moved))
        energy.append(other.potential_energy())
    assert -(energy[1] - energy[0]) / (2 * h) == pytest.approx(force[i, 0], rel=1e-4)


def test_the_pair_loop_has_one_way_of_rounding():
    """Without fused multiply-add there is nothing that a vector body and its scalar tail could round differently."""
    fresh = njit(error_model="numpy")(kernels.whole_kicks.py_func)      # a cached function has lost its assembly
    fresh(0, 0, np.zeros((1, 2), np.uint64), np.zeros(1, np.int64), np.zeros(1, np.int32), 10.0, 1.0, np.zeros((1, 2), np.int64))
    text = "".join(fresh.inspect_asm().values())
    assert re.search(r"\bv?mul[sp]d\b|\bfmul\b", text)
    assert not re.search(r"\bvfn?m(add|sub)|\bfn?m(add|sub|la|ls)\b", text)


def test_whole_numbers_return_and_floats_do_not():
    """400 discs, reversed at t = 5: the acceptance numbers' short version. Prototype: 3.5e-2 (float32), 2.5e-11 (float64)."""
    different, rms, before, after = there_and_back(disc_gas(comm, 400), 1250)
    assert different == 0 and rms == 0 and before == after
    different, rms, _, _ = there_and_back(disc_gas(comm, 400, "float64"), 1250)
    assert different > 390 and 1e-12 < rms < 1e-9
    different, rms, _, _ = there_and_back(disc_gas(comm, 400, "float32"), 1250)
    assert different > 390 and 1e-3 < rms < 1


def test_the_way_does_not_depend_on_the_age_of_the_lists():
    gas, other = disc_gas(comm, 200), disc_gas(comm, 200)
    for _ in range(30):
        gas.advance(10)
        other.advance(10)
        other.moved = np.inf                                # new lists every tenth step
    assert gas.sha256() == other.sha256() and other.rebuilds > gas.rebuilds


def test_energy_is_kept_and_momentum_is_exact():
    """The leapfrog's error falls as the square of the time step; momentum is a sum of whole numbers."""
    errors = []
    for timestep, steps in ((0.004, 1000), (0.002, 2000)):
        gas = disc_gas(comm, 200, timestep=timestep)
        start = gas.velocity.sum(axis=0)
        energies = []
        for _ in range(50):
            gas.advance(steps // 50)
            _, velocity, kick = gas.gather()
            energies.append(0.5 * (gas.centred_velocities(velocity, kick) ** 2).sum() + gas.potential_energy())
        errors.append(np.std(energies) / np.mean(energies))
        assert (gas.velocity.sum(axis=0) == start).all()
    assert errors[0] < 1e-3 and errors[1] < 0.5 * errors[0]


def test_the_three_arithmetics_agree_for_a_while():
    places = {}
    for arithmetic in ("int64", "float64", "float32"):
        gas = disc_gas(comm, 100, arithmetic)
        gas.advance(200)
        places[arithmetic] = gas.coordinates(gas.gather()[0])
    assert np.abs(places["int64"] - places["float64"]).max() < 1e-11
    assert np.abs(places["int64"] - places["float32"]).max() < 1e-3


def test_a_bath_draws_another_state_and_keeps_the_temperature():
    gas = disc_gas(comm, 400)
    gas.advance(100)
    before = gas.sha256()
    gas.bathe(1000, 2.0, 5.0, seed=3)
    _, velocity, kick = gas.gather()
    temperature = 0.5 * (gas.centred_velocities(velocity, kick) ** 2).sum() / 400
    assert gas.sha256() != before
    assert abs(temperature - 2.0) < 4 * 2.0 / np.sqrt(400)     # chance to fail 6e-5


def test_bad_input_is_told():
    length, position, velocity = half_box(100)
    with pytest.raises(InputError, match="arithmetic = 'float16'"):
        DiscGas(comm, length, 0.004, "float16")
    with pytest.raises(InputError, match="too small"):
        DiscGas(comm, 3.0, 0.004)
    with pytest.raises(InputError, match="shorter time step"):
        DiscGas(comm, length, 0.1).load(position, velocity)
    gas = DiscGas(comm, length, 0.004)
    with pytest.raises(PhysicsError, match="overlap"):
        gas.load(np.full_like(position, 1.0) + 1e-9 * np.arange(100)[:, None], velocity)
