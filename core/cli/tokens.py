"""Bearer tokens from the embedded issuer, for trying things out and for machines without a sign-in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import click

from tillhook.core.cli.faults import Trouble
from tillhook.core.cli.output import is_terminal, say
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from datetime import datetime

    from tillhook.core.plugins.shop import Shop
    from tillhook.core.services.platform import Platform

ROLES = ("shopper", "guest", "staff", "device", "operator")
BOUND = ("staff", "device")
"""Their tokens name the stores that they are for."""


def issue(
    shop: Shop,
    role: str,
    *,
    now: datetime,
    hours: float,
    customer_id: str | None = None,
    stores: Collection[str] = (),
) -> str:
    """A token that the shop believes. Raises Trouble when none of its plugins makes tokens."""
    from tillhook.core.roles.offers import Principal, TokenIssuer

    for provider in shop.identity_providers:
        if isinstance(provider, TokenIssuer):
            who = Principal(
                subject=customer_id or role,
                roles=frozenset({role}),
                issuer=provider.issuer,
                customer_id=customer_id,
                stores=frozenset(stores) or None,
            )
            try:
                return provider.issue(who, now=now, seconds=round(hours * 3600))
            except ValueError as error:
                raise Trouble(f"no token could be made: {error}") from error
    raise Trouble(
        f"no plugin of store type {shop.store_type} makes tokens: switch on one that does (`issuer`), "
        "or get a token from the identity provider that is configured"
    )


def _shop_for(platform: Platform, stores: Collection[str]) -> Shop:
    """The shop whose issuer is asked: that of ``stores``, else the only issuer there is."""
    from tillhook.core.roles.offers import TokenIssuer

    if stores:
        shops = [platform.host.shop(platform.store(store_id)) for store_id in stores]
    else:
        shops = list(platform.host.shops())
    issuers = {
        provider.issuer: shop
        for shop in reversed(shops)
        for provider in shop.identity_providers
        if isinstance(provider, TokenIssuer)
    }
    if len(issuers) > 1:
        raise Trouble(f"several issuers could make it ({', '.join(sorted(issuers))}): name a store of one with --store")
    if issuers:
        return next(iter(issuers.values()))
    if shops:
        return shops[0]
    raise Trouble("no store type is ready to make a token: `tillhook plugins` says why")


@click.command()
@click.option("--role", type=click.Choice(ROLES), default="shopper", show_default=True, help="Who carries the token.")
@click.option("--store", "stores", multiple=True, metavar="ID", help="A store it is for; may be repeated.")
@click.option("--customer", metavar="ID", help="Whose baskets and orders; default: a new shopper.")
@click.option("--hours", type=click.FloatRange(min=0.01), default=12, show_default=True, help="How long it is valid.")
@pass_session
def token(session: Session, role: str, stores: tuple[str, ...], customer: str | None, hours: float) -> None:
    """Make a bearer token with the embedded issuer and print it.

    \b
    Example:
      curl -H "Authorization: Bearer $(tillhook token --role shopper)" http://127.0.0.1:8000/orders/v1/
      tillhook token --role staff --store sto_demo_dk --hours 8
    """
    if role in BOUND and not stores:
        raise click.UsageError(f"a {role} token is for certain stores: name them with --store ID")
    with session.system(migrated=bool(stores)) as assembled:
        platform = assembled.platform
        if role in {"shopper", "guest"} and customer is None:
            customer = platform.new_id("cus" if role == "shopper" else "gst")
        made = issue(
            _shop_for(platform, stores), role, now=platform.clock(), hours=hours, customer_id=customer, stores=stores
        )
    say(made)
    if is_terminal():
        click.echo(_described(role, customer, stores, hours), err=True)


def _described(role: str, customer: str | None, stores: Iterable[str], hours: float) -> str:
    where = f" for {', '.join(stores)}" if stores else ""
    return f"{role}{f' {customer}' if customer else ''}{where}, valid for {hours:g} h"
