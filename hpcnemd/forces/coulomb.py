"""Coulomb settings from one number: `accuracy` is the rms error of the Coulomb force components divided by their rms (by 1 eV/angstrom where that
rms is smaller). Splitting, mesh and order follow from it, from the cutoff, the box and the composition: never from the number of ranks.

Error estimates hold for uncorrelated charges: real space Kolafa and Perram, Mol. Simul. 9, 351 (1992); mesh Hockney and Eastwood, with the optimal
influence function of Ballenegger, Cerda, Holm, J. Chem. Theory Comput. 8, 936 (2012)."""
import functools
import itertools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..core.errors import InputError
from ..core.units import COULOMB
from ..kernels.splines import ORDERS, axis_sums
from . import oblique

METHODS = ("ewald", "spme", "dsf", "none")
DSF_DAMPING = 0.25          # 1/angstrom; with a cutoff of 9 angstrom or more: enough for molten NaCl, untested for formal-charge oxides
FORCE_FLOOR = 1.0           # eV/angstrom
SCALE_DAMPING, SCALE_CUTOFF = 0.2, 14.0         # 1/angstrom, angstrom: of the forces from which the scale of a structure's forces is taken
# Shares of the wanted error, added in squares. Crystals are not random: in rock salt and garnet displaced by 0.1 angstrom the measured error reaches
# 1.9 times the real-space estimate (where the cutoff falls between two shells) and 0.9 times the mesh estimate; the shares leave room for that.
REAL_SHARE, MESH_SHARE = 0.45, 0.75
SHELL = 1.0                 # angstrom, see real_space_error
SAMPLE = 24                 # mesh points per axis on which a mesh error is summed: it depends on the spacing only
ROOM = 0.03                 # by how much a cell may grow before a mesh that was made finer for it is too coarse again
FINEST = 0.15               # angstrom, the finest mesh that is tried


@dataclass(frozen=True)
class CoulombSettings:
    """`method` one of METHODS; `beta` 1/angstrom (the damping for "dsf"); `mesh` (3 ints) and `order` for "spme", `kmax` (3 ints) for "ewald", None
    elsewhere; `estimated_error`: absolute rms error of a force component, eV/angstrom (None for "dsf", which is a model of its own);
    `force_scale` eV/angstrom: what `accuracy` is relative to."""
    method: str
    beta: float
    mesh: tuple | None
    order: int | None
    kmax: tuple | None
    estimated_error: float | None
    cutoff: float
    accuracy: float | None
    truncation: str
    force_scale: float


class MeshResult(NamedTuple):
    """`energy` (eV, self energy included) and `virial` (3, 3) (eV, sum r_a f_b) are this rank's share and None where not observed;
    `net_force` (3,) eV/angstrom: sum of the reciprocal forces before its removal, where it is removed; of all ranks from `compute`, of this one from `finish`."""
    energy: float | None
    virial: np.ndarray | None
    net_force: np.ndarray


def self_energy(beta, charge):
    """eV: each charge with its own Gaussian cloud of splitting `beta` (1/angstrom), to be added to the reciprocal sum. `charge` (n,) e."""
    return -COULOMB * beta / math.sqrt(math.pi) * float(np.sum(np.square(charge)))


def dsf_self_energy(settings, kinds, counts, cutoff):
    """eV: the self term of the damped shifted force sum for `counts` (s,) particles of each of `kinds`, damping `settings.beta`, cutoff in angstrom.
    Fennell and Gezelter, J. Chem. Phys. 124, 234104 (2006)."""
    square = float(np.dot(kinds.charge ** 2, counts))
    return -COULOMB * (settings.beta / math.sqrt(math.pi) + 0.5 * math.erfc(settings.beta * cutoff) / cutoff) * square


def coulomb_force_scale(box, kinds, species, position, sample=256):
    """Rms Coulomb force component (eV/angstrom) of a structure, to a few per cent, for `choose_coulomb`: damped shifted forces on `sample` particles
    spread evenly over the rows. `species` (n,) rows of `kinds`, `position` (n, 3) angstrom of all particles: the same on every rank count."""
    charge, position = np.asarray(kinds.charge)[species], np.array(position, dtype=np.float64)
    rows = np.linspace(0, len(charge) - 1, min(sample, len(charge))).astype(np.int64)
    box.wrap(position, np.zeros(position.shape, np.int64))
    owner, place = box.images_within(position, SCALE_CUTOFF)        # all images that count
    by_x = np.argsort(place[:, 0], kind="stable")
    charges, place = charge[owner[by_x]], np.ascontiguousarray(place[by_x].T)
    first, last = (np.searchsorted(place[0], position[rows, 0] + side * SCALE_CUTOFF) for side in (-1, 1))
    distances, shares = _damped_shares()
    force = np.empty((len(rows), 3))
    for k, row in enumerate(rows):
        apart = place[:, first[k]:last[k]] - position[row][:, None]
        square = apart[0] * apart[0] + apart[1] * apart[1] + apart[2] * apart[2]
        near = np.flatnonzero((square < SCALE_CUTOFF**2) & (square > 0.0))
        square = square[near]
        r = np.sqrt(square)
        push = charges[first[k] + near] * (np.interp(r, distances, shares) / square - shares[-1] / SCALE_CUTOFF**2) / r
        force[k] = -charge[row] * (push * apart[:, near]).sum(axis=1)
    return COULOMB * math.sqrt(float((force ** 2).mean()))


