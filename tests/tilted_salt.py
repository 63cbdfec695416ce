"""Rock salt in its primitive rhombohedral cell, repeated, and the same particles in a cube."""
import itertools

import numpy as np

from hpcnemd.core.box import Box, reduced, standard
from hpcnemd.experiments.structures import Structure

EDGE = 5.64
PRIMITIVE = 0.5 * EDGE * (1.0 - np.eye(3))


def rhombohedral(cells, size=0.1, seed=1):
    """(Structure of 2 cells^3 ions displaced by normal deviates of `size` angstrom, turn (3, 3) from the axes of the cube to those of the cell)."""
    site = np.array(list(itertools.product(range(cells), repeat=3)))
    place = (site[:, None] + np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])).reshape(-1, 3) @ PRIMITIVE
    place = place + size * np.random.default_rng(seed).standard_normal(place.shape)
    matrix, turn = standard(cells * PRIMITIVE)
    return Structure(Box.from_matrix(reduced(matrix)[0]), ["Na", "Cl"] * cells**3, place @ turn), turn


def in_a_cube(structure, turn, cells):
    """(Structure of the same crystal in a cube of edge cells * EDGE, four times as many ions, row of each ion in the cell)."""
    ideal = (np.array(list(itertools.product(range(cells), repeat=3)))[:, None] + np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])).reshape(-1, 3) @ PRIMITIVE
    places, rows = [], []
    for shift in itertools.product(range(-2, 3), repeat=3):
        move = cells * np.array(shift) @ PRIMITIVE
        inside = np.flatnonzero((np.floor((ideal + move) / (cells * EDGE) + 1e-9) == 0).all(axis=1))
        places.append((structure.positions @ turn.T + move)[inside])
        rows.append(inside)
    rows = np.concatenate(rows)
    return Structure(Box([cells * EDGE] * 3), [structure.names[k] for k in rows], np.concatenate(places)), rows
