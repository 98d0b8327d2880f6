"""What processes cost, as Linux counts it under /proc: no sampling, children included."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def can_measure() -> bool:
    """Whether this machine tells what processes cost."""
    return (_PROC / "self" / "stat").exists()


def family(pid: int) -> Iterator[int]:
    """A process and everything it started that still runs."""
    yield pid
    for tasks in (_PROC / str(pid) / "task").glob("*/children"):
        for child in tasks.read_text().split():
            yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its family so far, of children that ended already too."""
    ticks = 0
    for member in family(pid):
        fields = (_PROC / str(member) / "stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(value) for value in fields[11:15])  # utime stime cutime cstime
    return ticks / _TICKS


def peak_memory(pid: int) -> int:
    """Bytes that a process and its family held in memory at most (each at its own worst moment)."""
    peak = 0
    for member in family(pid):
        status = (_PROC / str(member) / "status").read_text()
        peak += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    return peak
