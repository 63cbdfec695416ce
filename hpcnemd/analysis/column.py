"""A column of the Onsager matrix from a run in which one species is driven: L_ba = <J_b> / (V F), F = z_a e E the force on each ion of species a.

The force on a is balanced on the framework, or on all ions where there is none, in proportion to mass. The flux that it drives, z_a J_a, is then that of
species a relative to the framework, or to the centre of mass, so that two runs obey L_ab = L_ba (Onsager). J_b = sum of the velocities of species b in
the same frame. The same idea at constant force: GPUMD's HNEMDEC."""
import numpy as np

from ..core.units import SIEMENS_PER_METRE
from .blocks import jackknife, student
from .onsager import PER_JOULE_METRE_SECOND


def fluxes(displacement, axis, edges, block):
    """[(B,) rows] for each species: mean J_b of every block along `axis`, angstrom/fs, from referenced displacements (R, T, s, 3) of R replicas; `edges`
    [(B + 1,) samples at which the blocks of a replica end]; `block` fs."""
    along = np.asarray(displacement) @ np.asarray(axis)
    return [[np.diff(along[r, rows, s]) / block for r, rows in enumerate(edges)] for s in range(along.shape[2])]


def column(rows, field, charge, volume, level, names):
    """{species: (L_ba in 1/(J m s), e^2 z_a L_ba in S/m)} as Estimates; z_b times the latter is the part of the conductivity. `rows`: list over species of series of J_b; `field`: series of the mean field
    of each block, V/angstrom; `charge`: z_a; `level`: blocks that count as independent."""
    found = {}
    for name, series in zip(names, rows):
        value, error, dof = jackknife(lambda flux, mean_field: flux / (volume * mean_field), [series, field], level)
        text = "<J> / (V E), block jackknife"
        scale = PER_JOULE_METRE_SECOND / charge
        found[name] = (student(scale * value, abs(scale) * error, dof, "1/(J m s)", text),
                       student(SIEMENS_PER_METRE * value, SIEMENS_PER_METRE * error, dof, "S/m", text))
    return found
