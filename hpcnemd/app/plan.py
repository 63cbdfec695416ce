"""`hpcnemd plan DECK`: a short pilot run, or an earlier run, tells the current, the length and the cost of a run with a wished error."""
import json
import re
from pathlib import Path

from ..core.errors import HpcnemdError, InputError
from ..core.units import in_unit
from .deck import load_deck, parse_deck, resolved_text
from .progress import Progress, clock_text

NAMES = {"driven": "constant current", "equilibrium": "equilibrium, collective", "nernst_einstein": "Nernst-Einstein"}


def parse_error(text):
    """The relative error in "5%", "5 %" or "0.05". Raises InputError."""
    try:
        value = float(str(text).strip().rstrip("%")) * (0.01 if str(text).strip().endswith("%") else 1.0)
    except ValueError:
        value = 0.0
    if not 0.001 < value < 0.5:
        raise InputError(f"--error {text}: write a relative error between 0.1 % and 50 %, for example --error 5%")
    return value


def plan_deck(comm, path, error="5%", ranks=None, pilot=None, length=None, write=None):
    """Collective over `comm`. Prints the plan of a deck and writes plan.json, and the planned deck to the file `write`; returns the exit code.

    `ranks`: to plan for (default: those of `comm`); `pilot`: folder of an earlier run to go by; `length`: of each part of the pilot, a time with unit.
    Raises InputError with what to type."""
    from ..parallel.launch import agree_on_errors
    loaded, prepared, wanted, problem = None, None, None, None
    if comm.rank == 0:
        try:
            wanted = _checked(path, comm.size, error, ranks, length, write)
            prepared = wanted.pop("prepared")
        except HpcnemdError as failure:
            problem = failure
    agree_on_errors(comm, problem)
    wanted, prepared = comm.bcast((wanted, prepared))
    loaded = load_deck(path) if comm.rank == 0 else None
    loaded = parse_deck(comm.bcast(loaded.text if loaded else None), path)
    folder = Path(f"{loaded.folder}_plan")
    if pilot is None:
        results = _run_pilot(comm, loaded, folder, wanted["length"])
    else:
        results = _on_first(comm, lambda: _read_pilot(pilot, prepared))
    seen = _on_first(comm, lambda: _pilot(results, path, pilot))
    rates = _rates(comm, prepared, results, folder)
    _on_first(comm, lambda: _tell(loaded, prepared, path, folder, seen, rates, wanted, write, pilot), share=False)
    return 0


def _on_first(comm, work, share=True):
    """Collective. work() on rank 0, its result (where `share`) and its HpcnemdError on all ranks."""
    from ..parallel.launch import agree_on_errors
    result, problem = None, None
    if comm.rank == 0:
        try:
            result = work()
        except HpcnemdError as failure:
            problem = failure
    agree_on_errors(comm, problem)
    return comm.bcast(result) if share else None


def _checked(path, size, error, ranks, length, write):
    """What the command line asks for, checked together with the deck. On rank 0 only. Raises InputError with every problem."""
    from ..core.units import parse_quantity
    from .check import prepare_and_check
    problems, wanted = [], {"ranks": size if ranks is None else ranks, "length": None}
    try:
        wanted["error"] = parse_error(error)
    except InputError as problem:
        problems += problem.problems
    if length is not None:
        try:
            wanted["length"] = parse_quantity(length, "ps")
        except (ValueError, InputError):
            wanted["length"] = 0.0
        if not wanted["length"] >= 2000.0:
            problems.append(f"--length {length}: write a time of 2 ps or more, for example --length \"50 ps\"")
    if wanted["ranks"] < 1:
        problems.append(f"--ranks {ranks}: at least 1 is needed")
    if write is not None and Path(write).exists() and Path(write).resolve() != Path(path).resolve():
        problems.append(f"--write {write}: is there already; choose another name, or remove it first")
    loaded = load_deck(path)
    if loaded.deck.experiment != "ionic_conductivity":
        raise InputError([*problems, f"experiment = {loaded.deck.experiment!r}: plan knows decks of experiment = \"ionic_conductivity\""])
    if loaded.deck.drive.species is not None:
        problems.append("drive.species: plan knows runs that drive all mobile ions; remove the key, plan, and put it back")
    wanted["prepared"], found = prepare_and_check(loaded, 1)            # the deck's replicas and ranks are what the plan is to choose
    layout = ("parallel.", "replicas =")
    problems += [text for text in found if not text.startswith(layout)]
    if problems:
        raise InputError(problems)
    return wanted


