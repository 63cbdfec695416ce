"""Work and fluctuation theorems on ensembles of driven trajectories: traps, a pulled chain, colour-driven discs, electrolytes.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from ..irreversibility.launched import disk_need
from ..irreversibility.report import Page
from .deck import Deck
from .estimate import analyse
from .figures import PLOTS
from .launched import run
from .prepared import NOUN, describe, prepare

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]

TITLES = {"dragged_trap": "A particle in a dragged trap", "stiffened_trap": "A particle in a trap that stiffens", "breathing_trap": "A particle in a trap driven in cycles",
          "pulled_chain": "A pulled chain", "colour_field": "Discs driven by a colour field", "electrolyte": "A driven electrolyte"}
LAWS = ("Crooks: P<sub>F</sub>(w)/P<sub>R</sub>(−w) = exp((w − ΔF)/k<sub>B</sub>T) from equilibrium to equilibrium; Jarzynski: ⟨exp(−w/k<sub>B</sub>T)⟩ = exp(−ΔF/k<sub>B</sub>T). "
        "From steady state to steady state P(s)/P(−s) = e<sup>s</sup> for s = heat/T + ln p(start)/p(end); Evans-Searles: the same for the time integral of the dissipation "
        "function from an equilibrium start. The logistic regression asks which direction a trajectory came from; its slope is 1 by Crooks, and its intercept with the slope "
        "held at 1 is BAR's ΔF. Errors are standard errors; distances are in standard errors. Units are the deck's own, k<sub>B</sub> = 1; for an electrolyte fs, K, eV and Å.")
PAGE = Page(lambda result: f"{TITLES[result.kind]}: work and fluctuation theorems", LAWS, PLOTS, NOUN, "exact")
draw, summary = PAGE.draw, PAGE.summary
