"""The form of a cassette, and reading a folder of them: what is malformed is named by file and key, once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tillhook.core.plugins.offers import RULES
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.roles.offers import TokenIssuer
from tillhook.core.testing.likeness import nearest
from tillhook.hookspecs import HOOKS

MAX_CASSETTES: Final = 500
"""In one folder."""
MAX_BYTES: Final = 1024 * 1024
"""Of one cassette."""
MAX_INPUT: Final = 16 * 1024 * 1024
"""Of a file that a cassette names as its ``input``."""
MAX_EXCHANGES: Final = 100

OFFERS_WITH_VERBS: Final = {
    "identity_providers", "item_feeds", "promotion_engines", "tax_calculators", "payment_gateways",
    "settlement_sources", "settlement_parsers", "notifiers",
}  # fmt: skip
"""Offers with verbs."""


class _Form(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of a cassette: a misspelt key is refused."""


class Request(_Form, frozen=True, kw_only=True):
    """What the plugin must ask. What is left out is not looked at."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    """These at least; their names in any case. An idempotency key is the header ``Idempotency-Key``."""
    json: Any | UnsetType = UNSET
    """These fields at least."""
    body: str | None = None
    """The whole body as text."""


class Reply(_Form, frozen=True, kw_only=True):
    """What the other side answers. 500 and above reach the plugin as NoAnswer, as with the real outside."""

    status: int = 200
    headers: Mapping[str, str] = {}
    json: Any | UnsetType = UNSET
    body: str | None = None
    fault: Literal["", "not_reached", "no_answer", "half"] = ""
    """Instead of the answer: nobody there; no answer, effect unknown; or the answer cut in the middle."""

    def __post_init__(self) -> None:
        if self.body is not None and self.json is not UNSET:
            raise ValueError("an answer has either json or body, not both")
        if self.fault == "half" and len(self.content) < 2:
            raise ValueError("the fault 'half' needs a json or body to cut")

    @property
    def content(self) -> bytes:
        return (self.body or "").encode() if self.json is UNSET else msgspec.json.encode(self.json)


class Exchange(_Form, frozen=True, kw_only=True):
    expect: Request
    answer: Reply = Reply()


class Published(_Form, frozen=True, kw_only=True):
    """A message that the plugin must put on the bus."""

    topic: str
    key: str | None = None
    value: Any | UnsetType = UNSET
    """These fields at least."""


class Expectation(_Form, frozen=True, kw_only=True):
    """What comes of the call."""

    outcome: str = ""
    """The name of the answer's type: ``Captured``, ``Fulfilled``, ``None``."""
    answer: Any | UnsetType = UNSET
    """The answer, or some of its fields."""
    raises: str = ""
    """The name of the exception, or of one of its bases."""
    match: str = ""
    """A regular expression that is found in the exception's text."""
    rows: tuple[Any, ...] | None = None
    """Of a parser or feed: every row, each with some of its fields."""
    count: int | None = None
    """Of a parser or feed: how many rows."""
    published: tuple[Published, ...] = ()
    """Every message, in order."""

    def __post_init__(self) -> None:
        answered = self.outcome or self.answer is not UNSET or self.rows is not None or self.count is not None
        if self.raises and answered:
            raise ValueError("what raises gives no outcome, answer, rows or count")
        if self.match and not self.raises:
            raise ValueError("match is about the text of an exception: name it with raises")
        if not (self.raises or answered or self.published):
            raise ValueError("nothing is expected: say outcome, answer, rows, count, raises or published")


