"""Commands on a run's folder, on any machine and without MPI: status, report, export, diff."""
import time
import tomllib
from pathlib import Path

from ..core.errors import InputError
from .deck import load_deck
from .progress import clock_text

ENSEMBLE, JOURNAL, DECK, REPORT = "ensemble.h5", "journal.jsonl", "deck.toml", "report/report.html"


def result_folder(folder):
    """The folder as a Path; raises InputError where no run has left anything there."""
    path = Path(folder)
    if path.suffix == ".toml" and path.is_file():
        path = load_deck(path).folder
    if not path.is_dir():
        raise InputError(f"{folder!s}: there is no such folder; give the output folder of a run, or its deck")
    if not any((path / name).exists() for name in (ENSEMBLE, JOURNAL)):
        raise InputError(f"{path}: no run has left its files there ({ENSEMBLE}, {JOURNAL}); give the output folder of a run, or its deck")
    return path


def experiment_of(folder):
    """The experiment module of a run's folder. Raises InputError."""
    from ..experiments import experiment
    try:
        text = (folder / DECK).read_text(encoding="utf-8")
        return experiment(tomllib.loads(text)["experiment"])
    except (OSError, tomllib.TOMLDecodeError, KeyError) as problem:
        raise InputError(f"{folder / DECK}: the deck of the run is not there or cannot be read ({problem}); copy it back from where the run was started") from None


# ---- status --------------------------------------------------------------------------------------------------------------

def show_status(folder):
    """Prints how far a run is; returns the exit code."""
    place = result_folder(folder)
    for line in (*part_lines(place), *status_lines(place)):
        print(line)
    return 0


def part_lines(folder):
    """Lines on the runs that a series is made of; none for another deck."""
    if not (folder / DECK).exists() or not hasattr(experiment_of(folder), "parts"):
        return
    loaded = load_deck(folder / DECK)
    for number, name in enumerate(loaded.experiment.parts(loaded.deck)):
        place = folder / name
        texts = [line for line in status_lines(place) if line.startswith("replica")] if place.is_dir() else []
        yield f"{number:3d}  {name}: " + ("; ".join(texts) if texts else "not started")


def status_lines(folder):
    """Lines (iterable of str): each replica's state, its newest checkpoint, the last events."""
    from ..storage import checkpoint, journal
    events = sorted((event for path in sorted(folder.glob("journal*.jsonl")) for event in journal.read(path)), key=lambda event: event.get("time", ""))
    states = _replica_states(events) | _written_states(folder)
    yield from (f"replica {replica}: {states[replica]}" for replica in sorted(states))
    yield from _counted(folder) if not states else ()
    for slots in sorted({path.parent for pattern in ("**/a.h5", "**/b.h5") for path in folder.glob(pattern)}):
        newest = checkpoint.latest(slots)
        if newest is not None:
            age = time.time() - Path(newest).stat().st_mtime
            yield f"checkpoint {Path(newest).relative_to(folder)}, {clock_text(max(0.0, age))} old"
    for event in events[-5:]:
        details = ", ".join(f"{key} {_short(value)}" for key, value in event.items() if key not in ("time", "event"))
        yield f"{event.get('time', '')}  {event.get('event', '')}" + (f": {details}" if details else "")


def _replica_states(events):
    """{replica: text} from the journals: where a run that lasts has got to."""
    states = {}
    for event in events:
        if "replica" in event:
            done = f", block {event['block'] + 1} done" if event.get("event") == "block" else ""
            states[event["replica"]] = f"last heard of at step {event.get('step', '?')} ({event.get('time', '')}, {event.get('event', '')}{done})"
    return states


def _written_states(folder):
    """{replica: text} from the ensemble file, which is written when a run ends or stops."""
    from ..storage import ensemble
    if not (folder / ENSEMBLE).exists():
        return {}
    try:
        whole = ensemble.read(folder / ENSEMBLE)
    except (OSError, KeyError) as problem:
        raise InputError(f"{folder / ENSEMBLE}: cannot be read ({problem})") from None
    if "blocks_done" not in whole.arrays:                   # many small replicas: they are counted
        return {}
    done, total = whole.arrays["blocks_done"], whole.arrays["impulse"].shape[1]
    return {replica: f"{status}, {max(0, int(done[replica]))} of {total} blocks" + (f" ({cause})" if cause else "")
            for replica, (status, cause) in enumerate(zip(whole.status, whole.causes)) if status in ("complete", "failed")}


def _counted(folder):
    """Lines on an ensemble of many replicas: how many there are of each status, and why some broke."""
    from collections import Counter

    from ..storage import ensemble
    if (folder / ENSEMBLE).exists():
        status, causes = ensemble.read_status(folder / ENSEMBLE)
        yield f"{len(status)} replicas: " + ", ".join(f"{n} {word}" for word, n in sorted(Counter(status).items()))
        yield from (f"{n} broke: {cause}" for cause, n in Counter(cause for cause in causes if cause).most_common(5))


def _short(value):
    return f"{value:.6g}" if isinstance(value, float) else value


# ---- report, export, diff --------------------------------------------------------------------------------------------------

def write_report(folder):
    """Figures, numbers.json and report.html of a run; prints the result and the report's path. Returns the exit code."""
    folder = result_folder(folder)
    if not any(folder.rglob(ENSEMBLE)):
        raise InputError(f"{folder}: the run has no {ENSEMBLE} yet; look at hpcnemd status {folder}")
    show_result(folder, again=True)
    return 0


def show_result(folder, again):
    """Prints the result of a run's folder and the path of its report; figures and page are drawn `again`, or where they are absent or older than the result."""
    module = experiment_of(folder)
    result, page = module.analyse(folder), folder / REPORT
    if again or not page.exists() or page.stat().st_mtime_ns < (folder / ENSEMBLE).stat().st_mtime_ns:
        page = module.draw(result, folder)
    for line in module.summary(result):
        print(line)
    print(f"report: {page}")


def is_complete(folder, text):
    """Whether a run of the same deck `text` has left all its replicas complete in `folder`. The deck that the result file holds counts: deck.toml is that
    of the last start, which may have been killed."""
    from ..storage import ensemble, provenance
    try:
        return provenance.read(folder / ENSEMBLE)["deck"] == text and set(ensemble.read(folder / ENSEMBLE).status) == {"complete"}
    except (OSError, KeyError):
        return False


def export_trajectory(folder, kind, output=None):
    """Every trajectory of a run as extxyz or LAMMPS dump; returns the exit code."""
    from ..storage.export import export
    given = Path(folder)
    sources = [given] if given.is_file() and given.suffix != ".toml" else sorted(result_folder(folder).rglob("*.h5md"))
    if not sources:
        raise InputError(f"{folder}: there is no trajectory; write trajectory = \"1 ps\" under [output] and run again")
    if output is not None and len(sources) > 1:
        raise InputError(f"--output {output}: there are {len(sources)} trajectories; give one of them instead of the folder: {', '.join(map(str, sources))}")
    for source in sources:
        target = Path(output) if output else source.with_suffix({"extxyz": ".extxyz", "lammps": ".lammpstrj"}[kind])
        frames = export(source, target, kind)
        print(f"{target}: {frames} frames")
    return 0


def show_differences(a, b, relative=0.0):
    """Prints what differs; returns 0 where nothing does, else 1."""
    from ..storage.compare import compare
    differences = compare(a, b, relative)
    for line in differences:
        print(line)
    if not differences:
        print("equal outside provenance" + (f" (within {relative:g})" if relative else ", bit for bit"))
    return 1 if differences else 0
