"""The pilot of a plan: a short equilibrium run, then a short driven one from where it ended, and how long a step takes on the ranks at hand."""
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...analysis import planning
from ...core.errors import InputError
from ...core.units import BOLTZMANN, SIEMENS_PER_METRE
from ...dynamics.drive import Drive
from ...dynamics.loop import advance
from ...dynamics.observers import Blocks, Series
from ...dynamics.thermostat import make_thermostat
from ...dynamics.velocities import draw_velocities
from ...parallel.domain import scatter
from ...parallel.layout import choose_grid
from ...parallel.reduce import vote_max
from ..system import simulation_of
from ..tables import BarostatTable
from .estimate import Settings

LENGTH = 30000.0            # fs of the equilibrium part; 20 to 50 ps hold ten windows of a melt or a fast solid conductor
SETTLE = 4000.0             # fs under the drive before its measurement, at least
SHORTEST, LONGEST = 10000.0, 60000.0        # fs of the driven part
ENTROPY = 500.0             # k_B that the driven part of all replicas is to produce: 6 % of error, so that a plan is right within a factor of 1.3
MOST_REPLICAS = 4           # side by side
BLOCK = 1000.0              # fs
TRACER_WINDOWS = 4          # longest lag of a tracer estimate, over the window of the collective one
TIMED = 1.0                 # s for which steps are timed on each number of ranks
EQUILIBRIUM, DRIVEN = "equilibrium", "driven"


