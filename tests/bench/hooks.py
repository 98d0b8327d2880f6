"""What hooks cost, with ever more plugins installed: a call, and the start of the host; beside both, plain pluggy.

Plain pluggy is one PluginManager with every installed plugin, filled by ``load_setuptools_entrypoints``. Installed are
distributions in a folder on ``sys.path``; the shop switches on three of them. Nobody answers, so all of them are asked.
Every number is the least of several; those of the start are from processes of their own.

``python -m tests.bench.hooks start|plain FOLDER`` is such a process: it prints its seconds.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pluggy
from rich.console import Console
from rich.table import Table

from tests.bench.servers import ROOT, Broken
from tests.plugins.guests import STORE, Installer, Lent, Till, configured, found
from tillhook.core.config.system import System
from tillhook.core.plugins.discovery import discover
from tillhook.core.plugins.guard import Guard, Unlimited
from tillhook.core.plugins.host import Host
from tillhook.core.plugins.shop import Shop
from tillhook.hookspecs import Hooks

INSTALLED: Final = (1, 30, 200)
STARTED: Final = 100
ON: Final = ("guest0", "guest1", "guest2")
CALLS: Final = 100
ROUNDS: Final = 150
"""Many short ones: the least of them had the machine to itself."""
STARTS: Final = 9

PLAIN: Final = "tillhook_plain"
"""The group of entry points of those that plain pluggy loads."""

_GUEST: Final = """
from tillhook import Plugin, hookimpl

class Guest(Plugin):
    @hookimpl
    def transaction_id_for(self, order, number, store):
        return None
"""
_PLAIN_GUEST: Final = """
from pluggy import HookimplMarker

@HookimplMarker("tillhook")
def transaction_id_for(order, number, store):
    return None
"""


def install(folder: Path, count: int) -> None:
    """Write so many distributions to a folder, each with a plugin and the same for plain pluggy: a module."""
    installer = Installer(folder)
    for number in range(count):
        (folder / f"guest_bench_{number}.py").write_text(_GUEST)
        (folder / f"guest_plain_{number}.py").write_text(_PLAIN_GUEST)
        own, plain = f"guest{number} = guest_bench_{number}:Guest", f"guest{number} = guest_plain_{number}"
        installer.describe(f"bench-{number}", f"[tillhook]\n{own}\n\n[{PLAIN}]\n{plain}\n")


def shop_of(count: int, guard: Guard) -> Shop:
    """A shop that switches on three of so many installed plugins, or as many as there are."""
    on = list(ON[:count])
    plugins = [*discover(on, {}), found("till", Till)]
    return Host(configured({"demo": {"plugins": ["till", *on]}}), plugins, Lent, guard=guard).shop(STORE)


def plain() -> Any:
    """One manager with every installed plugin, as pluggy's users do it."""
    manager = pluggy.PluginManager("tillhook")
    manager.add_hookspecs(Hooks)
    manager.load_setuptools_entrypoints(PLAIN)
    return manager


def least(*works: Callable[..., Any]) -> list[float]:
    """Seconds of one call of each: the least of several rounds, in which they take turns."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, found_so_far in zip(works, seconds, strict=True):
            began = time.perf_counter()
            for _ in range(CALLS):
                work("transaction_id_for", order=None, number=7, store=STORE)
            found_so_far.append((time.perf_counter() - began) / CALLS)
    return [min(one) for one in seconds]


def measure_calls(count: int) -> list[float]:
    """Seconds of one question with so many installed: with time limits, without them, and of plain pluggy."""
    with tempfile.TemporaryDirectory(prefix="tillhook-bench-") as name:
        install(Path(name), count)
        sys.path.insert(0, name)
        try:
            guarded, bare = shop_of(count, Guard(System().hooks)), shop_of(count, Guard(Unlimited()))
            manager = plain()
            return least(guarded.ask, bare.ask, lambda hook, **asked: getattr(manager.hook, hook)(**asked))
        finally:
            sys.path.remove(name)
            for module in [module for module in sys.modules if module.startswith(("guest_bench_", "guest_plain_"))]:
                del sys.modules[module]


def start_seconds(what: str, folder: Path) -> float:
    """The least of several starts, each in a process of its own that has imported tillhook and pluggy already."""
    seconds = []
    for _ in range(STARTS):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.hooks", what, str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Broken(f"tests.bench.hooks {what} ended with {done.returncode}: {done.stderr[-2000:]}")
        seconds.append(float(done.stdout))
    return min(seconds)


def show(console: Console) -> None:
    """Measure, and print the numbers beside each other."""
    calls = {count: measure_calls(count) for count in INSTALLED}
    shown = Table(title=f"One question to a shop that switches on {len(ON)} plugins, µs", title_justify="left")
    shown.add_column("installed", justify="right")
    for name in ("tillhook", "without time limits", "plain pluggy, one manager", "plain / tillhook"):
        shown.add_column(name, justify="right")
    for count, (guarded, bare, one) in calls.items():
        numbers = [f"{seconds * 1e6:.1f}" for seconds in (guarded, bare, one)]
        shown.add_row(f"{count}", *numbers, f"{one / guarded:.2f} ×")
    few, many = calls[INSTALLED[1]], calls[INSTALLED[-1]]
    growth = [f"{last / first:.2f} ×" for first, last in zip(few, many, strict=True)]
    shown.add_row(f"{INSTALLED[-1]} / {INSTALLED[1]}", *growth, "")
    console.print(shown)
    with tempfile.TemporaryDirectory(prefix="tillhook-bench-") as name:
        install(Path(name), STARTED)
        host, one = start_seconds("start", Path(name)), start_seconds("plain", Path(name))
    shown = Table(title=f"Start with {STARTED} plugins installed, ms", title_justify="left")
    for heading in ("tillhook: discover, build the shop", "plain pluggy: load all, one manager", "plain / tillhook"):
        shown.add_column(heading, justify="right")
    shown.add_row(f"{host * 1e3:.0f}", f"{one * 1e3:.0f}", f"{one / host:.1f} ×")
    console.print(shown)


def _start(what: str, folder: str) -> float:
    sys.path.insert(0, folder)
    began = time.perf_counter()
    if what == "start":
        shop_of(STARTED, Guard(System().hooks))
    else:
        plain()
    return time.perf_counter() - began


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(_start(*sys.argv[1:]))
    else:
        show(Console(highlight=False, width=110))
