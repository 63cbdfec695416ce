"""The model: mother systems with daughters at several fields. A row of the ensemble file is a mother at one of them; start points are the same at all."""
import numpy as np

from ..irreversibility.launched import PreparedEnsemble
from ..system import system_of_deck
from ..work_theorems.electrolyte import Electrolyte

NOUN = "mother systems"


class Transients(Electrolyte):
    """`rows` as Electrolyte's, at the fraction of the field that the branch stands for. Random numbers are those of the mother, whatever the field."""
    table_name = "transients"

    def __init__(self, deck, system):
        super().__init__(deck, system)
        self.branch_names = tuple(f"{fraction:g} of the field" for fraction in self.table.fractions)
        self.attributes |= {"fields": self.table.field * np.array(self.table.fractions), "beta": self.beta}

    def rows(self, comm, branch, ids):
        """Collective over `comm`. {dataset: (len(ids), ...)} of the mothers `ids`."""
        self.field = self.table.field * self.table.fractions[branch.number]
        return super().rows(comm, branch, ids)


def prepare(deck, base="."):
    """PreparedEnsemble of a Deck; `base` is the deck's folder. Raises InputError with every problem found; starts no MPI."""
    system = system_of_deck(deck.structure, deck.forcefield, base)
    return PreparedEnsemble(deck, Transients(deck, system), 1, NOUN, system)
