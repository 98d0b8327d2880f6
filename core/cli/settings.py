"""``tillhook plugins`` and ``tillhook config``: what is installed, what is switched on, what is set and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click
from msgspec import Struct, structs

from tillhook.core.cli.certifying import tiers_of
from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import say, show_json, show_table, warn
from tillhook.core.cli.session import Session, pass_session

if TYPE_CHECKING:
    from tillhook.core.config.layers import Layers, Setting
    from tillhook.core.plugins.discovery import Found

HIDDEN = "***"


@click.command()
@click.option("--explain", "store_type", metavar="STORE_TYPE", help="Who answers each hook there, in which order.")
@click.option("--region", metavar="CC", default="", help="With --explain: two letters; else the first that is set.")
@click.option("--store", "store_id", metavar="ID", help="With --explain: a store, with the layer of its own.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with each plugin's hooks.")
@pass_session
def plugins(session: Session, store_type: str | None, region: str, store_id: str | None, as_json: bool) -> None:
    """List the plugins, their state, and the order in which they are asked.

    The tier is that of its certificate (`tillhook certify`), as long as the installed code is the certified one.
    A plugin that cannot be used is quarantined: only the store types that need it are not served. One that
    TILLHOOK_DISABLE names is switched off: it is asked nothing, and its duties wait until it is back; who writes the
    transaction log, or offers what a setting has chosen, then keeps its store types from being served.
    Exit code 1 when a store type is not served because of a plugin.

    \b
    Examples:
      tillhook plugins --json | jq '.plugins[] | select(.state == "quarantined")'
      tillhook plugins --explain demo --region SE
    """
    if store_type is not None or store_id is not None:
        _explain(session, store_type, region.upper(), store_id, as_json=as_json)
        return
    if region:
        raise click.UsageError("--region needs --explain STORE_TYPE")
    from tillhook.core.config.errors import nearest
    from tillhook.core.plugins.discovery import DISABLE_VARIABLE, discover, switched_off

    with session.system(migrated=False) as assembled:
        report = assembled.platform.host.report()
        nothing = {one.name: ("", "") for one in report}
        tiers = nothing | tiers_of(assembled.configuration.system.certificates, discover(wanted=()))
        layers = assembled.configuration.layers
        order = {
            "/".join(name for name in place if name): layers.effective(*place).get("plugins", [])
            for place in layers.places()
        }
    if as_json:
        listed = [
            {**structs.asdict(one), "tier": tiers[one.name][0], "tier_reason": tiers[one.name][1]} for one in report
        ]
        show_json({"plugins": listed, "order": order})
    else:
        show_table(
            ("Plugin", "Distribution", "Version", "State", "Tier", "Store types"),
            [
                (one.name, one.distribution, one.version, one.state.value, tiers[one.name][0], one.store_types)
                for one in report
            ],
            nothing="no plugin is installed",
        )
        for place, names in order.items():
            say(f"{place}: asked in this order: {' → '.join(map(str, names))}")
    for line in (
        *(str(one) for one in report if one.reason),
        *(f"plugin {name!r}: its certificate does not count: {why}" for name, (_, why) in tiers.items() if why),
        *(
            f"{DISABLE_VARIABLE} names {name!r}, which is no plugin here{nearest(name, list(nothing))}"
            for name in sorted(switched_off() - nothing.keys())
        ),
    ):
        warn(line)
    if any(one.not_served or (one.store_types and one.state == "quarantined") for one in report):
        raise SystemExit(1)


def _explain(session: Session, store_type: str | None, region: str, store_id: str | None, *, as_json: bool) -> None:
    from tillhook.core.cli.explaining import show as show_explanation

    if store_id is not None and (store_type is None or not region):
        store_type, region = _place_of(session, store_id)
    with session.system(migrated=False) as assembled:
        layers = assembled.configuration.layers
        store_type = _known(layers, store_type or "")
        places = [place for place in layers.places() if place[0] == store_type]
        region = region or places[0][1]
        found = assembled.platform.host.explain(store_type, region, store_id)
    place = "/".join(name for name in (store_type, region, store_id) if name)
    show_explanation(place, found, as_json=as_json)
    if not found.served:
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
    store_type = _known(layers, store_type)
    region = region.upper()
    rows = list(_settings(layers, (store_type, region, store_id), discover()))
    if as_json:
        show_json([{"name": name, "value": value, "layer": layer} for name, value, layer in rows])
    else:
        show_table(("Setting", "Value", "Layer"), [(name, _as_toml(value), layer) for name, value, layer in rows])
        path = layers.path(store_type, region, store_id)
        if not any(layer.startswith(store_type) for layer in path):
            warn(f"no layer of {store_type} is for region {region!r}")


def _known(layers: Layers, store_type: str) -> str:
    """The store type, if the configuration has it."""
    from tillhook.core.config.errors import nearest

    if store_type not in layers.store_types():
        raise Unusable(f"{layers.file}: no store type {store_type!r}{nearest(store_type, layers.store_types())}")
    return store_type


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
