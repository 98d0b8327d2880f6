"""What a plugin declares for itself is judged before anything relies on it."""

from __future__ import annotations

from typing import Any

import click
import pytest
from msgspec import Struct

from tillhook import Errand, PluginCommand, PluginTables, Schedule, Topic
from tillhook.core.plugins.declarations import fault_of


class Message(Struct, frozen=True):
    number: int


@click.command()
def sweep() -> None:
    """Sweep."""


def nothing(errand: Errand, message: Any = None) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    "thing",
    [
        PluginTables("club", "acme_club"),
        PluginTables("club", "acme_club", "parts/of/it"),
        PluginCommand(sweep),
        Schedule("every-night", 86400, nothing),
        Topic("club.member-joined_v1", True, "member", Message),
        Topic("club.import", False, "member", dict[str, int], nothing),
    ],
)
def test_what_can_be_used_has_no_fault(thing: Any) -> None:
    assert fault_of("club", thing) == ""


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (PluginTables("clubs", "acme"), "are named 'clubs', a plugin's tables bear its own name: 'club'"),
        (PluginTables("club", "acme", "../elsewhere"), "must be one inside the package 'acme'"),
        (PluginTables("club", "acme", "/etc"), "must be one inside the package 'acme'"),
        (PluginCommand(nothing), "needs a click command with a name, not function"),
        (Schedule("at night", 60, nothing), "schedule 'at night': its name may have"),
        (Schedule("night", 0, nothing), "schedule 'night': seconds must be a whole number from 1 to 31622400 (a year)"),
        (Schedule("night", -60, nothing), "it is -60"),
        (Schedule("night", 0.5, nothing), "it is 0.5"),  # type: ignore[arg-type]
        (Schedule("night", True, nothing), "it is True"),
        (Schedule("night", 10**12, nothing), "it is 1000000000000"),
        (Schedule("night", 60, "sweep"), "schedule 'night': run must be a function"),  # type: ignore[arg-type]
        (Topic("a:b", True, "k", Message), "topic 'a:b': its name may have"),
        (Topic("t" * 101, True, "k", Message), "up to 100"),
        (
            Topic("t" * 97, False, "k", Message, nothing),
            "with the name of who consumes it (club) it is longer than 100",
        ),
        (Topic("a", False, "k", Message), "topic 'a' is neither produced nor consumed"),
        (Topic("a", False, "k", Message, "x"), "topic 'a': consume must be a function"),  # type: ignore[arg-type]
        (Topic("a", True, "k", object()), "is no type that can be read from JSON"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_used_is_named_with_the_reason(thing: Any, says: str) -> None:
    assert says in fault_of("club", thing)
