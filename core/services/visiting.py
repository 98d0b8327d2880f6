"""Calling on a plugin in a room of its own: its routes and its pages. The store decides which plugin answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import msgspec
import structlog
from msgspec import Struct

from tillhook.core.domain.page import Page, PageLink, PageTable
from tillhook.core.domain.problems import Problem, forbidden, not_found, plugin_failed
from tillhook.core.domain.store import Store
from tillhook.core.plugins.addresses import part_names, shape
from tillhook.core.plugins.guard import said_of
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.rooms import Errand, PluginPage, PluginRoute
from tillhook.core.services.access import may_act_in
from tillhook.core.services.platform import Platform
from tillhook.core.storage.stores import all_stores

ROUTES: Final = "routes"
PAGES: Final = "pages"
LONGEST_PAGE: Final = 250_000
"""Bytes of a page as JSON: what a plugin's table grows to must not keep the server busy drawing it."""

_VALUE: Final = re.compile(r"^(Invalid (?:enum )?value) .*?(?= - at `|$)", re.DOTALL)

log = structlog.get_logger("tillhook.plugins")


class Visit(Struct, frozen=True):
    """A caller who may be in a store, before a route or page of one of the store's plugins."""

    store: Store
    shop: Shop
    who: Principal
    plugin: str
    thing: PluginRoute | PluginPage

    @property
    def hook(self) -> str:
        return ROUTES if isinstance(self.thing, PluginRoute) else PAGES

    @property
    def place(self) -> str:
        """Which one of the plugin's routes or pages: ``GET /members/{member}``."""
        return address_of(self.thing)


class Shown(Struct, frozen=True):
    """The pages of one store that a caller may see: (plugin, page) in the order of the store's plugins."""

    store: Store
    pages: tuple[tuple[str, PluginPage], ...]


def method_of(thing: PluginRoute | PluginPage) -> str:
    return thing.method if isinstance(thing, PluginRoute) else "GET"


def address_of(thing: PluginRoute | PluginPage) -> str:
    return f"{method_of(thing)} {thing.path}"


def enter(platform: Platform, who: Principal, store_id: str, *, hook: str, plugin: str, address: str) -> Visit:
    """The route or page (``hook`` says which) that a plugin has at this store, at an address such as
    ``GET /members/{}``.

    Raises as ``Platform.open_store`` and ``may_act_in``; ``not_found`` when the store has none there, ``forbidden``
    when it is for other roles.
    """
    store, shop = platform.open_store(store_id)
    may_act_in(store, who, shop)
    for offered in shop.offers(hook):
        if offered.plugin == plugin and f"{method_of(offered.thing)} {shape(offered.thing.path)}" == address:
            visit = Visit(store, shop, who, plugin, offered.thing)
            _check_roles(visit)
            return visit
    if plugin not in shop.plugins:
        raise not_found(f"The plugin {plugin} is not switched on for store {store_id}.", store_id=store_id)
    raise not_found(f"The plugin {plugin} has no {address} at store {store_id}.", store_id=store_id)


def _check_roles(visit: Visit) -> None:
    """Elsewhere the same address may be for other roles; what this store's plugin says counts here."""
    roles = visit.thing.roles
    if roles.isdisjoint(visit.who.roles):
        raise forbidden(f"This needs one of the roles {', '.join(sorted(roles))}.", roles=sorted(roles))


def ask(platform: Platform, visit: Visit, *, parts: Sequence[str] = (), query: Any = None, body: Any = None) -> Any:
    """What the plugin answers; ``parts`` are the parts of the address in the order of the path.

    Raises the plugin's own Problem; ``plugin_failed`` naming plugin and address for anything else that it raises, and
    when it is cut after ``hooks.route_seconds``.
    """
    errand = Errand(
        store=visit.store,
        outside=visit.shop.outside(visit.plugin),
        now=platform.clock(),
        who=visit.who,
        path=_named(visit, parts),
        query=query,
        body=body,
    )
    try:
        return visit.shop.use(visit.thing, "handler", errand, seconds=platform.system.hooks.route_seconds)
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, that plugin failed and nothing else
        fail(visit, said_of(error) or f"raised {type(error).__name__}", error)


