"""Broken packages of every sort, each really installed. Each becomes one line that names the package, its version, the
hook and the file; every other store type goes on selling.
"""

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from tests.plugins.broken import AT_IMPORT, AT_START, CUT_AFTER, WHILE_SELLING, guest, hook, limit_of
from tests.plugins.guests import STORE, Installer, Lent, Till, configured, found
from tillhook import Problem
from tillhook.core.plugins.crew import CREW
from tillhook.core.plugins.discovery import discover
from tillhook.core.plugins.guard import Guard, Unlimited
from tillhook.core.plugins.host import Host, State

GOOD = """
from tillhook import Plugin, hookimpl

class Guest(Plugin):
    @hookimpl
    def transaction_id_for(self, number):
        return f"good-{number}"
"""
KIOSK = msgspec.structs.replace(STORE, store_type="kiosk")


@pytest.fixture(autouse=True)
def nobody_is_left_behind() -> Iterator[None]:
    """Threads that hang in a plugin end before the next test imports a module of the same name."""
    yield
    give_up = time.monotonic() + 10
    while CREW.stuck() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert CREW.stuck() == 0


WHOLE_NUMBER = "class Typed(Config, frozen=True, kw_only=True):\n    width: int = 3"


def watchful(seconds: float) -> Guard:
    return Guard(Unlimited(question_seconds=seconds, offer_seconds=seconds))


def hosting(install: Installer, bad: dict[str, Any] | None = None, seconds: float = 60) -> Host:
    """A store type that switches the broken plugin on, and one that does without."""
    install("acme-good", GOOD, entry="good")
    plugins = [*discover({"bad", "good"}, {}, import_seconds=seconds), found("till", Till)]
    tables = {
        "demo": {"plugins": ["till", "good", "bad"], **({"bad": bad} if bad else {})},
        "kiosk": {"plugins": ["till", "good"]},
    }
    return Host(configured(tables), plugins, Lent, guard=watchful(seconds), make_seconds=seconds)


def line_of(host: Host) -> str:
    """The one line of the report that says what is wrong."""
    [line] = [str(one) for one in host.report() if one.state is State.QUARANTINED]
    assert "\n" not in line
    return line


def still_sells(host: Host) -> None:
    assert host.shop(KIOSK).ask("transaction_id_for", order=None, number=7, store=KIOSK) == "good-7"
    with pytest.raises(Problem, match="store_type_unavailable: store type demo/SE: plugin 'bad' ") as refused:
        host.shop(STORE)
    assert refused.value.facts["plugins"] == ["bad"]


@pytest.mark.parametrize("case", AT_IMPORT)
def test_what_cannot_be_imported_is_one_line_and_the_others_sell(install: Installer, case: str) -> None:
    source, says = AT_IMPORT[case]
    install("acme-bad", source, entry="bad", version="0.3")
    host = hosting(install, seconds=limit_of(says))

    assert line_of(host) == f"plugin 'bad' (acme-bad 0.3) is quarantined: {says}"
    still_sells(host)


@pytest.mark.parametrize("case", AT_START)
def test_what_cannot_be_started_is_one_line_and_the_others_sell(install: Installer, case: str) -> None:
    source, says = AT_START[case]
    install("acme-bad", source, entry="bad", version="0.3")
    host = hosting(install, seconds=limit_of(says))

    assert line_of(host) == f"plugin 'bad' (acme-bad 0.3) is quarantined: store type demo: {says}"
    still_sells(host)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"width": "wide"}, "shop.toml: demo.bad.width: Expected `int`, got `str`"),
        ({"widht": 3}, "shop.toml: demo.bad.widht: there is no such setting (did you mean 'width'?)"),
    ],
)
def test_settings_that_are_wrong_are_one_line_with_the_file_that_they_are_in(
    install: Installer, settings: dict[str, Any], says: str
) -> None:
    install("acme-bad", guest("Settings = Typed", WHOLE_NUMBER), entry="bad", version="0.3")
    host = hosting(install, settings)

    assert line_of(host) == f"plugin 'bad' (acme-bad 0.3) is quarantined: store type demo: {says}"
    still_sells(host)


