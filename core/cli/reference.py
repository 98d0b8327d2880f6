"""The reference pages, made from the code: errors, hooks, settings."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from tillhook.core.roles.settings import Secret

_PARTS: Final = re.compile(r"\b(Called|Return|Raise|Traps): ")
_SPACES: Final = re.compile(r"\s+")
_NOTE: Final = "<!-- Made by `tillhook docs {name}` from the code: change it there. -->"


def errors() -> str:
    """``docs/errors.md``: every code of an error answer."""
    from tillhook.core.http.error_reference import render

    return render()


def hooks() -> str:
    """``docs/hooks.md``: every hook, in the order in which an order meets them."""
    from tillhook.core.roles import grammar
    from tillhook.hookspecs import HOOKS

    head, _, rest = (grammar.__doc__ or "").strip().partition("\n")
    lines = ["# Hooks", "", _NOTE.format(name="hooks"), "", head, "", *_kinds(rest), "", *_overview(HOOKS), ""]
    for name, hook in HOOKS.items():
        kind = grammar.kind_of(hook)
        summary, parts = _contract(inspect.getdoc(hook) or "")
        policy = f", {kind.policy.value}" if kind.policy else ""
        lines += [
            f'## <a id="{name}"></a>`{name}`',
            "",
            f"{summary} *({kind.kind.value}{policy})*",
            "",
            "```python",
            _signature(name, hook),
            "```",
            "",
            *(f"- **{part}**: {text}" for part, text in parts),
            "",
        ]
    return "\n".join(lines)


def settings() -> str:
    """``docs/settings.md``: every setting of the system, of a store type and of each installed plugin."""
    from tillhook.core.config.system import System
    from tillhook.core.plugins.discovery import discover
    from tillhook.core.roles.shop_settings import ShopSettings

    lines = ["# Settings", "", _NOTE.format(name="settings"), ""]
    lines += ["`tillhook config show` says what is set, and by which layer. A dash: it must be set.", ""]
    lines += ["## The system: table `[tillhook]`", "", *_table(System), ""]
    lines += ["## A store type: in every layer", "", *_table(ShopSettings), ""]
    for found in discover():
        if found.plugin_class is not None:
            lines += [f"## Plugin `{found.name}`: table `{found.name}` of a layer", ""]
            lines += [*_table(found.plugin_class.Settings), ""]
    return "\n".join(lines)


PAGES: Final[dict[str, Callable[[], str]]] = {"errors": errors, "hooks": hooks, "settings": settings}


def _kinds(table: str) -> Iterator[str]:
    """The table of kinds in the grammar's docstring, as Markdown."""
    rulers = [line for line in table.splitlines() if line.startswith("=")]
    starts = [ruler.start() for ruler in re.finditer("=+", rulers[0])]
    rows = [line for line in table.splitlines() if line and not line.startswith("=")]
    for number, row in enumerate(rows):
        cells = [_plain(row[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield "|" + "---|" * len(cells)


def _overview(declared: dict[str, Any]) -> Iterator[str]:
    from tillhook.core.roles.grammar import kind_of

    yield "| hook | kind | |"
    yield "|---|---|---|"
    for name, hook in declared.items():
        yield f"| [`{name}`](#{name}) | {kind_of(hook).kind.value} | {_contract(inspect.getdoc(hook) or '')[0]} |"


def _contract(text: str) -> tuple[str, list[tuple[str, str]]]:
    """A hook's docstring: its first sentence, and its parts by name."""
    summary, _, rest = text.partition("\n\n")
    pieces = _PARTS.split(_plain(rest))[1:]
    return _plain(summary), [(part, what.strip()) for part, what in zip(pieces[::2], pieces[1::2], strict=True)]


def _signature(name: str, hook: Any) -> str:
    """As a plugin writes it, one line if it fits."""
    found = inspect.signature(hook)
    parameters = [f"{at.name}: {at.annotation}" for at in found.parameters.values() if at.name != "self"]
    line = f"def {name}({', '.join(['self', *parameters])}) -> {found.return_annotation}: ..."
    if len(line) <= 100:
        return f"@hookimpl\n{line}"
    inner = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"@hookimpl\ndef {name}(\n    self,\n{inner}) -> {found.return_annotation}: ..."


def _table(kind: type[Struct]) -> Iterator[str]:
    rows = list(_rows(kind, ""))
    yield _plain(inspect.getdoc(kind) or "").partition(". ")[0].rstrip(".") + "."
    yield ""
    if not rows:
        yield "It has none."
        return
    yield "| setting | type | default | meaning |"
    yield "|---|---|---|---|"
    for cells in rows:
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _rows(kind: type[Struct], above: str) -> Iterator[tuple[str, str, str, str]]:
    """(name, type, default, meaning) of each setting; tables within tables are taken apart."""
    meanings = _meanings(kind)
    for field in msgspec.structs.fields(kind):
        name = f"{above}{field.encode_name}"
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        inner = type(default) if isinstance(default, Struct) else field.type
        if isinstance(inner, type) and issubclass(inner, Struct):
            yield from _rows(inner, f"{name}.")
        else:
            yield f"`{name}`", _type(field.type), _default(default), meanings.get(field.name, "")


_WORDS: Final = {str: "text", int: "integer", float: "number", bool: "true or false", Secret: '`"env:NAME"`'}


def _type(hint: Any) -> str:
    """A type in the words of TOML, with its bounds and choices."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        meta = next((at for at in inner[1:] if isinstance(at, msgspec.Meta)), msgspec.Meta())
        bounds = {"from": meta.ge, "above": meta.gt, "to": meta.le, "below": meta.lt}
        said = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
        return " ".join([_type(inner[0]), *said])
    if origin in {Union, UnionType}:
        return " or ".join(_type(one) for one in inner if one is not type(None))
    if origin is Literal:
        return " or ".join(f'`"{one}"`' for one in inner)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f'`"{one.value}"`' for one in hint)
    if origin in {tuple, list}:
        return f"list of {_type(inner[0])}"
    if origin in {dict, Mapping}:
        return f"table of {_type(inner[1])}"
    return _WORDS.get(hint, f"`{getattr(hint, '__name__', hint)}`")


def _default(value: Any) -> str:
    if value is msgspec.NODEFAULT:
        return "–"
    if value is None:
        return "none"
    plain = value.value if isinstance(value, Enum) else value
    return f"`{msgspec.json.encode(plain).decode()}`"


def _meanings(kind: type) -> dict[str, str]:
    """Field → the docstring below it, in the source of a class and of those that it inherits."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if issubclass(one, Struct) and one is not Struct:
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
            assert isinstance(body, ast.ClassDef)
            for node, below in pairwise(body.body):
                if isinstance(node, ast.AnnAssign) and isinstance(below, ast.Expr):
                    found[ast.unparse(node.target)] = _plain(ast.literal_eval(below.value))
    return found


def _plain(text: str) -> str:
    """One paragraph, with single backticks."""
    return _SPACES.sub(" ", text.replace("``", "`")).strip()
