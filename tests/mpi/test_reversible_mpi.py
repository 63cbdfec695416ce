"""The hash of the whole-number state does not depend on the number of ranks."""
import numpy as np
import pytest
from mpi4py import MPI

from disc_gas import disc_gas, there_and_back
from hpcnemd.core.errors import InputError
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


def test_hash_energy_and_return_are_those_of_one_rank():
    """500 steps forward and back, from the compressed half to the middle of the expansion, with discs that change ranks."""
    gas, alone = disc_gas(comm, 400), disc_gas(SerialComm(), 400)
    owned = gas.ids.copy()
    different, _, before, after = there_and_back(gas, 500)
    assert before == after and (different in (0, None))
    assert before == alone.sha256()
    for one in (gas, alone):
        one.advance(500)
    assert gas.sha256() == alone.sha256()
    assert gas.potential_energy() == alone.potential_energy()
    if comm.size > 1:
        assert not np.array_equal(np.sort(gas.ids), np.sort(owned))
        assert gas.n_all > gas.n_owned


def test_noise_and_bath_are_the_same_on_any_number_of_ranks():
    gas, alone = disc_gas(comm, 400), disc_gas(SerialComm(), 400)
    for one in (gas, alone):
        one.advance(50)
        one.add_noise(1e-3, seed=5)
        one.bathe(40, 1.0, 1.0, seed=6)
    assert gas.sha256() == alone.sha256()


@pytest.mark.mpi(min_size=2)
def test_floats_agree_across_ranks_only_to_rounding():
    gas, alone = disc_gas(comm, 400, "float64"), disc_gas(SerialComm(), 400, "float64")
    for one in (gas, alone):
        one.advance(150)
    mine, other = gas.gather(), alone.gather()
    if comm.rank == 0:
        apart = np.abs(mine[0] - other[0])
        assert np.minimum(apart, gas.length - apart).max() < 1e-10


def test_too_many_ranks_are_refused():
    class Crowd:
        size, rank = 1000, 0
    with pytest.raises(InputError, match="start at most"):
        disc_gas(Crowd(), 400)
