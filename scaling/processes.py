"""Benchmark processes of this package: started, and what they answer."""
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def cores():
    return len(os.sched_getaffinity(0))


def launched(script, ask, ranks, folder, environment=None):
    """The answer of one of our own benchmark processes."""
    request, answer = folder / "request.json", folder / "answer.json"
    request.write_text(json.dumps(ask), encoding="utf-8")
    answer.unlink(missing_ok=True)
    command = [os.environ.get("MPIRUN", "mpirun"), "-n", str(ranks)] if ranks > 1 else []
    done = subprocess.run([*command, sys.executable, HERE / script, request, answer], capture_output=True, text=True, env=environment)
    if done.returncode or not answer.exists():
        raise RuntimeError(f"{script} on {ranks} ranks ended with code {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-4000:]}")
    return json.loads(answer.read_text(encoding="utf-8"))


def rates(run, column):
    """Atom-steps per second of each block, by wall (0) or CPU time (1)."""
    return [run["particles"] * run["steps"] / block[column] for block in run["blocks"]]
