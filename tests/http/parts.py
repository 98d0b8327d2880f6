"""A server without a shop behind it: identity providers, a clock and routes that the tests own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from joserfc import jwt
from joserfc.jwk import ECKey, Key
from litestar.testing import TestClient
from litestar.types import ControllerRouterHandler

from tillhook.core.config.system import Limits, System
from tillhook.core.http.auth import Offer, Verifier
from tillhook.core.http.server import Server, build
from tillhook.core.roles.offers import IdentityProvider, Principal
from tillhook.core.roles.outside import Outside
from tillhook.core.services.platform import Platform
from tillhook.core.testing.outside import RecordingOutside

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
ISSUER = "https://id.example/realms/shop"


class Clock:
    """Time stands still until the test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Provider:
    """An identity provider with keys that the test makes; counts how often it was asked for them."""

    def __init__(
        self,
        *keys: Key,
        issuer: str = ISSUER,
        algorithms: tuple[str, ...] = ("ES256",),
        audience: str = "till",
    ) -> None:
        self.name = "provider"
        self.issuer = issuer
        self.algorithms = algorithms
        self.audience = audience
        self.published: list[Any] = [key.as_dict(private=False) for key in keys]
        self.asked = 0
        self.failing: Exception | None = None

    def keys(self, outside: Outside) -> Mapping[str, Any]:
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        return {"keys": list(self.published)}

    def accepts(self, claims: Mapping[str, Any]) -> bool:
        return bool(claims.get("aud") == self.audience)

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        if "sub" not in claims:
            raise ValueError("there is no subject (sub)")
        return Principal(claims["sub"], frozenset(claims.get("roles", ())), self.issuer)


def ec_key(kid: str = "one") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


def claims(now: datetime = NOON, **changes: Any) -> dict[str, Any]:
    """Claims that are believed at ``now``; a change to None leaves the claim out."""
    moment = int(now.timestamp())
    usual = {"iss": ISSUER, "sub": "anna", "aud": "till", "iat": moment, "exp": moment + 600, "roles": ["shopper"]}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def token(key: Key, said: Mapping[str, Any] | None = None, **header: Any) -> bytes:
    """A token signed with ``key``; a header parameter set to None is left out."""
    full = {"alg": "ES256", "kid": key.kid, **header}
    names = {name: value for name, value in full.items() if value is not None}
    return jwt.encode(names, dict(said or claims()), key, algorithms=[names["alg"]]).encode()


def verifier(*providers: IdentityProvider, clock: Clock | None = None, remembered: int = 100) -> Verifier:
    return Verifier(
        lambda: [Offer(provider, RecordingOutside()) for provider in providers],
        clock or Clock(),
        remembered=remembered,
    )


class FakeShop:
    def __init__(self, providers: Sequence[IdentityProvider]) -> None:
        self.identity_providers = tuple(providers)

    def owner(self, thing: object) -> str:
        return "provider"

    def outside(self, plugin: str) -> Outside:
        return RecordingOutside()


class FakeHost:
    def __init__(self, providers: Sequence[IdentityProvider]) -> None:
        self._shop = FakeShop(providers)

    def shops(self) -> tuple[FakeShop, ...]:
        return (self._shop,)


class FakePlatform:
    """What the HTTP edge itself uses of a platform; whatever else a handler asks for is missing."""

    def __init__(self, providers: Sequence[IdentityProvider] = (), clock: Clock | None = None, **limits: int) -> None:
        self.host = FakeHost(providers)
        self.system = System(limits=Limits(**limits))
        self.clock = clock or Clock()
        self._numbers = itertools.count(1)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):08}"


def server(
    *controllers: ControllerRouterHandler,
    providers: Sequence[IdentityProvider] = (),
    clock: Clock | None = None,
    **limits: int,
) -> Server:
    platform = cast(Platform, FakePlatform(providers, clock, **limits))
    return build(platform, controllers=controllers)


def client(app: Server) -> AbstractContextManager[TestClient[Server]]:
    return TestClient(app, raise_server_exceptions=False)


def bearer(value: bytes) -> dict[str, str]:
    return {"Authorization": f"Bearer {value.decode()}"}
