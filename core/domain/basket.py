"""The basket: lines, their prices, and the audit row of every change.

A basket is a frozen value. Each decision returns the next basket and the price modifications (the audit rows)
that lead to it; the sum of a basket's audit rows is its total, always.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tillhook.core.domain.money import Money
from tillhook.core.domain.problems import (
    basket_expired,
    basket_full,
    basket_ordered,
    epc_already_in_basket,
    item_not_for_sale,
    line_not_found,
    quantity_invalid,
    wrong_currency,
)
from tillhook.core.domain.store import Item

MAX_QUANTITY: Final = 9_999


class BasketStatus(StrEnum):
    """OPEN can change; ORDERED waits for its order's end; EXPIRED is over (bought or left behind)."""

    OPEN = "OPEN"
    ORDERED = "ORDERED"
    EXPIRED = "EXPIRED"


class ChangeKind(StrEnum):
    """Why a total moved (ARTS price modification / platform audit log)."""

    SCAN = "SCAN"
    QUANTITY = "QUANTITY"
    REMOVAL = "REMOVAL"
    PROMOTION = "PROMOTION"
    TAX = "TAX"


class BasketLine(Struct, frozen=True):
    """One line; ``unit_price`` is a snapshot of the moment of the scan. Amounts are minor units of the basket."""

    line_no: int
    item_id: str
    gtin: str
    barcode: str
    name: str
    tax_code: str
    quantity: int
    unit_price: int
    discount: int = 0
    """Taken off the whole line by promotions, ≥ 0."""
    promotions: tuple[str, ...] = ()
    epcs: tuple[str, ...] = ()
    retailer_product_id: str = ""
    max_quantity: int = 0

    @property
    def amount(self) -> int:
        return self.unit_price * self.quantity - self.discount


class PriceModification(Struct, frozen=True):
    """One audit row: by how much the total moved, why, and the total after it (minor units)."""

    sequence: int
    kind: ChangeKind
    line_no: int
    amount: int
    total: int
    reason: str


class Discount(Struct, frozen=True):
    """A promotion engine's answer for one line: what comes off it and the promotions that say so."""

    amount: int
    promotions: tuple[str, ...]


class Basket(Struct, frozen=True):
    """A shopper's basket in one store. ``version`` grows by one with each saved change."""

    basket_id: str
    store_id: str
    customer_id: str
    currency: str
    expires_at: datetime
    status: BasketStatus = BasketStatus.OPEN
    lines: tuple[BasketLine, ...] = ()
    version: int = 0
    last_line_no: int = 0
    last_sequence: int = 0

    @property
    def total(self) -> Money:
        return Money(sum(line.amount for line in self.lines), self.currency)

    @property
    def quantity(self) -> int:
        return sum(line.quantity for line in self.lines)

    def line(self, line_no: int) -> BasketLine:
        for line in self.lines:
            if line.line_no == line_no:
                return line
        raise line_not_found(f"Basket {self.basket_id} has no line {line_no}.", line_no=line_no)


Changed = tuple[Basket, tuple[PriceModification, ...]]


def must_be_open(basket: Basket, now: datetime) -> None:
    """Raises ``basket_ordered`` or ``basket_expired`` unless the basket can still change."""
    if basket.status is BasketStatus.ORDERED:
        raise basket_ordered(f"Basket {basket.basket_id} is an order already.", basket_id=basket.basket_id)
    if basket.status is BasketStatus.EXPIRED or basket.expires_at <= now:
        raise basket_expired(f"Basket {basket.basket_id} has expired.", basket_id=basket.basket_id)


def add_item(
    basket: Basket,
    item: Item,
    quantity: int,
    *,
    epc: str | None = None,
    unit_price: Money | None = None,
    max_lines: int = 500,
) -> Changed:
    """Put ``quantity`` of an item into the basket: on its line if the unit price is the same, else on a new one.

    Raises ValueError for a price below zero, and a problem for whatever the shopper can do something about.
    """
    price = item.price if unit_price is None else unit_price
    if price.minor < 0:
        raise ValueError(f"{item.name} ({item.item_id}) has the price {price}; prices are not negative")
    if price.currency != basket.currency:
        raise wrong_currency(
            f"{item.name} is priced in {price.currency}, the basket is in {basket.currency}.", item_id=item.item_id
        )
    if item.blocked_reason:
        raise item_not_for_sale(f"{item.name} is not for sale: {item.blocked_reason}.", item_id=item.item_id)
    if epc is not None and quantity != 1:
        raise quantity_invalid(f"EPC {epc} names one piece; quantity {quantity} is not possible.", epc=epc)
    if epc is not None and any(epc in line.epcs for line in basket.lines):
        raise epc_already_in_basket(f"EPC {epc} is in the basket already.", epc=epc)
    line = next(
        (
            at
            for at in basket.lines
            if at.item_id == item.item_id and at.unit_price == price.minor and bool(at.epcs) == (epc is not None)
        ),
        None,
    )
    if line is None and len(basket.lines) >= max_lines:
        raise basket_full(f"The basket has {max_lines} lines, which is the limit.", max_lines=max_lines)
    if line is None:
        line = BasketLine(
            line_no=basket.last_line_no + 1,
            item_id=item.item_id,
            gtin=item.gtin,
            barcode=item.barcode,
            name=item.name,
            tax_code=item.tax_code,
            quantity=0,
            unit_price=price.minor,
            retailer_product_id=item.retailer_product_id,
            max_quantity=item.max_basket_quantity,
        )
    wanted = line.quantity + quantity
    in_basket = sum(at.quantity for at in basket.lines if at.item_id == item.item_id)
    _check_quantity(line, quantity, in_basket + quantity)
    epcs = line.epcs if epc is None else (*line.epcs, epc)
    return _with_line(basket, replace(line, quantity=wanted, epcs=epcs), ChangeKind.SCAN, f"{quantity} x {item.name}")


