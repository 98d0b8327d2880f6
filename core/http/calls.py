"""What a handler of the journey needs of its request: the platform, the caller, and the key that makes it once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter
from msgspec import Struct

from tillhook.core.roles.offers import Principal
from tillhook.core.roles.people import DEVICE, GUEST, OPERATOR, SHOPPER, STAFF
from tillhook.core.services.platform import Platform
from tillhook.core.services.wire import Reply
from tillhook.core.storage.idempotency import Once

P = ParamSpec("P")
T = TypeVar("T")

Call = Request[Principal, Any, State]

BUYERS: Final = frozenset({SHOPPER, GUEST, STAFF, DEVICE, OPERATOR})
"""Whoever may fill a basket and pay for it; whose basket and which store is decided with the thing in hand."""

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=200,
        min_length=1,
        required=False,
        description="The same key with the same request has its effect once; the answer is repeated.",
    ),
]


async def work(
    request: Call, service: Callable[Concatenate[Platform, Principal, P], T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run one conversation with the caller in a worker thread."""
    state = request.app.state
    found: T = await state.workers.run(service, state.platform, request.user, *args, **kwargs)
    return found


def once_of(request: Call, key: str | None, content: Struct | None) -> Once | None:
    """The request's idempotency key, bound to caller, route and content."""
    if key is None:
        return None
    who: Principal = request.user
    body = b"" if content is None else msgspec.json.encode(content)
    mark = hashlib.sha256(request.scope["path"].encode() + b"\0" + request.scope["query_string"] + b"\0" + body)
    caller = hashlib.sha256(f"{who.issuer}\0{who.subject}\0{request.method}".encode())
    return Once(caller.hexdigest(), key, mark.hexdigest())


def send(reply: Reply) -> Response[bytes]:
    """A stored answer, byte for byte; a repeated one says so."""
    headers = {"Idempotency-Replayed": "true"} if reply.replayed else None
    return Response(reply.body, status_code=reply.status, media_type=MediaType.JSON, headers=headers)


def show(view: Struct | tuple[Struct, ...]) -> Response[bytes]:
    return Response(msgspec.json.encode(view), media_type=MediaType.JSON)


def answers(view: type[Struct], description: str, status: int = 200) -> dict[int, ResponseSpec]:
    """The success answer as the API document shows it."""
    return {status: ResponseSpec(view, description=description, generate_examples=False)}
