"""On which sites of the crystal the mobile ions are, and how ordered they are there.

Every ion belongs to the nearest site of a reference cell, which is laid over the framework as it stands: its edges are those of the cell of the run, its
origin follows the mean place of the framework. Sites that are alike in the high symmetry fall into classes that are not alike in the low one; the order
parameter of a class is its occupation minus the mean occupation of the other classes of its set: 0 where they are alike.

Garnet Li7La3Zr2O12: in the cubic phase (Ia-3d) Li shares 24d and 48g. Of the three kinds of 24d, whose fourfold axes point along x, y and z, the
tetragonal phase (I4_1/acd) fills the one along its c axis (8a) and leaves the two others (16e) empty, and fills all of 48g (16f and 32g): its order
parameter along c is 1, and -1/2 along a and b."""
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..dynamics.observers import Observer
from ..parallel.reduce import ordered_sum
from .building.symmetry import operations, orbit

GARNET = {"Zr": (0.0, 0.0, 0.0), "La": (0.125, 0.0, 0.25), "24d": (0.375, 0.0, 0.25), "48g": (0.125, 0.6797, -0.4297)}      # as in building.crystals.llzo_cubic
ON_ZIRCONIUM = ("Zr", "Ta", "Nb", "Hf", "Sb", "W")          # what stands on its site in doped garnets
FARTHEST = 1.0          # angstrom rms that a framework may lie off its sites
ROWS = 4096             # ions at a time


@dataclass(frozen=True)
class SiteReference:
    """`site` (m, 3) in fractions of the reference cell, `kind` (m,) the class of each; of the classes: `labels`, `sets` (names) and `size` (k,) sites in the whole
    cell of the run. `cells` (3,) reference cells along its axes; `origin` (3,) of the first of them, in reference cells, when the mean place of the framework
    was `start` (3,), in fractions of the cell. `mobile`, `framework` (s,) bool: species."""
    site: np.ndarray
    kind: np.ndarray
    labels: tuple
    sets: tuple
    size: np.ndarray
    cells: np.ndarray
    origin: np.ndarray
    start: np.ndarray
    mobile: np.ndarray
    framework: np.ndarray


def order_parameters(occupation, sets):
    """(..., k) order parameters of occupations (..., k) of classes that belong to `sets` (k names); nan for a class that is alone in its set."""
    occupation = np.asarray(occupation, dtype=np.float64)
    out = np.full(occupation.shape, np.nan)
    for k, name in enumerate(sets):
        others = [j for j, other in enumerate(sets) if other == name and j != k]
        if others:
            out[..., k] = occupation[..., k] - occupation[..., others].mean(axis=-1)
    return out


def garnet_sites(name):
    """(m, 3) fractions of one of GARNET's sites in the cell of Ia-3d."""
    return orbit(GARNET[name], *operations(230))


def garnet_classes():
    """((label, set, sites) of each class): 24d by the axis along which its coordinate is an odd number of eighths, and 48g."""
    site = garnet_sites("24d")
    axis = np.argmax(np.round(8 * site).astype(int) % 2, axis=1)
    return tuple((f"24d {'xyz'[k]}", "24d", site[axis == k]) for k in range(3)) + (("48g", "48g", garnet_sites("48g")),)


def reference_of(table, system, supercell):
    """The SiteReference of an OrderTable for the System as it was built. Raises InputError."""
    if system.box.tilted:
        raise InputError("[order]: sites are followed in orthorhombic cells only; write structure.orthorhombic (`hpcnemd check` without [order] says which), or leave [order] out")
    cells = np.array(table.cells or supercell)
    names = system.kinds.names
    if table.sites is not None:
        classes, mobile = garnet_classes(), ("Li",)
        framework = ("La", *(name for name in names if name in ON_ZIRCONIUM))
        origin = _garnet_origin(system, cells)
    else:
        classes = tuple((one.name, one.set, np.array(one.positions)) for one in table.classes)
        mobile, framework, origin = table.species, table.framework, np.zeros(3)
    for key, wanted in (("species", mobile), ("framework", framework)):
        missing = [name for name in wanted if name not in names]
        if missing:
            raise InputError(f"order.{key}: the structure holds no {', '.join(missing)}; it holds {', '.join(names)}")
    in_framework = np.isin(names, framework)
    place = system.position[in_framework[system.species]] / system.box.lengths
    kind = np.concatenate([np.full(len(sites), k) for k, (*_, sites) in enumerate(classes)])
    return SiteReference(np.concatenate([sites for *_, sites in classes]), kind, tuple(label for label, *_ in classes), tuple(name for _, name, _ in classes),
                         np.bincount(kind) * int(np.prod(cells)), cells, origin, place.mean(axis=0), np.isin(names, mobile), in_framework)


