"""What plugins offer besides gateways: tax, promotions, items, identities, settlement, messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO, Protocol, runtime_checkable

from msgspec import Struct

from tillhook.core.domain.aftersale import Alert, SettlementEntry, SpecialPromotion
from tillhook.core.domain.basket import Basket, Discount
from tillhook.core.domain.store import Item, Store
from tillhook.core.domain.tax import Taxable, TaxResult
from tillhook.core.roles.outside import Outside


@runtime_checkable
class TaxCalculator(Protocol):
    """Computes the tax of a basket."""

    name: str

    def evaluate(self, lines: Sequence[Taxable], store: Store) -> TaxResult:
        """Tax every line. Raises ValueError naming the line that cannot be taxed."""
        ...


@runtime_checkable
class PromotionEngine(Protocol):
    """Computes discounts of a basket."""

    name: str

    def evaluate(
        self, basket: Basket, store: Store, special: Sequence[SpecialPromotion], now: datetime
    ) -> Mapping[int, Discount]:
        """Line number → discount; lines without one are left out."""
        ...


class FeedItem(Struct, frozen=True):
    """One row of an item feed: where it stood, and the item or the reason why it is none."""

    line: int
    item: Item | None
    """Its ``item_id`` may be empty: the import gives new items an id and lets known ones keep theirs."""
    refusal: str = ""
    """A few words, the same for each row with this fault: refusals are counted by them."""
    barcode: str = ""
    """Of a refused row, as far as it could be read."""
    detail: str = ""
    """What exactly is wrong with this row."""


@runtime_checkable
class ItemFeed(Protocol):
    """Reads a retailer's item file, row by row, in constant memory."""

    name: str

    def read(self, source: BinaryIO, catalogue: str, currency: str) -> Iterator[FeedItem]: ...


class Principal(Struct, frozen=True):
    """Who is asking: proven by a token, with roles and the stores and customer they are bound to."""

    subject: str
    roles: frozenset[str]
    issuer: str
    customer_id: str | None = None
    stores: frozenset[str] | None = None
    """Stores a staff member or device is bound to; None: not bound to any."""

    def vouched_by(self, providers: Iterable[IdentityProvider]) -> bool:
        """Whether one of ``providers`` (a shop's) speaks for this principal."""
        return any(provider.issuer == self.issuer for provider in providers)


@runtime_checkable
class IdentityProvider(Protocol):
    """Vouches for tokens of one issuer. The core verifies signature, issuer, expiry and audience."""

    name: str
    issuer: str
    algorithms: tuple[str, ...]

    def keys(self, outside: Outside) -> Mapping[str, Any]:
        """The issuer's public keys as a JWK set (RFC 7517). Called again, at a bounded rate, for an unknown ``kid``."""
        ...

    def accepts(self, claims: Mapping[str, Any]) -> bool:
        """Whether the token is meant for us (``aud``, or ``azp`` with providers that leave us out of it)."""
        ...

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Map verified claims to roles. Raises ValueError for claims that name nobody."""
        ...


@runtime_checkable
class TokenIssuer(Protocol):
    """An identity provider that can also make tokens (the embedded one)."""

    name: str

    def issue(self, principal: Principal, *, now: datetime, seconds: int) -> str: ...


@runtime_checkable
class SettlementParser(Protocol):
    """Reads one provider's settlement file as a stream."""

    name: str

    def parse(self, source: BinaryIO) -> Iterator[SettlementEntry]: ...


@runtime_checkable
class SettlementSource(Protocol):
    """Fetches a day's settlement from where the provider puts it."""

    name: str

    def fetch(self, day: date, outside: Outside) -> Iterable[tuple[str, BinaryIO]]:
        """(file name, stream) pairs of the day; empty when there is none yet."""
        ...


@runtime_checkable
class Notifier(Protocol):
    """Carries messages to people (Slack, e-mail, push)."""

    name: str

    def send(self, alert: Alert, outside: Outside) -> None: ...


class Demonstration(Struct, frozen=True, kw_only=True):
    """What a plugin brings to be tried with; nothing of it may be anybody's real number."""

    stores: tuple[Store, ...] = ()
    catalogues: Mapping[str, Callable[[], BinaryIO]] = {}
    """Catalogue name → its item file, in the form of the built-in CSV feed."""
    epcs: tuple[str, ...] = ()
    """Tags that can be scanned in the RFID stores."""
    payments: Mapping[str, Mapping[str, Any]] = {}
    """``approve``, ``decline``, ``timeout``, … → the fields of add-payment that bring it about."""