def _named(visit: Visit, parts: Sequence[str]) -> Mapping[str, str]:
    return dict(zip(part_names(visit.thing.path), parts, strict=True))


def written(visit: Visit, route: PluginRoute, value: Any) -> bytes | None:
    """A route's answer as JSON, of the type that it declares and with nothing beyond; None: it declares no body.

    Raises ``plugin_failed`` for an answer of another type: who calls relies on what the API document says.
    """
    if route.answer is None:
        if value is not None:
            fail(visit, f"answered {type(value).__name__}, but declares no answer")
        return None
    try:
        # Read back as the declared type: a Struct does not check its own fields, and a broader one would say more.
        return msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(value), type=route.answer))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        fail(visit, f"answered {type(value).__name__}, which is not what it declares: {_fault_of(error)}", error)


def _fault_of(error: Exception) -> str:
    """What msgspec has against an answer, without the value itself and without words of the plugin's own types."""
    if error.__cause__ is not None or not isinstance(error, msgspec.MsgspecError | TypeError):
        return type(error).__name__
    return _VALUE.sub(r"\1", str(error))


def drawn(visit: Visit, value: Any) -> Page:
    """A page as the plugin means it. Raises ``plugin_failed`` for what is no page, or longer than can be drawn."""
    if not isinstance(value, Page):
        fail(visit, f"answered {type(value).__name__} in place of a Page")
    try:
        encoded = msgspec.json.encode(value)
        page = msgspec.json.decode(encoded, type=Page)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        fail(visit, f"answered a Page with something in it that is none: {_fault_of(error)}", error)
    if len(encoded) > LONGEST_PAGE:
        fail(visit, f"answered a Page of {len(encoded)} bytes, more than {LONGEST_PAGE}: show a part of it")
    for block in page.blocks:
        if isinstance(block, PageTable) and any(len(row) != len(block.headers) for row in block.rows):
            fail(visit, f"answered a table with {len(block.headers)} headers and a row of another length")
        if isinstance(block, PageLink) and not _stays(block.path):
            fail(visit, f"answered a link to {block.path!r}: links begin with '/' and stay with the plugin")
    return page


def _stays(path: str) -> bool:
    """Whether a link, put behind the address of the plugin's pages, leads to one of them."""
    segments = unquote(path.partition("?")[0]).split("/")  # for a browser "%2e%2e" is ".." as well
    return path.startswith("/") and not {".", ".."}.intersection(segments)


def fail(visit: Visit, reason: str, cause: BaseException | None = None) -> NoReturn:
    """Name the culprit, in the log and to the caller."""
    version = visit.shop.version(visit.plugin)
    facts = {"plugin": visit.plugin, "version": version, "hook": visit.hook, "route": visit.place}
    log.error("plugin_failed", **facts, store_type=visit.shop.store_type, reason=reason, exc_info=cause)
    raise plugin_failed(f"plugin {visit.plugin} {version} {reason} in {visit.hook}: {visit.place}", **facts) from cause


def pages_for(platform: Platform, who: Principal, after: str = "") -> Iterator[Shown]:
    """The stores in which the caller may see pages, by id, those behind ``after`` only."""
    stores = sorted(platform.db.read(all_stores), key=lambda store: store.store_id)
    for store in stores:
        if store.active and store.store_id > after and (pages := pages_in(platform, who, store)):
            yield Shown(store, pages)


def pages_in(platform: Platform, who: Principal, store: Store) -> tuple[tuple[str, PluginPage], ...]:
    """The pages of a store that the caller may see and that need no part of an address."""
    try:
        shop = platform.host.shop(store)
        may_act_in(store, who, shop)
    except Problem:  # not this caller's, or out of service: nothing to show here
        return ()
    return tuple(
        (offered.plugin, offered.thing)
        for offered in shop.offers(PAGES)
        if not offered.thing.roles.isdisjoint(who.roles) and not part_names(offered.thing.path)
    )
