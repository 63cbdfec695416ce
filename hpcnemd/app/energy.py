"""`hpcnemd energy`: one configuration, on any number of ranks. The result does not depend on their number, but for round-off."""
import json

import numpy as np

from ..core.errors import HpcnemdError, InputError
from ..core.units import PRESSURE_GPA, parse_quantity


def single_point(comm, arguments):
    """Collective. Evaluates, prints and writes what the command line asked for; returns the exit code."""
    from ..parallel.launch import agree_on_errors
    system, problem = None, None
    if comm.rank == 0:
        try:
            system = _prepare(arguments)
            if arguments.json:
                _probe(arguments.json)
        except HpcnemdError as error:
            problem = error
    agree_on_errors(comm, problem)
    system = comm.bcast(system)
    potential, forces = evaluate(comm, system)
    if comm.rank == 0:
        result = as_result(system, potential, forces)
        for note in system.notes:
            print(note)
        _print(result, len(forces))
        if arguments.json:
            with open(arguments.json, "w", encoding="utf-8") as out:
                json.dump(result, out)
                out.write("\n")
    return 0


def _quantity(arguments, name, unit):
    value = getattr(arguments, name)
    if value is None:
        return None
    try:
        number = parse_quantity(value, unit)
    except ValueError as problem:
        raise InputError(f"--{name} {problem}") from None
    if number <= 0:
        raise InputError(f"--{name} {value}: must be above 0")
    return number


def _prepare(arguments):
    from ..experiments.structures import named_structure
    from ..experiments.system import prepare_system
    from ..forces.forcefield import load_forcefield
    problems, found = [], []
    if not 1e-10 <= arguments.accuracy <= 0.1:
        problems.append(f"--accuracy {arguments.accuracy:g}: write a number from 1e-10 to 0.1")
    for make in (lambda: named_structure(arguments.structure), lambda: load_forcefield(arguments.forcefield),
                 lambda: _quantity(arguments, "cutoff", "angstrom"), lambda: _quantity(arguments, "damping", "1/angstrom")):
        try:
            found.append(make())
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    structure, field, cutoff, damping = found
    return prepare_system(structure, field, coulomb=arguments.coulomb, accuracy=arguments.accuracy, cutoff=cutoff, skin=0.0,
                          truncation=arguments.truncation, damping=damping, precision=arguments.precision)


def _probe(path):
    """The file for the result can be written: told before the work and not after it."""
    try:
        with open(path, "a", encoding="utf-8"):
            pass
    except OSError as problem:
        raise InputError(f"--json {path}: cannot be written ({problem.strerror})") from None


def evaluate(comm, system):
    """Collective. (Potential, forces (n, 3) eV/angstrom in input order on rank 0, None elsewhere) of a System as it stands."""
    from ..core.state import State
    from ..forces.evaluator import Forces
    from ..parallel.domain import Domain, gather_sorted, halo, migrate, scatter
    from ..parallel.layout import choose_grid
    grid = choose_grid(comm.size, system.box.heights, system.box.dimensions)
    domain = Domain(comm, system.box, grid, system.cutoff + system.skin)
    state = State.empty(system.box, system.kinds, 64)
    scatter(domain, state, {"id": np.arange(len(system.species)), "species": system.species, "position": system.position})
    migrate(domain, state, 0)
    halo(domain, state)
    forces = Forces(system.forcefield, system.kinds, system.box, domain, system.cutoff, system.skin, system.truncation, system.coulomb,
                    remove_net_force=False, counts=system.counts, precision=system.precision)
    forces.rebuild(state)
    potential = forces.compute(state, observe=True)
    gathered = gather_sorted(comm, state, ("force",))
    return potential, gathered["force"] if comm.rank == 0 else None


def as_result(system, potential, forces):
    """The JSON-able result."""
    coulomb = system.coulomb
    settings = {"forcefield": system.forcefield.name, "cutoff": system.cutoff, "truncation": system.truncation, "precision": system.precision, "coulomb": None}
    if coulomb is not None:
        settings["coulomb"] = {name: getattr(coulomb, name, None) for name in ("method", "beta", "mesh", "order", "kmax", "accuracy", "estimated_error", "force_scale")}
    return {"energy": float(potential.potential), "parts": {name: float(value) for name, value in potential.parts.items()},
            "forces": forces.tolist(), "cell": system.box.matrix.tolist(), "notes": list(system.notes), "pressure_tensor": (potential.virial * PRESSURE_GPA / system.box.volume).tolist(),
            "settings": json.loads(json.dumps(settings, default=_plain)),
            "units": {"energy": "eV", "forces": "eV/angstrom", "cell": "angstrom", "pressure_tensor": "GPa", "cutoff": "angstrom", "beta": "1/angstrom"}}


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _print(result, ions):
    print(f"energy            {result['energy']:.9f} eV   ({result['energy'] / ions:.6f} eV per ion, {ions} ions)")
    for name, value in result["parts"].items():
        print(f"  {name:<22}{value:.9f} eV")
    print("pressure tensor, virial part, GPa (positive = compressed)")
    for row in result["pressure_tensor"]:
        print("  " + "".join(f"{value:14.6f}" for value in row))
    largest = np.abs(np.array(result["forces"])).max()
    print(f"largest force component {largest:.6f} eV/angstrom")
    settings = result["settings"]
    told = ", ".join(f"{key} {value}" for key, value in (settings["coulomb"] or {"method": "none"}).items() if value is not None)
    print(f"{settings['forcefield']}, cutoff {settings['cutoff']:g} angstrom, truncation {settings['truncation']}, {settings['precision']} precision; Coulomb: {told}")
