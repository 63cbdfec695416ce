"""Charges on a mesh to their potential in one call, for a rank that has the whole mesh: a small replica's step would else be spent on calling kernels."""
from . import njit
from .mesh import lay_planes, lift_planes
from .transform import BACKWARD, FORWARD, transform_mesh

THERE, BACK = 1, 2


@njit(cache=True, error_model="numpy")
def round_trip(legs, alone, points, brick_planes, brick_ny, brick_nz, planes, first_y, first_z, rows, columns, slab, flat, modes, spectrum, influence, fx, tx, fy, ty,
               fz, tz, factor, work, potential):
    """legs THERE: the slab (nx, ny, nz), which is `flat`, gets the charges of the brick `points` where this rank is `alone` (else it has those of all ranks), and `spectrum`
    the slab's transform. BACK: the transform of the spectrum times `influence` into the slab, and what the brick needs of that into `potential`. THERE + BACK: both.
    Arguments as in kernels.mesh.lay_planes and kernels.transform.transform_mesh."""
    nx, ny, nz = slab.shape
    if legs & THERE:
        if alone:
            for k in range(flat.size):
                flat[k] = 0.0
            lay_planes(points, brick_planes, brick_ny, brick_nz, planes, first_y, first_z, rows, columns, slab)
        transform_mesh(FORWARD, flat, influence, nx, ny, nz, modes, spectrum, 1, fx, tx, fy, ty, fz, tz, factor, work)
    if legs & BACK:
        transform_mesh(BACKWARD, flat, influence, nx, ny, nz, modes, spectrum, 1, fx, tx, fy, ty, fz, tz, factor, work)
        lift_planes(slab, planes, first_y, first_z, rows, columns, potential, brick_planes, brick_ny, brick_nz)
