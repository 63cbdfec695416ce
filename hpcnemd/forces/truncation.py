"""What is done to a pair function at its cutoff. With F = -dU/dr and the cutoff R:

    plain         nothing: U and F jump to zero at R
    shift         U - U(R): the energy is continuous
    shift_force   U - U(R) + F(R) (r - R), F - F(R): both are continuous; the default of runs
    switch        U S(r), with S from 1 to 0 between `start` and R and two continuous derivatives; short range only

shift and shift_force act on the whole pair function, the real-space part of the Coulomb energy included; the damped shifted force (dsf) shifts
its own force whatever is chosen (Fennell and Gezelter, J. Chem. Phys. 124, 234104 (2006), eq. 19)."""
import numpy as np

from ..core.errors import InputError

TRUNCATIONS = ("plain", "shift", "shift_force", "switch")
SWITCH_START = 0.9          # of the cutoff


def check_truncation(name):
    """Raises InputError for an unknown name."""
    if name not in TRUNCATIONS:
        raise InputError(f'truncation = "{name}": one of {", ".join(TRUNCATIONS)} is possible; runs take truncation = "shift_force"')


def offsets(truncation, energy, force, cutoff):
    """(e0, e1): the pair energy becomes U + e0 + e1 r and its force F - e1, for U(R) = `energy` and F(R) = `force` (arrays or numbers)."""
    check_truncation(truncation)
    energy, force = np.asarray(energy, dtype=np.float64), np.asarray(force, dtype=np.float64)
    if truncation == "shift":
        return -energy, np.zeros_like(force)
    if truncation == "shift_force":
        return -energy - force * cutoff, force.copy()
    return np.zeros_like(energy), np.zeros_like(force)


def switch(r, start, cutoff):
    """(S, dS/dr) of the quintic switch at distances r."""
    x = np.clip((r - start) / (cutoff - start), 0.0, 1.0)
    return 1 + x**3 * (-10 + x * (15 - 6 * x)), -30 * x**2 * (1 - x)**2 / (cutoff - start)
