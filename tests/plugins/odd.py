"""A plugin that does what the test says instead of answering, beside one that answers, in a shop with short limits."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.plugins.guests import STORE, CashGateway, NoTax, hosting
from tillhook import (
    Customer,
    Discount,
    Fulfilled,
    PaymentGateway,
    Plugin,
    PromotionEngine,
    ScanCode,
    SpecialPromotion,
    Taxable,
    TaxCalculator,
    TaxResult,
    hookimpl,
)
from tillhook.core.config.system import HookLimits
from tillhook.core.plugins.crew import Crew
from tillhook.core.plugins.guard import Guard
from tillhook.core.plugins.shop import Shop

HERE = "tests/plugins/odd.py"
SHORT = 0.1
LIMITS = HookLimits(
    question_seconds=SHORT, news_seconds=SHORT, duty_seconds=SHORT, offer_seconds=SHORT, breaker_cuts=3, at_once=3
)


class Leaves(BaseException):
    """Neither an Exception nor an exit."""


release = threading.Event()


def hang() -> Any:
    release.wait(20)


def spin() -> Any:
    while True:
        pass


def leave() -> Any:
    sys.exit(3)


def cancel() -> Any:
    raise Leaves


def nonsense() -> Any:
    return object()


HANGING = {"hangs": hang, "spins": spin}
WAYS: Mapping[str, Callable[[], Any]] = {**HANGING, "leaves": leave, "cancels": cancel, "answers nonsense": nonsense}


class Odd(Plugin):
    """Does instead of everything what the test says."""

    does: Callable[[], Any] = staticmethod(nonsense)

    @hookimpl
    def customer_for(self) -> Any:
        return self.does()

    @hookimpl
    def scan_for(self) -> Any:
        return self.does()

    @hookimpl
    def problems_for(self) -> Any:
        return self.does()

    @hookimpl
    def special_promotions_for(self) -> Any:
        return self.does()

    @hookimpl
    def order_completed(self) -> Any:
        return self.does()

    @hookimpl
    def fulfil_order(self) -> Any:
        return self.does()


heard: list[str] = []


class Sound(Plugin):
    """Answers as promised."""

    @hookimpl
    def customer_for(self, customer_id: str) -> Customer | None:
        return Customer(customer_id, STORE.store_type)

    @hookimpl
    def scan_for(self, code: str) -> ScanCode | None:
        return ScanCode(code, "00000000000001")

    @hookimpl
    def problems_for(self) -> Sequence[str]:
        return ["too heavy"]

    @hookimpl
    def special_promotions_for(self) -> Sequence[SpecialPromotion]:
        return [SpecialPromotion("tiers", ("GOLD",))]

    @hookimpl
    def order_completed(self) -> None:
        heard.append("order_completed")

    @hookimpl
    def fulfil_order(self) -> Fulfilled | None:
        return Fulfilled("ref")


class OddGateway(CashGateway):
    def __init__(self) -> None:
        super().__init__("odd", ("credit_card",))

    def authorise(self, request: Any, outside: Any) -> Any:
        return Odd.does()

    def inquire(self, request: Any, outside: Any) -> Any:
        return request


class OddTax(NoTax):
    name = "odd"

    def evaluate(self, lines: Sequence[Taxable], store: Any) -> TaxResult:
        found: TaxResult = Odd.does()
        return found


class OddEngine:
    name = "odd"

    def evaluate(self, basket: Any, store: Any, special: Any, now: Any) -> Mapping[int, Discount]:
        found: Mapping[int, Discount] = Odd.does()
        return found


class Offers(Plugin):
    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (OddGateway(),)

    @hookimpl
    def tax_calculators(self) -> Sequence[TaxCalculator]:
        return (OddTax(),)

    @hookimpl
    def promotion_engines(self) -> Sequence[PromotionEngine]:
        return (OddEngine(),)


class Bench:
    """A shop with ``Odd``, then ``Sound``, behind a guard with short limits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.crew = Crew()
        self.cuts: list[tuple[str, str]] = []
        self.seen: list[tuple[str, str, bool]] = []
        guard = Guard(
            LIMITS,
            observe_cut=lambda plugin, hook: self.cuts.append((plugin, hook)),
            clock=lambda: self.now,
            crew=self.crew,
        )
        plugins: dict[str, type[Plugin]] = {"odd": Odd, "sound": Sound, "offers": Offers}
        layer = {"plugins": ["till", *plugins], "promotion": {"engine": "odd"}}
        host = hosting({"demo": layer, "kiosk": layer}, plugins, self._observe, guard)
        self.shop: Shop = host.shop(STORE)
        self.kiosk: Shop = host.shop_for("kiosk", "SE")

    def _observe(self, plugin: str, hook: str, seconds: float, failed: bool) -> None:
        self.seen.append((plugin, hook, failed))

    def everything_ended(self) -> bool:
        until = time.monotonic() + 20
        while self.crew.stuck() and time.monotonic() < until:
            time.sleep(0.005)
        return not self.crew.stuck()
