"""`hpcnemd check DECK`: everything that the run will do, and everything that is wrong with the input, before any work."""
from collections import Counter

import numpy as np

from ..core.errors import InputError
from ..core.units import in_unit
from .deck import load_deck, resolved_text
from .target import folder_problems


def check_deck(path, ranks=1, write=None):
    """Prints what a deck amounts to on `ranks` ranks, and writes the cell that it builds to the file `write`; returns the exit code.
    Raises InputError with every problem at once."""
    loaded = load_deck(path)
    prepared, problems = prepare_and_check(loaded, ranks)
    if problems:
        raise InputError(problems)
    for title, lines in (("deck, with all defaults", resolved_text(loaded.deck).rstrip().split("\n")), *sections(loaded, prepared, ranks)):
        print(f"== {title}")
        for line in lines:
            print(f"   {line}" if line else "")
    if write is not None:
        from ..experiments.building.writing import write_structure
        if getattr(prepared, "system", None) is None:
            raise InputError(f"--write {write}: this experiment has no structure to write")
        print(write_structure(prepared.system, write))
    print(f"the input is right; run it with: mpirun -n {ranks} hpcnemd run {path}")
    return 0


def sections(loaded, prepared, ranks):
    """[(title, lines)] of what the run will be: by the experiment itself where it has a `describe`, otherwise those of a crystal."""
    if hasattr(loaded.experiment, "describe"):
        return loaded.experiment.describe(loaded, prepared, ranks)
    from .precision import precision_lines
    system = prepared.system
    measured = [("mixed precision, measured", precision_lines(prepared))] if system.precision == "mixed" else []
    return [("structure", structure_lines(system)), ("force field", forcefield_lines(system)), ("forces", force_lines(system)), *measured,
            (f"on {ranks} rank{'s' * (ranks > 1)}", layout_lines(loaded.deck, system, ranks)), ("run", run_lines(loaded, prepared, ranks))]


