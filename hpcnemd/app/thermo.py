"""`hpcnemd thermo ...`: thermodynamic calculations from decks. Only `thermo sweep` starts MPI.

Exit codes: 0 done, 2 bad input or an excluded phase that would form (--strict), 3 at least one point failed."""
import argparse
import os
import sys
import time
from pathlib import Path

PROGRESS_SECONDS = 2.0
SUMMARIES = {
    "eq": "equilibrium of a TDB system at one temperature, pressure and composition",
    "binary": "binary phase diagram: tie lines, invariants, G(x) with common tangents",
    "react": "reaction enthalpies, entropies and equilibrium constants over temperature",
    "gibbs": "gas and condensed phases of least Gibbs energy for given elements",
    "cp": "heat capacity to enthalpy, entropy and Gibbs energy, with transitions",
    "activity": "activities, mixing and miscibility gap of a solution model (regular, Redlich-Kister, Wilson, NRTL)",
    "eos": "states, potentials and saturation curve of an equation of state (Lennard-Jones, van der Waals, water)",
    "clapeyron": "slope of a coexistence line",
    "link": "diffusion, Haven ratio and chemical diffusion from a conductivity",
    "free_energy": "free energies from simulated U(T) and from work, beside the integral of Cp",
    "kinetics": "what driving forces do: precipitation, decomposition, interfaces, diffusion couples",
}


def add_parser(subparsers):
    """Adds `thermo` with its subcommands to the command line; returns its parser."""
    parser = subparsers.add_parser("thermo", help="thermodynamic calculations", description="Thermodynamic calculations from decks (TOML) and TDB files.",
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="thermo_command", metavar="COMMAND", required=True)
    check = commands.add_parser("check", help="strict check of a TDB file, and of a question to it")
    check.add_argument("file")
    check.add_argument("--components", nargs="+", metavar="C", help="with VA where phases need it")
    check.add_argument("--phases", nargs="+", metavar="PHASE")
    check.add_argument("-T", "--temperature", metavar="T", help='such as "600 K"')
    check.add_argument("-P", "--pressure", metavar="P", help='such as "1 atm"')
    check.add_argument("-x", "--fraction", action="append", default=[], metavar="C=X", help="mole fraction, such as ZN=0.3")
    for name, summary in SUMMARIES.items():
        one = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        one.add_argument("deck")
        one.add_argument("--output", metavar="FOLDER", help="tables (CSV), figures (PNG, PDF), result.json and result.h5 go there")
        one.add_argument("--strict", action="store_true", help="an excluded phase or substance that would form is an error")
    sweep = commands.add_parser("sweep", help="a grid of conditions, over MPI ranks, into one HDF5 file; continues what exists")
    sweep.add_argument("deck")
    sweep.add_argument("-o", "--output", required=True, metavar="OUT.h5")
    sweep.add_argument("--writer", choices=("auto", "collective", "offset", "gather"), default="auto")
    drawn = commands.add_parser("map", help="maps of what a sweep stored: stable phases, fractions, potentials", description="Maps of what a sweep stored, with failed points shown and counted.")
    drawn.add_argument("file", metavar="OUT.h5", help="made by thermo sweep")
    drawn.add_argument("--output", required=True, metavar="FOLDER", help="figures (PNG, PDF), map.csv, result.json and result.h5 go there")
    drawn.add_argument("--quantity", nargs="+", default=[], metavar="NAME", help='such as phases "mu(BB)" "fraction(LIQUID)" "driving_force(HCP_A3)"; none: phases, fractions, potentials')
    drawn.add_argument("--at", action="append", default=[], metavar="COLUMN=VALUE", help='only points with this condition, such as "T=600 K" or "X(CC)=0.2"')
    drawn.add_argument("--axes", nargs="+", default=[], metavar="COLUMN", help="conditions to draw against, one or two (default: those that vary)")
    return parser


def needs_mpi(arguments):
    return arguments.thermo_command == "sweep"


def dispatch(arguments):
    """One command without MPI; returns the exit code."""
    if arguments.thermo_command == "check":
        return _check(arguments)
    if arguments.thermo_command == "map":
        outcome = _maps(arguments)
    else:
        from ..thermo.deck_jobs import JOBS
        outcome = JOBS[arguments.thermo_command](arguments.deck, arguments.strict)
    for record in outcome.records:
        print("\n".join(record.lines()))
    if arguments.output:
        write(outcome, arguments.output)
    return 3 if outcome.failed else 0


def _maps(arguments):
    from ..storage.ensemble import read
    from ..thermo.errors import ThermoInputError
    from ..thermo.property_maps import property_maps
    try:
        held = read(arguments.file)
    except (OSError, KeyError):
        raise ThermoInputError(f"{arguments.file}: no file of a sweep can be read there; make one with: hpcnemd thermo sweep DECK -o OUT.h5") from None
    return property_maps(arguments.file, held.arrays, held.attributes, arguments.quantity, arguments.at, arguments.axes)


