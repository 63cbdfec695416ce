"""One benchmark process of this package: `mpirun -n R python scaling/ours.py REQUEST.json ANSWER.json`, or without mpirun on one rank.

Request: case, accuracy, precision, steps, blocks, scaling ("domains": all ranks share one system; "replicas": each rank runs a system of its own), details (bool: a
phase table and message counts from a second, instrumented pass), threads (of each rank), forces (file for the forces of the start, or null), alone (bool: between
its blocks with the others the first rank runs the same system by itself while they sleep, so that the clock of the machine is the same for both; then each rank
runs a copy of the system, and all meet after each step: what they lose by that they lose to the machine)."""
import json
import sys
import time

STARTED = time.perf_counter(), time.process_time()

import numpy as np                                                  # noqa: E402
from cases import case_of, kelvin, system_of                        # noqa: E402  (also puts the repository on the path)
from phases import ChainClock, Clock, CountingComm, watch                       # noqa: E402

from hpcnemd.core.state import State                                # noqa: E402
from hpcnemd.dynamics.colour import Colour                          # noqa: E402
from hpcnemd.dynamics.drive import Drive                            # noqa: E402
from hpcnemd.dynamics.loop import advance                           # noqa: E402
from hpcnemd.dynamics.observers import Observer, pressure_tensor    # noqa: E402
from hpcnemd.dynamics.simulation import Simulation                  # noqa: E402
from hpcnemd.dynamics.thermostat import make_thermostat             # noqa: E402
from hpcnemd.dynamics.velocities import draw_velocities             # noqa: E402
from hpcnemd.experiments.compiling import compile_parts              # noqa: E402
from hpcnemd.forces.evaluator import Forces                         # noqa: E402
from hpcnemd.parallel.balance import Balance                    # noqa: E402
from hpcnemd.parallel.domain import Domain, gather_sorted, scatter  # noqa: E402
from hpcnemd.parallel.launch import launcher_count, world         # noqa: E402
from hpcnemd.parallel.layout import choose_grid                     # noqa: E402
from hpcnemd.parallel.serial import SerialComm                      # noqa: E402

STRESS_EVERY = 100


class Stress(Observer):
    """The pressure tensor, as a user's run would have it."""
    needs_energy = True

    def observe(self, sim):
        self.last = pressure_tensor(sim)


def simulation(case, system, comm, replica=0, threads=1, balance="cost"):
    """A Simulation under a Nose-Hoover chain, not started. `balance`: one of parallel.balance.KINDS."""
    domain = Domain(comm, system.box, choose_grid(comm.size, system.box.lengths), system.cutoff + system.skin)
    state = State.empty(system.box, system.kinds)
    scatter(domain, state, {"species": system.species, "position": system.position})
    forces = Forces(system.forcefield, system.kinds, system.box, domain, system.cutoff, system.skin, system.truncation, system.coulomb, counts=system.counts,
                    precision=system.precision, threads=threads)
    draw_velocities(comm, state, kelvin(case), 2026 + replica, replica)
    if case.charged:
        colour = Colour.of(system.kinds, system.counts, "all")
    else:
        s = len(system.counts)
        colour = Colour(np.asarray(system.counts, float), system.kinds.mass, np.zeros(s), np.zeros(s, np.int64), np.ones(s, bool), np.array([1.0, 0.0, 0.0]))
    order = getattr(system.coulomb, "order", None) or 0
    sim = Simulation(state, domain, forces, colour, case.timestep, 2026, replica, Balance(balance, order))
    bath, on = make_thermostat("nose_hoover", kelvin(case), colour, False, case.timestep, time=100 * case.timestep)
    sim.enter_phase(Drive(), bath, on)
    return sim


def timed_blocks(sim, steps, blocks, comm, single=None):
    """[(wall, CPU) seconds of a block of steps, the slowest rank's; with threads the CPU seconds of the longest chain], the same of the blocks
    in between of a `single` simulation that the first rank has to itself, and of those in which all ranks run their own and meet after each step."""
    clock = ChainClock() if sim.forces.threads > 1 else time.process_time
    out, alone, meeting, stress = [], [], [], [Stress(STRESS_EVERY)]

    def block(which, meet=None):
        wall, cpu = time.perf_counter(), clock()
        for step in range(which.step + (1 if meet else steps), which.step + steps + 1):
            advance(which, step, stress)
            if meet:
                meet()
        return time.perf_counter() - wall, clock() - cpu
    for _ in range(blocks):
        comm.Barrier()
        spent = block(sim)
        out.append([max(values) for values in zip(*comm.allgather(spent))])
        if single is not None and comm.rank == 0:
            alone.append(block(single))
        asleep_until_all(comm)
        if single is not None:
            meeting.append([max(values) for values in zip(*comm.allgather(block(single, comm.Barrier)))])
    return out, alone, meeting