def _run_pilot(comm, loaded, folder, length):
    """Collective. Results of both parts of the pilot, on rank 0; what an earlier start left is continued."""
    from ..experiments.ionic_conductivity import analyse, pilot
    replicas = pilot.replicas_for(loaded.deck, comm.size)
    deck = pilot.equilibrium_deck(loaded.deck, replicas, length or pilot.LENGTH)
    run = deck.run
    if comm.rank == 0:
        print(f"pilot: {replicas} replica{'s' * (replicas > 1)}, {run.equilibrate / 1e3:g} ps to equilibrate and {run.measure / 1e3:g} ps at rest, in {folder}")
    _part(comm, loaded, deck, folder / pilot.EQUILIBRIUM)
    rest = _on_first(comm, lambda: analyse(folder / pilot.EQUILIBRIUM))
    _on_first(comm, lambda: pilot.pilot_of([rest], f"the pilot at rest in {folder}", _longer(loaded.path)) if _sees_nothing(rest) else None, share=False)
    deck = pilot.driven_deck(loaded.deck, replicas, rest, length)
    if comm.rank == 0:
        print(f"pilot: {deck.run.settle / 1e3:g} ps to settle and {deck.run.measure / 1e3:.3g} ps under {deck.drive.field:.3g} V/angstrom")
    _part(comm, loaded, deck, folder / pilot.DRIVEN, folder / pilot.EQUILIBRIUM)
    return [rest, _on_first(comm, lambda: analyse(folder / pilot.DRIVEN))]


def _sees_nothing(result):
    """Whether ions at rest did not diffuse: then a drive tells nothing either."""
    from ..analysis.planning import FEWEST_HOPS
    from ..experiments.ionic_conductivity.estimate import HOP_LENGTH
    numbers = result.numbers
    counts = dict(zip(numbers["settings"]["species"], numbers["settings"]["counts"]))
    hops = [6 * numbers["diffusion"][name]["value"] * numbers["length"]["time_fs"] * counts[name] / HOP_LENGTH ** 2
            for name in numbers["settings"]["mobile"] if name in numbers.get("diffusion", {})]
    return not hops or max(hops) < FEWEST_HOPS


def _longer(path):
    return lambda time: f"type: hpcnemd plan {path} --length \"{time / 1e3:.3g} ps\""


def _part(comm, loaded, deck, folder, start=None):
    """Collective. One part of the pilot, as a run of its own in `folder`."""
    from ..parallel.launch import agree_on_errors
    from ..parallel.layout import Layout, choose_ranks_per_replica
    from .results import is_complete
    text = resolved_text(deck)
    if comm.bcast(is_complete(folder, text) if comm.rank == 0 else None):
        return
    problem = None
    try:
        prepared = loaded.experiment.prepare(deck, loaded.base)
        if start is not None:
            prepared = prepared.starting_from(start)
        if comm.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        problem = InputError(f"{folder}: cannot be made ({failure.strerror}); write another output.folder")
    agree_on_errors(comm, problem)
    share = deck.parallel.ranks_per_replica or choose_ranks_per_replica(comm.size, deck.run.replicas)
    if comm.size % share or comm.size // share > deck.run.replicas:
        share = choose_ranks_per_replica(comm.size, deck.run.replicas)
    layout = Layout(comm, deck.run.replicas, share, None, prepared.system.box)
    loaded.experiment.run(prepared, layout, folder, text, progress=Progress)


