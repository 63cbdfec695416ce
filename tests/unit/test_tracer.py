"""Displacements of tracers over a run that is lengthened: longer lags than the first part kept frames for."""
from types import SimpleNamespace

import numpy as np

from hpcnemd.dynamics import tracer
from hpcnemd.dynamics.tracer import TracerDisplacements


def watched(monkeypatch, observer, path, frames):
    """The observer after some frames of positions path[k] (n, 3) of one species that moves."""
    sim = SimpleNamespace(comm=SimpleNamespace(rank=0), state=None, colour=SimpleNamespace(mobile=np.array([True]), counts=np.array([1.0]), mass=np.array([1.0])))
    for k in frames:
        monkeypatch.setattr(tracer, "gather_sorted", lambda *_: {"species": np.zeros(path.shape[1], np.int32), "unwrapped": path[k].copy()})
        observer.observe(sim)
    return observer


def test_a_lengthened_run_counts_no_frame_that_it_has_not(monkeypatch):
    """Ballistic tracers far from the origin: every lag must give lag^2, with as many pairs as frames that far apart were at hand, over two lengthenings."""
    path = 50.0 + np.arange(60)[:, None, None] * np.ones((60, 2, 3))
    stored, begun = None, 0
    for frames, lags in ((12, 5), (30, 14), (60, 30)):
        observer = TracerDisplacements(1, 0, 60, lags, 1)
        if stored is not None:
            observer.restore(*stored)
        watched(monkeypatch, observer, path, range(begun, frames))
        stored, begun = (observer.tree(), observer.rows()), frames
    lag = np.arange(1, 31)
    have = observer.pairs > 0
    assert have.all() and np.array_equal(observer.pairs[:5], 60 - lag[:5])
    np.testing.assert_allclose(observer.averages()[:, 0, :], (lag ** 2.0)[:, None] * np.ones(3))
