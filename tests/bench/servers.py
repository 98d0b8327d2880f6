"""Servers as processes of their own, and the processes that measure them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tests.bench.measures import Window, read_windows

HOST: Final = "127.0.0.1"
ROOT: Final = Path(__file__).parents[2]
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 30.0


class Broken(Exception):
    """A process did not do what it was started for."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def server(command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A server that listens on ``port``, run in ``folder`` with its output in ``server.log``; gives its process id."""
    said = folder / "server.log"
    with said.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        _wait_until_it_answers(process, port)
        yield process.pid
        _check(process)
    except BaseException as error:
        error.add_note(f"the server said: {said.read_text(errors='replace')[-2000:]}")
        raise
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measured_by(module: str, job: Struct) -> list[Window]:
    """Have ``tests.bench.<module>`` do a job in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}"],
        cwd=ROOT,
        input=msgspec.json.encode(job),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Broken(f"tests.bench.{module} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return read_windows(done.stdout)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    """Whatever it answers: a server may listen before it is ready."""
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up:
        _check(process)
        with closing(HTTPConnection(HOST, port, timeout=_START_SECONDS)) as connection:
            try:
                connection.request("GET", "/health")
                connection.getresponse().read()
            except ConnectionError:
                time.sleep(0.02)
            else:
                return
    raise Broken(f"the server does not answer on port {port} after {_START_SECONDS:.0f} s")


def _check(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise Broken(f"the server ended with {process.returncode}")