@functools.cache
def _damped_shares():
    """(distances (angstrom), shares): what is left of a Coulomb force under SCALE_DAMPING, by distance up to SCALE_CUTOFF."""
    distances = np.linspace(0.0, SCALE_CUTOFF, 4097)
    reduced = SCALE_DAMPING * distances
    return distances, np.array([math.erfc(x) for x in reduced]) + 2.0 / math.sqrt(math.pi) * reduced * np.exp(-np.square(reduced))


def choose_coulomb(method, accuracy, cutoff, box, kinds, counts, truncation="plain", force_scale=None, damping=None):
    """CoulombSettings for `counts` (s,) particles of each of `kinds` in `box` (three-dimensional), real space cut at `cutoff` angstrom.

    `truncation` of the pair function: plain, shift, switch or shift_force. `force_scale` eV/angstrom: rms of the Coulomb force components where it is
    known (see `coulomb_force_scale`); 1 is always safe. `damping` 1/angstrom is for "dsf". Raises InputError."""
    counts, charge = np.asarray(counts), np.asarray(kinds.charge)
    problems = list(_problems(method, accuracy, cutoff, box, charge, counts))
    if problems:
        raise InputError(problems)
    scale = max(FORCE_FLOOR, float(force_scale or 0.0))
    if method == "none":
        return CoulombSettings("none", 0.0, None, None, None, 0.0, cutoff, None, truncation, scale)
    if method == "dsf":
        return CoulombSettings("dsf", DSF_DAMPING if damping is None else float(damping), None, None, None, None, cutoff, None, truncation, scale)
    strength = charge_strength(box, charge, counts)
    wanted = accuracy * scale
    beta = _splitting(strength, cutoff, truncation, REAL_SHARE * wanted)
    if method == "ewald":
        kmax = _wave_numbers(strength, beta, box, MESH_SHARE * wanted)
        error = math.hypot(real_space_error(strength, beta, cutoff, truncation), ewald_error(strength, beta, kmax, box))
        return CoulombSettings("ewald", beta, None, None, kmax, error, cutoff, accuracy, truncation, scale)
    own = own_strength(charge, counts)
    mesh, order = _mesh(strength, own, beta, box, int(counts.sum()), MESH_SHARE * wanted, accuracy)
    error = math.hypot(real_space_error(strength, beta, cutoff, truncation), mesh_error(strength, own, beta, mesh, order, box))
    return CoulombSettings("spme", beta, mesh, order, None, error, cutoff, accuracy, truncation, scale)


def settings_for(settings, box, kinds, counts):
    """The CoulombSettings in another `box`, at the same splitting: the same mesh (k-vectors) while their share of the error is kept, else a finer one with
    ROOM to spare; never a coarser one, so that a cell which breathes does not change it to and fro."""
    if settings.mesh is None and settings.kmax is None:
        return settings
    counts, charge = np.asarray(counts), np.asarray(kinds.charge)
    strength, own, beta = charge_strength(box, charge, counts), own_strength(charge, counts), settings.beta
    wanted = settings.accuracy * settings.force_scale

    def error(mesh, kmax):
        return ewald_error(strength, beta, kmax, box) if mesh is None else mesh_error(strength, own, beta, mesh, settings.order, box)
    mesh, kmax = settings.mesh, settings.kmax
    if error(mesh, kmax) > math.sqrt(1.0 - REAL_SHARE**2) * wanted:
        roomy = box.with_lengths(box.lengths * (1.0 + ROOM))
        if mesh is None:
            kmax = _wave_numbers(strength, beta, roomy, MESH_SHARE * wanted)
        else:
            mesh, _ = _mesh(strength, own, beta, roomy, int(counts.sum()), MESH_SHARE * wanted, settings.accuracy, (settings.order,))
    total = math.hypot(real_space_error(strength, beta, settings.cutoff, settings.truncation), error(mesh, kmax))
    return replace(settings, mesh=mesh, kmax=kmax, estimated_error=total)


