"""The fixture ``till_shop``: a whole shop around one plugin that need not be installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tillhook import CompletedOrder, Config, Fulfilled, Outside, Plugin, PosLog, Secret, hookimpl
from tillhook.core.testing.shop import TillShop


class TillShopSettings(Config, frozen=True, kw_only=True):
    api_key: Secret
    topic: str = "sales"
    rates: Mapping[str, int] = {}


class Kiosk(Plugin):
    Settings = TillShopSettings
    settings: TillShopSettings

    @hookimpl
    def poslog_for(self, order: CompletedOrder) -> PosLog | None:
        return PosLog("text/plain", f"{order.transaction_id_poslog} {order.total}")

    @hookimpl
    def fulfil_order(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        outside.publish(self.settings.topic, key=order.order_id, value={"total": order.total.minor})
        return Fulfilled(self.settings.api_key.reveal()[:7])


def test_a_sale_goes_through_the_plugin(till_shop: Callable[..., TillShop]) -> None:
    settings = {"api_key": "env:KIOSK_KEY", "topic": 'sales "today"', "rates": {"two words": 2}}
    shop = till_shop(Kiosk, settings=settings)
    sale = shop("test/DK").scan("9521234001010", times=2).scan("9521234002017").pay()
    shop.do_duties()

    assert shop.published('sales "today"') == [{"total": 11550}]
    (done,) = (at for at in sale.order().timeline if at.plugin == "kiosk")
    assert (done.step, done.state, done.detail) == ("fulfil_order", "DONE", "planted")


def test_a_payment_can_be_declined(till_shop: Callable[..., TillShop]) -> None:
    till = till_shop(Kiosk, settings={"api_key": "env:KIOSK_KEY"})("test/DK").scan("9521234001010")
    assert till.paid(decline=True).status == "REJECTED"
    assert till.pay().order().order_status == "COMPLETED"


def test_two_shops_stand_side_by_side(till_shop: Callable[..., TillShop]) -> None:
    one, other = (till_shop(Kiosk, settings={"api_key": "env:KIOSK_KEY"}) for _ in range(2))
    one("test/DK").scan("9521234001010").pay()
    one.do_duties()
    assert (len(one.published("sales")), len(other.published("sales"))) == (1, 0)


def test_what_has_no_form_in_toml_is_refused(till_shop: Callable[..., TillShop]) -> None:
    with pytest.raises(TypeError, match="a setting cannot be"):
        till_shop(Kiosk, settings={"api_key": object()})
