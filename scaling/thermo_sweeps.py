"""Two sweeps over all ranks, binaries by own code and ternaries by pycalphad: what thermo_speed.py starts. Arguments: request and answer (JSON)."""
import json
import sys
import time
from pathlib import Path

from hpcnemd.ensembles.thermo_sweep import run_sweep
from hpcnemd.parallel.launch import launcher_count, world
from hpcnemd.parallel.serial import SerialComm

DATA = Path(__file__).resolve().parents[1] / "jobs" / "thermo_invented.tdb"
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


def main(request, answer):
    folder = Path(json.loads(Path(request).read_text(encoding="utf-8"))["folder"])
    comm, lines = world() if launcher_count()[0] else SerialComm(), []
    for name, deck in (("binary by own code", BINARY_SWEEP), ("ternary by pycalphad", TERNARY_SWEEP)):
        if comm.rank == 0:
            (folder / "ternary.tdb").write_text(TERNARY)
            (folder / "sweep.toml").write_text(deck)
        comm.Barrier()
        wall, cpu = time.perf_counter(), time.process_time()
        ok, failed, _ = run_sweep(comm, str(folder / "sweep.toml"), str(folder / f"{name}.h5"))
        comm.Barrier()
        wall, cpu = time.perf_counter() - wall, sum(comm.allgather(time.process_time() - cpu))
        lines.append({"case": f"sweep, {name}", "ranks": comm.size, "points": ok + failed, "failed": failed, "wall_s": wall, "cpu_s_of_all_ranks": cpu,
                      "points_per_second": (ok + failed) / wall, "points_per_cpu_second": (ok + failed) / cpu})
    if comm.rank == 0:
        Path(answer).write_text(json.dumps(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
