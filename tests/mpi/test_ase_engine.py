"""Forces of ASE calculators: the same as the program's own, on any number of ranks; what is refused."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError, PhysicsError
from hpcnemd.dynamics.colour import Colour
from hpcnemd.dynamics.loop import advance
from hpcnemd.dynamics.velocities import draw_velocities
from hpcnemd.experiments import ionic_conductivity
from hpcnemd.experiments.system import simulation_of, system_of_deck
from hpcnemd.experiments.tables import ForcefieldTable, StructureTable
from hpcnemd.parallel.domain import gather_sorted, scatter
from hpcnemd.parallel.layout import Layout, choose_grid
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble

comm = MPI.COMM_WORLD
TESTS = Path(__file__).resolve().parents[1]
CHARGES = {"Na": 1, "Cl": -1}
LENNARD_JONES = {"calculator": "ase.calculators.lj.LennardJones", "arguments": {"sigma": 2.2, "epsilon": 0.05, "rc": 3.5}, "formal_charges": CHARGES}
NETWORK = {"calculator": "network_potential.py:make", "arguments": {"cutoff": 3.3}, "formal_charges": CHARGES}
OWN = """name = "argon_like"
cutoff = 3.5
[species.Na]
mass = 22.98976928
formal_charge = 1
charge = 0.0
provenance = "derived"
[species.Cl]
mass = 35.45
formal_charge = -1
charge = 0.0
provenance = "derived"
""" + "".join(f'[[pair]]\nbetween = ["{a}", "{b}"]\nform = "lennard_jones"\nepsilon = 0.05\nsigma = 2.2\nprovenance = "derived"\n'
              for a, b in (("Na", "Na"), ("Na", "Cl"), ("Cl", "Cl")))


def started(world, forcefield, base=TESTS, temperature=600.0, supercell=(2, 2, 1), skew=(0.0, 0.0, 0.0)):
    """A Simulation of rock salt, sheared, disturbed, with velocities, at step 0."""
    system = system_of_deck(StructureTable(build="nacl", supercell=supercell), ForcefieldTable(skin="0.5 angstrom", **forcefield), base)
    box = Box(system.box.lengths, skew=skew)
    system = replace(system, box=box, position=box.placed(system.position))
    sim = simulation_of(system, Colour.of(system.kinds, system.counts, "all"), world, choose_grid(world.size, system.box.lengths), 2.0, 5, 0)
    position = system.position + np.random.default_rng(3).normal(scale=0.15, size=system.position.shape)
    scatter(sim.domain, sim.state, {"species": system.species, "position": position})
    draw_velocities(world, sim.state, temperature, 5, 0)
    sim.start()
    return sim


def everything(sim):
    """On rank 0: (forces (n, 3) by id, potential, virial); else None."""
    found = gather_sorted(sim.comm, sim.state, ("force",))
    return None if found is None else (found["force"], sim.shared.potential, sim.shared.virial)


@pytest.mark.mpi
@pytest.mark.skipif(comm.size > 2, reason="four ranks share the space below")
@pytest.mark.parametrize("skew", [pytest.param((0.0, 0.0, 0.0), marks=pytest.mark.slow), (0.3, -0.4, 0.2)])
def test_lennard_jones_of_ase_is_our_own(mpi_tmp_path, skew):
    """Forces, energy and virial on all ranks against the program's own table on one, in a box shorter than two ranges, at the start and after 15 steps."""
    if comm.rank == 0:
        (mpi_tmp_path / "own.toml").write_text(OWN)
    comm.Barrier()
    own = started(SerialComm(), {"table": "own.toml", "truncation": "shift"}, mpi_tmp_path, skew=skew)
    ase = started(comm, LENNARD_JONES | {"interaction_range": "3.5 angstrom"}, skew=skew)
    for until in (0, 15):
        for sim in (own, ase):
            advance(sim, until)
            sim.evaluate(observe=True)
        expected, found = everything(own), everything(ase)
        if comm.rank == 0:
            assert np.abs(expected[0]).max() > 0.1
            assert np.abs(found[0] - expected[0]).max() < 1e-9 * max(1.0, np.abs(expected[0]).max())
            assert found[1] == pytest.approx(expected[1], rel=1e-10) and found[2] == pytest.approx(expected[2], rel=1e-8, abs=1e-8)
    assert ase.rebuilds > 1


