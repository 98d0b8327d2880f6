"""Which promises a broken plugin breaks: its suite is run by pytest, every promise of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 280
"""Seconds; nothing takes so long unless it hangs."""


def broken_promises(file: str, folder: Path) -> dict[str, set[str]]:
    """Run every class of a test file that is named ``Broken…``: class → names of its tests that fail."""
    report = folder / "report.xml"
    options = ["-q", "--tb=line", "-p", "no:cacheprovider", "-p", "tests.testing.broken", f"--junit-xml={report}"]
    command = [sys.executable, "-m", "pytest", *options, "-o", "python_classes=Broken*", file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, f"{done.stdout}\n{done.stderr}"
    found: dict[str, set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        failed = found.setdefault(case.attrib["classname"].rpartition(".")[2], set())
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(case.attrib["name"].partition("[")[0])
    return found


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """That a promise is broken is enough: the simplest case that breaks it is not looked for."""
    before = settings.get_current_profile_name()
    settings.register_profile("unshrunk", settings.get_profile(before), phases=[Phase.generate], database=None)
    settings.load_profile("unshrunk")


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Of the broken suites only the promises of their own kind: those of every plugin have tests of their own."""
    of_every_plugin = ("PluginContract.", "Cassettes.")
    items[:] = [
        item
        for item in items
        if item.cls is not None
        and item.cls.__name__.startswith("Broken")
        and not item.function.__qualname__.startswith(of_every_plugin)
    ]
