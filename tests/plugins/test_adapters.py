"""Plugins made for version 1 of the hooks are still served; what cannot be translated says so in one line."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Struct

from tests.plugins.guests import STORE, Installer, Lent, Till, configured, found
from tillhook import Errand, Plugin
from tillhook.core.plugins.adapters import ADAPTERS, NotUnderstood, adapted
from tillhook.core.plugins.discovery import Found, discover
from tillhook.core.plugins.host import Host
from tillhook.core.plugins.inspection import hooks_of
from tillhook.core.plugins.offers import Offered
from tillhook.core.roles.grammar import HOOKSPEC_VERSION

MADE_FOR_1 = '''"""A plugin as one wrote it when the hooks were of version 1."""

from tillhook import Fulfilled, Plugin, PluginRoute, Schedule, hookimpl

ran = []


class Guest(Plugin):
    hookspec_version = 1

    def ask(self, request, store):
        return {"asked": request, "store": None if store is None else store.store_id}

    @hookimpl
    def routes(self):
        return [
            PluginRoute("GET", "/members/{member}", frozenset({"staff"}), self.ask),
            PluginRoute("POST", "/members", frozenset({"staff"}), self.ask),
        ]

    @hookimpl
    def schedules(self):
        return (Schedule("tidy", 60, ran.append),)

    @hookimpl
    def transaction_id_for(self, number):
        return f"one-{number}"

    @hookimpl
    def fulfil_order(self, order, outside):
        return Fulfilled("F-1")
'''


class Filter(Struct, frozen=True):
    tier: str


def errand(**more: Any) -> Errand:
    return Errand(store=STORE, outside=Lent("one", "demo"), now=datetime(2026, 3, 14, tzinfo=UTC), **more)


def installed(install: Installer, source: str = MADE_FOR_1) -> tuple[Found, Host]:
    install("acme-one", source, entry="one", version="0.9")
    plugins = {one.name: one for one in discover({"one"}, {})}
    tables = {"demo": {"plugins": ["till", "one"]}}
    return plugins["one"], Host(configured(tables), [plugins["one"], found("till", Till)], Lent)


def offered(host: Host, hook: str) -> list[Any]:
    offers: tuple[Offered, ...] = host.shop(STORE).offers(hook)
    return [one.thing for one in offers if one.plugin == "one"]


def test_a_plugin_of_version_1_is_served_and_the_report_says_its_version(install: Installer) -> None:
    one, host = installed(install)

    assert (one.hookspec_version, one.reason) == (1, "")
    assert host.shop(STORE).ask("transaction_id_for", order=None, number=7, store=STORE) == "one-7"
    assert host.shop(STORE).perform("one", "fulfil_order", order=None, store=STORE).reference == "F-1"
    report = {line.name: line for line in host.report()}
    assert (report["one"].hookspec_version, report["till"].hookspec_version) == (1, None)
    assert report["one"].hooks == ("routes", "schedules", "transaction_id_for", "fulfil_order")


def test_the_handler_of_a_route_of_version_1_is_given_a_request_and_the_store(install: Installer) -> None:
    _, host = installed(install)
    read, write = offered(host, "routes")

    answer = read.handler(errand(path={"member": "m7"}, query=Filter("gold")))
    assert answer == {"asked": {"path": {"member": "m7"}, "query": {"tier": "gold"}, "body": None}, "store": "s1"}
    answer = write.handler(errand(body={"name": "Ada"}))
    assert answer["asked"] == {"path": {}, "query": {}, "body": {"name": "Ada"}}


def test_a_route_of_version_1_answers_anything_and_takes_a_body_where_its_method_has_one(install: Installer) -> None:
    _, host = installed(install)
    read, write = offered(host, "routes")

    assert (read.method, read.path, read.roles) == ("GET", "/members/{member}", frozenset({"staff"}))
    assert (read.answer, read.body) == (Any, None)
    assert (write.answer, write.body) == (Any, Any)


def test_the_work_of_a_schedule_of_version_1_is_given_the_outside(install: Installer) -> None:
    one, host = installed(install)
    (schedule,) = offered(host, "schedules")
    at = errand()

    schedule.run(at)

    assert one.plugin_class is not None
    ran: list[Any] = __import__(one.plugin_class.__module__).ran
    assert ran == [at.outside]
    assert (schedule.name, schedule.seconds) == ("tidy", 60)


def test_a_plugin_of_version_1_that_has_pages_is_quarantined_as_html_cannot_be_shown_any_more(
    install: Installer,
) -> None:
    pages = (
        "    @hookimpl\n    def pages(self):\n        return [PluginRoute('GET', '/', frozenset({'staff'}), print)]\n"
    )
    one, host = installed(install, f"{MADE_FOR_1}\n{pages}")

    assert one.plugin_class is None
    assert one.reason == (
        "hook pages: a page of version 1 answers HTML and cannot be shown any more: offer tillhook.PluginPage and "
        "declare hookspec_version = 2 (guest_acme_one.py:33)"
    )
    assert [fault.plugin for fault in host.problems()] == ["one"]


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (
            3,
            (
                "made for hooks of version 3, these are version 2 (1 is understood too): "
                "update tillhook, or install an older acme-odd"
            ),
        ),
        (0, "made for hooks of version 0, these are version 2 (1 is understood too): update acme-odd"),
        (-1, "made for hooks of version -1, these are version 2 (1 is understood too): update acme-odd"),
        ("2", "its hookspec_version must be a whole number such as 2, it is '2'"),
        (2.0, "its hookspec_version must be a whole number such as 2, it is 2.0"),
        (None, "its hookspec_version must be a whole number such as 2, it is None"),
        (True, "its hookspec_version must be a whole number such as 2, it is True"),
    ],
)
def test_a_version_that_there_is_no_way_from_is_refused_with_what_to_do(declared: Any, says: str) -> None:
    class Odd(Plugin):
        hookspec_version = declared

    with pytest.raises(NotUnderstood) as refused:
        adapted(Odd, "acme-odd")
    said, _, where = str(refused.value).rpartition(" (")
    assert said == says
    assert where.startswith("tests/plugins/test_adapters.py:")


def test_a_plugin_of_the_present_version_is_taken_as_it_is() -> None:
    assert adapted(Till, "acme-till") is Till


def test_a_translated_class_keeps_its_name_its_settings_and_its_hooks(install: Installer) -> None:
    one, _ = installed(install)
    assert one.plugin_class is not None
    original = one.plugin_class.__mro__[1]

    assert one.plugin_class is not original
    assert (one.plugin_class.__name__, one.plugin_class.__module__) == ("Guest", "guest_acme_one")
    assert one.plugin_class.Settings is original.Settings  # type: ignore[attr-defined]
    assert hooks_of(one.plugin_class) == hooks_of(original)


def test_there_is_a_way_from_every_version_that_is_understood() -> None:
    assert sorted(ADAPTERS) == list(range(min(ADAPTERS), HOOKSPEC_VERSION))


def test_what_a_version_1_hook_wrongly_offers_is_found_as_anywhere_else(install: Installer) -> None:
    wrong = MADE_FOR_1.replace('(Schedule("tidy", 60, ran.append),)', "('every minute',)")
    _, host = installed(install, wrong)

    (fault,) = host.problems()
    assert fault.reason == "hook schedules: str is no Schedule: it lacks name, run, seconds (guest_acme_one.py:21)"
