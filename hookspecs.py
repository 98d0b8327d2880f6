"""Every hook of tillhook, in the order in which an order meets them. The front hall of the house.

A plugin is a class that inherits ``Plugin`` and marks what it implements with ``@hookimpl``; it may name only the
arguments that it needs. How a hook is called follows from its name: see ``tillhook.core.roles.grammar``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from tillhook.core.domain.aftersale import (
    Coupon,
    Customer,
    Discrepancy,
    FiscalDocument,
    GateCheck,
    Refund,
    SettlementEntry,
    Shift,
    SpecialPromotion,
    Subscription,
)
from tillhook.core.domain.basket import Basket
from tillhook.core.domain.completed import CompletedOrder, Fulfilled, PosLog
from tillhook.core.domain.order import Order
from tillhook.core.domain.payment import Payment
from tillhook.core.domain.receipt import Receipt, ReceiptType, Row
from tillhook.core.domain.store import Item, ScanCode, Store
from tillhook.core.roles.gateway import PaymentGateway
from tillhook.core.roles.grammar import HOOKSPEC_VERSION, Policy, duty, hookimpl, news, offer, question, question_to_all
from tillhook.core.roles.offers import (
    Demonstration,
    IdentityProvider,
    ItemFeed,
    Notifier,
    PromotionEngine,
    SettlementParser,
    SettlementSource,
    TaxCalculator,
)
from tillhook.core.roles.outside import Outside
from tillhook.core.roles.rooms import PluginCommand, PluginPage, PluginRoute, PluginTables, Schedule, Topic
from tillhook.core.roles.settings import Config

BLOCK: Final = Policy.BLOCK
DEGRADE: Final = Policy.DEGRADE


class Hooks:
    """The hooks. Arguments are values: never a session, a request or a database row."""

    # --- offers: what a plugin brings; "at start" is once for each store type that it serves

    @offer
    def identity_providers(self) -> Sequence[IdentityProvider]:
        """Issuers whose tokens are believed (flow 9).

        Called: at start. Return: one provider per issuer. Raise: to be quarantined. Traps: no network at start."""

    @offer
    def item_feeds(self) -> Sequence[ItemFeed]:
        """Readers of the retailer's item files (flow 8).

        Called: at start. Return: feeds by name. Raise: to be quarantined. Traps: read as a stream, never whole."""

    @offer
    def promotion_engines(self) -> Sequence[PromotionEngine]:
        """Engines that discount a basket (flow 3).

        Called: at start. Return: engines by name; the setting ``promotion.engine`` picks one. Raise: to be quarantined.
        Traps: same basket, same discounts, in any order of lines."""

    @offer
    def tax_calculators(self) -> Sequence[TaxCalculator]:
        """Calculators of tax (flow 15).

        Called: at start. Return: calculators by name; the setting ``taxes.calculator`` picks one.
        Raise: to be quarantined. Traps: taxes by line must sum to the total."""

    @offer
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        """Payment providers (flows 2 and 4).

        Called: at start. Return: gateways by name; the setting ``payment.gateway`` picks one. Raise: to be quarantined.
        Traps: stateless; an answer that is not understood is ``Unknown``, never declined."""

    @offer
    def settlement_sources(self) -> Sequence[SettlementSource]:
        """Places where settlement files appear (flow 6).

        Called: at start. Return: sources by name. Raise: to be quarantined. Traps: missing is not empty: say which."""

    @offer
    def settlement_parsers(self) -> Sequence[SettlementParser]:
        """Readers of providers' settlement files (flow 6).

        Called: at start. Return: parsers by format name. Raise: to be quarantined. Traps: a short file must raise."""

    @offer
    def notifiers(self) -> Sequence[Notifier]:
        """Carriers of messages to people (flows 5, 7 and 10).

        Called: at start. Return: notifiers by name. Raise: to be quarantined. Traps: a message may be sent twice."""

    @offer
    def tables(self) -> Sequence[PluginTables]:
        """The plugin's own tables, with their migrations.

        Called: at start and by ``tillhook db``. Return: folders of migrations. Raise: to be quarantined.
        Traps: names begin with the plugin's; foreign keys only to core primary keys."""

    @offer
    def routes(self) -> Sequence[PluginRoute]:
        """The plugin's own HTTP routes (flows 7, 12 and 13).

        Called: at start. Return: routes with their roles. Raise: to be quarantined. Traps: no roles, no start."""

    @offer
    def pages(self) -> Sequence[PluginPage]:
        """The plugin's pages of the dashboard.

        Called: at start. Return: pages with their roles. Raise: to be quarantined. Traps: show a part of long lists."""

    @offer
    def commands(self) -> Sequence[PluginCommand]:
        """The plugin's commands on the command line.

        Called: when the command line starts. Return: click commands. Raise: to be quarantined. Traps: slow imports."""

    @offer
    def topics(self) -> Sequence[Topic]:
        """Bus topics that the plugin produces or consumes.

        Called: at start. Return: topics. Raise: to be quarantined. Traps: a message may come twice."""

    @offer
    def schedules(self) -> Sequence[Schedule]:
        """Work at fixed intervals (flows 6, 7 and 8).

        Called: at start. Return: schedules. Raise: to be quarantined. Traps: a run may be cut off and run again."""

    @offer
    def demonstrations(self) -> Sequence[Demonstration]:
        """Stores, goods, tags and payments to try the plugin with.

        Called: at start. Return: any number of them. Raise: to be quarantined. Traps: no real company's numbers."""

    # --- the shopper and the basket

    @question(DEGRADE)
    def customer_for(self, customer_id: str, store: Store) -> Customer | None:
        """What the retailer knows of a shopper: loyalty number, tier (flow 9).

        Called: when a basket is evaluated. Return: the customer, or None if this retailer keeps none.
        Raise: to go on without. Traps: must be quick; it stands in the scan."""

    @question(BLOCK)
    def scan_for(self, code: str, store: Store) -> ScanCode | None:
        """What a scanned code means at this retailer (flow 8).

        Called: for each scan, before any look-up. Return: what the code carries, or None to leave a GTIN to the core.
        Raise: ``barcode_invalid``. Traps: a wrong check digit is an error."""

    @question(BLOCK)
    def item_for(self, scan: ScanCode, store: Store) -> Item | None:
        """The item that a code names (flow 8).

        Called: for each scan, before the catalogue. Return: the item, or None to ask the catalogue.
        Raise: ``item_not_found`` to end the search. Traps: the price must be in the store's currency."""

    @question_to_all(DEGRADE)
    def special_promotions_for(
        self, basket: Basket, customer: Customer | None, coupons: Sequence[Coupon], store: Store
    ) -> Sequence[SpecialPromotion]:
        """Qualifiers that open special promotions: tiers, coupons, subscription quotas (flows 3 and 13).

        Called: when a basket is evaluated. Return: qualifiers. Raise: to go on without. Traps: duties use up quotas."""

    @question_to_all(BLOCK)
    def problems_for(self, basket: Basket, store: Store) -> Sequence[str]:
        """What stands in the way of ordering this basket (flow 1, phase 2).

        Called: when an order is created. Return: sentences for the shopper; none when all is well.
        Raise: to refuse the order. Traps: no side effect; it is asked again on a retry."""

    # --- the order and its payment

    @news
    def order_created(self, order: Order, store: Store) -> None:
        """An order was created.

        Called: after the commit. Return: nothing. Raise: is logged. Traps: it may never be paid."""

    @news
    def payment_declined(self, order: Order, payment: Payment, store: Store) -> None:
        """A provider declined a payment (flow 2).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: the shopper may try again."""

    @question(BLOCK)
    def transaction_id_for(self, order: Order, number: int, store: Store) -> str | None:
        """The transaction number as the retailer writes it: padded, composed (flow 1, phase 4).

        Called: while an order completes, with the store's gapless number. Return: the text, or None for plain digits.
        Raise: leaves the order paid but incomplete, tried again. Traps: must be unique per store and business day."""

    @question(BLOCK)
    def poslog_for(self, order: CompletedOrder, store: Store) -> PosLog | None:
        """The transaction log document of a sale (flow 1, phase 4).

        Called: while an order completes; stored with it. Return: the document, or None if there is none.
        Raise: leaves the order paid but incomplete. Traps: tenders must equal the total."""

    @question(BLOCK)
    def refund_poslog_for(self, refund: Refund, order: CompletedOrder, store: Store) -> PosLog | None:
        """The transaction log document of a refund (flow 4).

        Called: when a refund is settled. Return: the document or None. Raise: is tried again.
        Traps: POSLog amounts are positive; the kind of transaction says which way they go."""

    # --- receipts

    @question(DEGRADE)
    def receipt_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Receipt | None:
        """The receipt, whole (flow 5).

        Called: when a receipt is read or sent. Return: the receipt, or None to leave it to the next plugin.
        Raise: to leave it to the built-in receipt. Traps: the total shown is the total charged."""

    @question_to_all(DEGRADE)
    def receipt_fields_for(self, receipt_type: ReceiptType, order: CompletedOrder, store: Store) -> Sequence[Row]:
        """Rows to add above the footer of the receipt: loyalty points, fiscal codes, thanks (flow 5).

        Called: when a receipt is built. Return: rows. Raise: to go on without. Traps: no prices on GIFT."""

    @question_to_all(DEGRADE)
    def receipts_for(self, order: CompletedOrder, store: Store) -> Sequence[ReceiptType]:
        """Further receipts that this sale calls for: GIFT, STEB, CAMPAIGN (flow 5).

        Called: after the order's own receipt. Return: types. Raise: to go on without. Traps: types, not receipts."""

    # --- duties of a completed sale (flow 1, phase 5)

    @duty
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        """Tell the retailer's back office of the sale (flows 1 and 14).

        Called: after the commit, until it returns. Return: the back office's reference.
        Raise: ``RetryLater``, ``Permanent``; anything else is tried again. Traps: may run twice; send ``order_id``."""

    @duty
    def mark_epcs_sold(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        """Tell the RFID vendor that these pieces are paid for (flow 12).

        Called: after the commit, for orders with EPCs. Return: a reference or None. Raise: as ``fulfil_order``.
        Traps: our own sold set is right already; the gate does not wait for this."""

    @duty
    def update_loyalty(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        """Give points, update the retailer's customer profile (flow 9).

        Called: after the commit. Return: a reference or None. Raise: as ``fulfil_order``.
        Traps: points given twice are money; send ``order_id`` as the idempotency key."""

    @duty
    def redeem_coupons(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        """Use up the coupons and quotas that discounted this order (flows 1 and 13).

        Called: after the commit. Return: a reference or None. Raise: as ``fulfil_order``.
        Traps: only programs that gave a discount."""

    @duty
    def submit_fiscal_document(self, order: CompletedOrder, store: Store, outside: Outside) -> FiscalDocument | None:
        """Register the sale with the fiscal authority (flow 14).

        Called: after the commit. Return: the authority's mark, or None if it comes later by bus.
        Raise: as ``fulfil_order``. Traps: a repeat must return the first mark."""

    @duty
    def send_receipt(self, order: CompletedOrder, receipt: Receipt, store: Store, outside: Outside) -> Fulfilled | None:
        """Send the receipt to the shopper (flow 5).

        Called: after the commit. Return: a reference or None. Raise: as ``fulfil_order``.
        Traps: there may be no address."""

    # --- news of an order's life

    @news
    def order_completed(self, order: CompletedOrder, store: Store) -> None:
        """An order was paid and completed (flow 1).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: what must happen is a duty, not news."""

    @news
    def order_verified(self, order: CompletedOrder, store: Store) -> None:
        """Staff or a rule verified the order at the exit (flow 1).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: VERIFICATION_FAILED is not news."""

    @news
    def order_collected(self, order: CompletedOrder, status: str, store: Store) -> None:
        """A click-and-collect order moved: ACCEPTED, READY_TO_COLLECT, COLLECTED, … (flow 10).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: ``status`` says how far it is."""

    @news
    def order_synced(self, order: CompletedOrder, store: Store) -> None:
        """A sale made offline arrived (flow 11).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: ``completed_at`` may be days ago."""

    # --- refunds (flow 4)

    @duty
    def fulfil_refund(self, refund: Refund, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        """Tell the back office of a refund.

        Called: after the money is on its way. Return: a reference or None. Raise: as ``fulfil_order``.
        Traps: one order may have many refunds; the key is ``refund_id``."""

    @duty
    def mark_epcs_unsold(
        self, refund: Refund, order: CompletedOrder, store: Store, outside: Outside
    ) -> Fulfilled | None:
        """Tell the RFID vendor that the pieces are back in the store (flow 12).

        Called: after the money is on its way. Return: a reference or None. Raise: as ``fulfil_order``.
        Traps: the refund's EPCs only."""

    @news
    def order_refunded(self, refund: Refund, order: CompletedOrder, store: Store) -> None:
        """A refund was settled (flow 4).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: it may be partial."""

    # --- the store, the gate, the money afterwards

    @news
    def epcs_checked(self, check: GateCheck, store: Store) -> None:
        """A gate asked about pieces (flow 12).

        Called: after the gate has its answer. Return: nothing. Raise: is logged. Traps: many per second."""

    @news
    def shift_ended(self, shift: Shift, store: Store) -> None:
        """A cash desk shift ended (bus topic of the cash desk).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: its sums are final."""

    @news
    def subscription_changed(self, subscription: Subscription) -> None:
        """A subscription started, was renewed, cancelled or expired (flow 13).

        Called: after the commit. Return: nothing. Raise: is logged. Traps: provider messages may be late."""

    @news
    def analytics_received(self, source: str, payload: dict[str, Any], at: datetime) -> None:
        """Payment analytics of another system arrived over the bus (flow 16).

        Called: after it is stored. Return: nothing. Raise: is logged. Traps: amounts are minor units."""

    @question_to_all(DEGRADE)
    def settlement_columns_for(self, entry: SettlementEntry, store: Store) -> dict[str, str]:
        """Further columns of a retailer's settlement report (flow 6).

        Called: for each row. Return: column name → text. Raise: to leave them empty. Traps: no name may clash."""

    @news
    def discrepancy_found(self, discrepancy: Discrepancy) -> None:
        """Two records of the same money differ (flows 1, 6 and 7).

        Called: after it is stored. Return: nothing. Raise: is logged. Traps: it may be found again each day."""


HOOKS: Final[dict[str, Any]] = {name: hook for name, hook in vars(Hooks).items() if not name.startswith("_")}


class Plugin(Hooks):
    """What plugins inherit: ``Settings`` is their typed configuration, ``self.settings`` its value per store type."""

    Settings: ClassVar[type[Config]] = Config
    hookspec_version: ClassVar[int] = HOOKSPEC_VERSION
    """Write the version that it was made for: it is then still understood when hooks have changed."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            marked, where = hasattr(value, f"{hookimpl.project_name}_impl"), f"{cls.__module__}.{cls.__name__}.{name}"
            if name in HOOKS and not marked:
                raise TypeError(f"{where} overrides a hook: mark it with @hookimpl")
            if marked and name not in HOOKS:
                raise TypeError(f"{where} is marked @hookimpl, but there is no such hook")
