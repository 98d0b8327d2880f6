"""The scheme as its members, its staff and its neighbours meet it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tillhook import (
    CompletedOrder,
    Errand,
    Money,
    Pair,
    Permanent,
    Platform,
    Principal,
    Problem,
    ReceiptType,
    Refund,
    Store,
    TaxResult,
)
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.tables import own_tables
from tillhook_points import Adjustment, ImportedBalance, Points, PointsSettings

NOW = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
STORE = Store("sto_1", "corner", "DK", "Corner 1", "DKK", "Europe/Copenhagen", "corner", "1")
STAFF = Principal("staff", frozenset({"staff"}), "issuer", None, frozenset({"sto_1"}))


def order(order_id: str = "ord_1", *, minor: int = 1999, customer_id: str = "cus_1", at: datetime = NOW) -> Any:
    return CompletedOrder(
        order_id=order_id,
        o_id=1,
        transaction_number=1,
        transaction_id_poslog="1",
        store_id="sto_1",
        customer_id=customer_id,
        basket_id="bsk_1",
        platform=next(iter(Platform)),
        business_day_date=at.date(),
        created_at=at,
        completed_at=at,
        total=Money(minor, "DKK"),
        lines=(),
        tax=TaxResult(included=True, total_tax=0, breakup=(), by_line=()),
        tenders=(),
    )


def shopper(customer_id: str) -> Principal:
    return Principal(customer_id, frozenset({"shopper"}), "issuer", customer_id)


class Scheme:
    """The plugin with its tables, and its rooms by name."""

    def __init__(self, plugin: Points, outside: RecordingOutside) -> None:
        self.plugin = plugin
        self.outside = outside
        self.now = NOW

    def errand(self, **more: Any) -> Errand:
        return Errand(**{"store": STORE, "outside": self.outside, "now": self.now, **more})

    def earn(self, *args: Any, **more: Any) -> str:
        return self.plugin.update_loyalty(order(*args, **more), STORE, self.outside).reference

    def refund(self, minor: int, refund_id: str = "rfd_1", *, order_id: str = "ord_1") -> str:
        refund = Refund(refund_id, order_id, "sto_1", Money(minor, "DKK"), (), "broken", self.now)
        return self.plugin.fulfil_refund(refund, order(order_id), STORE, self.outside).reference

    def take_in(self, points: int, reference: str = "old-1", *, scheme: str = "corner", region: str = "DK") -> None:
        errand = self.errand(store=None, store_type="corner", region=region)
        self.plugin.topics()[1].consume(errand, ImportedBalance("cus_1", scheme, points, reference))

    def read(self, customer_id: str, who: Principal = STAFF) -> int:
        route = self.plugin.routes()[0]
        return route.handler(self.errand(path={"customer_id": customer_id}, who=who)).points

    def adjust(self, points: int, reference: str, customer_id: str = "cus_1") -> int:
        body = Adjustment(points=points, reason="a broken toy", reference=reference)
        route = self.plugin.routes()[1]
        return route.handler(self.errand(path={"customer_id": customer_id}, body=body, who=STAFF)).points

    def expire(self) -> None:
        self.plugin.schedules()[0].run(self.errand(store=None, store_type="corner", region="DK"))

    def told(self) -> list[bytes]:
        return [message.value for message in self.outside.messages]


@pytest.fixture
def scheme(tmp_path: Path) -> Iterator[Scheme]:
    plugin = Points(PointsSettings())
    with own_tables(plugin, tmp_path) as tables:
        yield Scheme(plugin, RecordingOutside(tables=tables))


def test_points_are_whole_units_of_what_was_paid(scheme: Scheme) -> None:
    assert scheme.earn(minor=1999) == "19 points, 19 in all"
    assert scheme.read("cus_1") == 19


def test_an_order_gives_its_points_once_however_often_the_duty_runs(scheme: Scheme) -> None:
    for _ in range(3):
        assert scheme.earn("ord_1") == "19 points, 19 in all"
    assert scheme.earn("ord_2") == "19 points, 38 in all"


def test_a_sale_of_nothing_gives_nothing_and_writes_nothing(scheme: Scheme) -> None:
    assert scheme.earn(minor=99) == "no points"
    assert scheme.told() == []


def test_every_change_is_told_with_the_balance_after_it(scheme: Scheme) -> None:
    scheme.earn()
    (message,) = scheme.outside.messages
    assert (message.topic, message.key) == ("points.changed", "cus_1")
    assert b'"balance":19' in message.value


def test_a_sale_and_the_word_of_it_are_never_one_without_the_other(
    scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens after the points are written and before they are told."""

    def crash(topic: str, **_: Any) -> None:
        raise SystemExit(topic)

    with monkeypatch.context() as broken:
        broken.setattr(scheme.outside, "publish", crash)
        with pytest.raises(SystemExit):
            scheme.earn()
    assert scheme.told() == []
    assert scheme.earn() == "19 points, 19 in all"
    assert len(scheme.told()) == 1
    scheme.earn()
    assert len(scheme.told()) == 1, "told once, however often the duty runs"


