"""Reading the file. Nothing else in the system opens it or looks at the environment for settings."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from tillhook.core.config.decode import decode
from tillhook.core.config.errors import ConfigError, dotted
from tillhook.core.config.layers import Layers
from tillhook.core.config.system import VARIABLES, System

FILE_VARIABLE: Final = "TILLHOOK_CONFIG"
DEFAULT_FILE: Final = "tillhook.toml"
SYSTEM_TABLE: Final = "tillhook"


class Configuration(Struct, frozen=True):
    """One loaded file: what the system is set to, and the layers of the store types."""

    system: System
    layers: Layers


def load(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Configuration:
    """Read ``file`` (default: the variable TILLHOOK_CONFIG, else ``./tillhook.toml``). Raises ConfigError."""
    environ = os.environ if environ is None else environ
    path = file or Path(environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    tables = _read(path)
    system = tables.pop(SYSTEM_TABLE, {})
    if not isinstance(system, dict):
        raise ConfigError(str(path), SYSTEM_TABLE, "must be a table")
    return Configuration(_system(system, str(path), environ), Layers(tables, str(path), environ))


def named_or_here(file: Path | None = None) -> bool:
    """Whether there is a configuration to read, or one was named."""
    return bool(file or os.environ.get(FILE_VARIABLE)) or Path(DEFAULT_FILE).exists()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        reason = f"no such file: run this in the folder that holds it, or name it in the variable {FILE_VARIABLE}"
        raise ConfigError(str(path), "", reason) from None
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOML that is none, or text that is not UTF-8
        raise ConfigError(str(path), "", f"is not TOML: {error}") from error


def _system(table: dict[str, Any], file: str, environ: Mapping[str, str]) -> System:
    def refuse(path: tuple[str, ...], reason: str) -> ConfigError:
        return ConfigError(file, dotted([SYSTEM_TABLE, *path]), reason)

    system = decode(table, System, environ, refuse)
    changed = msgspec.to_builtins(system)
    for variable, path in VARIABLES.items():
        if environ.get(variable):
            _set(changed, path, environ[variable])
            try:
                system = msgspec.convert(changed, System, strict=False)
            except msgspec.ValidationError as error:
                raise ConfigError("environment", variable, str(error).split(" - at ")[0]) from None
    _check_patience(system, refuse)
    _check_leases(system, refuse)
    return msgspec.structs.replace(system, server=_addressed(system)) if not system.server.base_url else system


def _check_patience(system: System, refuse: Callable[[tuple[str, ...], str], ConfigError]) -> None:
    """A provider may be said not to know an operation only when no call about it can still be under way."""
    least = system.outside.timeout_seconds * (3 + system.outside.retries) + 1
    if system.payments.call_seconds < least:
        raise refuse(
            ("payments", "call_seconds"),
            f"must be at least {least:g}: outside.timeout_seconds times 3 + outside.retries, and 1 more",
        )


def _check_leases(system: System, refuse: Callable[[tuple[str, ...], str], ConfigError]) -> None:
    """Nobody may take over a duty that is still being done."""
    if system.hooks.duty_seconds >= system.work.lease_seconds:
        raise refuse(
            ("hooks", "duty_seconds"), f"must be less than work.lease_seconds, which is {system.work.lease_seconds}"
        )


def _set(table: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    *above, name = path
    for step in above:
        table = table[step]
    table[name] = value


def _addressed(system: System) -> Any:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(system.server.host, system.server.host)  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    return msgspec.structs.replace(system.server, base_url=f"http://{shown}:{system.server.port}")
