"""The demonstration retailer keeps the contract of a retailer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tillhook import Money, PosLog
from tillhook.core.testing.contracts.retailer import RetailerContract
from tillhook_demo import Demo


class TestDemo(RetailerContract):
    plugin = Demo
    settings: ClassVar[Mapping[str, Any]] = {"workstation_id": "900"}

    def tenders_of(self, document: PosLog) -> Sequence[int]:
        log = json.loads(document.document)
        return [Money.parse(tender["amount"], log["currency_code"]).minor for tender in log["tenders"]]