def _read_pilot(folder, prepared):
    from ..experiments.ionic_conductivity import pilot
    results = pilot.read_results(folder)
    wrong = pilot.mismatch(results[0], prepared)
    if wrong:
        raise InputError(f"--pilot {folder}: is a run of another system: {'; '.join(wrong)}; leave --pilot out to run a pilot of this deck")
    return results


def _pilot(results, path, folder):
    from ..experiments.ionic_conductivity.pilot import pilot_of
    where = "the pilot" if folder is None else f"the run in {folder}"
    return pilot_of(results, where, _longer(path) if folder is None else lambda time: f"leave --pilot out, or lengthen that run to {time / 1e3:.3g} ps")


def _rates(comm, prepared, results, folder):
    """Collective. Measured s per step by ranks of a replica, with the ions where the pilot left them."""
    from ..experiments.ionic_conductivity.pilot import EQUILIBRIUM, step_rates
    from ..storage import ensemble

    def last():
        path = folder / EQUILIBRIUM / "ensemble.h5"
        if not path.exists():
            return None, None
        found = ensemble.read(path)
        return found.arrays["final_position"][0], found.attributes["box"]
    positions, box = _on_first(comm, last)
    return step_rates(prepared if box is None else prepared.in_cell(box), comm, positions)


# ---- what is told -----------------------------------------------------------------------------------------------------------

def _tell(loaded, prepared, path, folder, seen, rates, wanted, write, pilot):
    """Prints the plan, and writes plan.json and the planned deck. On rank 0 only."""
    from ..analysis.planning import make_plan
    from ..experiments.ionic_conductivity.estimate import LEAST_MEMORY
    run = loaded.deck.run
    plan = make_plan(seen, wanted["error"], run.anneal + run.npt + run.equilibrate, run.settle, run.timestep, prepared.schedule.sample * run.timestep, LEAST_MEMORY, wanted["ranks"], rates)
    keys = deck_keys(loaded.deck, plan)
    for line in plan_lines(plan, rates, wanted["ranks"]):
        print(line)
    print("the deck's lines:")
    for table, lines in keys.items():
        print("\n".join([f"  [{table}]", *(f"  {key} = {value}" for key, value in lines.items() if value is not None)]))
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plan.as_dict() | {"ranks": wanted["ranks"], "seconds_per_step": rates, "deck": keys, "pilot_folder": str(pilot or folder)}, indent=1)
    (folder / "plan.json").write_text(text + "\n", encoding="utf-8")
    print(f"plan: {folder / 'plan.json'}")
    if write is not None:
        Path(write).write_text(edited(loaded.text, keys), encoding="utf-8")
        print(f"{write} written; now: mpirun -n {wanted['ranks']} hpcnemd run {write}")


