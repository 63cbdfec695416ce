"""journal.jsonl: what happened, one JSON object a line, for people and for `status`."""
import json
import os

from .provenance import now


class Journal:
    """Appends on rank 0 of `comm`, silent on other ranks. Each line is handed to the system at once; a torn last line is completed first."""

    def __init__(self, comm, path):
        self.path, self._file = str(path), None
        if comm.rank == 0:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            self._file = open(path, "a+b", buffering=0)
            end = self._file.seek(0, os.SEEK_END)
            if end and os.pread(self._file.fileno(), 1, end - 1) != b"\n":
                self._file.write(b"\n")

    def note(self, event, **details):
        """Not collective. Numbers, strings, lists and dicts; numpy scalars and arrays are converted. A full disk loses the line, not the run."""
        if self._file is None:
            return
        line = json.dumps({"time": now(), "event": event, **details}, default=_plain) + "\n"
        try:
            self._file.write(line.encode())
        except OSError:
            pass

    def close(self):
        if self._file is not None:
            self._file.close()


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else str(value)


def read(path):
    """list of dicts; a torn line is left out. [] where there is no journal."""
    if not os.path.exists(path):
        return []
    lines = []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return lines
