"""Looking at a package's source: each way round ``outside`` and behind the face is seen, and nothing else is."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tillhook.core.plugins.home import Home
from tillhook.core.testing.source import ENDINGS, FOREIGN_CODE, OWN_WAYS_OUT, behind_the_face, ways_round


def looked_at(folder: Path, source: str, name: str = "till.py") -> Home:
    package = folder / "acme"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / name).write_text(source)
    return Home("acme", package / "__init__.py")


ROUND = {
    "import socket": "socket",
    "import socket as s": "socket",
    "from socket import create_connection": "socket",
    "from socket import *": "socket",
    "import http.client": "http.client",
    "from http import client": "http.client",
    "import urllib.request": "urllib.request",
    "from urllib import request as r": "urllib.request",
    "import urllib\nurllib.request.urlopen('x')": "urllib.request",
    "def f():\n    import subprocess": "subprocess",
    "try:\n    import requests\nexcept ImportError:\n    pass": "requests",
    "from sqlalchemy import create_engine": "sqlalchemy.create_engine",
    "import sqlalchemy as sa\ndb = sa.create_engine('x')": "sqlalchemy.create_engine",
    "import asyncio": "asyncio",
    "import os\nos.system('x')": "os.system",
    "import os as o\no.system('x')": "os.system",
    "from os import system": "os.system",
    "from os import system as run\nrun('x')": "os.system",
    "from os import *": "os._exit",
    "import os\nrun = os.system\nrun('x')": "os.system",
    "import os\ngetattr(os, 'system')('x')": "os.system",
    "import os\nif (run := os.popen):\n    run('x')": "os.popen",
    "import sys\nsys.exit(1)": "sys.exit",
    "import sys\nsys.modules['socket'].socket()": "socket",
    "exit()": "builtins.exit",
    "eval('1')": "builtins.eval",
    "run = exec\nrun('1')": "builtins.exec",
    "import builtins\nbuiltins.exec('1')": "builtins.exec",
    "from builtins import eval as e": "builtins.eval",
    "__builtins__['exec']('1')": "builtins.__builtins__",
    "__import__('socket')": "socket",
    "load = __import__\nload('socket')": "imports what it is told at run time",
    "import importlib\nimportlib.import_module('socket')": "socket",
    "import importlib as i\ni.import_module('http.client')": "http.client",
    "from importlib import import_module\nimport_module('subprocess')": "subprocess",
    "from importlib import import_module as load\nload('subprocess')": "subprocess",
    "import importlib\nsocks = importlib.import_module('sock' + 'et')": "imports what it is told at run time",
    "import importlib\n[load for load in (importlib.import_module,)]": "imports what it is told at run time",
    "name = 'x'\n__import__(name)": "imports what it is told at run time",
    "import importlib.util": "importlib.util",
    "def broken(": "is no Python",
    "a = '\x00'": "is no Python",
}


@pytest.mark.parametrize("source", ROUND)
def test_a_way_round_is_seen_and_named_with_its_line(tmp_path: Path, source: str) -> None:
    found = ways_round(looked_at(tmp_path, source))
    assert any(ROUND[source] in at for at in found), found
    where = [at.split(":")[:2] for at in found]
    assert all(name == "till.py" and 1 <= int(line) <= len(source.splitlines()) for name, line in where)


@pytest.mark.parametrize("name", sorted(OWN_WAYS_OUT | FOREIGN_CODE | ENDINGS))
def test_each_of_them_is_seen_however_it_is_written(tmp_path: Path, name: str) -> None:
    owner, _, thing = name.rpartition(".")
    written = [
        f"import {owner or thing}\n{name}.x",
        f"from {owner} import {thing}" if owner else f"import {name} as it",
    ]
    for source in written:
        assert any(f": {name}" in at for at in ways_round(looked_at(tmp_path, source))), source


@pytest.mark.parametrize(
    "source",
    [
        "import json, re, sqlite3, threading, hmac, os\nos.environ.get('A')\nos.replace('a', 'b')",
        "from urllib.parse import urlsplit",
        "import http\nhttp.HTTPStatus.OK",
        "import sqlalchemy as sa\nsa.select(1)",
        "from . import socket, subprocess",
        "from .http import client",
        "session.exec('select')\nmodel.eval()",
        "import re\nre.compile('x')",
        "import importlib\nimportlib.import_module('.codes', __package__)",
        "import importlib\nimportlib.import_module(f'{__name__}.codes')",
        "import importlib\nimportlib.import_module('json')",
        "import importlib.metadata\nfrom importlib.resources import files",
        "getattr(order, 'system')",
        "text = 'import socket; os.system(1)'",
        "import socketless, ssl_words",
    ],
)
def test_what_goes_round_nothing_is_left_alone(tmp_path: Path, source: str) -> None:
    assert ways_round(looked_at(tmp_path, source)) == []


@pytest.mark.parametrize("name", ["fast.so", "fast.pyd", "hidden.pyc"])
def test_what_is_compiled_cannot_be_looked_at(tmp_path: Path, name: str) -> None:
    assert ways_round(looked_at(tmp_path, "", name)) == [f"{name}: is compiled, so nobody can look into it"]


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("from tillhook.core.services import paying", "tillhook.core.services.paying"),
        ("import tillhook.app", "tillhook.app"),
        ("from tillhook import core", "tillhook.core"),
        ("from tillhook.hookspecs import HOOKS", "tillhook.hookspecs.HOOKS"),
        ("import tillhook\ntillhook.core.storage", "tillhook.core"),
        ("import tillhook as t\nt.app.assemble", "tillhook.app"),
        ("import importlib\nimportlib.import_module('tillhook.core.domain')", "tillhook.core.domain"),
        ("def f():\n    from tillhook.migrations import env", "tillhook.migrations.env"),
    ],
)
def test_what_stands_behind_the_face_is_seen(tmp_path: Path, source: str, seen: str) -> None:
    found = behind_the_face(looked_at(tmp_path, source))
    assert any(at.endswith(f": {seen}") for at in found), found


@pytest.mark.parametrize(
    "source", ["from tillhook import Plugin, hookimpl", "import tillhook\ntillhook.Plugin", "import tillhook_acme.core"]
)
def test_the_face_itself_is_open_to_everybody(tmp_path: Path, source: str) -> None:
    assert behind_the_face(looked_at(tmp_path, source)) == []


def test_of_a_single_module_only_that_is_looked_at(tmp_path: Path) -> None:
    looked_at(tmp_path, "import socket")
    (tmp_path / "other.py").write_text("import socket")
    (tmp_path / "lonely.py").write_text("import ssl")
    assert ways_round(Home("lonely", tmp_path / "lonely.py")) == ["lonely.py:1: ssl"]


def test_nothing_is_run_by_looking(tmp_path: Path) -> None:
    ways_round(looked_at(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')"))
    assert not (tmp_path / "ran").exists()


def test_the_names_that_are_looked_for_exist() -> None:
    """Those of the standard library, on the platforms that have them."""
    for name in sorted(OWN_WAYS_OUT | FOREIGN_CODE | ENDINGS):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names and name not in {
            "builtins.__builtins__",
            "os.startfile",
            "telnetlib",
            "nntplib",
        }:
            owner, _, thing = name.rpartition(".")
            if owner:
                known = importlib.import_module(owner)
                assert hasattr(known, thing) or importlib.import_module(name), name
