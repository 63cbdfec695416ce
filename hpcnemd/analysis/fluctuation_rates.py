"""Gallavotti-Cohen symmetry of counting statistics, exactly: scaled cumulant generating functions of walks and of exclusion processes."""
import itertools
import math

import numpy as np


def walk_generating_function(s, right, left):
    """SCGF of the steps of a biased random walk of rates `right`, `left`: p (e^s - 1) + q (e^-s - 1)."""
    return right * np.expm1(s) + left * np.expm1(-np.asarray(s))


def exclusion_generator(s, sites, particles, right, left):
    """Tilted generator (states, states) of an asymmetric exclusion process on a ring: off-diagonal rates carry e^(s/sites) for a step to the right and
    e^(-s/sites) to the left, so that s counts turns of the whole current; the diagonal holds minus the escape rates."""
    states = [frozenset(one) for one in itertools.combinations(range(sites), particles)]
    index = {one: k for k, one in enumerate(states)}
    matrix = np.zeros((len(states), len(states)))
    for one, k in index.items():
        for site in one:
            for move, rate in ((1, right), (-1, left)):
                to = (site + move) % sites
                if to not in one:
                    matrix[index[one - {site} | {to}], k] += rate * math.exp(move * s / sites)
                    matrix[k, k] -= rate
    return matrix


def largest_eigenvalue(matrix):
    """Real part of the eigenvalue furthest to the right: the SCGF of a tilted generator."""
    return float(np.linalg.eigvals(matrix).real.max())


def exclusion_asymmetry(sites, particles, right, left, points):
    """Largest |g(s) - g(-s - sites ln(right/left))| over `points`: 0 by the theorem of Gallavotti and Cohen (Lebowitz and Spohn 1999)."""
    affinity = sites * math.log(right / left)
    return max(abs(largest_eigenvalue(exclusion_generator(s, sites, particles, right, left))
                   - largest_eigenvalue(exclusion_generator(-s - affinity, sites, particles, right, left))) for s in points)
