"""What a package's source shows without running it: whom it imports, and whether it goes round ``outside``.

Names are followed through ``import … as``, ``from … import …``, ``importlib.import_module("…")``, ``__import__("…")``,
``getattr(os, "…")`` and ``sys.modules["…"]``. What is put together at run time cannot be followed; that nothing gets
out is then for the suites to see, which let no socket connect.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final

from tillhook.core.plugins.home import Home

OWN_WAYS_OUT: Final = frozenset(
    {
        *("_socket", "aiohttp", "aiokafka", "asyncio", "asyncssh", "boto3", "botocore", "confluent_kafka", "dns"),
        *("ftplib", "grpc", "http.client", "http.server", "httpcore", "httpx", "imaplib", "kafka", "ldap3"),
        *("logging.handlers", "nntplib", "paramiko", "pika", "poplib", "psycopg", "pycurl", "pymongo", "redis"),
        *("requests", "smtplib", "socket", "socketserver", "sqlalchemy.create_engine", "ssl", "suds", "telnetlib"),
        *("tornado", "trio", "twisted", "urllib.request", "urllib3", "webbrowser", "websocket", "websockets"),
        *("wsgiref", "xmlrpc.client", "xmlrpc.server", "zeep", "zmq"),
    }
)
"""Modules, and things in them, that talk to the world by themselves."""
FOREIGN_CODE: Final = frozenset(
    {
        *("_ctypes", "_pickle", "_posixsubprocess", "cffi", "cloudpickle", "ctypes", "dill", "joblib", "marshal"),
        *("multiprocessing", "pickle", "posix", "pty", "runpy", "shelve", "subprocess"),
        *("builtins.__builtins__", "builtins.eval", "builtins.exec", "importlib.machinery", "importlib.util"),
        *("pkgutil.resolve_name", "pydoc.locate", "os.popen", "os.posix_spawn", "os.posix_spawnp", "os.startfile"),
        *("os.fork", "os.forkpty", "os.system"),
        *(f"os.{verb}{how}" for verb in ("exec", "spawn") for how in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    }
)
"""What runs or loads what is not the plugin's own code."""
ENDINGS: Final = frozenset(
    {"builtins.exit", "builtins.quit", "os._exit", "os.abort", "os.kill", "os.killpg", "sys.exit"}
)
"""What ends the process, which is everybody's."""
_FORBIDDEN: Final = tuple(sorted(OWN_WAYS_OUT | FOREIGN_CODE | ENDINGS))
_IMPORTING: Final = frozenset({"builtins.__import__", "importlib.__import__", "importlib.import_module"})
_BUILT_IN: Final = frozenset({"__builtins__", "__import__", "eval", "exec", "exit", "getattr", "quit"})
_COMPILED: Final = frozenset({".dll", ".dylib", ".pyc", ".pyd", ".so"})
_BEHIND: Final = ("tillhook.app", "tillhook.core", "tillhook.hookspecs", "tillhook.migrations")
_AT_RUN_TIME: Final = "imports what it is told at run time"


def behind_the_face(home: Home) -> list[str]:
    """``file:line: what`` of each use of tillhook's inside; a plugin imports from ``tillhook`` itself."""
    return _all(home, lambda name: next((name for at in _BEHIND if _is_or_in(name, at)), ""))


def ways_round(home: Home) -> list[str]:
    """``file:line: what`` of each use of a thing by which a plugin goes round ``outside``, runs other code or ends the
    process; also what cannot be looked at."""
    hidden = [f"{name}: is compiled, so nobody can look into it" for name, at in home.files() if at.suffix in _COMPILED]
    return hidden + _all(home, lambda name: next((at for at in _FORBIDDEN if _is_or_in(name, at)), ""), dark=True)


def _all(home: Home, judge: Callable[[str], str], *, dark: bool = False) -> list[str]:
    """What ``judge`` finds in the names that are used, once for each line; ``dark``: also what cannot be followed."""
    found: dict[str, None] = {}
    for name, file in home.files():
        if file.suffix not in {".py", ".pyw"}:
            continue
        try:
            tree = ast.parse(file.read_bytes(), name)
        except (SyntaxError, ValueError, RecursionError) as error:
            if dark:
                found[f"{name}:{getattr(error, 'lineno', None) or 1}: is no Python, so nobody can look into it"] = None
            continue
        for used, line in _Names(tree).used():
            if used == _AT_RUN_TIME:
                if dark:
                    found[f"{name}:{line}: {used}: name the module"] = None
            elif seen := judge(used):
                found[f"{name}:{line}: {seen}"] = None
    return list(found)


def _is_or_in(name: str, other: str) -> bool:
    return name == other or name.startswith(f"{other}.")


class _Names:
    """The names that a module uses, in full: what ``o.system`` is after ``import os as o``."""

    def __init__(self, tree: ast.Module) -> None:
        self._nodes = sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0))
        self._known: dict[str, str] = {}
        for node in self._nodes:
            self._learn(node)

    def used(self) -> Iterator[tuple[str, int]]:
        """(full name, line) of everything that is imported or mentioned."""
        called = {id(node.func) for node in self._nodes if isinstance(node, ast.Call)}
        for node in self._nodes:
            line = getattr(node, "lineno", 0)
            if isinstance(node, ast.Import):
                yield from ((at.name, line) for at in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from ((_everything(node.module, at.name), line) for at in node.names)
            elif isinstance(node, ast.expr):
                name = self._full(node)
                if name in _IMPORTING:
                    name = "" if id(node) in called else _AT_RUN_TIME
                if name:
                    yield name, line

    def _learn(self, node: ast.AST) -> None:
        """What a name stands for from here on."""
        if isinstance(node, ast.Import):
            for at in node.names:
                top = at.name.partition(".")[0]
                self._known[at.asname or top] = at.name if at.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            self._known.update({at.asname or at.name: f"{node.module}.{at.name}" for at in node.names})
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            name = self._full(node.value)
            for target in targets:
                if isinstance(target, ast.Name) and name and name != _AT_RUN_TIME:
                    self._known[target.id] = name

    def _full(self, node: ast.expr) -> str:
        """The full name of what an expression stands for; empty when it is nothing that was imported or built in."""
        match node:
            case ast.Name(id=name):
                return self._known.get(name) or (f"builtins.{name}" if name in _BUILT_IN else "")
            case ast.Attribute(value=value, attr=attribute):
                owner = self._full(value)
                return f"{owner}.{attribute}" if owner else ""
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
                return key if self._full(value) == "sys.modules" else ""
            case ast.Call(func=function, args=[first, *rest]):
                return self._of_call(self._full(function), first, rest)
        return ""

    def _of_call(self, function: str, first: ast.expr, rest: list[ast.expr]) -> str:
        if function == "builtins.getattr" and rest:
            owner = self._full(first)
            match rest[0]:
                case ast.Constant(value=str(attribute)) if owner:
                    return f"{owner}.{attribute}"
            return ""
        if function not in _IMPORTING:
            return ""
        match first:
            case ast.Constant(value=str(name)):
                return "" if name.startswith(".") else name
            case ast.JoinedStr(values=[ast.FormattedValue(value=ast.Name(id="__name__" | "__package__")), *_]):
                return ""
        return _AT_RUN_TIME


def _everything(module: str, name: str) -> str:
    """``from os import *`` is taken for all that could be forbidden in it."""
    if name != "*":
        return f"{module}.{name}"
    return next((at for at in _FORBIDDEN if at.startswith(f"{module}.")), module)
