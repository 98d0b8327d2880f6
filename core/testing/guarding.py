"""Guarding a plugin while it is called: no secret slips out of it, it opens no connection, it does not hang."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from tillhook.core.testing.listening import Overheard, listening, words_of_error
from tillhook.core.testing.planted import shows_secret
from tillhook.core.testing.watchdog import watchdog

T = TypeVar("T")


class Guard:
    """Calls things of a plugin; whatever they let slip breaks the promise of the test that is running."""

    def __init__(self, overheard: Overheard, connections: list[str], patience: float) -> None:
        self._overheard = overheard
        self._connections = connections
        self._patience = patience

    def call(self, what: str, function: Callable[[], T], told: Callable[[], str] = str) -> T:
        """The function's answer. ``told`` gives what it has told the journal and the bus so far.

        Raises what the function raises, and AssertionError naming ``what`` when it shows a secret, opens a connection
        or hangs.
        """
        try:
            with watchdog(what, self._patience):
                answer = function()
        except Exception as error:
            self._judge(what, [("the error that it raises", words_of_error(error)), ("the journal", told())])
            raise
        self._judge(what, [("its answer", repr(answer)), ("the journal", told())])
        return answer

    def _judge(self, what: str, said: list[tuple[str, str]]) -> None:
        for where, text in [*said, *self._overheard.take()]:
            shown = shows_secret(text)
            if shown:
                raise AssertionError(f"{what} shows {shown} in {where}") from None
        if self._connections:
            reached, self._connections[:] = self._connections[0], []
            raise AssertionError(f"{what} opens a connection of its own ({reached}): use `outside`") from None


@contextmanager
def guarding(patience: float) -> Iterator[Guard]:
    """Until the end of the block the process opens no connection, and all that is logged or printed is heard.

    ``patience`` are the seconds after which a call hangs.
    """
    connections: list[str] = []

    def refuse(*wanted: Any, **_: Any) -> None:
        where = next((str(at) for at in wanted if isinstance(at, tuple | str | bytes)), "somewhere")
        connections.append(where)
        raise ConnectionRefusedError(f"{where}: a plugin under test opens no connection of its own")

    with pytest.MonkeyPatch.context() as patch, listening() as overheard:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield Guard(overheard, connections, patience)
