"""The contract for loyalty notices each broken promise, and a plugin that keeps them all passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.testing.promises import is_noticed
from tillhook import Answer, CompletedOrder, Config, Fulfilled, Outside, Plugin, RetryLater, Store, hookimpl
from tillhook.core.testing.contracts import LoyaltyContract
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.subject import Subject
from tillhook.core.testing.troubles import Line

COUPONS = ("summer", "members")


class Stamps(Plugin):
    """Keeps every promise; the plugins below break one each."""

    Settings = Config

    def points(self, order: CompletedOrder) -> int:
        return order.total.minor // 100

    @hookimpl
    def update_loyalty(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        if not order.customer_id:
            return None
        return self.post(outside, "points", f"{order.order_id}-points", {"points": self.points(order)})

    @hookimpl
    def redeem_coupons(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        used = sorted({name for line in order.lines if line.discount for name in line.promotions} & set(COUPONS))
        return self.post(outside, "coupons", f"{order.order_id}-coupons", {"used": used}) if used else None

    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled | None:
        answer = outside.request("POST", f"https://stamps.example/{path}", json=body, idempotency_key=key)
        if answer.status != 200:
            raise RetryLater(f"the stamps answered {answer.status}")
        return None


class Programme(RecordingOutside):
    """The other side: gives points once for each key."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, bytes] = {}

    def request(self, method: str, url: str, **call: Any) -> Answer:
        if url.endswith("/points"):
            self.given.setdefault(call.get("idempotency_key") or f"call {len(self.given)}", b"")
        return super().request(method, url, **call)


class StampsContract(LoyaltyContract):
    plugin = Stamps
    guests = ("",)
    programs = COUPONS
    lent: ClassVar[list[Programme]] = []

    def lend(self) -> Outside:
        self.lent.append(Programme())
        return self.lent[-1]

    def balance(self, subject: Subject, line: Line, order: CompletedOrder, store: Store) -> int | None:
        return len(self.lent[-1].given)


class TestStamps(StampsContract):
    examples = 10


class TakesPoints(Stamps):
    def points(self, order: CompletedOrder) -> int:
        return -super().points(order)


class GivesThemEachTime(Stamps):
    @hookimpl
    def update_loyalty(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        outside.request("POST", f"https://stamps.example/{order.order_id}/points", json={"points": self.points(order)})
        return None


class TellsOfGuests(Stamps):
    @hookimpl
    def update_loyalty(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        return self.post(outside, "points", order.order_id, {"points": self.points(order)})


class UsesUpEverything(Stamps):
    @hookimpl
    def redeem_coupons(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        return self.post(outside, "coupons", f"{order.order_id}-coupons", {"used": COUPONS})


class ForgetsTheSecond(Stamps):
    @hookimpl
    def redeem_coupons(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        used = sorted({name for line in order.lines for name in line.promotions} & set(COUPONS))[:1]
        return self.post(outside, "coupons", f"{order.order_id}-coupons", {"used": used}) if used else None


class CallsForNothing(Stamps):
    @hookimpl
    def redeem_coupons(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        used = sorted({name for line in order.lines for name in line.promotions} & set(COUPONS))
        return self.post(outside, "coupons", f"{order.order_id}-coupons", {"used": used})


BROKEN = [
    (TakesPoints, "test_points_are_never_negative", "-"),
    (GivesThemEachTime, "test_an_order_gives_its_points_once_however_often_it_is_told", "given twice"),
    (TellsOfGuests, "test_a_guest_calls_nobody", "update_loyalty tells of the guest"),
    (UsesUpEverything, "test_only_what_discounted_the_order_is_used_up", r"used up are \['members', 'summer'\]"),
    (ForgetsTheSecond, "test_only_what_discounted_the_order_is_used_up", r"used up are \['members'\]"),
    (CallsForNothing, "test_only_what_discounted_the_order_is_used_up", "somebody is called"),
]


@pytest.mark.parametrize(("broken", "promise", "because"), BROKEN)
def test_a_broken_promise_is_noticed(broken: type[Plugin], promise: str, because: str, tmp_path: Path) -> None:
    is_noticed(StampsContract, broken, promise, because, tmp_path)


def test_two_calls_of_one_order_under_one_key_are_noticed(tmp_path: Path) -> None:
    """Without a balance to read, the keys are what can be looked at."""

    class TwoUnderOneKey(Stamps):
        @hookimpl
        def update_loyalty(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
            for path in ("points", "profile"):
                self.post(outside, path, order.order_id, {"points": 1})
            return None

    class Unread(LoyaltyContract):
        plugin = Stamps

    promise = "test_an_order_gives_its_points_once_however_often_it_is_told"
    is_noticed(Unread, TwoUnderOneKey, promise, "share a key", tmp_path)
