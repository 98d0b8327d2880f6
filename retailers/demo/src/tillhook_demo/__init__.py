"""The demonstration retailer: a complete small shop to try everything with, and a plugin to copy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Final

from tillhook import (
    Align,
    CompletedOrder,
    Config,
    CsvFeed,
    Demonstration,
    Fulfilled,
    ItemFeed,
    Order,
    Outside,
    Plugin,
    PosLog,
    ReceiptType,
    Row,
    Store,
    Text,
    hookimpl,
)

from .poslog import transaction
from .shop import catalogue, epcs, stores

__all__ = ["TAGS", "Demo", "DemoSettings", "catalogue", "epcs", "stores"]

TAGS: Final = 1000
"""Tagged pieces that the demonstration has; each can be sold once."""


class DemoSettings(Config, frozen=True):
    """What differs between the retailer's regions and stores."""

    workstation_id: str
    """The till that self-scanned sales are booked on (ARTS ``WorkstationID``)."""
    poslog_topic: str = "demo.order.post_transaction"
    """Where each sale is published for the back office."""
    gate_topic: str = "demo.gate.epcs_sold"
    """Where sold tags are published for the gates."""
    thanks: str = "Thank you, and come again."
    """A line above the footer of each receipt."""


class Demo(Plugin):
    """One JSON transaction log for each sale to the back office; sold tags to the gates."""

    hookspec_version = 2
    Settings = DemoSettings
    settings: DemoSettings

    @hookimpl
    def item_feeds(self) -> Sequence[ItemFeed]:
        return (CsvFeed("demo"),)

    @hookimpl
    def demonstrations(self) -> Sequence[Demonstration]:
        shops = stores()
        catalogues = {shop.catalogue: partial(catalogue, shop.catalogue) for shop in shops}
        return (Demonstration(stores=shops, catalogues=catalogues, epcs=epcs(TAGS)),)

    @hookimpl
    def transaction_id_for(self, order: Order, number: int, store: Store) -> str:
        return f"{number:06d}"

    @hookimpl
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog:
        document = transaction(order, store, self.settings.workstation_id)
        text = json.dumps(document, ensure_ascii=False)
        return PosLog("application/json", text, reference=self._reference(order, store))

    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled:
        document = transaction(order, store, self.settings.workstation_id)
        outside.publish(self.settings.poslog_topic, key=order.order_id, value=document)
        return Fulfilled(self._reference(order, store))

    @hookimpl
    def mark_epcs_sold(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled:
        if order.epcs:
            sold = {"order_id": order.order_id, "unit_id": store.retailer_store_id, "epcs": list(order.epcs)}
            outside.publish(self.settings.gate_topic, key=store.store_id, value=sold)
        return Fulfilled(order.order_id)

    @hookimpl
    def receipt_fields_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Sequence[Row]:
        return (Text(self.settings.thanks, Align.CENTER),)

    def _reference(self, order: CompletedOrder, store: Store) -> str:
        """What the back office calls the sale: unique over all stores and days."""
        return "-".join((store.retailer_store_id, str(order.business_day_date), order.transaction_id_poslog))
