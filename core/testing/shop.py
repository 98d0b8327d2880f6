"""A whole system for stories: its own database and folder, a clock that the test owns, no server, no waiting.

sale = shop("demo/DK").scan("9521234000014", times=2).pay(token="tok_approve")
shop.crash_and_restart()
assert shop.published("demo.order.post_transaction")
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tillhook.app import Assembled, assemble, no_checkpoint
from tillhook.core.config.loading import load
from tillhook.core.domain.store import Store
from tillhook.core.messaging.dispatcher import Dispatcher
from tillhook.core.outside.lender import Lender
from tillhook.core.roles.offers import Principal
from tillhook.core.services import ordering, paying, reading, shopping
from tillhook.core.services.platform import Platform
from tillhook.core.services.wire import (
    AddPaymentRequest,
    BasketView,
    CreateOrderRequest,
    OrderCreated,
    OrderView,
    PaymentDetailsRequest,
    PaymentView,
    Reply,
    ScanRequest,
    ScanView,
    SessionRequest,
    SessionView,
)
from tillhook.core.storage.events import published
from tillhook.core.storage.idempotency import Once
from tillhook.core.storage.migrating import upgrade
from tillhook.core.storage.own_schemas import upgrade_all
from tillhook.core.storage.stores import all_stores
from tillhook.core.testing.clock import OPENING, Clock
from tillhook.core.testing.world import World

__all__ = ["OPENING", "Clock", "Till", "TillShop", "decoded"]

V = TypeVar("V", bound=msgspec.Struct)


def decoded(reply: Reply, view: type[V]) -> V:
    """An answer of the API as the structure it was made of."""
    return msgspec.json.decode(reply.body, type=view)


class TillShop:
    """The system. Calling it opens a store: ``shop("demo/DK")`` is the first store of that type and region."""

    def __init__(
        self,
        configuration: Path,
        *,
        furnish: Callable[[Platform], None],
        checkpoint: Callable[[str], None] = no_checkpoint,
        environ: Mapping[str, str] | None = None,
        world: World | None = None,
    ) -> None:
        """Migrate the configured database, then let ``furnish`` put stores and items into it.

        ``environ`` holds the secrets that the configuration names. With a ``world``, plugins can reach it and nothing
        else, and the shop goes by its clock.
        """
        self.clock = Clock() if world is None else world.clock
        self._lending: Callable[..., Lender] = Lender if world is None else world.lender
        self._file = configuration
        self._checkpoint = checkpoint
        self._environ = environ or {}
        self._customers = itertools.count(1)
        self.running = self._assemble()
        upgrade(self.running.platform.db)
        for done in upgrade_all(self.running.platform.db, self.running.platform.rooms.schemas()):
            assert not done.error, done.error
        furnish(self.running.platform)

    @property
    def platform(self) -> Platform:
        return self.running.platform

    @property
    def dispatcher(self) -> Dispatcher:
        return self.running.dispatcher

    def __call__(self, place: str) -> Till:
        """A shopper at the first store of ``store_type/region``; each call is another shopper."""
        store = self.store(place)
        return Till(self, store, self.shopper(store))

    def store(self, place: str) -> Store:
        store_type, _, region = place.partition("/")
        for store in self.platform.db.read(all_stores):
            if store.store_type == store_type and region in {"", store.region}:
                return store
        raise LookupError(f"no store of {place}")

    def shopper(self, store: Store, *, customer_id: str | None = None) -> Principal:
        """A principal that the store's own identity provider would vouch for."""
        name = customer_id or f"cus_{next(self._customers)}"
        return self.principal(store, "shopper", customer_id=name)

    def principal(
        self, store: Store, role: str, *, customer_id: str | None = None, stores: Sequence[str] | None = None
    ) -> Principal:
        issuer = self.platform.host.shop(store).identity_providers[0].issuer
        bound = None if stores is None else frozenset(stores)
        return Principal(customer_id or role, frozenset({role}), issuer, customer_id, bound)

    def do_duties(self) -> int:
        """Run everything that is due at this moment; how many deliveries were run."""
        return self.dispatcher.run_until_idle()

    def run_schedules(self) -> int:
        """Run every schedule that is due at this moment; how many runs there were."""
        return self.dispatcher.scheduler.run_due()

    def published(self, topic: str) -> list[Any]:
        """What was put on the bus under a topic, oldest first."""
        return [msgspec.json.decode(text) for text in self.platform.db.read(lambda tx: published(tx, topic))]

    def crash_and_restart(self) -> None:
        """Forget everything that is not in the database, then start again on it."""
        self.close()
        self.running = self._assemble()

    def close(self) -> None:
        self.running.stop()
        gc.collect()

    def _assemble(self) -> Assembled:
        configuration = load(self._file, self._environ)
        return assemble(configuration, clock=self.clock, checkpoint=self._checkpoint, lending=self._lending)


class Till:
    """One shopper in one store, with the basket, order and session at hand."""

    def __init__(self, shop: TillShop, store: Store, who: Principal) -> None:
        self.shop = shop
        self.store = store
        self.who = who
        self.basket_id: str | None = None
        self.order_id = ""
        self.session_id = ""

    def scan(
        self, barcode: str | None = None, *, times: int = 1, epc: str | None = None, once: Once | None = None
    ) -> Till:
        self.scanned(barcode, times=times, epc=epc, once=once)
        return self

    def scanned(
        self, barcode: str | None = None, *, times: int = 1, epc: str | None = None, once: Once | None = None
    ) -> ScanView:
        request = ScanRequest(
            store_id=self.store.store_id, barcode=barcode, epc=epc, basket_id=self.basket_id, quantity=times
        )
        view = decoded(shopping.scan(self.shop.platform, self.who, request, once), ScanView)
        self.basket_id = view.basket_id
        return view

    def basket(self) -> BasketView:
        return shopping.read(self.shop.platform, self.who, self.basket_id or "")

    def ordered(self, once: Once | None = None) -> OrderCreated:
        request = CreateOrderRequest(basket_id=self.basket_id or "", store_id=self.store.store_id)
        view = decoded(ordering.create_order(self.shop.platform, self.who, request, once), OrderCreated)
        self.order_id = view.order_id
        return view

    def session(self) -> SessionView:
        if not self.order_id:
            self.ordered()
        request = SessionRequest(order_id=self.order_id)
        view = decoded(paying.create_session(self.shop.platform, self.who, request), SessionView)
        self.session_id = view.session_id
        return view

    def paid(self, *, once: Once | None = None, method: str = "credit_card", **details: Any) -> PaymentView:
        if not self.session_id:
            self.session()
        request = AddPaymentRequest(session_id=self.session_id, payment_method=method, payment_details=details)
        return decoded(paying.add_payment(self.shop.platform, self.who, request, once), PaymentView)

    def pay(self, **details: Any) -> Till:
        """Order and pay; raises AssertionError unless the order is complete afterwards."""
        view = self.paid(**details)
        assert view.order_complete, f"the order is not complete: payment {view.status} {view.error_message}"
        return self

    def confirmed(self, once: Once | None = None, **details: Any) -> PaymentView:
        request = PaymentDetailsRequest(session_id=self.session_id, payment_details=details)
        return decoded(paying.confirm(self.shop.platform, self.who, request, once), PaymentView)

    def order(self) -> OrderView:
        return reading.order(self.shop.platform, self.who, self.order_id)
