"""How a body is read, and what is said about one that cannot be."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.datastructures import State

from tillhook.core.domain.problems import Problem, malformed_body, unsupported_media_type
from tillhook.core.roles.offers import Principal


@lru_cache(maxsize=1024)
def _decoder(body: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(body)


class StrictRequest(Request[Principal, Principal, State]):
    """Reads a handler's ``data`` straight into its type, strictly: ``"1"`` is no number, ``true`` no 1.

    (Litestar would parse into dicts first, then convert leniently.)
    """

    async def json(self) -> Any:
        """The body. Raises the problems ``malformed_body`` and ``unsupported_media_type``."""
        field = self.route_handler.parsed_data_field
        return decode(await json_of(self), field.annotation if field is not None else Any)


async def json_of(request: Request[Any, Any, Any]) -> bytes:
    """The body as it was sent. Raises ``unsupported_media_type`` when it says that it is no JSON."""
    kind, _ = request.content_type
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise unsupported_media_type(f"The body is {kind[:60]}; send it with Content-Type: application/json.")
    return await request.body()


def decode(raw: bytes, kind: Any) -> Any:
    """JSON as a type, strictly. Raises ``malformed_body`` naming the field that is wrong."""
    try:
        value = _decoder(kind).decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise malformed(error) from error
    except RecursionError as error:
        raise malformed_body("The body is nested too deeply.") from error
    if rb"\u0000" in raw and _has_nul(msgspec.json.decode(raw)):
        raise malformed_body("The body contains a NUL character, which no text here may have.")
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


_MISSING: Final = re.compile(r"Object missing required field `(?P<name>.+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.+)`")
_IS_MISSING: Final = "is missing"
_IS_UNKNOWN: Final = "is not a field that is known here"
_ABOUT_THE_NAME: Final = (_IS_MISSING, _IS_UNKNOWN)
_PLACE: Final = re.compile(r" - at `\$(?P<path>.*)`$", re.DOTALL)
_LONGEST: Final = 200


def malformed(error: Exception) -> Problem:
    """A body that msgspec refused: which field, and what was expected there."""
    if not isinstance(error, msgspec.ValidationError):
        return malformed_body(f"The body is not JSON: {plain(str(error))}.")
    field, words = complaint(error)
    facts = {} if words in _ABOUT_THE_NAME else {"expected": words}
    return malformed_body(sentence(field or "The body", words), field=field, **facts)


def sentence(field: str, words: str) -> str:
    return f"{field} {words}." if words in _ABOUT_THE_NAME else f"{field}: {words}."


def complaint(error: msgspec.ValidationError) -> tuple[str, str]:
    """Which field (empty: the whole) msgspec refused, and what it says about it."""
    message = str(error)
    place = _PLACE.search(message)
    path = place["path"].lstrip(".") if place else ""
    message = message[: place.start()] if place else message
    for pattern, words in ((_MISSING, _IS_MISSING), (_UNKNOWN, _IS_UNKNOWN)):
        if found := pattern.fullmatch(message):
            return _short(f"{path}.{found['name']}" if path else found["name"]), words
    return _short(path), plain(message)


def plain(message: str) -> str:
    return _short(message.replace("`", "").rstrip(".").strip())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
