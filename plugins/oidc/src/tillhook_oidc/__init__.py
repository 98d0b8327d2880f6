"""Shoppers and staff who sign in with an OpenID Connect provider: Keycloak as it comes, others by settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tillhook import Config, IdentityProvider, Plugin, hookimpl

from .provider import OpenIdProvider

__all__ = ["Oidc", "OidcSettings", "OpenIdProvider"]


class OidcSettings(Config, frozen=True):
    """One issuer. ``audiences`` or ``clients`` must name us: another application's token is not for us."""

    issuer: str
    """Exactly as in the tokens (``iss``), e.g. ``https://id.example/realms/shop``."""
    jwks_url: str = ""
    """Where the public keys are; empty: as the issuer's ``/.well-known/openid-configuration`` says."""
    audiences: tuple[str, ...] = ()
    """Tokens are for us when ``aud`` names one of these …"""
    clients: tuple[str, ...] = ()
    """… or were made for one of these applications (``azp``, ``client_id``): Keycloak may leave us out of ``aud``."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    """What the issuer signs with; anything else is refused, whatever the token says."""
    roles_claim: tuple[str, ...] = ("realm_access", "roles")
    """The path to the list of the provider's roles."""
    roles: Mapping[str, str] = {}
    """The provider's role → ours (shopper, guest, staff, device, operator); empty: the names are the same."""
    default_role: str = ""
    """The role of whoever has none of those, such as ``shopper``; empty: nobody gets in."""
    customer_claim: str = "user_id"
    """The customer's id; where it is missing the subject is used."""
    stores_claim: str = "stores"
    """The list of stores that staff and devices are bound to."""


class Oidc(Plugin):
    """Offers the identity provider that the settings describe."""

    hookspec_version = 2
    Settings = OidcSettings
    settings: OidcSettings

    @hookimpl
    def identity_providers(self) -> Sequence[IdentityProvider]:
        return (OpenIdProvider(self.settings),)
