"""Progress: how often it speaks, and what it says."""
import io

from hpcnemd.app.progress import Progress, clock_text


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_line_a_minute_with_speed_and_time_left():
    out, clock = io.StringIO(), Clock()
    progress = Progress(10000, 2.0, out, clock)
    progress.update(4000)                               # resumed here: what was done before counts for the share, not for the speed
    for step in range(4001, 5001):
        clock.now += 0.1                                # 10 steps/s
        progress.update(step, "298 K")
    progress.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 2                              # at 0 and 60 s; 100 s were spent
    assert "40.0 %" in lines[0] and "ns/day" not in lines[0]
    # 10 steps/s of 2 fs: 10 * 2e-6 ns * 86400 s = 1.728 ns/day; at step 4600 another 5400 steps take 540 s
    assert "46.0 %" in lines[1] and "1.73 ns/day" in lines[1] and "0:09:00 left" in lines[1] and lines[1].endswith("298 K")


def test_the_last_step_is_always_told():
    out, clock = io.StringIO(), Clock()
    progress = Progress(100, 1.0, out, clock)
    progress.update(0)
    clock.now = 1.0
    progress.update(100)
    assert "100.0 %  step 100 of 100" in out.getvalue() and "0:00:00 left" in out.getvalue()


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True
    monkeypatch.delenv("OMPI_COMM_WORLD_SIZE", raising=False)
    out, clock = Terminal(), Clock()
    progress = Progress(100, 1.0, out, clock)
    for step in range(0, 101, 10):
        clock.now += 1.0
        progress.update(step)
    progress.close()
    text = out.getvalue()
    assert "100.0 %" in text and "step 100 of 100" in text and "ns/day" in text and "━" in text


def test_clock_text():
    assert clock_text(59.6) == "0:01:00" and clock_text(3661) == "1:01:01" and clock_text(90061) == "1 d 1:01:01"
