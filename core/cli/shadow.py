"""``tillhook shadow``: where a second plugin, asked beside the live one, says something else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from tillhook.core.cli.faults import Unusable
from tillhook.core.cli.output import say, show_json, show_table
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.domain.comparison import Comparison
    from tillhook.core.storage.shadows import Tally


@click.group()
def shadow() -> None:
    """Compare plugins that are tried in the shadow of the live ones.

    A layer names them: shadow.calculator, shadow.engine, shadow.gateway.
    """


@shadow.command()
@click.option("--store-type", metavar="TYPE", help="Of this store type only.")
@click.option("--days", type=click.IntRange(1, 30), default=7, show_default=True, help="How far back to look.")
@click.option("--limit", type=click.IntRange(0, 1000), default=20, show_default=True, help="So many differences.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with tallies and differences.")
@pass_session
def report(session: Session, store_type: str | None, days: int, limit: int, as_json: bool) -> None:
    """Show how often each shadow agreed, and the newest orders in which it did not.

    \b
    Example:
      tillhook shadow report --store-type demo --days 1
    """
    from tillhook.core.storage.shadows import disagreements, tallies

    with session.system() as assembled:
        layers, now, db = assembled.configuration.layers, assembled.platform.clock(), assembled.platform.db
        since = now - timedelta(days=days)
        if store_type is not None and store_type not in layers.store_types():
            from tillhook.core.config.errors import nearest

            raise Unusable(f"{layers.file}: no store type {store_type!r}{nearest(store_type, layers.store_types())}")
        counted = db.read(lambda tx: tallies(tx, since=since, store_type=store_type))
        found = db.read(lambda tx: disagreements(tx, since=since, limit=limit, store_type=store_type))
    if as_json:
        show_json({"tallies": counted, "differences": found})
        return
    show_table(
        ("Store type", "Asked", "Live", "Shadow", "Compared", "Agreed", "Differs", "Failed", "Sum of differences"),
        [_tallied(one) for one in counted],
        nothing=f"no shadow was asked within {days} days: a layer names it, such as shadow.calculator",
    )
    if found:
        say()
        show_table(("Order", "Asked", "Shadow", "Verdict", "At", "What differs"), [_shown(one) for one in found])


def _tallied(one: Tally) -> tuple[object, ...]:
    from tillhook.core.domain.money import Money

    compared = one.agreed + one.differs + one.failed
    counts = (compared, one.agreed, one.differs, one.failed)
    return one.store_type, one.asked.value, one.live, one.shadow, *counts, str(Money(one.amount, one.currency))


def _shown(one: Comparison) -> tuple[object, ...]:
    at = f"{one.at:%Y-%m-%d %H:%M}"
    return one.order_id, one.asked.value, one.shadow, one.verdict.value, at, "; ".join(one.differences)
