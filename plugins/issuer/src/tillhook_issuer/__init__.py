"""An issuer of identity tokens for stores that have no identity provider of their own.

Nothing else has to run: the key pair is made on first use and kept in one file. Tokens look like Keycloak's, so that
apps need not change when a real provider takes over.
"""

from __future__ import annotations

from collections.abc import Sequence

from tillhook import Config, IdentityProvider, Plugin, hookimpl

from .keyfile import KeyFile
from .tokens import EmbeddedIssuer

__all__ = ["EmbeddedIssuer", "Issuer", "IssuerSettings", "KeyFile"]


class IssuerSettings(Config, frozen=True):
    """Who the tokens are from and for."""

    issuer: str = "http://127.0.0.1/issuer"
    """The name in every token (``iss``); nothing is asked at this address."""
    key_file: str = "issuer-key.json"
    """The private key (JWK), made with mode 0600 if missing; a relative path starts at the working directory."""
    audience: str = "tillhook"
    """For whom the tokens are (``aud``); others are not believed."""
    longest_seconds: int = 7 * 24 * 3600
    """No token lives longer."""


class Issuer(Plugin):
    """Offers one identity provider that can make tokens as well."""

    hookspec_version = 2
    Settings = IssuerSettings
    settings: IssuerSettings

    @hookimpl
    def identity_providers(self) -> Sequence[IdentityProvider]:
        settings = self.settings
        return (
            EmbeddedIssuer(
                settings.issuer,
                KeyFile(settings.key_file),
                audience=settings.audience,
                longest_seconds=settings.longest_seconds,
            ),
        )
