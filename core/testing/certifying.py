"""Certifying a plugin: its suites are run in a process of their own, its package is looked at, the rules judge."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlparse

from msgspec import Struct

from tillhook.core.plugins.certificate import Certificate, code_of
from tillhook.core.plugins.discovery import Found, discover
from tillhook.core.plugins.home import Home
from tillhook.core.roles.grammar import HOOKSPEC_VERSION
from tillhook.core.testing.evidence import name_of
from tillhook.core.testing.tiers import Evidence, judged
from tillhook.hookspecs import Plugin

PROJECT_FILE: Final = "pyproject.toml"


class Target(Struct, frozen=True):
    """An installed plugin that can be certified, and where its tests are."""

    found: Found
    plugin: type[Plugin]
    home: Home
    tests: Path
    project: Path
    """The folder that holds its ``pyproject.toml``, or that of its tests."""
    others: frozenset[str]
    """The classes of the distribution's other plugins, as the report names them."""


class Refused(Struct, frozen=True):
    """An installed plugin that cannot be certified."""

    found: Found
    reason: str

    def __str__(self) -> str:
        return f"{self.found}: {self.reason}"


def targets(named: str, tests: Path | None = None) -> tuple[Target | Refused, ...]:
    """The plugins of a distribution, or the one of that name, or those of a project's folder.

    Raises LookupError that says what is not there and what to do.
    """
    folder = Path(named)
    project = folder if (folder / PROJECT_FILE).is_file() else None
    name = named if project is None else _name_of_project(folder)
    installed = discover()
    found = [one for one in installed if named_alike(name, one.distribution) or (project is None and name == one.name)]
    if not found:
        raise LookupError(_nothing_found(folder, name, project))
    return tuple(_target(one, installed, tests, project) for one in found)


def named_alike(one: str, other: str) -> bool:
    """Whether two names are of one distribution (PEP 503)."""
    plain = (name.lower().replace("_", "-").replace(".", "-") for name in (one, other))
    return next(plain) == next(plain)


def _name_of_project(folder: Path) -> str:
    file = folder / PROJECT_FILE
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise LookupError(f"{file} names no project ({type(error).__name__}: {error})") from error


def _nothing_found(folder: Path, name: str, project: Path | None) -> str:
    if project is not None:
        return f"{folder}: its project {name!r} brings no plugin here; install it: pip install --editable {folder}"
    if folder.is_dir():
        return f"{folder} is no project: it has no {PROJECT_FILE}"
    return f"no plugin and no distribution {name!r} is installed; see `tillhook plugins`"


def _target(found: Found, installed: Iterable[Found], tests: Path | None, project: Path | None) -> Target | Refused:
    plugin = found.plugin_class
    if plugin is None or found.reason:
        return Refused(found, f"it is quarantined, so there is nothing to certify: {found.reason}")
    try:
        home = Home.of(found.value.partition(":")[0].strip())
    except LookupError as error:
        return Refused(found, str(error))
    project = project or _installed_from(found.distribution)
    tests = tests or (project / "tests" if project else None)
    if tests is None or not tests.is_dir():
        where = f"there is no folder {tests}" if tests else "it was not installed from a folder"
        return Refused(found, f"its tests are not here, {where}: name theirs with --tests")
    siblings = [at for at in installed if at.distribution == found.distribution and at.name != found.name]
    others = frozenset(name_of(at.plugin_class) for at in siblings if at.plugin_class)
    return Target(found, plugin, home, tests.resolve(), (project or tests).resolve(), others)


def _installed_from(distribution: str) -> Path | None:
    """The folder of an editable install (PEP 610)."""
    origin = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    address = urlparse(origin.get("url", ""))
    return Path(unquote(address.path)) if address.scheme == "file" and "dir_info" in origin else None


def certificate(target: Target, found: Evidence, now: datetime) -> Certificate:
    """What was found, judged. Signing it is the caller's."""
    tier, checked = judged(found)
    return Certificate(
        plugin=target.found.name,
        distribution=target.found.distribution,
        version=target.found.version,
        code=code_of(target.home),
        tillhook=metadata.version("tillhook"),
        hookspec_version=HOOKSPEC_VERSION,
        issued_at=now,
        tier=tier,
        rules=checked,
        hooks=found.hooks,
        exercised=tuple(sorted(found.exercised)),
        capabilities={name: at.declares for name, at in found.gateways.items()},
        suites=found.suites,
        faults={name: at.faults for name, at in found.gateways.items()},
        milliseconds=found.milliseconds,
        import_milliseconds=found.import_milliseconds,
    )
