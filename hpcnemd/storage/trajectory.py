"""Trajectories as H5MD files (de Buyl, Colberg, Hoefling, Comput. Phys. Commun. 185, 1546 (2014)): rows in the order of particle ids, whatever the ranks.

Positions are stored wrapped, with their image counts: position + image * edges (image @ edges where the cell is tilted, and edges are
a matrix whose rows are the cell vectors) is the unwrapped place, exactly as in the run.
"""
import numpy as np

from ..core.errors import InputError
from . import blueprint, raw_bytes
from .agreement import on_root
from .frames import VALID, FrameFile
from .provenance import SLOTS, versions, write
from .rows import sorted_ids, to_writers

GROUP = "particles/trajectory"
BURST_BYTES = 32 << 20      # that one rank may hold before a burst is written


class TrajectoryWriter:
    """Collective in all its methods over `comm` (the ranks of one replica)."""

    def __init__(self, comm, path, writer, state, capacity, velocities=False, resume_frames=None, burst=None, attributes=None, provenance=None):
        """`capacity`: frames of the whole run; `resume_frames`: frames to keep of an existing file (None: a new file);
        `burst`: frames that are written together (None: chosen by their size); `attributes`: written to the group;
        `provenance`: what `provenance.collect` returned. Raises InputError where the file cannot be written or continued."""
        self.comm, self.writer, self.velocities = comm, writer, bool(velocities)
        self.ids = sorted_ids(comm, state.id[state.owned])
        self.bounds = writer.bounds(len(self.ids))
        self.series = _series(len(self.ids), velocities, state.box.tilted)
        row = sum(int(np.prod(one.shape)) * np.dtype(one.dtype).itemsize for one in self.series)
        self.burst = max(1, int(burst or min(1000, BURST_BYTES // max(1, row))))
        self.pending, self.times = [], []
        if resume_frames is None:
            species = self._species(state)
            self.file = FrameFile.create(path, writer, self.series, capacity, SLOTS,
                                         lambda f: _decorate(f, self.ids, species, state, attributes or {}, provenance))
        else:
            self.file = FrameFile.resume(path, writer, self.series, resume_frames, SLOTS)
            species = self._species(state)
            on_root(comm, lambda: _check_particles(path, self.ids, species), path, starting=True)

    def _species(self, state):
        """(n,) int32 on rank 0, in the order of ids."""
        held = [(state.id[state.owned].copy(), [state.species[state.owned].astype(np.int32)])]
        whole = np.full(self.comm.size + 1, len(self.ids), np.int64)
        whole[0] = 0
        return to_writers(self.comm, self.ids, whole, held)[0][0]

    @property
    def frames(self):
        """Frames given so far."""
        return self.file.valid + len(self.pending)

    def write(self, step, time, state):
        """Collective. The state as the next frame; it is on disk after the next `flush`. `time`: fs. Raises StoppedEarly where the disk is full."""
        owned = state.owned
        position, image = state.position[owned].copy(), state.image[owned].copy()
        state.box.wrap(position, image)
        arrays = [position, image.astype(np.int32, copy=False)] + ([state.velocity[owned].copy()] if self.velocities else [])
        self.pending.append((state.id[owned].copy(), arrays))
        self.times.append((int(step), float(time), state.box.matrix if state.box.tilted else state.box.lengths.copy()))
        if len(self.pending) >= self.burst:
            self.flush()

    def flush(self):
        """Collective. Writes what is pending. Raises StoppedEarly where the disk is full; earlier frames are safe."""
        if not self.pending:
            return
        rows = to_writers(self.comm, self.ids, self.bounds, self.pending)
        count, first, root = len(self.pending), int(self.bounds[self.comm.rank]), self.comm.rank == 0
        names = [f"{GROUP}/position/value", f"{GROUP}/image/value"] + ([f"{GROUP}/velocity/value"] if self.velocities else [])
        blocks = {name: (first, array) for name, array in zip(names, rows)}
        steps, times, edges = zip(*self.times)
        for name, values, dtype in (("step", steps, "<i8"), ("time", times, "<f8")):
            blocks[f"{GROUP}/position/{name}"] = (0, np.array(values if root else (), dtype))
        blocks[f"{GROUP}/box/edges/value"] = (0, np.array(edges if root else np.empty((0,) + edges[0].shape), "<f8"))
        self.pending, self.times = [], []
        self.file.append(count, blocks)

    def close(self, finished=False):
        """Collective. Writes what is pending; `finished`: the run is complete, and unused index space is given back."""
        self.flush()
        if finished:
            self.file.finish()


def _series(rows, velocities, tilted):
    others = ["image", "box/edges"] + (["velocity"] if velocities else [])
    links = {kind: tuple(f"{GROUP}/{other}/{kind}" for other in others) for kind in ("step", "time")}
    series = [blueprint.Series(f"{GROUP}/position/value", (rows, 3), "<f8", "Angstrom", "wrapped into the box"),
              blueprint.Series(f"{GROUP}/image/value", (rows, 3), "<i4", "", f"periods: position + image {'@' if tilted else '*'} edges is the unwrapped place")]
    if velocities:
        series.append(blueprint.Series(f"{GROUP}/velocity/value", (rows, 3), "<f8", "Angstrom fs-1"))
    series.append(blueprint.Series(f"{GROUP}/box/edges/value", (3, 3) if tilted else (3,), "<f8", "Angstrom"))
    series.append(blueprint.Series(f"{GROUP}/position/step", (), "<i8", "", "", links["step"]))
    series.append(blueprint.Series(f"{GROUP}/position/time", (), "<f8", "fs", "", links["time"]))
    return series


def _decorate(f, ids, species, state, attributes, provenance):
    f.create_group("h5md").attrs["version"] = np.array([1, 1], np.int32)
    f.create_group("h5md/author").attrs["name"] = "hpcnemd"
    creator = f.create_group("h5md/creator")
    creator.attrs["name"], creator.attrs["version"] = "hpcnemd", versions()["hpcnemd"]
    group = f.create_group(GROUP)
    for key, value in attributes.items():
        group.attrs[key] = value
    box = group.create_group("box")
    box.attrs["dimension"] = np.int32(3)
    periodic = [b"periodic" if axis < state.box.dimensions else b"none" for axis in range(3)]
    box.attrs["boundary"] = np.array(periodic, "S8")
    group["id"], group["species"] = ids, species
    group["species"].attrs["names"] = np.array([name.encode() for name in state.kinds.names])
    for name, values, unit in (("mass", state.kinds.mass, "eV fs2 Angstrom-2"), ("charge", state.kinds.charge, "e"),
                               ("formal_charge", state.kinds.formal_charge, "e")):
        group[name] = np.asarray(values)[species]
        group[name].attrs["unit"] = unit
    write(f, provenance or {})


def _check_particles(path, ids, species):
    with Trajectory(path) as there:
        if not np.array_equal(there.id, ids) or not np.array_equal(there.species, species):
            raise InputError(f"{path} is the trajectory of other particles; choose another folder")


class Trajectory:
    """A reader that needs no MPI. `len()` is the number of valid frames; `step`, `time` (fs), `edges` (frames, 3) or, of a tilted cell, (frames, 3, 3) angstrom;
    `id`, `species`, `mass`, `charge`, `formal_charge` (n,); `names`: species. Use as a context manager, or call `close`."""

    def __init__(self, path):
        self.file = raw_bytes.open_to_read(path)
        self.group = self.file[GROUP]
        self.frames = int(self.file[VALID][()])
        self.step, self.time = (self.group["position"][key][:self.frames] for key in ("step", "time"))
        self.edges = self.group["box/edges/value"][:self.frames]
        for key in ("id", "species", "mass", "charge", "formal_charge"):
            setattr(self, key, self.group[key][:])
        self.names = tuple(name.decode() for name in self.group["species"].attrs["names"])

    def __len__(self):
        return self.frames

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.file.close()

    def read(self, name, frame):
        """(n, 3) `position` (angstrom, wrapped), `image` or `velocity` (angstrom/fs) of a frame. Raises KeyError, IndexError."""
        if not -self.frames <= frame < self.frames:
            raise IndexError(f"frame {frame} of {self.frames}")
        return self.group[name]["value"][frame % self.frames]

    def unwrapped(self, frame):
        """(n, 3) angstrom"""
        image, edges = self.read("image", frame), self.edges[frame]
        return self.read("position", frame) + (image * edges if edges.ndim == 1 else image @ edges)

    def cell(self, frame):
        """(3, 3) rows are the cell vectors, angstrom"""
        return np.diag(self.edges[frame]) if self.edges[frame].ndim == 1 else self.edges[frame]
