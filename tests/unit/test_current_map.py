"""The map of the current: exact for ions of known velocity, with a uniform profile where charge is conserved."""
import numpy as np
import pytest

from hpcnemd.analysis.current_map import current_map

BOX = np.array([24.0, 16.0, 10.0])


def frames(velocity_of, count=60, jitter=0.0, ions=1500, slip=0.0):
    """Unwrapped paths of `ions` mobile ions that keep to their y, with velocity_of(x, y) along x (angstrom per frame), and a framework that slips along y."""
    draw = np.random.default_rng(5)
    place = draw.uniform(0, 1, (ions, 3)) * BOX
    frame = draw.uniform(0, 1, (500, 3)) * BOX
    drift, lane = np.array([0.0, slip, 0.0]), place[:, 1].copy()
    for _ in range(count):
        yield np.vstack([place, frame])
        place = place + drift + draw.normal(scale=jitter, size=place.shape) if jitter else place + drift
        place[:, 0] += velocity_of(place[:, 0] % BOX[0], lane)
        frame = frame + drift


CHARGE, MASS = np.repeat([1.0, -2.0], [1500, 500]), np.repeat([7.0, 16.0], [1500, 500])
MOBILE = CHARGE > 0


def test_a_channel():
    """Ions with y below 8 angstrom move, the others rest; what the whole cell does together is no current."""
    found = current_map(frames(lambda x, y: np.where(y < 8.0, 0.3, 0.0)), np.arange(60) * 100.0, BOX, CHARGE, MASS, MOBILE)
    assert found.density.shape == (6, 4, 3)
    lower = 0.3 / 100.0 * 1500 / BOX.prod()
    assert found.density[:, :2, 0].mean() == pytest.approx(lower, rel=0.08) and np.abs(found.density[:, 2:, 0]).max() == 0.0
    assert found.profile.mean() == pytest.approx(found.density[:, :, 0].mean(), rel=1e-12)
    moved = current_map(frames(lambda x, y: np.where(y < 8.0, 0.3, 0.0), slip=0.01), np.arange(60) * 100.0, BOX, CHARGE, MASS, MOBILE)
    assert np.abs(moved.density[:, :, 1]).max() < 1e-12 and moved.profile == pytest.approx(found.profile, rel=1e-3)


def test_the_profile_tells_whether_charge_is_conserved():
    """Ions that all move alike give a uniform profile; a current that ends in the middle of the cell, which charge does not allow, is seen.
    Chance that the first part fails with other random numbers: 1 %."""
    even = current_map(frames(lambda x, y: 0.3, jitter=0.3), np.arange(60) * 100.0, BOX, CHARGE, MASS, MOBILE)
    assert even.uniform_p > 0.01 and np.all(even.profile_error > 0)
    ended = current_map(frames(lambda x, y: np.where(x < 12.0, 0.02, -0.02), jitter=0.05), np.arange(60) * 100.0, BOX, CHARGE, MASS, MOBILE)
    assert ended.uniform_p < 1e-4


def test_errors_are_those_of_repeated_runs():
    """Ions that only jitter: the reported error of a slice against the scatter of its known zero. Six slices: chi-square of 6 degrees of freedom with t-like tails,
    which is above 40 in fewer than one of a hundred seeds."""
    found = current_map(frames(lambda x, y: 0.0, jitter=0.4), np.arange(60) * 100.0, BOX, CHARGE, MASS, MOBILE)
    assert 0.1 < np.sum((found.profile / found.profile_error) ** 2) < 40


def test_too_few_frames():
    with pytest.raises(ValueError, match="5 frames, at least 21"):
        current_map([], np.arange(5), BOX, CHARGE, MASS, MOBILE)
