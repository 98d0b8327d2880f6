"""What the tests of the basket sell."""

from datetime import UTC, datetime, timedelta

from tillhook.core.domain.basket import Basket
from tillhook.core.domain.identifiers import check_digit
from tillhook.core.domain.money import Money
from tillhook.core.domain.store import Item

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def item(number: int = 1, price: int = 250, *, limit: int = 0, blocked: str = "", currency: str = "EUR") -> Item:
    """Item ``number`` of a catalogue; ``price`` in minor units, at most ``limit`` in a basket (0: as many as fit)."""
    body = f"0952{number:09d}"
    gtin = f"{body}{check_digit(body)}"
    return Item(
        item_id=f"itm_{number}",
        catalogue="demo",
        gtin=gtin,
        barcode=gtin[1:],
        name=f"Item {number}",
        price=Money(price, currency),
        tax_code="standard",
        max_basket_quantity=limit,
        blocked_reason=blocked,
    )


def epc(number: int) -> str:
    return f"urn:epc:id:sgtin:9521234.012345.{number}"


def empty_basket() -> Basket:
    return Basket("bsk_1", "store", "customer", "EUR", expires_at=NOW + timedelta(hours=4))
