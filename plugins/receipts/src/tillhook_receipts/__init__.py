"""Receipts of sales: from the head of the store to the code that finds the order again.

The core puts the rows of other plugins (``receipt_fields_for``) before the last ``Rule``. So everything after that rule
is the footer: the footer's text and the code; what a plugin adds stands below the tenders and above the footer.
"""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from tillhook import (
    Align,
    BasketLine,
    Blank,
    Code,
    CompletedOrder,
    Config,
    ItemRow,
    Pair,
    Plugin,
    Receipt,
    ReceiptType,
    Row,
    Rule,
    Store,
    Tender,
    Text,
    hookimpl,
)

from .words import words_of

__all__ = ["Receipts", "ReceiptsSettings"]


class ReceiptsSettings(Config, frozen=True):
    """What stands on the receipts of a store type."""

    title: str = ""
    """Empty: the language's word for a receipt."""
    footer: str = ""
    """Below everything else; each line of it is a paragraph."""
    tax_label: str = ""
    """What the tax is called; empty: as the tax calculator calls it."""
    language: str = "en"
    """BCP 47 tag; see ``words``."""
    date_format: str = "%Y-%m-%d %H:%M"
    """As in Python's ``strftime``; the time is the store's."""

    def __post_init__(self) -> None:
        words_of(self.language)


class Receipts(Plugin):
    """The receipt of a completed order (type ORDER); other types are left to other plugins."""

    hookspec_version = 2
    Settings = ReceiptsSettings
    settings: ReceiptsSettings

    def __init__(self, settings: ReceiptsSettings) -> None:
        super().__init__(settings)
        self._words = words_of(settings.language)
        self._title = settings.title or self._words.receipt

    @hookimpl
    def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
        if receipt_type is not ReceiptType.ORDER:
            return None
        rows = (
            *self._head(order, store),
            Rule(),
            *(row for line in order.lines for row in self._line(line, order.total.currency)),
            Rule(),
            *self._sums(order),
            *(self._tender(tender) for tender in order.tenders),
            Rule(),
            *(Text(line, Align.CENTER) for line in self.settings.footer.splitlines()),
            Code(order.order_id),
        )
        return Receipt(receipt_type, self._title, self.settings.language, rows)

    def _head(self, order: CompletedOrder, store: Store) -> Iterator[Row]:
        words = self._words
        yield Text(store.name, Align.CENTER, bold=True)
        for line in store.address.splitlines():
            yield Text(line, Align.CENTER)
        if store.tax_registration:
            yield Text(f"{words.registration} {store.tax_registration}", Align.CENTER)
        yield Blank()
        yield Text(self._title, Align.CENTER, bold=True)
        if order.demo:
            yield Text(words.demo, Align.CENTER, bold=True)
        completed_at = order.completed_at.astimezone(ZoneInfo(store.timezone))
        yield Pair(words.date, completed_at.strftime(self.settings.date_format))
        yield Pair(words.order, str(order.o_id))
        yield Pair(words.transaction, order.transaction_id_poslog)

    def _line(self, line: BasketLine, currency: str) -> Iterator[Row]:
        words = self._words
        price = words.amount(line.unit_price, currency)
        whole = words.amount(line.unit_price * line.quantity, currency)
        yield ItemRow(line.name, f"{line.quantity} x {price}", whole)
        if line.discount:
            yield Pair(", ".join(line.promotions) or words.discount, words.amount(-line.discount, currency))

    def _sums(self, order: CompletedOrder) -> Iterator[Row]:
        words, currency = self._words, order.total.currency
        yield Pair(words.subtotal, words.amount(sum(line.amount for line in order.lines), currency))
        sentence = words.included_tax if order.tax.included else words.tax
        for row in order.tax.breakup:
            label = self.settings.tax_label or row.label
            taxable = words.amount(row.taxable, currency)
            tax = sentence.format(label=label, percent=words.percent(row.percent), taxable=taxable)
            yield Pair(tax, words.amount(row.tax, currency))
        # What was charged, as the order says it; never a sum of what stands above.
        yield Pair(words.total, f"{words.amount(order.total.minor, currency)} {currency}", bold=True)

    def _tender(self, tender: Tender) -> Row:
        name = (tender.card_brand or tender.method).replace("_", " ").capitalize()
        # A provider that sends more than the last four digits must not get them onto paper.
        card = f" **** {tender.card_last4[-4:]}" if tender.card_last4 else ""
        return Pair(name + card, self._words.amount(tender.amount.minor, tender.amount.currency))
