"""Who may pass to which route: nobody, unless the route says who."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from tillhook.core.domain.problems import forbidden, unauthenticated
from tillhook.core.http.auth import PUBLIC, Verifier
from tillhook.core.http.work import Workers
from tillhook.core.roles.offers import Principal
from tillhook.core.roles.people import ROLES

ROLES_KEY: Final = "roles"


class RolesMissing(Exception):
    """A route does not say who may use it, or names a role that does not exist: the server does not start."""


class Admission(ASGIMiddleware):
    """Verifies the caller and compares roles; runs after the route was found, before anything of it is read.

    The edge has taken the token from the request and recognised callers whose token was verified a moment ago.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, verifier: Verifier, workers: Workers) -> None:
        self._verifier = verifier
        self._workers = workers

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Raises ``unauthenticated``, ``forbidden``, ``not_ready``."""
        roles: frozenset[str] = scope["route_handler"].opt[ROLES_KEY]
        if roles != PUBLIC:
            who = await self._who(scope)
            if roles.isdisjoint(who.roles):
                raise forbidden(f"This needs one of the roles {', '.join(sorted(roles))}.", roles=sorted(roles))
            scope["user"] = scope["auth"] = who
        await next_app(scope, receive, send)

    async def _who(self, scope: Scope) -> Principal:
        state: dict[str, Any] = scope["state"]
        who: Principal | None = state.get("who")
        if who is None:
            token = state.get("bearer")
            if token is None:
                raise unauthenticated("Send a bearer token in the header Authorization.")
            who = state["who"] = await self._workers.run(self._verifier.verify, token)
        return who


def function_of(handler: HTTPRouteHandler) -> Callable[..., Any]:
    """The function that a handler was made of (Litestar wraps those that run in threads, sometimes twice)."""
    function: Any = handler.fn
    while not hasattr(function, "__name__"):
        function = function.func
    found: Callable[..., Any] = function
    return found


def _answers_options(handler: HTTPRouteHandler) -> bool:
    """Litestar's own answer to OPTIONS: it says which methods there are, to anybody."""
    return function_of(handler).__module__ == HTTPRoute.__module__


def handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Every (method, path template, handler) of the app, without Litestar's own answers to OPTIONS."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            raise RolesMissing(f"{route.path} is no HTTP route; nothing here checks who may use it.")
        for method, (handler, _) in sorted(route.route_handler_map.items()):
            if not _answers_options(handler):
                yield str(method), route.path_format, handler


def require_roles(app: Litestar) -> None:
    """Raises RolesMissing naming the first route without a non-empty set of known roles."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, _ in route.route_handler_map.values():
                if _answers_options(handler):
                    handler.opt[ROLES_KEY] = PUBLIC
    for method, path, handler in handlers(app):
        roles = handler.opt.get(ROLES_KEY)
        if not isinstance(roles, frozenset) or not roles:
            raise RolesMissing(
                f'{method} {path} declares no roles: give its handler opt={{"roles": frozenset({{…}})}}.'
            )
        unknown = roles - ROLES
        if unknown and roles != PUBLIC:
            raise RolesMissing(f"{method} {path} declares unknown roles: {', '.join(sorted(unknown))}.")
