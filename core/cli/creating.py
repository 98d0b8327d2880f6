"""``tillhook init`` and ``tillhook new``: a configuration to begin with, and a plugin to begin with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import say, warn
from tillhook.core.scaffold.templates import KINDS

if TYPE_CHECKING:
    from tillhook.core.plugins.discovery import Found
    from tillhook.core.scaffold.company import Able, Company

FILE = "tillhook.toml"
_TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HELP = """Write a package with a plugin to begin with. It works as it is, and passes its contract suite.

KIND is one of:

\b
KINDS

NAME is what configurations switch on, and the name of its table there. The package is called tillhook-NAME and written
into the folder NAME; an existing folder is left alone, unless it is empty.

\b
Example:
  tillhook new retailer acme
  tillhook new gateway acmepay --folder plugins/acmepay
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write a tillhook.toml to begin with into FOLDER (default: this one).

    It has what every store type needs, from the plugins that are installed: who makes tokens, computes tax, takes
    demonstration payments, prints receipts. A retailer's plugin is then switched on with two lines. An existing file
    is left alone.

    \b
    Example:
      tillhook init shop && cd shop && tillhook new retailer acme
    """
    from tillhook.core.scaffold.company import of_company
    from tillhook.core.scaffold.templates import single
    from tillhook.core.scaffold.writing import Occupied, write_new

    there = _company()
    values = {
        "gateway": there.gateway,
        "calculator": there.calculator,
        "files": "\n".join(there.settings),
        "plugins": there.listed("acme"),
    }
    file = folder / FILE
    try:
        write_new(file, of_company(single(FILE), there, values))
    except Occupied as error:
        raise Trouble(f"{error}; nothing was written") from error
    for what in there.missing:
        warn(f"no plugin that is installed {what}: install one and add it to {file}")
    within = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    say(f"{file}: a configuration to begin with; its comments say what can be set")
    say(f"\nNext:\n  {within}tillhook new retailer acme    a plugin for a retailer, here called acme")


@click.command(help=_HELP.replace("KINDS", "\n".join(f"  {at.name:<12} {at.what}" for at in KINDS.values())))
@click.argument("kind", metavar="KIND", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), metavar="DIR", help="Where to; default: ./NAME.")
def new(kind: str, name: str, folder: Path | None) -> None:
    from tillhook.core.plugins.discovery import discover
    from tillhook.core.scaffold.names import refusal
    from tillhook.core.scaffold.templates import package
    from tillhook.core.scaffold.writing import Occupied, must_be_free, write_folder

    folder = Path(name) if folder is None else folder
    if reason := refusal(name, KINDS[kind], {one.name for one in discover(wanted=())}):
        raise Unusable(f"a {kind} plugin cannot be called {name!r}: {reason}")
    try:
        must_be_free(folder)
        texts = package(KINDS[kind], name, {"plugins": _company().listed(name)})
        write_folder(folder, texts)
    except Occupied as error:
        raise Trouble(f"{error}; nothing was written") from error
    say(f"{folder}: the {kind} plugin {name} in {len(texts)} files; begin with src/tillhook_{name}/__init__.py")
    say(f"\nInstall it beside tillhook and run its contract suite:\n  pip install --editable {_shell(folder)}")
    say(f"  pytest {shlex.quote(str(folder))}")
    say(f"\nSwitch it on in {FILE}:")
    for listing in _TOML.findall(texts["README.md"]):
        say("\n".join(f"  {line}" for line in listing.splitlines()))
    say("\nSee that it is fit, then a whole sale with it:\n  tillhook config check")
    say(f"  tillhook try {name if kind == 'retailer' else 'STORE_TYPE'}")


def _company() -> Company:
    from tillhook.core.plugins.discovery import discover

    return beside(discover())


def beside(installed: Iterable[Found]) -> Company:
    """Those plugins that can stand beside a new one; what is quarantined or does not work is none of them."""
    from tillhook.core.scaffold.company import company

    fit = ((one.name, _able(one)) for one in installed if not (one.reason or one.off))
    return company((name, able) for name, able in fit if able is not None)


def _able(one: Found) -> Able | None:
    """What a plugin can do with nothing set; nothing, if it raises or hangs: a new one can do without it."""
    from tillhook.core.plugins.starting import MAKE_SECONDS, within
    from tillhook.core.scaffold.company import able

    plugin_class = one.plugin_class
    if plugin_class is None:
        return None
    try:
        return within(MAKE_SECONDS, lambda: able(one.name, plugin_class), one.package)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - `tillhook plugins` says what, once it is switched on
        return None


def _shell(folder: Path) -> str:
    """As pip needs it: a bare name would be looked up in the package index."""
    return shlex.quote(str(folder) if folder.is_absolute() or folder.parts[:1] == ("..",) else f"./{folder}")
