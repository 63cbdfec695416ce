"""Trajectories for other programs: extended XYZ and LAMMPS dump, both read by OVITO. One frame at a time is in memory."""
import os

import numpy as np

from ..core.errors import InputError
from .trajectory import Trajectory

FORMATS = {"extxyz": "extxyz", "lammps": "lammpstrj"}


def export(path, target, kind, start=0, stop=None, stride=1, unwrap=False):
    """Writes frames start:stop:stride of the trajectory file `path` to `target`; returns their number. `kind`: "extxyz" or "lammps";
    `unwrap`: positions that do not jump at the walls. The target gets its name when it is complete. Raises InputError."""
    if kind not in FORMATS:
        raise InputError(f"format {kind!r}: one of {', '.join(FORMATS)} is possible")
    write = {"extxyz": _extxyz, "lammps": _lammps}[kind]
    new = f"{target}.new"
    try:
        with Trajectory(path) as frames, open(new, "w", encoding="utf-8") as out:
            chosen = range(len(frames))[start:stop:stride]
            has_velocity = "velocity" in frames.group
            for frame in chosen:
                position = frames.unwrapped(frame) if unwrap else frames.read("position", frame)
                write(out, frames, frame, position, frames.read("velocity", frame) if has_velocity else None, unwrap)
        os.replace(new, target)
    except (OSError, KeyError) as problem:
        if os.path.exists(new):
            os.unlink(new)
        raise InputError(f"{path} -> {target}: {problem}") from problem
    return len(chosen)


def _extxyz(out, frames, frame, position, velocity, unwrap):
    """Velocity in angstrom/fs as `velo`; ASE's own velocity unit differs, so its column name is not used."""
    columns = "species:S:1:pos:R:3:id:I:1" + (":velo:R:3" if velocity is not None else "")
    lattice = " ".join(repr(float(x)) for x in frames.cell(frame).ravel())
    out.write(f"{len(position)}\nLattice=\"{lattice}\" Properties={columns} pbc=\"T T T\" time={float(frames.time[frame])!r} step={int(frames.step[frame])}\n")
    names = [frames.names[kind].split("_")[0] for kind in frames.species]
    for row, name in enumerate(names):
        text = f"{name} {_numbers(position[row])} {frames.id[row]}"
        out.write(text + (f" {_numbers(velocity[row])}\n" if velocity is not None else "\n"))


def _lammps(out, frames, frame, position, velocity, unwrap):
    """Lengths in angstrom; velocities in angstrom/ps, as in LAMMPS' metal units; types count from 1."""
    cell = frames.cell(frame)
    tilts = cell[[1, 2, 2], [0, 0, 1]]
    out.write(f"ITEM: TIMESTEP\n{int(frames.step[frame])}\nITEM: NUMBER OF ATOMS\n{len(position)}\nITEM: BOX BOUNDS {'xy xz yz ' if tilts.any() else ''}pp pp pp\n")
    if tilts.any():                         # bounds of the box that holds the cell
        (xy, xz, yz), (lx, ly, lz) = tilts.tolist(), np.diag(cell).tolist()
        bounds = (min(0.0, xy, xz, xy + xz), lx + max(0.0, xy, xz, xy + xz), xy), (min(0.0, yz), ly + max(0.0, yz), xz), (0.0, lz, yz)
        out.writelines(f"{low!r} {high!r} {tilt!r}\n" for low, high, tilt in bounds)
    else:
        out.writelines(f"0.0 {float(edge)!r}\n" for edge in np.diag(cell))
    image = frames.read("image", frame)
    place = "xu yu zu" if unwrap else "x y z"
    out.write(f"ITEM: ATOMS id type element {place} ix iy iz" + (" vx vy vz\n" if velocity is not None else "\n"))
    for row, kind in enumerate(frames.species):
        text = f"{frames.id[row] + 1} {kind + 1} {frames.names[kind]} {_numbers(position[row])} {image[row, 0]} {image[row, 1]} {image[row, 2]}"
        out.write(text + (f" {_numbers(velocity[row] * 1e3)}\n" if velocity is not None else "\n"))


def _numbers(values):
    return " ".join(repr(float(x)) for x in values)
