"""``tillhook docs``: write the reference pages, or say that they are out of date."""

from __future__ import annotations

from pathlib import Path

import click

from tillhook.core.cli.faults import Trouble
from tillhook.core.cli.output import say

NAMES = ("errors", "hooks", "settings", "tiers")


@click.command()
@click.argument("names", nargs=-1, metavar="[errors|hooks|settings|tiers]...", type=click.Choice(NAMES))
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default="docs", show_default=True, help="Where to."
)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a page is not what the code says.")
def docs(names: tuple[str, ...], folder: Path, check: bool) -> None:
    """Write the reference pages that are made from the code.

    All of them, or those named.

    \b
    Example:
      tillhook docs --check || tillhook docs
    """
    from tillhook.core.cli.reference import PAGES

    if not folder.is_dir():
        raise Trouble(f"{folder}: no such folder; run this where it is, or name it with --folder")
    outdated = []
    for name in names or NAMES:
        page, text = folder / f"{name}.md", PAGES[name]()
        current = page.read_text(encoding="utf-8") if page.exists() else None
        if current == text:
            say(f"{page}: up to date")
        elif check:
            outdated.append(str(page))
        else:
            page.write_text(text, encoding="utf-8")
            say(f"{page}: written")
    if outdated:
        raise Trouble(f"{', '.join(outdated)}: not what the code says; write anew with `tillhook docs`")
