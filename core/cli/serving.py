"""Running the HTTP server in this process, or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess

from tillhook.app import Assembled, assemble, create_app
from tillhook.core.cli.faults import Trouble
from tillhook.core.http.serving import uvicorn_config
from tillhook.core.telemetry import logs

if TYPE_CHECKING:
    from tillhook.core.config.loading import Configuration
    from tillhook.core.http.server import Server


def server_of(assembled: Assembled) -> uvicorn.Server:
    """Raises whatever is wrong with the routes."""
    return uvicorn.Server(uvicorn_config(create_app(assembled), assembled.platform.system))


def run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until a signal ends it. Raises Trouble when it does not start."""
    try:
        server.run(sockets=[listener])
    except SystemExit as error:
        if error.code:
            raise Trouble("the server did not start; the log above says why") from error
        raise


def run_workers(configuration: Configuration, listener: socket.socket, workers: int) -> None:
    """Serve with several processes until a signal ends them. One that dies is replaced.

    Raises Trouble when they do not start.
    """
    config = uvicorn_config(partial(_in_worker, configuration), configuration.system, workers=workers)
    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode not in {0, None, -signal.SIGTERM, -signal.SIGINT} for process in supervisor.processes):
        raise Trouble("a server process failed; the log above says why")


def _in_worker(configuration: Configuration) -> Server:
    """What each process serves. It ends with the process that started it, however that ended."""
    logs.set_up(configuration.system.log.level, configuration.system.log.format)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), name="tillhook-parent", daemon=True).start()
    return create_app(assemble(configuration))


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
