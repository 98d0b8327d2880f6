"""Long-running commands as processes of their own: started, spoken to, ended, and looked for afterwards."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

PATIENCE = 60
"""Seconds; nothing waits so long unless it hangs."""


class Running:
    """One ``tillhook`` process. ``said`` is what it wrote to standard output until it was ready."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self.log = log
        self.said: list[str] = []

    def until(self, word: str) -> Running:
        """Read lines until one has ``word``; fails when the process ends before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if word in line:
                return self
        raise AssertionError(f"it ended with {self.process.wait()} and never said {word!r}: {self.log.read_text()}")

    @property
    def url(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", "\n".join(self.said))
        assert found, self.said
        return found[0]

    @property
    def token(self) -> str:
        return next(line.removeprefix("TOKEN=") for line in self.said if line.startswith("TOKEN="))

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {**headers, "Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def end(self, number: int) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def children(self) -> list[int]:
        """Process ids of what it started (Linux)."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]


class Servers:
    """Everything that a test started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Running] = []

    def start(self, *arguments: str, **environment: str) -> Running:
        log = self._folder / f"log-{len(self._running)}.txt"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "tillhook", *arguments],
                cwd=self._folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        running = Running(process, log)
        self._running.append(running)
        return running

    def close(self) -> None:
        for running in self._running:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait(PATIENCE)
            if running.process.stdout is not None:
                running.process.stdout.close()


def wait_until_gone(pids: list[int]) -> list[int]:
    """Those of ``pids`` that still run after a while (Linux: each is watched through a pidfd)."""
    left = []
    for pid in pids:
        try:
            watched = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([watched], [], [], PATIENCE)
            left += [] if ready else [pid]
        finally:
            os.close(watched)
    return left
