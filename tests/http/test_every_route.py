"""Nobody gets in anywhere, unless the route says so."""

import pytest
from litestar import Controller, get

from tests.http import routes
from tests.http.every_route import trespasses
from tests.http.parts import Provider, claims, client, ec_key, server, token
from tillhook.core.http.admission import RolesMissing, handlers
from tillhook.core.http.journey import JOURNEY
from tillhook.core.http.server import Server
from tillhook.core.roles.people import ROLES

KEY = ec_key()
TOKENS = {role: token(KEY, claims(sub=role, roles=[role])).decode() for role in ROLES}


@pytest.mark.parametrize("controllers", [routes.EVERY, JOURNEY], ids=["every way to end", "the journey"])
def test_every_route_lets_in_exactly_its_roles(controllers: tuple[object, ...]) -> None:
    assert trespasses(server(*controllers, providers=[Provider(KEY)]), TOKENS) == []  # type: ignore[arg-type]


def test_the_walk_finds_a_route_that_lets_in_whom_it_should_not(monkeypatch: pytest.MonkeyPatch) -> None:
    app = server(*routes.EVERY, providers=[Provider(KEY)])
    monkeypatch.setattr(app.state.verifier, "verify", lambda _: Provider(KEY).principal(claims(roles=["operator"])))
    assert "GET /mine: staff was let in" in trespasses(app, TOKENS)


def test_the_walk_sees_every_route() -> None:
    app: Server = server(*routes.EVERY)
    seen = {(method, path) for method, path, _ in handlers(app)}
    assert {("GET", "/mine"), ("POST", "/parcels"), ("GET", "/metrics"), ("GET", "/docs/assets/{name}")} <= seen
    with client(app) as api:
        described = api.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, item in described.items() for method in item} <= seen


@get("/open")
async def declares_nothing() -> None:
    """A route whose author forgot."""


@get("/odd", opt={"roles": frozenset({"shoper"})})
async def declares_a_typo() -> None:
    """A route for a role that does not exist."""


@get("/none", opt={"roles": frozenset()})
async def declares_nobody() -> None:
    """A route for nobody."""


class Nested(Controller):
    path = "/nested"

    @get("/deep")
    async def deep(self) -> None:
        """Forgotten inside a controller."""


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (declares_nothing, "GET /open declares no roles"),
        (declares_a_typo, "GET /odd declares unknown roles: shoper"),
        (declares_nobody, "GET /none declares no roles"),
        (Nested, "GET /nested/deep declares no roles"),
    ],
)
def test_the_server_does_not_start_with_a_route_that_does_not_say_who_may_use_it(route: object, says: str) -> None:
    with pytest.raises(RolesMissing, match=says):
        server(route)  # type: ignore[arg-type]
