"""A receipt as a document: rows that know nothing of paper, rendered to text or HTML by ``receipt_render``."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ReceiptType(StrEnum):
    ORDER = "ORDER"
    REFUND = "REFUND"
    GIFT = "GIFT"
    STEB = "STEB"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    CAMPAIGN = "CAMPAIGN"
    COUNTER = "COUNTER"


class Align(StrEnum):
    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


class Text(Struct, frozen=True, tag="text"):
    """One paragraph; wrapped at the paper's width."""

    text: str
    align: Align = Align.LEFT
    bold: bool = False


class Pair(Struct, frozen=True, tag="pair"):
    """A label at the left edge and a value at the right edge."""

    left: str
    right: str
    bold: bool = False


class ItemRow(Struct, frozen=True, tag="item"):
    """One sold line: its name, then ``quantity x unit price`` and the amount."""

    name: str
    detail: str
    amount: str


class Rule(Struct, frozen=True, tag="rule"):
    """A line across the paper."""


class Blank(Struct, frozen=True, tag="blank"):
    """An empty line."""


class Code(Struct, frozen=True, tag="code"):
    """A machine-readable code; ``symbology`` is ``qr`` or ``code128``. Text output prints the value."""

    value: str
    symbology: str = "qr"


Row = Text | Pair | ItemRow | Rule | Blank | Code


class Receipt(Struct, frozen=True):
    """What is handed to the shopper. ``language`` is a BCP 47 tag."""

    receipt_type: ReceiptType
    title: str
    language: str
    rows: tuple[Row, ...]
