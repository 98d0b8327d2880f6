"""``tillhook plugins`` and ``tillhook config``: what is installed, what is switched on, what is set and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click
from msgspec import Struct

from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import say, show_json, show_table, warn
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.config.layers import Layers, Setting
    from tillhook.core.plugins.discovery import Found

HIDDEN = "***"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with each plugin's hooks.")
@pass_session
def plugins(session: Session, as_json: bool) -> None:
    """List the plugins, their state, and the order in which they are asked.

    A plugin that cannot be used is quarantined: only the store types that need it are not served.
    Exit code 1 when a plugin that a store type needs is quarantined.

    \b
    Example:
      tillhook plugins --json | jq '.plugins[] | select(.state == "quarantined")'
    """
    with session.system(migrated=False) as assembled:
        report = assembled.platform.host.report()
        layers = assembled.configuration.layers
        order = {
            "/".join(name for name in place if name): layers.effective(*place).get("plugins", [])
            for place in layers.places()
        }
    if as_json:
        show_json({"plugins": report, "order": order})
    else:
        show_table(
            ("Plugin", "Distribution", "Version", "State", "Store types"),
            [(one.name, one.distribution, one.version, one.state.value, one.store_types) for one in report],
            nothing="no plugin is installed",
        )
        for place, names in order.items():
            say(f"{place}: asked in this order: {' → '.join(map(str, names))}")
    broken = [one for one in report if one.reason]
    for one in broken:
        warn(f"{one.name} is quarantined: {one.reason}")
    if any(one.store_types for one in broken):
        raise SystemExit(1)


@click.group()
def config() -> None:
    """Look at the configuration: what is set, by which layer, and what is wrong with it."""


@config.command()
@pass_session
def check(session: Session) -> None:
    """List everything that is wrong with the configuration; exit code 1 when there is anything.

    \b
    Example:
      tillhook --config staging.toml config check
    """
    with session.system(migrated=False) as assembled:
        faults = assembled.platform.host.problems()
        layers = assembled.configuration.layers
        places = layers.places()
    for fault in faults:
        say(str(fault))
    if faults:
        raise Trouble(f"{layers.file}: {_count(len(faults), 'fault')}")
    types = {place[0] for place in places}
    say(f"{layers.file}: no fault in {_count(len(types), 'store type')}, {_count(len(places), 'place')}")


@config.command()
@click.option("--store-type", metavar="TYPE", help="A store type of the configuration; not needed with --store.")
@click.option("--region", metavar="CC", default="", help="Two letters: SE, DK, …")
@click.option("--store", "store_id", metavar="ID", help="A store, with the layer of its own if there is one.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects with name, value and layer.")
@pass_session
def show(session: Session, store_type: str | None, region: str, store_id: str | None, as_json: bool) -> None:
    """Show each setting of a store type and the layer that it comes from. Secrets are hidden.

    \b
    Example:
      tillhook config show --store-type demo --region SE
    """
    from tillhook.core.config.errors import nearest
    from tillhook.core.plugins.discovery import discover

    configuration = session.configuration()
    layers = configuration.layers
    if store_type is None and store_id is not None:
        store_type, region = _place_of(session, store_id)
    if store_type is None:
        raise click.UsageError(f"name a --store-type{nearest('', layers.store_types())}, or a --store")
    if store_type not in layers.store_types():
        raise Unusable(f"{layers.file}: no store type {store_type!r}{nearest(store_type, layers.store_types())}")
    region = region.upper()
    rows = list(_settings(layers, (store_type, region, store_id), discover()))
    if as_json:
        show_json([{"name": name, "value": value, "layer": layer} for name, value, layer in rows])
    else:
        show_table(("Setting", "Value", "Layer"), [(name, _as_toml(value), layer) for name, value, layer in rows])
        path = layers.path(store_type, region, store_id)
        if not any(layer.startswith(store_type) for layer in path):
            warn(f"no layer of {store_type} is for region {region!r}")


def _place_of(session: Session, store_id: str) -> tuple[str, str]:
    with session.system() as assembled:
        store = assembled.platform.store(store_id)
    return store.store_type, store.region


def _settings(
    layers: Layers, place: tuple[str, str, str | None], found: tuple[Found, ...]
) -> Iterator[tuple[str, Any, str]]:
    """(name, value, layer) with every secret hidden: by its type, by its name, and whatever a URL says of it."""
    used = layers.effective(*place).get("plugins", [])
    classes = {one.name: one.plugin_class.Settings for one in found if one.plugin_class and one.name in used}
    secrets = {f"{plugin}.{name}" for plugin, kind in classes.items() for name in _secrets(kind)}
    for setting in layers.explain(*place, plugins=classes):
        yield setting.name, _disclosed(setting, secrets), setting.layer


def _disclosed(setting: Setting, secrets: set[str]) -> Any:
    from tillhook.core.telemetry.logs import is_secret

    value = setting.value
    if value is None or not (setting.name in secrets or is_secret(setting.name.rpartition(".")[2])):
        return re.sub(r"://([^/\s:@]*):[^/\s@]+@", rf"://\1:{HIDDEN}@", value) if isinstance(value, str) else value
    return f"{HIDDEN} ({value})" if isinstance(value, str) and value.startswith("env:") else HIDDEN


def _secrets(kind: type[Struct], above: str = "") -> Iterator[str]:
    """The dotted names of the settings that hold secrets."""
    from tillhook.core.roles.settings import Secret

    for name, hint in get_type_hints(kind).items():
        for one in (hint, *get_args(hint)):
            if one is Secret:
                yield f"{above}{name}"
            elif isinstance(one, type) and issubclass(one, Struct):
                yield from _secrets(one, f"{above}{name}.")


def _as_toml(value: Any) -> str:
    """As one would write it in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_as_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    if isinstance(value, str):
        return value if value.startswith(HIDDEN) else f'"{value}"'
    return "(not set)" if value is None else str(value)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
