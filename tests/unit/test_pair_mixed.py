"""Mixed precision on every kernel path: forces within a bound that follows from the roundings, against the sum over all images in double precision."""
from types import SimpleNamespace

import numpy as np
import pytest
from pair_oracle import brute_force, derivative, folded, half_shell, make_forcefield, pair_function, random_positions

from hpcnemd.app.deck import load_deck
from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError
from hpcnemd.core.state import State
from hpcnemd.core.units import COULOMB
from hpcnemd.experiments.ionic_conductivity.replica import Replica
from hpcnemd.forces.pair import PairForces, RealSpace
from hpcnemd.kernels.coefficients import DEGREES, TOLERANCE
from hpcnemd.kernels.simd import available_paths

PATHS = available_paths()
U = 2.0**-24            # rounding of float32
BLOCK = 64              # most terms that are added in float32
NAMES = ("A", "B", "C")
ROWS = [("A", "A", "lennard_jones", dict(epsilon=0.02, sigma=1.8)), ("A", "B", "morse", dict(D0=0.4, alpha=1.7, r0=2.0)),
        ("B", "B", "born_mayer_huggins", dict(A=0.2, sigma=2.3, rho=0.32, C=6.0, D=8.0)), ("A", "C", "nm46", dict(n=9, H=60.0, P=1.4, W=3.0)),
        ("C", "C", "hertz", dict(stiffness=0.7, contact=2.9)), ("B", "C", "buckingham", dict(A=900.0, rho=0.3, C=5.0))]


def pair_bound(terms, product, constant, beta, cutoff, r):
    """Bound of the error (eV/angstrom) of one component of the force of pairs at distances r, in roundings of float32.

    dx: the difference of integers is exact, its conversion, the unit and their product round (3 u). r^2: twice that and 3 sums (9 u). 1/r: half of it, root
    and division, or two steps of Newton's method (8 u at most). r = r^2/r: 17 u if all signs conspire. A power n: (n + 2) times 8 u, as many products, the
    parameter and the last product with dx: (10 n + 30) u. exp(-d r): its exponent d r log2(e) is off by 19 u of itself, the polynomial by 1.4 u, products and
    1/r 20 u more. Hertz: 17 u of r against the overlap. Ewald's correction b^3 C(x), x = (b r)^2, |C| < 0.76, |C'| < 0.46: 9 u of x, one u of the whole
    interval by the scaling to [-1, 1], and 2 u for each of at most 32 coefficients."""
    bound = np.zeros_like(r)
    for n, c in terms.powers.items():
        bound += np.abs(n * c) / r**(n + 1) * (10 * n + 30) * U
    exponent = terms.decay * r
    for factor, a in ((1, terms.a1), (2, terms.a2)):
        bound += np.abs(factor * terms.decay * a) * np.exp(-factor * exponent) * (factor * (19 * exponent + 1.4) + 30) * U
    overlap = np.maximum(terms.contact - r, 0.0)
    bound += 2.5 * terms.stiffness * (overlap**1.5 * 30 * U + 1.5 * np.sqrt(overlap + 17 * U * r) * 17 * U * r)
    x = (beta * r)**2
    correction = 0.46 * (9 * x + (beta * cutoff)**2) * U + 0.76 * 2 * max(DEGREES["mixed"]) * U + TOLERANCE["mixed"]
    return bound + np.abs(product) * (40 * U / r**2 + beta**3 * r * correction) + np.abs(constant) * 15 * U


def bounds_of(box, species, position, field, cutoff, truncation, coulomb, quantum):
    """(n,) bound of the error of a force component of each particle: every pair's own, its part in the sums, and the grid of positions (`quantum`);
    (n,) sum of the strengths of its pair forces."""
    out, strength = np.zeros((2, len(species)))
    reach = np.where(np.arange(3) < box.dimensions, np.ceil(cutoff / box.heights) + 1, 0).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in reach), indexing="ij"), -1).reshape(-1, 1, 1, 3)
    r = np.linalg.norm(position[:, None] - position - shifts @ box.matrix, axis=3)
    for a, first in enumerate(field.species):
        for b, second in enumerate(field.species):
            _, i, j = found = np.nonzero((r < cutoff) & (r > 0) & (species[:, None] == a) & (species == b))
            if not len(i):
                continue
            d, terms, product = r[found], field.terms(first, second), COULOMB * field.charges[a] * field.charges[b] if coulomb else 0.0
            functions = pair_function(field, field.species, a, b, cutoff, truncation, coulomb)
            force, beyond = (-derivative(lambda s: sum(f(s) for f in functions), at) for at in (d, d * (1 + 1e-5)))
            stiff = np.abs(beyond - force) / (1e-5 * d) + np.abs(force) / d
            constant = np.abs(terms.force(cutoff)) + np.abs(product) / cutoff**2
            one = pair_bound(terms, product, constant, coulomb.beta if coulomb else 0.0, cutoff, d)
            np.add.at(out, i, one + (BLOCK + 4) * U * np.abs(force) + 2 * quantum * stiff)
            np.add.at(strength, i, np.abs(force))
    return out, strength


