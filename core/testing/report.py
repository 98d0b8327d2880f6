"""The report of a run of pytest: what became of each test, of which contract, and what of the plugin it used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tillhook.core.roles.grammar import HOOKSPEC_VERSION
from tillhook.core.testing.pytest_plugin import contracts_of, is_ours
from tillhook.core.testing.reasons import NO_LINES
from tillhook.core.testing.recorder import RECORDER

FORMAT: Final = 1
"""Raised when a reader of the report must change."""
_KEY: Final = "tillhook"
_WORST: Final = ("failed", "skipped", "passed")


class Report:
    """A plugin of pytest. What a test called is carried by its reports, also from the workers of a parallel run."""

    def __init__(self, file: Path, *, write: bool) -> None:
        """``write``: this process writes the file; workers of another one do not."""
        self._file = file
        self._write = write
        self._tests: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        RECORDER.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        report: pytest.TestReport = yield  # type: ignore[assignment]
        if call.when == "teardown":
            report.user_properties.append((_KEY, json.dumps(_facts(item))))
        return report  # type: ignore[return-value]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.setdefault(
            report.nodeid,
            {"nodeid": report.nodeid, "outcome": "passed", "reason": "", "message": "", "seconds": 0.0},
        )
        test["seconds"] = round(test["seconds"] + report.duration, 6)
        if _WORST.index(report.outcome) < _WORST.index(test["outcome"]):
            test["outcome"] = report.outcome
        if report.skipped:
            test["reason"] = _reason(report)
        if report.failed:
            test["message"] = report.longreprtext
        for key, value in report.user_properties:
            if key == _KEY:
                test |= json.loads(str(value))

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if not self._write:
            return
        tests = [test for test in self._tests.values() if "contracts" in test]
        found = {"format": FORMAT, "hookspec_version": HOOKSPEC_VERSION, "exit": int(exitstatus), "tests": tests}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _facts(item: pytest.Item) -> dict[str, Any]:
    cls: Any = getattr(item, "cls", None)
    plugin = getattr(cls, "plugin", None)
    return {
        "name": getattr(item, "originalname", None) or item.name,
        "class": "" if cls is None else cls.__name__,
        "contracts": contracts_of(cls),
        "plugin": f"{plugin.__module__}:{plugin.__qualname__}" if isinstance(plugin, type) else "",
        "file": getattr(sys.modules.get(plugin.__module__), "__file__", None) if isinstance(plugin, type) else None,
        "as_written": is_ours(getattr(item, "function", _facts)) and not any(map(_leaves_out, item.iter_markers())),
        "examples": _examples(cls),
        "called": RECORDER.calls,
        "offered": RECORDER.offered,
        "picked": RECORDER.picked,
    }


def _leaves_out(mark: pytest.Mark) -> bool:
    """Whether an author's mark keeps a promise from being asked; the suites mark what cannot be tried here."""
    return mark.name in {"skip", "skipif", "xfail"} and mark.kwargs.get("reason") != NO_LINES


def _examples(cls: Any) -> list[int]:
    """How many generated cases each promise is tried with, here and by the suite itself; of no suite: none."""
    suite = next((at for at in getattr(cls, "__mro__", ()) if is_ours(at) and hasattr(at, "examples")), None)
    return [] if suite is None else [cls.examples, suite.examples]


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped: what it said, without where."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
    return str(text).removeprefix("Skipped: ")
