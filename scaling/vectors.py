"""What a core gives to vector code: its clock, from a chain of multiplications each of which waits for the one before (3 clocks on x86 processors of the last ten years), and the multiply-adds of whole
vectors in a clock, from as many independent ones as the registers hold.

Two processes that share a core's units (hyperthreads, of which a virtual machine may be given one) both keep the clock of the first number and halve the second. Code that waits for
memory or for results one by one hardly notices; code that fills the vector units does, so that its speed relative to such code is another one there."""
import statistics
import time

from numba import njit

from hpcnemd.kernels.simd import choose_path, fma, lanes, total

LATENCY, TIMES = 3, 12
LANES = {"avx512": 8, "avx2": 4}.get(choose_path("auto"), 2)
splat = lanes(LANES).splat


@njit(cache=True)
def _chain(n, x):
    for _ in range(n):
        x = x * x
    return x


@njit(cache=True)
def _multiply_adds(n, start):
    m, b = splat(0.999), splat(1e-5)
    c, d, e, f, g, h = splat(start), splat(2.0 * start), splat(3.0 * start), splat(4.0 * start), splat(5.0 * start), splat(6.0 * start)      # equal ones would be made one
    i, j, k, l, o, p = splat(7.0 * start), splat(8.0 * start), splat(9.0 * start), splat(10.0 * start), splat(11.0 * start), splat(12.0 * start)
    for _ in range(n):
        c, d, e, f, g, h = fma(c, m, b), fma(d, m, b), fma(e, m, b), fma(f, m, b), fma(g, m, b), fma(h, m, b)
        i, j, k, l, o, p = fma(i, m, b), fma(j, m, b), fma(k, m, b), fma(l, m, b), fma(o, m, b), fma(p, m, b)
    return total(c + d + e + f + g + h + i + j + k + l + o + p)


def _typical(function, n, argument, repeats=9):
    """Seconds of one turn of its loop, the median of a few runs: the quickest would be one that shared its core with nobody."""
    function(1, argument)
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(n, argument)
        found.append(time.perf_counter() - start)
    return statistics.median(found) / n


def sample(n=200_000):
    """(clock in GHz, multiply-adds of vectors per clock) of this core at this moment; takes some 20 ms."""
    clock = LATENCY / _typical(_chain, n, 3)
    return clock * 1e-9, TIMES / _typical(_multiply_adds, n, 1.0) / clock


if __name__ == "__main__":
    clocks, rates = zip(*(sample() for _ in range(20)))
    print(f"clock {statistics.median(clocks):.2f} GHz ({min(clocks):.2f}-{max(clocks):.2f}), {statistics.median(rates):.2f} ({min(rates):.2f}-{max(rates):.2f}) multiply-adds of {choose_path('auto')} vectors per clock")
