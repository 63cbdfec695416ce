"""Short runs of molten salt: what a driven species and a current held at zero must obey exactly."""
import numpy as np
import pytest

from hpcnemd.experiments import ionic_conductivity
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble


def run(folder, **drive):
    deck = {"experiment": "ionic_conductivity", "structure": {"build": "nacl_melt"},
            "forcefield": {"table": "nacl_tosi_fumi", "cutoff": "6 angstrom", "coulomb": {"method": "dsf", "damping": "0.25 1/angstrom"}},
            "run": {"temperature": "1100 K", "timestep": "2 fs", "measure": "0.16 ps", "block": "0.04 ps"}, "drive": {"mobile": "all", **drive}}
    prepared = ionic_conductivity.prepare(ionic_conductivity.Deck.model_validate(deck), ".")
    ionic_conductivity.run(prepared, Layout(SerialComm(), 1, box=prepared.system.box), folder)
    return prepared, ensemble.read(folder / "ensemble.h5")


def test_one_species_of_a_binary_salt_is_driven_as_the_salt_is(tmp_path):
    """The balanced force on Na alone is the ordinary one at E m_Cl/(m_Na + m_Cl), ion by ion: the same motion, J_Na = J / (1 + m_Na/m_Cl), and the same work."""
    prepared, alone = run(tmp_path / "alone", kind="constant_field", field=0.04, species="Na")
    light, heavy = (prepared.colour.mass[prepared.system.kinds.names.index(name)] for name in ("Na", "Cl"))
    _, whole = run(tmp_path / "whole", kind="constant_field", field=0.04 * heavy / (light + heavy))
    assert alone.arrays["current"][0] * (1 + light / heavy) == pytest.approx(whole.arrays["current"][0], rel=1e-6)
    assert alone.arrays["work"][0] == pytest.approx(whole.arrays["work"][0], rel=1e-6)
    assert alone.attributes["driven_species"] == "Na" and np.allclose(alone.arrays["displacement_current"], whole.arrays["displacement_current"], atol=1e-6)


def test_the_current_is_held_at_zero_and_its_field_is_kept(tmp_path):
    _, found = run(tmp_path / "zero", kind="zero_current")
    assert np.abs(found.arrays["current"][0]).max() < 1e-12
    moved = found.arrays["displacement_current"][0]
    assert np.abs(moved[:, 0]).max() < 1e-9 * np.abs(moved[:, 1:]).max()
    impulse, series = found.arrays["impulse"][0], found.arrays["impulse_series"][0]
    assert np.abs(impulse).max() > 0 and series[-1] == pytest.approx(impulse.sum(), rel=1e-9, abs=1e-12) and series[0] == 0.0
    assert np.abs(found.arrays["work"][0]).max() < 1e-12