def replicas_for(deck, ranks):
    """How many replicas a pilot on so many ranks has: as many as can run side by side, up to MOST_REPLICAS."""
    share = deck.parallel.ranks_per_replica or 1
    return max(1, min(ranks // share, MOST_REPLICAS)) if ranks % share == 0 else 1


def equilibrium_deck(deck, replicas, length):
    """The deck's system at rest, measured for `length` fs after the deck's own equilibration."""
    drive = deck.drive.model_copy(update={"kind": "none", "current_density": None, "drift_velocity": None, "field": None})
    return _short(deck, replicas, drive, length, {"settle": 0.0})


def driven_deck(deck, replicas, found, length=None):
    """The same under a constant field well within linear response; `found`: Result of the equilibrium part. The length follows from its conductivity."""
    settings = _settings(found)
    field = planning.field_at(planning.LARGEST_X, settings.mobile_charge, settings.hop_length, settings.temperature)
    guess = _guess(found)
    wanted = ENTROPY * BOLTZMANN * settings.temperature / (guess / SIEMENS_PER_METRE * field ** 2 * settings.volume) / replicas if guess else LONGEST
    measure = length or min(LONGEST, max(SHORTEST, wanted))
    drive = deck.drive.model_copy(update={"kind": "constant_field", "current_density": None, "drift_velocity": None, "field": field})
    return _short(deck, replicas, drive, measure, {"anneal": 0.0, "anneal_temperature": None, "npt": 0.0, "barostat": BarostatTable(), "equilibrate": 0.0, "settle": max(SETTLE, deck.run.settle)})


def _short(deck, replicas, drive, measure, changes):
    block = min(BLOCK, measure / planning.FEWEST_BLOCKS)
    run = deck.run.model_copy(update={"measure": measure, "block": block, "blocks": None, "replicas": replicas, "until_error": None, **changes})
    output = deck.output.model_copy(update={"trajectory": None, "folder": None})
    return deck.model_copy(update={"run": run, "drive": drive, "output": output})


def _settings(result):
    told = result.numbers["settings"]
    return Settings.of({"mode": told["mode"], "temperature": told["temperature_K"], "volume": told["volume_angstrom3"], "block": told["block_fs"],
                        "sample": told["sample_fs"], "timestep": told["timestep_fs"], "species": told["species"], "counts": told["counts"],
                        "charges": told["formal_charges_e"], "mobile": told["mobile"], "axis": np.eye(3)[0]})


def _guess(result):
    """A conductivity to go by, S/m: the collective one, else Nernst-Einstein; None where neither is above zero."""
    for entry in (result.numbers.get("equilibrium", {}).get("green_kubo"), result.numbers.get("nernst_einstein")):
        if entry and entry["value"] and entry["value"] > 0:
            return entry["value"]
    return None


def pilot_of(results, where, longer):
    """The planning.Pilot that Results of one system tell; those without a drive come first. Raises InputError where they saw too little.

    `where`: the pilot in words; `longer(time fs)`: what to type for a pilot of this length."""
    settings, first = _settings(results[0]), results[0].numbers
    if "diffusion" not in first or "equilibrium" not in first:
        raise InputError(f"{where} is too short to see diffusion ({first['length']['time_fs'] / 1e3:g} ps); {longer(LENGTH)}")
    names = [name for name in settings.mobile if name in first["diffusion"]]
    fastest = max(names, key=lambda name: first["diffusion"][name]["value"])
    lag = float(results[0].curves["tracer_msd"][fastest][0][-1])
    duration = first["length"]["time_fs"]
    window = first["equilibrium"]["window_fs"]
    count = sum(n for name, n in zip(settings.species, settings.counts) if name in settings.mobile)
    draft = planning.Pilot(1.0, 1.0, window, first["equilibrium"]["window_independent"], first["diffusion"][fastest]["value"],
                           first["nernst_einstein"]["value"], min(lag, TRACER_WINDOWS * window), duration, count, settings.volume, settings.temperature, settings.mobile_charge,
                           sum(abs(z) * n for name, z, n in zip(settings.species, settings.charges, settings.counts) if name in settings.mobile),
                           settings.hop_length)
    if not draft.hops > planning.FEWEST_HOPS:
        moved = float(results[0].curves["tracer_msd"][fastest][1][-1])
        raise InputError(f"{where} saw no diffusion: the {count} mobile ions ({fastest}) moved {(3 * max(moved, 0.0)) ** 0.5:.2g} angstrom in {lag / 1e3:g} ps and made about "
                         f"{max(draft.hops, 0.0):.2g} hops in {duration / 1e3:g} ps, fewer than {planning.FEWEST_HOPS}; "
                         f"{longer(_longer_time(draft))}, or write a higher run.temperature")
    found = [_estimate(one) for one in results]
    known = [pair for pair in found if pair is not None]
    if not known:
        raise InputError(f"{where} cannot tell the conductivity from zero; {longer(4 * duration)}")
    weights = [(value / error) ** 2 for value, error in known]          # errors grow with their values: relative ones weigh
    sigma = sum(w * value for w, (value, _) in zip(weights, known)) / sum(weights)
    pilot = replace(draft, sigma=sigma, sigma_error=sigma / sum(weights) ** 0.5)
    if pilot.relative > 0.5:
        raise InputError(f"{where} knows the conductivity to {100 * pilot.relative:.0f} % only ({sigma:.3g} S/m); {longer(duration * (pilot.relative / 0.25) ** 2)}")
    return pilot


def _longer_time(draft):
    """fs of a pilot that should see twice the hops that are asked for; ten times the length where it saw none."""
    return min(10.0, 2 * planning.FEWEST_HOPS / draft.hops if draft.hops > 0 else 10.0) * draft.time


def _estimate(result):
    """(sigma, error) S/m of one Result, or None."""
    if result.numbers["settings"]["mode"] == "none":
        entry = result.numbers["equilibrium"]["green_kubo"]
        return (entry["value"], entry["error"]) if entry["value"] > 0 and entry["error"] else None
    return (result.sigma.value, result.sigma.error) if result.sigma is not None and result.sigma.error > 0 else None


def mismatch(result, prepared):
    """Messages: how the run of `result` differs from the deck that is to be planned."""
    told, system = result.numbers["settings"], prepared.system
    mine = {"ions": {name: int(n) for name, n in zip(system.kinds.names, system.counts) if n},
            "temperature": f"{prepared.deck.run.temperature:g} K", "volume": f"{system.box.volume:.4g} angstrom^3",
            "mobile species": sorted(name for name, moves, n in zip(system.kinds.names, prepared.colour.mobile, system.counts) if moves and n)}
    theirs = {"ions": {name: int(n) for name, n in zip(told["species"], told["counts"]) if n}, "temperature": f"{told['temperature_K']:g} K",
              "volume": f"{told['volume_angstrom3']:.4g} angstrom^3", "mobile species": sorted(told["mobile"])}
    if prepared.deck.run.npt:                   # each run finds its own
        mine.pop("volume")
    return [f"{key} {theirs[key]} there, {mine[key]} in the deck" for key in mine if theirs[key] != mine[key]]


def step_rates(prepared, comm, positions=None, shares=None):
    """Collective over `comm`. {ranks of a replica: s per step, as the slowest group has it with all groups at work}, for every way to split the ranks evenly
    that the cell allows. `positions` (n, 3): ions that have melted or spread, where there are any."""
    system = prepared.system if positions is None else replace(prepared.system, position=positions)
    rates = {}
    for share in shares or [n for n in range(1, comm.size + 1) if comm.size % n == 0]:
        group = comm.Split(comm.rank // share, comm.rank)
        try:
            rates[share] = _time_steps(replace(prepared, system=system), comm, group, share)
        except InputError:              # of the layout, on all ranks alike: bricks that are too thin
            pass
        group.Free()
    return rates


def _time_steps(prepared, comm, group, share):
    """Collective. s per step."""
    system, run = prepared.system, prepared.deck.run
    sim = simulation_of(system, prepared.colour, group, choose_grid(share, system.box.heights, system.box.dimensions), run.timestep, run.seed, 0, threads=prepared.deck.parallel.threads)
    scatter(sim.domain, sim.state, {"species": system.species, "position": system.position})
    draw_velocities(group, sim.state, run.temperature, run.seed, 0)
    bath = run.thermostat
    sim.enter_phase(Drive(), *make_thermostat(bath.kind, run.temperature, prepared.colour, False, run.timestep, bath.time, bath.chain, bath.group))
    sim.start()
    kinds, every = len(system.kinds.names), prepared.schedule.sample

    def seconds(steps):
        first = sim.step
        observers = (Blocks(steps, first, 1, kinds), Series(every, first, steps // every + 1, kinds))
        comm.Barrier()
        begun = time.perf_counter()
        advance(sim, first + steps, observers)
        return vote_max(comm, time.perf_counter() - begun)
    steps = 20
    spent = seconds(steps)
    steps = int(min(2000, max(20, TIMED / max(spent / steps, 1e-6))))
    return seconds(steps) / steps


def read_results(folder):
    """Results of a pilot's folder, or of any finished run's, the one at rest first. Raises InputError where there is none."""
    from . import analyse
    folder = Path(folder)
    parts = [folder / name for name in (EQUILIBRIUM, DRIVEN) if (folder / name / "ensemble.h5").exists()] or [folder]
    if not (parts[0] / "ensemble.h5").exists():
        raise InputError(f"--pilot {folder}: no run has left its ensemble.h5 there; give the folder of a run, or leave --pilot out")
    return [analyse(part) for part in parts]


