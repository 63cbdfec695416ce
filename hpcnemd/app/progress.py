"""How far a run is: a bar on a terminal, a line a minute in a log."""
import os
import sys
import time

DAY = 86400.0


def on_terminal(stream):
    """True where a person looks at `stream`. Open MPI gives each rank a pseudo-terminal, wherever mpirun's own output goes:
    there the output of the parent process, mpirun, decides."""
    if not stream.isatty():
        return False
    if "OMPI_COMM_WORLD_SIZE" not in os.environ:
        return True
    try:
        return os.readlink(f"/proc/{os.getppid()}/fd/1").startswith("/dev/pts/")
    except OSError:
        return False


def clock_text(seconds):
    """Seconds as h:mm:ss, with days where needed."""
    days, rest = divmod(int(seconds + 0.5), 86400)
    text = f"{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days} d {text}" if days else text


class Progress:
    """`total_steps` of `timestep_fs`; counted from the first `update`, so that a resumed run shows its own speed. One of them on rank 0."""
    LINE_EVERY, BAR_EVERY = 60.0, 0.25      # s

    def __init__(self, total_steps, timestep_fs, stream=None, clock=time.monotonic):
        self.total, self.timestep, self.clock = int(total_steps), float(timestep_fs), clock
        self.stream = sys.stdout if stream is None else stream
        self.first = None                   # (step, time) of the first update
        self.told = -1e9                    # time of the last line or refresh
        self.bar = self._open_bar() if on_terminal(self.stream) else None

    def _open_bar(self):
        from rich.console import Console
        from rich.progress import BarColumn, Progress as Bar, TextColumn
        bar = Bar(TextColumn("{task.percentage:5.1f} %"), BarColumn(), TextColumn("{task.description}"),
                  console=Console(file=self.stream, force_terminal=True), auto_refresh=False)        # no thread beside the time loop
        bar.start()
        bar.add_task("starting", total=self.total)
        return bar

    def speed(self, step, now):
        """(ns/day, seconds left); None for both before the first step is done."""
        done, spent = step - self.first[0], now - self.first[1]
        if done <= 0 or spent <= 0:
            return None, None
        rate = done / spent
        return rate * self.timestep * 1e-6 * DAY, max(0, self.total - step) / rate

    def update(self, step, note=""):
        """Cheap: looks at the clock and returns, unless it is time to show something."""
        now = self.clock()
        if self.first is None:
            self.first = (step, now)
        if now - self.told < (self.BAR_EVERY if self.bar else self.LINE_EVERY) and step < self.total:
            return
        self.told = now
        ns_per_day, left = self.speed(step, now)
        text = f"step {step} of {self.total}"
        if ns_per_day is not None:
            text += (f"  {ns_per_day:.3g} ns/day" if self.timestep else "") + f"  {clock_text(left)} left"
        if note:
            text += f"  {note}"
        if self.bar is not None:
            self.bar.update(0, completed=step, description=text, refresh=True)
        else:
            share = 100.0 * step / self.total if self.total else 100.0
            self.stream.write(f"{time.strftime('%H:%M:%S')}  {share:5.1f} %  {text}\n")
            self.stream.flush()

    def close(self):
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
