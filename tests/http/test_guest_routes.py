"""Plugins' own routes: who gets in, which store's plugin answers, what is read and what goes out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from tests.http.club import STAFF, STUCK, Club, Member, StoreBound, platform, serve
from tests.http.every_route import trespasses
from tests.http.parts import Clock, bearer, claims, client, ec_key, token
from tests.http.test_documentation import references
from tillhook import Errand, Page, Plugin, PluginPage, PluginRoute, hookimpl
from tillhook.core.http.server import Server
from tillhook.core.roles.people import ROLES
from tillhook.core.services.platform import Platform

KEY = ec_key()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    made = platform(tmp_path_factory.mktemp("club"), StoreBound(KEY), Clock(), body_bytes=2_000)
    yield made
    made.db.close()


@pytest.fixture(scope="module")
def app(system: Platform) -> Server:
    return serve(system)


@pytest.fixture
def api(app: Server) -> Iterator[TestClient[Server]]:
    with client(app) as found:
        yield found


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(api: TestClient[Server]) -> Ask:
    """One request at the club of a store, by an operator unless the test says otherwise."""

    def request(method: str, path: str, *, store: str = "co_1", role: str = "operator", **more: Any) -> httpx.Response:
        said = claims(sub=f"{role}_1", roles=[role], stores=more.pop("stores", None))
        address = f"/plugins/club/stores/{store}{path}"
        return api.request(method, address, headers=bearer(token(KEY, said)), **more)

    return request


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# --- what a handler is handed


def test_a_handler_is_handed_the_errand(ask: Ask) -> None:
    answer = ask("GET", "/members?limit=3&tag=a&tag=b&gold=true")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "store": "co_1",
        "who": "operator_1",
        "now": "2026-03-14T12:00:00+00:00",
        "path": {},
        "query": {"limit": 3, "tag": ["a", "b"], "gold": True},
        "body": None,
    }


def test_parts_of_the_address_are_handed_on_by_name(ask: Ask) -> None:
    assert ask("GET", "/members/anna%20b/cards/7").json()["path"] == {"member": "anna b", "card": "7"}


def test_two_routes_may_call_the_same_part_by_different_names(ask: Ask) -> None:
    assert ask("DELETE", "/members/anna").status_code == 204
    assert ask("PUT", "/members/anna", json=1).json()["member"] == "anna"


def test_the_path_may_be_the_root(ask: Ask) -> None:
    assert ask("GET", "/").json() == ask("GET", "").json() == 1


def test_a_route_without_answer_says_204_and_nothing(ask: Ask) -> None:
    answer = ask("DELETE", "/members/anna")
    assert (answer.status_code, answer.content) == (204, b"")


# --- who


def test_every_route_lets_in_exactly_its_roles(app: Server) -> None:
    tokens = {role: token(KEY, claims(sub=role, roles=[role])).decode() for role in ROLES}
    assert trespasses(app, tokens) == []


def test_without_a_token_nobody_gets_in(api: TestClient[Server]) -> None:
    assert refusal(api.get("/plugins/club/stores/co_1/members")) == (401, "unauthenticated")


def test_staff_of_one_store_cannot_act_in_another(ask: Ask) -> None:
    assert ask("POST", "/members", role="staff", stores=["co_1"], json={"name": "Anna"}).status_code == 200
    answer = ask("POST", "/members", role="staff", stores=["co_2"], json={"name": "Anna"})
    assert refusal(answer) == (403, "forbidden")
    assert answer.json()["store_id"] == "co_1"


def test_where_settings_give_a_route_to_other_roles_the_store_decides(ask: Ask) -> None:
    assert ask("GET", "/members", role="shopper").status_code == 200
    answer = ask("GET", "/members", role="shopper", store="vi_1")
    assert refusal(answer) == (403, "forbidden")
    assert answer.json()["roles"] == ["operator"]
    assert ask("GET", "/members", store="vi_1").status_code == 200


# --- which store


@pytest.mark.parametrize(
    ("store", "refused", "says"),
    [
        ("ki_1", (404, "not_found"), "The plugin club is not switched on for store ki_1."),
        ("nowhere", (404, "store_not_found"), "nowhere"),
        ("co_shut", (403, "store_inactive"), "co_shut"),
    ],
)
def test_a_store_without_the_plugin_says_so(ask: Ask, store: str, refused: tuple[int, str], says: str) -> None:
    answer = ask("GET", "/members", store=store)
    assert refusal(answer) == refused
    assert says in answer.json()["detail"]


# --- what is read


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "query parameter limit: Expected int >= 1"),
        ("limit=many", "query parameter limit: Expected int"),
        ("limit=1&limit=2", "query parameter limit: it is given twice"),
        ("gold=perhaps", "query parameter gold: Expected bool"),
        ("limit=%ff", "not UTF-8"),
        ("&".join(f"tag={n}" for n in range(200)), "more than 100 parameters"),
    ],
)
def test_a_wrong_parameter_is_named(ask: Ask, query: str, says: str) -> None:
    answer = ask("GET", f"/members?{query}")
    assert refusal(answer) == (400, "malformed_request")
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "says", "field"),
    [
        ({"name": 1}, "name: Expected str, got int", "name"),
        ({}, "name is missing", "name"),
        ({"name": "Anna", "nmae": 1}, "nmae is not a field", "nmae"),
        ({"name": "Anna", "born": "1990-02-31"}, "born: Invalid RFC3339", "born"),
        ([], "Expected object, got array", ""),
    ],
)
def test_a_wrong_body_is_named_to_the_field(ask: Ask, body: Any, says: str, field: str) -> None:
    answer = ask("POST", "/members", json=body)
    assert refusal(answer) == (400, "malformed_body")
    assert says in answer.json()["detail"]
    assert answer.json()["field"] == field


def test_a_body_is_json_there_and_bounded(ask: Ask) -> None:
    assert refusal(ask("POST", "/members")) == (400, "malformed_body")
    assert refusal(ask("POST", "/members", content=b"{")) == (400, "malformed_body")
    assert refusal(ask("POST", "/members", content=b'{"name": "a\\u0000"}')) == (400, "malformed_body")
    assert refusal(ask("POST", "/members", data={"name": "Anna"})) == (415, "unsupported_media_type")
    assert refusal(ask("POST", "/members", json={"name": "A" * 3_000})) == (413, "body_too_large")


def test_a_body_is_read_only_by_who_may_send_it(ask: Ask) -> None:
    assert refusal(ask("POST", "/members", role="shopper", content=b"{")) == (403, "forbidden")


# --- what goes out


def test_nothing_goes_out_beyond_the_declared_answer(ask: Ask) -> None:
    assert ask("GET", "/members/anna").json() == {"member": "anna", "points": 7}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/wrong", "answered Member, which is not what it declares: Expected `int`, got `str` - at `$.points`"),
        ("/leaky", "answered Tiered, which is not what it declares: Invalid enum value - at `$.tier`"),
        ("/odd", "answered object, which is not what it declares"),
        ("/talkative", "answered int, but declares no answer"),
        ("/crash", "raised RuntimeError"),
        ("/exit", "raised PluginExit"),
    ],
)
def test_a_plugin_that_fails_is_named(ask: Ask, lines: io.StringIO, path: str, says: str) -> None:
    answer = ask("GET", path)
    assert refusal(answer) == (502, "plugin_failed")
    body = answer.json()
    assert says in body["detail"]
    assert (body["plugin"], body["version"], body["hook"], body["route"]) == ("club", "1.0", "routes", f"GET {path}")
    assert "hunter2" not in answer.text
    assert any(at.get("plugin") == "club" for at in map(json.loads, lines.getvalue().splitlines()))
    assert ask("GET", "/members").status_code == 200


def test_a_handler_that_hangs_is_cut_and_named(tmp_path: Path) -> None:
    system = platform(tmp_path, StoreBound(KEY), Clock(), seconds=0.05)
    headers = bearer(token(KEY, claims(roles=["operator"])))
    with client(serve(system)) as api:
        answer = api.get("/plugins/club/stores/co_1/stuck", headers=headers)
        assert refusal(answer) == (502, "plugin_failed")
        assert "plugin club 1.0 did not answer within 0.05 s in routes: GET /stuck" in answer.json()["detail"]
        assert api.get("/plugins/club/stores/co_1/members", headers=headers).status_code == 200
        STUCK.over.set()
    STUCK.over.clear()
    system.db.close()


def test_a_problem_of_the_plugin_reaches_the_caller(ask: Ask) -> None:
    answer = ask("PUT", "/members/anna", json={})
    assert refusal(answer) == (422, "plugin_refused")
    assert (answer.json()["detail"], answer.json()["member"]) == ("Nobody leaves the club.", "anna")


# --- the API document


@pytest.fixture
def document(api: TestClient[Server]) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


def test_routes_are_in_the_one_api_document(document: dict[str, Any]) -> None:
    operation = document["paths"]["/plugins/club/stores/{store_id}/members"]["get"]
    assert (operation["tags"], operation["summary"]) == (["club"], "List members")
    assert operation["description"] == "Say what came in.\n\nRoles: operator, shopper, staff."
    parameters = {(at["in"], at["name"]): at for at in operation["parameters"]}
    assert list(parameters) == [("path", "store_id"), ("query", "limit"), ("query", "tag"), ("query", "gold")]
    assert parameters["query", "limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 10}
    assert not parameters["query", "limit"]["required"]
    problem = {"$ref": "#/components/responses/Problem"}
    assert all(operation["responses"][status] == problem for status in ("400", "401", "403", "404", "422", "502"))
    assert {"name": "club", "description": "Routes of the plugin club."} in document["tags"]


def test_bodies_and_answers_have_schemas_under_the_plugin_name(document: dict[str, Any]) -> None:
    operation = document["paths"]["/plugins/club/stores/{store_id}/members"]["post"]
    sent = operation["requestBody"]["content"]["application/json"]["schema"]
    assert sent == {"$ref": "#/components/schemas/club.Joining"}
    assert document["components"]["schemas"]["club.Joining"]["additionalProperties"] is False
    gone = document["paths"]["/plugins/club/stores/{store_id}/members/{who}"]["delete"]
    assert "204" in gone["responses"]
    assert "200" not in gone["responses"]


def test_the_document_is_whole(document: dict[str, Any]) -> None:
    operations = [at for item in document["paths"].values() for at in item.values()]
    ids = [at["operationId"] for at in operations]
    assert len(set(ids)) == len(ids)
    for path, item in document["paths"].items():
        for operation in item.values():
            named = [at["name"] for at in operation.get("parameters", ()) if at["in"] == "path"]
            assert [f"{{{name}}}" for name in named] == [at for at in path.split("/") if at.startswith("{")]
            assert "default" in operation["responses"]
            assert {"tags", "summary", "description"} <= set(operation)
    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


# --- what cannot be mounted


async def later(errand: Errand) -> None:
    """An async handler, which nobody would wait for."""


def nothing(errand: Errand) -> None:
    """A handler."""


class Loop:
    """No type that JSON can be read into."""


FAULTY = [
    (PluginRoute("GET", "members", STAFF, nothing), "GET members: its path must begin with '/'"),
    (PluginRoute("GET", "/a//b", STAFF, nothing), "empty segment"),
    (PluginRoute("GET", "/a/", STAFF, nothing), "a '/' at the end"),
    (PluginRoute("GET", "/a b", STAFF, nothing), "'a b' cannot stand in a path"),
    (PluginRoute("GET", "/../orders", STAFF, nothing), "'..' cannot stand in a path"),
    (PluginRoute("GET", "/{a:int}", STAFF, nothing), "'{a:int}' cannot stand in a path"),
    (PluginRoute("GET", "/{a}/{a}", STAFF, nothing), "names a twice"),
    (PluginRoute("GET", "/{store_id}", STAFF, nothing), "names store_id twice"),
    (PluginRoute("FETCH", "/a", STAFF, nothing), "its method is none of GET, POST"),  # type: ignore[arg-type]
    (PluginRoute("GET", "/a", STAFF, nothing, body=Member), "a GET has no body"),
    (PluginRoute("GET", "/a", frozenset(), nothing), "declares no roles"),
    (PluginRoute("GET", "/a", frozenset({"stuff"}), nothing), "unknown roles: stuff (did you mean 'staff'?)"),
    (PluginRoute("GET", "/a", frozenset({"*"}), nothing), "unknown roles: *"),
    (PluginRoute("GET", "/a", STAFF, "nothing"), "'nothing', which cannot be called"),  # type: ignore[arg-type]
    (PluginRoute("GET", "/a", STAFF, later), "async function"),
    (PluginRoute("POST", "/a", STAFF, nothing, body=Loop), "its body"),
    (PluginRoute("GET", "/a", STAFF, nothing, answer=Loop), "its answer"),
    (PluginRoute("GET", "/a", STAFF, nothing, query=Loop), "no msgspec Struct"),  # type: ignore[arg-type]
    (PluginRoute("GET", "/a", STAFF, nothing, query=type("Q", (), {})), "no msgspec Struct"),
    (PluginRoute("GET", "/a", STAFF, nothing, summary=object()), "its summary must be a text"),  # type: ignore[arg-type]
    (PluginPage("/a", "", STAFF, nothing), "it has no title"),  # type: ignore[arg-type]
    (PluginPage("a", "A", STAFF, nothing), "page a: its path must begin with '/'"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("thing", "says"), FAULTY, ids=[says for _, says in FAULTY])
def test_what_cannot_be_mounted_keeps_its_plugin_out_with_one_line(
    tmp_path: Path, thing: PluginRoute | PluginPage, says: str
) -> None:
    class Faulty(Plugin):
        @hookimpl
        def routes(self) -> Sequence[PluginRoute]:
            return [thing] if isinstance(thing, PluginRoute) else []

        @hookimpl
        def pages(self) -> Sequence[PluginPage]:
            return [thing] if isinstance(thing, PluginPage) else []

    system = platform(tmp_path, StoreBound(KEY), Clock(), club=Faulty)
    (fault,) = system.host.problems()
    assert (fault.plugin, fault.version) == ("club", "1.0")
    assert says in fault.reason
    assert "\n" not in str(fault)
    with client(serve(system)) as api:
        headers = bearer(token(KEY, claims(roles=["operator"])))
        assert api.get("/plugins/club/stores/co_1/a", headers=headers).status_code == 404
        assert api.get("/pages/", headers=headers).status_code == 200
    system.db.close()


class Undocumented:
    """A handler whose docstring is none."""

    __doc__ = 5  # type: ignore[assignment]

    def __call__(self, errand: Errand) -> dict[str, str]:
        return dict(errand.path)


def test_a_part_may_have_any_name_and_a_handler_no_docstring(tmp_path: Path) -> None:
    names = ["state", "headers", "cookies", "request", "socket", "data", "query", "scope", "body", "self"]

    class Named(Plugin):
        @hookimpl
        def routes(self) -> Sequence[PluginRoute]:
            paths = [f"/{name}/{{{name}}}" for name in names]
            return [PluginRoute("GET", path, STAFF, Undocumented(), Any) for path in [*paths, "/x/{query}/{query_}"]]

        @hookimpl
        def pages(self) -> Sequence[PluginPage]:
            return [PluginPage("/{state}", "State", STAFF, lambda errand: Page(errand.path["state"]))]

    system = platform(tmp_path, StoreBound(KEY), Clock(), club=Named)
    headers = bearer(token(KEY, claims(roles=["operator"])))
    with client(serve(system)) as api:
        for name in names:
            assert api.get(f"/plugins/club/stores/co_1/{name}/7", headers=headers).json() == {name: "7"}
        both = api.get("/plugins/club/stores/co_1/x/7/8", headers=headers)
        assert both.json() == {"query": "7", "query_": "8"}
        assert "<h1>7</h1>" in api.get("/pages/club/stores/co_1/7", headers=headers).text
        assert "/plugins/club/stores/{store_id}/state/{state_}" in api.get("/openapi.json").json()["paths"]
    system.db.close()


def test_two_routes_that_cannot_be_told_apart_keep_their_plugin_out(tmp_path: Path) -> None:
    class Twice(Club):
        @hookimpl
        def routes(self) -> Sequence[PluginRoute]:
            return [PluginRoute("GET", f"/a/{{{name}}}", STAFF, nothing) for name in ("one", "other")]

    system = platform(tmp_path, StoreBound(KEY), Clock(), club=Twice)
    faults = [fault for fault in system.host.problems() if fault.plugin == "club"]
    assert "'GET /plugins/club/a/{}' is offered twice" in faults[0].reason
    system.db.close()