class Case(_Form, frozen=True, kw_only=True):
    """One cassette: one call of the plugin, what it may ask meanwhile, and what comes of it."""

    name: str
    """A sentence."""
    hook: str = ""
    offer: str = ""
    offered: str = ""
    """The name of one of several things offered."""
    verb: str = ""
    input: str = ""
    """A file beside the cassette: what a parser or feed reads, or the raw body of a webhook."""
    settings: Mapping[str, Any] = {}
    """In place of the suite's settings of the same names."""
    arguments: Mapping[str, Any] = {}
    exchange: tuple[Exchange, ...] = ()
    expect: Expectation

    def __post_init__(self) -> None:
        if bool(self.hook) == bool(self.offer):
            raise ValueError("say what is called: either hook or offer")
        if self.hook and (self.hook not in HOOKS or kind_of(HOOKS[self.hook]).kind is Kind.OFFER):
            asked = {name: hook for name, hook in HOOKS.items() if kind_of(hook).kind is not Kind.OFFER}
            raise ValueError(f"hook: {self.hook!r} is no hook that is called ({nearest(self.hook, asked)})")
        if self.offer:
            self._check_verb()
        if len(self.exchange) > MAX_EXCHANGES:
            raise ValueError(f"exchange: {len(self.exchange)} of them; at most {MAX_EXCHANGES}")

    def _check_verb(self) -> None:
        if self.offer not in OFFERS_WITH_VERBS:
            raise ValueError(
                f"offer: {self.offer!r} is none ({nearest(self.offer, dict.fromkeys(sorted(OFFERS_WITH_VERBS)))})"
            )
        verbs = verbs_of(self.offer)
        if self.verb not in verbs and (self.verb or len(verbs) > 1):
            raise ValueError(f"verb: {self.offer} have no verb {self.verb!r} ({nearest(self.verb, verbs)})")

    @property
    def function(self) -> Any:
        """The declaration of what is called."""
        if self.hook:
            return HOOKS[self.hook]
        verbs = verbs_of(self.offer)
        return verbs[self.verb or next(iter(verbs))]


class Cassette(Struct, frozen=True):
    """A file: the case in it, or why it cannot be read."""

    path: Path
    case: Case | None
    fault: str = ""

    @property
    def content(self) -> bytes:
        """Of the input. Raises ValueError when it is not beside the cassette, or too large."""
        assert self.case is not None
        file = (self.path.parent / self.case.input).resolve()
        if not file.is_relative_to(self.path.parent.resolve()) or not file.is_file():
            raise ValueError(f"input: there is no file {self.case.input!r} beside the cassette")
        if file.stat().st_size > MAX_INPUT:
            raise ValueError(f"input: {self.case.input} has {file.stat().st_size} bytes; at most {MAX_INPUT}")
        return file.read_bytes()


def verbs_of(offer: str) -> dict[str, Any]:
    """The functions of what is offered under a hook, by name."""
    roles = (RULES[offer].role, TokenIssuer) if offer == "identity_providers" else (RULES[offer].role,)
    return {
        name: verb for role in roles for name, verb in vars(role).items() if callable(verb) and not name.startswith("_")
    }


def cassettes_in(folder: Path) -> list[Cassette]:
    """Every ``*.toml``, and every ``*.json`` that no cassette names as its input, in the order of their names."""
    found = sorted([*folder.glob("*.toml"), *folder.glob("*.json")])
    if not found:
        return [Cassette(folder, None, "there are no cassettes (*.toml, *.json) in this folder")]
    if len(found) > MAX_CASSETTES:
        return [Cassette(folder, None, f"{len(found)} cassettes in one folder; at most {MAX_CASSETTES}")]
    read = [_read(path) for path in found]
    inputs = {at.path.parent / at.case.input for at in read if at.case is not None and at.case.input}
    return [at for at in read if at.path not in inputs]


def _read(path: Path) -> Cassette:
    try:
        if path.stat().st_size > MAX_BYTES:
            return Cassette(path, None, f"{path.stat().st_size} bytes; a cassette has at most {MAX_BYTES}")
        raw = path.read_bytes()
        plain = tomllib.loads(raw.decode()) if path.suffix == ".toml" else msgspec.json.decode(raw)
        return Cassette(path, msgspec.convert(plain, Case))
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".")
        return Cassette(path, None, f"{key}: {reason}" if key else reason)
    except (OSError, ValueError, RecursionError) as error:  # no UTF-8, no TOML, no JSON
        return Cassette(path, None, f"it cannot be read: {error}")
