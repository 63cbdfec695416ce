"""`hpcnemd analyse`: the equilibrium estimators on a stored trajectory, of this program or of another. No MPI."""
import tomllib
from pathlib import Path

from ..core.errors import InputError
from ..core.units import parse_quantity


def add_arguments(parser):
    parser.add_argument("trajectory", help="H5MD, LAMMPS dump, extxyz, or anything that ASE reads")
    parser.add_argument("--temperature", metavar="T", help="of the run, for example \"900 K\" (default: what the deck in our own files says)")
    parser.add_argument("--charges", metavar="A=Z,...", help="formal charges, for example Li=1,O=-2 (default: those in our own files)")
    parser.add_argument("--mobile", metavar="A,...", help="species that carry the current (default: all with a charge that is given)")
    parser.add_argument("--interval", metavar="T", help="time between frames, for example \"50 fs\" (default: what the file says)")
    parser.add_argument("--timestep", metavar="T", help="time per step, where the file tells steps only (LAMMPS dumps)")
    parser.add_argument("--skip", metavar="T", default="0 ps", help="time at the start that is left out (default: none)")
    parser.add_argument("--types", metavar="A,...", help="names of the particle types 1, 2, ... where the file only numbers them")
    parser.add_argument("--format", choices=("h5md", "lammps", "ase"), help="default: by the name of the file")
    parser.add_argument("--output", metavar="FOLDER", help="default: the file's name with _analysis, in this folder")


def analyse_trajectory(arguments):
    """Prints the result and writes figures, numbers.json and report.html; returns the exit code. Raises InputError."""
    from ..experiments.ionic_conductivity import figures, report, trajectory
    result, source = result_of(arguments)
    folder = Path(arguments.output or f"{Path(arguments.trajectory).stem}_analysis") / "report"
    pictures = figures.draw(result, folder, only=trajectory.FIGURES)
    page = report.write(result, folder, pictures, source.deck, title="Ionic conductivity from a trajectory")
    for line in report.summary_lines(result):
        print(line)
    print(f"report: {page}")
    return 0


def result_of(arguments):
    """(Result, Source) of the trajectory, before anything is drawn. Raises InputError."""
    from ..experiments.ionic_conductivity import trajectory
    from ..storage import foreign
    path = Path(arguments.trajectory)
    source = foreign.open_frames(path, foreign.kind_of(path, arguments.format), _words(arguments.types))
    return trajectory.analyse(path, source, _asked(arguments, source, trajectory.Asked)), source


def _words(text):
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _quantity(text, unit, name):
    try:
        return parse_quantity(text if not _is_number(text) else float(text), unit)
    except ValueError as problem:
        raise InputError(f"--{name} {problem}") from None


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _asked(arguments, source, kind):
    """The Asked of a command line and of the deck that our own files hold."""
    deck = tomllib.loads(source.deck) if source.deck else {}
    run, drive = deck.get("run", {}), deck.get("drive", {})
    temperature = arguments.temperature or run.get("temperature")
    if temperature is None:
        raise InputError(f"{arguments.trajectory}: its temperature is not known; give it, for example --temperature \"900 K\"")
    kelvin = _quantity(str(temperature), "K", "temperature")
    if not kelvin > 0:
        raise InputError(f"--temperature {temperature}: it must be positive")
    charges = dict(source.charges or {})
    for word in _words(arguments.charges):
        name, equals, value = word.partition("=")
        if not equals or not _is_number(value):
            raise InputError(f"--charges {word}: write species=charge, for example --charges Li=1,O=-2")
        charges[name.strip()] = float(value)
    mobile = _words(arguments.mobile)
    if not mobile and drive.get("mobile") not in (None, "all", ["all"]):
        mobile = tuple([drive["mobile"]] if isinstance(drive["mobile"], str) else drive["mobile"])
    axis = (1.0, 0.0, 0.0)
    mode = drive.get("kind", "none")
    if mode != "none":
        from ..dynamics.colour import unit_vector
        axis = tuple(unit_vector(drive.get("direction", "x")))
    times = {name: _quantity(getattr(arguments, name), "fs", name) if getattr(arguments, name) else None for name in ("interval", "timestep")}
    return kind(kelvin, charges, mobile, times["interval"], times["timestep"], _quantity(arguments.skip, "fs", "skip"), mode, axis)
