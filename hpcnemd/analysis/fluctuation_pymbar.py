"""The same free energies by pymbar (an extra: pip install pymbar), for cross-checks; it takes seconds to load."""
import contextlib
import io
import logging
import math

from .fluctuation import Estimate


def _load():
    logging.getLogger("pymbar").setLevel(logging.ERROR)      # it advertises JAX
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import pymbar
    return pymbar


def available():
    """Whether pymbar is installed."""
    import importlib.util
    return importlib.util.find_spec("pymbar") is not None


def bar(forward, reverse):
    """Estimate of dF from works in k_B T (forward, reverse as in `fluctuation.bennett`)."""
    found = _load().other_estimators.bar(forward, reverse, relative_tolerance=1e-13, maximum_iterations=1000)
    return Estimate(float(found["Delta_f"]), float(found["dDelta_f"]))


def mbar(energies, counts):
    """Estimates of the free energies of K equilibrium states relative to the first. energies (K, n): each sample's energy in k_B T in every state;
    counts (K,): samples drawn from each, in the order of the columns."""
    found = _load().MBAR(energies, counts, solver_protocol="robust").compute_free_energy_differences()
    return [Estimate(float(found["Delta_f"][0, k]), float(found["dDelta_f"][0, k]) if k else 0.0) for k in range(len(counts))]


def agrees(mine, other, tolerance=1e-6):
    """Whether two Estimates have the same value."""
    return math.isclose(mine.value, other.value, rel_tol=0.0, abs_tol=tolerance)
