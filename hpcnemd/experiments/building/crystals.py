"""Built-in crystals and melts. Each maker returns ASE Atoms; one with partly occupied sites says so in the way of ASE's CIF reader."""
import numpy as np

from ...core.random import generator
from ...core.units import AVOGADRO
from .symmetry import crystal


def _crystal(symbols, basis, spacegroup, edges, count, **options):
    """A crystal from its sites, with the number of its ions checked: a wrong origin choice gives another number without a word."""
    atoms = crystal(symbols, basis, spacegroup, edges, **options)
    if len(atoms) != count:
        raise RuntimeError(f"{len(atoms)} sites instead of {count} from space group {spacegroup}")
    return atoms


def llzo_tetragonal():
    """Tetragonal Li7La3Zr2O12, 192 ions: I4_1/acd, origin choice 1, DFT-relaxed sites of github.com/bjmorgan/hofmann (examples/Li7La3Zr2O12.cif)."""
    sites = [("Li", (0.0805155, 0.1624655, 0.9308565)), ("Li", (0.181211, 0.181211, 0.75)), ("Li", (0, 0, 0)),
             ("La", (0.12737, 0.25, 0.375)), ("La", (0, 0, 0.25)), ("Zr", (0, 0.25, 0.125)),
             ("O", (0.034616, 0.694517, 0.471296)), ("O", (0.054963, 0.102443, 0.090667)), ("O", (0.150823, 0.223227, 0.571236))]
    return _crystal([name for name, _ in sites], [site for _, site in sites], 142, (13.23607, 13.23607, 12.701706), 192)


def llzo_cubic_box():
    """The same ions in a cube of 13.17 angstrom, the mean edge at 1000 K: above 700-900 K they become cubic LLZO within about 10 ps."""
    return rescaled(llzo_tetragonal(), (13.17, 13.17, 13.17))


def llzo_cubic():
    """Cubic Li7La3Zr2O12, Ia-3d, 192 ions on 208 sites, a = 13.17 angstrom (the mean edge of the rigid-ion model at 1000 K).

    Sites and occupancies: refined by folding a snapshot of 12 288 ions at 1000 K, from molecular dynamics with a neural-network potential
    (github.com/brucefan1983/GPUMD-Tutorials, examples/24_Ionic_Conductivity), into one cell; 24d 0.473, 48g 0.930, which is 56 Li."""
    sites = [("Zr", (0, 0, 0), 1.0), ("La", (0.125, 0, 0.25), 1.0), ("O", (-0.0311, 0.0537, 0.1497), 1.0),
             ("Li", (0.375, 0, 0.25), 0.473), ("Li", (0.125, 0.6797, -0.4297), 0.930)]
    names, basis, shares = zip(*sites)
    atoms = _crystal(names, basis, 230, (13.17,) * 3, 208, occupancies=shares)
    atoms.info["site_labels"] = ["Zr1", "La1", "O1", "Li1", "Li2"]
    return atoms


def nacl():
    """Rock salt, 8 ions, a = 5.64 angstrom."""
    return _crystal(["Na", "Cl"], [(0, 0, 0), (0.5, 0.5, 0.5)], 225, (5.64,) * 3, 8)


def nacl_melt():
    """216 ions at the density of the melt, 1.454 g/cm3 (Tosi-Fumi salt at 1100 K): a stretched rock salt that melts by itself at that temperature."""
    return at_density(nacl().repeat(3), 1.454)


def agi_alpha():
    """Alpha silver iodide, 256 ions: I on a body-centred lattice with a = 5.08 angstrom, Ag on 128 of its 768 tetrahedral sites (12d of Im-3m),
    taken in a fixed random order under a distance of at least 0.6 a, so that all three kinds of site occur."""
    import ase
    cells, edge = 4, 5.08
    sites = np.array([(0.25, 0, 0.5), (0.75, 0, 0.5), (0.5, 0.25, 0), (0.5, 0.75, 0), (0, 0.5, 0.25), (0, 0.5, 0.75),
                      (0.75, 0.5, 0), (0.25, 0.5, 0), (0, 0.75, 0.5), (0, 0.25, 0.5), (0.5, 0, 0.75), (0.5, 0, 0.25)])
    corner = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    iodide = (corner + np.array([(0, 0, 0), (0.5, 0.5, 0.5)])).reshape(-1, 3)
    candidates = (corner + sites).reshape(-1, 3)
    silver = _spread_out(candidates, len(iodide), 0.6, cells, generator(1, "structure"))
    return ase.Atoms(["I"] * len(iodide) + ["Ag"] * len(silver), positions=edge * np.concatenate([iodide, silver]),
                     cell=[cells * edge] * 3, pbc=True)


def _spread_out(candidates, count, distance, period, random):
    """(count, 3) of the candidates, none closer than `distance` to another (periodic cube): random sequential, started again if it jams."""
    for _ in range(100):
        chosen = np.empty((0, 3))
        for k in random.permutation(len(candidates)):
            apart = chosen - candidates[k]
            apart -= period * np.round(apart / period)
            if not np.any(np.sum(apart**2, axis=1) < distance**2):
                chosen = np.vstack([chosen, candidates[k]])
                if len(chosen) == count:
                    return chosen
    raise RuntimeError(f"no {count} sites at a distance of {distance} found")


def caf2():
    """Fluorite, 12 ions, a = 5.463 angstrom."""
    return _crystal(["Ca", "F"], [(0, 0, 0), (0.25, 0.25, 0.25)], 225, (5.463,) * 3, 12)


def li2o():
    """Antifluorite lithium oxide, 12 ions, a = 4.61 angstrom."""
    return _crystal(["O", "Li"], [(0, 0, 0), (0.25, 0.25, 0.25)], 225, (4.61,) * 3, 12)


BUILT_IN = {maker.__name__: maker for maker in (llzo_tetragonal, llzo_cubic_box, llzo_cubic, nacl, nacl_melt, agi_alpha, caf2, li2o)}


# ---- rescaling ---------------------------------------------------------------------------------------------------------

def rescaled(atoms, lengths):
    """The Atoms with other edges (angstrom) at the same angles, in place."""
    cell = atoms.cell.array
    upright = np.abs(cell - np.diag(np.diag(cell))).max() <= 1e-8 * np.abs(cell).max()
    atoms.set_cell(np.diag(lengths) if upright else cell * (np.asarray(lengths) / atoms.cell.lengths())[:, None], scale_atoms=True)
    return atoms


def at_density(atoms, density):
    """The Atoms evenly rescaled to `density` g/cm3, in place; partly occupied sites count with their occupancy."""
    from ase.data import atomic_masses, atomic_numbers
    mass = atoms.get_masses()
    for site, share in atoms.info.get("occupancy", {}).items():
        mass[atoms.arrays["spacegroup_kinds"] == int(site)] = sum(float(x) * atomic_masses[atomic_numbers[name]] for name, x in share.items())
    now = mass.sum() / AVOGADRO / (atoms.get_volume() * 1e-24)
    atoms.set_cell(atoms.cell * (now / density) ** (1 / 3), scale_atoms=True)
    return atoms
