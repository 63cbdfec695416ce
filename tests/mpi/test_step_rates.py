"""The seconds per step that a plan goes by: measured for every way in which the ranks can share replicas."""
import tomllib

from mpi4py import MPI
from test_npt_phase import DECK

from hpcnemd.experiments.ionic_conductivity import Deck, pilot, prepare

comm = MPI.COMM_WORLD


def test_every_share_of_the_ranks_is_timed(monkeypatch):
    monkeypatch.setattr(pilot, "TIMED", 0.02)
    prepared = prepare(Deck.model_validate(tomllib.loads(DECK.replace("[2, 2, 2]", "[3, 3, 3]").replace("8 angstrom", "6 angstrom"))))
    rates = pilot.step_rates(prepared, comm)
    assert set(rates) == {n for n in range(1, comm.size + 1) if comm.size % n == 0}
    assert all(0 < seconds < 1.0 for seconds in rates.values())
    assert len(set(comm.allgather(tuple(rates.items())))) == 1
