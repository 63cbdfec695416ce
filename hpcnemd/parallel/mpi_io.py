"""Parallel writing into a file at given offsets (MPI-IO), and the name of the MPI library. One rank writes with plain calls."""
import os
import sys


class SharedFile:
    """Collective. An existing file, open for writing on all ranks of `comm`. Raises OSError where it cannot be opened."""

    def __init__(self, comm, path):
        self.comm, self._file, self._plain = comm, None, None
        if comm.size == 1:
            self._plain = os.open(path, os.O_WRONLY)
            return
        from mpi4py import MPI
        try:
            self._file = MPI.File.Open(comm, path, MPI.MODE_WRONLY)
        except MPI.Exception as problem:
            raise OSError(f"{path}: {problem}") from problem

    def write_at(self, offset, data):
        """Not collective: a rank whose write fails keeps no other waiting. `data`: contiguous uint8 array. Raises OSError."""
        if self._file is not None:
            from mpi4py import MPI
            status = MPI.Status()
            try:
                self._file.Write_at(offset, data, status)
            except MPI.Exception as problem:
                raise OSError(str(problem)) from problem
            if status.Get_count(MPI.BYTE) != len(data):
                raise OSError(f"{status.Get_count(MPI.BYTE)} of {len(data)} bytes were written")
            return
        view = memoryview(data)
        while len(view):
            done = os.pwrite(self._plain, view, offset)
            view, offset = view[done:], offset + done

    def close(self):
        """Collective. What was written is on its way to the disk when this returns. Raises OSError, on a rank where the system refused it."""
        if self._file is not None:
            from mpi4py import MPI
            problem = None
            for step in (self._file.Sync, self._file.Close):    # the others wait in Close, whatever Sync found here
                try:
                    step()
                except MPI.Exception as error:
                    problem = problem or error
            if problem is not None:
                raise OSError(str(problem)) from problem
        else:
            os.close(self._plain)


def library_version():
    """One line about the MPI library, or "none" where MPI was not started."""
    module = sys.modules.get("mpi4py.MPI")
    if module is None or not module.Is_initialized():
        return "none"
    return " ".join(module.Get_library_version().replace("\0", "").split("\n")[0].split())
