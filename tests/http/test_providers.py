"""The identity providers that come with tillhook, believed by a server that asks them over HTTP."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey

from tests.http.parts import Clock, Provider, bearer, claims, client, ec_key, server, token
from tests.http.routes import EVERY
from tillhook.core.config.system import OutsideLimits
from tillhook.core.domain.problems import Problem
from tillhook.core.http.auth import Offer, Verifier
from tillhook.core.outside.lender import JournalEntry, Lender
from tillhook.core.roles.offers import Principal
from tillhook_issuer import EmbeddedIssuer, KeyFile
from tillhook_oidc import OidcSettings, OpenIdProvider


class KeyServer:
    """Publishes the keys of an issuer on this machine."""

    def __init__(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "one"})]
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"keys": [key.as_dict(private=False) for key in server.keys]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/certs"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    found = KeyServer()
    yield found
    found.close()


def test_a_server_follows_an_issuer_through_a_rotation_of_its_keys(key_server: KeyServer) -> None:
    journal: list[JournalEntry] = []
    lender = Lender(OutsideLimits(), journal.append, lambda topic, key, value: None)
    settings = OidcSettings(issuer="https://id.example/realms/shop", jwks_url=key_server.url, audiences=("till",))
    clock = Clock()
    offer = Offer(OpenIdProvider(settings), lender.lend("oidc", "demo"))
    subject = Verifier(lambda: [offer], clock)

    def signed() -> bytes:
        said = claims(clock.now, realm_access={"roles": ["shopper"]})
        return token(key_server.keys[0], said, alg="RS256")

    assert subject.verify(signed()).roles == {"shopper"}
    key_server.keys = [RSAKey.generate_key(2048, {"kid": "two"})]
    with pytest.raises(Problem, match="no key of this id"):
        subject.verify(signed())
    clock.advance(30)
    assert subject.verify(signed()).roles == {"shopper"}
    assert [entry.status for entry in journal] == [200, 200]
    lender.close()


def test_the_embedded_issuers_tokens_open_doors(tmp_path: Path) -> None:
    issuer = EmbeddedIssuer(
        "http://127.0.0.1/issuer", KeyFile(tmp_path / "key.json"), audience="tillhook", longest_seconds=3600
    )
    clock = Clock(datetime(2026, 3, 14, tzinfo=UTC))
    anna = Principal("anna", frozenset({"shopper"}), issuer.issuer, "cus_1")
    good = issuer.issue(anna, now=clock.now, seconds=60).encode()
    with client(server(*EVERY, providers=[Provider(ec_key()), issuer], clock=clock)) as api:
        assert api.get("/mine", headers=bearer(good)).json()["subject"] == "anna"
        clock.advance(60 + 31)
        answer = api.get("/mine", headers=bearer(good))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
