"""Trajectories of ions whose conductivity, tracer diffusion and Haven ratio are known: Ornstein-Uhlenbeck walkers that share a part of their motion, in a
framework that rattles, written by the formats of other programs."""
import numpy as np
from langevin_ions import FRICTION, ION_MASS, KT, TEMPERATURE, displacement

from hpcnemd.core.units import SIEMENS_PER_METRE

COUNT, FRAME, SAMPLE, EDGES = 24, 12, 50.0, np.array([12.0, 13.0, 14.0])
SHARED = 0.5                        # of every ion's motion, in amplitude, is common to all
TRACER = KT / (ION_MASS * FRICTION)                 # angstrom^2/fs
COLLECTIVE = 1 + (COUNT - 1) * SHARED ** 2          # how much more the charge moves than independent ions would
CHARGE_VOLUME = COUNT / (EDGES.prod() * KT)


def sigma(volume=EDGES.prod()):
    """The exact conductivity, S/m."""
    return SIEMENS_PER_METRE * COUNT * TRACER * COLLECTIVE / (volume * KT)


def walk(rng, steps):
    """(T, n, 3) angstrom: COUNT mobile ions, then FRAME ions of the framework at rest but for 0.1 angstrom, and a drift of everything."""
    own = displacement(rng, steps, SAMPLE, (COUNT, 3), count=1)
    common = displacement(rng, steps, SAMPLE, (3,), count=1)
    ions = (np.sqrt(1 - SHARED ** 2) * own + SHARED * common).transpose(2, 0, 1) + rng.random((COUNT, 3)) * EDGES
    rest = rng.random((FRAME, 3)) * EDGES + 0.1 * rng.standard_normal((steps + 1, FRAME, 3))
    return np.concatenate([ions, rest], axis=1) + 0.002 * np.arange(steps + 1)[:, None, None]


def write_extxyz(path, places, cells=None, order=None):
    """Wrapped into the cell of each frame. `cells` (T, 3) angstrom."""
    with open(path, "w", encoding="utf-8") as out:
        for k, place in enumerate(places):
            edges = EDGES if cells is None else cells[k]
            out.write(f"{len(place)}\nLattice=\"{edges[0]} 0 0 0 {edges[1]} 0 0 0 {edges[2]}\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n")
            out.writelines(f"{'Li' if n < COUNT else 'Cl'} {x:.6f} {y:.6f} {z:.6f}\n" for n, (x, y, z) in enumerate(np.mod(place, edges)))


def write_dump(path, places, columns="x y z ix iy iz", cut=0):
    """As LAMMPS writes it: in an order of its own, the corner of the box away from the origin, steps of 2 fs."""
    rng, corner = np.random.default_rng(0), np.array([-3.0, 1.0, 2.0])
    with open(path, "w", encoding="utf-8") as out:
        for k, place in enumerate(places):
            image = np.floor(place / EDGES).astype(int)
            shown = {"x y z ix iy iz": np.hstack([place - image * EDGES + corner, image]), "x y z": place - image * EDGES + corner,
                     "xu yu zu": place + corner, "xs ys zs ix iy iz": np.hstack([place / EDGES - image, image])}[columns]
            out.write(f"ITEM: TIMESTEP\n{int(k * SAMPLE / 2)}\nITEM: NUMBER OF ATOMS\n{len(place)}\nITEM: BOX BOUNDS pp pp pp\n")
            out.writelines(f"{low:.6f} {low + edge:.6f}\n" for low, edge in zip(corner, EDGES))
            out.write(f"ITEM: ATOMS id type {columns}\n")
            out.writelines(f"{n + 1} {1 if n < COUNT else 2} " + " ".join(f"{x:.6f}" for x in shown[n]) + "\n" for n in rng.permutation(len(place)))
        if cut:
            out.truncate(out.tell() - cut)
