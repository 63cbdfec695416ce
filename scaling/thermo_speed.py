"""Speed of the thermodynamic library beside pycalphad and CoolProp on the same points: ratios of CPU time, one JSON object a line.

    python scaling/thermo_speed.py                          about a minute; run it on an idle machine
    mpirun -n 2 python scaling/thermo_speed.py --sweep      points per second of sweeps on as many ranks, binaries by own code and ternaries by pycalphad

Points of a sweep are independent: this is the easy case of scaling.
"""
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1] / "jobs" / "thermo_invented.tdb"
PHASES = ["LIQUID", "FCC_A1", "HCP_A3"]


def best(function, repeats=3):
    """Least CPU seconds of some calls, after a first one that warms caches up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def report(what, points, own, other, name):
    print(json.dumps({"case": what, "points": points, "own_ms_per_point": 1e3 * own / points, "other_ms_per_point": 1e3 * other / points, "other": name,
                      "ratio_other_over_own": other / own}), flush=True)


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


TERNARY = """ELEMENT VA VACUUM 0 0 0 !
ELEMENT AA SOL 10 0 0 !
ELEMENT BB SOL 10 0 0 !
ELEMENT CC SOL 10 0 0 !
TYPE_DEFINITION % SEQ * !
PHASE SOL % 1 1 !
CONSTITUENT SOL :AA,BB,CC: !
PARAMETER G(SOL,AA;0) 298.15 0; 3000 N !
PARAMETER G(SOL,BB;0) 298.15 0; 3000 N !
PARAMETER G(SOL,CC;0) 298.15 0; 3000 N !
PARAMETER L(SOL,AA,BB;0) 298.15 18000; 3000 N !
PARAMETER L(SOL,AA,CC;0) 298.15 20000-4*T; 3000 N !
PARAMETER L(SOL,BB,CC;0) 298.15 15000; 3000 N !
"""
BINARY_SWEEP = f"""kind = "calphad"
block = 120
[system]
file = "{DATA}"
components = ["AA", "BB", "VA"]
[grid]
temperature = {{ from = "420 K", to = "900 K", points = 120 }}
pressure = "1 atm"
X = {{ BB = {{ from = 0.02, to = 0.98, points = 120 }} }}
"""
TERNARY_SWEEP = """kind = "calphad"
block = 8
[system]
file = "ternary.tdb"
components = ["AA", "BB", "CC"]
[grid]
temperature = { from = "500 K", to = "1000 K", points = 8 }
pressure = "1 atm"
X = { BB = { from = 0.05, to = 0.45, points = 9 }, CC = { from = 0.05, to = 0.45, points = 9 } }
"""


def sweeps():
    """Wall and CPU time of two sweeps over all ranks, set-up of the engine included."""
    if sys.flags.hash_randomization:            # as the command does: pycalphad's last digits follow the order of hashes
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})
    from mpi4py import MPI

    from hpcnemd.ensembles.thermo_sweep import run_sweep
    comm = MPI.COMM_WORLD
    folder = Path(comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None))
    for name, deck in (("binary by own code", BINARY_SWEEP), ("ternary by pycalphad", TERNARY_SWEEP)):
        if comm.rank == 0:
            (folder / "ternary.tdb").write_text(TERNARY)
            (folder / "sweep.toml").write_text(deck)
        comm.Barrier()
        wall, cpu = time.perf_counter(), time.process_time()
        ok, failed, _ = run_sweep(comm, str(folder / "sweep.toml"), str(folder / f"{name}.h5"))
        comm.Barrier()
        wall, cpu = time.perf_counter() - wall, comm.allreduce(time.process_time() - cpu)
        if comm.rank == 0:
            print(json.dumps({"case": f"sweep, {name}", "ranks": comm.size, "points": ok + failed, "failed": failed, "wall_s": wall, "cpu_s_of_all_ranks": cpu,
                              "points_per_second": (ok + failed) / wall, "points_per_cpu_second": (ok + failed) / cpu}), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--sweep" in sys.argv:
        sweeps()
        sys.exit()
    binaries()
    fluids()
