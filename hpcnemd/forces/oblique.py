"""The influence function of a charge mesh in a tilted cell, where Gaussians do not part into factors of x, y and z.

The mesh stands in upright coordinates (core.box), whose wave vectors kappa belong to k = T kappa, k^2 = kappa A kappa. Influence function of least rms force
error for analytic differentiation: Ballenegger, Cerda, Holm, J. Chem. Theory Comput. 8, 936 (2012), eq. 30,

    G = 4 pi N / (B C),   N = sum U^2 exp(-k^2 / 4 beta^2),   B = sum U^2,   C = sum U^2 k^2   over the aliases of a mode.

B and C are products of sums over axes (`kernels.splines.axis_sums`) and hold many aliases. Of N, whose terms fall with both factors, the two nearest along each
axis are taken: what is left out is below 2e-4 of it; energy, forces and virial belong to the N that is taken."""
import itertools
import math

import numpy as np

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def wave_basis(box):
    """(3, 3) T: wave vectors of positions from those of upright coordinates."""
    p, q, r = box.shear
    return np.linalg.inv(np.array([[1.0, 0.0, 0.0], [p, 1.0, 0.0], [q, r, 1.0]]))


def metric_of(box):
    """(3, 3) A."""
    basis = wave_basis(box)
    return basis.T @ basis


def square_of(x, y, z, metric):
    """k^2 of kappa = (x, y, z), arrays over the axes of a mesh."""
    plane = metric[0, 0] * x * x + metric[1, 1] * y * y + 2.0 * metric[0, 1] * x * y
    square = plane + (2.0 * metric[0, 2] * x + 2.0 * metric[1, 2] * y) * z
    square += metric[2, 2] * z * z
    return square


def axis_aliases(points, order, length, indices):
    """[(modes, weight, kappa 1/angstrom)] of the nearest alias and the next of the modes `indices` of one axis; weight = sinc^(2 order). `modes` is the slice that they
    belong to: the next alias is left out where its weight is less than 3^(-2 order) of the nearest one's."""
    index = np.asarray(indices, dtype=np.int64)
    index = np.where(index > points // 2, index - points, index)
    far = np.flatnonzero(4 * np.abs(index) >= points)               # neighbours of each other: indices rise from 0, or from that of the first own row
    second = slice(far[0], far[-1] + 1) if len(far) else slice(0, 0)
    parts = ((slice(0, len(index)), index), (second, np.where(index > 0, index - points, index + points)[second]))
    return [(modes, np.sinc(alias / points) ** (2 * order), 2.0 * np.pi * alias / length) for modes, alias in parts]


def _spread(vectors):
    """Vectors of the three axes, ready to be multiplied with each other."""
    return [np.asarray(v).reshape(shape) for v, shape in zip(vectors, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)))]


def denominators(rows):
    """(B, (6, nx, ny, nz) sum U^2 kappa_a kappa_b for PAIRS) from the axis sums of the three axes."""
    even, odd, square = (_spread([row[k] for row in rows]) for k in range(3))
    parts = [math.prod(square[k] if k == a == b else odd[k] if k in (a, b) else even[k] for k in range(3)) for a, b in PAIRS]
    return even[0] * even[1] * even[2], np.stack(parts)


def _contracted(parts, metric):
    """C of its parts."""
    return np.tensordot([metric[a, b] * (1.0 if a == b else 2.0) for a, b in PAIRS], parts, 1)


def alias_terms(aliases, metric, beta):
    """For each combination of aliases: (the modes, their share of N, the three kappa), as arrays over the modes."""
    quarter = -0.25 / (beta * beta)
    for combination in itertools.product(*aliases):
        modes, weights, kappa = zip(*combination)
        (u, v, w), (x, y, z) = _spread(weights), _spread(kappa)
        term = square_of(x, y, z, metric)
        term *= quarter
        np.exp(term, out=term)
        term *= u * v
        term *= w
        yield modes, term, (x, y, z)


def influence(rows, aliases, metric, beta):
    """(4 pi N, G) of the modes, (nx, ny, nz) each; G is 0 at k = 0."""
    even, parts = denominators(rows)
    total, square = np.zeros(even.shape), _contracted(parts, metric)
    for modes, term, _ in alias_terms(aliases, metric, beta):
        total[modes] += term
    total *= 4.0 * math.pi
    return total, total / (even * np.where(square > 0, square, np.inf))


def strain_weights(rows, aliases, metric, beta):
    """(6, nx, ny, nz): d ln G / d strain in the basis of kappa, for PAIRS: k_a k_b averaged over N, over 2 beta^2, and twice that over C, over C."""
    _, parts = denominators(rows)
    total, moments = np.zeros(parts.shape[1:]), np.zeros(parts.shape)
    for modes, term, kappa in alias_terms(aliases, metric, beta):
        total[modes] += term
        along = [term * one for one in kappa]
        for n, (a, b) in enumerate(PAIRS):
            moments[n][modes] += along[a] * kappa[b]
    square = _contracted(parts, metric)
    moments *= 0.5 / beta**2 / np.where(total > 0, total, np.inf)
    parts *= 2.0 / np.where(square > 0, square, np.inf)
    return moments + parts


def energy_virial(spectrum, influence, weights, basis, points):
    """(energy, virial (3, 3)): sums over the modes of w = influence |spectrum|^2 and of w (1 - d ln G / d strain). The half spectrum's last index stands for two
    modes unless it is 0 or `points` / 2."""
    w = influence * (spectrum.real**2 + spectrum.imag**2)
    w[:, :, 1:(points + 1) // 2] *= 2.0
    sums = np.einsum("pxyz,xyz->p", weights, w)
    strain = np.zeros((3, 3))
    for value, (a, b) in zip(sums, PAIRS):
        strain[a, b] = strain[b, a] = value
    energy = float(w.sum())
    return energy, energy * np.eye(3) - basis @ strain @ basis.T
