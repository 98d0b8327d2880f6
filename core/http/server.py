"""The HTTP server as a whole: routes, middleware, error answers, API document, start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import ControllerRouterHandler, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from tillhook import __version__
from tillhook.core.http.admission import Admission, require_roles
from tillhook.core.http.auth import Offer, Verifier
from tillhook.core.http.documentation import openapi_config, openapi_document
from tillhook.core.http.edge import Edge
from tillhook.core.http.limits import RateLimit
from tillhook.core.http.operations import Check, operation_routes
from tillhook.core.http.problems import ANSWERS
from tillhook.core.http.reading import StrictRequest
from tillhook.core.http.work import Workers
from tillhook.core.services.platform import Platform


def build(
    platform: Platform,
    *,
    controllers: Sequence[ControllerRouterHandler],
    on_startup: Sequence[Callable[[], None]] = (),
    on_shutdown: Sequence[Callable[[], None]] = (),
    checks: Mapping[str, Check] | None = None,
    before_metrics: Callable[[], None] = lambda: None,
) -> Server:
    """The server around ``controllers``.

    ``on_startup`` is called in order before the first request, ``on_shutdown`` after the last; both may block.
    ``checks`` are the parts that ``/ready`` looks at; ``before_metrics`` brings gauges up to date for ``/metrics``.
    Raises RolesMissing for a route that does not declare who may use it.
    """
    system = platform.system
    workers = Workers(system.server.threads)
    verifier = Verifier(lambda: offers(platform), platform.clock)

    @asynccontextmanager
    async def life(_: Litestar) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(workers.open())
        try:
            await workers.run(verifier.look)
            for begin in on_startup:
                await workers.run(begin)
            yield
        finally:
            try:
                for end in on_shutdown:
                    await workers.run(end)
            finally:
                workers.close()

    documents = [openapi_document] if system.server.docs else []
    return Server(
        route_handlers=[*controllers, *operation_routes(workers, checks or {}, before_metrics), *documents],
        middleware=[Admission(verifier, workers)],
        exception_handlers=ANSWERS,
        request_class=StrictRequest,
        request_max_body_size=system.limits.body_bytes,
        openapi_config=openapi_config(__version__) if system.server.docs else None,
        logging_config=None,
        debug=False,
        state=State({"platform": platform, "workers": workers, "verifier": verifier}),
        lifespan=[life],
        verifier=verifier,
        rate=RateLimit(system.limits.requests_per_minute, system.limits.burst),
        new_id=platform.new_id,
    )


class Server(Litestar):
    """Litestar inside the edge: what no route answers passes it too."""

    def __init__(self, *, verifier: Verifier, rate: RateLimit, new_id: Callable[[str], str], **settings: Any) -> None:
        super().__init__(**settings)
        require_roles(self)
        self.edge = Edge(super().__call__, verifier=verifier, rate=rate, new_id=new_id)

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        if scope["type"] == ScopeType.HTTP:
            await self.edge(scope, receive, send)  # type: ignore[arg-type]
        else:
            await super().__call__(scope, receive, send)


def offers(platform: Platform) -> Iterable[Offer]:
    """The identity providers of every shop."""
    for shop in platform.host.shops():
        for provider in shop.identity_providers:
            yield Offer(provider, shop.outside(shop.owner(provider)))
