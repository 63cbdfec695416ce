"""MPI-parallel nonequilibrium molecular dynamics and nonequilibrium thermodynamics."""
__version__ = "0.1.0"


def load(path):
    """A deck, read and validated, ready to `.run(comm)`; see `hpcnemd.app.deck`. Raises InputError with every problem at once."""
    from .app.deck import load_deck
    return load_deck(path)
