"""Making tokens, and reading what they say once the core has verified them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from joserfc import jwt

from tillhook import Outside, Principal

from .keyfile import KeyFile


class EmbeddedIssuer:
    """An identity provider (for the core) and a token issuer (for the command line) in one."""

    name = "issuer"
    algorithms: tuple[str, ...] = ("ES256",)

    def __init__(self, issuer: str, keys: KeyFile, *, audience: str, longest_seconds: int) -> None:
        self.issuer = issuer
        self._keys = keys
        self._audience = audience
        self._longest = longest_seconds

    def keys(self, outside: Outside) -> Mapping[str, Any]:
        """The public key; nobody is asked."""
        return {"keys": [self._keys.key().as_dict(private=False)]}

    def accepts(self, claims: Mapping[str, Any]) -> bool:
        return claims.get("aud") == self._audience

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Raises ValueError for claims that are not of the form that ``issue`` makes."""
        subject, access = claims.get("sub"), claims.get("realm_access")
        roles = access.get("roles") if isinstance(access, dict) else None
        customer, stores = claims.get("user_id"), claims.get("stores")
        if not isinstance(subject, str) or not subject:
            raise ValueError("there is no subject (sub)")
        if not _are_texts(roles):
            raise ValueError("there are no roles (realm_access.roles)")
        if not isinstance(customer, str | None) or not (stores is None or _are_texts(stores)):
            raise ValueError("user_id is no text, or stores is no list")
        return Principal(
            subject, frozenset(roles or ()), self.issuer, customer, None if stores is None else frozenset(stores)
        )

    def issue(self, principal: Principal, *, now: datetime, seconds: int) -> str:
        """A signed token for ``seconds`` from ``now``. Raises ValueError for a life that is not allowed."""
        if not 0 < seconds <= self._longest:
            raise ValueError(f"a token lives between 1 and {self._longest} seconds, not {seconds}")
        if principal.issuer != self.issuer:
            raise ValueError(f"{self.issuer} makes no tokens for {principal.issuer!r}")
        key = self._keys.key()
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": principal.subject,
            "aud": self._audience,
            "azp": self._audience,
            "typ": "Bearer",
            "iat": issued,
            "exp": issued + seconds,
            "jti": secrets.token_hex(8),
            "preferred_username": principal.subject,
            "realm_access": {"roles": sorted(principal.roles)},
        }
        if principal.customer_id is not None:
            claims["user_id"] = principal.customer_id
        if principal.stores is not None:
            claims["stores"] = sorted(principal.stores)
        return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
