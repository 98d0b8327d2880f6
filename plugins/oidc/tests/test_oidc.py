"""Any OpenID Connect provider, Keycloak's claims first; keys over real HTTP."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tillhook import Answer, IdentityProvider, NoAnswer, Principal
from tillhook.core.testing.contracts import IdentityContract
from tillhook.core.testing.outside import RecordingOutside
from tillhook_oidc import Oidc, OidcSettings, OpenIdProvider

ISSUER = "https://id.example/realms/shop"
KEYCLOAK: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "account",
    "azp": "scan-app",
    "sub": "f3a1",
    "typ": "Bearer",
    "preferred_username": "anna",
    "realm_access": {"roles": ["offline_access", "shopper", "default-roles-shop"]},
    "resource_access": {"account": {"roles": ["view-profile"]}},
    "user_id": "cus_1",
}


class TestKeycloak(IdentityContract):
    plugin = Oidc
    settings: ClassVar[Mapping[str, Any]] = {
        "issuer": ISSUER,
        "clients": ["scan-app"],
        "jwks_url": f"{ISSUER}/protocol/certs",
    }
    claims: ClassVar[Mapping[str, Any]] = KEYCLOAK
    grants = frozenset({"shopper"})
    key: ClassVar[RSAKey] = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})

    def lend(self) -> RecordingOutside:
        published = {"keys": [self.key.as_dict(private=False)]}
        return RecordingOutside(Answer(200, {"Content-Type": "application/json"}, json.dumps(published).encode()))


class TestAnybodyIsAShopper(TestKeycloak):
    settings: ClassVar[Mapping[str, Any]] = {**TestKeycloak.settings, "default_role": "shopper"}
    grants_anybody = frozenset({"shopper"})


class TestRolesOfTheirOwn(TestKeycloak):
    settings: ClassVar[Mapping[str, Any]] = {
        **TestKeycloak.settings,
        "audiences": ["till"],
        "roles_claim": ["https://shop.example/roles"],
        "roles": {"store-clerk": "staff"},
    }
    claims: ClassVar[Mapping[str, Any]] = {
        "sub": "anna",
        "aud": ["till"],
        "https://shop.example/roles": ["store-clerk"],
    }
    roles_at = ("https://shop.example/roles",)
    grants = frozenset({"staff"})


def provider(**settings: Any) -> OpenIdProvider:
    (found,) = Oidc(OidcSettings(**{"issuer": ISSUER, "clients": ("scan-app",), **settings})).identity_providers()
    assert isinstance(found, OpenIdProvider)
    return found


def test_it_is_an_identity_provider() -> None:
    assert isinstance(provider(), IdentityProvider)
    assert provider().issuer == ISSUER


# --- whose tokens


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"azp": "another"}, False),
        ({"azp": None, "client_id": "scan-app"}, True),
        ({"azp": "another", "client_id": "scan-app"}, False),
        ({"azp": "another", "aud": "till"}, True),
        ({"azp": "another", "aud": ["account", "till"]}, True),
        ({"azp": "another", "aud": {"till": 1}}, False),
        ({"azp": "another", "aud": 7}, False),
        ({"azp": ["scan-app"]}, False),
        ({"typ": "ID"}, False),
        ({"typ": "Refresh"}, False),
        ({"at_hash": "x"}, False),
    ],
)
def test_a_token_is_for_us_by_its_audience_or_by_the_application_it_was_made_for(
    changes: Mapping[str, Any], accepted: bool
) -> None:
    claims = {name: value for name, value in {**KEYCLOAK, **changes}.items() if value is not None}
    assert provider(audiences=("till",)).accepts(claims) is accepted


def test_settings_that_would_believe_every_application_are_refused() -> None:
    with pytest.raises(ValueError, match="audiences or clients"):
        provider(clients=())


def test_a_role_that_does_not_exist_here_is_refused_in_the_settings() -> None:
    with pytest.raises(ValueError, match="no such roles: admin"):
        provider(roles={"manager": "admin"})


# --- what they say


def test_keycloaks_claims_are_read_as_they_come() -> None:
    assert provider().principal(KEYCLOAK) == Principal("f3a1", frozenset({"shopper"}), ISSUER, "cus_1", None)


def test_roles_are_translated_by_the_table_and_only_by_it() -> None:
    mapping = {"store-clerk": "staff", "till-kiosk": "device"}
    claims = {**KEYCLOAK, "realm_access": {"roles": ["store-clerk", "operator"]}, "stores": ["sto_1"]}
    who = provider(roles=mapping).principal(claims)
    assert who.roles == {"staff"}
    assert who.stores == frozenset({"sto_1"})


def test_roles_may_stand_anywhere_even_under_names_with_dots() -> None:
    claims = {"sub": "anna", "https://shop.example/roles": ["guest"]}
    assert provider(roles_claim=("https://shop.example/roles",)).principal(claims).roles == {"guest"}


def test_whoever_has_no_role_of_ours_gets_in_only_by_the_default_role() -> None:
    nobody = {**KEYCLOAK, "realm_access": {"roles": ["offline_access"]}}
    with pytest.raises(ValueError, match=r"realm_access\.roles"):
        provider().principal(nobody)
    assert provider(default_role="shopper").principal(nobody).roles == {"shopper"}


def test_the_subject_is_the_customer_where_no_customer_is_named() -> None:
    claims = {name: value for name, value in KEYCLOAK.items() if name != "user_id"}
    assert provider().principal(claims).customer_id == "f3a1"


@pytest.mark.parametrize(
    ("stores", "bound"), [(None, None), ("sto_1", {"sto_1"}), (["a", 1, "b"], {"a", "b"}), ({}, set())]
)
def test_a_list_of_stores_binds_and_an_unreadable_one_binds_to_none(stores: object, bound: object) -> None:
    claims = KEYCLOAK if stores is None else {**KEYCLOAK, "stores": stores}
    assert provider().principal(claims).stores == bound


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["sub", "aud", "azp", "typ", "realm_access", "user_id", "stores", "client_id"]), anything
    )
)
def test_no_claims_whatever_break_it(claims: dict[str, Any]) -> None:
    found = provider()
    assert found.accepts(claims) in {True, False}
    with suppress(ValueError):  # they name nobody
        assert found.principal(claims).roles


# --- keys, over HTTP


class Realm:
    """An identity provider on this machine: publishes its keys, rotates them, counts who asks."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.issuer_said = ""
        self.broken = False
        self.asked: list[str] = []
        realm = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                realm.asked.append(self.path)
                body = realm.body(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body or b"{}")

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realms/shop"

    def body(self, path: str) -> bytes | None:
        if self.broken:
            return b'{"half": '
        if path == "/realms/shop/.well-known/openid-configuration":
            document = {"issuer": self.issuer_said or self.issuer, "jwks_uri": f"{self.issuer}/protocol/certs"}
            return json.dumps(document).encode()
        if path == "/realms/shop/protocol/certs":
            return json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()
        return None

    def rotate(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})

    def token(self) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, {**KEYCLOAK, "iss": self.issuer}, self.key)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class LoopbackOutside(RecordingOutside):
    """Really calls, without everything that the core's own would add."""

    def request(self, method: str, url: str, **_: Any) -> Answer:
        assert method == "GET"
        request = urllib.request.Request(url, headers={"Accept": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())


@pytest.fixture
def realm() -> Iterator[Realm]:
    found = Realm()
    yield found
    found.close()


def verified(found: OpenIdProvider, token: str) -> dict[str, Any]:
    published = KeySet.import_key_set(found.keys(LoopbackOutside()))  # type: ignore[arg-type]
    return jwt.decode(token, published, algorithms=["RS256"]).claims


def test_keys_are_found_where_the_issuer_says_they_are(realm: Realm) -> None:
    found = provider(issuer=realm.issuer)
    assert verified(found, realm.token())["sub"] == "f3a1"
    assert realm.asked == ["/realms/shop/.well-known/openid-configuration", "/realms/shop/protocol/certs"]


def test_keys_are_asked_for_directly_where_their_address_is_set(realm: Realm) -> None:
    found = provider(issuer=realm.issuer, jwks_url=f"{realm.issuer}/protocol/certs")
    assert verified(found, realm.token())["sub"] == "f3a1"
    assert realm.asked == ["/realms/shop/protocol/certs"]


def test_a_rotated_key_is_there_when_keys_are_asked_for_again(realm: Realm) -> None:
    found = provider(issuer=realm.issuer)
    verified(found, realm.token())
    realm.rotate()
    assert verified(found, realm.token())["sub"] == "f3a1"


def test_a_document_that_speaks_for_another_issuer_is_not_believed(realm: Realm) -> None:
    realm.issuer_said = "https://evil.example"
    with pytest.raises(NoAnswer, match=r"speaks for 'https://evil\.example'"):
        provider(issuer=realm.issuer).keys(LoopbackOutside())


def test_a_missing_document_says_where_it_was_looked_for(realm: Realm) -> None:
    with pytest.raises(NoAnswer, match=r"/realms/other/\.well-known/openid-configuration answered 404"):
        provider(issuer=realm.issuer.replace("shop", "other")).keys(LoopbackOutside())


def test_half_an_answer_is_no_answer(realm: Realm) -> None:
    realm.broken = True
    with pytest.raises(NoAnswer):
        provider(issuer=realm.issuer).keys(LoopbackOutside())


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"keys": "none"}'])
def test_what_is_no_key_set_is_no_answer(body: bytes) -> None:
    outside = RecordingOutside(Answer(200, {}, body))
    with pytest.raises(NoAnswer):
        provider(jwks_url="https://id.example/certs").keys(outside)
