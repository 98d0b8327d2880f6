"""Contract suites: inherit one in a test class, name the plugin and its settings, and pytest runs its promises.

Each suite is loaded when it is first asked for, so that a test of one kind of plugin does not wait for the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tillhook.core.testing.contracts.epc import EpcContract
    from tillhook.core.testing.contracts.feed import ItemFeedContract
    from tillhook.core.testing.contracts.fiscal import FiscalContract
    from tillhook.core.testing.contracts.gateway import PaymentGatewayContract
    from tillhook.core.testing.contracts.identity import IdentityContract
    from tillhook.core.testing.contracts.loyalty import LoyaltyContract
    from tillhook.core.testing.contracts.notifier import NotifierContract
    from tillhook.core.testing.contracts.plugin import PluginContract
    from tillhook.core.testing.contracts.poslog import PosLogContract
    from tillhook.core.testing.contracts.promotion import PromotionContract
    from tillhook.core.testing.contracts.receipts import ReceiptContract
    from tillhook.core.testing.contracts.retailer import RetailerContract
    from tillhook.core.testing.contracts.settlement import SettlementParserContract
    from tillhook.core.testing.contracts.tax import TaxContract

__all__ = [
    "EpcContract",
    "FiscalContract",
    "IdentityContract",
    "ItemFeedContract",
    "LoyaltyContract",
    "NotifierContract",
    "PaymentGatewayContract",
    "PluginContract",
    "PosLogContract",
    "PromotionContract",
    "ReceiptContract",
    "RetailerContract",
    "SettlementParserContract",
    "TaxContract",
]

_MODULES: Final = {
    "EpcContract": "epc",
    "FiscalContract": "fiscal",
    "IdentityContract": "identity",
    "ItemFeedContract": "feed",
    "LoyaltyContract": "loyalty",
    "NotifierContract": "notifier",
    "PaymentGatewayContract": "gateway",
    "PluginContract": "plugin",
    "PosLogContract": "poslog",
    "PromotionContract": "promotion",
    "ReceiptContract": "receipts",
    "RetailerContract": "retailer",
    "SettlementParserContract": "settlement",
    "TaxContract": "tax",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
