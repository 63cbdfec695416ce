"""Loschmidt's reversal: a gas expands, all velocities are inverted, and it goes back, or not, depending on the arithmetic, the time, noise and a bath.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from ..irreversibility.launched import describe, disk_need, run
from ..irreversibility.report import Page
from .deck import Deck
from .estimate import analyse
from .figures import PLOTS
from .gas import prepare

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]

LAWS = ("Soft discs (Weeks-Chandler-Andersen) start in the left half of a periodic box; after the time t<sub>R</sub> all velocities change sign. "
        "S = −Σ p ln p of the occupation of 10 × 10 cells (k<sub>B</sub>); recovery R = (S<sub>max</sub> − S(2t<sub>R</sub>)) / (S<sub>max</sub> − S(0)). "
        "A rounding error ε grows as ε exp(λ<sub>1</sub> t), so that floating-point arithmetic returns up to about t* = ln(1/ε)/λ<sub>1</sub>; with a reversible integrator in whole "
        "numbers every disc returns to the last bit. Boltzmann's H = Σ p ln(p/w) over bins of kinetic energy, Maxwell: −1 − ln(2πT). "
        "Units: σ = ε = m = k<sub>B</sub> = 1.")
PAGE = Page(lambda result: "Loschmidt reversal of an expanding gas", LAWS, PLOTS)
draw, summary = PAGE.draw, PAGE.summary