def _problems(method, accuracy, cutoff, box, charge, counts):
    if method not in METHODS:
        yield f'coulomb method {method!r}: one of {", ".join(METHODS)}; write for example coulomb = {{ method = "spme", accuracy = 1e-5 }}'
        return
    if method == "none":
        return
    if box.dimensions != 3:
        yield (f'coulomb method "{method}": needs a box of 3 dimensions, this one has {box.dimensions}; '
               'give three box lengths, or a force field without charges (coulomb = { method = "none" })')
    if not (np.isfinite(cutoff) and cutoff > 0):
        yield f'cutoff {cutoff!r}: a positive length is needed, for example cutoff = "10 angstrom"'
    total, square = float(np.dot(charge, counts)), float(np.dot(charge ** 2, counts))
    if square == 0:
        yield f'coulomb method "{method}": no particle carries a charge; write coulomb = {{ method = "none" }}'
    elif abs(total) > 1e-8 * square:
        yield f"the cell carries the charge {total:g} e; a periodic cell must be neutral: correct the composition {list(map(int, counts))}"
    if method in ("ewald", "spme") and not (isinstance(accuracy, (int, float)) and 1e-12 <= accuracy <= 0.1):
        yield f"coulomb accuracy {accuracy!r}: a number from 1e-12 to 0.1, for example accuracy = 1e-5"


def charge_strength(box, charge, counts):
    """k_e sum(q^2) / sqrt(3 N V), the common factor of all estimates: eV/angstrom per sqrt(angstrom^-1)."""
    return COULOMB * float(np.dot(charge ** 2, counts)) / math.sqrt(3.0 * counts.sum() * box.volume)


def own_strength(charge, counts):
    """k_e sqrt(mean of q^4), eV angstrom."""
    return COULOMB * math.sqrt(float(np.dot(charge**4, counts) / counts.sum()))


def real_space_error(strength, beta, cutoff, truncation):
    """Absolute rms error of a force component (eV/angstrom) from what lies beyond the cutoff, and from the constant that `shift_force` takes off.

    That constant acts on all pairs inside; ions alternate, so what does not cancel is what a shell of the thickness SHELL at the cutoff holds
    (at most 0.7 of it in rock salt and garnet, displaced by 0.1 and 0.3 angstrom, cutoffs of 6 to 13 angstrom). A switch leaves Coulomb forces alone."""
    tail = 4.0 / cutoff * math.exp(-2.0 * (beta * cutoff) ** 2)
    if truncation == "shift_force":
        force = math.erfc(beta * cutoff) / cutoff ** 2 + 2.0 * beta / math.sqrt(math.pi) * math.exp(-(beta * cutoff) ** 2) / cutoff
        tail += 4.0 * math.pi * cutoff ** 2 * SHELL * force ** 2
    return strength * math.sqrt(tail)


def ewald_error(strength, beta, kmax, box):
    """Absolute rms error of a force component (eV/angstrom) from the k-vectors left out."""
    edge = min(2.0 * math.pi * n / length for n, length in zip(kmax, box.edges))
    return strength * math.sqrt(8.0 * beta * math.sqrt(math.pi / 2.0) * math.erfc(edge / (math.sqrt(2.0) * beta)))


def mesh_error(strength, own, beta, mesh, order, box):
    """Absolute rms error of a force component (eV/angstrom) of the optimal influence function, on a sample of the mesh's spacing.

    Pairs: their eq. 31. A charge also feels its own mesh cloud, E = own q^2 A cos(2 pi x / h) / V to leading order; `own` is k_e sqrt(mean q^4)."""
    points = [min(int(n), SAMPLE) for n in mesh]
    lengths = [length * p / n for length, p, n in zip(box.lengths, points, mesh)]
    volume, sums = math.prod(lengths), [axis_sums(p, order, length, beta, np.arange(p)) for p, length in zip(points, lengths)]
    x, y, z = ([row.reshape(shape) for row in rows] for rows, shape in zip(sums, ((-1, 1, 1), (1, -1, 1), (1, 1, -1))))
    # sum over aliases of k^2 phi^2 = (4 pi)^2 exp(-k^2/2 beta^2)/k^2 ; the other factors are products of axis sums
    if box.tilted:
        aliases = [oblique.axis_aliases(p, order, length, np.arange(p)) for p, length in zip(points, lengths)]
        exact = _alias_energy(points, lengths, beta, oblique.metric_of(box))
        cross, influence = oblique.influence(sums, aliases, oblique.metric_of(box), beta)
    else:
        exact = _alias_energy(points, lengths, beta)
        cross = 4.0 * math.pi * x[3] * y[3] * z[3]
        squares = x[2] * y[0] * z[0] + x[0] * y[2] * z[0] + x[0] * y[0] * z[2]
        influence = cross / (x[0] * y[0] * z[0] * squares)
    influence[0, 0, 0] = 0.0
    pairs = strength**2 * max(float((exact - cross * influence).sum()), 0.0) / volume
    clouds = [float((influence * product).sum()) for product in (x[6] * y[0] * z[0], x[0] * y[6] * z[0], x[0] * y[0] * z[6])]
    alone = sum((own * a / volume * 2.0 * math.pi * p / length * slant) ** 2 for a, p, length, slant in zip(clouds, points, lengths, box.slant)) / 6.0
    return math.sqrt(pairs + alone)


