"""Force errors of every code against one reference: short range cut at the case's cutoff, Coulomb summed until it is exact to 1e-9 (without a mesh: the
same pair functions from the C library).

`python scaling/accuracy.py REQUEST.json ANSWER.json` (one rank). Request: case, and either `target` (eV/angstrom: find the loosest accuracy of ours that is
at least as good; without it as good as the code `match`) or `accuracy`; `mixed`: also our error in mixed precision; `peers`: {code: file of forces (n, 3) in the order of ids}. Errors are rms over particles of the length of the error vector."""
import json
import sys
from dataclasses import replace

import numpy as np
from cases import case_of, system_of

from hpcnemd.core.state import State
from hpcnemd.forces.coulomb import choose_coulomb
from hpcnemd.forces.evaluator import Forces
from hpcnemd.parallel.domain import Domain, gather_sorted, halo, migrate, scatter
from hpcnemd.parallel.serial import SerialComm

LADDER = (1e-3, 7e-4, 5e-4, 3.5e-4, 2.5e-4, 1.8e-4, 1.2e-4, 8e-5, 6e-5, 4e-5, 3e-5, 2e-5, 1.4e-5, 1e-5, 5e-6, 2e-6, 1e-6)
EXACT, EXACT_CUTOFF = 1e-9, 13.0
MODES = 5e9             # particles times k-vectors: beyond it the reference's reciprocal part is a fine mesh of accuracy 1e-7


def forces_of(system, forcefield=None, settings=None, cutoff=None, path="auto", precision="double"):
    """(n, 3) eV/angstrom by id, on one rank."""
    comm, cutoff = SerialComm(), cutoff or system.cutoff
    domain = Domain(comm, system.box, (1, 1, 1), cutoff)
    state = State.empty(system.box, system.kinds)
    scatter(domain, state, {"species": system.species, "position": system.position})
    forces = Forces(forcefield or system.forcefield, system.kinds, system.box, domain, cutoff, 0.0, "plain", settings, path=path, counts=system.counts,
                    precision=precision)
    migrate(domain, state, 0)
    halo(domain, state)
    forces.rebuild(state)
    forces.compute(state, False)
    return gather_sorted(comm, state, ["force"])["force"].copy()


def reference_of(case, system):
    """((n, 3) reference forces, how they were made)."""
    if not case.mesh:
        return forces_of(system, settings=system.coulomb, path="plain"), "the pair functions by the C library's erfc, exp and sqrt, plain loops"
    short = forces_of(system)
    bare = replace(system.forcefield, pairs=[])
    longer = min(EXACT_CUTOFF, 3 * float(system.box.lengths.min()))
    settings = choose_coulomb("ewald", EXACT, longer, system.box, system.kinds, system.counts)
    made = f"Ewald sum, accuracy {EXACT:g}"
    if len(system.species) * 2 * np.prod(settings.kmax) > MODES:
        settings = choose_coulomb("spme", 1e-7, longer, system.box, system.kinds, system.counts)
        made = "mesh of accuracy 1e-7"
    return short + forces_of(system, bare, settings, longer), made


def error(forces, reference):
    return float(np.sqrt(((forces - reference) ** 2).sum(1).mean()))


def loosest(case, reference, target):
    """(accuracy, error) of the cheapest setting of ours whose measured error is at most `target`."""
    low, high, known = 0, len(LADDER) - 1, {}
    while low < high:
        middle = (low + high) // 2
        system = system_of(case, LADDER[middle])
        known[middle] = error(forces_of(system, settings=system.coulomb), reference)
        low, high = (low, middle) if known[middle] <= target else (middle + 1, high)
    if low not in known:
        system = system_of(case, LADDER[low])
        known[low] = error(forces_of(system, settings=system.coulomb), reference)
    return LADDER[low], known[low]


def main(request, answer):
    with open(request, encoding="utf-8") as file:
        ask = json.load(file)
    case = case_of(ask["case"])
    system = system_of(case, ask.get("accuracy", 1e-4))
    reference, made = reference_of(case, system)
    errors = {code: error(np.load(file), reference) for code, file in ask.get("peers", {}).items()}
    accuracy = ask.get("accuracy")
    if case.mesh and accuracy is None:
        accuracy, errors["hpcnemd"] = loosest(case, reference, ask.get("target") or errors[ask["match"]])
    else:
        errors["hpcnemd"] = error(forces_of(system, settings=system.coulomb), reference)
    if ask.get("mixed"):
        system = system_of(case, accuracy or 1e-4)
        errors["hpcnemd mixed"] = error(forces_of(system, settings=system.coulomb, precision="mixed"), reference)
    with open(answer, "w", encoding="utf-8") as file:
        json.dump({"accuracy": accuracy, "errors": errors, "reference": made, "rms_force": error(reference, 0.0)}, file)


if __name__ == "__main__":
    main(*sys.argv[1:3])
