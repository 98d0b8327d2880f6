"""The public keys of one issuer: asked for when needed, never more often than a bound allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from tillhook.core.domain.problems import Problem, not_ready
from tillhook.core.roles.offers import IdentityProvider
from tillhook.core.roles.outside import Outside

ASK_EVERY: Final = timedelta(seconds=30)
"""An unknown key id leads to at most one question to the issuer in this time."""
BELIEVED_FOR: Final = timedelta(hours=1)
"""Older keys are asked for again, so that a withdrawn key is noticed; while the issuer is silent they still hold."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("tillhook.auth")


class KeyRing:
    """Keys by their id. Safe to use from several threads; may wait for the issuer, so never on the event loop."""

    def __init__(self, provider: IdentityProvider, outside: Outside, clock: Callable[[], datetime]) -> None:
        self._provider = provider
        self._outside = outside
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._asked: datetime | None = None
        self._answered: datetime | None = None
        self._lock = threading.Lock()

    def find(self, kid: str) -> Key | None:
        """The key, or None when the issuer has none of this id.

        Raises the problem ``not_ready`` while the issuer has never been reached: such a token is neither good nor bad.
        """
        known = self._keys.get(kid)
        if known is not None and self._recent(self._answered, BELIEVED_FOR):
            return known
        # Who waits here for a key that is known would gain nothing by it.
        if self._lock.acquire(blocking=known is None):
            try:
                if not self._recent(self._asked, ASK_EVERY):
                    self._ask()
            finally:
                self._lock.release()
        if self._answered is None:
            raise self._silent()
        return self._keys.get(kid)

    def _recent(self, moment: datetime | None, span: timedelta) -> bool:
        # A clock set back must not make "recent" last for ever.
        return moment is not None and timedelta(0) <= self._clock() - moment < span

    def _ask(self) -> None:
        self._asked = self._clock()
        try:
            document = self._provider.keys(self._outside)
            self._keys = _read(document)
        except Exception as error:  # noqa: BLE001 - a plugin and the network: whatever it is, the old keys hold
            log.warning("issuer_keys_unavailable", issuer=self._provider.issuer, error=repr(error))
            return
        self._answered = self._asked

    def _silent(self) -> Problem:
        seconds = int(ASK_EVERY.total_seconds())
        return not_ready(
            f"The identity provider {self._provider.issuer} cannot be reached, so its tokens cannot be checked.",
            retry_after=seconds,
        )


def _read(document: Mapping[str, Any]) -> dict[str, Key]:
    """The signing keys of a JWK set; keys of an unknown kind or without an id are left out (RFC 7517 §5)."""
    found: dict[str, Key] = {}
    for jwk in document["keys"]:
        kid = jwk.get("kid")
        if not isinstance(kid, str) or jwk.get("use", "sig") != "sig" or jwk.get("kty") == "oct":
            continue
        try:
            found[kid] = JWKRegistry.import_key(dict(jwk))
        except (JoseError, ValueError) as error:
            log.warning("issuer_key_unreadable", kid=kid, error=repr(error))
    return found
