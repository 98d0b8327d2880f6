"""A plugin that posts sales to its back office, and playing it one of the cassettes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tillhook import (
    Answer,
    CompletedOrder,
    Config,
    CsvFeed,
    Fulfilled,
    ItemFeed,
    Order,
    Outside,
    Permanent,
    Plugin,
    Secret,
    Store,
    hookimpl,
)
from tillhook.core.testing.cassette_files import Case, Cassette, cassettes_in
from tillhook.core.testing.cassettes import play

FOLDER = Path(__file__).parent / "cassettes"


class AcmeSettings(Config, frozen=True, kw_only=True):
    api_key: Secret
    dashes: int = 1


class Acme(Plugin):
    Settings = AcmeSettings
    settings: AcmeSettings

    @hookimpl
    def item_feeds(self) -> Sequence[ItemFeed]:
        return (CsvFeed(),)

    @hookimpl
    def transaction_id_for(self, order: Order, number: int, store: Store) -> str | None:
        return f"{store.retailer_store_id}{'-' * self.settings.dashes}{number:07d}"

    @hookimpl
    def fulfil_order(self, order: CompletedOrder, store: Store, outside: Outside) -> Fulfilled | None:
        lines = [{"gtin": line.gtin, "amount": line.amount} for line in order.lines]
        answer = self.post(outside, {"total": order.total.minor, "lines": lines}, order.order_id)
        if answer.status == 422:
            raise Permanent("refused: a person must look at it")
        reference = answer.json()["receipt_number"]
        outside.publish("acme.sold", key=order.order_id, value={"total": order.total.minor})
        return Fulfilled(reference)

    def post(self, outside: Outside, document: dict[str, Any], key: str) -> Answer:
        headers = {"Authorization": f"Bearer {self.settings.api_key.reveal()}"}
        url = "https://back-office.example/sales"
        return outside.request("POST", url, headers=headers, json=document, idempotency_key=key)


SETTINGS: Mapping[str, Any] = {"api_key": "env:ACME_KEY"}


def faults(name: str, plugin: type[Plugin], folder: Path, **changes: Any) -> list[str]:
    """Play one of the cassettes, with changes, to a plugin."""
    (found,) = (at for at in cassettes_in(FOLDER) if at.path.stem == name)
    return play(changed(found, **changes), plugin, SETTINGS, folder)


def changed(found: Cassette, **changes: Any) -> Cassette:
    assert found.case is not None, found.fault
    plain = {**msgspec.to_builtins(found.case), **changes}
    return msgspec.structs.replace(found, case=msgspec.convert(plain, Case))


SALE = "a_sale_goes_to_the_back_office"
