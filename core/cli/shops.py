"""``tillhook stores`` and ``tillhook orders``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import msgspec

from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import say, show_json, show_table, warn
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.domain.store import Store
    from tillhook.core.services.platform import Platform
    from tillhook.core.services.wire import OrderView


@click.group()
def stores() -> None:
    """List the stores, or bring them in from a file."""


@stores.command("list")
@click.option("--json", "as_json", is_flag=True, help="A list of objects with every field.")
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List all stores.

    \b
    Example:
      tillhook stores list --json | jq -r .[].store_id
    """
    from tillhook.core.storage.stores import all_stores

    with session.system() as assembled:
        found = assembled.platform.db.read(all_stores)
        faults = assembled.platform.host.problems(found)
    if as_json:
        show_json(found)
        return
    broken = {(fault.place[0], fault.place[1]) for fault in faults}
    rows = [
        (at.store_id, at.name, at.store_type, at.region, at.currency, at.catalogue, at.rfid, _state(at, broken))
        for at in found
    ]
    headers = ("Store", "Name", "Type", "Region", "Currency", "Catalogue", "RFID", "State")
    show_table(headers, rows, nothing="there is no store yet: `tillhook stores import FILE` or `tillhook demo`")


def _state(store: Store, broken: set[tuple[str, str]]) -> str:
    if not store.active:
        return "switched off"
    return "not served" if (store.store_type, store.region) in broken else "ready"


@stores.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@pass_session
def import_(session: Session, file: Path) -> None:
    """Bring in the stores of FILE: all of them, or none when one is wrong. A store that exists is replaced.

    FILE is TOML with one [[stores]] table for each store: store_id, store_type, region, name, currency, timezone,
    catalogue, retailer_store_id; optional active, rfid, demo, address, tax_registration.

    \b
    Example:
      tillhook stores import stores.toml
    """
    from tillhook.core.storage.stores import all_stores, save_store

    found = list(_read(file))
    with session.system() as assembled:
        platform = assembled.platform
        before = {store.store_id: store for store in platform.db.read(all_stores)}

        def save(tx: Any) -> None:
            for store in found:
                save_store(tx, store)

        platform.db.write(save)
        faults = platform.host.problems(found)
    new = sum(store.store_id not in before for store in found)
    same = sum(before.get(store.store_id) == store for store in found)
    say(f"{file}: {len(found)} stores: {new} new, {len(found) - new - same} changed, {same} as before")
    for fault in faults:
        warn(f"not served: {fault}")


def _read(file: Path) -> Iterator[Store]:
    """Raises Unusable naming the first store and field that is wrong."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Unusable(f"{file}: is not TOML: {error}") from error
    rows = tables.get("stores")
    if not isinstance(rows, list) or not rows or set(tables) != {"stores"}:
        raise Unusable(f"{file}: write one [[stores]] table for each store, and nothing else")
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        name = row.get("store_id", "") if isinstance(row, dict) else ""
        where = f"{file}: store {number}{f' ({name})' if name else ''}"
        try:
            store = _store(row)
        except ValueError as error:
            raise Unusable(f"{where}: {error}") from error
        if store.store_id in seen:
            raise Unusable(f"{where}: its store_id is in the file twice")
        seen.add(store.store_id)
        yield store


def _store(row: dict[str, Any]) -> Store:
    """Raises ValueError that names the field."""
    from tillhook.core.config.errors import nearest
    from tillhook.core.domain.money import exponent
    from tillhook.core.domain.store import Store

    for name in row:
        if name not in Store.__struct_fields__:
            raise ValueError(f"there is no field {name!r}{nearest(name, Store.__struct_fields__)}")
    store = msgspec.convert(row, Store)
    for name in ("store_id", "store_type", "name", "catalogue"):
        if not getattr(store, name).strip():
            raise ValueError(f"{name} is empty")
    if not (len(store.region) == 2 and store.region.isascii() and store.region.isalpha() and store.region.isupper()):
        raise ValueError(f"region {store.region!r} must be two capitals (ISO 3166-1 alpha-2)")
    exponent(store.currency)
    try:
        ZoneInfo(store.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"timezone {store.timezone!r} is no IANA name such as Europe/Stockholm") from error
    return store


@click.group()
def orders() -> None:
    """Look at an order."""


@orders.command()
@click.argument("order_id")
@click.option("--json", "as_json", is_flag=True, help="The order as the HTTP API gives it.")
@pass_session
def show(session: Session, order_id: str, as_json: bool) -> None:
    """Show an order and everything that happened to it. An open payment is asked about first.

    \b
    Example:
      tillhook orders show ord_01a204… --json | jq .timeline
    """
    from tillhook.core.services import reading

    with session.system() as assembled:
        found = reading.order(assembled.platform, _operator(assembled.platform, order_id), order_id)
    if as_json:
        show_json(found)
        return
    say(f"{found.order_id}  o_id {found.o_id}  store {found.store_id}  customer {found.customer_id}")
    paid = f"{found.payment.status}, {found.payment.captured_amount} captured"
    say(f"order {found.order_status}  payment {paid}  total {found.total_price}, tax {found.total_tax}")
    if found.transaction_id_poslog is not None:
        say(f"transaction {found.transaction_id_poslog} of business day {found.business_day_date}")
    say()
    lines = [(at.line_no, at.gtin, at.name, at.quantity, at.unit_price, at.discount, at.price) for at in found.items]
    show_table(("Line", "GTIN", "Name", "Quantity", "Unit price", "Discount", "Price"), lines)
    say()
    headers = ("At (UTC)", "Step", "State", "Plugin", "Tries", "ms", "Detail")
    show_table(headers, [_step(found, number) for number in range(len(found.timeline))])


def _step(order: OrderView, number: int) -> tuple[object, ...]:
    at = order.timeline[number]
    later = f"next try {at.next_try:%H:%M:%S}" if at.next_try else ""
    detail = "; ".join(part for part in (at.detail, later) if part)
    return f"{at.at:%Y-%m-%d %H:%M:%S}", at.step, at.state, at.plugin, at.attempts or "", at.duration_ms, detail


def _operator(platform: Platform, order_id: str) -> Any:
    """Whoever sits at this machine, as the store of the order would see an operator."""
    from tillhook.core.roles.offers import Principal
    from tillhook.core.roles.people import OPERATOR
    from tillhook.core.services.settling import load_case

    case = load_case(platform, order_id)
    if not case.shop.identity_providers:
        raise Trouble(f"no plugin of store type {case.store.store_type} has an identity provider: switch one on")
    return Principal("command line", frozenset({OPERATOR}), case.shop.identity_providers[0].issuer)
