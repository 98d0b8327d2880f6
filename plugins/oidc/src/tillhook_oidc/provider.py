"""Reading an OpenID Connect provider: its keys, and what its tokens say about people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tillhook import NoAnswer, Outside, Principal

if TYPE_CHECKING:
    from . import OidcSettings

OUR_ROLES: Final = frozenset({"shopper", "guest", "staff", "device", "operator"})
NOT_FOR_APIS: Final = frozenset({"id", "refresh", "offline", "logout"})
"""Keycloak's ``typ`` of tokens that prove something else than the right to call an API."""


class OpenIdProvider:
    """One issuer as its settings describe it. Keeps nothing: the core decides when keys are asked for."""

    name = "oidc"

    def __init__(self, settings: OidcSettings) -> None:
        """Raises ValueError for settings that would believe every application's tokens, or name no role of ours."""
        if not settings.audiences and not settings.clients:
            raise ValueError("oidc: name at least one of audiences or clients, else any application's token would do")
        unknown = {*settings.roles.values(), settings.default_role or "shopper"} - OUR_ROLES
        if unknown:
            raise ValueError(
                f"oidc: no such roles: {', '.join(sorted(unknown))} (there are {', '.join(sorted(OUR_ROLES))})"
            )
        self.issuer = settings.issuer
        self.algorithms = settings.algorithms
        self._settings = settings
        self._roles = settings.roles or {role: role for role in OUR_ROLES}

    def keys(self, outside: Outside) -> Mapping[str, Any]:
        """Raises NotReached, or NoAnswer for anything that is no key set."""
        url = self._settings.jwks_url or self._discovered(outside)
        document = _document(outside, url)
        if not isinstance(document.get("keys"), list):
            raise NoAnswer(f"{url} is no JWK set: it has no keys")
        return document

    def _discovered(self, outside: Outside) -> str:
        """The address of the keys (OpenID Connect Discovery 1.0 §4: the document must name the issuer itself)."""
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        document = _document(outside, url)
        if document.get("issuer") != self.issuer:
            raise NoAnswer(f"{url} speaks for {document.get('issuer')!r}, not for {self.issuer!r}")
        found = document.get("jwks_uri")
        if not isinstance(found, str):
            raise NoAnswer(f"{url} names no jwks_uri")
        return found

    def accepts(self, claims: Mapping[str, Any]) -> bool:
        if str(claims.get("typ", "")).lower() in NOT_FOR_APIS or "at_hash" in claims:
            return False
        audience = claims.get("aud")
        named = set(_texts([audience] if isinstance(audience, str) else audience))
        application = claims.get("azp", claims.get("client_id"))
        return not named.isdisjoint(self._settings.audiences) or application in self._settings.clients

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Raises ValueError for claims without a subject, or without any role of ours."""
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise ValueError("there is no subject (sub)")
        theirs: Any = claims
        for name in self._settings.roles_claim:
            theirs = theirs.get(name) if isinstance(theirs, Mapping) else None
        roles = frozenset(self._roles[role] for role in _texts(theirs) if role in self._roles)
        if not roles and self._settings.default_role:
            roles = frozenset({self._settings.default_role})
        if not roles:
            raise ValueError(f"none of the roles in {'.'.join(self._settings.roles_claim)} means anything here")
        customer = claims.get(self._settings.customer_claim)
        stores = claims.get(self._settings.stores_claim)
        return Principal(
            subject,
            roles,
            self.issuer,
            customer if isinstance(customer, str) and customer else subject,
            None if stores is None else frozenset(_texts([stores] if isinstance(stores, str) else stores)),
        )


def _document(outside: Outside, url: str) -> Mapping[str, Any]:
    answer = outside.request("GET", url, headers={"Accept": "application/json"})
    if answer.status != 200:
        raise NoAnswer(f"{url} answered {answer.status}")
    document = answer.json()
    if not isinstance(document, dict):
        raise NoAnswer(f"{url} is no JSON object")
    return document


def _texts(value: object) -> Iterable[str]:
    """The texts in a claim that should be a list of them."""
    return (item for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else ()
