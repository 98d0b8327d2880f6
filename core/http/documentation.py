"""The API's document (OpenAPI 3.1) and the page to try it out. Nothing is loaded from anywhere else."""

from __future__ import annotations

import inspect
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.params import FromPath
from litestar.status_codes import HTTP_404_NOT_FOUND

from tillhook.core.domain.problems import not_found
from tillhook.core.http.admission import function_of, handlers
from tillhook.core.http.auth import PUBLIC
from tillhook.core.http.error_reference import render_html
from tillhook.core.http.guest_document import Described
from tillhook.core.http.guests import GUEST
from tillhook.core.http.problems import PROBLEM_JSON, ProblemBody

TITLE: Final = "tillhook"
DESCRIPTION: Final = """\
Scan-and-go and self-checkout for retail: scan, basket, order, payment, receipt.

Press **Authorize** and paste a bearer token. Then the whole journey can be clicked through: scan item, create order,
create session, add payment, read order, read receipt. `bsk_…`, `ord_…` and `ses_…` in the examples stand for the last
ones that an answer named.

Amounts are integers of the currency's minor unit. A repeated `POST` with the same `Idempotency-Key` has its effect
once. Errors are `application/problem+json` with a stable `code`: see [the error reference](/docs/errors).
"""
TAGS: Final = (
    Tag("Basket", "Scan into a basket, read and change it."),
    Tag("Order", "Order a basket; read an order, its timeline and its receipt."),
    Tag("Payment", "Pay an order."),
    Tag("Operations", "For whoever runs the server."),
)
ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
STAND_INS: Final = {"basket_id": "bsk_…", "order_id": "ord_…", "session_id": "ses_…"}
"""Examples of ids: in their place the page sends the last ones that an answer named."""
_START: Final = (
    b"const standIns = "
    + msgspec.json.encode(STAND_INS)
    + b""";
const last = {};
window.ui = SwaggerUIBundle({
  requestInterceptor: request => {
    for (const [name, id] of Object.entries(last)) {
      request.url = request.url.replaceAll(encodeURIComponent(standIns[name]), encodeURIComponent(id));
      if (typeof request.body === "string") request.body = request.body.replaceAll(standIns[name], id);
    }
    return request;
  },
  responseInterceptor: response => {
    for (const name of Object.keys(standIns)) {
      if (response.body && typeof response.body[name] === "string") last[name] = response.body[name];
    }
    return response;
  },
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null
});
"""
)
_PAGE: Final = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>tillhook API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


_KEPT: Final = "public, max-age=3600"
_DOCUMENT: Final = "openapi_document"


class _Page(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return _PAGE


class _Document(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return document(request.app)


def openapi_config(version: str) -> OpenAPIConfig:
    """What Litestar needs to describe the API, and the router for the pages about it below ``/docs``."""
    return OpenAPIConfig(
        title=TITLE,
        version=version,
        description=DESCRIPTION,
        tags=list(TAGS),
        operation_id_creator=lambda handler, method, path: function_of(handler).__name__,
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{"bearer": []}],
        render_plugins=[_Page(path="/"), _Document(path="/openapi.json")],
        openapi_router=Router(
            "/docs",
            route_handlers=[error_reference, asset],
            opt={"roles": PUBLIC},
            include_in_schema=False,
            response_headers={"Content-Security-Policy": _PAGE_POLICY},
            after_request=_no_html_for_missing,
        ),
    )


def _no_html_for_missing(response: Response[Any]) -> Response[Any]:
    if response.status_code == HTTP_404_NOT_FOUND:
        raise not_found("The documentation has no such page; see /docs.")
    return response


@get("/openapi.json", opt={"roles": PUBLIC}, include_in_schema=False)
async def openapi_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The API's document."""
    return Response(document(request.app), media_type="application/json")


@get("/errors", media_type=MediaType.HTML)
async def error_reference() -> str:
    """What every ``code`` of a problem means."""
    return render_html()


@get("/assets/{name:str}")
async def asset(name: FromPath[str]) -> Response[bytes]:
    """A file of Swagger UI, out of the installed package."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers={"Cache-Control": _KEPT})
    if name not in ASSETS:
        raise not_found(f"The documentation has no file {name[:60]!r}.")
    return Response(_file(name), media_type=ASSETS[name], headers={"Cache-Control": _KEPT})


@lru_cache(maxsize=len(ASSETS))
def _file(name: str) -> bytes:
    # Found without importing the package, whose code for other frameworks is of no use here.
    package = find_spec("swagger_ui")
    if package is None or package.origin is None:
        raise FileNotFoundError("swagger-ui-py is not installed")
    return Path(package.origin).with_name("static").joinpath(name).read_bytes()


def document(app: Litestar) -> bytes:
    """The OpenAPI document as JSON, made once: Litestar's, with our error answers and who may do what."""
    made: bytes | None = app.state.get(_DOCUMENT)
    if made is None:
        made = app.state[_DOCUMENT] = msgspec.json.encode(_completed(app, app.openapi_schema.to_schema()))
    return made


def _completed(app: Litestar, schema: dict[str, Any]) -> dict[str, Any]:
    _, described = msgspec.json.schema_components((ProblemBody,), ref_template="#/components/schemas/{name}")
    components = schema["components"]
    components.setdefault("schemas", {}).update(described)
    components["responses"] = {
        "Problem": {
            "description": "A problem; `code` says which (see [the error reference](/docs/errors)).",
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
    }
    problem = {"$ref": "#/components/responses/Problem"}
    guests = Described(handler.opt[GUEST] for _, _, handler in handlers(app) if GUEST in handler.opt)
    components["schemas"].update(guests.components)
    schema["tags"] = [*schema.get("tags", ()), *guests.tags]
    for method, path, handler in handlers(app):
        if GUEST in handler.opt:
            schema["paths"].setdefault(path, {})[method.lower()] = guests.operation(handler.opt[GUEST], problem)
        operation = schema["paths"].get(path, {}).get(method.lower())
        if operation is None:
            continue
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path" and parameter["name"] in STAND_INS:
                parameter["example"] = STAND_INS[parameter["name"]]
        function = function_of(handler)
        operation["summary"] = handler.summary or function.__name__.replace("_", " ").capitalize()
        description = handler.description or inspect.cleandoc(function.__doc__ or "")
        answers = {
            status: problem if "status_code" in str(answer) and status == "400" else answer
            for status, answer in operation["responses"].items()
        }
        roles = handler.opt["roles"]
        if roles == PUBLIC:
            operation["security"] = []
        else:
            description = f"{description}\n\nRoles: {', '.join(sorted(roles))}.".strip()
            answers |= {"401": problem, "403": problem}
        operation["description"] = description
        operation["responses"] = {**answers, "default": problem}
    return schema
