"""Listening to what a plugin lets slip: log records, structlog events, standard output and error."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger


class Overheard:
    """What was said and where, since the last time that somebody asked."""

    def __init__(self) -> None:
        self._said: list[tuple[str, str]] = []
        self._records: list[logging.LogRecord] = []

    def add(self, where: str, text: str) -> None:
        self._said.append((where, text))

    def add_record(self, record: logging.LogRecord) -> None:
        """Read when it is asked for: what a call of a logger names as ``extra`` is put in after it is made."""
        self._records.append(record)

    def take(self) -> list[tuple[str, str]]:
        """(where, what was said); each is handed out once."""
        said = [*self._said, *((f"a log record of {at.name}", _words_of(at)) for at in self._records)]
        self._said.clear()
        self._records.clear()
        return said


class _Tee(TextIOBase):
    """Writes on to a stream, and tells what was written."""

    def __init__(self, stream: TextIO, tell: Callable[[str], None]) -> None:
        self._stream = stream
        self._tell = tell

    def write(self, text: str) -> int:
        self._tell(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


@contextmanager
def listening() -> Iterator[Overheard]:
    """Hear all that is logged (at any level, whichever handlers there are) or printed inside."""
    overheard = Overheard()
    out = _Tee(sys.stdout, lambda text: overheard.add("standard output", text))
    err = _Tee(sys.stderr, lambda text: overheard.add("standard error", text))
    with _records(overheard), _events(overheard), redirect_stdout(out), redirect_stderr(err):
        yield overheard


@contextmanager
def _records(overheard: Overheard) -> Iterator[None]:
    make = logging.getLogRecordFactory()

    def heard(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        overheard.add_record(record)
        return record

    root = logging.getLogger()
    level = root.level
    logging.setLogRecordFactory(heard)
    root.setLevel(logging.NOTSET + 1)
    try:
        yield
    finally:
        root.setLevel(level)
        logging.setLogRecordFactory(make)


@contextmanager
def _events(overheard: Overheard) -> Iterator[None]:
    """The list of structlog's processors is changed in place: loggers that were bound before hold on to it."""

    def hear(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        raised = "".join(traceback.format_exception(sys.exception())) if event.get("exc_info") else ""
        overheard.add("a structlog event", f"{event!r} {raised}")
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    before = list(processors)
    processors[:] = [hear]
    structlog.configure(processors=processors)
    try:
        yield
    finally:
        processors[:] = before
        structlog.configure(processors=processors)


def _words_of(record: logging.LogRecord) -> str:
    """Everything that a handler could write of a record: its message, its fields, what was raised."""
    raised = words_of_error(record.exc_info[1]) if record.exc_info and record.exc_info[1] else ""
    return f"{_message(record)} {vars(record)!r} {raised}"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError) as misfit:  # logging itself reports it, when it writes
        return f"a message whose arguments do not fit: {misfit}"


def words_of_error(error: BaseException) -> str:
    """What a log shows of an exception: with those that it came from."""
    return f"{error!r} {''.join(traceback.format_exception(error))}"
