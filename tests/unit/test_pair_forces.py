"""Pair forces on every kernel path against the sum over all images."""
import os
import subprocess
import sys

import numpy as np
import pytest
from pair_oracle import brute_force, folded, half_shell, make_forcefield, random_positions

from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError
from hpcnemd.core.state import State
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.forces.pair import PairForces, RealSpace
from hpcnemd.kernels.simd import available_paths

PATHS = available_paths()
BUCKINGHAM = [("A", "B", "buckingham", dict(A=900.0, rho=0.3, C=5.0)), ("B", "B", "buckingham", dict(A=2000.0, rho=0.25, C=27.0))]
MIXED = [("A", "A", "lennard_jones", dict(epsilon=0.02, sigma=1.8)), ("A", "B", "morse", dict(D0=0.4, alpha=1.7, r0=2.0)),
         ("B", "B", "born_mayer_huggins", dict(A=0.2, sigma=2.3, rho=0.32, C=6.0, D=8.0)), ("A", "C", "nm46", dict(n=9, H=60.0, P=1.4, W=3.0)),
         ("C", "C", "hertz", dict(stiffness=0.7, contact=2.9))]
HERTZ = [("A", "A", "hertz", dict(stiffness=0.7, contact=2.2)), ("A", "B", "hertz", dict(stiffness=1.1, contact=2.6))]
NM46 = [("A", "A", "nm46", dict(n=11, H=0.16, P=0.0, W=0.0)), ("A", "B", "nm46", dict(n=9, H=130.0, P=1.9, W=0.0)), ("B", "B", "nm46", dict(n=7, H=532.0, P=2.98, W=84.5))]


def compare(path, names, rows, charges, lengths, n, cutoff, truncation, kind, dimensions=3, seed=1, tolerance=1e-9, closest=1.2):
    """Forces, energies and virial of n random particles against the oracle's."""
    rng = np.random.default_rng(seed)
    box = Box(np.array(lengths, float), dimensions)
    coulomb = RealSpace(kind, 1.75 / cutoff, cutoff) if kind else None       # one degree of polynomials, so few kernels
    field = make_forcefield(names, rows, charges, coulomb is not None)
    kinds = field.kinds()
    species = rng.integers(0, len(names), n).astype(np.int32)
    position = random_positions(rng, box, n, closest)
    state = State.of(box, kinds, species, position)
    forces = PairForces(field, kinds, box, cutoff, 0.4, truncation, coulomb, path)
    owner = half_shell(state, forces.list_radius)
    forces.build(state)
    state.force[:] = 0.0
    result = forces.compute(state, True)
    got = folded(state, owner)
    short, far, virial, wanted = brute_force(box, species, state.position[:n], names, field, cutoff, truncation, coulomb)
    scale = max(np.abs(wanted).max(), 1e-3)
    assert np.abs(got - wanted).max() < tolerance * scale
    assert abs(result.energy_short - short) < tolerance * max(abs(short), 1.0)
    assert abs(result.energy_coulomb - far) < tolerance * max(abs(far), 1.0)
    assert np.abs(result.virial - virial).max() < tolerance * max(np.abs(virial).max(), 1.0)
    state.force[:] = 0.0
    assert forces.compute(state, False) is None
    assert np.array_equal(folded(state, owner), got)          # the silent kernel has the same bits
    return forces


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("truncation", ["plain", "shift", "shift_force", "switch"])
def test_ionic_three_species(path, truncation):
    forces = compare(path, ("A", "B", "C"), BUCKINGHAM, (1.0, -2.0, 0.0), (9.0, 11.0, 10.0), 61, 5.0, truncation, "ewald")
    assert forces.path == path


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("truncation", ["plain", "switch"])
def test_damped_shifted_force(path, truncation):
    compare(path, ("A", "B"), BUCKINGHAM, (1.0, -1.0), (8.0, 9.0, 7.0), 40, 4.5, truncation, "dsf")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("lengths", [(4.0, 5.0, 3.5), (2.9, 2.9, 2.9), (30.0, 3.0, 3.0)])
def test_cutoff_beyond_the_box(path, lengths):
    compare(path, ("A", "B"), BUCKINGHAM, (1.0, -1.0), lengths, 6, 6.3, "shift_force", "ewald")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 9])
def test_few_particles(path, n):
    compare(path, ("A", "B"), BUCKINGHAM, (1.0, -1.0), (4.0, 4.5, 5.0), n, 5.0, "shift_force", "ewald")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rows, names, truncation", [(MIXED, ("A", "B", "C"), "switch"), (HERTZ, ("A", "B"), "shift_force"), (NM46, ("A", "B"), "shift_force")])
