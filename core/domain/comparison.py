"""Two answers to one question: the live plugin's, which counted, and a shadow's, which changed nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from tillhook.core.domain.basket import Basket
from tillhook.core.domain.money import Money
from tillhook.core.domain.payment import Authorised, Captured, Declined, Outcome, Payment, PaymentStatus
from tillhook.core.domain.tax import TaxResult


class Asked(StrEnum):
    """What both were asked."""

    TAX = "tax"
    PROMOTION = "promotion"
    PAYMENT = "payment"


class Verdict(StrEnum):
    AGREED = "agreed"
    DIFFERS = "differs"
    FAILED = "failed"
    """The shadow gave no answer that can be compared."""


class Comparison(Struct, frozen=True, kw_only=True):
    """One order, looked at by a live plugin and its shadow."""

    order_id: str
    asked: Asked
    store_type: str
    region: str
    live: str
    """Name of the calculator, engine or gateway that counted."""
    shadow: str
    verdict: Verdict
    differences: tuple[str, ...] = ()
    """In words: what, the live value, the shadow's value."""
    amount: int = 0
    """By how much the shadow's sum is above the live one (minor units)."""
    currency: str
    milliseconds: int
    """Of the shadow's answer."""
    at: datetime


def tax_differences(live: TaxResult, shadow: TaxResult, currency: str) -> tuple[str, ...]:
    """Where two taxations of the same lines differ; rows of the tax table are the same by code, label and percent."""
    return tuple(_tax_differences(live, shadow, currency))


def _tax_differences(live: TaxResult, shadow: TaxResult, currency: str) -> Iterator[str]:
    if live.included != shadow.included:
        yield f"tax is {_included(live)}, the shadow says {_included(shadow)}"
    if live.total_tax != shadow.total_tax:
        yield f"total tax {Money(live.total_tax, currency)}, the shadow says {Money(shadow.total_tax, currency)}"
    ours, theirs = dict(live.by_line), dict(shadow.by_line)
    for line_no in sorted(ours.keys() | theirs.keys()):
        if ours.get(line_no) != theirs.get(line_no):
            amounts = _amount(ours.get(line_no), currency), _amount(theirs.get(line_no), currency)
            yield f"line {line_no}: tax {amounts[0]}, the shadow says {amounts[1]}"
    rows = [{(row.code, row.label, row.percent): (row.taxable, row.tax) for row in at.breakup} for at in (live, shadow)]
    for key in sorted(rows[0].keys() ^ rows[1].keys(), key=str):
        owner = "only the live one" if key in rows[0] else "only the shadow"
        yield f"{owner} has the row {key[0]} {key[1]} {key[2]} %"
    for key in sorted(rows[0].keys() & rows[1].keys(), key=str):
        if rows[0][key] != rows[1][key]:
            said = [f"tax {Money(tax, currency)} of {Money(of, currency)}" for of, tax in (rows[0][key], rows[1][key])]
            yield f"row {key[0]} {key[1]} {key[2]} %: {said[0]}, the shadow says {said[1]}"


def _included(tax: TaxResult) -> str:
    return "included" if tax.included else "on top"


def _amount(minor: int | None, currency: str) -> str:
    return "none" if minor is None else str(Money(minor, currency))


def discount_differences(live: Basket, shadow: Basket) -> tuple[str, ...]:
    """Where the discounts of the same lines differ, in amount or in the promotions that gave them."""
    found = []
    for ours, theirs in zip(live.lines, shadow.lines, strict=True):
        said = [
            f"{Money(line.discount, live.currency)} ({', '.join(line.promotions) or 'no promotion'})"
            for line in (ours, theirs)
        ]
        if said[0] != said[1]:
            found.append(f"line {ours.line_no} {ours.name}: discount {said[0]}, the shadow says {said[1]}")
    return tuple(found)


def payment_differences(live: Payment, shadow: Outcome) -> tuple[str, ...]:
    """Where a shadow's word about a payment is another than what we hold for true."""
    taken = Money(live.captured, live.amount.currency)
    match shadow:
        case Captured(amount=amount):
            said = amount
        case Authorised() | Declined():
            said = Money(0, live.amount.currency)
        case _:
            return (f"payment is {live.status.value}, the shadow says {type(shadow).__name__}",)
    found = [f"taken {taken}, the shadow says {said}"] if said != taken else []
    if isinstance(shadow, Declined) and live.status is not PaymentStatus.REJECTED:
        found.append(f"payment is {live.status.value}, the shadow says declined ({shadow.code})")
    return tuple(found)
