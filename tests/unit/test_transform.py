"""Fourier transforms of a mesh: against numpy, and line by line."""
import numpy as np
import pytest

from hpcnemd.kernels import transform
from hpcnemd.kernels.simd import available_paths
from hpcnemd.parallel.mesh import SlabFFT
from hpcnemd.parallel.serial import SerialComm

pytestmark = pytest.mark.skipif(available_paths() == ["plain"], reason="the transform is made of vectors")


@pytest.mark.parametrize("path", [path for path in available_paths() if path != "plain"])
@pytest.mark.parametrize("shape", [(12, 12, 12), (20, 14, 16), (7, 3, 5), (22, 8, 42)])
def test_transforms_of_single_precision(shape, path):
    """Rounding is a few 1e-7 of the largest number, and everything that comes out has four or eight bytes."""
    mesh = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    fft = SlabFFT(shape, SerialComm(), path, np.float32)
    spectrum = fft.forward(mesh)
    right = np.fft.rfftn(mesh.astype(float))
    assert spectrum.dtype == np.complex64 and np.abs(spectrum - right).max() <= 1e-6 * np.abs(right).max()
    factors = np.linspace(0.5, 1.5, spectrum.size, dtype=np.float32)
    back = fft.backward(spectrum, np.empty(shape, np.float32), factors)
    assert back.dtype == np.float32 and np.abs(back - np.fft.irfftn(right * factors.reshape(right.shape), shape, (0, 1, 2))).max() <= 4e-6


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("shape", [(12, 12, 12), (20, 14, 16), (1, 2, 8), (7, 3, 5), (22, 8, 42), (45, 9, 25), (1, 1, 1)])
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


@pytest.mark.parametrize("real", [np.float64, np.float32])
def test_pairs_of_rows_do_not_depend_on_their_place(real):
    """13 pairs of equal rows: three blocks of lanes and a remainder, which other code takes; all have the same bits, there and back."""
    nz, rows = 18, 26
    pair = np.random.default_rng(4).standard_normal((2, nz)).astype(real)
    modes, work, plans = nz // 2 + 1, transform.workspace(nz, real), [array for n in (1, 1, nz) for array in transform.plan(n, real)]
    spectrum, back = np.zeros(2 * rows * modes, real), np.zeros(rows * nz, real)
    sizes, nothing = (rows, 1, nz, modes), np.empty(0, real)
    transform.real_mesh(transform.FORWARD, np.tile(pair, (rows // 2, 1)).ravel(), nothing, *sizes, spectrum, 0, *plans, real(1), work)
    pairs = spectrum.copy().reshape(rows // 2, -1)
    assert (pairs == pairs[0]).all() and np.abs(pairs[0].view(np.complex64 if real == np.float32 else complex).reshape(2, modes) - np.fft.rfft(pair)).max() < 1e-5
    transform.real_mesh(transform.BACKWARD, back, nothing, *sizes, spectrum, 0, *plans, real(1 / nz), work)
    assert (back.reshape(rows // 2, -1) == back[:2 * nz]).all() and np.abs(back[:2 * nz] - pair.ravel()).max() < 1e-6
