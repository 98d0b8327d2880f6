"""A folder on ``sys.path`` into which distributions can be installed for one test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.guests import Installer
from tests.plugins.stage import Stage


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Installer(tmp_path)
    for name in [name for name in sys.modules if name.startswith("guest_")]:
        del sys.modules[name]


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.release.set()
    assert made.nobody_is_left()
