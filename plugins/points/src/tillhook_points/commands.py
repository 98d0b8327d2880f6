"""``tillhook points``: for whoever sits at the machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import click

from tillhook import Errand

from . import book


def commands(scheme_of: Callable[[Errand], str], expire: Callable[[Errand], int]) -> tuple[click.Command, ...]:
    """The commands of one place, whose settings are behind the two functions."""

    @click.command()
    @click.argument("customer_id")
    @click.pass_obj
    def balance(errand: Errand, customer_id: str) -> None:
        """Say what CUSTOMER_ID has, and what changed it last."""
        scheme = scheme_of(errand)
        held, entries = errand.outside.tables.read(
            lambda tx: (
                book.balance_of(tx, scheme, customer_id, errand.now),
                book.entries_of(tx, scheme, customer_id, 10),
            )
        )
        if held is None:
            raise click.ClickException(f"nobody of the scheme {scheme} is called {customer_id}")
        click.echo(f"{customer_id}\t{held} points")
        for kind, points, reference, reason, at in entries:
            when = datetime.fromtimestamp(at, UTC)
            click.echo(f"{when:%Y-%m-%d %H:%M}\t{points:+d}\t{kind}\t{reference}\t{reason}".rstrip())

    @click.command(name="expire")
    @click.pass_obj
    def expire_now(errand: Errand) -> None:
        """Take the points that have expired, as the schedule does each day."""
        gone = expire(errand)
        click.echo(f"{gone} points expired" if gone else "no points have expired")

    return balance, expire_now
