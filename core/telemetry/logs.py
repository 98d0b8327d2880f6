"""Log lines: one JSON object each (or coloured text), with what is known about the work at hand, without secrets.

Everything logged while a request or a duty is worked on carries the fields of its ``work``: the request id, the order
id. A worker thread that runs in a copy of the context shares them, so what a service notes is in the request's line.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"authori[sz]ation|cookie|passw(or)?d|passphrase|secret|credential|signature|api[-_]?key|private[-_]?key|bearer|jwt"
    r"|token([-_]|$)|(^|[-_])(pan|cvc|cvv|iban|pin)([-_]|$)|card[-_]?number|security[-_]?code|payment[-_]?details",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(
    r"(?P<scheme>bearer|basic)\s+[\w.~+/=-]{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?P<lead>://[^/\s:@]*:)[^/\s@]+@",
    re.IGNORECASE,
)
_DEPTH: Final = 6
_QUIET: Final = ("alembic", "httpx", "httpcore", "asyncio", "uvicorn.access")
"""They name whole addresses, or say on info what our own lines say better."""

_work: ContextVar[dict[str, Any] | None] = ContextVar("tillhook_work", default=None)


@contextmanager
def work(**fields: Any) -> Iterator[dict[str, Any]]:
    """Everything logged inside carries ``fields``; the dict may be added to (see ``note``)."""
    mine = {**(_work.get() or {}), **fields}
    token = _work.set(mine)
    try:
        yield mine
    finally:
        _work.reset(token)


def note(**fields: Any) -> None:
    """Add fields (an order id) to the work at hand; outside of any work nothing is kept."""
    mine = _work.get()
    if mine is not None:
        mine.update(fields)


def _add_work(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    mine = _work.get()
    return {**mine, **event} if mine else event


@lru_cache(maxsize=2048)
def is_secret(name: str) -> bool:
    """Whether a field of this name is never shown."""
    return _SECRET_NAME.search(name) is not None


def _hide_in_text(text: str) -> str:
    def hide(match: re.Match[str]) -> str:
        if scheme := match["scheme"]:
            return f"{scheme} {HIDDEN}"
        return f"{lead}{HIDDEN}@" if (lead := match["lead"]) else HIDDEN

    return _SECRET_TEXT.sub(hide, text)


def redacted(value: Any, depth: int = _DEPTH) -> Any:
    """The value with every secret-looking field and every token or password inside a text replaced by ``***``."""
    if isinstance(value, str):
        return _hide_in_text(value) if len(value) >= 12 else value
    if isinstance(value, Mapping):
        if depth == 0:
            return "…"
        return {key: HIDDEN if is_secret(str(key)) else redacted(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redacted(item, depth - 1) for item in value] if depth else "…"
    return value


def _redact(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> EventDict:
    return {key: HIDDEN if is_secret(key) else redacted(value) for key, value in event.items()}


def _as_json(event: EventDict, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def set_up(level: str = "info", form: Literal["json", "console"] = "json", stream: TextIO | None = None) -> None:
    """Send every log line, ours and the libraries', to ``stream`` (default: standard error). May be called again."""
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        _add_work,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _redact,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(serializer=_as_json)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            timestamp_key="time",
            # The pretty one shows local variables, tokens among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _add_logger_name(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord | None = event.get("_record")
    return {**event, "logger": record.name} if record is not None else event
