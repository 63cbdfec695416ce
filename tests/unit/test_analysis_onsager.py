"""Onsager matrices of processes whose matrix is known: mixtures of Ornstein-Uhlenbeck displacements."""
import langevin_ions
import numpy as np
import pytest
from langevin_ions import EXACT, TEMPERATURE, VOLUME

from hpcnemd.analysis import einstein, onsager
from hpcnemd.core.units import SIEMENS_PER_METRE
from hpcnemd.experiments.ionic_conductivity import correlated, figures, report
from hpcnemd.experiments.ionic_conductivity.estimate import estimate

SAMPLE = 20.0
MIX = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.5, 0.7]])
CHARGES = np.array([1.0, 2.0, -1.0])
MATRIX = MIX @ MIX.T * EXACT / SIEMENS_PER_METRE           # 1/(eV angstrom fs): each column of the mixture has the conductivity EXACT


def mixture(rng, length, replicas=1):
    """(R, T, 3 species, 3 axes) angstrom."""
    independent = langevin_ions.displacement(rng, length, SAMPLE, (replicas, 3, 3))       # (R, process, axis, T)
    return np.einsum("sp,rpkt->rtsk", MIX, independent)


def matrix_of(displacement, samples, names=("a", "b", "c"), charges=CHARGES, basis=None):
    return onsager.onsager(onsager.paths_of(displacement, basis), SAMPLE, VOLUME, TEMPERATURE, samples, names, charges)


def test_the_sum_over_species_is_the_conductivity_of_the_charge_displacement():
    # the same window: equal to round-off, and so is the error
    moved = mixture(np.random.default_rng(1), 1500, replicas=2)
    for samples in (7, 20, 64):
        paths = einstein.paths_of(np.einsum("s,rtsk->rtk", CHARGES, moved))
        whole, found = einstein.green_kubo(paths, SAMPLE, VOLUME, TEMPERATURE, samples), matrix_of(moved, samples)
        assert found.conductivity().value == pytest.approx(whole.value, rel=1e-11)
        assert found.conductivity().error == pytest.approx(whole.error, rel=1e-11)
        assert sum(found.part(a, b).value for a in range(3) for b in range(3)) == pytest.approx(whole.value, rel=1e-11)
        assert sum(found.transference(a).value for a in range(3)) == pytest.approx(1.0, abs=1e-12)
        assert np.array_equal(found.matrix, found.matrix.T)


def test_errors_of_matrix_and_transference_numbers_are_their_scatter():
    """300 runs at one window. The mean square of (found - exact)/error is 1 with a standard error near 0.09 (heavier tails than a Gaussian's
    included; 0.082 without): 0.65 to 1.35 is 4 of them on either side, the chance that one of the twelve numbers leaves it is below 0.1 %."""
    rng = np.random.default_rng(2)
    squares = {}
    numbers = (CHARGES * (MATRIX @ CHARGES)) / (CHARGES @ MATRIX @ CHARGES)
    for _ in range(300):
        found = matrix_of(mixture(rng, 2000), 32)
        for a in range(3):
            for b in range(a + 1):
                exact_error = np.sqrt((MATRIX[a, b] ** 2 + MATRIX[a, a] * MATRIX[b, b]) / found.dof)
                squares.setdefault((a, b), []).append(((found.matrix[a, b] - MATRIX[a, b]) / exact_error) ** 2)
            squares.setdefault(a, []).append(((found.transference(a).value - numbers[a]) / found.transference(a).error) ** 2)
    assert all(0.65 < np.mean(values) < 1.35 for values in squares.values()), {key: np.mean(values) for key, values in squares.items()}