def test_a_refund_takes_back_what_its_money_had_earned(scheme: Scheme) -> None:
    scheme.earn(minor=1999)
    for _ in range(2):
        assert scheme.refund(500) == "-5 points, 14 in all"


def test_a_refund_of_spent_points_takes_what_is_left(scheme: Scheme) -> None:
    scheme.earn(minor=1999)
    scheme.adjust(-18, "a prize")
    assert scheme.refund(1999) == "-1 points, 0 in all"


def test_many_small_refunds_take_as_much_as_a_large_one(scheme: Scheme) -> None:
    """Each of them alone is less than a point."""
    scheme.earn(minor=1999)
    for number in range(20):
        scheme.refund(99, f"rfd_{number}")
    assert scheme.read("cus_1") == 0
    scheme.refund(19)
    assert scheme.read("cus_1") == 0


def test_a_refund_takes_no_more_than_its_order_gave(scheme: Scheme) -> None:
    scheme.earn("ord_1", minor=1999)
    scheme.earn("ord_2", minor=1000)
    assert scheme.refund(500_000) == "-19 points, 10 in all"
    assert scheme.refund(1000, "rfd_2", order_id="ord_9") == "0 points, 10 in all", "an order from before the scheme"


def test_a_refund_that_overtakes_its_sale_is_remembered(scheme: Scheme) -> None:
    """Both are duties: that of the sale may have failed at first."""
    assert scheme.refund(1500) == "0 points, 0 in all"
    assert scheme.earn(minor=1999) == "4 points, 4 in all"
    assert scheme.refund(499, "rfd_2") == "-4 points, 0 in all"


def test_a_refund_goes_by_the_measure_of_its_sale(scheme: Scheme) -> None:
    scheme.earn(minor=1999)
    scheme.plugin = Points(PointsSettings(points_per_unit=0))
    assert scheme.refund(1999) == "-19 points, 0 in all"


def test_points_expire_after_their_days_and_not_before(scheme: Scheme) -> None:
    scheme.earn("ord_1")
    scheme.now = NOW + timedelta(days=300)
    scheme.earn("ord_2", at=scheme.now)
    scheme.now = NOW + timedelta(days=365) - timedelta(seconds=1)
    scheme.expire()
    assert scheme.read("cus_1") == 38
    scheme.now += timedelta(seconds=1)
    assert scheme.read("cus_1") == 19, "what has expired does not count, also before the schedule came by"
    scheme.expire()
    scheme.expire()
    assert scheme.read("cus_1") == 19
    assert sum(b"EXPIRED" in value for value in scheme.told()) == 1


def test_points_that_expire_first_are_used_first(scheme: Scheme) -> None:
    scheme.earn("ord_1", minor=1000)
    scheme.now = NOW + timedelta(days=100)
    scheme.earn("ord_2", minor=1000, at=scheme.now)
    scheme.adjust(-12, "a prize")
    scheme.now = NOW + timedelta(days=365)
    scheme.expire()
    assert scheme.read("cus_1") == 8, "the ten that expired had been used"


