"""`hpcnemd run --no-report DECK`, in which one rank kills itself inside its n-th call that changes a file; started by mpirun in test_interrupted_runs.py.

    python dying_run.py RANK NUMBER DECK        NUMBER 0: no rank dies. Each rank adds the number of its calls to DECK.calls.RANK
"""
import atexit
import os
import signal
import sys

from hpcnemd.app.main import main
from hpcnemd.experiments.ionic_conductivity.replica import Replica
from hpcnemd.storage import writer

CALLS = ("pwrite", "posix_fallocate", "ftruncate", "fsync", "replace", "unlink")


class Counter:
    """Counts the calls on this rank; at call `deadly` the process dies: before it, or half-way through what it writes."""

    def __init__(self, deadly):
        self.deadly, self.count = deadly, 0

    def guarded(self, call, name):
        def replacement(*arguments, **named):
            self.count += 1
            if self.count == self.deadly:
                if name == "pwrite" and self.count % 2:
                    handle, data, offset = arguments
                    view = memoryview(data).cast("B")
                    call(handle, view[:len(view) // 2], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)
        return replacement

    def install(self):
        for name in CALLS:
            setattr(os, name, self.guarded(getattr(os, name), name))
        for kind in (writer.GatherWriter, writer.OffsetWriter, writer.CollectiveWriter):    # the bytes that go through MPI
            for name in ("open", "write", "close"):
                if name in vars(kind):
                    setattr(kind, name, self.guarded(vars(kind)[name], name))


def run(rank, number, deck):
    mine = int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
    counter, begin = Counter(number if mine == rank else 0), Replica.begin

    def begin_counting(replica):
        """The kernels are compiled by now: numba's cache is no file of the run."""
        Replica.begin = begin
        counter.install()
        return begin(replica)
    Replica.begin = begin_counting

    def tell():
        with open(f"{deck}.calls.{mine}", "a") as out:
            out.write(f"{counter.count}\n")
    atexit.register(tell)
    main(["run", "--no-report", deck])


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
