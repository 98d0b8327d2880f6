"""The command ``tillhook``: its options, its commands, and how errors end it.

Command modules import what is slow (the database, the web server) inside their commands: help is quick.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tillhook import __version__
from tillhook.core.cli import mounting
from tillhook.core.cli.catalogue import items
from tillhook.core.cli.certifying import certify
from tillhook.core.cli.creating import init, new
from tillhook.core.cli.database import db
from tillhook.core.cli.demo import demo
from tillhook.core.cli.docs import docs
from tillhook.core.cli.doctor import doctor
from tillhook.core.cli.faults import UNUSABLE, explain
from tillhook.core.cli.output import warn
from tillhook.core.cli.rooms import schedules, topics
from tillhook.core.cli.running import serve, work
from tillhook.core.cli.session import Session
from tillhook.core.cli.settings import config, plugins
from tillhook.core.cli.shadow import shadow
from tillhook.core.cli.shops import orders, stores
from tillhook.core.cli.tokens import token
from tillhook.core.cli.trying import try_


class Program(click.Group):
    """Ends every error with one line on standard error and an exit code, and with a traceback only for ``--debug``."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, prog_name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            code = UNUSABLE
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last catcher: it says what it caught
            line, code = explain(error)
            if "--debug" in arguments:
                traceback.print_exception(error)
            warn(line)
        sys.exit(code if isinstance(code, int) else 0)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or mounting.group_of(mounting.session_of(ctx), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        if brought := mounting.summaries(mounting.session_of(ctx), self.commands):
            with formatter.section("Commands of plugins (tillhook PLUGIN --help)"):
                formatter.write_dl(brought)


@click.group(
    "tillhook", cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The configuration; default: the variable TILLHOOK_CONFIG, else ./tillhook.toml.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks, and log more.")
@click.version_option(__version__, prog_name="tillhook", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context, config: Path | None, debug: bool) -> None:
    """Scan-and-go for retail: baskets, orders and payments, with plugins for what differs.

    \b
    To begin:
      tillhook serve --demo      a shop to try out, with API docs
      tillhook init              a configuration of your own; then `tillhook new` writes a plugin
      tillhook doctor            is everything as it should be?
    """
    context.obj = Session(config, debug=debug)


for command in (
    serve,
    work,
    demo,
    init,
    new,
    try_,
    token,
    db,
    plugins,
    certify,
    config,
    stores,
    items,
    orders,
    schedules,
    topics,
    shadow,
    doctor,
    docs,
):
    main.add_command(command)
