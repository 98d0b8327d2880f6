"""The contract of every plugin notices each broken promise, and a plugin that keeps them all passes."""

from __future__ import annotations

import itertools
import logging
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog

from tests.testing.promises import is_noticed
from tillhook import (
    Answer,
    CompletedOrder,
    Config,
    Fulfilled,
    ItemFeed,
    NoAnswer,
    NotReached,
    Order,
    Outside,
    Payment,
    Permanent,
    Plugin,
    Refund,
    RetryLater,
    Secret,
    SettlementEntry,
    Store,
    hookimpl,
)
from tillhook.core.testing.contracts import PluginContract
from tillhook.core.testing.outside import RecordingOutside


class HonestSettings(Config, frozen=True, kw_only=True):
    api_key: Secret
    refunds: bool = True


class Honest(Plugin):
    """Keeps every promise; the plugins below break one each."""

    Settings = HonestSettings
    settings: HonestSettings

    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        answer = outside.request(
            "POST",
            f"https://back-office.example/{path}",
            headers={"Authorization": f"Bearer {self.settings.api_key.reveal()}"},
            json=body,
            idempotency_key=key,
        )
        if answer.status != 200:
            raise RetryLater(f"the back office answered {answer.status}")
        return Fulfilled(answer.json()["receipt"])

    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        return self.post(outside, "sales", order.order_id, {"total": order.total.minor})

    @hookimpl
    def fulfil_refund(self, refund: Refund, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        if not self.settings.refunds:
            raise Permanent("refunds are switched off: a person must book them")
        return self.post(outside, "refunds", refund.refund_id, {"amount": refund.amount.minor})

    @hookimpl
    def payment_declined(self, order: Order, payment: Payment) -> None:
        logging.getLogger("honest").info("declined: %s", payment.payment_id)

    @hookimpl
    def settlement_columns_for(self, entry: SettlementEntry) -> dict[str, str]:
        return {"provider": entry.provider}


class HonestContract(PluginContract):
    plugin = Honest
    settings: ClassVar[Mapping[str, Any]] = {"api_key": "env:ACME_KEY"}
    switched_off: ClassVar[Mapping[str, Mapping[str, Any]]] = {"fulfil_refund": {"refunds": False}}

    def lend(self) -> Outside:
        return RecordingOutside(Answer(200, {}, b'{"receipt": "R-1"}'))


class TestHonest(HonestContract):
    examples = 10


class Revealing(Honest):
    def __init__(self, settings: HonestSettings) -> None:
        super().__init__(settings)
        self.header = f"Bearer {settings.api_key.reveal()}"


class OffersNoFeed(Honest):
    @hookimpl
    def item_feeds(self) -> Sequence[ItemFeed]:
        return ("not a feed",)  # type: ignore[return-value]


class AnswersANumberForAReference(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return Fulfilled(order.transaction_number)  # type: ignore[arg-type]


class AnswersNews(Honest):
    @hookimpl
    def payment_declined(self, payment: Payment) -> None:
        return payment.payment_id  # type: ignore[return-value]


class CountsNews(Honest):
    declined = 0

    @hookimpl
    def payment_declined(self, payment: Payment) -> None:
        self.declined += 1


class Hangs(Honest):
    @hookimpl
    def settlement_columns_for(self, entry: SettlementEntry) -> dict[str, str]:
        while True:
            time.sleep(1)


class CallsByItself(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        with socket.create_connection(("192.0.2.1", 80)):
            return None


class CallsByItselfAndHidesIt(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        try:
            socket.create_connection(("192.0.2.1", 80)).close()
        except OSError:
            return Fulfilled()
        return None


class RaisesItsKey(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        raise ValueError(f"the back office refused the key {self.settings.api_key.reveal()}")


class RaisesFromItsKey(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        try:
            int(self.settings.api_key.reveal())
        except ValueError as error:
            raise RetryLater("the key is no number") from error
        return None


class AnswersItsKey(Honest):
    @hookimpl
    def settlement_columns_for(self, entry: SettlementEntry) -> dict[str, str]:
        return {"key": self.settings.api_key.reveal()}


class AnswersTheCard(Honest):
    @hookimpl
    def settlement_columns_for(self, entry: SettlementEntry) -> dict[str, str]:
        card = str(entry.raw["card"])
        return {"card": " ".join(card[at : at + 4] for at in range(0, 16, 4))}


class LogsItsKey(Honest):
    @hookimpl
    def payment_declined(self, payment: Payment) -> None:
        logging.getLogger("acme.quiet").debug("asked with %s", self.settings.api_key.reveal())


class LogsItsKeyAsAField(Honest):
    @hookimpl
    def payment_declined(self, payment: Payment) -> None:
        logging.getLogger("acme").info("asked", extra={"with_key": self.settings.api_key.reveal()})


class LogsTheCard(Honest):
    @hookimpl
    def payment_declined(self, payment: Payment) -> None:
        structlog.get_logger().warning("declined", said=payment.message)


class LogsWhatWasRaised(Honest):
    @hookimpl
    def payment_declined(self, payment: Payment) -> None:
        try:
            int(payment.message)
        except ValueError:
            structlog.get_logger().exception("declined")


class PrintsTheCard(Honest):
    @hookimpl
    def payment_declined(self, payment: Payment) -> None:
        print(payment.message, file=sys.stderr)


class PublishesItsKey(Honest):
    @hookimpl
    def fulfil_order(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        outside.publish("sales", key=order.order_id, value={"key": self.settings.api_key.reveal()})
        return None


class Counting(Honest):
    serial = itertools.count()

    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        return super().post(outside, path, key, {**body, "serial": next(self.serial)})


class NewKeyEachTime(Honest):
    serial = itertools.count()

    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        return super().post(outside, path, f"{key}-{next(self.serial)}", body)


class NoKey(Honest):
    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        outside.request("POST", f"https://back-office.example/{path}", json=body)
        return Fulfilled()


class OneKeyForAll(Honest):
    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        return super().post(outside, path, "sale", body)


class OneKeyForAllRefundsOfAnOrder(Honest):
    @hookimpl
    def fulfil_refund(self, refund: Refund, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        if not self.settings.refunds:
            return None
        return self.post(outside, "refunds", order.order_id, {"amount": refund.amount.minor})


class SwallowsFailures(Honest):
    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        try:
            return super().post(outside, path, key, body)
        except (NotReached, NoAnswer, RetryLater):
            return Fulfilled(key)


class GivesUp(Honest):
    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        try:
            return super().post(outside, path, key, body)
        except Exception as error:
            raise Permanent("the back office is away") from error


class DoesNotLookAtTheStatus(Honest):
    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        outside.request("POST", "https://back-office.example/sales", json=body, idempotency_key=key)
        return Fulfilled()


class MakesSomethingOfHalfAnAnswer(Honest):
    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        answer = outside.request("POST", "https://back-office.example/sales", json=body, idempotency_key=key)
        if answer.status != 200:
            raise RetryLater("no")
        return Fulfilled(answer.body.decode().partition('"receipt": "')[2].rstrip('"}'))


class RemembersTooEarly(Honest):
    def __init__(self, settings: HonestSettings) -> None:
        super().__init__(settings)
        self._sent: set[tuple[int, str]] = set()

    def post(self, outside: Outside, path: str, key: str, body: Any) -> Fulfilled:
        if (id(outside), key) in self._sent:
            return Fulfilled("R-1")
        self._sent.add((id(outside), key))
        return super().post(outside, path, key, body)


class IgnoresItsSwitch(Honest):
    @hookimpl
    def fulfil_refund(self, refund: Refund, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return self.post(outside, "refunds", refund.refund_id, {"amount": refund.amount.minor})


class RefusesTooLate(Honest):
    @hookimpl
    def fulfil_refund(self, refund: Refund, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        done = self.post(outside, "refunds", refund.refund_id, {"amount": refund.amount.minor})
        if not self.settings.refunds:
            raise Permanent("refunds are switched off")
        return done


ANY_SALE = "test_every_hook_answers_any_sale_with_what_it_promises"
TWICE = "test_a_duty_done_twice_is_done_the_same_way"
TOLD_APART = "test_the_other_side_can_tell_a_repetition_from_another_sale"
NO_ANSWER = "test_a_duty_that_got_no_answer_does_not_claim_to_be_done"
WELL_AGAIN = "test_when_the_world_is_well_again_a_duty_is_done_once_more_under_the_same_key"
BROKEN = [
    (Revealing, "test_no_setting_shows_a_secret", "planted"),
    (OffersNoFeed, "test_every_offer_is_what_it_says", "item_feeds offers"),
    (AnswersANumberForAReference, ANY_SALE, "fulfil_order answered"),
    (AnswersNews, ANY_SALE, "payment_declined answered"),
    (CountsNews, "test_news_that_is_told_twice_does_no_harm", "changes the plugin"),
    (CallsByItself, ANY_SALE, "fulfil_order opens a connection of its own .*192.0.2.1"),
    (CallsByItselfAndHidesIt, ANY_SALE, "fulfil_order opens a connection of its own"),
    (RaisesItsKey, ANY_SALE, "a secret of the settings in the error"),
    (RaisesFromItsKey, ANY_SALE, "a secret of the settings in the error"),
    (AnswersItsKey, ANY_SALE, "a secret of the settings in its answer"),
    (AnswersTheCard, ANY_SALE, "a card number in its answer"),
    (LogsItsKey, ANY_SALE, "a secret of the settings in a log record of acme.quiet"),
    (LogsItsKeyAsAField, ANY_SALE, "a secret of the settings in a log record of acme"),
    (LogsTheCard, ANY_SALE, "a card number in a structlog event"),
    (LogsWhatWasRaised, ANY_SALE, "a card number in a structlog event"),
    (PrintsTheCard, ANY_SALE, "a card number in standard error"),
    (PublishesItsKey, ANY_SALE, "a secret of the settings in the journal"),
    (Counting, TWICE, "fulfil_order says something else the second time"),
    (NewKeyEachTime, TWICE, "says something else the second time"),
    (NoKey, TOLD_APART, "without a key"),
    (OneKeyForAll, TOLD_APART, "the second is taken for the first"),
    (OneKeyForAllRefundsOfAnOrder, TOLD_APART, "fulfil_refund sends .* for two of them"),
    (SwallowsFailures, NO_ANSWER, "claims to be done after not_reached"),
    (GivesUp, NO_ANSWER, "gives up after not_reached"),
    (DoesNotLookAtTheStatus, "test_a_duty_that_was_refused_does_not_claim_to_be_done", "was answered 401"),
    (MakesSomethingOfHalfAnAnswer, "test_half_an_answer_is_not_taken_for_a_whole_one", "of half an answer"),
    (NewKeyEachTime, WELL_AGAIN, "does not repeat its call|under another key"),
    (RemembersTooEarly, WELL_AGAIN, "does not repeat its call after not_reached"),
    (IgnoresItsSwitch, "test_what_is_switched_off_is_not_done", "fulfil_refund is switched off and calls"),
    (RefusesTooLate, "test_what_is_switched_off_is_not_done", "fulfil_refund is switched off and calls"),
]


@pytest.mark.parametrize(
    ("broken", "promise", "because"),
    BROKEN,
    ids=[f"{broken.__name__}-{promise[5:30]}" for broken, promise, _ in BROKEN],
)
def test_a_broken_promise_is_noticed(broken: type[Plugin], promise: str, because: str, tmp_path: Path) -> None:
    is_noticed(HonestContract, broken, promise, because, tmp_path)


def test_a_hook_that_hangs_is_named(tmp_path: Path) -> None:
    class Impatient(HonestContract):
        patience = 0.2

    is_noticed(Impatient, Hangs, ANY_SALE, r"Hangs.settlement_columns_for hangs: it did not end within 0.2 s", tmp_path)


def test_a_suite_for_hooks_that_the_plugin_does_not_have_fails(tmp_path: Path) -> None:
    class ForTags(HonestContract):
        proves = ("mark_epcs_sold",)

    is_noticed(ForTags, Honest, "test_it_implements_what_this_suite_is_for", "none of mark_epcs_sold", tmp_path)


def test_a_hook_without_its_mark_keeps_the_plugin_out() -> None:
    class Unmarked(Plugin):
        Settings = HonestSettings

    Unmarked.poslog_for = lambda self, order, store: None  # type: ignore[method-assign]
    suite = type("Suite", (HonestContract,), {"plugin": Unmarked})()
    with pytest.raises(AssertionError):
        suite.test_the_plugin_has_no_fault_that_would_keep_it_out()
