"""Shadows: a second calculator, engine or gateway is asked beside the live one, and where they differ is kept.

It is a delivery of its own, after the commit: no shopper waits for it, and nothing that it does can change the order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn

from msgspec.structs import replace

from tillhook.core.domain.basket import Basket
from tillhook.core.domain.comparison import (
    Asked,
    Comparison,
    Verdict,
    discount_differences,
    payment_differences,
    tax_differences,
)
from tillhook.core.domain.money import MAX_MINOR
from tillhook.core.domain.order import Order
from tillhook.core.domain.payment import OPEN, Captured, NotSent, Unknown
from tillhook.core.domain.problems import Problem
from tillhook.core.domain.receipt_render import printable
from tillhook.core.plugins.guard import said_of
from tillhook.core.roles.gateway import PaymentGateway
from tillhook.core.roles.offers import PromotionEngine, TaxCalculator
from tillhook.core.roles.outside import Answer, NotReached, Outside, OwnTables
from tillhook.core.services.answers import understood
from tillhook.core.services.asking import INQUIRE, payment_request
from tillhook.core.services.calculating import discounted, tax_of
from tillhook.core.services.platform import Platform
from tillhook.core.services.settling import Case, load_case
from tillhook.core.storage.payments import operations_of
from tillhook.core.storage.shadows import save_comparison

KEPT_FOR: Final = timedelta(days=30)
"""Comparisons are forgotten after this time."""

MOST_DIFFERENCES: Final = 20
LONGEST_DIFFERENCE: Final = 300
"""Characters of a difference that are kept."""

BUSY_SECONDS: Final = 0.1
"""So long a comparison waits for another one to end."""

_NOBODY: Final = "none"
Found = tuple[Verdict, tuple[str, ...], int]
"""Verdict, differences, by how much the shadow's sum is above the live one."""


def shadow_order(platform: Platform, order_id: str) -> str:
    """Compare an order's tax and discounts with the shadows'; in a few words what came of it."""
    return _in_turn(platform, lambda: _order(platform, load_case(platform, order_id)))


def shadow_payment(platform: Platform, order_id: str) -> str:
    """Compare a settled payment with what the shadow gateway says of it."""
    return _in_turn(platform, lambda: _payment(platform, load_case(platform, order_id)))


def _in_turn(platform: Platform, compare: Callable[[], str]) -> str:
    """One comparison at a time. Where another one takes long, this one is left out: duties need the thread."""
    if not platform.comparing.acquire(timeout=BUSY_SECONDS):
        return "not compared: another comparison takes long"
    try:
        return compare()
    finally:
        platform.comparing.release()


def _order(platform: Platform, case: Case) -> str:
    shop, order = case.shop, case.order
    said = []
    if shop.shadow.tax is not None:
        calculator = shop.shadow.tax
        found = _asked(lambda: _taxed(case, calculator))
        said.append(_keep(platform, case, Asked.TAX, shop.tax.name, calculator.name, found, order.created_at))
    if shop.shadow.promotions is not None:
        engine = shop.shadow.promotions
        live = shop.promotions.name if shop.promotions else _NOBODY
        found = _asked(lambda: _promoted(case, engine))
        said.append(_keep(platform, case, Asked.PROMOTION, live, engine.name, found, order.created_at))
    return ", ".join(said)


def _payment(platform: Platform, case: Case) -> str:
    gateway = case.shop.shadow.gateway
    if gateway is None:
        return ""
    if case.payment.status in OPEN:
        return "not compared: another attempt to pay is under way"  # what comes of it is compared when it is settled
    found = _asked(lambda: _inquired(platform, case, gateway))
    return _keep(platform, case, Asked.PAYMENT, case.payment.gateway, gateway.name, found, platform.clock())


def _asked(ask: Callable[[], Found]) -> tuple[Found, int]:
    """What came of it, and after how many milliseconds. Whatever a shadow raises is something to show, no more."""
    began = time.perf_counter()
    try:
        found = ask()
    except Problem as problem:
        found = Verdict.FAILED, (problem.detail,), 0
    except Exception as error:  # noqa: BLE001 - it is not ours; its text may hold what it must not
        found = Verdict.FAILED, (f"the shadow {said_of(error) or f'raised {type(error).__name__}'}",), 0
    if abs(found[2]) > MAX_MINOR:
        found = Verdict.FAILED, ("the shadow's sum cannot be one",), 0
    return found, round((time.perf_counter() - began) * 1000)


