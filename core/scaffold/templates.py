"""Templates: whole packages and files in which a stand-in's name is replaced by another.

A template of a plugin is a package that works as it stands, under the name of its stand-in. In texts and in paths the
stand-in is replaced where it is a word of its own: ``acme``, ``ACME_API_KEY``, ``TestAcme``, ``tillhook_acme``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from msgspec import Struct

SUFFIX: Final = ".tmpl"
_MARK: Final = re.compile(r"\{\{(\w+)\}\}")


class Kind(Struct, frozen=True):
    """One kind of plugin that can be begun."""

    name: str
    """Also the folder of its template."""
    standin: tuple[str, str]
    """The name that its template bears, and its class."""
    what: str
    """What such a plugin is, for people."""


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "retailer",
            ("acme", "Acme"),
            "a retailer: transaction numbers, POSLog, its back office, a shop to try it in",
        ),
        Kind("gateway", ("acmepay", "AcmePay"), "a payment provider"),
        Kind("epc", ("acmetags", "AcmeTags"), "an RFID vendor that is told which tags are sold"),
        Kind("settlement", ("acmepayouts", "AcmePayouts"), "a reader of a provider's settlement files"),
    )
}


def class_name(name: str) -> str:
    """``acme_pay`` → ``AcmePay``."""
    return "".join(part.capitalize() for part in name.split("_"))


def package(kind: Kind, name: str, values: Mapping[str, str]) -> dict[str, str]:
    """The files of a new plugin: path → text. ``values`` are put where the template says ``{{their name}}``.

    Raises ModuleNotFoundError when there is no such template.
    """
    word, camel = kind.standin
    new = {word: name, word.upper(): name.upper(), camel: class_name(name)}
    standin = re.compile(rf"(?<![A-Za-z0-9])(?:{word}|{word.upper()})(?![A-Za-z0-9])|{camel}(?![a-z])")

    def renamed(text: str) -> str:
        return standin.sub(lambda found: new[found[0]], text)

    return {renamed(path): filled(renamed(text), values) for path, text in originals(kind)}


def originals(kind: Kind) -> Iterator[tuple[str, str]]:
    """The template as it stands: (path without the suffix, text). Raises ModuleNotFoundError when there is none."""
    root = files(__package__).joinpath(kind.name)
    if not root.is_dir():
        raise ModuleNotFoundError(f"tillhook was installed without its template {kind.name!r}")
    for path, file in _below(root, ""):
        if path.endswith(SUFFIX):
            yield path.removesuffix(SUFFIX), file.read_text(encoding="utf-8")


def single(name: str) -> str:
    """The text of a template that is one file."""
    return files(__package__).joinpath(f"{name}{SUFFIX}").read_text(encoding="utf-8")


def filled(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each ``{{name}}`` replaced that ``values`` have."""
    return _MARK.sub(lambda found: values.get(found[1], found[0]), text)


def marks(text: str) -> set[str]:
    """Every name that ``text`` has a ``{{name}}`` for."""
    return set(_MARK.findall(text))


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for one in sorted(folder.iterdir(), key=lambda at: at.name):
        if one.is_dir():
            yield from _below(one, f"{path}{one.name}/")
        else:
            yield f"{path}{one.name}", one