def test_an_offer_that_changes_while_it_is_looked_at_closes_its_places_only(install: Installer) -> None:
    fickle = "name = property(lambda self: next(self.names))\n    names = iter(['one'] * 5)\n    evaluate = print"
    source = f"class Odd:\n    {fickle}\n\nodd = Odd()"
    install("acme-bad", guest("@hookimpl\ndef tax_calculators(self): return [odd]", source), entry="bad")
    host = hosting(install)

    [fault] = host.problems()
    assert str(fault) == "store type demo: its plugins cannot be put together: StopIteration: "
    assert host.shop(KIOSK).ask("transaction_id_for", order=None, number=7, store=KIOSK) == "good-7"


def test_one_that_hangs_when_it_is_made_costs_its_store_type_the_wait_only_once(install: Installer) -> None:
    hangs = "def __init__(self, settings):\n    import time\n    made.append(1)\n    while True: time.sleep(0.01)"
    install("acme-bad", guest(hangs, "made = []"), entry="bad", version="0.3")
    plugins = [*discover({"bad"}, {}), found("till", Till)]
    regions = {f"demo/{region}": {} for region in ("DK", "NO", "SE")}
    host = Host(configured({"demo": {"plugins": ["till", "bad"]}, **regions}), plugins, Lent, make_seconds=CUT_AFTER)

    assert [fault.where for fault in host.problems()] == ["demo/DK", "demo/NO", "demo/SE"]
    assert sys.modules["guest_acme_bad"].made == [1]
    assert line_of(host).startswith(
        "plugin 'bad' (acme-bad 0.3) is quarantined: store types demo/DK, demo/NO, demo/SE: "
    )


def test_a_name_that_two_packages_claim_is_one_line_for_each_of_them(install: Installer) -> None:
    install("acme-bad", GOOD, entry="bad", version="0.3")
    install("other-bad", GOOD, entry="bad", version="2.0")
    host = hosting(install)

    lines = sorted(str(one) for one in host.report() if one.state is State.QUARANTINED)
    claim = "is quarantined: the name 'bad' is claimed twice, by "
    assert [line.partition(claim)[0] for line in lines] == [
        "plugin 'bad' (acme-bad 0.3) ",
        "plugin 'bad' (other-bad 2.0) ",
    ]
    for line in lines:
        assert "acme-bad 0.3 (guest_acme_bad:Guest)" in line
        assert "other-bad 2.0 (guest_other_bad:Guest)" in line
        assert line.endswith(": uninstall one")
    still_sells(host)


def test_a_name_of_the_core_is_one_line(install: Installer) -> None:
    install("acme-greedy", GOOD, entry="payment", version="0.3")
    install("acme-bad", "raise ValueError", entry="bad")
    host = hosting(install)

    says = "'payment' is a name of the core: rename the entry point of acme-greedy"
    assert f"plugin 'payment' (acme-greedy 0.3) is quarantined: {says}" in map(str, host.report())
    still_sells(host)


@pytest.mark.parametrize(
    ("entry_points", "name", "says"),
    [
        (
            "[tillhook]\nbad = guest_gone:Guest\n",
            "bad",
            "its entry point bad = guest_gone:Guest leads nowhere: there is no module 'guest_gone'",
        ),
        (
            "[tillhook]\nbad = guest gone\n",
            "bad",
            "its entry point bad = guest gone leads nowhere: write it as package.module:Class",
        ),
        (
            "[tillhook]\nbad = :Guest\n",
            "bad",
            "its entry point bad = :Guest leads nowhere: write it as package.module:Class",
        ),
        ("[tillhook]\nthis line says nothing\n", "acme-bad", "its entry_points.txt cannot be read: "),
    ],
)
def test_entry_points_that_lead_nowhere_or_cannot_be_read_are_one_line(
    install: Installer, entry_points: str, name: str, says: str
) -> None:
    install.describe("acme-bad", entry_points, "0.3")
    line = line_of(hosting_named(install, name))

    assert line.startswith(f"plugin {name!r} (acme-bad 0.3) is quarantined: {says}")