def _keep(
    platform: Platform, case: Case, asked: Asked, live: str, shadow: str, answer: tuple[Found, int], at: Any
) -> str:
    (verdict, differences, amount), milliseconds = answer
    comparison = Comparison(
        order_id=case.order.order_id,
        asked=asked,
        store_type=case.store.store_type,
        region=case.store.region,
        live=live,
        shadow=shadow,
        verdict=verdict,
        differences=tuple(printable(one)[:LONGEST_DIFFERENCE] for one in differences[:MOST_DIFFERENCES]),
        amount=amount,
        currency=case.order.total.currency,
        milliseconds=milliseconds,
        at=at,
    )
    platform.db.write(lambda tx: save_comparison(tx, comparison))
    return f"{asked.value} {verdict.value}"


def _found(differences: tuple[str, ...], amount: int) -> Found:
    return Verdict.DIFFERS if differences else Verdict.AGREED, differences, amount


def _taxed(case: Case, calculator: TaxCalculator) -> Found:
    live = case.order.tax
    tax = tax_of(case.shop, _basket(case.order), case.store, calculator)
    return _found(tax_differences(live, tax, case.order.total.currency), tax.total_tax - live.total_tax)


def _promoted(case: Case, engine: PromotionEngine) -> Found:
    shop, live, at = case.shop, _basket(case.order), case.order.created_at
    plain = replace(live, lines=tuple(replace(line, discount=0, promotions=()) for line in live.lines))
    customer = shop.ask("customer_for", customer_id=live.customer_id, store=case.store)
    answers = shop.ask_all("special_promotions_for", basket=plain, customer=customer, coupons=(), store=case.store)
    special = [promotion for answer in answers for promotion in answer]
    promoted, _ = discounted(shop, engine, plain, case.store, special, at, shadow=True)
    return _found(discount_differences(live, promoted), promoted.total.minor - live.total.minor)


def _basket(order: Order) -> Basket:
    """The basket as it was ordered."""
    return Basket(
        basket_id=order.basket_id,
        store_id=order.store_id,
        customer_id=order.customer_id,
        currency=order.total.currency,
        expires_at=order.created_at,
        lines=order.lines,
        last_line_no=max(line.line_no for line in order.lines),
    )


def _inquired(platform: Platform, case: Case, gateway: PaymentGateway) -> Found:
    entries = platform.db.read(lambda tx: operations_of(tx, case.payment.payment_id))
    operation = entries[-1].operation
    shop = case.shop
    answer = shop.use(
        gateway,
        INQUIRE,
        payment_request(case, operation),
        ReadingOnly(shop.outside(shop.owner(gateway), shadow=True)),
        seconds=_patience(platform),
        shadow=True,
    )
    outcome = understood(answer, operation)
    if isinstance(outcome, Unknown | NotSent):
        return Verdict.FAILED, (f"the shadow knows nothing of it: {outcome.reason}",), 0
    taken = outcome.amount.minor if isinstance(outcome, Captured) else 0
    return _found(payment_differences(case.payment, outcome), taken - case.payment.captured)


def _patience(platform: Platform) -> float:
    """As long as one call to the world may take, and not beyond what a delivery may take."""
    limits = platform.system.outside.timeout_seconds, platform.system.hooks.duty_seconds
    return min(at for at in limits if at > 0)  # 0: no limit


class ReadingOnly:
    """What is lent to a shadow: it may read at its provider, and nothing else."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @property
    def tables(self) -> OwnTables:
        raise NotReached("a shadow has no tables: it may only read at its provider")

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        if method.upper() != "GET" or json is not None or content is not None:
            raise NotReached(f"a shadow may only read: {method} was not sent")
        return self._outside.request(method, url, headers=headers, timeout=timeout)

    def publish(self, topic: str, *, key: str, value: Any) -> NoReturn:
        raise NotReached(f"a shadow may only read: nothing was published to {topic}")
