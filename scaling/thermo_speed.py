"""Speed of the thermodynamic library beside pycalphad and CoolProp on the same points: ratios of CPU time; points per second of sweeps.

    . jobs/env.sh; export MPIRUN
    $PY scaling/thermo_speed.py --json scaling/results/mine.jsonl       about two minutes; run it on an idle machine

Each line says whether the machine was quiet; where it was not, points per second of wall time prove nothing. Points of a sweep are independent: this is the
easy case of scaling."""
import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from bench import cores, launched, machine, revision
from quiet import Quiet

DATA = Path(__file__).resolve().parents[1] / "jobs" / "thermo_invented.tdb"
PHASES = ["LIQUID", "FCC_A1", "HCP_A3"]
RECORDS = []


def best(function, repeats=3):
    """Least CPU seconds of some calls, after a first one that warms caches up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def record(line):
    RECORDS.append(line)
    print(json.dumps(line), flush=True)


def report(what, points, own, other, name):
    record({"case": what, "points": points, "own_ms_per_point": 1e3 * own / points, "other_ms_per_point": 1e3 * other / points, "other": name, "ratio_other_over_own": other / own})


def binaries():
    from pycalphad import Database, Workspace, equilibrium, variables as v

    from hpcnemd.thermo import binary, calphad, diagram, from_tdb, tdb
    phases = from_tdb.binary_phases(tdb.read(DATA), ("AA", "BB"), PHASES, calphad.PYCALPHAD_GAS_CONSTANT)
    t, x = np.linspace(420, 900, 25), np.linspace(0.02, 0.98, 50)
    db = Database(str(DATA))
    grid = {v.T: t.tolist(), v.X("BB"): x.tolist(), v.P: 101325, v.N: 1}
    report("binary property map, one call", t.size * x.size, best(lambda: diagram.property_map(phases, t, x, calphad.PYCALPHAD_GAS_CONSTANT)),
           best(lambda: equilibrium(db, ["AA", "BB", "VA"], PHASES, grid), 1), "pycalphad equilibrium on the grid")
    rng = np.random.default_rng(0)
    some = list(zip(rng.uniform(420, 900, 40).tolist(), rng.uniform(0.02, 0.98, 40).tolist()))
    wks = Workspace(db, ["AA", "BB", "VA"], PHASES, {v.T: 600, v.X("BB"): 0.3, v.P: 101325, v.N: 1})

    def reused():
        for a, b in some:
            wks.conditions = {v.T: a, v.X("BB"): b, v.P: 101325, v.N: 1}
            wks.eq
    own = best(lambda: [binary.equilibrium(phases, a, b, calphad.PYCALPHAD_GAS_CONSTANT) for a, b in some])
    report("binary points one by one", len(some), own, best(reused), "pycalphad Workspace, reused")
    fresh = best(lambda: [equilibrium(db, ["AA", "BB", "VA"], PHASES, {v.T: a, v.X("BB"): b, v.P: 101325, v.N: 1}) for a, b in some[:10]]) * 4
    report("binary points one by one", len(some), own, fresh, "pycalphad equilibrium(), one call a point")
    report("reading a TDB file", 1, best(lambda: tdb.read(DATA)), best(lambda: Database(str(DATA))), "pycalphad Database")
    system = calphad.System(DATA, ["AA", "BB", "VA"], PHASES, "pycalphad")

    def adapter():
        for a, b in some:
            system.point(system.check({"T": a, "P": 101325.0, "X": {"BB": b}}), a, 101325.0, {"BB": b})
    report("pre-check and adapter around pycalphad", len(some), best(adapter), best(reused), "pycalphad Workspace, reused")


def fluids():
    import CoolProp

    from hpcnemd.thermo import eos
    from hpcnemd.thermo.fluids import Water
    water, state = Water(), CoolProp.AbstractState("HEOS", "Water")
    t, rho = np.random.default_rng(1).uniform((300, 0.1), (1200, 900), (2000, 2)).T

    def raw():
        state.specify_phase(CoolProp.iphase_gas)
        for a, b in zip(t.tolist(), rho.tolist()):
            state.update(CoolProp.DmassT_INPUTS, b, a)
            state.p(), state.cvmass(), state.cpmass(), state.speed_sound(), state.smass(), state.umass(), state.hmass()
            state.first_partial_deriv(CoolProp.iP, CoolProp.iT, CoolProp.iDmass), state.first_partial_deriv(CoolProp.iP, CoolProp.iDmass, CoolProp.iT)
    report("water, all properties", len(t), best(lambda: [water.properties(a, b) for a, b in zip(t.tolist(), rho.tolist())]), best(raw), "CoolProp, called directly")
    fluid = eos.lennard_jones("thol")
    tl, rl = np.random.default_rng(2).uniform((0.7, 0.01), (4, 0.9), (2000, 2)).T

    def lennard_jones():
        fluid.properties(tl, 1 / rl)
    report("Lennard-Jones (Thol), all properties in one array call, beside water of CoolProp one by one", len(tl), best(lennard_jones), best(raw), "CoolProp, called directly")


def sweeps(ranks):
    """Points per second of two sweeps in processes of their own, set-up of the engine included."""
    with tempfile.TemporaryDirectory() as folder:
        found = launched("thermo_sweeps.py", {"folder": folder}, ranks, Path(folder), {**os.environ, "PYTHONHASHSEED": "0"})
    oversubscribed = ranks > cores()
    for line in found:
        record({**line, "oversubscribed": oversubscribed})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="1,2", help="of the sweeps (default: %(default)s)")
    parser.add_argument("--json", help="file that the records are added to, one line each")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    quiet = Quiet()
    quiet.sample()
    for part in (binaries, fluids, *(lambda n=int(n): sweeps(n) for n in arguments.ranks.split(","))):
        part()
        quiet.sample()
    import CoolProp
    import pycalphad
    common = {"code": "hpcnemd.thermo", "version": revision(), "peers": {"pycalphad": pycalphad.__version__, "CoolProp": CoolProp.__version__}, "machine": machine(),
              "quiet": quiet.verdict()["quiet"], "noise": quiet.verdict()}
    print(f"machine: {common['machine']['cpu']}, {cores()} cores; noise {common['noise']}")
    if arguments.json:
        Path(arguments.json).parent.mkdir(parents=True, exist_ok=True)
        with open(arguments.json, "a", encoding="utf-8") as file:
            file.writelines(json.dumps({**line, **common}) + "\n" for line in RECORDS)


if __name__ == "__main__":
    main()
