"""Fourier transforms of a mesh: against numpy, and line by line."""
import numpy as np
import pytest

from hpcnemd.kernels import transform
from hpcnemd.kernels.simd import available_paths
from hpcnemd.parallel.mesh import SlabFFT
from hpcnemd.parallel.serial import SerialComm

pytestmark = pytest.mark.skipif(available_paths() == ["plain"], reason="the transform is made of vectors")


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("shape", [(12, 12, 12), (20, 14, 16), (1, 2, 8), (7, 3, 5), (22, 8, 42), (1, 1, 1)])
def test_transform_and_its_inverse_agree_with_numpy(shape, path):
    """All radices (2, 4 and odd primes), alone and together, full and partly filled lanes; rounding is a few 1e-16 of the largest number."""
    mesh = np.random.default_rng(2).standard_normal(shape)
    fft = SlabFFT(shape, SerialComm(), path)
    spectrum = fft.forward(mesh)
    right = np.fft.rfftn(mesh)
    assert np.abs(spectrum - right).max() <= 2e-15 * np.abs(right).max()
    assert np.abs(fft.backward(spectrum, np.empty(shape)) - mesh).max() <= 1e-14


def test_a_line_does_not_depend_on_those_beside_it():
    """14 doubles a row: one full block of lanes and one that is filled up; each pair has the bits that it has alone."""
    n, random = 60, np.random.default_rng(3)
    plan, work = transform.plan(n), transform.workspace(n)
    many = random.standard_normal((2, n, 14))
    together = many.copy()
    transform.lines(together.reshape(-1), 2, n, 14, *plan, transform.FORWARD, work)
    for a in range(2):
        for k in range(0, 14, 2):
            alone = many[a, :, k:k + 2].copy()
            transform.lines(alone.reshape(-1), 1, n, 2, *plan, transform.FORWARD, work)
            assert np.array_equal(alone, together[a, :, k:k + 2])
            right = np.fft.fft(many[a, :, k] + 1j * many[a, :, k + 1])
            assert np.abs(alone.view(complex)[:, 0] - right).max() < 1e-13
