"""A connection that posts JSON and little else: a generator of load must cost less than what it loads."""

import asyncio
from typing import Final, Self

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Refused(Exception):
    """The server answered with something else than 200; the message holds status and body."""


class Connection:
    """One HTTP/1.1 keep-alive connection; requests one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head

    @classmethod
    async def open(cls, host: str, port: int, headers: dict[str, str]) -> Self:
        reader, writer = await asyncio.open_connection(host, port)
        all_headers = {"Host": f"{host}:{port}", "Content-Type": "application/json", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
        return cls(reader, writer, head.encode())

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer. Raises Refused unless its status is 200."""
        self._writer.write(
            b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path.encode(), self._head, len(body), body)
        )
        head = await self._reader.readuntil(_END_OF_HEAD)
        answer = await self._reader.readexactly(_content_length(head))
        if head[9:12] != b"200":
            raise Refused(f"POST {path}: {head[9:12].decode()} {answer.decode(errors='replace')[:500]}")
        return answer

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[: len(_LENGTH)].lower() == _LENGTH:
            return int(line[len(_LENGTH) :])
    raise Refused(f"an answer without Content-Length: {head.decode(errors='replace')}")