def test_the_reference_takes_any_common_motion_away():
    rng = np.random.default_rng(3)
    moved, counts, masses = rng.standard_normal((2, 30, 3, 3)).cumsum(axis=1), np.array([4, 7, 11]), np.array([6.9, 91.2, 16.0])
    drift = rng.standard_normal((2, 30, 1, 3)).cumsum(axis=1)
    for reference in ((False, True, True), (True, True, True), (False, False, True)):
        plain = onsager.referenced(moved, counts, masses, reference)
        assert onsager.referenced(moved + counts[:, None] * drift, counts, masses, reference) == pytest.approx(plain, abs=1e-11)
        frame = np.where(reference, masses, 0.0)
        assert np.einsum("s,rtsk->rtk", frame, plain) == pytest.approx(0, abs=1e-10)
    with pytest.raises(ValueError, match="no ion"):
        onsager.referenced(moved, counts, masses, (False, False, False))


def test_momentum_conservation_fixes_the_transference_numbers_of_a_binary_melt():
    """About the centre of mass the matrix has rank one: t = m_other / (m_1 + m_2), exactly and with no error."""
    counts, masses = np.array([28, 28]), np.array([22.99, 35.45])
    moved = onsager.referenced(mixture(np.random.default_rng(4), 800)[:, :, :2], counts, masses, (True, True))
    found = matrix_of(moved, 24, ("Na", "Cl"), np.array([1.0, -1.0]))
    assert found.matrix[0, 1] == pytest.approx(-masses[0] / masses[1] * found.matrix[0, 0], rel=1e-10)
    numbers = [found.transference(a) for a in (0, 1)]
    assert [t.value for t in numbers] == pytest.approx([masses[1] / masses.sum(), masses[0] / masses.sum()], rel=1e-10)
    assert max(t.error for t in numbers) < 1e-5


def test_an_axis_that_is_driven_is_left_out():
    moved = mixture(np.random.default_rng(5), 400)
    driven = moved.copy()
    driven[..., 0] += np.linspace(0, 1e4, 401)[None, :, None]
    basis = np.eye(3)[1:]
    assert np.array_equal(matrix_of(driven, 16, basis=basis).matrix, matrix_of(moved, 16, basis=basis).matrix)
    moved[0, 200:] = np.nan
    assert [len(path) for path in onsager.paths_of(moved)] == [200] * 3


def test_the_report_tells_who_carries_the_current(tmp_path):
    """Two mobile species in a framework at rest: parts, self and distinct parts, transference numbers, and their figure."""
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(6), "none")
    moved = mixture(np.random.default_rng(7), arrays["displacement_current"].shape[1] - 1, replicas=2)
    moved = np.stack([moved[:, :, 0], moved[:, :, 2], np.zeros_like(moved[:, :, 0])], axis=2)
    arrays |= {"species_displacement": moved, "displacement_current": moved[:, :, 0] - moved[:, :, 1], "msd": arrays["msd"][:, :, [0, 0, 1]],
               "temperature_species": arrays["temperature_species"][:, :, [0, 0, 1]]}
    attrs |= {"species": ["Li", "F", "X"], "counts": [40, 40, 28], "charges": [1.0, -1.0, 0.0], "mobile": ["Li", "F"], "mass": np.array([6.9, 19.0, 100.0])}
    result = estimate(arrays, attrs)
    found = result.numbers["onsager"]
    assert found["reference"] == "framework (X)" and "fixed_transference" not in found
    assert found["conductivity"]["value"] == pytest.approx(result.numbers["equilibrium"]["green_kubo"]["value"], rel=1e-10)
    parts = found["parts"]
    assert parts["Li-Li"]["value"] + 2 * parts["Li-F"]["value"] + parts["F-F"]["value"] == pytest.approx(found["conductivity"]["value"], rel=1e-10)
    assert found["self"]["Li"]["value"] + found["distinct"]["Li"]["value"] == pytest.approx(parts["Li-Li"]["value"], rel=1e-12)
    pictures = figures.draw(result, tmp_path, formats=("png",), only=("onsager",))
    assert len(pictures) == 1 and pictures[0].png.stat().st_size > 5000
    text = report.write(result, tmp_path).read_text()
    assert "transference number, F" in text and "relative to the framework (X)" in text
    without = estimate(arrays, {key: value for key, value in attrs.items() if key != "mass"})
    assert "onsager" not in without.numbers and not list(correlated.rows(without.numbers))