def change_quantity(basket: Basket, line_no: int, quantity: int) -> Changed:
    """Set a line's quantity (1 or more; ``remove_line`` takes a line away). RFID lines only change piece by piece."""
    line = basket.line(line_no)
    if line.epcs:
        raise quantity_invalid(f"Line {line_no} holds tagged pieces; scan or remove them one by one.", line_no=line_no)
    others = sum(at.quantity for at in basket.lines if at.item_id == line.item_id and at.line_no != line_no)
    _check_quantity(line, quantity, others + quantity)
    changed = replace(line, quantity=quantity)
    return _with_line(basket, changed, ChangeKind.QUANTITY, f"{line.quantity} -> {quantity} x {line.name}")


def remove_line(basket: Basket, line_no: int, *, epc: str | None = None) -> Changed:
    """Take a line away, or one tagged piece of it."""
    line = basket.line(line_no)
    if epc is not None and epc not in line.epcs:
        raise line_not_found(f"Line {line_no} does not hold EPC {epc}.", line_no=line_no, epc=epc)
    if epc is not None and len(line.epcs) > 1:
        left = replace(line, quantity=line.quantity - 1, epcs=tuple(at for at in line.epcs if at != epc))
        return _with_line(basket, left, ChangeKind.REMOVAL, f"1 x {line.name}")
    lines = tuple(at for at in basket.lines if at.line_no != line_no)
    return _recorded(basket, lines, ((ChangeKind.REMOVAL, line_no, -line.amount, f"{line.quantity} x {line.name}"),))


def apply_discounts(basket: Basket, discounts: Mapping[int, Discount]) -> Changed:
    """Replace all promotion discounts by these (line number → discount).

    Raises ValueError for a discount beyond its line's price, or of a line that the basket does not have.
    """
    if strangers := discounts.keys() - {line.line_no for line in basket.lines}:
        raise ValueError(f"discounts of lines that are not in basket {basket.basket_id}: {sorted(strangers)}")
    lines: list[BasketLine] = []
    moves: list[tuple[ChangeKind, int, int, str]] = []
    for line in basket.lines:
        found = discounts.get(line.line_no)
        amount, names = (found.amount, found.promotions) if found else (0, ())
        if not 0 <= amount <= line.unit_price * line.quantity:
            raise ValueError(f"a discount of {amount} does not fit line {line.line_no} ({line.name})")
        if amount != line.discount or names != line.promotions:
            reason = ", ".join(names) or "no promotion"
            moves.append((ChangeKind.PROMOTION, line.line_no, line.discount - amount, reason))
        lines.append(replace(line, discount=amount, promotions=names))
    return _recorded(basket, tuple(lines), moves) if moves else (basket, ())


def _check_quantity(line: BasketLine, quantity: int, of_item: int) -> None:
    limit = min(line.max_quantity or MAX_QUANTITY, MAX_QUANTITY)
    if quantity < 1:
        raise quantity_invalid(f"Quantity {quantity} of {line.name} is not possible; the least is 1.", minimum=1)
    if of_item > limit:
        raise quantity_invalid(f"{of_item} x {line.name} is not possible; the most is {limit}.", maximum=limit)


def _with_line(basket: Basket, line: BasketLine, kind: ChangeKind, reason: str) -> Changed:
    before = 0
    lines: list[BasketLine] = []
    for at in basket.lines:
        if at.line_no == line.line_no:
            before = at.amount
            # Promotions are evaluated anew after each change; a discount larger than the line would not survive it.
            line = replace(line, discount=min(line.discount, line.unit_price * line.quantity))
            lines.append(line)
        else:
            lines.append(at)
    if line.line_no > basket.last_line_no:
        lines.append(line)
    return _recorded(basket, tuple(lines), ((kind, line.line_no, line.amount - before, reason),))


def _recorded(
    basket: Basket, lines: tuple[BasketLine, ...], moves: Iterable[tuple[ChangeKind, int, int, str]]
) -> Changed:
    total = basket.total.minor
    sequence = basket.last_sequence
    rows: list[PriceModification] = []
    for kind, line_no, amount, reason in moves:
        sequence += 1
        total += amount
        rows.append(PriceModification(sequence, kind, line_no, amount, total, reason))
    last_line = max(basket.last_line_no, max((at.line_no for at in lines), default=0))
    return replace(basket, lines=lines, last_line_no=last_line, last_sequence=sequence), tuple(rows)
