"""How quiet the machine is: a fixed loop alone and on all cores at once, beside the runs. A figure from a loud machine is kept, and marked."""
import os
import statistics
import subprocess
import sys

from vectors import sample as vector_sample

LOOP = """
import time
def work():
    x = 0
    for i in range(1500000):
        x = (x * 1103515245 + i) & 2147483647
    return x
work()
w, c = time.perf_counter(), time.process_time()
work()
print(time.perf_counter() - w, time.process_time() - c)
"""
WALL_OVER_CPU, SPREAD = 1.05, 1.10      # above these the machine was not quiet


def _run(copies):
    runs = [subprocess.Popen([sys.executable, "-S", "-E", "-c", LOOP], stdout=subprocess.PIPE, text=True) for _ in range(copies)]
    return [tuple(map(float, run.communicate()[0].split())) for run in runs]


class Quiet:
    """Call `sample` before, between and after the runs; `verdict` is what a record keeps."""

    def __init__(self):
        self.alone, self.together, self.load, self.vectors = [], [], [], []

    def sample(self):
        self.load.append(os.getloadavg()[0])
        self.vectors.append(vector_sample())
        self.alone += _run(1)
        self.together += _run(len(os.sched_getaffinity(0)))

    def verdict(self):
        """{"quiet": bool, and the numbers behind it}: the loop's wall over CPU time, and the spread of its CPU time over the samples; clock in GHz and vector multiply-adds per clock."""
        walls = [wall for wall, _ in self.alone + self.together]
        cpus = [cpu for _, cpu in self.alone + self.together]
        waiting = statistics.median(wall / cpu for wall, cpu in zip(walls, cpus))
        worst = max(wall / cpu for wall, cpu in zip(walls, cpus))
        spread = statistics.median(cpus) / min(cpus)
        clock, rate = (statistics.median(values) for values in zip(*self.vectors))
        return {"quiet": waiting < WALL_OVER_CPU and worst < 1.5 and spread < SPREAD, "waiting": round(waiting, 3), "worst_waiting": round(worst, 3),
                "loop_spread": round(spread, 3), "load": round(max(self.load), 2), "clock_ghz": round(clock, 2), "fma_per_clock": round(rate, 2)}


if __name__ == "__main__":
    quiet = Quiet()
    quiet.sample()
    print(quiet.verdict())
