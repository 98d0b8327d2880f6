"""What the offered calculators say, checked before anybody is charged by it.

Whatever a calculator raises or makes up becomes one problem that names it: nothing is ordered on such a basis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NoReturn

import msgspec

from tillhook.core.domain.aftersale import SpecialPromotion
from tillhook.core.domain.basket import Basket, Changed, Discount, apply_discounts
from tillhook.core.domain.problems import Problem, plugin_failed
from tillhook.core.domain.store import Store
from tillhook.core.domain.tax import Taxable, TaxResult
from tillhook.core.plugins.guard import said_of
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.offers import PromotionEngine, TaxCalculator


def tax_of(shop: Shop, basket: Basket, store: Store, calculator: TaxCalculator | None = None) -> TaxResult:
    """The tax of a basket, by the shop's calculator, or by another that is its shadow.

    Raises ``plugin_failed``, or the calculator's own problem.
    """
    shadow, calculator = calculator is not None, calculator or shop.tax
    lines = [Taxable(at.line_no, at.tax_code, at.amount) for at in basket.lines]
    try:
        answer = shop.use(calculator, "evaluate", lines, store, shadow=shadow)
        tax = msgspec.convert(msgspec.to_builtins(answer), TaxResult)
        _check(tax, basket)
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 - it is not ours; whatever it raises, the order cannot be made
        _failed(shop, "tax calculator", calculator, error)
    return tax


def discounted(
    shop: Shop,
    engine: PromotionEngine,
    basket: Basket,
    store: Store,
    special: Sequence[SpecialPromotion],
    now: datetime,
    *,
    shadow: bool = False,
) -> Changed:
    """The basket with an engine's discounts. Raises ``plugin_failed``, or the engine's own problem."""
    try:
        answer = msgspec.to_builtins(shop.use(engine, "evaluate", basket, store, special, now, shadow=shadow))
        return apply_discounts(basket, msgspec.convert(answer, Mapping[int, Discount]))
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        _failed(shop, "promotion engine", engine, error)


def _check(tax: TaxResult, basket: Basket) -> None:
    by_line = dict(tax.by_line)
    if len(by_line) != len(tax.by_line) or by_line.keys() != {line.line_no for line in basket.lines}:
        raise ValueError("its taxes by line are not those of the basket's lines")
    if tax.total_tax < 0 or sum(by_line.values()) != tax.total_tax:
        raise ValueError(f"its total of {tax.total_tax} is below zero, or not the sum of its lines")
    if tax.included and tax.total_tax > basket.total.minor:
        raise ValueError(f"its total of {tax.total_tax} is included in a smaller price")


def _failed(shop: Shop, kind: str, calculator: TaxCalculator | PromotionEngine, error: Exception) -> NoReturn:
    # A ValueError is how a calculator says what it cannot do; the text of anything else may hold what it must not.
    said = said_of(error) or (str(error) if isinstance(error, ValueError) else type(error).__name__)
    raise plugin_failed(
        f"the {kind} {calculator.name!r} failed: {said}", calculator=calculator.name, plugin=shop.owner(calculator)
    ) from error
