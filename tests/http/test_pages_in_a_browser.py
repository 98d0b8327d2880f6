"""Signing in and reading a page with a real browser: what it makes of cookies, policies and the form's origin."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.browser import PROGRAMS, Browser
from tests.http.club import StoreBound, platform, serve
from tests.http.parts import Clock, claims, ec_key, token
from tests.http.test_real_server import running

KEY = ec_key()
PATIENCE = 30
"""Seconds; nothing takes so long unless it hangs."""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is installed")
    opened = Browser(program, tmp_path / "profile")
    yield opened
    opened.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    system = platform(tmp_path, StoreBound(KEY), Clock())
    with running(system, serve(system)) as found:  # type: ignore[arg-type]
        yield found.address
    system.db.close()


def settled(browser: Browser, script: str, wanted: Callable[[Any], bool]) -> Any:
    """What ``script`` comes to once it is as wanted; pages may change meanwhile."""
    last, until = None, time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            last = browser.run(script)
        except AssertionError as error:  # the page that was asked is gone
            last = str(error)
        if wanted(last):
            return last
    raise AssertionError(f"{script} came to {last!r}")


PLACE = "document.readyState == 'complete' ? location.pathname + location.search : ''"


def test_a_person_signs_in_reads_a_page_and_signs_out(browser: Browser, address: str) -> None:
    page = "/pages/club/stores/co_2/members/anna?x=1"
    browser.open(f"{address}{page}")
    settled(browser, PLACE, lambda at: at.startswith("/pages/sign-in?next="))

    pasted = token(KEY, claims(roles=["operator"])).decode()
    browser.run(f"document.querySelector('#token').value = '{pasted}'; document.querySelector('button').click()")
    settled(browser, PLACE, lambda at: at == page)
    assert browser.run("document.querySelector('h1').textContent") == "Member anna"
    assert browser.run("document.cookie") == ""
    assert browser.run("document.querySelectorAll('script, img, svg, [onload]').length") == 0

    browser.open(f"{address}/pages/")
    settled(browser, PLACE, lambda at: at == "/pages/")
    browser.run("document.querySelector('.who a').click()")
    settled(browser, PLACE, lambda at: at == "/pages/sign-out")
    browser.run("document.querySelector('button').click()")
    settled(browser, PLACE, lambda at: at == "/pages/sign-in")
    browser.open(f"{address}{page}")
    settled(browser, PLACE, lambda at: at.startswith("/pages/sign-in?next="))


@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_is_wider_than_the_screen(browser: Browser, address: str, width: int) -> None:
    browser._send(
        "Emulation.setDeviceMetricsOverride",
        session=browser._session,
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=width < 500,
    )
    for path in ("/pages/sign-in", "/pages/sign-out", "/pages/club/stores/nowhere/none"):
        browser.open(f"{address}{path}")
        settled(browser, PLACE, lambda at, path=path: at == path)
        assert browser.run("document.documentElement.scrollWidth") <= width
