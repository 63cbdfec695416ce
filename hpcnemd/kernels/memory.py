"""Arrays that begin with a cache line: a vector that crosses two of them costs twice as much to read or write, and every second or each one does where an array begins anywhere."""
import numpy as np

LINE = 64       # bytes


def zeros(shape, kind):
    """An array of zeros as of np.zeros that begins at a multiple of LINE bytes."""
    kind = np.dtype(kind)
    count = int(np.prod(shape))
    room = np.zeros(count * kind.itemsize + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first:first + count * kind.itemsize].view(kind).reshape(shape)


def aligned(values, kind):
    """A flat copy of type `kind` that begins so."""
    values = np.asarray(values).ravel()
    found = zeros(len(values), kind)
    found[:] = values
    return found
