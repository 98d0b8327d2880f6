"""A plugin with routes and pages of its own, and a system of three store types around it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from tests.http.parts import Clock, Provider
from tests.plugins.guests import hosting
from tillhook import (
    Config,
    Errand,
    IdentityProvider,
    Page,
    PageFigures,
    PageLink,
    PageTable,
    PageText,
    Plugin,
    PluginPage,
    PluginRoute,
    Store,
    hookimpl,
    plugin_refused,
)
from tillhook.core.config.system import HookLimits, Limits, System
from tillhook.core.http.guests import guest_routes
from tillhook.core.http.pages import page_routes
from tillhook.core.http.server import Server, build
from tillhook.core.services.platform import Platform
from tillhook.core.storage.database import Database
from tillhook.core.storage.migrating import upgrade
from tillhook.core.storage.stores import save_store

STAFF = frozenset({"staff", "operator"})
EVERYBODY = STAFF | {"shopper"}


def store(store_id: str, store_type: str, *, active: bool = True, name: str = "") -> Store:
    name = name or f"Shop {store_id}"
    return Store(store_id, store_type, "DK", name, "DKK", "Europe/Copenhagen", "c", "1", active=active)


STORES = (
    store("co_1", "corner"),
    store("co_2", "corner", name="Corner <b>two</b>"),
    store("co_shut", "corner", active=False),
    store("ki_1", "kiosk"),
    store("vi_1", "villa"),
)


class Joining(Config, frozen=True, kw_only=True):
    name: Annotated[str, Meta(max_length=40)]
    born: date | None = None


class Member(Struct, frozen=True):
    """Somebody who joined."""

    member: str
    points: int


class Secretive(Struct, frozen=True):
    member: str
    points: int
    password: str


class Tiered(Struct, frozen=True):
    tier: Literal["gold", "silver"]


class Wanted(Struct, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=50)] = 10
    """How many at most."""
    tag: tuple[str, ...] = ()
    gold: bool = False


class Heard(Struct, frozen=True):
    """What a handler was called with."""

    store: str
    who: str
    now: str
    path: dict[str, str]
    query: Any
    body: Any


class ClubSettings(Config, frozen=True, kw_only=True):
    strict: bool = False


def told(errand: Errand) -> Heard:
    """Say what came in."""
    assert errand.store is not None
    assert errand.who is not None
    return Heard(
        errand.store.store_id, errand.who.subject, errand.now.isoformat(), dict(errand.path), errand.query, errand.body
    )


def refuse(errand: Errand) -> None:
    raise plugin_refused("Nobody leaves the club.", member=errand.path["member"])


def crash(errand: Errand) -> None:
    raise RuntimeError("the password is hunter2")


def leave(errand: Errand) -> None:
    raise SystemExit(3)


class Stuck:
    """Has a handler hang until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, errand: Errand) -> None:
        self.over.wait(5)


STUCK = Stuck()


def member_page(errand: Errand) -> Page:
    member = errand.path.get("member", "")
    return Page(
        f"Member {member}",
        (
            PageText("<script>alert(1)</script>"),
            PageFigures({'"><img src=x onerror=alert(2)>': "<b>12</b>"}),
            PageTable(("<i>Name</i>", "Points"), (("<svg onload=alert(3)>", "7"),), title="<u>All</u>"),
            PageTable(("Name",), (), nothing="Nobody <yet>."),
            PageLink("<em>back</em>", '/members/a"b?x=1&y=<2>'),
        ),
    )