def plan_lines(plan, rates, ranks):
    """The plan for the terminal, plain ASCII."""
    pilot, drive = plan.pilot, plan.drive
    yield (f"the pilot: sigma = {pilot.sigma:.4g} +- {pilot.sigma_error:.2g} S/m, Nernst-Einstein {pilot.uncorrelated:.4g} S/m, about {pilot.hops:.0f} hops; "
           f"window {pilot.window / 1e3:.3g} ps" + ("" if pilot.settled else " (the charge still remembers more)"))
    yield (f"drive: q E a / 2 k_B T = {drive.x:.2f}, field {drive.field:.3g} V/angstrom, drift {drive.drift:.3g} angstrom/ps, "
           f"{in_unit(drive.current / pilot.volume, 'A/cm^2'):.3g} A/cm^2; the hop model is {100 * drive.nonlinearity:.1f} % nonlinear there")
    yield f"an error of {100 * plan.error:g} % on {ranks} rank{'s' * (ranks > 1)}:"
    yield f"  {'':26s}{'measure':>10s}{'(range)':>20s}{'replicas x ranks':>18s}{'wall':>12s}{'core-hours':>12s}"
    for name, cost in plan.costs.items():
        lay = cost.layout
        span = f"({cost.low / 1e3:.3g} to {cost.high / 1e3:.3g})"
        yield (f"  {NAMES[name]:26s}{f'{cost.time / 1e3:.4g} ps':>10s}{span:>20s}{f'{lay.replicas} x {lay.ranks_per_replica}':>18s}{clock_text(lay.wall):>12s}"
               f"{lay.core_hours:>12.3g}")
    yield "  measure: of all replicas together. Ranges: " + "; ".join(f"{NAMES[name]}: {cost.reason}" for name, cost in plan.costs.items())
    yield (f"  equilibrium takes {plan.speed_up:.3g} times the driven measurement at this error; Nernst-Einstein gives {pilot.uncorrelated / pilot.sigma:.2f} of the conductivity, "
           "whatever its error")
    yield f"  after this measurement the driven run should show an error of {100 * plan.expected:.2g} % +- {100 * plan.uncertainty * plan.expected:.1g} %"
    yield ("  steps take " + ", ".join(f"{1e3 * seconds:.3g} ms on {share} rank{'s' * (share > 1)} a replica" for share, seconds in rates.items())
           + ", measured here with all ranks at work")


def deck_keys(deck, plan):
    """{table: {key: TOML text, or None to remove it}} of the planned run: driven as the deck is, or at rest where it is."""
    from ..analysis.planning import MARGIN
    from ..experiments.quantities import write_quantity
    rest = deck.drive.kind == "none"
    cost = plan.costs["equilibrium" if rest else "driven"]
    lay = cost.layout
    blocks = max(1, -(-round(MARGIN * lay.measure) // round(plan.block)))

    def quoted(value, unit, digits=6):
        return f'"{float(f"{value:.{digits}g}"):g} {unit}"'
    run = {"measure": f'"{write_quantity(blocks * plan.block, "ps")}"', "block": f'"{write_quantity(plan.block, "ps")}"', "blocks": None,
           "replicas": str(lay.replicas), "until_error": f"{plan.error:g}"}
    drive = {}
    if deck.drive.kind == "constant_field":
        drive = {"field": quoted(plan.drive.field, "V/angstrom", 4)}
    elif not rest:
        drive = {"kind": '"constant_current"', "drift_velocity": quoted(plan.drive.drift, "angstrom/ps", 4), "current_density": None}
    return {"run": run, "drive": drive, "parallel": {"ranks_per_replica": str(lay.ranks_per_replica), "grid": None}}


def edited(text, keys):
    """A deck's text with other values of single keys: comments and all other lines stay. Raises InputError where the text writes a table in a way that this
    cannot follow (an inline table)."""
    lines, table, missing = [], None, {name: dict(values) for name, values in keys.items()}
    heads = {}
    for line in text.splitlines():
        head = re.match(r"\s*\[\s*([\w.]+)\s*\]\s*(#.*)?$", line)
        if re.match(r"\s*\[", line):
            table = head[1] if head else None
            if table in missing:
                heads[table] = len(lines)
        key = re.match(r"\s*([\w-]+)\s*=", line)
        if table in missing and key and key[1] in keys[table]:
            value = missing[table].pop(key[1], None)
            if value is None:
                continue
            line = f"{key[1]} = {value}"
        lines.append(line)
    for name in sorted(missing, key=lambda name: -heads.get(name, -1)):
        new = [f"{key} = {value}" for key, value in missing[name].items() if value is not None]
        if name in heads:
            lines[heads[name] + 1:heads[name] + 1] = new
        elif new:
            lines += ["", f"[{name}]", *new]
    result = "\n".join(lines) + "\n"
    try:
        parse_deck(result)
    except InputError as problem:
        raise InputError(["--write: this deck's tables cannot be edited line by line; paste the lines above into it", *problem.problems]) from None
    return result
