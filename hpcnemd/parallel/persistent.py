"""Messages that go from the same memory to the same place in every step: set up once, then only started."""
import weakref


class Messages:
    """Local. Persistent requests of one kind of message on `comm`; nothing is sent before `receive` and `send`.

    `incoming`: [(array, source)], `outgoing`: [(array, target)]: C-contiguous float64 arrays, which must stay where they are while this object lives; empty
    ones are left out, on both sides. Without messages nothing of MPI is used, so that a communicator of one rank need not be one of MPI's.
    """

    def __init__(self, comm, incoming, outgoing, tag):
        self._receives = [comm.Recv_init(array, source, tag) for array, source in incoming if array.size]
        self._sends = [comm.Send_init(array, target, tag) for array, target in outgoing if array.size]
        if not self._receives and not self._sends:
            return
        self.free = weakref.finalize(self, _free, self._receives + self._sends)
        self.free.atexit = False            # the end of the process needs no tidying, and MPI may have ended before

    def free(self):
        """Gives the requests back; so does the end of this object."""

    def receive(self):
        """Arrays of incoming messages belong to MPI until `wait`."""
        for request in self._receives:
            request.Start()

    def send(self):
        """Arrays of outgoing messages belong to MPI until `wait`."""
        for request in self._sends:
            request.Start()

    def wait(self):
        for request in self._receives:
            request.Wait()
        for request in self._sends:
            request.Wait()


def _free(requests):
    from mpi4py import MPI
    if not MPI.Is_finalized():
        for request in requests:
            request.Free()
