"""``tillhook plugins --explain``: who answers each hook in one place, in which order, under which rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tillhook.core.cli.output import is_terminal, say, show_json, show_table, warn

if TYPE_CHECKING:
    from tillhook.core.plugins.explaining import Answerer, Explained, Explanation

HEADERS = ("Hook", "Kind", "When one fails", "Limit", "Asked", "Version", "State", "Offers")


def show(place: str, found: Explanation, *, as_json: bool) -> None:
    """Write it down: an object with ``hooks``; a paragraph for each hook on a terminal, else a row for each plugin."""
    if as_json:
        show_json(found)
        return
    if is_terminal():
        for hook in found.hooks:
            _draw(hook)
    else:
        show_table(HEADERS, _rows(found), nothing="no plugin of this place implements a hook")
    say(f"{place}: asked in this order: {' → '.join(found.plugins) or 'nobody'}")
    for one in found.silent:
        who = " ".join(part for part in (f"plugin {one.plugin!r}", one.version) if part)
        warn(f"{place}: {who} is {one.state}: {one.reason}")
    if not found.served:
        warn(f"{place} is not served: `tillhook config check` lists what is wrong")


def _draw(hook: Explained) -> None:
    rules = ", ".join(part for part in (hook.kind, hook.on_failure, _seconds(hook)) if part)
    say(f"{click.style(hook.hook, bold=True)}: {rules}")
    for number, one in enumerate(hook.by, start=1):
        parts = [_offers(one)]
        if one.state != "ready":
            parts.insert(0, click.style(one.state, fg="red" if one.state == "quarantined" else "yellow"))
        told = ", ".join(part for part in parts if part)
        say(f"  {number}. {one.plugin} {one.version}{told and f': {told}'}")


def _rows(found: Explanation) -> Iterator[tuple[str, ...]]:
    for hook in found.hooks:
        for one in hook.by:
            rules = (hook.hook, hook.kind, hook.on_failure, _seconds(hook))
            yield (*rules, one.plugin, one.version, one.state, _offers(one))


def _seconds(hook: Explained) -> str:
    return "" if hook.seconds is None else f"{hook.seconds:g} s"


def _offers(one: Answerer) -> str:
    chosen = {name: setting for setting, name in one.picked.items()}
    return ", ".join(f"{name} ← {chosen[name]}" if name in chosen else name for name in one.offers)
