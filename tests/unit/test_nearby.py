"""Pairs of near points, against all pairs one by one."""
import numpy as np
import pytest

from hpcnemd.core.nearby import pairs_within


@pytest.mark.parametrize(("lengths", "number", "reach"), [((3.0, 4.0, 5.0), 60, 1.1), ((3.0, 4.0, 5.0), 7, 2.9), ((9.0, 2.0), 40, 0.7), ((5.0,), 12, 0.4), ((30.0, 2.0, 2.0), 90, 0.8),
                                                         ((4.0, 4.0, 4.0), 1, 3.0), ((6.0, 7.0, 8.0), 50, 1e-9)])
def test_all_near_pairs_are_found_once(lengths, number, reach):
    lengths = np.array(lengths)
    position = np.random.default_rng(5).uniform(-1.5, 2.5, (number, len(lengths))) * lengths
    if reach < 1e-6:
        position[7] = position[3] + 2 * lengths                         # the same place, two turns on
    i, j, distance = pairs_within(position, lengths, reach)
    first, second = np.triu_indices(number, 1)
    apart = position[first] - position[second]
    apart = np.linalg.norm(apart - lengths * np.round(apart / lengths), axis=1)
    near = apart <= reach
    assert sorted(zip(i.tolist(), j.tolist())) == list(zip(first[near].tolist(), second[near].tolist()))
    assert len(i) > 0 or number == 1
    assert np.all(np.diff(distance) >= 0) and np.allclose(distance, np.sort(apart[near]), rtol=1e-13, atol=1e-13)
