"""``tillhook serve`` and ``tillhook work``: processes that stay until they are told to stop."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from tillhook.core.cli.demo import show, show_addresses
from tillhook.core.cli.faults import Trouble, Unusable
from tillhook.core.cli.output import say, show_table, warn
from tillhook.core.cli.session import Session, overridden, pass_session, require_migrated

if TYPE_CHECKING:
    from tillhook.app import Assembled
    from tillhook.core.config.loading import Configuration


@click.command()
@click.option("--demo", is_flag=True, help="Prepare the demonstration shop first, and say how to talk to it.")
@click.option("--host", metavar="ADDRESS", help="Where to listen; default: the setting server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: the setting server.port; 0: any free one.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes; PostgreSQL only.")
@click.option("--no-work", is_flag=True, help="Leave duties to `tillhook work`.")
@pass_session
def serve(session: Session, demo: bool, host: str | None, port: int | None, workers: int, no_work: bool) -> None:
    """Serve the HTTP API and its documentation until stopped (Ctrl-C, SIGTERM).

    Requests under way are finished before it ends. Duties are done in the same process, unless --no-work.

    \b
    Examples:
      tillhook serve --demo
      tillhook serve --host 0.0.0.0 --port 80 --workers 4 --no-work
    """
    configuration = session.configuration(host=host, port=port)
    with _listening(configuration.system.server.host, configuration.system.server.port) as listener:
        bound = listener.getsockname()[1]
        if bound != configuration.system.server.port:
            configuration = session.configuration(host=host, port=bound)
        if no_work:
            configuration = overridden(configuration, "server", work=False)
        with session.system(configuration, migrated=not demo) as assembled, _ended_by_signals():
            if workers > 1 and assembled.platform.db.kind == "sqlite":
                raise Unusable(
                    f"--workers {workers}: SQLite has one writer, so one process serves it; "
                    "use PostgreSQL (TILLHOOK_DATABASE_URL) for more"
                )
            from tillhook.core.cli import serving

            _set_up_logs(configuration)
            if workers > 1:
                _introduce(assembled, demo=demo)
                serving.run_workers(configuration, listener, workers)
            else:
                server = serving.server_of(assembled)
                _introduce(assembled, demo=demo)
                serving.run(server, listener)


@click.command()
@click.option("--threads", type=click.IntRange(min=1), help="Duties at a time; default: the setting work.threads.")
@click.option("--once", is_flag=True, help="Do what is due now, say how much it was, and end.")
@pass_session
def work(session: Session, threads: int | None, once: bool) -> None:
    """Do duties and ask about open payments until stopped (Ctrl-C, SIGTERM).

    In a process of its own. Any number of them may run, also beside servers: each duty is done by one of them.

    \b
    Examples:
      tillhook serve --no-work & tillhook work --threads 4
      tillhook work --once
    """
    configuration = session.configuration()
    if threads is not None:
        configuration = overridden(configuration, "work", threads=threads)
    with session.system(configuration) as assembled:
        if once:
            _work_once(assembled)
            return
        _set_up_logs(configuration)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        assembled.start()
        say(f"working with {configuration.system.work.threads} threads; Ctrl-C stops")
        sys.stdout.flush()
        stop.wait()


def _work_once(assembled: Assembled) -> None:
    from tillhook.core.storage.events import counts

    dispatcher, db = assembled.dispatcher, assembled.platform.db
    asked = dispatcher.keep_house()
    scheduled = dispatcher.scheduler.run_due()
    done = dispatcher.run_until_idle()
    say(
        f"{done} duties and news run, {asked} open payments and abandoned duties looked after, "
        f"{scheduled} schedules run"
    )
    states = db.read(counts)
    if states:
        show_table(("State", "Deliveries"), [(state.name, number) for state, number in sorted(states.items())])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises Trouble that says why it cannot."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; stop what uses it, or choose another --port (0: any free one)" if error.errno in _IN_USE else ""
        raise Trouble(f"cannot listen on {host}, port {port}: {reason[:1].lower()}{reason[1:]}{hint}") from error
    with listener:
        yield listener


_IN_USE = {48, 98, 10048}
"""EADDRINUSE on macOS, Linux and Windows."""


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT end the command with exit code 0, after everything was let go of.

    While the server runs it has handlers of its own; when it is done it raises the signal again.
    """

    def end(*_: object) -> NoReturn:
        raise SystemExit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(assembled: Assembled, *, demo: bool) -> None:
    """Prepare what is asked for, say what is served, and which store types cannot be."""
    from tillhook import __version__
    from tillhook.core.storage.stores import all_stores

    platform = assembled.platform
    if demo:
        from tillhook.core.cli.demonstration import prepare

        prepared = prepare(platform)
    require_migrated(platform)
    stores = platform.db.read(all_stores)
    for fault in platform.host.problems(stores):
        warn(f"not served: {fault}")
    if not platform.host.shops():
        raise Trouble("no store type is ready: `tillhook config check` lists what is wrong")
    url = platform.system.server.base_url
    say(f"tillhook {__version__} serves {len(stores)} store{'' if len(stores) == 1 else 's'} at {url}\n")
    if demo:
        show(prepared)
    else:
        pages = any(shop.offers("pages") for shop in platform.host.shops())
        show_addresses(url, docs=platform.system.server.docs, pages=pages)
        say()
    say("Ctrl-C stops it.")
    sys.stdout.flush()


def _set_up_logs(configuration: Configuration) -> None:
    from tillhook.core.telemetry import logs

    logs.set_up(configuration.system.log.level, configuration.system.log.format)
