"""Running a plugin's tests and its import in processes of their own, of which nothing is left afterwards."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from msgspec import Struct

PATIENCE: Final = 900.0
"""Seconds for the tests of one project."""
IMPORT_PATIENCE: Final = 60.0
TRIES: Final = 3
"""Of the import, unless it is quick at once; the quickest counts, as others may use the machine."""
MOST_SAID: Final = 20_000
"""Bytes that are kept of what pytest says: the last ones."""
LARGEST_REPORT: Final = 100_000_000
_LINGERING: Final = 10.0
"""Seconds to wait for the end of what is said, once everything that says it was ended."""
_NO_TESTS: Final = 5
_OURS: Final = ("TILLHOOK_", "PYTEST_")
_CHUNK: Final = 65_536
_IMPORT: Final = (
    "import importlib, sys, time, tillhook.app\n"
    "began = time.perf_counter()\n"
    "importlib.import_module(sys.argv[1])\n"
    "print(round((time.perf_counter() - began) * 1000, 1))"
)


class Run(Struct, frozen=True):
    """What came of a run of pytest."""

    tests: tuple[dict[str, Any], ...]
    """As ``--tillhook-report`` has them."""
    fault: str
    """Why the run itself is worth nothing; empty when it ended, whatever became of the tests."""
    said: str
    """The end of what pytest printed."""


def run_tests(tests: Path, project: Path, *, patience: float = PATIENCE) -> Run:
    """Run the tests below ``tests`` with the configuration of ``project``, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tillhook-certify-") as folder:
        file = Path(folder, "report.json")
        command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", "--import-mode=importlib"]
        command += ["-o", "addopts=", "--rootdir", str(project), f"--tillhook-report={file}", str(tests)]
        code, said = _run(command, folder, patience)
        if code is None:
            return Run((), f"the tests did not end within {patience:.0f} s", said)
        if code == _NO_TESTS:
            return Run((), f"there is no test in {tests}", said)
        if not file.exists() or file.stat().st_size > LARGEST_REPORT:
            return Run((), f"pytest ended with code {code}: {_why(said)}", said)
        found = tuple(msgspec.json.decode(file.read_bytes())["tests"])
        failed = any(test["outcome"] == "failed" for test in found)
        return Run(found, f"pytest ended with code {code}: {_why(said)}" if code and not failed else "", said)


def import_milliseconds(package: str) -> float:
    """What importing the package takes once tillhook is there. Raises ValueError when it cannot be imported alone."""
    best = math.inf
    with tempfile.TemporaryDirectory(prefix="tillhook-certify-") as folder:
        for _ in range(TRIES):
            code, said = _run([sys.executable, "-c", _IMPORT, package], folder, IMPORT_PATIENCE)
            if code != 0:
                raise ValueError(f"{package!r} cannot be imported in a process of its own: {_why(said)}")
            best = min(best, float(said.split()[-1]))
            if best < _QUICK:
                break
    return best


_QUICK: Final = 100.0
"""Milliseconds; what is below them once needs no second try."""


def _run(command: list[str], folder: str, patience: float) -> tuple[int | None, str]:
    """(exit code, or None when it did not end in time; the end of what it said). Whatever it started is ended."""
    process = subprocess.Popen(  # noqa: S603 - this interpreter, on what the person named
        command,
        cwd=folder,
        env=environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = _Ending(process.stdout)
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        _end(process)
    return code, said.text()


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The person's, but for what would have the tests run otherwise than on another machine."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_OURS) and name != "CI"}
    if path := environ.get("PYTHONPATH"):  # the command runs in another folder
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(at).absolute()) for at in path.split(os.pathsep))
    return kept


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started: they are a group."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


class _Ending:
    """Reads a stream as it comes, so that nobody waits for it to be read, and keeps the end of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join(_LINGERING)
        return self._kept.decode(errors="replace")

    def _read(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), _CHUNK):
                self._kept = (self._kept + chunk)[-MOST_SAID:]


def _why(said: str) -> str:
    """The line that tells most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("ERROR", "E  ", "Error"))]
    return (telling or lines or ["it said nothing"])[-1]
