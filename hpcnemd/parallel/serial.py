"""The communicator of a run without MPI: one rank, and the calls of an mpi4py communicator that this program uses."""
import os
import sys

import numpy as np


class SerialComm:
    """One rank. Objects are handed back as they are (not copied); buffer calls copy `send` into `receive`."""
    rank, size, name = 0, 1, "serial"

    def Get_rank(self):
        return 0

    def Get_size(self):
        return 1

    # objects
    def bcast(self, value, root=0):
        return value

    def gather(self, value, root=0):
        return [value]

    def allgather(self, value):
        return [value]

    def scatter(self, values, root=0):
        return values[0]

    def alltoall(self, values):
        return list(values)

    def allreduce(self, value, op=None):
        return value

    def reduce(self, value, op=None, root=0):
        return value

    # buffers
    def Bcast(self, buffer, root=0):
        pass

    def Gather(self, send, receive, root=0):
        _copy(send, receive)

    def Allgather(self, send, receive):
        _copy(send, receive)

    def Alltoall(self, send, receive):
        _copy(send, receive)

    def Allreduce(self, send, receive, op=None):
        _copy(send, receive)

    # the communicator itself
    def Barrier(self):
        pass

    barrier = Barrier

    def Split(self, color=0, key=0):
        return SerialComm()

    def Dup(self):
        return SerialComm()

    def Free(self):
        pass

    def Abort(self, code=1):
        """Ends the process at once, as MPI_Abort would."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _copy(send, receive):
    if receive is not send:
        np.copyto(np.asarray(receive).reshape(-1), np.asarray(send).reshape(-1))
