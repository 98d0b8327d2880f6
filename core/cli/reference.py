"""The reference pages, made from the code: errors, hooks, settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from tillhook.core.plugins import docstrings
from tillhook.core.roles.settings import Secret

_PARTS: Final = re.compile(r"\b(Called|Return|Raise|Traps): ")
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


def tiers() -> str:
    """``docs/tiers.md``: the rules of a certificate."""
    from tillhook.core.plugins.certificate import Tier
    from tillhook.core.testing.tiers import BUDGETS, RULES, VERB_BUDGETS

    lines = ["# Tiers", "", _NOTE.format(name="tiers"), ""]
    lines += [
        "`tillhook certify` checks these rules, all of them by machine, and signs what it found. A tier holds the",
        "rules of those before it. `tillhook plugins` shows it while the installed code is the certified one.",
        "[plugins.md](plugins.md#certificate) tells how to get there.",
        "",
    ]
    for tier in Tier:
        rules = [(rule.name, rule.says) for rule in RULES if rule.tier is tier]
        if rules:
            lines += [f"## {tier.value.capitalize()}", "", *_rows_of(("rule", "what it asks"), rules), ""]
    lines += ["## Budgets", "", "What a call may take of its own: in the suites nobody at the other side is slow.", ""]
    kinds = [(kind.value, f"{budget:.0f} ms") for kind, budget in BUDGETS.items()]
    lines += [*_rows_of(("hook", "budget of a call"), kinds), ""]
    verbs = [(f"`{hook}`", f"{budget:.0f} ms") for hook, budget in VERB_BUDGETS.items()]
    lines += [*_rows_of(("thing that is offered", "budget of each of its verbs"), verbs), ""]
    lines += [
        "What reads files (`item_feeds`, `settlement_parsers`) may take as long as the file is. In a running shop the"
    ]
    lines += ["limits of `hooks` hold ([settings.md](settings.md)): a call that takes longer is cut.", ""]
    return "\n".join(lines)


def _rows_of(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table of Markdown."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(row)} |" for row in rows)


PAGES: Final[dict[str, Callable[[], str]]] = {"errors": errors, "hooks": hooks, "settings": settings, "tiers": tiers}


def _kinds(table: str) -> Iterator[str]:
    """The table of kinds in the grammar's docstring, as Markdown."""
    rulers = [line for line in table.splitlines() if line.startswith("=")]
    starts = [ruler.start() for ruler in re.finditer("=+", rulers[0])]
    rows = [line for line in table.splitlines() if line and not line.startswith("=")]
    for number, row in enumerate(rows):
        cells = [docstrings.plain(row[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]
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
    pieces = _PARTS.split(docstrings.plain(rest))[1:]
    return docstrings.plain(summary), [
        (part, what.strip()) for part, what in zip(pieces[::2], pieces[1::2], strict=True)
    ]


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
    yield docstrings.plain(inspect.getdoc(kind) or "").partition(". ")[0].rstrip(".") + "."
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
    meanings = docstrings.meanings(kind)
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
