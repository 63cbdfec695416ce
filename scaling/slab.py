"""Load balance across an off-centre slab on a fixed grid of ranks: mpirun -n 2 python scaling/slab.py [--json FILE]

Rock salt fills less than half of a long box. Printed for cuts at equal distances and for those that follow the counted work: largest over mean of the processor
seconds that the ranks spend on forces (pair part, spread and gather; no waiting is in them), the cuts, and the entries of the lists."""
import argparse
import json
import time

import numpy as np
from cases import case_of, structure_of                         # also puts the repository on the path
from phases import Clock, watch

from hpcnemd.core.box import Box
from hpcnemd.dynamics.colour import Colour
from hpcnemd.dynamics.loop import advance
from hpcnemd.dynamics.velocities import draw_velocities
from hpcnemd.experiments.structures import Structure
from hpcnemd.experiments.system import prepare_system, simulation_of
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.domain import scatter
from hpcnemd.parallel.launch import world

LOCAL = ("pair", "mesh_spread", "mesh_gather")


def slab(case):
    """The System of a case's crystal in a box 2.6 times as long, at 0.15 of its length."""
    crystal = structure_of(case)
    length = 2.6 * crystal.box.lengths[0]
    box = Box(np.array([length, *crystal.box.lengths[1:]]))
    return prepare_system(Structure(box, crystal.names, crystal.positions + [0.15 * length, 0.0, 0.0]), load_forcefield(case.forcefield),
                          coulomb="spme", accuracy=1e-3, cutoff=case.cutoff, skin=case.skin)


def measured(system, comm, kind, temperature, steps):
    """{"imbalance", "seconds" by rank and step, "cuts", "entries" by rank} of a run with this balance."""
    sim = simulation_of(system, Colour.of(system.kinds, system.counts, "all"), comm, (comm.size, 1, 1), 1.0, 1, 0, kind)
    scatter(sim.domain, sim.state, {"species": system.species, "position": system.position})
    draw_velocities(comm, sim.state, temperature, 1, 0)
    sim.start()
    advance(sim, 3)
    clock = Clock(time.process_time)
    watch(sim, clock)
    advance(sim, 3 + steps)
    clock.release()
    seconds = comm.allgather(sum(clock.seconds.get(phase, 0.0) for phase in LOCAL) / steps)
    return {"balance": kind, "imbalance": max(seconds) / np.mean(seconds), "seconds": seconds, "cuts": list(sim.domain.cuts[0]),
            "entries": comm.allgather(sim.forces.pair.list_length), "particles": comm.allgather(sim.state.n_owned)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", default="nacl_1728")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--json", help="file that the records are added to, one line each")
    arguments = parser.parse_args()
    comm, case = world(), case_of(arguments.case)
    system = slab(case)
    found = [measured(system, comm, kind, case.temperature, arguments.steps) for kind in ("none", "cost")]
    if comm.rank:
        return
    for line in found:
        print(f"{case.name} slab on {[comm.size, 1, 1]}, balance {line['balance']:5s}: force time imbalance {line['imbalance']:.3f} "
              f"(CPU ms a step {', '.join(f'{1e3 * s:.2f}' for s in line['seconds'])}); cuts {', '.join(f'{c:.2f}' for c in line['cuts'])}; "
              f"ions {line['particles']}, list entries {line['entries']}")
    if arguments.json:
        with open(arguments.json, "a", encoding="utf-8") as file:
            file.writelines(json.dumps({"case": f"{case.name}_slab", "code": "hpcnemd", "ranks": comm.size, **line}) + "\n" for line in found)


if __name__ == "__main__":
    main()
