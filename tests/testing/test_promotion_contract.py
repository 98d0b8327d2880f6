"""The contract of promotion engines notices each broken promise, and an engine that keeps them all passes."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from tests.testing.broken import broken_promises
from tillhook import Basket, Config, Discount, Plugin, PromotionEngine, SpecialPromotion, Store, gtin14, hookimpl
from tillhook.core.testing.contracts.promotion import PromotionContract

GOODS = ("9521234001010", "9521234001027")
STAFF = SpecialPromotion("staff", ("all",))


class Settings(Config, frozen=True):
    three_for_two: tuple[str, ...] = ()


class SoundEngine:
    """Every third piece of some goods is free; staff has the half off what is left of them."""

    name = "acme"

    def __init__(self, settings: Settings) -> None:
        self.gtins = {gtin14(at) for at in settings.three_for_two}

    def evaluate(
        self, basket: Basket, store: Store, special: Sequence[SpecialPromotion], now: datetime
    ) -> Mapping[int, Discount]:
        staff = any(at.program == "staff" for at in special)
        found: dict[int, Discount] = {}
        for line in basket.lines:
            if line.gtin in self.gtins:
                off = line.quantity // 3 * line.unit_price
                left = line.unit_price * line.quantity - off
                names = (("3 for 2",) if off else ()) + (("Staff",) if staff else ())
                if names:
                    found[line.line_no] = Discount(off + (left // 2 if staff else 0), names)
        return found


class Acme(Plugin):
    Settings = Settings
    settings: Settings
    engine: ClassVar[Any] = SoundEngine

    @hookimpl
    def promotion_engines(self) -> Sequence[PromotionEngine]:
        return (self.engine(self.settings),)


class AcmeContract(PromotionContract):
    plugin = Acme
    settings: ClassVar[Mapping[str, Any]] = {"three_for_two": list(GOODS)}
    goods = GOODS
    special = (STAFF,)
    examples = 10


class TestAcme(AcmeContract):
    examples = 30


def with_engine(engine: type) -> type[Plugin]:
    return type(f"With{engine.__name__}", (Acme,), {"engine": engine})


class Changed(SoundEngine):
    def evaluate(
        self, basket: Basket, store: Store, special: Sequence[SpecialPromotion], now: datetime
    ) -> Mapping[int, Discount]:
        return self.changed(dict(super().evaluate(basket, store, special, now)), basket, special)

    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return found


class GivesTooMuch(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return {number: replace(at, amount=at.amount * 10 + 1) for number, at in found.items()}


class BrokenByGenerosity(AcmeContract):
    plugin = with_engine(GivesTooMuch)
    breaks: ClassVar[set[str]] = {
        "test_every_discount_fits_its_line",
        "test_the_basket_never_costs_less_than_nothing",
        "test_discounts_that_the_basket_has_already_do_not_count",
    }


class ChargesMore(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return {line.line_no: Discount(-1, ("Fee",)) for line in basket.lines if line.gtin in self.gtins}


class BrokenByFees(AcmeContract):
    plugin = with_engine(ChargesMore)
    breaks: ClassVar[set[str]] = {
        "test_every_discount_fits_its_line",
        "test_the_basket_never_costs_less_than_nothing",
        "test_discounts_that_the_basket_has_already_do_not_count",
    }


class GivesTheFirstLineAll(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        ours = [line for line in basket.lines if line.gtin in self.gtins]
        return {ours[0].line_no: Discount(min(1, ours[0].unit_price), ("First",))} if ours else {}


class BrokenByTheFirstLine(AcmeContract):
    plugin = with_engine(GivesTheFirstLineAll)
    examples = 40
    breaks: ClassVar[set[str]] = {"test_the_order_of_the_lines_does_not_matter"}


class DrawsLots(Changed):
    number = itertools.count()

    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return found if next(self.number) % 2 else {}


class BrokenByLots(AcmeContract):
    plugin = with_engine(DrawsLots)
    examples = 40
    breaks: ClassVar[set[str]] = {
        "test_the_same_basket_has_the_same_discounts",
        "test_the_order_of_the_lines_does_not_matter",
        "test_discounts_that_the_basket_has_already_do_not_count",
        "test_a_qualifier_that_it_does_not_know_opens_nothing",
    }


class OnlyOnce(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        had = {line.line_no for line in basket.lines if line.promotions}
        return {number: at for number, at in found.items() if number not in had}


class BrokenByWhatItSaidBefore(AcmeContract):
    plugin = with_engine(OnlyOnce)
    breaks: ClassVar[set[str]] = {"test_discounts_that_the_basket_has_already_do_not_count"}


class DiscountsNothing(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return {}


class BrokenByNothing(AcmeContract):
    plugin = with_engine(DiscountsNothing)
    breaks: ClassVar[set[str]] = {"test_some_basket_has_a_discount"}


class DiscountsStrangers(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        whole = {line.line_no: line.unit_price * line.quantity for line in basket.lines}
        return {number: Discount(amount // 10, ("10 %",)) for number, amount in whole.items()}


class BrokenByStrangers(AcmeContract):
    plugin = with_engine(DiscountsStrangers)
    breaks: ClassVar[set[str]] = {"test_goods_that_no_promotion_is_about_have_no_discounts"}


class TestOnEverything(AcmeContract):
    plugin = with_engine(DiscountsStrangers)
    on_everything = True


class BelievesEverybody(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return {number: replace(at, promotions=("Member",)) for number, at in found.items()} if special else found


class BrokenByBelief(AcmeContract):
    plugin = with_engine(BelievesEverybody)
    examples = 40
    breaks: ClassVar[set[str]] = {"test_a_qualifier_that_it_does_not_know_opens_nothing"}


class DiscountsTheEmptyBasket(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return found if basket.lines else {1: Discount(0, ())}


class BrokenByTheEmptyBasket(AcmeContract):
    plugin = with_engine(DiscountsTheEmptyBasket)
    breaks: ClassVar[set[str]] = {"test_an_empty_basket_has_no_discounts"}


class HasNoNames(Changed):
    def changed(self, found: dict[int, Discount], basket: Basket, special: Sequence[SpecialPromotion]) -> Any:
        return {number: replace(at, promotions=()) for number, at in found.items()}


class BrokenByNames(AcmeContract):
    plugin = with_engine(HasNoNames)
    examples = 40
    breaks: ClassVar[set[str]] = {"test_every_discount_fits_its_line"}


BROKEN = [suite for name, suite in list(globals().items()) if name.startswith("Broken")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return broken_promises(__file__, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("suite", BROKEN)
def test_a_broken_promise_is_noticed_and_no_other(suite: Any, broken: dict[str, set[str]]) -> None:
    assert broken[suite.__name__] == suite.breaks
