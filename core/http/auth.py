"""Who is asking: bearer tokens (JWT, RFC 7519), believed only from issuers that a shop offers."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

import msgspec
import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import CompactSignature, JWSRegistry
from msgspec import Struct

from tillhook.core.domain.problems import unauthenticated
from tillhook.core.http.keys import ASK_EVERY, KeyRing
from tillhook.core.roles.offers import IdentityProvider, Principal
from tillhook.core.roles.outside import Outside

PUBLIC: Final = frozenset({"*"})
"""``opt={"roles": PUBLIC}``: this route answers everybody, with or without a token."""
LEEWAY: Final = 30
"""Seconds by which an issuer's clock may differ from ours."""
REMEMBERED_FOR: Final = 300
"""Seconds for which a verified token is not verified again, so that a withdrawn key takes effect after that time."""
ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""Public keys verify these; with a shared secret whoever can verify could sign as well."""
LONGEST_TOKEN: Final = 16_384

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("tillhook.auth")


class Offer(Struct, frozen=True):
    """An identity provider of a shop, and what is lent to its plugin."""

    provider: IdentityProvider
    outside: Outside


class Caller(Principal, frozen=True, kw_only=True):
    """A principal proven by a token, with the verified claims that it was read from."""

    claims: Mapping[str, Any]

    def vouched_by(self, providers: Iterable[IdentityProvider]) -> bool:
        """Whether one of ``providers`` is of our issuer and reads the same person and rights out of the token.

        Two retailers may share an issuer and differ in audience or in the meaning of roles: a token of the one says
        nothing to the other.
        """
        return any(provider.issuer == self.issuer and self._read_alike_by(provider) for provider in providers)

    def _read_alike_by(self, provider: IdentityProvider) -> bool:
        try:
            return provider.accepts(self.claims) and _essence(provider.principal(self.claims)) == _essence(self)
        except ValueError:  # to this one the claims name nobody
            return False

    def __repr__(self) -> str:
        return f"Caller({self.subject!r} of {self.issuer!r}, {sorted(self.roles)})"


def _essence(who: Principal) -> tuple[object, ...]:
    return who.subject, who.roles, who.customer_id, who.stores


class _Registry(JWSRegistry):
    """Header parameters that we do not know are ignored, as RFC 7515 §4 wants, and may be long (certificates)."""

    max_header_length = 4096

    def __init__(self, algorithm: str | None = None) -> None:
        super().__init__(algorithms=[algorithm] if algorithm else None, strict_check_header=False)


_REGISTRIES: Final = {name: _Registry(name) for name in ASYMMETRIC}
_READING: Final = _Registry()


class _Issuer:
    """One issuer: its keys and all offers that speak for it."""

    def __init__(self, first: Offer, clock: Callable[[], datetime]) -> None:
        self.ring = KeyRing(first.provider, first.outside, clock)
        self.kind = type(first.provider)
        self.providers: list[IdentityProvider] = []


class Verifier:
    """Verifies tokens. Safe to use from several threads; ``verify`` may wait for an issuer's keys."""

    def __init__(
        self, offers: Callable[[], Iterable[Offer]], clock: Callable[[], datetime], *, remembered: int = 10_000
    ) -> None:
        """``offers`` is called again, at a bounded rate, when a token of an unknown issuer comes."""
        self._offers = offers
        self._clock = clock
        self._most = remembered
        self._issuers: dict[str, _Issuer] = {}
        self._looked: datetime | None = None
        self._verified: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._looking = threading.Lock()

    def known(self, token: bytes) -> Caller | None:
        """The caller of a token verified a short while ago and still valid; quick, for the event loop."""
        digest = hashlib.sha256(token).digest()
        with self._lock:
            entry = self._verified.get(digest)
            if entry is None:
                return None
            caller, until = entry
            if self._clock().timestamp() < until:
                self._verified.move_to_end(digest)
                return caller
            del self._verified[digest]
        return None

    def verify(self, token: bytes) -> Caller:
        """The caller of a token. Raises ``unauthenticated``, or ``not_ready`` while the issuer's keys are unknown."""
        signed, header, claims = _read(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        issuer = self._issuer(claims.get("iss"))
        if not isinstance(kid, str):
            _refuse("The token's header names no key (kid).")
        trusting = [one for one in issuer.providers if algorithm in one.algorithms and algorithm in ASYMMETRIC]
        if not trusting or not isinstance(algorithm, str):
            _refuse("The token's algorithm is not one that its issuer uses.")
        _check_signature(signed, algorithm, issuer.ring, kid)
        now = self._clock().timestamp()
        expires = _check_times(claims, now)
        caller = _caller(trusting, claims)
        self._remember(token, caller, min(expires + LEEWAY, now + REMEMBERED_FOR))
        return caller

    def look(self) -> None:
        """Ask the shops which issuers they believe; called again for a token of an unknown issuer."""
        found: dict[str, _Issuer] = {}
        for offer in self._offers():
            provider = offer.provider
            issuer = found.setdefault(provider.issuer, _Issuer(offer, self._clock))
            if reason := _unfit(provider, issuer):
                log.error("identity_provider_ignored", provider=provider.name, issuer=provider.issuer, reason=reason)
            else:
                issuer.providers.append(provider)
        for name, issuer in found.items():
            if name in self._issuers:
                issuer.ring = self._issuers[name].ring
        self._issuers = found
        self._looked = self._clock()

    def _issuer(self, name: object) -> _Issuer:
        if isinstance(name, str) and name not in self._issuers:
            self._look_again(name)
        if not isinstance(name, str) or name not in self._issuers:
            _refuse("The token's issuer is not one that a shop here believes.")
        return self._issuers[name]

    def _look_again(self, name: str) -> None:
        with self._looking:  # who comes second waits for the answer of the first
            recent = self._looked is not None and timedelta(0) <= self._clock() - self._looked < ASK_EVERY
            if name not in self._issuers and not recent:
                self.look()

    def _remember(self, token: bytes, caller: Caller, until: float) -> None:
        with self._lock:
            self._verified[hashlib.sha256(token).digest()] = (caller, until)
            if len(self._verified) > self._most:
                self._verified.popitem(last=False)


def _unfit(provider: IdentityProvider, issuer: _Issuer) -> str:
    """Why a provider is not believed: one plugin only may speak for an issuer, and only with public keys."""
    if not isinstance(provider, issuer.kind):
        return f"{issuer.kind.__name__} speaks for this issuer already"
    return "" if ASYMMETRIC.intersection(provider.algorithms) else "it uses no public keys"


def _refuse(detail: str, cause: BaseException | None = None) -> NoReturn:
    raise unauthenticated(detail) from cause


def _read(token: bytes) -> tuple[CompactSignature, dict[str, Any], dict[str, Any]]:
    if len(token) > LONGEST_TOKEN:
        _refuse(f"The token is longer than {LONGEST_TOKEN} bytes.")
    try:
        signed = jws.extract_compact(token, registry=_READING)
        header: Any = signed.headers()
        claims: Any = msgspec.json.decode(signed.payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        _refuse("The token is not a signed JWT.", error)
    if not isinstance(header, dict) or not isinstance(claims, dict):
        _refuse("The token is not a signed JWT.")
    if "crit" in header or "b64" in header:  # extensions that must be understood (RFC 7515 §4.1.11): we know none
        _refuse("The token is signed in a way that is not supported here (crit).")
    return signed, header, claims


def _check_signature(signed: CompactSignature, algorithm: str, ring: KeyRing, kid: str) -> None:
    key = ring.find(kid)
    if key is None:
        _refuse("The token's issuer has no key of this id (kid).")
    if key.alg not in (None, algorithm):
        _refuse("The token's key is not meant for its algorithm.")
    try:
        holds = jws.validate_compact(signed, key, registry=_REGISTRIES[algorithm])
    except (JoseError, ValueError) as error:
        _refuse("The token's signature cannot be checked with its key.", error)
    if not holds:
        _refuse("The token's signature does not hold.")


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """The moment at which the token expires. Raises ``unauthenticated`` outside its life, ±``LEEWAY``."""
    expires = _moment(claims, "exp")
    if expires is None:
        _refuse("The token has no expiry (exp).")
    if now > expires + LEEWAY:
        _refuse("The token has expired; get a new one.")
    for name in ("nbf", "iat"):
        begins = _moment(claims, name)
        if begins is not None and now < begins - LEEWAY:
            _refuse(f"The token is not valid yet ({name}); compare the clocks.")
    return expires


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        _refuse(f"The token's {name} is not a number.")
    return float(value)


def _caller(providers: Iterable[IdentityProvider], claims: dict[str, Any]) -> Caller:
    for provider in providers:
        if provider.accepts(claims):
            try:
                who = provider.principal(claims)
            except ValueError as error:
                _refuse(f"The token names nobody: {error}", error)
            return Caller(
                subject=who.subject,
                roles=who.roles,
                issuer=provider.issuer,
                customer_id=who.customer_id,
                stores=who.stores,
                claims=claims,
            )
    _refuse("The token is meant for another application (aud, azp).")
