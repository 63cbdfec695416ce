"""Polycrystals and composites: whole formula units in every grain, distances across boundaries, crystals turned as asked, and what is refused."""
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial import cKDTree

from hpcnemd.core.errors import InputError
from hpcnemd.experiments.structures import load_structure
from hpcnemd.experiments.tables import StructureTable

CHARGES = {"Li": 1.0, "La": 3.0, "Zr": 4.0, "O": -2.0, "Na": 1.0, "Cl": -1.0, "Al": 3.0}
SALT = dict(box=["33.84 angstrom", "28.2 angstrom", "16.92 angstrom"], centres=[[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]])
FIFTH = [[0, 0, 1, 0], [0, 0, 1, np.degrees(np.arctan2(3, 4))]]         # the coincidence lattice of 5: both grains fit a box of 5 x 3 cells across


def build(**table):
    return load_structure(StructureTable(**table), charges=CHARGES)


def per_grain(built):
    names = np.array(built.names)
    return [Counter(names[built.grain == g]) for g in range(int(built.grain.max()) + 1)]


def test_one_grain_in_a_box_of_whole_cells_is_the_crystal():
    built = build(build="nacl", grains=dict(box="33.84 angstrom", centres=[[0.5, 0.5, 0.5]], orientations=[[0, 0, 1, 90]]))
    assert Counter(built.names) == {"Na": 864, "Cl": 864}
    tree = cKDTree(np.mod(built.positions, 33.84), boxsize=33.84)
    distance, index = tree.query(np.mod(built.positions, 33.84), k=7)
    assert np.abs(distance[:, 1:] - 2.82).max() < 1e-9
    names = np.array(built.names)
    assert (names[index[:, 1:]] != names[:, None]).all()


def test_two_grains_meet_at_clean_boundaries():
    built = build(build="nacl", grains=dict(**SALT, orientations=FIFTH))
    assert built.rough and all(grain["Na"] == grain["Cl"] > 130 for grain in per_grain(built))
    lengths, wrapped = built.box.lengths, np.mod(built.positions, built.box.lengths)
    tree = cKDTree(wrapped, boxsize=lengths)
    nearest = tree.query(wrapped, k=2)[0][:, 1]
    assert nearest.min() >= 0.8 * 2.82 - 1e-9
    pairs = tree.query_pairs(0.8 * 2.82 * np.sqrt(2) - 1e-9, output_type="ndarray")      # like ions: 0.8 of 3.95, bounded by 1.4 bonds
    names = np.array(built.names)
    like = pairs[names[pairs[:, 0]] == names[pairs[:, 1]]]
    apart = wrapped[like[:, 0]] - wrapped[like[:, 1]]
    apart -= lengths * np.round(apart / lengths)
    assert len(like) == 0 or np.linalg.norm(apart, axis=1).min() >= 0.8 * 1.4 * 2.82 - 1e-9
    # bonds inside: along x and y in grain 0, along (4 3 0) / 5 and (-3 4 0) / 5 in grain 1
    for g, axes in ((0, np.eye(3)), (1, np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]]))):
        middle = np.abs(wrapped[:, 0] - (0.25 + 0.5 * g) * lengths[0]) < 4.0
        for i in np.flatnonzero(middle)[:20]:
            around = np.array(tree.query_ball_point(wrapped[i], 2.9))
            bond = wrapped[around[around != i]] - wrapped[i]
            bond -= lengths * np.round(bond / lengths)
            assert len(bond) == 6 and built.grain[i] == g
            assert np.abs(np.abs(bond @ axes.T).max(axis=1) - 2.82).max() < 1e-3


def test_grains_come_from_the_seed():
    one, same, other = (build(build="nacl", seed=seed, grains=dict(box="34 angstrom", count=3)) for seed in (5, 5, 6))
    assert np.array_equal(one.positions, same.positions) and np.array_equal(one.grain, same.grain)
    assert len(one.names) != len(other.names) or not np.array_equal(one.positions, other.positions)
    assert sorted(np.unique(one.grain)) == [0, 1, 2] and len(one.grain) == len(one.names)


def test_partly_occupied_crystals_and_composites():
    built = build(build="llzo_cubic", grains=dict(box="36 angstrom", count=2), phases=[dict(build="li2o", grains=[1])])
    garnet, oxide = per_grain(built)
    units = garnet["Zr"] // 2
    assert garnet == {"Li": 7 * units, "La": 3 * units, "Zr": 2 * units, "O": 12 * units} and oxide["Li"] == 2 * oxide["O"] > 500
    doped = build(build="llzo_cubic", supercell=[2, 2, 2], doping=[dict(element="Al", site="Li1", count=16)], grains=dict(box="36 angstrom", count=1))
    n = Counter(doped.names)["Al"]
    assert Counter(doped.names) == {"Li": 25 * n, "Al": n, "La": 12 * n, "Zr": 8 * n, "O": 48 * n}


@pytest.mark.parametrize("table, message", [
    (dict(build="nacl", grains=dict(box="30 angstrom", count=2, orientations=[[0, 0, 1, 5]])), "1 rows for 2 grains"),
    (dict(build="nacl", grains=dict(box="30 angstrom", centres=[[0, 0, 0], [1, 0, 0.01]])), "two centres are less than 1 angstrom apart"),
    (dict(build="llzo_cubic", supercell=[2, 2, 2], doping=[dict(element="Al", site="Li1", count=5)], grains=dict(box="36 angstrom", count=1)),
     r"formula unit .*1526 ions\) is too large a part of grain 0 .*common divisor"),
])
def test_grains_that_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        build(**table)


@pytest.mark.parametrize("table, message", [
    (dict(build="nacl", phases=[dict(build="li2o", grains=[0])]), r"write a table \[structure.grains\]"),
    (dict(build="nacl", grains=dict(box=30, count=2), phases=[dict(build="li2o", grains=[2])]), "from 0 to 1"),
    (dict(build="nacl", grains=dict(box=30)), "write count = 2 or centres"),
    (dict(build="nacl", grains=dict(box=30, count=1, orientations=[[0, 0, 0, 5]])), "axis and angle"),
])
def test_tables_of_grains_that_are_refused(table, message):
    with pytest.raises(ValidationError, match=message):
        StructureTable(**table)
