"""``tillhook try``: a whole sale at the terminal, and what each plugin did in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tillhook.core.cli.faults import PROBLEM
from tillhook.core.cli.output import say, show_json, show_table, warn
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.cli.trial import Trial
    from tillhook.core.domain.completed import PosLog
    from tillhook.core.services.wire import TimelineEntry


@click.command("try")
@click.argument("store_type")
@click.option("--region", metavar="CC", default="", help="Two letters: SE, DK, …; default: any.")
@click.option("--store", "store_id", metavar="ID", help="A demonstration store; default: the first of the store type.")
@click.option(
    "--pay", metavar="NAME", default="approve", show_default=True, help="A demonstration payment of the gateway."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with everything.")
@pass_session
def try_(session: Session, store_type: str, region: str, store_id: str | None, pay: str, as_json: bool) -> None:
    """Make a whole sale in this process and show what each plugin did in it.

    Migrates the database and loads what the plugins of STORE_TYPE offer to be tried with; scans, orders, pays; does
    the order's duties; shows the timeline, the receipt, the POSLog document and what was put on the bus. Exit
    code 1 when the order is not complete or one of its duties has not ended. Sells in demonstration stores only.

    \b
    Examples:
      tillhook try demo --region SE
      tillhook try demo --pay decline
      tillhook --debug try demo          also each call to the outside world
    """
    from tillhook.core.cli.trial import sell

    with session.system(migrated=False) as assembled:
        trial = sell(assembled, store_type, region.upper(), store_id, pay, tracebacks=session.debug)
    if as_json:
        show_json(_document(trial))
    else:
        _show(trial)
    for problem in trial.problems:
        warn(problem)
    if trial.problems:
        raise SystemExit(PROBLEM)


def _document(trial: Trial) -> dict[str, Any]:
    return {
        "store_id": trial.store.store_id,
        "order": trial.order,
        "asked": trial.asked,
        "receipt": trial.receipt,
        "poslog": trial.poslog,
        "messages": [{"topic": at.topic, "key": at.key, "value": json.loads(at.value)} for at in trial.messages],
        "problems": trial.problems,
    }


def _show(trial: Trial) -> None:
    order = trial.order
    say(f"{order.order_id} in {trial.store.store_id} ({trial.store.name}): {order.order_status}, {order.total_price}")
    _head("Timeline")
    headers = ("At (UTC)", "Step", "State", "Plugin", "Tries", "ms", "Detail")
    show_table(headers, [_step(at) for at in order.timeline])
    _head("Who was asked")
    calls = [(at.plugin, at.hook, at.times, at.ms) for at in trial.asked]
    show_table(("Plugin", "Hook", "Times", "ms in all"), calls, nothing="nobody")
    _head("Receipt")
    say(trial.receipt.rstrip("\n") or "none")
    _head("POSLog" + (f" ({trial.poslog.media_type})" if trial.poslog else ""))
    say(_text(trial.poslog) if trial.poslog else "none: no plugin answers `poslog_for`")
    _head("Bus")
    for at in trial.messages:
        say(f"{at.topic}  key {at.key}\n{at.value}")
    if not trial.messages:
        say("nothing was put on it")


def _head(title: str) -> None:
    say(f"\n{title}\n{'-' * len(title)}")


def _step(at: TimelineEntry) -> tuple[object, ...]:
    later = f"next try {at.next_try:%H:%M:%S}" if at.next_try else ""
    detail = "; ".join(part for part in (at.detail, later) if part)
    return f"{at.at:%H:%M:%S.%f}"[:-3], at.step, at.state, at.plugin, at.attempts or "", at.duration_ms, detail


def _text(log: PosLog) -> str:
    """The document; JSON with line breaks."""
    if log.media_type != "application/json":
        return log.document
    try:
        return json.dumps(json.loads(log.document), indent=2, ensure_ascii=False)
    except ValueError:
        return log.document