def parallel_work(arguments):
    """The function of a communicator behind `thermo sweep`."""
    _fix_hashes()

    def work(comm):
        from ..ensembles.thermo_sweep import run_sweep

        from .progress import on_terminal
        told = time.monotonic()

        def progress(done, total):
            nonlocal told
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                print(f"{100 * done / total:5.1f} %  block {done} of {total}", flush=True)
        ok, failed, reasons = run_sweep(comm, arguments.deck, arguments.output, arguments.writer, progress if on_terminal(sys.stdout) else None)
        if comm.rank == 0:
            print(f"{arguments.output}: {ok} points, {failed} failed")
            for k, reason in list(reasons.items())[:10]:
                print(f"  point {k}: {reason}")
            print(f"figures: hpcnemd thermo map {arguments.output} --output FOLDER")
        return 3 if failed else 0
    return work


def _fix_hashes():
    """Starts this process again with PYTHONHASHSEED=0, before MPI: pycalphad sums in the order of string hashes, and every rank must get the same bits."""
    if sys.flags.hash_randomization and "mpi4py.MPI" not in sys.modules:
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})


def write(outcome, folder):
    """Tables, figures, result.json and result.h5 of an Outcome."""
    import json

    from ..thermo.diagram import write_csv
    from ..thermo.figures import save
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps([r.as_dict() for r in outcome.records], indent=1, allow_nan=False) + "\n")
    for name, rows in outcome.tables.items():
        write_csv(rows, folder / f"{name}.csv")
    for name, draw in outcome.figures.items():
        save(draw(), folder, name)
    _write_hdf5(outcome, folder / "result.h5")
    print(f"written: {folder}/ result.json, result.h5" + "".join(f", {n}.csv" for n in outcome.tables) + "".join(f", {n}.png" for n in outcome.figures))


def _write_hdf5(outcome, path):
    """Numeric values of all records, one dataset each, and a dataset of each record's premises."""
    import json

    import numpy as np

    from ..parallel.serial import SerialComm
    from ..storage import provenance
    from ..storage.ensemble import EnsembleFile
    comm, schema, values = SerialComm(), {}, {}
    for k, record in enumerate(outcome.records):
        for name, (value, unit) in record.values.items():
            array = np.asarray(value, float)
            key = f"record{k} {name}".replace("/", " per ")
            schema[key], values[key] = (array.shape, "f8", unit, name), array
        premises = json.dumps({key: value for key, value in record.as_dict().items() if key != "values"}).encode()
        key = f"record{k} premises"
        schema[key], values[key] = ((), f"S{len(premises)}", "", "all but the values, as JSON"), np.array(premises)
    file = EnsembleFile.create(str(path), comm, 1, schema, "auto", {}, provenance.collect(comm))
    for key, array in values.items():
        file.write_rows(0, key, 0, array)
    file.set_status(0, "failed" if outcome.failed else "complete")
    file.close()


def _check(arguments):
    from ..thermo import precheck, tdb
    from ..thermo.errors import ThermoInputError
    db = tdb.read(arguments.file)
    problems = precheck.check_file(db)
    for kind, text, _ in problems:
        print(f"{kind.__name__}: {text}", file=sys.stderr)
    print(f"{arguments.file}: sha256 {db.sha256}")
    print(f"  elements {', '.join(e for e in db.elements if e not in ('/-', 'VA'))}; phases {', '.join(db.phases)}; {len(db.functions)} functions, {len(db.parameters)} parameters")
    low, high, where_low, where_high = tdb.stable_range(db, tuple(db.elements) + tuple(db.species), tuple(db.phases)) if not problems else (0, 0, "", "")
    if not problems:
        print(f"  all parameters hold for {low:g}-{high:g} K (limits: {where_low or 'none'}; {where_high or 'none'})")
    for name in db.phases:
        why = tdb.needs_engine(db, name)
        if why:
            print(f"  {name}: needs the calphad extra ({why})")
    for note in precheck.order_notes(db):
        print(f"  note: {note}")
    if problems:
        return 2
    asked = {}
    if arguments.temperature:
        asked["T"] = arguments.temperature
    if arguments.pressure:
        asked["P"] = arguments.pressure
    if arguments.components or asked or arguments.fraction:
        fractions = dict(one.partition("=")[::2] for one in arguments.fraction)
        try:
            asked["X"] = {c: float(x) for c, x in fractions.items()}
        except ValueError:
            raise ThermoInputError(f"-x {arguments.fraction}: write a component and a number, such as -x ZN=0.3") from None
        checked = precheck.check(db, arguments.components or list(db.elements), asked, arguments.phases)
        print(f"  the question is sound: phases {', '.join(checked.phases)}, {checked.temperature_range[0]:g}-{checked.temperature_range[1]:g} K")
        for name, why in checked.excluded.items():
            print(f"  excluded: {name} ({why})")
    return 0