def test_forms_without_charge(path, rows, names, truncation):
    compare(path, names, rows, None, (8.0, 7.0, 9.0), 45, 4.0, truncation, None, closest=1.5)


@pytest.mark.parametrize("path", PATHS)
def test_forms_with_charge(path):
    compare(path, ("A", "B", "C"), MIXED, (1.0, -2.0, 1.0), (8.0, 7.0, 9.0), 45, 4.0, "shift_force", "ewald", closest=1.5)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dimensions, lengths, n", [(1, (30.0, 1, 1), 9), (1, (3.1, 1, 1), 2), (2, (14.0, 12.0, 1), 33), (2, (3.0, 14.0, 1), 7)])
def test_fewer_dimensions(path, dimensions, lengths, n):
    compare(path, ("A", "B"), HERTZ, None, lengths, n, 3.0, "shift_force", None, dimensions)
    compare(path, ("A", "B"), NM46, None, lengths, n, 4.0, "shift", None, dimensions, closest=1.5)


@pytest.mark.parametrize("path", PATHS)
def test_charges_only(path):
    compare(path, ("A", "B"), [], (1.0, -1.0), (8.0, 7.0, 9.0), 30, 4.0, "shift_force", "ewald")


@pytest.mark.parametrize("path", PATHS)
def test_nothing_owned_and_nothing_acting(path):
    field = make_forcefield(("A", "B"), BUCKINGHAM)
    box, kinds = Box(np.array([5.0, 5.0, 5.0])), field.kinds()
    state = State.of(box, kinds, np.zeros(3, np.int32), np.eye(3))
    state.n_owned, state.n_ghost = 0, 3                       # an empty rank that still has ghosts
    forces = PairForces(field, kinds, box, 4.0, 0.5, path=path)
    forces.build(state)
    result = forces.compute(state, True)
    assert result.energy_short == 0 and not result.virial.any() and not state.force.any() and forces.displacement(state) == 0
    compare(path, ("A",), [], None, (5.0, 5.0, 5.0), 7, 4.0, "plain", None)


def spline_forcefield(tmp_path, spacing):
    """A pair A-A tabulated from a Buckingham function, on a uniform or a stretched grid."""
    r = np.linspace(0.8, 6.0, 1200) if spacing == "uniform" else np.geomspace(0.8, 6.0, 1200)
    u, f = 900 * np.exp(-r / 0.3) - 5 / r**6, 900 / 0.3 * np.exp(-r / 0.3) - 30 / r**7
    np.savetxt(tmp_path / "aa.dat", np.stack([r, u, f], axis=1), fmt="%.15e")
    (tmp_path / "f.toml").write_text("""cutoff = 5.0
[species.A]
mass = 1.0
charge = 0.0
provenance = "derived"
[[pair]]
between = ["A", "A"]
form = "tabulated"
file = "aa.dat"
provenance = "derived"
""")
    return load_forcefield(tmp_path / "f.toml")


