"""Orbital instability: Lyapunov spectra of maps, billiards, hard and soft discs, simple fluids, in equilibrium and driven.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from ..irreversibility.launched import describe, disk_need, run
from ..irreversibility.report import Page
from .deck import Deck
from .estimate import analyse
from .figures import PLOTS
from .systems import prepare

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]

LAWS = ("Neighbouring trajectories separate as exp(λ<sub>1</sub> t). The spectrum comes from tangent vectors that follow the linearised motion and are orthonormalised again and again "
        "(Benettin and others). A Hamiltonian system pairs its exponents, λ<sub>i</sub> + λ<sub>D+1−i</sub> = 0, and has one pair of zeros for each conserved quantity; the sum is 0 "
        "(Liouville). Under an isokinetic thermostat the pairs add up to −⟨α⟩, the sum is minus the contraction of phase space, and this is the entropy production over k<sub>B</sub> "
        "of the degrees of freedom that the thermostat holds. The Kolmogorov-Sinai entropy is the sum of positive exponents (Pesin).")
PAGE = Page(lambda result: "Orbital instability: Lyapunov spectra", LAWS, PLOTS)
draw, summary = PAGE.draw, PAGE.summary
