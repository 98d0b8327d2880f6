"""What every promotion engine keeps: the same basket has the same discounts, and none is larger than its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import pytest
from hypothesis import seed
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.aftersale import SpecialPromotion
from tillhook.core.domain.basket import Basket, BasketLine, Discount, apply_discounts
from tillhook.core.domain.identifiers import gtin14
from tillhook.core.domain.store import Store
from tillhook.core.plugins.shapes import fits
from tillhook.core.roles.offers import PromotionEngine
from tillhook.core.testing.contracts.offered import OfferedContract
from tillhook.core.testing.strategies import baskets, moments, stores
from tillhook.core.testing.subject import Subject, build

Asked = tuple[Basket, Store, Sequence[SpecialPromotion], datetime]
_STRANGER: Final = (SpecialPromotion("no-such-program", ("no-such-qualifier",)),)
_TRIED: Final = 10
"""Times ``examples`` baskets among which one with a discount is looked for."""


class PromotionContract(OfferedContract):
    """Inherit it, name the plugin and its settings, and the goods that its promotions are about::

    class TestAcmePromotions(PromotionContract):
        plugin = AcmePromotions
        settings = {"three_for_two": ["9521234001010"]}
        goods = ("9521234001010",)
    """

    proves = ("promotion_engines",)
    offer = "promotion_engines"
    engine_name: ClassVar[str] = ""
    """Which engine, for a plugin that offers several."""
    goods: ClassVar[Sequence[str]] = ()
    """Barcodes that promotions are about: generated baskets hold some of them, and some of other goods."""
    special: ClassVar[Sequence[SpecialPromotion]] = ()
    """Qualifiers that open further promotions; half of the baskets come with them."""
    on_everything: ClassVar[bool] = False
    """Whether a promotion is about all goods, known or not."""

    @pytest.fixture
    def engine(self, subject: Subject) -> PromotionEngine:
        found: PromotionEngine = self.picked(subject, self.engine_name)
        return found

    def test_it_is_an_engine_with_a_name(self, engine: PromotionEngine) -> None:
        assert isinstance(engine, PromotionEngine)
        assert engine.name

    def test_some_basket_has_a_discount(self, engine: PromotionEngine) -> None:
        """Otherwise all the other promises would be about nothing."""
        found: list[Discount] = []

        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            found.extend(at for at in self.evaluate(engine, *asked).values() if at.amount)

        for number in range(_TRIED):
            seed(number)(check)()
            if found:
                return
        tried = _TRIED * self.examples
        pytest.fail(f"none of {tried} baskets has a discount: name in `goods` what the promotions are about")

    def test_every_discount_fits_its_line(self, engine: PromotionEngine) -> None:
        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            basket = asked[0]
            discounts = self.evaluate(engine, *asked)
            assert fits(dict(discounts), dict[int, Discount]), discounts
            lines = {line.line_no: line for line in basket.lines}
            assert discounts.keys() <= lines.keys(), f"discounts of lines that are not there: {discounts}"
            for number, discount in discounts.items():
                whole = lines[number].unit_price * lines[number].quantity
                assert 0 <= discount.amount <= whole, f"{discount} does not fit line {number}, which costs {whole}"
                assert not discount.amount or (discount.promotions and all(discount.promotions)), f"no name: {discount}"

        check()

    def test_the_basket_never_costs_less_than_nothing(self, engine: PromotionEngine) -> None:
        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            basket, _ = apply_discounts(asked[0], self.evaluate(engine, *asked))
            assert basket.total.minor >= 0

        check()

    def test_the_same_basket_has_the_same_discounts(self, engine: PromotionEngine, tmp_path: Any) -> None:
        other = self.picked(Subject(build(self.plugin, self.settings, tmp_path)), self.engine_name)

        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            first = self.evaluate(engine, *asked)
            assert self.evaluate(engine, *asked) == first, "the second time"
            assert self.evaluate(other, *asked) == first, "in another process"

        check()

    def test_the_order_of_the_lines_does_not_matter(self, engine: PromotionEngine) -> None:
        @self.for_any(self.asked(), st.randoms(use_true_random=False))
        def check(asked: Asked, random: Any) -> None:
            basket, store, special, now = asked
            lines = list(basket.lines)
            random.shuffle(lines)
            shuffled = replace(basket, lines=tuple(lines))
            assert self.evaluate(engine, shuffled, store, special, now) == self.evaluate(engine, *asked)

        check()

    def test_discounts_that_the_basket_has_already_do_not_count(self, engine: PromotionEngine) -> None:
        """The engine is asked again after each scan; whatever it said before is replaced."""

        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            basket, store, special, now = asked
            first = self.evaluate(engine, *asked)
            discounted, _ = apply_discounts(basket, first)
            assert self.evaluate(engine, discounted, store, special, now) == first

        check()

    def test_an_empty_basket_has_no_discounts(self, engine: PromotionEngine) -> None:
        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            basket, store, special, now = asked
            assert self.evaluate(engine, replace(basket, lines=()), store, special, now) == {}

        check()

    def test_goods_that_no_promotion_is_about_have_no_discounts(self, engine: PromotionEngine) -> None:
        if self.on_everything:
            pytest.skip("it has no goods without a promotion")
        ours = {gtin14(at) for at in self.goods}

        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            basket, store, special, now = asked
            strangers = tuple(line for line in basket.lines if line.gtin not in ours)
            found = self.evaluate(engine, replace(basket, lines=strangers), store, special, now)
            assert {number: at for number, at in found.items() if at.amount} == {}

        check()

    def test_a_qualifier_that_it_does_not_know_opens_nothing(self, engine: PromotionEngine) -> None:
        @self.for_any(self.asked())
        def check(asked: Asked) -> None:
            basket, store, special, now = asked
            assert self.evaluate(engine, basket, store, (*special, *_STRANGER), now) == self.evaluate(engine, *asked)

        check()

    # --- words of this suite

    def evaluate(
        self,
        engine: PromotionEngine,
        basket: Basket,
        store: Store,
        special: Sequence[SpecialPromotion],
        now: datetime,
    ) -> Mapping[int, Discount]:
        return self.use("evaluate", lambda: engine.evaluate(basket, store, special, now))

    def asked(self) -> st.SearchStrategy[Asked]:
        """What an engine is asked: a basket, its store, qualifiers and the time."""
        return _asked(self)

    def line_of_ours(self, line: BasketLine) -> st.SearchStrategy[BasketLine]:
        """The line without a discount, of its own goods or of ours."""
        bare = replace(line, discount=0, promotions=())
        ours = [replace(bare, barcode=at, gtin=gtin14(at), item_id=f"item_{at}", epcs=()) for at in self.goods]
        return st.sampled_from([bare, *ours, *ours])


@st.composite
def _asked(draw: st.DrawFn, suite: PromotionContract) -> Asked:
    currency = draw(st.sampled_from(tuple(suite.currencies)))
    basket = draw(baskets(currency))
    lines = tuple(draw(suite.line_of_ours(line)) for line in basket.lines)
    special = draw(st.sampled_from(((), tuple(suite.special))))
    return replace(basket, lines=lines), draw(stores(currency)), special, draw(moments)
