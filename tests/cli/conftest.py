"""The command line in a folder of its own, with the configuration that tillhook comes with."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from tests.cli.processes import Servers
from tillhook.core.cli import main

ROOT = Path(__file__).resolve().parents[2]


class Folder:
    """Somebody's working folder: a configuration, and commands that are run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.configuration = path / "tillhook.toml"
        shutil.copy(ROOT / "tillhook.toml", self.configuration)

    def run(self, *arguments: str) -> Result:
        """Run ``tillhook`` here; ``stdout``, ``stderr`` and ``exit_code`` of the result say what came of it."""
        return CliRunner().invoke(main, arguments)

    def ok(self, *arguments: str) -> str:
        """What a command wrote that must succeed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str, code: int = 1) -> str:
        """The one line with which a command refused."""
        result = self.run(*arguments)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        lines = result.stderr.splitlines()
        assert lines, "it refused without a word"
        assert lines[-1].startswith("tillhook: ")
        return lines[-1].removeprefix("tillhook: ")

    def change(self, old: str, new: str) -> None:
        """Replace a piece of the configuration, which must be there."""
        text = self.configuration.read_text()
        assert old in text
        self.configuration.write_text(text.replace(old, new))

    def add(self, text: str) -> None:
        """Add to the end of the configuration."""
        self.configuration.write_text(f"{self.configuration.read_text()}\n{text}\n")

    @property
    def database(self) -> Path:
        return self.path / "var" / "tillhook.db"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    for name in [name for name in os.environ if name.startswith("TILLHOOK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Folder(tmp_path)
    # A command sends the logs to the standard error of its run, which is closed by now.
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def shop(folder: Folder) -> Folder:
    """A folder in which the demonstration is prepared."""
    folder.ok("demo")
    return folder


@pytest.fixture
def servers(folder: Folder) -> Iterator[Servers]:
    """Starts ``tillhook`` processes in the folder; none of them is left when the test ends."""
    started = Servers(folder.path)
    yield started
    started.close()