@pytest.mark.parametrize("spacing", ["uniform", "stretched"])
def test_tabulated_pair(tmp_path, spacing):
    """A fine table of a known function: error of the cubic pieces only (step 4e-3: h^4/384 times the fourth derivative, 1e-4 at r = 1.2)."""
    field = spline_forcefield(tmp_path, spacing)
    box, kinds = Box(np.array([7.0, 8.0, 6.0])), field.kinds()
    rng = np.random.default_rng(5)
    position = random_positions(rng, box, 30, 1.3)
    state = State.of(box, kinds, np.zeros(30, np.int32), position)
    forces = PairForces(field, kinds, box, 5.0, 0.3, "shift_force")
    assert forces.path == "plain"
    owner = half_shell(state, forces.list_radius)
    forces.build(state)
    state.force[:] = 0
    result = forces.compute(state, True)
    known = make_forcefield(("A",), [("A", "A", "buckingham", dict(A=900.0, rho=0.3, C=5.0))])
    short, _, virial, wanted = brute_force(box, np.zeros(30, int), state.position[:30], ("A",), known, 5.0, "shift_force", None)
    assert np.abs(folded(state, owner) - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert abs(result.energy_short - short) < 1e-6 * abs(short)
    assert forces.minimum_distance[0, 0] == pytest.approx(0.8)


def test_tabulated_columns_that_disagree(tmp_path):
    r = np.linspace(1, 5, 200)
    np.savetxt(tmp_path / "aa.dat", np.stack([r, 10 / r, -10 / r**2], axis=1))
    (tmp_path / "f.toml").write_text('cutoff = 5.0\n[species.A]\nmass = 1.0\nprovenance = "derived"\n[[pair]]\nbetween = ["A", "A"]\nform = "tabulated"\nfile = "aa.dat"\n'
                                     'provenance = "derived"\n')
    with pytest.raises(InputError, match="disagree"):
        load_forcefield(tmp_path / "f.toml")


@pytest.mark.parametrize("path", PATHS)
def test_same_rows_same_bits(path):
    """Two builds of the same rows, and a build after a larger system used the same buffers, give the same bits."""
    field = load_forcefield("nacl_tosi_fumi")
    kinds, box = field.kinds(), Box(np.array([12.0, 12.0, 12.0]))
    rng = np.random.default_rng(3)
    position = random_positions(rng, box, 60, 1.8)
    species = (np.arange(60) % 2).astype(np.int32)

    def run(forces):
        state = State.of(box, kinds, species, position)
        owner = half_shell(state, forces.list_radius)
        forces.build(state)
        state.force[:] = 0
        result = forces.compute(state, True)
        return folded(state, owner), result
    forces = PairForces(field, kinds, box, 6.0, 0.5, coulomb=RealSpace("ewald", 0.4, 6.0), path=path)
    first, second = run(forces), run(forces)
    big = State.of(Box(np.array([24.0, 24.0, 24.0])), kinds, np.tile(species, 8), np.concatenate([position + 12.0 * np.array(k) for k in np.ndindex(2, 2, 2)]))
    half_shell(big, forces.list_radius)
    forces.build(big)
    forces.compute(big, False)
    third = run(forces)
    for other in (second, third):
        assert np.array_equal(first[0], other[0]) and first[1].energy_short == other[1].energy_short and np.array_equal(first[1].virial, other[1].virial)


def test_kernels_come_from_the_cache_in_a_second_process(tmp_path):
    """The second process compiles nothing: every generated kernel and every list kernel is a cache hit."""
    program = """
import numpy as np
from hpcnemd.core.box import Box
from hpcnemd.core.state import State
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.forces.pair import PairForces, RealSpace
from hpcnemd.kernels import neighbours, pair_slots
field = load_forcefield("nacl_tosi_fumi")
box, kinds = Box(np.full(3, 9.0)), field.kinds()
forces = PairForces(field, kinds, box, 4.0, 0.5, coulomb=RealSpace("ewald", 0.4, 4.0))
state = State.of(box, kinds, np.array([0, 1], np.int32), np.array([[1.0, 1, 1], [3, 3, 3]]))
forces.build(state)
forces.compute(state, True)
used = [forces.kernel, neighbours.sort_columns, neighbours.fill_slots, pair_slots.spread_parameters]
print(sum(sum(k.stats.cache_hits.values()) for k in used), sum(sum(k.stats.cache_misses.values()) for k in used), *state.force[:2].ravel())
"""
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path), HPCNEMD_KERNELS="auto")
    runs = [subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300) for _ in range(2)]
    assert all(run.returncode == 0 for run in runs), runs[-1].stderr
    first, second = (run.stdout.split() for run in runs)
    assert first[:2] == ["0", "4"] and second[:2] == ["4", "0"]
    assert first[2:] == second[2:]


def test_errors_name_what_to_do(monkeypatch):
    field = load_forcefield("lennard_jones_reduced")
    kinds, box = field.kinds(), Box(np.full(3, 9.0))
    with pytest.raises(InputError, match="truncation"):
        PairForces(field, kinds, box, 2.5, 0.3, "cut")
    with pytest.raises(InputError, match="no Coulomb part"):
        PairForces(field, kinds, box, 2.5, 0.3, coulomb=RealSpace("ewald", 1.0, 2.5))
    with pytest.raises(InputError, match="positive cutoff"):
        PairForces(field, kinds, box, 0.0, 0.3)
    monkeypatch.setenv("HPCNEMD_KERNELS", "sse9")
    with pytest.raises(InputError, match="HPCNEMD_KERNELS"):
        PairForces(field, kinds, box, 2.5, 0.3)
    monkeypatch.setenv("HPCNEMD_KERNELS", "plain")
    assert PairForces(field, kinds, box, 2.5, 0.3).path == "plain"
