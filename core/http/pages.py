"""Plugins' pages for staff: the list of them at ``/pages/``, each at ``/pages/<plugin>/stores/{store_id}<path>``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any, Final
from urllib.parse import quote

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from tillhook.core.domain.page import Block, PageFigures, PageLink, PageTable, PageText
from tillhook.core.domain.store import Store
from tillhook.core.http.calls import Call, work
from tillhook.core.http.guests import Mount, mounts
from tillhook.core.http.look import html
from tillhook.core.http.parameters import read_query
from tillhook.core.http.signing_in import SIGNING_IN
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.people import ROLES
from tillhook.core.roles.rooms import PluginPage
from tillhook.core.services import visiting
from tillhook.core.services.platform import Platform

AT_ONCE: Final = 100
"""So many stores are listed on one page."""

_KINDS: Final = {PageText: "text", PageFigures: "figures", PageTable: "table", PageLink: "link"}


class _Link(Struct, frozen=True):
    text: str
    href: str
    plugin: str
    here: bool = False


class _Listed(Struct, frozen=True):
    store_id: str
    name: str
    links: tuple[_Link, ...]


def page_routes(shops: Iterable[Shop]) -> list[HTTPRouteHandler]:
    """The list, signing in, and the handlers of all pages of plugins."""
    return [list_pages, *SIGNING_IN, *(_handler(mount) for mount in mounts(shops, visiting.PAGES))]


def root_of(plugin: str, store: Store) -> str:
    """Where the pages of a plugin for a store are; their own paths come behind it."""
    return f"/pages/{plugin}/stores/{quote(store.store_id, safe='')}"


@get("/pages", opt={"roles": ROLES}, include_in_schema=False)
async def list_pages(request: Call, after: Annotated[str, QueryParameter(max_length=200)] = "") -> Response[Any]:
    """The pages of the stores that the caller may see."""
    return await work(request, _list, after)


def _list(platform: Platform, who: Principal, after: str) -> Response[Any]:
    """The list, drawn in a worker thread: the event loop has others to serve."""
    shown = islice(visiting.pages_for(platform, who, after), AT_ONCE + 1)  # one more, to see whether there are more
    found = [_Listed(one.store.store_id, one.store.name, _links(one.store, one.pages)) for one in shown]
    more = found[AT_ONCE - 1].store_id if len(found) > AT_ONCE else ""
    return html("list.html", subject=who.subject, stores=found[:AT_ONCE], more=more, after=after)


def _links(store: Store, pages: Iterable[tuple[str, PluginPage]], here: object = None) -> tuple[_Link, ...]:
    return tuple(_Link(page.title, root_of(name, store) + page.path, name, page is here) for name, page in pages)


def _handler(mount: Mount) -> HTTPRouteHandler:
    async def page_of_plugin(request: Call, store_id: FromPath[str]) -> Response[Any]:
        parts = mount.parts(request.path_params)
        return await work(request, _page, mount, store_id, parts, request.scope["query_string"])

    return get(mount.template("/pages"), opt={"roles": mount.roles}, include_in_schema=False)(page_of_plugin)


def _page(
    platform: Platform, who: Principal, mount: Mount, store_id: str, parts: tuple[str, ...], query: bytes
) -> Response[Any]:
    """One page, asked for and drawn in a worker thread."""
    visit = visiting.enter(platform, who, store_id, hook=visiting.PAGES, plugin=mount.plugin, address=mount.address)
    kind = visit.thing.query
    page = visiting.drawn(
        visit, visiting.ask(platform, visit, parts=parts, query=None if kind is None else read_query(query, kind))
    )
    siblings = [one for one in visiting.pages_in(platform, who, visit.store) if one[0] == mount.plugin]
    return html(
        "page.html",
        subject=who.subject,
        page=page,
        blocks=[_with_kind(block) for block in page.blocks],
        store=visit.store,
        plugin=mount.plugin,
        root=root_of(mount.plugin, visit.store),
        tabs=_links(visit.store, siblings, visit.thing),
    )


def _with_kind(block: Block) -> tuple[str, Block]:
    return _KINDS[type(block)], block