def both(path, rows, charges, lengths, n, cutoff, truncation, kind, dimensions=3, closest=1.5, skew=(0.0, 0.0, 0.0)):
    """Mixed forces, exact forces, bounds and strengths as `bounds_of` gives them, virial and energies of either."""
    rng, box = np.random.default_rng(4), Box(np.array(lengths, float), dimensions, skew)
    coulomb = RealSpace(kind, 1.75 / cutoff, cutoff) if kind else None
    field = make_forcefield(NAMES, rows, charges, coulomb is not None)
    species, position = rng.integers(0, 3, n).astype(np.int32), random_positions(rng, box, n, closest)
    state = State.of(box, field.kinds(), species, position)
    forces = PairForces(field, state.kinds, box, cutoff, 0.4, truncation, coulomb, path, "mixed")
    assert forces.path == path
    owner = half_shell(state, forces.list_radius)
    forces.build(state)
    state.force[:] = 0.0
    result = forces.compute(state, True)
    got = folded(state, owner)
    state.force[:] = 0.0
    forces.compute(state, False)
    assert np.array_equal(folded(state, owner), got)                # the silent kernel has the same bits
    short, far, virial, wanted = brute_force(box, species, state.position[:n], NAMES, field, cutoff, truncation, coulomb)
    roundings = 3 if box.tilted else 1                              # of a place to the grid: its own and those of two tilts
    bounds = bounds_of(box, species, state.position[:n], field, cutoff, truncation, coulomb, roundings * float(forces.period.max()) / 2**32)
    return got, wanted, *bounds, np.append(result.virial.ravel(), result[:2]), np.append(virial.ravel(), (short, far))


CASES = {"all forms, charged": (ROWS, (1.0, -2.0, 1.0), (8.0, 7.0, 9.0), 45, 4.0, "shift_force", "ewald"),
         "cutoff beyond the box": (ROWS, (1.0, -2.0, 1.0), (3.0, 6.0, 2.9), 6, 6.3, "shift_force", "ewald"),
         "one dimension": (ROWS[:1] + ROWS[3:4], None, (30.0, 1.0, 1.0), 11, 4.0, "plain", None, 1),
         "two dimensions": (ROWS[:1] + ROWS[3:4], None, (12.0, 3.5, 1.0), 9, 4.0, "plain", None, 2),
         "tilted": (ROWS, (1.0, -2.0, 1.0), (8.0, 7.0, 9.0), 45, 4.0, "shift_force", "ewald", 3, 1.5, (0.5, -0.4, 0.3)),
         "tilted, cutoff beyond the box": (ROWS, (1.0, -2.0, 1.0), (3.6, 6.0, 3.4), 6, 6.3, "shift_force", "ewald", 3, 1.5, (-0.5, 0.5, 0.5)),
         "a large box": (ROWS[:1] + ROWS[3:4], None, (900.0, 6.0, 5.0), 120, 4.0, "plain", None)}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", CASES)
def test_forces_within_the_bound_of_their_roundings(path, case):
    got, wanted, bound, strength, sums, exact = both(path, *CASES[case])
    error = np.abs(got - wanted).max(axis=1)
    assert np.all(error <= bound)
    assert bound.sum() < 1e-4 * strength.sum()                      # a bound that a wrong kernel could keep would be none
    assert error.max() > 1e-9 * np.abs(wanted).max()                # and this is not double precision
    assert np.abs(sums - exact).max() < 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("path", PATHS)
def test_a_pair_has_the_same_force_at_every_image(path):
    """Moved by whole boxes or cut into other clusters, two ions feel the same force to the last bit; exactly opposite forces."""
    field = make_forcefield(NAMES, ROWS, (1.0, -2.0, 1.0), True)
    box, found = Box(np.array([8.0, 7.0, 9.0])), set()
    coulomb = RealSpace("ewald", 1.75 / 4.0, 4.0)
    for first, second in (((0.3, 6.8, 1.0), (7.5, 0.6, 2.5)), ((7.5, 0.6, 2.5), (0.3, 6.8, 1.0))):
        species = np.array([0, 1], np.int32) if first[0] < 1 else np.array([1, 0], np.int32)
        state = State.of(box, field.kinds(), species, np.array([first, second]))
        forces = PairForces(field, state.kinds, box, 4.0, 0.4, "shift_force", coulomb, path, "mixed")
        owner = half_shell(state, forces.list_radius)
        forces.build(state)
        for _ in range(2):
            state.force[:] = 0.0
            forces.compute(state, False)
            force = folded(state, owner)
            assert np.array_equal(force[0], -force[1])
            found.add(force[int(np.flatnonzero(species == 0)[0])].tobytes())
            state.position[:state.n_all] += 3 * box.lengths          # all rows alike: the fractions of the box stay
    assert len(found) == 1


def test_other_precision_is_told(tmp_path):
    field = make_forcefield(NAMES, ROWS[:1])
    with pytest.raises(InputError, match='precision "single": write one of double, mixed'):
        PairForces(field, field.kinds(), Box(np.full(3, 9.0)), 4.0, 0.3, precision="single")
    text = ('experiment = "ionic_conductivity"\n[structure]\nbuild = "nacl_melt"\n[forcefield]\ntable = "nacl_tosi_fumi"\n{}[run]\ntemperature = "1100 K"\nmeasure = "1 ps"\n'
            '[drive]\nkind = "none"\nmobile = "all"\n')
    decks = []
    for name, line in (("double", ""), ("mixed", 'precision = "mixed"\n')):
        (tmp_path / f"{name}.toml").write_text(text.format(line))
        decks.append(load_deck(tmp_path / f"{name}.toml").deck)
    mine = SimpleNamespace(prepared=SimpleNamespace(deck=decks[1]), folder="here")
    Replica._check_identity(mine, decks[1].identity())
    with pytest.raises(InputError, match="checkpoint of a run with other forcefield.precision"):
        Replica._check_identity(mine, decks[0].identity())