def _garnet_origin(system, cells):
    """(3,) where the origin of Ia-3d lies, in reference cells: the place of the first Zr that puts all of La and Zr nearest to their sites."""
    edges, names = system.box.lengths / cells, np.array(system.kinds.names)[system.species]
    place = {"La": system.position[names == "La"] / edges, "Zr": system.position[np.isin(names, ON_ZIRCONIUM)] / edges}
    if not len(place["La"]) or not len(place["Zr"]):
        raise InputError("order.sites = \"llzo\": the structure holds no La and Zr; write classes of your own, with species and framework")
    sites, best = {name: garnet_sites(name) for name in place}, None
    for first in sites["Zr"]:
        origin = place["Zr"][0] - first
        away = np.concatenate([_nearest(place[name] - origin, sites[name], edges)[1] for name in place])
        square = float((away**2).sum(axis=1).mean())
        if best is None or square < best[0]:
            best = square, origin + away.mean(axis=0) / edges
    if not best[0] < FARTHEST**2:
        raise InputError(f"order.sites = \"llzo\": La and Zr lie {np.sqrt(best[0]):.2g} angstrom (rms) off the sites of a garnet with {' x '.join(map(str, cells))} cells "
                         "along x, y and z; give the number of cells in order.cells, or leave the table [order] out (grains and turned crystals have no such axes)")
    return best[1]


def _nearest(place, site, edges):
    """(n,) row of the nearest `site` (m, 3) to each `place` (n, 3), both in reference cells of `edges` (3,) angstrom, and (n, 3) angstrom from there to it."""
    index, away = np.empty(len(place), np.int64), np.empty((len(place), 3))
    for first in range(0, len(place), ROWS):
        part = slice(first, first + ROWS)
        apart = place[part, None, :] - site[None, :, :]
        apart -= np.round(apart)
        apart *= edges
        index[part] = np.einsum("nmk,nmk->nm", apart, apart).argmin(axis=1)
        away[part] = apart[np.arange(len(apart)), index[part]]
    return index, away


class SiteOccupation(Observer):
    """Every `every` steps after step `first`, in `count` blocks of `length` steps: ions per site of each class, block averages (count, k)."""

    def __init__(self, reference, every, first, length, count):
        super().__init__(every)
        self.reference, self.first, self.length, self.count = reference, first, length, count
        self.sums, self.taken = np.zeros((count, len(reference.labels))), np.zeros(count)

    def due(self, step):
        return 0 < step - self.first <= self.length * self.count and (step - self.first) % self.every == 0

    def observe(self, sim):
        """Collective."""
        block = (sim.step - self.first - 1) // self.length
        self.sums[block] += occupation(sim, self.reference)
        self.taken[block] += 1

    def averages(self):
        """(count, k), nan where nothing was sampled yet."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sums / self.taken[:, None]

    def tree(self):
        return {"sums": self.sums, "taken": self.taken}

    def restore(self, tree):
        rows = min(len(tree["sums"]), self.count)
        self.sums[:rows], self.taken[:rows] = tree["sums"][:rows], tree["taken"][:rows]


def occupation(sim, reference):
    """Collective. (k,) ions per site of each class, as the ions of a Simulation stand."""
    state, n = sim.state, sim.state.n_owned
    species, lengths = state.species[:n], state.box.lengths
    frame = reference.framework[species]
    local = np.append((state.unwrapped()[frame] / lengths).sum(axis=0), frame.sum())
    total = ordered_sum(sim.comm, local)
    origin = reference.origin + (total[:3] / total[3] - reference.start) * reference.cells
    place = state.position[:n][reference.mobile[species]] / (lengths / reference.cells) - origin
    index, _ = _nearest(place, reference.site, lengths / reference.cells)
    found = np.bincount(reference.kind[index], minlength=len(reference.labels)).astype(np.float64)
    return ordered_sum(sim.comm, found) / reference.size