def asleep_until_all(comm):
    """Collective. A barrier that leaves the core to others."""
    if comm.size > 1:
        request = comm.Ibarrier()
        while not request.Test():
            time.sleep(5e-4)


def details(case, system, comm, steps):
    """Phases (seconds per step of rank 0 and of each rank, by CPU time on one rank, by wall time on more) and messages and bytes per step (largest of the ranks)."""
    counting = CountingComm(comm) if comm.size > 1 else comm
    sim = simulation(case, system, counting)
    sim.start()
    advance(sim, sim.step + min(20, steps))
    if comm.size > 1:
        counting.reset()
    rebuilds, clock = sim.rebuilds, Clock(time.process_time if comm.size == 1 else time.perf_counter)
    watch(sim, clock)
    start = clock.clock()
    advance(sim, sim.step + steps, [Stress(STRESS_EVERY)])
    total = clock.clock() - start
    clock.release()
    seconds = dict(clock.seconds, loop=total - sum(clock.seconds.values()))
    sent = comm.allgather((counting.messages, counting.collectives, counting.bytes)) if comm.size > 1 else [(0, 0, 0)]
    messages, collectives, sent_bytes = (max(values) / steps for values in zip(*sent))
    ghosts = max(comm.allgather(sim.state.n_ghost))
    each = comm.allgather({name: value / steps for name, value in sorted(seconds.items(), key=lambda item: -item[1])})
    return {"phases": each[0], "phases_by_rank": each, "messages_per_step": messages,
            "collectives_per_step": collectives, "bytes_per_step": sent_bytes, "rebuilds_per_step": (sim.rebuilds - rebuilds) / steps, "ghosts": ghosts}


def main(request, answer):
    with open(request, encoding="utf-8") as file:
        ask = json.load(file)
    imported = time.perf_counter() - STARTED[0], time.process_time() - STARTED[1]
    everyone = world() if launcher_count()[0] else SerialComm()     # one rank alone starts no MPI
    case = case_of(ask["case"])
    own = ask.get("scaling", "domains") == "replicas"
    comm = SerialComm() if own else everyone
    system = system_of(case, ask["accuracy"], precision=ask.get("precision", "double"))
    compile_parts(everyone, system, comm.size, ask.get("threads", 1))
    sim = simulation(case, system, comm, everyone.rank if own else 0, ask.get("threads", 1))
    sim.start()
    first = len(system.species), time.perf_counter() - STARTED[0], time.process_time() - STARTED[1]
    if ask.get("forces"):
        found = gather_sorted(comm, sim.state, ["force"])
        if everyone.rank == 0:
            np.save(ask["forces"], found["force"])
    advance(sim, sim.step + ask.get("warm_steps", ask["steps"]))
    single = None
    if ask.get("alone"):
        single = simulation(case, system, SerialComm(), threads=ask.get("threads", 1))
        single.start()
        advance(single, ask["steps"])
    asleep_until_all(everyone)
    blocks, alone, meeting = timed_blocks(sim, ask["steps"], ask["blocks"], everyone, single)
    said = {"particles": first[0] * (everyone.size if own else 1), "import_s": imported, "ready_s": first[1:], "blocks": blocks, "blocks_alone": alone, "blocks_meeting": meeting, "steps": ask["steps"],
            "path": sim.forces.pair.path, "grid": list(sim.domain.grid), "temperature": sim.temperature,
            "coulomb": None if system.coulomb is None else {key: getattr(system.coulomb, key) for key in ("method", "beta", "mesh", "order", "accuracy")}}
    if ask.get("details"):
        said.update(details(case, system, comm, ask["steps"]))
    if everyone.rank == 0:
        with open(answer, "w", encoding="utf-8") as file:
            json.dump(said, file)


if __name__ == "__main__":
    main(*sys.argv[1:3])
