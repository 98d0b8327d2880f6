"""Points: a loyalty scheme kept in tables of its own.

It uses every room that a plugin can have: tables, routes, a page, commands, a schedule, topics; and duties that give
points once, however often they run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from tillhook import (
    CompletedOrder,
    Config,
    Errand,
    Fulfilled,
    Money,
    Outside,
    Page,
    PageFigures,
    PageTable,
    Pair,
    Permanent,
    Plugin,
    PluginCommand,
    PluginPage,
    PluginRoute,
    PluginTables,
    ReceiptType,
    Refund,
    Row,
    Schedule,
    Store,
    Topic,
    hookimpl,
    not_found,
    plugin_refused,
)

from . import book
from .commands import commands

__all__ = ["Adjustment", "ImportedBalance", "Member", "Points", "PointsChanged", "PointsSettings"]

STAFF: Final = frozenset({"staff", "operator"})
EVERYBODY: Final = STAFF | {"shopper"}
CHANGED: Final = "points.changed"
IMPORT: Final = "points.import"
DAY: Final = 86_400
AT_A_TIME: Final = 100
"""Members in one transaction of the schedule: on SQLite every sale waits for it."""
SHOWN: Final = 50

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Reference = Annotated[str, Meta(min_length=1, max_length=100)]


class PointsSettings(Config, frozen=True, kw_only=True):
    """The scheme of a store type."""

    points_per_unit: Annotated[int, Meta(ge=0, le=1000)] = 1
    """For each whole unit of the currency that is paid."""
    expiry_days: Annotated[int, Meta(ge=0, le=36_500)] = 365
    """After so many days points expire; 0: never."""
    scheme: Annotated[str, Meta(max_length=64)] = ""
    """Places with the same scheme share balances, so a customer id must mean the same person in all of them; empty:
    those of the same store type."""
    label: str = "Points"
    """What points are called on the receipt."""


class Member(Struct, frozen=True):
    """A member as the API shows it."""

    customer_id: str
    points: int


class Adjustment(Config, frozen=True, kw_only=True):
    """Points that staff gives or takes. The same ``reference`` is booked once."""

    points: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    reference: Reference


class PointsChanged(Struct, frozen=True):
    """The message of ``points.changed``: what a member has after a change."""

    customer_id: str
    scheme: str
    kind: str
    points: int
    balance: int
    reference: str


class ImportedBalance(Struct, frozen=True):
    """The message of ``points.import``: points that a member brings along from another system."""

    customer_id: Name
    scheme: Name
    """Where they count; nowhere else, though every place that has the plugin gets the message."""
    points: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    reference: Reference


class Points(Plugin):
    """Loyalty points: earned with each order, shown on the receipt, kept in tables of its own."""

    hookspec_version = 2
    Settings = PointsSettings
    settings: PointsSettings

    # --- what a sale does

    @hookimpl
    def update_loyalty(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled:
        if not self._earns(order):
            return Fulfilled("no points")
        sale = book.Change(
            order.customer_id,
            book.Kind.EARNED,
            0,
            order.order_id,
            order.completed_at,
            expires_at=self._expiry(order.completed_at),
            order_id=order.order_id,
            amount=order.total.minor,
            per_unit=self.settings.points_per_unit,
        )
        scheme, points_for = self._scheme(store.store_type), _points_in(order.total.currency)
        booked = self._book(outside, scheme, lambda tx: book.earn(tx, scheme, sale, points_for))
        return Fulfilled(f"{booked.points} points, {booked.balance} in all")

    @hookimpl
    def fulfil_refund(self, refund: Refund, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled:
        """What was earned with the money that goes back, as far as it is still there."""
        if not order.customer_id:
            return Fulfilled("no points")
        back = book.Change(
            order.customer_id,
            book.Kind.TAKEN_BACK,
            0,
            refund.refund_id,
            refund.refunded_at,
            refund.reason,
            order_id=order.order_id,
            amount=refund.amount.minor,
        )
        scheme, points_for = self._scheme(store.store_type), _points_in(order.total.currency)
        booked = self._book(outside, scheme, lambda tx: book.take_back(tx, scheme, back, order.total.minor, points_for))
        return Fulfilled(f"{booked.points} points, {booked.balance} in all")

    @hookimpl
    def receipt_fields_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Sequence[Row]:
        """Not on a gift receipt: points tell the price."""
        points = self._earns(order) if receipt_type is ReceiptType.ORDER else 0
        return (Pair(self.settings.label, f"+{points}"),) if points else ()

    # --- rooms of its own

    @hookimpl
    def tables(self) -> Sequence[PluginTables]:
        return (PluginTables("points", "tillhook_points"),)

    @hookimpl
    def routes(self) -> Sequence[PluginRoute]:
        return (
            PluginRoute(
                "GET", "/members/{customer_id}", EVERYBODY, self._read, answer=Member, summary="What a member has"
            ),
            PluginRoute(
                "POST",
                "/members/{customer_id}/adjustments",
                STAFF,
                self._adjust,
                answer=Member,
                body=Adjustment,
                summary="Give points, or take some",
            ),
        )

    @hookimpl
    def pages(self) -> Sequence[PluginPage]:
        return (PluginPage("/members", "Members", STAFF, self._page),)

    @hookimpl
    def commands(self) -> Sequence[PluginCommand]:
        return tuple(PluginCommand(one) for one in commands(self._scheme_of, self._expire))

    @hookimpl
    def schedules(self) -> Sequence[Schedule]:
        return (Schedule("expire", DAY, self._expire_daily),)

    @hookimpl
    def topics(self) -> Sequence[Topic]:
        return (
            Topic(CHANGED, True, "customer_id", PointsChanged),
            Topic(IMPORT, False, "customer_id", ImportedBalance, self._import),
        )

    # --- what happens in them

    def _read(self, errand: Errand) -> Member:
        customer_id, who = errand.path["customer_id"], errand.who
        assert who is not None, "a route is never called without a caller"
        held = None
        if who.roles & STAFF or who.customer_id == customer_id:
            held = errand.outside.tables.read(
                lambda tx: book.balance_of(tx, self._scheme_of(errand), customer_id, errand.now)
            )
        if held is None:  # a stranger learns as little as about somebody who does not exist
            raise not_found(f"There is no member {customer_id!r} of yours.", customer_id=customer_id)
        return Member(customer_id, held)

    def _adjust(self, errand: Errand) -> Member:
        customer_id, wanted = errand.path["customer_id"], errand.body
        if not 0 < len(customer_id) <= 64:
            raise plugin_refused("A customer id has 1 to 64 characters.")
        if not wanted.points:
            raise plugin_refused("An adjustment of no points changes nothing.")
        change = book.Change(
            customer_id,
            book.Kind.ADJUSTED,
            wanted.points,
            wanted.reference,
            errand.now,
            wanted.reason,
            self._expiry(errand.now) if wanted.points > 0 else None,
        )
        scheme = self._scheme_of(errand)
        try:
            booked = self._book(errand.outside, scheme, lambda tx: book.book(tx, scheme, change))
        except book.NotEnough as error:
            raise plugin_refused(
                f"{customer_id} has {error.balance} points: {-wanted.points} cannot be taken.", balance=error.balance
            ) from error
        if booked.points != wanted.points:
            raise plugin_refused(
                f"The reference {wanted.reference!r} was used for {booked.points:+d} points: use a new one.",
                reference=wanted.reference,
            )
        return Member(customer_id, booked.balance)

    def _page(self, errand: Errand) -> Page:
        scheme = self._scheme_of(errand)
        (members, points), rows = errand.outside.tables.read(
            lambda tx: (book.totals(tx, scheme), book.highest(tx, scheme, SHOWN))
        )
        return Page(
            f"Members of {scheme}",
            (
                PageFigures({"Members": f"{members}", "Points": f"{points}"}),
                PageTable(
                    ("Member", "Points"),
                    tuple((customer_id, f"{balance}") for customer_id, balance in rows),
                    title=f"The highest balances, {SHOWN} at most",
                    nothing="Nobody has earned points yet.",
                ),
            ),
        )

    def _expire_daily(self, errand: Errand) -> None:
        self._expire(errand)

    def _expire(self, errand: Errand) -> int:
        """How many points are gone."""
        scheme, outside, total = self._scheme_of(errand), errand.outside, 0

        def some(tx: Any) -> tuple[book.Entry, ...]:
            gone = book.expire(tx, scheme, errand.now, members=AT_A_TIME)
            self._tell(outside, scheme, gone)
            return gone

        while gone := outside.tables.write(some):
            total -= sum(entry.points for entry in gone)
        return total

    def _import(self, errand: Errand, message: ImportedBalance) -> None:
        scheme = self._scheme_of(errand)
        if message.scheme != scheme:
            return
        change = book.Change(
            message.customer_id,
            book.Kind.IMPORTED,
            message.points,
            message.reference,
            errand.now,
            expires_at=self._expiry(errand.now),
        )
        booked = self._book(errand.outside, scheme, lambda tx: book.book(tx, scheme, change))
        if booked.points != message.points:
            raise Permanent(f"the reference {message.reference!r} was used for {booked.points} points: use a new one")

    def _book(self, outside: Outside, scheme: str, act: Callable[[Any], book.Booked]) -> book.Booked:
        """Book, and tell of it in the same unit of work: neither is ever without the other."""

        def work(tx: Any) -> book.Booked:
            booked = act(tx)
            self._tell(outside, scheme, booked.entries)
            return booked

        booked: book.Booked = outside.tables.write(work)
        return booked

    def _tell(self, outside: Outside, scheme: str, entries: Sequence[book.Entry]) -> None:
        for at in entries:
            if at.points:
                message = PointsChanged(at.customer_id, scheme, at.kind.value, at.points, at.balance, at.reference)
                outside.publish(CHANGED, key=at.customer_id, value=message)

    def _earns(self, order: CompletedOrder) -> int:
        """The points of a whole order; none without a customer."""
        points_for = _points_in(order.total.currency)
        return points_for(order.total.minor, self.settings.points_per_unit) if order.customer_id else 0

    def _expiry(self, since: datetime) -> datetime | None:
        return since + timedelta(days=self.settings.expiry_days) if self.settings.expiry_days else None

    def _scheme_of(self, errand: Errand) -> str:
        return self._scheme(errand.store_type)

    def _scheme(self, store_type: str) -> str:
        return self.settings.scheme or store_type


def _points_in(currency: str) -> book.PointsFor:
    """Whole points for whole units of this currency; none for a sale that pays out."""
    return lambda minor, per_unit: max(int(Money(minor, currency).decimal * per_unit), 0)
