"""Files for readers of files: where they lie, cut short, of another format, and too large to be held."""

from __future__ import annotations

import io
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

LOOK_AHEAD: Final = 128 * 1024
"""Bytes that may be read before the first row is given."""
AT_ONCE: Final = 1024 * 1024
"""Bytes that may be asked for in one call."""
LARGE: Final = 512 * 1024
"""Bytes of a file that is meant to be too large to be held."""
HELD: Final = 256 * 1024
"""Bytes that a reader may hold after it has given ``WATCHED`` rows."""
WATCHED: Final = 2000
MOST_CUTS: Final = 40
"""Lines of a file that it is cut at."""
UTF8_BOM: Final = b"\xef\xbb\xbf"

FOREIGN: Final = {
    "empty": b"",
    "a sign-in page": b"<!doctype html>\n<html><title>Sign in</title><body>Your session has expired</body></html>\n",
    "an error in JSON": b'{"error": {"code": "not_found", "message": "There is no such report."}}\n',
    "other columns": b"colour,weight,mood\nred,5,good\nblue,7,bad\n",
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00",
    "an archive": b"PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00!\x00\xb7\xac\xce\x34\x08\x00\x00\x00day.csv",
    "UTF-16": "colour;weight\r\nred;5\r\n".encode("utf-16"),
    "one long line": b"x" * 200_000,
}
"""What is found in place of a file now and then."""


def folder_of(suite: type, attribute: str) -> Path:
    """The folder of the file in which the class stands that sets ``attribute``."""
    named_by = next(at for at in suite.__mro__ if attribute in vars(at))
    return Path(sys.modules[named_by.__module__].__file__ or "").parent


class CountingFile(io.RawIOBase):
    """A file in memory that knows how far it was read. Raises AssertionError for whoever wants it whole."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = memoryview(content)
        self._place = 0
        self.taken = 0
        """How far it was read at the most."""
        self.wanted_whole = False
        """Kept here as well: a reader may catch what is raised."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._content)}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readall(self) -> bytes:
        self.wanted_whole = True
        raise AssertionError("it reads the file whole: a file may be larger than the memory")

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer).cast("B")
        if len(room) > AT_ONCE:
            self.readall()
        part = self._content[self._place : self._place + len(room)]
        room[: len(part)] = part
        self._place += len(part)
        self.taken = max(self.taken, self._place)
        return len(part)


def opened(file: CountingFile) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(file))


def read_lazily(read: Callable[[BinaryIO], Iterator[Any]], content: bytes) -> int:
    """Read a large file as a stream; how many rows it had.

    Raises AssertionError when its rows are no iterator, when too much of it is read before the first row is given, or
    when too much is held while it is read.
    """
    file = CountingFile(content)
    rows = read(opened(file))
    assert isinstance(rows, Iterator), f"its rows come as {type(rows).__name__}: give them one by one (`yield`)"
    next(rows)
    assert not file.wanted_whole, "it reads the file whole: a file may be larger than the memory"
    assert file.taken <= LOOK_AHEAD, f"it reads {file.taken} of {len(content)} bytes before it gives the first row"
    tracemalloc.start()
    try:
        count = 1 + sum(1 for _ in islice(rows, WATCHED))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held <= HELD, f"it holds {held} bytes after {count} rows: give each row as it is read, and forget it"
    return count + sum(1 for _ in rows)


def large(content: bytes, rows: slice) -> tuple[bytes, int]:
    """The file with its rows (lines, counted from 0) repeated until it is large, and how often they stand in it."""
    lines = content.splitlines(keepends=True)
    first, last, _ = rows.indices(len(lines))
    repeated = b"".join(_ended(line) for line in lines[first:last])
    times = LARGE // len(repeated) + 1
    return b"".join([*lines[:first], repeated * times, *lines[last:]]), times


def reordered(content: bytes, rows: slice) -> bytes:
    """The file with its rows (lines, counted from 0) in another order."""
    lines = content.splitlines(keepends=True)
    first, last, _ = rows.indices(len(lines))
    return b"".join([*lines[:first], *(_ended(line) for line in reversed(lines[first:last])), *lines[last:]])


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"


def cuts(content: bytes, *, at_line_ends: bool) -> list[int]:
    """Where to cut a file: in the middle of its lines, and at their ends if asked for; not after its last character."""
    places: list[int] = []
    end = 0
    for line in content.splitlines(keepends=True):
        start, end = end, end + len(line)
        places.append(start + len(line) // 2)
        if at_line_ends:
            places += [end - 1, end]
    whole = len(content.rstrip())
    places = sorted({place for place in places if 0 < place < whole})
    step = -(-len(places) // (MOST_CUTS * (3 if at_line_ends else 1)))
    return [*places[::step], *places[-1:]] if places else []


def with_line_ends(content: bytes, end: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\n", end)
