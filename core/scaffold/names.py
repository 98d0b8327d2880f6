"""Which names a new plugin can have."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Collection, Iterator
from typing import Final

from tillhook.core.roles.shop_settings import CORE_KEYS
from tillhook.core.scaffold.templates import Kind, class_name, originals

LONGEST: Final = 31
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_PROJECT: Final = "tillhook"


def refusal(name: str, kind: Kind, installed: Collection[str]) -> str:
    """Why a plugin of this kind cannot have this name; empty when it can. ``installed`` are the names of plugins."""
    if not (_NAME.fullmatch(name) and 2 <= len(name) <= LONGEST):
        return f"write 2 to {LONGEST} small letters and digits, a letter first, words parted by one _ each"
    if name in CORE_KEYS or name == _PROJECT:
        return "it is a table of the configuration that belongs to the core"
    if keyword.iskeyword(name) or keyword.iskeyword(class_name(name)):
        return "it is a keyword of Python"
    if name in installed:
        return "a plugin of this name is installed already, see `tillhook plugins`"
    if class_name(name) in {*dir(builtins), *_imported(kind)}:
        return f"its class would be called {class_name(name)}, as is something that it uses"
    return ""


def _imported(kind: Kind) -> Iterator[str]:
    """Every name that the modules of the template import from elsewhere."""
    for path, text in originals(kind):
        if path.endswith(".py"):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield from (at.asname or at.name for at in node.names if at.name != kind.standin[1])