def test_entry_points_that_are_no_text_are_one_line(install: Installer) -> None:
    install.describe("acme-bad", "", "0.3")
    (install.folder / "acme_bad-0.3.dist-info" / "entry_points.txt").write_bytes(b"[tillhook]\nbad = \xff\xfe\n")

    line = line_of(hosting_named(install, "acme-bad"))
    assert line.startswith("plugin 'acme-bad' (acme-bad 0.3) is quarantined: its entry_points.txt cannot be read: ")


def hosting_named(install: Installer, name: str) -> Host:
    """As ``hosting``, with the broken plugin under the name that is left of it."""
    install("acme-good", GOOD, entry="good")
    plugins = [*discover({name, "good"}, {}, import_seconds=60), found("till", Till)]
    host = Host(configured({"kiosk": {"plugins": ["till", "good"]}}), plugins, Lent)
    assert host.shop(KIOSK).ask("transaction_id_for", order=None, number=7, store=KIOSK) == "good-7"
    return host


def chained(error: BaseException | None) -> str:
    """An exception with all that caused it, as a log shows it."""
    return "".join(traceback.format_exception(error)) if error else ""


@pytest.mark.parametrize("case", WHILE_SELLING)
def test_a_hook_that_fails_while_selling_is_named_and_the_others_sell(install: Installer, case: str) -> None:
    body, says, where = WHILE_SELLING[case]
    install("acme-bad", hook("transaction_id_for(self, number)", body), entry="bad", version="0.3")
    install("acme-good", GOOD, entry="good")
    plugins = [*discover({"bad", "good"}, {}, import_seconds=60), found("till", Till)]
    tables = {"demo": {"plugins": ["till", "bad"]}, "kiosk": {"plugins": ["till", "good"]}}
    host = Host(configured(tables), plugins, Lent, guard=watchful(limit_of(says)))

    with structlog.testing.capture_logs() as logs, pytest.raises(Problem) as refused:
        host.shop(STORE).ask("transaction_id_for", order=None, number=7, store=STORE)
    assert refused.value.detail == f"plugin bad 0.3 {says}"
    assert {"plugin": "bad", "version": "0.3", "hook": "transaction_id_for"}.items() <= refused.value.facts.items()
    assert where in chained(refused.value) + str(logs)
    assert host.shop(KIOSK).ask("transaction_id_for", order=None, number=7, store=KIOSK) == "good-7"


def said_on_the_command_line(folder: Path, packages: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """``tillhook`` in a process of its own, with the distributions of a folder installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TILLHOOK_")}
    return subprocess.run(
        [sys.executable, "-m", "tillhook", *command],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("case", ["a missing dependency", "a hook with wrong arguments", "an offer that leaves"])
def test_the_command_line_prints_the_line_and_lists_what_still_sells(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, case: str
) -> None:
    source, says = (AT_IMPORT | AT_START)[case]
    folder = tmp_path_factory.mktemp("shop")
    shipped = (pytestconfig.rootpath / "tillhook.toml").read_text()
    other = '[other]\nplugins = ["issuer", "tax", "sandbox", "receipts", "bad"]\npayment.gateway = "sandbox"\n'
    (folder / "tillhook.toml").write_text(f"{shipped}\n{other}")
    Installer(tmp_path)("acme-bad", source, entry="bad", version="0.3")

    said = said_on_the_command_line(folder, tmp_path, "plugins")
    where = "store type other: " if case in AT_START else ""
    assert f"tillhook: plugin 'bad' (acme-bad 0.3) is quarantined: {where}{says}" in said.stderr.splitlines()
    listed = [line.split("\t") for line in said.stdout.splitlines()]
    states = {cells[0]: (*cells[1:4], cells[-1]) for cells in listed if len(cells) > 1}
    assert states["bad"] == ("acme-bad", "0.3", "quarantined", "other")
    assert states["demo"] == ("tillhook-demo", "0.1.0", "ready", "demo")
    assert "Traceback" not in said.stdout + said.stderr
    assert said.returncode == 1
