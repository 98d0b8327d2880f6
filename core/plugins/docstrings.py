"""Docstrings below the fields of a Struct, which Python itself does not keep."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from itertools import pairwise
from typing import Final

from msgspec import Struct

_SPACES: Final = re.compile(r"\s+")


def meanings(kind: type) -> dict[str, str]:
    """Field → the docstring below it, in the source of a class and of those that it inherits.

    Raises OSError when the source cannot be found.
    """
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if issubclass(one, Struct) and one is not Struct:
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
            assert isinstance(body, ast.ClassDef)
            for node, below in pairwise(body.body):
                if isinstance(node, ast.AnnAssign) and (text := _text(below)):
                    found[ast.unparse(node.target)] = plain(text)
    return found


def _text(node: ast.stmt) -> str:
    """Of a statement that is nothing but a text."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


def plain(text: str) -> str:
    """One paragraph, with single backticks."""
    return _SPACES.sub(" ", text.replace("``", "`")).strip()
