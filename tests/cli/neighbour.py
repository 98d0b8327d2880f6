"""An HTTP server of somebody else, for plugins that call one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tillhook import Answer

Handle = Callable[[str, str, dict[str, str], bytes], Answer]


class Neighbour:
    """Served while it is entered. Remembers what it was sent, and gives ``answer`` unless ``handle`` is replaced."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        """(``POST /path``, headers by their small names, the JSON of the body)."""
        self.handle: Handle = lambda method, path, headers, body: answer
        neighbour = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                neighbour.calls.append((f"{self.command} {self.path}", headers, json.loads(body) if body else None))
                answer = neighbour.handle(self.command, self.path, headers, body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                """Not to standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        """Its address, without a slash at the end."""
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
