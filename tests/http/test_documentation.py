"""The API's document and the page to try it out."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from tests.http import routes
from tests.http.parts import client, server
from tillhook.core.http.server import Server


@pytest.fixture
def api() -> Iterator[TestClient[Server]]:
    with client(server(*routes.EVERY)) as found:
        yield found


@pytest.fixture
def document(api: TestClient[Server]) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


def test_operations_are_called_like_their_handlers(document: dict[str, Any]) -> None:
    operation = document["paths"]["/parcels"]["post"]
    assert (operation["operationId"], operation["description"]) == ("send_parcel", "Give a parcel back.")
    assert document["openapi"].startswith("3.1")


def test_handlers_that_share_an_address_and_run_in_threads_keep_their_names(document: dict[str, Any]) -> None:
    operations = document["paths"]["/parcels/{parcel_id}"]
    told = {method: (item["operationId"], item["summary"]) for method, item in operations.items()}
    assert told == {
        "get": ("read_parcel", "Read parcel"),
        "put": ("replace_parcel", "Replace parcel"),
        "delete": ("lose_parcel", "Lose parcel"),
    }
    assert operations["put"]["description"] == "Put another parcel in its place."


def test_what_needs_a_token_says_so_and_for_whom(document: dict[str, Any]) -> None:
    mine = document["paths"]["/mine"]["get"]
    assert document["components"]["securitySchemes"]["bearer"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
    assert document["security"] == [{"bearer": []}]
    assert "security" not in mine
    assert "Roles: operator, shopper." in mine["description"]
    assert document["paths"]["/health"]["get"]["security"] == []


def test_error_answers_are_shown_as_problems(document: dict[str, Any]) -> None:
    problem = {"$ref": "#/components/responses/Problem"}
    parcels, mine = document["paths"]["/parcels"]["post"], document["paths"]["/mine"]["get"]
    assert parcels["responses"]["400"] == parcels["responses"]["default"] == problem
    assert mine["responses"]["401"] == mine["responses"]["403"] == problem
    assert list(document["components"]["responses"]["Problem"]["content"]) == ["application/problem+json"]
    assert "request_id" in document["components"]["schemas"]["ProblemBody"]["properties"]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def test_the_page_loads_everything_from_here(api: TestClient[Server]) -> None:
    answer = api.get("/docs")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(addresses) == 4
    for address in addresses:
        loaded = api.get(address)
        assert loaded.status_code == 200
        assert loaded.headers["cache-control"] == "public, max-age=3600"
        assert len(loaded.content) > 100
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert "persistAuthorization: true" in api.get("/docs/assets/start.js").text


def test_the_page_shows_openapi_3_1() -> None:
    """Swagger UI reads it from version 5 on."""
    with client(server()) as api:
        script = api.get("/docs/assets/swagger-ui-bundle.js").text
    version = re.search(r'PACKAGE_VERSION:"(\d+)\.', script)
    assert version is not None
    assert int(version[1]) >= 5


@pytest.mark.parametrize("name", ["swagger-ui.js", "..%2f__init__.py", "%2e%2e/core.py", "start.js.map"])
def test_no_other_file_is_served(api: TestClient[Server], name: str) -> None:
    assert api.get(f"/docs/assets/{name}").status_code == 404