def prepare_and_check(loaded, ranks):
    """(PreparedRun or None, problems) of a LoadedDeck on a number of ranks: the same checks for `check` and `run`. Needs no MPI."""
    from ..parallel.layout import check_layout, choose_ranks_per_replica
    deck, prepared, problems = loaded.deck, None, []
    try:
        prepared = loaded.experiment.prepare(deck, loaded.base)
    except InputError as error:
        problems += error.problems
    if ranks < 1:
        return prepared, problems + [f"--ranks {ranks}: at least 1 is needed"]
    if hasattr(loaded.experiment, "rank_problems"):
        if prepared is None:
            return None, problems
        problems += loaded.experiment.rank_problems(deck, prepared, ranks)
        need = loaded.experiment.disk_need(deck, prepared, disk_need)
        return prepared, problems + folder_problems(loaded.folder, need["checkpoints"] // (2 * len(prepared.runs)), sum(need.values()))
    per_replica = deck.parallel.ranks_per_replica or choose_ranks_per_replica(ranks, deck.run.replicas)
    problems += check_layout(ranks, deck.run.replicas, per_replica, deck.parallel.grid)
    engine = getattr(getattr(prepared, "system", None), "engine", None)
    if engine is not None and per_replica > 1 and engine.indivisible():
        problems.append(f"{per_replica} ranks per replica: {engine.indivisible()}")
    problems += thread_problems(deck, prepared, engine)
    need = getattr(loaded.experiment, "disk_need", disk_need)(deck, prepared) if prepared is not None else {"checkpoints": 1 << 16}
    problems += folder_problems(loaded.folder, need["checkpoints"] // (2 * deck.run.replicas), sum(need.values()))
    return prepared, problems


def thread_problems(deck, prepared, engine):
    """Messages; whether there are cores for them is seen where the run is."""
    if deck.parallel.threads > 1 and engine is not None:
        yield "parallel.threads: forces come from an ASE calculator, which has threads of its own; leave it out, and set them by the calculator's arguments"
    elif deck.parallel.threads > 1 and prepared is not None and getattr(prepared, "system", None) is None:
        yield "parallel.threads: they share out the forces between ions, and this deck has none; leave it out"


def structure_lines(system):
    from ..experiments.structures import mass_density, nearest_pair
    structure, box = system.structure, system.box
    counts = Counter(structure.names)
    distance, i, j = nearest_pair(structure)
    yield f"{len(structure.names)} ions: " + ", ".join(f"{counts[name]} {name}" for name in system.kinds.names)
    yield "cell " + " x ".join(f"{edge:.6g}" for edge in box.edges[:box.dimensions]) + f" angstrom, volume {box.volume:.6g} angstrom^3"
    if box.tilted:
        yield f"tilted: xy {box.tilts[0]:.6g}, xz {box.tilts[1]:.6g}, yz {box.tilts[2]:.6g} angstrom; faces are {' x '.join(f'{height:.6g}' for height in box.heights)} angstrom apart"
    if box.dimensions == 3 and system.forcefield.units == "metal":
        yield f"density {mass_density(structure, system.kinds, system.species):.4f} g/cm3"
    yield from structure.notes
    yield f"closest ions: {i} ({structure.names[i]}) and {j} ({structure.names[j]}), {distance:.4f} angstrom"


def forcefield_lines(system):
    """One line a row, with its provenance mark: source, measured, derived or unverified."""
    from ..forces.forcefield import describe
    field = system.forcefield
    yield f"{field.name}: {field.description}"
    rows = [tuple(str(cell) for cell in row) for row in (field.describe() if system.engine is not None else describe(field))]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    for row in rows:
        yield f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}".rstrip()
    for note in field.notes:
        yield f"note: {note}"


def force_lines(system):
    from ..experiments.system import cutoff_limit
    if system.engine is not None:
        yield from engine_lines(system)
        return
    yield f"cutoff {system.cutoff:g} angstrom (limit for this cell: {cutoff_limit(system.box):.4g}), skin {system.skin:g} angstrom, truncation {system.truncation}"
    coulomb = system.coulomb
    if coulomb is None:
        yield "Coulomb: none"
        return
    parts = [f"Coulomb: {coulomb.method}", f"{'damping' if coulomb.method == 'dsf' else 'splitting'} {coulomb.beta:.6g} 1/angstrom"]
    if coulomb.mesh is not None:
        parts.append(f"mesh {' x '.join(str(n) for n in coulomb.mesh)}, order {coulomb.order}")
    if coulomb.kmax is not None:
        parts.append(f"wave numbers up to {' x '.join(str(k) for k in coulomb.kmax)}")
    yield ", ".join(parts)
    if coulomb.estimated_error is None:
        yield "no error estimate: the damped sum is a model of its own, not an approximation of known error"
    else:
        yield (f"estimated rms error of a force component {coulomb.estimated_error:.2e} eV/angstrom = {coulomb.estimated_error / coulomb.force_scale:.2e} "
               f"of {coulomb.force_scale:.3g} eV/angstrom (wanted: {coulomb.accuracy:.0e})")


def engine_lines(system):
    """What an ASE calculator is asked for, and whether ranks can share a replica."""
    engine, able = system.engine, system.engine.calculator().implemented_properties
    told = ", ".join(f"{key} = {value!r}" for key, value in engine.arguments.items())
    yield f"ASE calculator {engine.factory}({told}): {', '.join(able)}"
    yield "pressure: " + ("of the calculator's stress" if "stress" in able else "not known (the calculator has no stress)")
    why = engine.indivisible()
    yield f"domains: {why}" if why else (f"domains: ranks can share a replica; each hands over its atoms and all images within {2 * engine.reach:g} angstrom"
                                         + ("" if "stresses" in able else "; the pressure is then not known (no atomic stresses)"))
    yield "a run that was stopped goes on bit for bit where the calculator's numbers depend on the positions alone"


def layout_lines(deck, system, ranks):
    from ..parallel.layout import choose_grid, choose_ranks_per_replica
    per_replica = deck.parallel.ranks_per_replica or choose_ranks_per_replica(ranks, deck.run.replicas)
    grid = deck.parallel.grid or choose_grid(per_replica, system.box.heights, system.box.dimensions)
    groups = ranks // per_replica
    rounds = -(-deck.run.replicas // groups)
    yield (f"{deck.run.replicas} replica{'s' * (deck.run.replicas > 1)} on {groups} group{'s' * (groups > 1)} of {per_replica} rank{'s' * (per_replica > 1)}"
           + (f", {rounds} one after another" if rounds > 1 else ""))
    if deck.parallel.balance == "time" and per_replica > 1:
        yield "the cuts between domains follow measured times (parallel.balance = \"time\"): not reproducible"
    if deck.parallel.threads > 1:
        yield f"{deck.parallel.threads} threads per rank: give each rank as many cores"
    edge = system.box.heights / np.array(grid)
    yield f"domains {' x '.join(str(n) for n in grid)}, each {' x '.join(f'{one:.4g}' for one in edge)} angstrom, {len(system.species) / per_replica:.4g} ions"
    if system.engine is not None:
        return
    ghosts, pairs = neighbourhood(system, edge)
    yield f"ghost ions per rank about {ghosts:.0f}, pairs in the lists about {pairs / per_replica:.3g} per rank"
    yield f"memory about {memory_need(len(system.species) / per_replica, ghosts, pairs / per_replica) / 2**20:.0f} MiB per rank, libraries included"


def neighbourhood(system, edge):
    """(ghosts per rank, pairs per replica) at even density: half of the shell around a brick of `edge`, and half of the list spheres."""
    width = system.cutoff + system.skin
    density = len(system.species) / system.box.volume
    x, y, z = edge
    shell = 2 * width * (x * y + y * z + z * x) + np.pi * width**2 * (x + y + z) + 4 / 3 * np.pi * width**3
    return 0.5 * density * shell, 0.5 * len(system.species) * density * 4 / 3 * np.pi * width**3


LIBRARIES = 250e6           # bytes: Python, numpy, numba, HDF5 and MPI in one rank
PER_ROW = 400               # bytes of one particle or ghost: state, slots, buffers
PER_PAIR = 6                # bytes of one listed pair, with its share of the cluster's padding


def memory_need(owned, ghosts, pairs):
    """Bytes on one rank."""
    return LIBRARIES + PER_ROW * (owned + ghosts) + PER_PAIR * pairs


def disk_need(deck, prepared):
    """Bytes by kind of file over the whole run: {"checkpoints" (two slots a replica), "trajectory", "series"}."""
    schedule, ions, species = prepared.schedule, len(prepared.system.species), len(prepared.system.kinds.names)
    series = schedule.samples * 8 * (3 * species + 12)
    checkpoint = FILE_FRAME + series + ions * (PER_ION + 24 * schedule.lags)
    frames = int(deck.run.measure / deck.output.trajectory) + 1 if deck.output.trajectory else 0
    return {"checkpoints": deck.run.replicas * 2 * checkpoint,
            "trajectory": deck.run.replicas * (frames * ions * (36 + 24 * deck.output.velocities) + FILE_FRAME * (frames > 0)),
            "series": deck.run.replicas * (series + 24 * schedule.samples) + FILE_FRAME}


FILE_FRAME = 1 << 20        # bytes of an HDF5 file beside its data
PER_ION = 160               # bytes of one ion in a checkpoint, without its past places


def run_lines(loaded, prepared, ranks):
    deck = loaded.deck
    run, drive = deck.run, deck.drive
    if hasattr(prepared, "relaxation") and prepared.relaxation.steps:
        yield f"relaxed first: at most {prepared.relaxation.steps} steps, until no force component is above {prepared.relaxation.force:g} eV/angstrom"
    yield f"{run.temperature:g} K, time step {run.timestep:g} fs, thermostat {run.thermostat.kind}" + (
        f" ({run.thermostat.time:g} fs, on {run.thermostat.group})" if run.thermostat.kind != "none" else "")
    if getattr(run, "anneal", 0):
        yield (f"annealed first: {run.steps(run.anneal)} steps, half of them at {run.anneal_temperature:g} K, then down to {run.temperature:g} K in even steps")
    if run.npt:
        bar = run.barostat
        yield (f"constant pressure {in_unit(bar.pressure, 'GPa'):g} GPa first, {prepared.schedule.constant_pressure} steps, {bar.coupling}; then all replicas keep the mean cell of "
               "its second half")
    steps = [run.steps(one) for one in (run.equilibrate, run.settle, run.measure)]
    yield (f"equilibrate {steps[0]}, settle {steps[1]}, measure {steps[2]} steps = {run.n_blocks} blocks of {run.block_steps} "
           f"({run.block_steps * run.timestep / 1e3:g} ps)")
    yield from drive_lines(drive, prepared)
    need = disk_need(deck, prepared)
    yield "disk: " + ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in need.items()) + f", in {loaded.folder}"


def drive_lines(drive, prepared):
    mobile = " ".join(name for name, moves in zip(prepared.system.kinds.names, prepared.colour.mobile) if moves)
    mobile += f"; {drive.species} alone is driven" if drive.species is not None else ""
    if drive.kind == "none":
        yield f"equilibrium; mobile ions: {mobile}"
    elif drive.kind == "zero_current":
        yield f"current along {drive.direction} held at zero, the field that does it is measured; mobile ions: {mobile}"
    elif drive.kind == "constant_field":
        yield f"constant field {prepared.drive_value:g} V/angstrom along {drive.direction}; mobile ions: {mobile}"
    elif np.isnan(prepared.drive_value):
        yield f"constant current along {drive.direction}, its value chosen by a pilot run at the start; mobile ions: {mobile}"
    else:
        density = in_unit(prepared.drive_value / prepared.system.box.volume, "A/cm^2")
        velocity = prepared.drive_value / prepared.colour.mobile_charge * 1e3
        yield (f"constant current {prepared.drive_value:.6g} e angstrom/fs along {drive.direction} = {density:.4g} A/cm^2 "
               f"= a drift of {velocity:.4g} angstrom/ps; mobile ions: {mobile}")
