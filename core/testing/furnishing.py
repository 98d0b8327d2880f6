"""A whole shop around one plugin: a store, some goods, somebody who takes the money, and the plugin switched on."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest

from tillhook.core.domain.store import Store
from tillhook.core.roles.grammar import PROJECT
from tillhook.core.services.feeds import CsvFeed
from tillhook.core.services.importing import import_items
from tillhook.core.services.platform import Platform
from tillhook.core.storage.stores import save_store
from tillhook.core.testing.furniture import Furniture
from tillhook.core.testing.planted import PLANTED
from tillhook.core.testing.shop import TillShop
from tillhook.core.testing.world import World
from tillhook.hookspecs import Plugin

STORE: Final = Store(
    store_id="sto_test_1",
    store_type="test",
    region="DK",
    name="Test Street 1",
    currency="DKK",
    timezone="Europe/Copenhagen",
    catalogue="test",
    retailer_store_id="0001",
    rfid=True,
)
GOODS: Final = b"""retailer_barcode,item_name,price_with_vat,tax_code
9521234001010,Bananas 1 kg,18.00,food
9521234001027,Apples 1 kg,22.00,food
9521234002017,"Mug, blue",79.50,standard
"""
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_CONFIGURATION: Final = """\
[tillhook]
database = "sqlite:///{folder}/tillhook.db"

[test]
plugins = {plugins}
payment.gateway = "furniture"
taxes.calculator = "furniture"
{name} = {settings}
{layer}
"""


def open_shop(
    folder: Path,
    patch: pytest.MonkeyPatch,
    plugin: type[Plugin],
    *,
    settings: Mapping[str, Any] | None = None,
    layer: str = "",
    world: World | None = None,
) -> TillShop:
    """A shop in ``folder`` that sells ``GOODS`` in ``STORE``, with ``plugin`` switched on for its store type ``test``.

    ``settings`` are the plugin's; every ``env:NAME`` in them is a planted secret. ``layer`` is further TOML of the
    store type, such as the settings of other plugins. The plugin need not be installed, only importable. With a
    ``world`` it reaches that and nothing else.
    """
    site = folder / "site"
    site.mkdir(parents=True)
    name = _entry_point(site, plugin)
    _entry_point(site, Furniture)
    patch.syspath_prepend(str(site))
    values = _toml(dict(settings or {}))
    file = folder / "tillhook.toml"
    file.write_text(
        _CONFIGURATION.format(
            folder=folder.as_posix(), plugins=_toml(["furniture", name]), name=name, settings=values, layer=layer
        ),
        encoding="utf-8",
    )
    secrets = dict.fromkeys(re.findall(r'"env:(\w+)"', f"{values} {layer}"), PLANTED)
    return TillShop(file, furnish=_furnish, environ=secrets, world=world)


def _furnish(platform: Platform) -> None:
    platform.db.write(lambda tx: save_store(tx, STORE))
    import_items(platform.db, BytesIO(GOODS), CsvFeed(), STORE.catalogue, STORE.currency)


def _entry_point(site: Path, plugin: type[Plugin]) -> str:
    """The name under which the plugin is installed; one that is not gets a distribution in ``site``."""
    value = f"{plugin.__module__}:{plugin.__qualname__}"
    for point in importlib.metadata.entry_points(group=PROJECT):
        if point.value.replace(" ", "") == value:
            return point.name
    name = plugin.__name__.lower()
    folder = site / f"tillhook_test_{name}-1.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "entry_points.txt").write_text(f"[{PROJECT}]\n{name} = {value}\n", encoding="utf-8")
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: tillhook-test-{name}\nVersion: 1\n", encoding="utf-8"
    )
    return name


def _toml(value: Any) -> str:
    """A value as TOML on one line. Raises TypeError for what TOML has no form for."""
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{_key(name)} = {_toml(at)}" for name, at in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case bool() | int() | float() | str():
            return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"a setting cannot be {value!r}")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)
