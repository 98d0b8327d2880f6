"""What went wrong, in one line: which thing, and what to do. Tracebacks are for ``--debug``."""

from __future__ import annotations

from typing import Final

import click

PROBLEM: Final = 1
"""Exit code: the command ran and found a problem."""
UNUSABLE: Final = 2
"""Exit code: wrong usage, or a configuration that cannot be used."""
INTERRUPTED: Final = 130

BEFORE: Final = frozenset({"--config", "--debug"})
"""Options of the program, not of a command."""


class Trouble(click.ClickException):
    """A problem that the command found; its message names what, which and what to do."""

    exit_code = PROBLEM


class Unusable(click.ClickException):
    """What the command was given cannot be used: an option, a setting, a file of the wrong kind."""

    exit_code = UNUSABLE


def explain(error: BaseException) -> tuple[str, int]:
    """(the line to show, exit code)."""
    if isinstance(error, click.NoSuchOption) and error.option_name in BEFORE:
        return f"write {error.option_name} before the command: tillhook {error.option_name} …", UNUSABLE
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "tillhook"
        said = " ".join(error.format_message().split())  # click lists the choices below each other
        return f"{said} (see: {command} --help)", UNUSABLE
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "interrupted", INTERRUPTED
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", PROBLEM
    return _explained_by_parts(error)


def _explained_by_parts(error: BaseException) -> tuple[str, int]:
    """Errors of parts that are imported only now: a good start has no use for them."""
    from tillhook.core.config.errors import ConfigError
    from tillhook.core.domain.problems import Problem

    if isinstance(error, ConfigError):
        return str(error), UNUSABLE
    if isinstance(error, Problem):
        return error.detail, PROBLEM
    first = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"this should not happen: {first} (--debug before the command shows where)", PROBLEM