def _alias_energy(points, lengths, beta, metric=None):
    """(4 pi)^2 sum over the nearest aliases k_m of exp(-k_m^2 / 2 beta^2) / k_m^2 on the mesh of `points`; `metric`: of a tilted cell."""
    axes = []
    for p, length in zip(points, lengths):
        index = np.arange(p)
        index = np.where(index > p // 2, index - p, index)
        axes.append([2 * math.pi * (index + m * p) / length for m in (-1, 0, 1)])
    total = np.zeros(points)
    for kx, ky, kz in itertools.product(*axes):
        if metric is None:                              # a product of three exponentials
            square = np.add.outer(np.add.outer(kx * kx, ky * ky), kz * kz)
            gx, gy, gz = (np.exp(-k * k / (2 * beta * beta)) for k in (kx, ky, kz))
            term = np.multiply.outer(np.multiply.outer(gx, gy), gz)
        else:
            square = oblique.square_of(kx[:, None, None], ky[None, :, None], kz[None, None, :], metric)
            term = np.exp(-square / (2 * beta * beta))
        square[square == 0] = np.inf
        total += term / square
    return (4 * math.pi) ** 2 * total


def _splitting(strength, cutoff, truncation, wanted):
    """The least beta whose real-space error is at most `wanted`, by bisection."""
    low, high = 1e-3 / cutoff, 8.0 / cutoff
    for _ in range(80):
        middle = 0.5 * (low + high)
        if real_space_error(strength, middle, cutoff, truncation) > wanted:
            low = middle
        else:
            high = middle
    return high


def _wave_numbers(strength, beta, box, wanted):
    """The least (3 ints) whose ellipsoid holds every k below the radius with error `wanted`."""
    radius = 2.0 * math.pi / box.edges.min()
    step = 0.02 * beta
    while strength * math.sqrt(8.0 * beta * math.sqrt(math.pi / 2.0) * math.erfc(radius / (math.sqrt(2.0) * beta))) > wanted:
        radius += step
    return tuple(int(math.ceil(radius * length / (2.0 * math.pi))) for length in box.edges)


def smooth_size(least):
    """The smallest even number >= least whose prime factors are 2, 3, 5 and 7."""
    n = max(4, int(math.ceil(least)))
    n += n % 2
    while True:
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2


def _mesh(strength, own, beta, box, particles, wanted, accuracy, orders=ORDERS):
    """(mesh, order) of the least cost whose error is at most `wanted`."""
    ladder = _ladder(box)
    best = None
    for order in orders:
        low, high = 0, len(ladder)
        while low < high:                                       # the error falls along the ladder
            middle = (low + high) // 2
            if mesh_error(strength, own, beta, ladder[middle], order, box) <= wanted:
                high = middle
            else:
                low = middle + 1
        if low < len(ladder):
            cost = _cost(particles, ladder[low], order)
            if best is None or cost < best[0]:
                best = cost, ladder[low], order
    if best is None:
        raise InputError(f'coulomb accuracy {accuracy:g} is out of reach of "spme" at this cutoff; write coulomb = {{ method = "ewald", accuracy = {accuracy:g} }} '
                         "for a small cell, or take a larger cutoff")
    return best[1], best[2]


def _ladder(box):
    """Meshes with rising numbers of points, nearly equal spacing along the axes."""
    meshes, n, longest = [], 4, float(box.edges.max())
    while longest / n > FINEST:
        n = smooth_size(n + 1)
        mesh = tuple(smooth_size(length * n / longest - 1e-9) for length in box.edges)
        if not meshes or mesh != meshes[-1]:
            meshes.append(mesh)
    return meshes


def _cost(particles, mesh, order):
    """Time of one mesh step in ns on one core, from the measured costs of spread, gather and transform; only the ratio counts."""
    points = math.prod(mesh)
    return particles * (25.0 + 1.1 * order * order) + points * (6.0 + 0.25 * math.log2(points))