def test_what_expires_when_something_else_is_booked_is_told_too(scheme: Scheme) -> None:
    scheme.earn("ord_1", minor=1000)
    scheme.now = NOW + timedelta(days=366)
    scheme.earn("ord_2", minor=500, at=scheme.now)
    told = [(at["kind"], at["points"], at["balance"]) for at in map(msgspec.json.decode, scheme.told())]
    assert told == [("EARNED", 10, 10), ("EXPIRED", -10, 0), ("EARNED", 5, 5)]


def test_members_without_end_are_expired_a_few_at_a_time(scheme: Scheme) -> None:
    for number in range(205):
        scheme.earn(f"ord_{number}", customer_id=f"cus_{number}")
    scheme.now = NOW + timedelta(days=366)
    scheme.expire()
    assert {scheme.read(f"cus_{number}") for number in range(205)} == {0}


def test_a_shopper_sees_nobody_but_themselves(scheme: Scheme) -> None:
    scheme.earn()
    assert scheme.read("cus_1", shopper("cus_1")) == 19
    with pytest.raises(Problem) as stranger:
        scheme.read("cus_1", shopper("cus_2"))
    with pytest.raises(Problem) as nobody:
        scheme.read("cus_9", shopper("cus_2"))
    assert stranger.value.code == nobody.value.code == "not_found"


def test_an_adjustment_is_made_once_for_its_reference(scheme: Scheme) -> None:
    assert [scheme.adjust(50, "a complaint") for _ in range(2)] == [50, 50]
    assert scheme.adjust(-20, "another") == 30


@pytest.mark.parametrize(
    ("points", "reference", "says"),
    [
        (-51, "too much", "cus_1 has 50 points: 51 cannot be taken"),
        (0, "nothing", "changes nothing"),
        (60, "a complaint", "was used for +50 points: use a new one"),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused_and_changes_nothing(
    scheme: Scheme, points: int, reference: str, says: str
) -> None:
    scheme.adjust(50, "a complaint")
    with pytest.raises(Problem, match=re.escape(says)) as refused:
        scheme.adjust(points, reference)
    assert refused.value.code == "plugin_refused"
    assert scheme.read("cus_1") == 50


def test_an_imported_balance_counts_once_also_when_several_places_consume_it(scheme: Scheme) -> None:
    for region in ("DK", "SE"):
        scheme.take_in(700, region=region)
    assert scheme.read("cus_1") == 700


def test_an_imported_balance_counts_in_its_scheme_only(scheme: Scheme) -> None:
    """Every store type that has the plugin gets the message."""
    scheme.take_in(700, scheme="kiosk")
    with pytest.raises(Problem, match="no member"):
        scheme.read("cus_1")


def test_an_import_that_contradicts_an_earlier_one_is_refused(scheme: Scheme) -> None:
    scheme.take_in(700)
    with pytest.raises(Permanent, match="'old-1' was used for 700 points"):
        scheme.take_in(800)
    assert scheme.read("cus_1") == 700


def test_schemes_do_not_share_their_members(scheme: Scheme) -> None:
    scheme.earn()
    other = scheme.errand(store=None, store_type="kiosk", region="DK", path={"customer_id": "cus_1"}, who=STAFF)
    with pytest.raises(Problem, match="no member"):
        scheme.plugin.routes()[0].handler(other)


def test_the_receipt_shows_points_but_a_gift_receipt_does_not(scheme: Scheme) -> None:
    assert scheme.plugin.receipt_fields_for(ReceiptType.ORDER, order(), STORE) == (Pair("Points", "+19"),)
    assert scheme.plugin.receipt_fields_for(ReceiptType.GIFT, order(), STORE) == ()
    assert scheme.plugin.receipt_fields_for(ReceiptType.ORDER, order(minor=50), STORE) == ()


def test_the_page_begins_with_those_who_have_most(scheme: Scheme) -> None:
    scheme.earn("ord_1", minor=1000, customer_id="cus_1")
    scheme.earn("ord_2", minor=3000, customer_id="cus_2")
    page = scheme.plugin.pages()[0].handler(scheme.errand(who=STAFF))
    figures, table = page.blocks
    assert figures.figures == {"Members": "2", "Points": "40"}
    assert table.rows == (("cus_2", "30"), ("cus_1", "10"))
