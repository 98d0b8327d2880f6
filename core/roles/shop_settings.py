"""What the core itself wants to know of a store type. Each field is a table of a layer of ``tillhook.toml``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

AtLeastOne = Annotated[int, Meta(ge=1)]


class PaymentSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who takes the money."""

    gateway: str
    """Name of a gateway that one of the plugins offers."""
    methods: tuple[str, ...] = ()
    """Payment methods to offer; none listed: all that the gateway can do."""


class TaxSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who computes taxes. Whether prices include them, rates and rounding are settings of the calculator's plugin."""

    calculator: str
    """Name of a calculator that one of the plugins offers."""


class PromotionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who computes discounts."""

    engine: str | None = None
    """Name of an engine that one of the plugins offers; None: no discounts."""


class ShadowSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is asked beside those who count. A shadow changes nothing; `tillhook shadow report` shows where it differs.

    Its plugin must be switched on, so that it offers what is named here.
    """

    calculator: str | None = None
    """A second tax calculator, asked about each order that is made."""
    engine: str | None = None
    """A second promotion engine, asked about each order that is made."""
    gateway: str | None = None
    """A second gateway, asked (``inquire``) about each payment that is settled."""
    percent: Annotated[int, Meta(ge=1, le=100)] = 100
    """The share of orders to compare."""


class BasketSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a basket."""

    expires_minutes: AtLeastOne = 240
    max_lines: AtLeastOne = 500


class OrderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How orders are numbered and let go."""

    first_number: Annotated[int, Meta(ge=0)] = 100000
    """The first ``o_id`` of a store."""
    auto_verify: bool = False
    """A completed order is verified at once, without staff."""


class ShopSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The core's part of a layer: everything else in a layer is a table of a plugin."""

    plugins: tuple[str, ...]
    """Plugins that are switched on, in the order in which they are asked."""
    payment: PaymentSettings
    tax: TaxSettings = field(name="taxes")
    """Written ``taxes``: ``tax`` may be the name of a plugin."""
    promotion: PromotionSettings = PromotionSettings()
    shadow: ShadowSettings = ShadowSettings()
    basket: BasketSettings = BasketSettings()
    order: OrderSettings = OrderSettings()


CORE_KEYS = frozenset(ShopSettings.__struct_encode_fields__)
"""Names in a layer that are the core's own: a plugin of such a name is refused."""
