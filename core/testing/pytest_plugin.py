"""The pytest plugin that comes with tillhook: fixtures for authors of plugins, and ``--tillhook-report``.

It is loaded in every run of pytest where tillhook is installed, so it imports nothing until somebody asks for it.
Importing its package has the asserts of the contracts rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tillhook.core.testing.outside import RecordingOutside
    from tillhook.core.testing.shop import TillShop

PROFILE: Final = "tillhook"
"""Of hypothesis: the same cases in every run, so that a certificate says the same twice."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("tillhook").addoption(
        "--tillhook-report", metavar="FILE", help="write what the contract suites found to FILE, as JSON"
    )


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--tillhook-report")
    if file:
        from tillhook.core.testing.report import Report

        folder = config.invocation_params.dir
        config.pluginmanager.register(
            Report(folder / file, write=not hasattr(config, "workerinput")), "tillhook-report"
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Choose hypothesis' profile for contracts, unless the author has chosen one."""
    chosen = session.config.getoption("--hypothesis-profile", None)
    if chosen or not any(contracts_of(getattr(item, "cls", None)) for item in session.items):
        return
    from hypothesis import settings

    if settings.get_current_profile_name() == "default":
        settings.register_profile(PROFILE, settings(), derandomize=True, database=None, deadline=None)
        settings.load_profile(PROFILE)


def contracts_of(cls: type | None) -> list[str]:
    """The contracts that a test class inherits, the nearest first."""
    return [at.__name__ for at in getattr(cls, "__mro__", ()) if at.__name__.endswith("Contract") and is_ours(at)]


def is_ours(thing: Any) -> bool:
    """Whether a class or function is of the suites themselves, and not an author's."""
    return str(thing.__module__).startswith(f"{__name__.rpartition('.')[0]}.")


@pytest.fixture
def outside() -> RecordingOutside:
    """What duties and gateways are lent: nothing leaves the process, everything is recorded."""
    from tillhook.core.testing.outside import RecordingOutside

    return RecordingOutside()


@pytest.fixture(scope="session")
def planted_secret() -> str:
    """What stands behind every ``env:NAME`` of a contract's settings; it may be seen nowhere."""
    from tillhook.core.testing.planted import PLANTED

    return PLANTED


@pytest.fixture
def till_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TillShop]]:
    """Opens a whole shop with a plugin switched on: ``till_shop(Acme, settings={"workstation_id": "900"})``."""
    from tillhook.core.testing.furnishing import open_shop

    opened: list[TillShop] = []

    def open_one(*plugins: Any, **more: Any) -> TillShop:
        shop = open_shop(tmp_path / f"shop-{len(opened) + 1}", monkeypatch, *plugins, **more)
        opened.append(shop)
        return shop

    yield open_one
    for shop in opened:
        shop.close()