@pytest.mark.mpi
@pytest.mark.skipif(comm.size == 3, reason="two and four ranks")
def test_ranks_share_the_space_of_a_network():
    """Against the whole periodic cell on one rank; the pressure of a cluster is not known, for the model has no atomic stresses."""
    whole = started(SerialComm(), NETWORK, supercell=(2, 1, 1))
    shared = started(comm, NETWORK | {"interaction_range": "3.3 angstrom"}, supercell=(2, 1, 1))
    for sim in (whole, shared):
        advance(sim, 5)
        sim.evaluate(observe=True)
    expected, found = everything(whole), everything(shared)
    if comm.rank == 0:
        assert np.abs(expected[0]).max() > 0.1 and np.abs(found[0] - expected[0]).max() < 1e-9
        assert found[1] == pytest.approx(expected[1], rel=1e-10)
        assert np.isfinite(expected[2]).all() and np.isnan(found[2]).all() == (comm.size > 1)


def test_energy_is_kept_in_a_network():
    """Without a thermostat, 100 steps of 1 fs: a force that is not the energy's derivative would show."""
    sim = started(SerialComm(), NETWORK, temperature=300.0, supercell=(1, 1, 1))
    sim.timestep = 1.0
    start = sim.energy
    advance(sim, 100)
    sim.evaluate(observe=True)
    assert abs(sim.energy - start) < 2e-3 * sim.kinetic


@pytest.mark.mpi
def test_a_failing_calculator_ends_all_ranks():
    sim = started(comm, LENNARD_JONES | {"interaction_range": "3.5 angstrom"})
    if comm.rank == 0:
        sim.forces.calculator.calculate = None
    with pytest.raises(PhysicsError, match="after step 0: the calculator LennardJones failed with TypeError"):
        advance(sim, 1)


@pytest.mark.parametrize("changes, said", [
    ({"calculator": "ase.calculators.lj.LenardJones"}, r'calculator = "ase.calculators.lj.LenardJones": AttributeError.*write "package.module.Calculator"'),
    ({"calculator": "nothing.py:make"}, "FileNotFoundError"),
    ({"arguments": {"seed": "x"}, "calculator": "network_potential.py:make"}, "TypeError when it was called with"),
    ({"arguments": {"cutof": [1]}, "calculator": "builtins.dict"}, "no ASE calculator with energy and forces"),
    ({"formal_charges": {"Na": 1}}, r"has no parameters for Cl"),
    ({"formal_charges": {"Na": 1, "Chlorine": -1}}, "'Chlorine' is no chemical symbol"),
    ({"formal_charges": {"Na": 0.6, "Cl": -0.6}}, "whole charges"),
    ({"masses": {"K": 39}}, "no such species in forcefield.formal_charges"),
    ({"formal_charges": {}}, "does not know who carries the current"),
    ({"table": "nacl_tosi_fumi"}, "exclude each other"),
    ({"truncation": "shift"}, "truncation belongs to a table"),
])
def test_what_is_wrong_is_told(changes, said):
    table = LENNARD_JONES | changes
    with pytest.raises((InputError, ValueError), match=said):
        system_of_deck(StructureTable(build="nacl"), ForcefieldTable(**table), TESTS)


@pytest.mark.mpi
@pytest.mark.skipif(comm.size > 2, reason="forces on more ranks are compared with those on one above")
def test_a_current_is_driven_through_a_network(mpi_tmp_path):
    deck = {"experiment": "ionic_conductivity", "structure": {"build": "nacl"}, "forcefield": NETWORK | {"interaction_range": "3.3 angstrom"},
            "run": {"temperature": "1500 K", "timestep": "1 fs", "measure": "0.004 ps", "blocks": 2, "sample": "1 fs"},
            "drive": {"kind": "constant_current", "drift_velocity": "1 angstrom/ps", "mobile": "all"}, "output": {"checkpoint": 1000}}
    run = ionic_conductivity.prepare(ionic_conductivity.Deck.model_validate(deck), TESTS)
    ionic_conductivity.run(run, Layout(comm, 1, box=run.system.box), mpi_tmp_path / "run")
    if comm.rank == 0:
        found = ensemble.read(mpi_tmp_path / "run" / "ensemble.h5")
        assert found.status == ["complete"] and found.attributes["forcefield"] == NETWORK["calculator"]
        assert np.abs(found.arrays["current"] / run.drive_value - 1).max() < 1e-12
        assert np.isfinite(found.arrays["impulse"]).all() and np.isnan(found.arrays["pressure"]).all() == (comm.size > 1)
        assert abs(found.arrays["ledger_error"][0, 1]) < 1e-3 * found.arrays["kinetic_series"][0, 0]       # the first block begins with the jump to the current
