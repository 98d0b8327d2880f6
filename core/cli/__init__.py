"""The command line: ``tillhook --help``."""

from tillhook.core.cli.program import main

__all__ = ["main"]
