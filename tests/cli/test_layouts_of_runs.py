"""The same four replicas on other layouts of ranks, replicas x domains."""
import numpy as np
import pytest

from hpcnemd.storage import ensemble
from hpcnemd.storage.compare import compare
from whole_runs import run_deck, write_deck

LAYOUTS = {"1 rank": (1, 1), "2x1": (2, 1), "1x2": (2, 2), "2x2": (4, 2), "4x1": (4, 1)}      # replicas x domains: (ranks, ranks per replica)
STEPS_100 = [('equilibrate = "0.04 ps"\nsettle = "0.04 ps"\nmeasure = "0.4 ps"', 'measure = "0.2 ps"\nreplicas = 4'), ("checkpoint = 20", "checkpoint = 1000")]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """name -> (folder, arrays of the ensemble file) of four replicas over 100 steps from the start, each sampled."""
    home, done = tmp_path_factory.mktemp("layouts"), {}

    def get(name):
        if name not in done:
            ranks, per_replica = LAYOUTS[name]
            deck = write_deck(home / f"{name.replace(' ', '_')}.toml", *STEPS_100, ("[output]", f"[parallel]\nranks_per_replica = {per_replica}\n[output]"))
            run_deck(deck, ranks)
            found = ensemble.read(deck.with_suffix("") / "ensemble.h5")
            assert found.status == ["complete"] * 4
            done[name] = deck.with_suffix(""), found.arrays
        return done[name]
    return get


OTHERS = [name for name in LAYOUTS if name != "1 rank"]
pytestmark = pytest.mark.slow           # equal physics on any number of ranks, step by step: tests/mpi


@pytest.mark.parametrize("name", OTHERS)
def test_layouts_give_the_same_energies(layouts, name):
    reference, found = layouts("1 rank")[1], layouts(name)[1]
    total, other = (one["potential_series"] + one["kinetic_series"] for one in (reference, found))
    assert total.shape == (4, 101) and np.isfinite(total).all() and len(np.unique(total[:, 50])) == 4
    assert (np.ptp(total, axis=1) > 1e-5 * np.abs(total[:, 0])).all()           # the comparison is not one of constants
    assert np.abs(other / total - 1).max() < 1e-10


def scale(arrays, name):
    """What round-off in a dataset is relative to: differences of energies to the energy, displacements to the box, the rest to its largest value."""
    if name in ("ledger_error", "ledger_series", "energy_change", "heat", "work"):
        return np.abs(arrays["kinetic_series"]).max()
    if name in ("species_displacement", "displacement_current", "final_position", "msd", "displacement_spread", "tracer_spread"):
        return 13.17
    return np.nanmax(np.abs(arrays[name]))


@pytest.mark.parametrize("name", OTHERS)
def test_layouts_give_the_same_rows(layouts, name):
    """Round-off grows in a fluid of ions: 1e-16 has become some 1e-12 after 100 steps, in forces and in all that follows from them."""
    reference, found = layouts("1 rank")[1], layouts(name)[1]
    assert sorted(found) == sorted(reference)
    for key, value in reference.items():
        assert found[key].dtype == value.dtype and found[key].shape == value.shape
        assert np.array_equal(np.isnan(found[key]), np.isnan(value)), key
        if key != "mesh_force":                                 # a sum that would vanish without round-off and interpolation
            assert np.nanmax(np.abs(found[key] - value), initial=0) <= 1e-9 * scale(reference, key), key


@pytest.mark.parametrize("one, other", [("1x2", "2x2"), ("1 rank", "2x1"), ("1 rank", "4x1")])
def test_equal_numbers_of_domains_give_equal_bits(layouts, one, other):
    """So it makes no difference which replicas ran side by side: ensemble, trajectories and checkpoints are the same."""
    assert compare(layouts(one)[0], layouts(other)[0]) == []
