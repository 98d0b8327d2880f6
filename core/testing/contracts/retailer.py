"""What every retailer's plugin keeps: the promises of its transaction logs and receipts, and of every plugin."""

from __future__ import annotations

from typing import ClassVar

from tillhook.core.testing.contracts.poslog import PosLogContract
from tillhook.core.testing.contracts.receipts import ReceiptContract


class RetailerContract(PosLogContract, ReceiptContract):
    """Inherit it and name the plugin and its settings::

        class TestAcme(RetailerContract):
            plugin = Acme
            settings = {"workstation_id": "900"}

    What the plugin does not implement is skipped. A plugin that calls its back office also says how that answers
    (``lend``).
    """

    proves: ClassVar[tuple[str, ...]] = ()
    """A retailer may be nothing but a list of items."""
