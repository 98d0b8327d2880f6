"""Commands that plugins bring: ``tillhook <plugin> --store ID <command> …``, found when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

import click

from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.session import Session

if TYPE_CHECKING:
    from tillhook.core.domain.store import Store
    from tillhook.core.plugins.shop import Shop
    from tillhook.core.services.platform import Platform

GROUP: Final = "tillhook"
HELP: Final = frozenset({"-h", "--help"})
MANY: Final = 8
"""More stores than these are not listed in a line."""


def session_of(context: click.Context) -> Session:
    """The options before the command, also while the command is still being looked for."""
    root = context.find_root()
    if isinstance(root.obj, Session):
        return root.obj
    return Session(root.params.get("config"), debug=bool(root.params.get("debug")))


def group_of(session: Session, name: str) -> click.Group | None:
    """The commands of the plugin of that name; None when there is no such plugin.

    Raises Unusable for one that is switched on nowhere, ConfigError when that cannot be told.
    """
    installed = name in entry_points(group=GROUP).names
    try:
        switched_on = session.configuration().layers.plugin_names()
    except ValueError:
        if installed:
            raise
        return None
    if name in switched_on:
        return PluginGroup(name)
    if installed:
        raise Unusable(f"plugin {name!r} is installed, but no store type has it among its `plugins`")
    return None


def summaries(session: Session, taken: Mapping[str, object]) -> list[tuple[str, str]]:
    """(plugin, what it is) for each plugin with commands that is switched on. ``taken`` are names of the core's own."""
    from tillhook.core.plugins.discovery import discover
    from tillhook.core.plugins.inspection import hooks_of

    try:
        wanted = session.configuration().layers.plugin_names()
    except ValueError:
        return []  # help is for those, too, whose configuration is broken; every command says what is wrong with it
    rows = []
    for one in discover(wanted):
        if one.plugin_class is not None and "commands" in hooks_of(one.plugin_class):
            said = (one.plugin_class.__doc__ or "").strip().partition("\n")[0].rstrip(".")
            clash = f"cannot be called: {one.name!r} is a command of tillhook; rename the entry point"
            rows.append((one.name, clash if one.name in taken else said))
    return rows


class PluginGroup(click.Group):
    """The commands that one plugin offers in the store that they are about; each finds its errand in the context."""

    def __init__(self, plugin: str) -> None:
        store = click.Option(["--store"], metavar="ID", help="The store; not needed when only one has the plugin.")
        super().__init__(plugin, params=[store], help=f"Commands of the plugin {plugin}.", no_args_is_help=True)
        self._plugin = plugin
        self._offered: dict[str, click.Command] | None = None
        self._help: frozenset[str] = frozenset()
        """How help was asked for; a command may use ``-h`` for something else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        self._help = HELP.intersection(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._found(ctx))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._found(ctx).get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        if self._help and self._help.isdisjoint(self._options(ctx)):
            return super().invoke(ctx)
        from tillhook.core.services.rooms import errand_of

        with session_of(ctx).system() as assembled:
            platform = assembled.platform
            store, shop = _store(platform, self._plugin, ctx.params["store"])
            self._offered = _commands(shop, self._plugin)
            ctx.obj = errand_of(shop, self._plugin, platform.clock(), store=store)
            with _attributed(self._plugin):
                return super().invoke(ctx)

    def _options(self, ctx: click.Context) -> Iterator[str]:
        for command in self._found(ctx).values():
            for parameter in command.params:
                yield from parameter.opts

    def _found(self, ctx: click.Context) -> dict[str, click.Command]:
        """For help: those of any place that has the plugin; no store is needed, nor a database."""
        if self._offered is None:
            with session_of(ctx).system(migrated=False) as assembled:
                shops = [shop for shop in assembled.platform.host.shops() if self._plugin in shop.plugins]
                if not shops:
                    raise _not_served(assembled.platform, self._plugin)
                self._offered = _commands(shops[0], self._plugin)
        return self._offered


def _commands(shop: Shop, plugin: str) -> dict[str, click.Command]:
    """Raises Trouble for a plugin without any."""
    from tillhook.core.roles.duties import Parked

    try:
        shop.wait_for_muted(plugin, "commands")
    except Parked as error:
        raise Trouble(str(error)) from error
    found: dict[str, click.Command] = {
        offered.thing.command.name: offered.thing.command
        for offered in shop.offers("commands")
        if offered.plugin == plugin
    }
    if not found:
        raise Unusable(f"plugin {plugin!r} has no commands")
    return found


def _store(platform: Platform, plugin: str, store_id: str | None) -> tuple[Store, Shop]:
    """The store that is named, else the only one that has the plugin. Raises Problem, Trouble or Unusable."""
    from tillhook.core.storage.stores import all_stores

    if store_id is not None:
        store = platform.store(store_id)
        shop = platform.host.shop(store)
        if plugin not in shop.plugins:
            place = f"{store.store_type}/{store.region}"
            raise Unusable(f"plugin {plugin!r} is not switched on for store {store_id} ({place})")
        return store, shop
    found = [pair for store in platform.db.read(all_stores) for pair in _with_plugin(platform, store, plugin)]
    if not found:
        if platform.host.problems():
            raise _not_served(platform, plugin)
        raise Trouble(f"no store has the plugin {plugin!r} yet: `tillhook stores import FILE` or `tillhook demo`")
    if len(found) > 1:
        names = [store.store_id for store, _ in found]
        more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
        raise click.UsageError(f"Name a --store: {', '.join(names[:MANY])}{more}.", click.get_current_context())
    return found[0]


def _with_plugin(platform: Platform, store: Store, plugin: str) -> Iterator[tuple[Store, Shop]]:
    from tillhook.core.domain.problems import Problem

    try:
        shop = platform.host.shop(store)
    except Problem:
        return  # not served; told when it is named, and when none is left
    if plugin in shop.plugins:
        yield store, shop


def _not_served(platform: Platform, plugin: str) -> Trouble:
    faults = platform.host.problems()
    culprit = next((fault for fault in faults if fault.plugin == plugin), faults[0] if faults else None)
    return Trouble(str(culprit) if culprit else f"no place has the plugin {plugin!r}")


@contextmanager
def _attributed(plugin: str) -> Iterator[None]:
    """Whatever the plugin's command raises becomes one line that names the plugin."""
    from tillhook.core.domain.problems import Problem
    from tillhook.core.roles.settings import without_secrets

    who = f"plugin {plugin!r}"
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.UsageError):
        raise
    except click.ClickException as error:
        shown = click.ClickException(f"{who}: {error.format_message()}")
        shown.exit_code = error.exit_code  # type: ignore[misc]
        raise shown from error
    except Problem as error:
        raise Trouble(f"{who}: {error.detail}") from error
    except Exception as error:
        said = without_secrets(f"{type(error).__name__}: {error}".partition("\n")[0])
        raise Trouble(f"{who} failed: {said} (--debug before the command shows where)") from error
