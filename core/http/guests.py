"""Plugins' own HTTP routes, mounted at ``/plugins/<plugin>/stores/{store_id}<path>``.

One handler for each (plugin, method, path) that any shop offers; which shop's route answers, the store decides.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from litestar import Response, delete, get, patch, post, put
from litestar.constants import RESERVED_KWARGS
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from tillhook.core.domain.problems import malformed_body
from tillhook.core.http.calls import Call, work
from tillhook.core.http.parameters import read_query
from tillhook.core.http.reading import decode, json_of
from tillhook.core.plugins.addresses import part_names, shape
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.rooms import PluginPage, PluginRoute
from tillhook.core.services import visiting
from tillhook.core.services.platform import Platform

GUEST: Final = "guest"
"""In a handler's ``opt``: its ``Mount``."""

_MOUNTED: Final[Mapping[str, Any]] = {"GET": get, "POST": post, "PUT": put, "PATCH": patch, "DELETE": delete}


class Mount(Struct, frozen=True):
    """One address of a plugin, as the first shop offers it; ``roles`` are those of all shops together."""

    plugin: str
    thing: PluginRoute | PluginPage
    path: str
    """With the names that the parts have in the first path of this shape: an address has one template.

    Names that Litestar keeps for itself have an underscore behind them.
    """
    roles: frozenset[str]

    @property
    def method(self) -> str:
        return visiting.method_of(self.thing)

    @property
    def address(self) -> str:
        return f"{self.method} {shape(self.path)}"

    def parts(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """The parts of a request's address, in the order of the path."""
        return tuple(str(found[name]) for name in part_names(self.path))

    def template(self, root: str) -> str:
        """What Litestar mounts, below ``root``."""
        path = re.sub(r"\{(\w+)\}", r"{\1:str}", self.path)
        return f"{root}/{self.plugin}/stores/{{store_id:str}}{path}"


def mounts(shops: Iterable[Shop], hook: str) -> list[Mount]:
    """Every address that any of ``shops`` offers under ``routes`` or ``pages``, once."""
    found: dict[tuple[str, str], Mount] = {}
    paths: dict[tuple[str, str], str] = {}
    for offered in (one for shop in shops for one in shop.offers(hook)):
        thing: PluginRoute | PluginPage = offered.thing
        form = shape(thing.path)
        path = paths.setdefault((offered.plugin, form), _mountable(thing.path))
        key = (offered.plugin, f"{visiting.method_of(thing)} {form}")
        known = found.get(key)
        if known is None:
            found[key] = Mount(offered.plugin, thing, path, thing.roles)
        else:
            found[key] = Mount(known.plugin, known.thing, path, known.roles | thing.roles)
    return list(found.values())


def _mountable(path: str) -> str:
    names = part_names(path)
    for name in sorted(RESERVED_KWARGS.intersection(names)):
        free = f"{name}_"
        while free in names:
            free += "_"
        path = path.replace(f"{{{name}}}", f"{{{free}}}")
    return path


def guest_routes(shops: Iterable[Shop]) -> list[HTTPRouteHandler]:
    """The handlers of all routes of plugins."""
    return [_handler(mount) for mount in mounts(shops, visiting.ROUTES)]


def _handler(mount: Mount) -> HTTPRouteHandler:
    async def answer_of_plugin(request: Call, store_id: FromPath[str]) -> Response[bytes]:
        parts = mount.parts(request.path_params)
        raw = b"" if mount.method == "GET" else await json_of(request)
        answer = await work(request, _answer, mount, store_id, parts, request.scope["query_string"], raw)
        if answer is None:
            return Response(b"", status_code=204)
        return Response(answer, status_code=200, media_type=MediaType.JSON)

    mounted: HTTPRouteHandler = _MOUNTED[mount.method](
        mount.template("/plugins"),
        opt={"roles": mount.roles, GUEST: mount},
        status_code=200,
        summary=getattr(mount.thing, "summary", "") or f"{mount.method} {mount.path}",
        description=inspect.getdoc(mount.thing.handler) or "",
        include_in_schema=False,  # documentation.py describes it: Litestar sees one and the same function everywhere
    )(answer_of_plugin)
    return mounted


def _answer(
    platform: Platform, who: Principal, mount: Mount, store_id: str, parts: tuple[str, ...], query: bytes, raw: bytes
) -> bytes | None:
    """One call, in a worker thread: what the store's own plugin declares is what is read and answered."""
    visit = visiting.enter(platform, who, store_id, hook=visiting.ROUTES, plugin=mount.plugin, address=mount.address)
    route = visit.thing
    assert isinstance(route, PluginRoute), "the hook `routes` offers nothing else"
    value = visiting.ask(
        platform,
        visit,
        parts=parts,
        query=None if route.query is None else read_query(query, route.query),
        body=None if route.body is None else _body(raw, route.body),
    )
    return visiting.written(visit, route, value)


def _body(raw: bytes, kind: Any) -> Any:
    if not raw:
        raise malformed_body("A JSON body is expected, and there is none.")
    return decode(raw, kind)
