"""Pairs of points that lie near each other, by cells and arrays: scipy's trees do the same, but importing them takes half a second of every start."""
import itertools

import numpy as np


def pairs_within(position, lengths, reach):
    """(i, j, distance) of all pairs i < j of rows of `position` (n, d) whose nearest images in a periodic box of edges `lengths` (d,) are at most `reach` apart,
    sorted by distance, then by i and j; d is 1 to 3. Positions may lie outside the box."""
    n, d = position.shape
    # not narrower than the reach, and not many more than there are points
    number = np.clip(lengths / max(reach, 1e-300), 1, int(np.ceil(n**(1 / d))) + 1).astype(np.int64)
    turns = position / lengths
    place = np.minimum(((turns - np.floor(turns)) * number).astype(np.int64), number - 1)
    cell = np.ravel_multi_index(place.T, number)
    order = np.argsort(cell, kind="stable")
    start = np.searchsorted(cell[order], np.arange(np.prod(number) + 1))
    steps = {tuple(np.mod(step, number)) for step in itertools.product((-1, 0, 1), repeat=d)}       # -1 and 1 are the same where there are two cells
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for step in steps:
        other = np.ravel_multi_index(((place + step) % number).T, number)
        first, count = start[other], start[other + 1] - start[other]
        i = np.repeat(np.arange(n), count)
        j = order[np.arange(len(i)) + np.repeat(first - np.cumsum(count) + count, count)]
        once = i < j
        i, j = i[once], j[once]
        apart = position[i] - position[j]
        apart -= lengths * np.round(apart / lengths)
        distance = np.sqrt(np.square(apart).sum(axis=1))
        near = distance <= reach
        found.append((i[near], j[near], distance[near]))
    i, j, distance = map(np.concatenate, zip(*found))
    by_distance = np.lexsort((j, i, distance))
    return i[by_distance], j[by_distance], distance[by_distance]
