"""Orbital instability: Lyapunov spectra of maps, billiards, hard and soft discs, simple fluids, in equilibrium and driven.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from ..irreversibility.launched import describe, disk_need
from .systems import prepare
from .deck import Deck

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]

TITLE = "Orbital instability: Lyapunov spectra"
LAWS = ("Neighbouring trajectories separate as exp(λ<sub>1</sub> t). The spectrum comes from tangent vectors that follow the linearised motion and are orthonormalised again and again "
        "(Benettin and others). A Hamiltonian system pairs its exponents, λ<sub>i</sub> + λ<sub>D+1−i</sub> = 0, and has one pair of zeros for each conserved quantity; the sum is 0 "
        "(Liouville). Under an isokinetic thermostat the pairs add up to −⟨α⟩, the sum is minus the contraction of phase space, and this is the entropy production over k<sub>B</sub> "
        "of the degrees of freedom that the thermostat holds. The Kolmogorov-Sinai entropy is the sum of positive exponents (Pesin).")


def run(prepared, layout, folder, text="", progress=None):
    """Collective. See `irreversibility.launched.run`."""
    from ..irreversibility.launched import run as work
    return work(prepared, layout, folder, text, progress)


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    from .estimate import analyse as work
    return work(folder)


def draw(result, folder):
    """Figures (PNG and PDF), numbers.json and report.html in `folder`/report; the path of the page."""
    from ..irreversibility.report import write
    from .figures import PLOTS
    return write(result, folder, TITLE, LAWS, PLOTS)


def summary(result):
    """Lines for the terminal."""
    from ..irreversibility.report import summary_lines
    return summary_lines(result, TITLE)
