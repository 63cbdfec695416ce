"""Rows of replicas in the ensemble file of the main experiment, over several starts."""
import numpy as np

from hpcnemd.experiments import ionic_conductivity
from hpcnemd.experiments.ionic_conductivity.record import schema, store
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble
from hpcnemd.storage.provenance import read


def prepared(measure):
    deck = {"experiment": "ionic_conductivity", "structure": {"build": "nacl_melt"},
            "forcefield": {"table": "nacl_tosi_fumi", "cutoff": "6 angstrom", "coulomb": {"method": "dsf", "damping": "0.25 1/angstrom"}},
            "run": {"temperature": "1100 K", "timestep": "2 fs", "measure": measure, "block": "0.1 ps", "replicas": 3},
            "drive": {"kind": "constant_field", "field": "0.02 V/angstrom", "mobile": "all"}}
    return ionic_conductivity.prepare(ionic_conductivity.Deck.model_validate(deck), ".")


def rows_of(run, value):
    return {name: np.full(shape, value, dtype) for name, (shape, dtype, *_) in schema(run).items()}


def test_replicas_that_a_stopped_start_did_not_reach_keep_their_rows(tmp_path):
    """The first start ends replica 0 and is stopped in 1; the second is stopped in replica 0 of the same deck; then all of a longer deck is stopped in 0."""
    path, run = tmp_path / "ensemble.h5", prepared("0.2 ps")

    def start(run, statuses, value):
        layout = Layout(SerialComm(), 3, box=run.system.box)
        store(run, layout, path, {k: rows_of(run, value + k) for k in statuses}, statuses, {})
        found = ensemble.read(path)
        return found.status, [found.arrays["impulse"][k].tolist() for k in range(3)]
    complete, stopped = ("complete", ""), ("running", "")
    status, rows = start(run, {0: complete, 1: stopped}, 10.0)
    assert status == ["complete", "running", "missing"] and rows[:2] == [[10.0] * 2, [11.0] * 2] and np.isnan(rows[2]).all()
    status, rows = start(run, {0: stopped}, 20.0)
    assert status == ["running", "running", "missing"] and rows[:2] == [[20.0] * 2, [11.0] * 2] and np.isnan(rows[2]).all()
    assert not read(path)["ended"]
    status, rows = start(run, {0: complete, 2: complete}, 30.0)
    assert status == ["complete", "running", "complete"] and rows == [[30.0] * 2, [11.0] * 2, [32.0] * 2]
    longer = prepared("0.3 ps")                                 # its rows have another length: none of the old ones fits
    status, rows = start(longer, {0: stopped}, 40.0)
    assert status == ["running", "missing", "missing"] and rows[0] == [40.0] * 3
