"""A reader: somebody with a clone of the repository and a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import Running, Servers
from tests.docs.pages import ROOT

PATIENCE = 120
"""Seconds; nothing takes so long unless it hangs."""


class Reader:
    """Works in a folder that has what ``make install`` leaves: the configuration and ``.venv``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("TILLHOOK_")}
        shutil.copy(ROOT / "tillhook.toml", folder / "tillhook.toml")
        (folder / ".venv").symlink_to(sys.prefix)

    def types(self, script: str, **environ: str) -> str:
        """What a shell says to these lines; each of them must succeed."""
        return self._run("bash", "-euo", "pipefail", "-c", script, **environ)

    def tillhook(self, *arguments: str, **environ: str) -> str:
        return self._run(sys.executable, "-m", "tillhook", *arguments, **environ)

    def _run(self, *command: str, **environ: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


@pytest.fixture
def server(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """What ``make run`` runs, at a free port."""
    for name in ("TILLHOOK_CONFIG", "TILLHOOK_DATABASE_URL", "TILLHOOK_HOST", "TILLHOOK_PORT", "TILLHOOK_DISABLE"):
        monkeypatch.delenv(name, raising=False)
    servers = Servers(reader.folder)
    yield servers.start("serve", "--demo", "--port", "0").until("Ctrl-C")
    servers.close()
