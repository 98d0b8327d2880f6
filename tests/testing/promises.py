"""Running single promises of a suite as pytest would, to see that a broken one is noticed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from tillhook.core.testing.contracts import PluginContract
from tillhook.core.testing.subject import Subject, build

EXAMPLES = 60


@contextmanager
def without_shrinking() -> Iterator[None]:
    """That a promise is broken is enough here; the simplest sale that breaks it is not looked for."""
    before = settings.get_current_profile_name()
    settings.register_profile("unshrunk", settings.get_profile(before), phases=[Phase.generate], database=None)
    settings.load_profile("unshrunk")
    try:
        yield
    finally:
        settings.load_profile(before)


def keeps(suite: type[PluginContract], promise: str, folder: Path) -> None:
    """Run a promise with each of its parameters. Raises what pytest would show."""
    function = getattr(suite, promise)
    for case in _cases(function):
        one = suite()
        with one.prepared(folder):
            given = {"tmp_path": folder, "subject": Subject(build(suite.plugin, suite.settings, folder)), **case}
            function(one, **{name: given[name] for name in list(inspect.signature(function).parameters)[1:]})


def is_noticed(suite: type[PluginContract], broken: type[Any], promise: str, because: str, folder: Path) -> None:
    """A plugin that breaks a promise fails it, and for this reason (a part of the message)."""
    failing = type(f"Suite{broken.__name__}", (suite,), {"plugin": broken, "examples": EXAMPLES})
    with without_shrinking(), pytest.raises((AssertionError, pytest.fail.Exception), match=because):
        keeps(failing, promise, folder)


def _cases(function: Any) -> Iterator[dict[str, Any]]:
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    for values in product(*(mark.args[1] for mark in marks)):
        yield {mark.args[0]: value for mark, value in zip(marks, values, strict=True)}
