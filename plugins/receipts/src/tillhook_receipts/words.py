"""The receipt's words, by language, and how its numbers are written."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from tillhook import Money


class Words(Struct, frozen=True, kw_only=True):
    """One language. ``tax`` and ``included_tax`` take the label, the percent and the amount that is taxed."""

    receipt: str
    registration: str
    date: str
    order: str
    transaction: str
    discount: str
    subtotal: str
    tax: str
    included_tax: str
    total: str
    demo: str
    decimal_sign: str
    group_sign: str

    def number(self, value: Decimal) -> str:
        """A number with its decimals as they are, and the language's signs."""
        written = f"{value:,f}"
        return written.translate({ord(","): self.group_sign, ord("."): self.decimal_sign})

    def amount(self, minor: int, currency: str) -> str:
        """An amount with exactly the currency's decimals."""
        return self.number(Money(minor, currency).decimal)

    def percent(self, value: Decimal) -> str:
        """A percentage without needless zeros."""
        return f"{self.number(value.normalize())}%"


WORDS: Final[dict[str, Words]] = {
    "da": Words(
        receipt="Kvittering",
        registration="CVR-nr.",
        date="Dato",
        order="Ordre",
        transaction="Transaktion",
        discount="Rabat",
        subtotal="Subtotal",
        tax="{label} {percent} af {taxable}",
        included_tax="Heraf {label} {percent} af {taxable}",
        total="I alt",
        demo="DEMO: der er ikke trukket penge",
        decimal_sign=",",
        group_sign=".",
    ),
    "de": Words(
        receipt="Kassenbeleg",
        registration="USt-IdNr.",
        date="Datum",
        order="Bestellung",
        transaction="Transaktion",
        discount="Rabatt",
        subtotal="Zwischensumme",
        tax="{label} {percent} auf {taxable}",
        included_tax="Enthält {label} {percent} auf {taxable}",
        total="Summe",
        demo="DEMO: es wurde kein Geld abgebucht",
        decimal_sign=",",
        group_sign=".",
    ),
    "en": Words(
        receipt="Receipt",
        registration="Tax reg.",
        date="Date",
        order="Order",
        transaction="Transaction",
        discount="Discount",
        subtotal="Subtotal",
        tax="{label} {percent} on {taxable}",
        included_tax="Includes {label} {percent} on {taxable}",
        total="Total",
        demo="DEMO: no money was taken",
        decimal_sign=".",
        group_sign=",",
    ),
    "nb": Words(
        receipt="Kvittering",
        registration="Org.nr.",
        date="Dato",
        order="Ordre",
        transaction="Transaksjon",
        discount="Rabatt",
        subtotal="Delsum",
        tax="{label} {percent} av {taxable}",
        included_tax="Herav {label} {percent} av {taxable}",
        total="Totalt",
        demo="DEMO: ingen penger er trukket",
        decimal_sign=",",
        group_sign=" ",
    ),
    "sv": Words(
        receipt="Kvitto",
        registration="Org.nr",
        date="Datum",
        order="Order",
        transaction="Transaktion",
        discount="Rabatt",
        subtotal="Delsumma",
        tax="{label} {percent} på {taxable}",
        included_tax="Varav {label} {percent} på {taxable}",
        total="Totalt",
        demo="DEMO: inga pengar har dragits",
        decimal_sign=",",
        group_sign=" ",
    ),
}


def words_of(language: str) -> Words:
    """The words for a BCP 47 tag, by its primary language. Raises ValueError for one that is not here."""
    found = WORDS.get(language.partition("-")[0].lower())
    if found is None:
        raise ValueError(f"there are no words for the language {language!r} (known: {', '.join(WORDS)})")
    return found
