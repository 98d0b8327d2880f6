"""``tillhook demo``: everything that is needed to talk to the demonstration shop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tillhook.core.cli.output import say, show_json
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.cli.demonstration import Prepared


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.option("--load/--no-load", default=True, show_default=True, help="Bring stores and items into the database.")
@pass_session
def demo(session: Session, as_json: bool, load: bool) -> None:
    """Prepare the demonstration shop and say how to talk to it.

    Migrates the database and loads the stores and items that plugins offer to be tried with. What is there already is
    left alone, so it can be repeated at any time, also while the server runs.

    \b
    Example:
      tillhook demo --json | jq -r .barcodes[0]
    """
    from tillhook.core.cli.demonstration import prepare

    with session.system(migrated=not load) as assembled:
        prepared = prepare(assembled.platform, load=load)
    if as_json:
        show_json(prepared.document())
    else:
        show(prepared)


def show(prepared: Prepared) -> None:
    """What a person needs: addresses, stores, a token, a line to copy."""
    from tillhook.core.cli.demonstration import HOURS

    show_addresses(prepared.base_url, docs=prepared.docs, pages=prepared.pages)
    for store in (prepared.store, prepared.rfid_store):
        if store is not None:
            kind = "RFID tags" if store.rfid else "barcodes"
            _show_row("Store", f"{store.store_id}  ({store.name}, {store.currency}, {kind})")
    _show_row("Pay with", "  ".join(f"{name}={_token(fields)}" for name, fields in prepared.payments.items()))
    scan = json.dumps({"store_id": prepared.store.store_id, "barcode": prepared.barcodes[0]})
    say(f"\n  A shopper's token ({prepared.customer_id}, valid for {HOURS} h):\n\nTOKEN={prepared.token}\n")
    say("  Scan something:\n")
    say(
        f'curl -s {prepared.base_url}/items/v2/scan/ -H "Authorization: Bearer $TOKEN" '
        f"-H 'Content-Type: application/json' -d '{scan}'\n"
    )


def show_addresses(url: str, *, docs: bool, pages: bool) -> None:
    """What to open in a browser, and what to watch."""
    _show_row("API", url)
    if docs:
        _show_row("API docs", f"{url}/docs")
    if pages:
        _show_row("Pages", f"{url}/pages/  (sign in with what `tillhook token --role operator` prints)")
    _show_row("Health", f"{url}/health  {url}/ready  {url}/metrics")


def _show_row(name: str, value: str) -> None:
    say(f"  {click.style(f'{name:<10}', bold=True)} {value}")


def _token(fields: object) -> str:
    details = fields.get("payment_details", {}) if isinstance(fields, dict) else {}
    return " ".join(str(value) for value in details.values())
