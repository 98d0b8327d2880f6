"""Every error answer: ``application/problem+json`` (RFC 9457) with our stable ``code`` and the request's id."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException, LitestarException, MethodNotAllowedException, ValidationException
from msgspec import Struct

from tillhook.core.domain.problems import (
    Problem,
    body_too_large,
    forbidden,
    internal_error,
    malformed_body,
    malformed_request,
    method_not_allowed,
    not_found,
    not_ready,
    too_many_requests,
    unauthenticated,
    unsupported_media_type,
)
from tillhook.core.http.cookies import in_pages
from tillhook.core.http.look import html
from tillhook.core.http.reading import plain
from tillhook.core.http.request_ids import REQUEST_ID, request_id_of
from tillhook.core.http.signing_in import sign_in_address

PROBLEM_JSON: Final = "application/problem+json"
REFERENCE: Final = "/docs/errors"
"""Where the meaning of every code is explained; a problem's ``type`` points into it."""
METHODS: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")
RETRY_SECONDS: Final = 5
"""What ``Retry-After`` says when nobody knows better."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("tillhook.http")


class ProblemBody(Struct):
    """What went wrong, with which thing, and what to do. Some codes add members of their own."""

    type: str
    """The entry of the error reference."""
    title: str
    status: int
    detail: str
    instance: str
    code: str
    """Stable; decide by this one."""
    request_id: str
    """Quote it when reporting a defect."""


def encode(problem: Problem, *, instance: str, request_id: str) -> bytes:
    """The body of an error answer. Facts cannot displace the standard members."""
    kind = problem.kind
    body: dict[str, Any] = {
        "type": f"{REFERENCE}#{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "instance": instance,
        "code": kind.code,
        "request_id": request_id,
    }
    return msgspec.json.encode({**body, **{k: v for k, v in problem.facts.items() if k not in body}}, enc_hook=str)


def headers_of(problem: Problem, *, token_sent: bool = False) -> dict[str, str]:
    """``Retry-After`` for what passes by itself, ``WWW-Authenticate`` for who is not known (RFC 6750)."""
    headers = {}
    status = problem.kind.status
    seconds = problem.facts.get("retry_after", RETRY_SECONDS if status in (429, 503) else None)
    if isinstance(seconds, (int, float)) and math.isfinite(seconds):  # plugins give facts, too
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if token_sent else "Bearer"
    return headers


def answer(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    """The answer to a request that met a problem."""
    if problem.kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("problem", code=problem.code, detail=problem.detail)
    return _response(request, problem)


def answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What Litestar itself refuses, in our words."""
    if error.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer_defect(request, error)
    response = _response(request, _in_our_words(request, error))
    if isinstance(error, MethodNotAllowedException):
        response.headers["Allow"] = ", ".join(_allowed_methods(request))
    return response


def answer_defect(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Anything unforeseen: the log has it whole, the answer only the request's id to find it by."""
    log.error("internal_error", exc_info=error)
    return _response(request, defect(request_id_of(request.scope)))


def defect(request_id: str) -> Problem:
    return internal_error(f"This is a defect on our side. Report it with the request id {request_id}.")


ANSWERS: Final[Mapping[int | type[Exception], Callable[..., Response[Any]]]] = {
    Problem: answer,
    HTTPException: answer_http_exception,
    LitestarException: answer_defect,
    Exception: answer_defect,
}


def _response(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    request_id = request_id_of(request.scope)
    if in_pages(request.scope):
        return _for_a_person(request, problem, request_id)
    return Response(
        encode(problem, instance=request.scope["path"], request_id=request_id),
        status_code=problem.kind.status,
        media_type=PROBLEM_JSON,
        headers={**headers_of(problem, token_sent="bearer" in request.scope["state"]), REQUEST_ID: request_id},
    )


def _for_a_person(request: Request[Any, Any, Any], problem: Problem, request_id: str) -> Response[Any]:
    """The same as a page. Who is not known is sent to sign in."""
    if problem.kind is unauthenticated:
        return Response(b"", status_code=303, headers={"Location": sign_in_address(request.scope)})
    headers = {**headers_of(problem), REQUEST_ID: request_id}
    return html("problem.html", status=problem.kind.status, headers=headers, problem=problem, request_id=request_id)


def _allowed_methods(request: Request[Any, Any, Any]) -> list[str]:
    """The methods that the address has (RFC 9110 wants them in ``Allow``)."""
    found = []
    for method in METHODS:
        try:
            request.app.asgi_router.handle_routing(request.scope["path"], method)
        except HTTPException:
            continue
        found.append(method)
    return found


def _in_our_words(request: Request[Any, Any, Any], error: HTTPException) -> Problem:
    where = f"{request.scope['method']} {request.scope['path']}"
    match error.status_code:
        case 401:
            return unauthenticated("Send a bearer token in the header Authorization.")
        case 403:
            return forbidden(f"You may not {where}.")
        case 404:
            return not_found(f"There is nothing at {request.scope['path']}; /docs lists what there is.")
        case 405:
            methods = ", ".join(_allowed_methods(request))
            return method_not_allowed(f"{request.scope['path']} takes {methods}, not {request.scope['method']}.")
        case 413:
            limit = request.route_handler.resolve_request_max_body_size()
            return body_too_large(f"The body is larger than the {limit} bytes that are read.", limit=limit)
        case 415:
            return unsupported_media_type(f"{where} reads application/json only.")
        case 429:
            return too_many_requests("Too many requests; wait before the next.")
        case 503:
            return not_ready(error.detail)
        case _:
            return _unreadable(error)


def _unreadable(error: HTTPException) -> Problem:
    """What could not be read: the first field or parameter that is wrong, with what was expected."""
    complaint: Mapping[str, Any] = {}
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        complaint = error.extra[0] if isinstance(error.extra[0], dict) else {}
    key, message = str(complaint.get("key", "")), str(complaint.get("message") or error.detail)
    if key == "data" or key.startswith("data.") or complaint.get("source") == "body":
        return malformed_body("A JSON body is expected, and there is none.")
    if key:
        source = complaint.get("source", ParamType.QUERY).value
        return malformed_request(f"{source} parameter {key}: {plain(message)}.", parameter=key, expected=plain(message))
    return malformed_request(f"{plain(re.split(' for (path|url) ', message, maxsplit=1)[0])}.")
