"""Signing in with a browser: a person pastes a bearer token, and the browser keeps it in a cookie for the pages."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import QueryParameter
from litestar.types import Scope

from tillhook.core.domain.problems import Problem, forbidden, malformed_body, unauthenticated
from tillhook.core.http.auth import PUBLIC, Caller, Verifier
from tillhook.core.http.cookies import LONGEST, PAGES, signed_in, signed_out
from tillhook.core.http.look import FORM_POLICY, html

SIGN_IN: Final = "/pages/sign-in"
SIGN_OUT: Final = "/pages/sign-out"
LONGEST_SECONDS: Final = 400 * 24 * 3600
"""Browsers keep no cookie longer."""

_ADDRESS: Final = re.compile(r"/pages/[A-Za-z0-9._~/%{}?=&+:,@!$'()*;-]*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_FORM_HEADERS: Final = {
    "Content-Security-Policy": FORM_POLICY,
    # With "no-referrer" a browser would send our own form with "Origin: null".
    "Referrer-Policy": "same-origin",
}

_Anybody = Request[Any, Any, State]


def sign_in_address(scope: Scope) -> str:
    """Where somebody without a valid token is sent, to come back to the page of this request."""
    query = scope["query_string"].decode("latin-1")
    asked = quote(scope["path"], safe="/") + (f"?{query}" if query else "")
    return f"{SIGN_IN}?next={quote(local(asked), safe='')}"


def local(address: str) -> str:
    """The address if it is one of a page here, else that of the list: whoever made a link decides nothing more."""
    segments = unquote(urlsplit(address).path).split("/") if _ADDRESS.fullmatch(address) else [".."]
    return PAGES if {".", ".."}.intersection(segments) else address


@get(SIGN_IN, opt={"roles": PUBLIC}, include_in_schema=False)
async def show_sign_in(next_: Annotated[str, QueryParameter(name="next", max_length=4000)] = PAGES) -> Response[Any]:
    """The form."""
    return _form_page(local(next_))


@post(SIGN_IN, opt={"roles": PUBLIC}, status_code=303, include_in_schema=False)
async def sign_in(request: _Anybody) -> Response[Any]:
    """Keep the token that was pasted, if it is valid, and go on to the page that was asked for."""
    _check_origin(request)
    form = await _form_of(request)
    back, token = local(form.get("next", "")), form.get("token", "").strip().removeprefix("Bearer ").strip()
    state = request.app.state
    try:
        caller = await state.workers.run(_caller_of, state.verifier, token)
    except Problem as problem:
        if problem.kind is not unauthenticated:
            raise
        return _form_page(back, problem.detail, status=422)
    left = float(caller.claims["exp"]) - state.platform.clock().timestamp()
    seconds = int(min(max(left, 1), LONGEST_SECONDS))
    return _go(back, signed_in(request.scope, token, seconds))


@get(SIGN_OUT, opt={"roles": PUBLIC}, include_in_schema=False)
async def show_sign_out() -> Response[Any]:
    """The form: a link alone must not sign anybody out."""
    return html("sign_out.html", headers=_FORM_HEADERS)


@post(SIGN_OUT, opt={"roles": PUBLIC}, status_code=303, include_in_schema=False)
async def sign_out(request: _Anybody) -> Response[Any]:
    """Have the browser forget the token."""
    _check_origin(request)
    return _go(SIGN_IN, signed_out(request.scope))


SIGNING_IN: Final = (show_sign_in, sign_in, show_sign_out, sign_out)


def _caller_of(verifier: Verifier, token: str) -> Caller:
    if not _TOKEN.fullmatch(token):
        raise unauthenticated("That is no token: it has three parts of letters, digits, '-' and '_', between dots.")
    if len(token) > LONGEST:
        raise unauthenticated(
            f"That token is longer than the {LONGEST} characters that a browser keeps; get a shorter."
        )
    return verifier.verify(token.encode())


def _form_page(back: str, problem: str = "", status: int = 200) -> Response[Any]:
    return html("sign_in.html", status=status, headers=_FORM_HEADERS, next=back, problem=problem)


async def _form_of(request: _Anybody) -> dict[str, str]:
    """The fields of the form, each once. Raises ``malformed_body``, or as any body that is too large."""
    raw = await request.body()
    try:
        fields = parse_qs(raw.decode("ascii"), max_num_fields=10, errors="strict")
    except ValueError as error:
        raise malformed_body("The form cannot be read; open it again and send it from there.") from error
    return {name: values[-1] for name, values in fields.items()}


def _check_origin(request: _Anybody) -> None:
    """Raises ``forbidden`` when a browser says that another site sent the form."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = site is not None and site not in {"same-origin", "none"}
    if foreign or (origin is not None and origin.partition("://")[2] != request.headers.get("host")):
        raise forbidden(f"This form was sent by another site; open {request.scope['path']} and send it from there.")


def _go(address: str, cookie: str) -> Response[Any]:
    return Response(b"", status_code=303, headers={"Location": address, "Set-Cookie": cookie})
