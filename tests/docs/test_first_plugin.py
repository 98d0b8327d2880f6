"""The page for newcomers, typed as it stands by one: an empty folder, a clone, a shell, and no environment yet."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.processes import Running
from tests.docs.pages import ROOT, listings, the

PAGE = ROOT / "docs" / "first-plugin.md"
PATIENCE = 300
"""Seconds; nothing takes so long unless it hangs."""
SERVE = "tillhook serve\n"


class Newcomer:
    """Somebody in an empty folder beside a clone. ``pip`` and ``python3 -m venv`` work without a network here."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "shop"
        self.folder.mkdir()
        (place / "tillhook").symlink_to(ROOT)
        tools = place / "bin"
        tools.mkdir()
        self._tool(tools / "pip", f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.docs.offline "$@"')
        self._tool(tools / "python3", f'exec "{sys.executable}" "$@" ${{2:+$([ "$2" = venv ] && echo --without-pip)}}')
        ours = Path(sys.prefix, "bin")
        path = [str(tools), *(at for at in os.environ["PATH"].split(os.pathsep) if Path(at) != ours)]
        strange = ("TILLHOOK_", "PYTHON", "PYTEST_", "VIRTUAL_ENV")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        self.environ["PATH"] = os.pathsep.join(path)
        self.server: Running | None = None

    def types(self, text: str) -> str:
        """What the shell says to a listing, both ways; each of its lines must succeed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._activated(text)],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        return done.stdout

    def serves(self) -> None:
        """Start the server, which stays, at a free port; the other terminal knows which."""
        log = self.folder.parent / "server.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                ["bash", "-c", self._activated(f"exec {SERVE}")],
                cwd=self.folder,
                env={**self.environ, "TILLHOOK_PORT": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.server = Running(process, log).until("Ctrl-C")
        self.environ["TILLHOOK_PORT"] = self.server.url.rpartition(":")[2]

    def stops(self) -> None:
        if self.server is not None:
            assert self.server.end(signal.SIGTERM) == 0
            assert self.server.process.stdout is not None
            self.server.process.stdout.close()
            self.server = None

    def _activated(self, text: str) -> str:
        """The terminal in which the environment was switched on stays open."""
        return f". .venv/bin/activate\n{text}" if (self.folder / ".venv").exists() else text

    def _tool(self, path: Path, line: str) -> None:
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    somebody = Newcomer(tmp_path)
    yield somebody
    somebody.stops()


def test_the_whole_page_leads_to_a_paid_order_with_a_poslog(newcomer: Newcomer) -> None:
    started = time.perf_counter()
    said: list[str] = []
    for listing in (at for at in listings(PAGE) if at.language == "bash"):
        if listing.text == SERVE:
            newcomer.serves()
        else:
            said.append(newcomer.types(listing.text))
    print(f"\ndocs/first-plugin.md, from an empty folder to the end: {time.perf_counter() - started:.1f} s")
    newcomer.stops()
    _, configured, suite, switched_on, tried, bought, noticed = said

    assert "tillhook.toml: a configuration to begin with" in configured
    assert " passed" in suite
    assert "failed" not in suite
    assert "tillhook.toml: no fault in 1 store type, 1 place" in switched_on
    assert "acme: asked in this order: issuer → tax → sandbox → receipts → acme" in switched_on
    assert "0001-900-000001" in tried
    assert re.search(r"^acme\.sales  key ord_", tried, re.MULTILINE)

    basket_total, status, receipt = bought.split("\n", 2)
    order = json.loads(bought[bought.index("\n{\n") :])
    assert basket_total == str(order["total_price"]) == "{'minor': 13790, 'currency': 'DKK'}"
    assert status == order["payment"]["status"] == "CAPTURED"
    assert re.search(r"^Total +137\.90 DKK$", receipt, re.MULTILINE)
    assert order["transaction_id_poslog"] == "0001-900-000002"

    assert "The suite noticed." in noticed
    assert "failed" in noticed
    assert "// 100" not in (newcomer.folder / "acme/src/tillhook_acme/__init__.py").read_text()
    assert transactions(newcomer.folder / "var/tillhook.db") == ["0001-900-000001", "0001-900-000002"]

    shown = [line.split()[0] for line in the(PAGE, "text").splitlines()]
    assert [name for name in shown if not (newcomer.folder / name).is_file()] == []
    suite = (newcomer.folder / "acme/tests/test_acme.py").read_text()
    lines = [line for line in suite[suite.index("class ") :].splitlines() if line.strip()]
    assert len(lines) == 4


def transactions(database: Path) -> list[str]:
    """The numbers of the POSLog documents that were stored, in their order."""
    with closing(sqlite3.connect(database)) as opened:
        rows = opened.execute("SELECT document FROM poslog ORDER BY created_at").fetchall()
    return [json.loads(row[0])["transaction"] for row in rows]
