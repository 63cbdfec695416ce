"""`hpcnemd bvse STRUCTURE --mobile Li`: sites, paths and percolation barriers of a mobile ion from bond-valence site energies."""
import json
from pathlib import Path

import numpy as np

from ..core.errors import InputError


def read_charges(texts):
    """{element: e} of words such as La=3."""
    charges = {}
    for word in (one for text in texts or () for one in text.split(",")):
        name, _, value = word.partition("=")
        try:
            charges[name.strip()] = int(value)
        except ValueError:
            raise InputError(f"--charges {word}: write an element and its charge, for example La=3") from None
    return charges


def bond_valence_map(structure, mobile, resolution, charges, folder):
    """Prints the barriers and the sites, writes bvse.cube, bvse.png and numbers.json into `folder`; returns the exit code. Raises InputError."""
    from ..experiments.structures import named_atoms
    from ..forces.bond_valence import site_energy
    found = site_energy(named_atoms(structure), mobile, resolution, read_charges(charges))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shape, sites = found.energy.shape, found.sites()
    print(f"bond-valence site energy of {mobile} in {structure}, rigid framework, grid {' x '.join(map(str, shape))}")
    for dimension, (energy, barrier) in enumerate(zip(found.thresholds, found.barriers), 1):
        print(f"   paths percolate in {dimension} dimension{'s' * (dimension > 1)} at {energy:.4f} eV, {barrier:.3f} eV above the lowest site")
    print(f"   {len(sites)} sites (grid minima) below the barrier of three dimensions; the lowest {min(len(sites), 6)}:")
    for energy, place in sites[:6]:
        print(f"      {energy:9.4f} eV at {' '.join(f'{x:.3f}' for x in place)}")
    numbers = {"structure": str(structure), "mobile": mobile, "grid": list(shape), "lowest_eV": found.lowest, "thresholds_eV": found.thresholds.tolist(),
               "barriers_eV": found.barriers.tolist(), "sites": [{"energy_eV": e, "fraction": p.tolist()} for e, p in sites]}
    (folder / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")
    _write_cube(found, structure, folder / "bvse.cube")
    _draw(found, structure, folder / "bvse.png")
    print(f"   {folder / 'bvse.cube'} (energies, for VESTA), {folder / 'bvse.png'}, {folder / 'numbers.json'}")
    return 0


def _write_cube(found, structure, path):
    from ase.io.cube import write_cube

    from ..experiments.structures import named_atoms
    atoms = named_atoms(structure)
    with open(path, "w", encoding="ascii") as file:
        write_cube(file, atoms[[k for k, name in enumerate(atoms.get_chemical_symbols()) if name != found.mobile]], found.energy)


def _draw(found, structure, path):
    """Two panels: the lowest energy along the third axis, and the share of the cell that lies below an energy."""
    import matplotlib
    from matplotlib.figure import Figure
    above = found.energy - found.lowest
    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"backend": matplotlib.rcParams["backend"]}):
        figure = Figure(figsize=(9.6, 4.6), layout="constrained")
        first, second = figure.subplots(1, 2, width_ratios=[1.15, 1])
        lengths = np.linalg.norm(found.cell, axis=1)
        top = 1.6 * np.nanmax(found.barriers)
        picture = first.imshow(above.min(axis=2).T, origin="lower", extent=(0, lengths[0], 0, lengths[1]), vmin=0, vmax=top, cmap="viridis_r", interpolation="bilinear")
        figure.colorbar(picture, ax=first, label="lowest energy along c, above the lowest site (eV)")
        places = np.array([place for _, place in found.sites()])
        first.plot(places[:, 0] * lengths[0], places[:, 1] * lengths[1], ls="", marker="o", ms=4, mfc="none", color="#D55E00", label="sites")
        first.set_xlabel("along a (Å)")
        first.set_ylabel("along b (Å)")
        second.plot(np.sort(above.ravel())[::10], np.arange(above.size)[::10] / above.size * 100, color="#0072B2")
        for dimension, (barrier, dash) in enumerate(zip(found.barriers, (":", "--", "-")), 1):
            if np.isfinite(barrier):
                second.axvline(barrier, color="#D55E00", ls=dash, lw=1.4, label=f"{dimension}D, {barrier:.3f} eV")
        second.set_xlim(0, top)
        share = (above <= top).mean() * 100
        second.set_ylim(0, 1.05 * share)
        second.set_xlabel("energy above the lowest site (eV)")
        second.set_ylabel("share of the cell below it (%)")
        second.legend(title="paths percolate", frameon=False, loc="upper left")
        first.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        figure.suptitle(f"Bond-valence site energy of {found.mobile} in {Path(str(structure)).name}, rigid framework, grid {' × '.join(map(str, above.shape))}", fontsize=10)
        figure.savefig(path, dpi=150)
