"""A store and an item as the rest of the domain sees them."""

from __future__ import annotations

from msgspec import Struct

from tillhook.core.domain.money import Money


class Store(Struct, frozen=True):
    """One shop. ``store_type`` names the retailer whose plugins serve it; ``region`` is ISO 3166-1 alpha-2."""

    store_id: str
    store_type: str
    region: str
    name: str
    currency: str
    timezone: str
    """IANA name; the business day and receipts follow it."""
    catalogue: str
    """Items are looked up here; stores may share one."""
    retailer_store_id: str
    """The retailer's own number for the store (ARTS ``UnitID``)."""
    active: bool = True
    rfid: bool = False
    demo: bool = False
    """Payments of a demo store are CAPTURED_DEMO_MODE."""
    address: str = ""
    tax_registration: str = ""


class Item(Struct, frozen=True):
    """One sellable item of a catalogue, with today's unit price (tax as the store type's tax setting says)."""

    item_id: str
    catalogue: str
    gtin: str
    """14 digits."""
    barcode: str
    """The code as the retailer's file wrote it."""
    name: str
    price: Money
    tax_code: str
    category: str = ""
    retailer_product_id: str = ""
    max_basket_quantity: int = 0
    """0: no limit of its own."""
    blocked_reason: str = ""
    """Not empty: not for sale (recalled, blocked)."""


class ScanCode(Struct, frozen=True):
    """What a scanned code means, before any item is looked up."""

    scanned: str
    gtin: str
    """14 digits."""
    epc: str | None = None
    """Pure-identity URI when one tagged piece was scanned."""
    unit_price: Money | None = None
    """A price that the code itself carries (price-embedded labels)."""
    rule: str = "gtin"
    """Which rule read the code."""