class Club(Plugin):
    Settings = ClubSettings

    @hookimpl
    def routes(self) -> Sequence[PluginRoute]:
        some = frozenset({"operator"}) if self.settings.strict else EVERYBODY
        return (
            PluginRoute("GET", "/members", some, told, answer=Heard, query=Wanted, summary="List members"),
            PluginRoute("POST", "/members", STAFF, told, answer=Heard, body=Joining),
            PluginRoute("GET", "/members/{member}/cards/{card}", EVERYBODY, told, answer=Heard),
            PluginRoute("DELETE", "/members/{who}", STAFF, lambda errand: None),
            PluginRoute("PUT", "/members/{member}", STAFF, refuse, answer=Member, body=Any),
            PluginRoute("GET", "/members/{member}", STAFF, lambda _: Secretive("anna", 7, "hunter2"), answer=Member),
            PluginRoute("GET", "/wrong", STAFF, lambda _: Member("anna", "many"), answer=Member),  # type: ignore[arg-type]
            PluginRoute("GET", "/leaky", STAFF, lambda _: Tiered("hunter2"), answer=Tiered),  # type: ignore[arg-type]
            PluginRoute("GET", "/odd", STAFF, lambda _: object(), answer=Any),
            PluginRoute("GET", "/talkative", STAFF, lambda _: 1),
            PluginRoute("GET", "/crash", STAFF, crash, answer=Any),
            PluginRoute("GET", "/stuck", STAFF, STUCK, answer=Any),
            PluginRoute("GET", "/exit", STAFF, leave, answer=Any),
            PluginRoute("GET", "/", STAFF, lambda _: 1, answer=int),
        )

    @hookimpl
    def pages(self) -> Sequence[PluginPage]:
        return (
            PluginPage("/", "Club", STAFF, lambda _: Page("The club", (PageText("Hello."),))),
            PluginPage("/members/{member}", "Member", STAFF, member_page),
            PluginPage("/boss", "Boss", frozenset({"operator"}), lambda _: Page("For the boss")),
            PluginPage("/wrong", "Wrong", STAFF, lambda _: "<h1>mine</h1>"),  # type: ignore[arg-type,return-value]
            PluginPage("/ragged", "Ragged", STAFF, lambda _: Page("R", (PageTable(("a", "b"), (("1",),)),))),
            PluginPage("/outward", "Outward", STAFF, lambda _: Page("O", (PageLink("x", "javascript:alert(1)"),))),
            PluginPage("/upward", "Upward", STAFF, lambda _: Page("U", (PageLink("x", "/../../orders"),))),
            PluginPage("/disguised", "Up", STAFF, lambda _: Page("U", (PageLink("x", "/a/.%2E/%2e%2e/orders"),))),
            PluginPage("/endless", "Long", STAFF, lambda _: Page("L", (PageTable(("n",), (("1",),) * 50_000),))),
            PluginPage("/crash", "Crash", STAFF, crash),  # type: ignore[arg-type]
        )


class Doorman(Plugin):
    """Vouches for the tokens that the tests make."""

    provider: IdentityProvider

    @hookimpl
    def identity_providers(self) -> Sequence[IdentityProvider]:
        return (self.provider,)


class StoreBound(Provider):
    """Also reads the stores and the customer that a token is for."""

    def principal(self, claims: Any) -> Any:
        found = super().principal(claims)
        stores = claims.get("stores")
        return type(found)(
            found.subject, found.roles, found.issuer, None, None if stores is None else frozenset(stores)
        )


@cache
def _furnished() -> bytes:
    """A database file with the stores: made once, as migrating takes longer than a test."""
    with TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{folder}/http.db", pool_size=2)
        upgrade(db)
        for one in STORES:
            db.write(lambda tx, at=one: save_store(tx, at))  # type: ignore[misc]
        db.close()
        return Path(folder, "http.db").read_bytes()


def platform(
    folder: Path,
    provider: IdentityProvider,
    clock: Clock,
    *,
    club: type[Plugin] = Club,
    seconds: float = 10.0,
    **limits: int,
) -> Platform:
    """Three store types: ``corner`` has the club, ``villa`` has it for operators only, ``kiosk`` has it not."""
    doorman = type("Doorman", (Doorman,), {"provider": provider})
    plugins = ["till", "door"]
    tables = {
        "corner": {"plugins": [*plugins, "club"]},
        "kiosk": {"plugins": plugins},
        "villa": {"plugins": [*plugins, "club"], "club": {"strict": True}} if club is Club else {"plugins": plugins},
    }
    (folder / "http.db").write_bytes(_furnished())
    db = Database(f"sqlite:///{folder}/http.db", pool_size=4)
    numbers = itertools.count(1)
    return Platform(
        db=db,
        host=hosting(tables, {"door": doorman, "club": club}),
        system=System(limits=Limits(**limits), hooks=HookLimits(route_seconds=seconds)),
        clock=clock,
        new_id=lambda prefix: f"{prefix}_{next(numbers):08}",
    )


def serve(running: Platform) -> Server:
    shops = running.host.shops()
    return build(running, controllers=[*guest_routes(shops), *page_routes(shops)])
