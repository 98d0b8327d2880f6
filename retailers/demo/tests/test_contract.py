"""The demonstration retailer keeps the contracts of a retailer, of a vendor of tags and of a reader of goods."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tillhook import Money, PosLog
from tillhook.core.testing.contracts import EpcContract, ItemFeedContract, RetailerContract
from tillhook_demo import Demo

SETTINGS: Mapping[str, Any] = {"workstation_id": "900"}


class TestDemo(RetailerContract):
    plugin = Demo
    settings = SETTINGS

    def tenders_of(self, document: PosLog) -> Sequence[int]:
        log = json.loads(document.document)
        return [Money.parse(tender["amount"], log["currency_code"]).minor for tender in log["tenders"]]


class TestTags(EpcContract):
    plugin = Demo
    settings = SETTINGS


class TestGoods(ItemFeedContract):
    plugin = Demo
    settings = SETTINGS
    head = "retailer_barcode,item_name,price_with_vat,tax_code\n"
    row = "{barcode},{name},{price},food\n"
    samples: ClassVar[Mapping[str | bytes, int]] = {
        f"../src/tillhook_demo/{name}.csv": 254 for name in ("demo_dk", "demo_se")
    }
