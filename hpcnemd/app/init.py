"""`hpcnemd init NAME`: a deck to start from, with a word on every key that a user is likely to change."""
import os
from pathlib import Path

from ..core.errors import InputError

TEMPLATE = """# Ionic conductivity of {formula} at constant current. Check it with: hpcnemd check {deck}
# Run it with: mpirun -n 4 hpcnemd run {deck}. The same command resumes an interrupted run.
experiment = "ionic_conductivity"

[structure]
{structure}
supercell = [1, 1, 1]            # repetitions along x, y, z
# lattice = "13.17 angstrom"     # rescale the cell before repetition: one length (a cube) or three

[forcefield]
table = {forcefield}
# cutoff = "{cutoff:g} angstrom"          # the table's own value
coulomb = {{ method = "spme", accuracy = 1e-5 }}

[run]
temperature = "1000 K"
timestep = "2 fs"
equilibrate = "12 ps"            # at the temperature, without a drive
settle = "6 ps"                  # under the drive, before the measurement
measure = "100 ps"               # total; to lengthen a run that is done, write more here and start it again
blocks = 20
replicas = 1                     # independent runs; they can share the ranks or have ranks of their own
seed = 2026

[drive]
kind = "constant_current"        # or constant_field, none
current_density = "auto"         # chosen by a short pilot run at the start; or a value, "3e6 A/cm^2"
# drift_velocity = "0.40 angstrom/ps"   # or the current as a mean velocity of the mobile ions
direction = "x"
mobile = {mobile}

[output]
folder = {folder}
trajectory = "1 ps"              # interval of stored frames; remove the line for none
checkpoint = "10 min"
# walltime = "24 h"              # stop with a checkpoint before this time is over
"""


def write_deck(name, structure, forcefield):
    """Writes NAME.toml for a structure (file or built-in name) and a force field. Returns the exit code; raises InputError."""
    from ..experiments.building.sites import formula_unit
    from ..experiments.structures import BUILT_IN, named_structure, structure_problems
    from ..forces.forcefield import load_forcefield
    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    if path.exists():
        raise InputError(f"{path} is there already; choose another name, or remove it first")
    read, field = named_structure(structure), load_forcefield(forcefield)
    problems = structure_problems(read, field)
    if problems:
        raise InputError(problems)
    built_in = structure in BUILT_IN and not Path(structure).exists()
    key, value = ("build", structure) if built_in else ("file", os.path.relpath(structure, path.parent))
    mobile = [species for species in field.species if species in read.names and field.formal_charges[field.species.index(species)] == 1]
    table = forcefield if not Path(forcefield).is_file() else os.path.relpath(forcefield, path.parent)
    text = TEMPLATE.format(formula=formula_unit(read.names)[1], deck=path, structure=f"{key} = {_quoted(value)}", forcefield=_quoted(table),
                           cutoff=field.cutoff_default, mobile=f"[{_quoted(mobile[0])}]" if mobile else '"all"', folder=_quoted(path.stem))
    try:
        with open(path, "x", encoding="utf-8") as out:
            out.write(text)
    except OSError as problem:
        raise InputError(f"{path}: cannot be written ({problem.strerror})") from None
    print(f"{path} written; now: hpcnemd check {path}")
    return 0


def _quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
