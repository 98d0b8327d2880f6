"""The revision files of a plugin, read without running them: which is the newest?"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

_LONGEST: Final = 32
"""Characters of a revision: what alembic's version tables hold, and PostgreSQL refuses to exceed."""


class OwnSchema(Struct, frozen=True):
    """The migrations that a plugin ships: the ``folder`` of ``package``, with nothing but revision files in it."""

    plugin: str
    version: str
    package: str
    folder: str
    requires_core: str = ""

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} {self.version}".rstrip()


def revision_folder(schema: OwnSchema) -> Path:
    """Raises ValueError when the package does not bring it, as a folder on disk."""
    try:
        found = Path(str(resources.files(schema.package).joinpath(schema.folder)))
    except KeyboardInterrupt:
        raise
    except (ImportError, TypeError, ValueError) as error:
        raise ValueError(f"its tables are in the package {schema.package!r}, which cannot be found: {error}") from error
    except BaseException as error:  # to find a folder the package is imported, and may do anything
        said = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(f"its tables are in the package {schema.package!r}, whose import raised {said}") from error
    if not found.is_dir():
        raise ValueError(f"its package {schema.package} has no folder {schema.folder!r} (is it in the wheel?)")
    return found.resolve()


def wanted_revision(schema: OwnSchema) -> str:
    """The newest revision. Raises ValueError unless there is exactly one that none follows."""
    folder = revision_folder(schema)
    ids: dict[str, str] = {}
    followed: set[str] = set()
    for file in sorted(folder.glob("*.py")):
        if file.name == "__init__.py":
            continue
        names = _assigned(file)
        revision = next(_texts(names.get("revision")), "")
        if not revision:
            raise ValueError(f"{schema.folder}/{file.name} has no text `revision = …`: only revisions may be there")
        if len(revision) > _LONGEST:
            raise ValueError(f"revision {revision} of {file.name} has more than {_LONGEST} characters")
        if revision in ids:
            raise ValueError(f"revision {revision} is in {ids[revision]} and in {file.name}")
        ids[revision] = file.name
        followed.update(_texts(names.get("down_revision")))
    if unknown := sorted(followed - ids.keys()):
        raise ValueError(f"a revision follows {', '.join(unknown)}, which is not in {schema.folder}")
    heads = sorted(ids.keys() - followed)
    if len(heads) != 1:
        ends = f"{len(heads)} newest revisions ({', '.join(heads)}): one must follow the other" if heads else "none"
        raise ValueError(f"its folder {schema.folder} has {ends if heads else 'no revision'}")
    return heads[0]


def _assigned(file: Path) -> dict[str, Any]:
    """The constants that a file gives names to. Raises ValueError for one that is no Python."""
    try:
        module = ast.parse(file.read_bytes())
    except OSError as error:
        raise ValueError(f"{file.name} cannot be read: {error.strerror}") from error
    except SyntaxError as error:
        raise ValueError(f"{file.name}, line {error.lineno}: {error.msg}") from error
    found: dict[str, Any] = {}
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.update(_constant(name, value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found.update(_constant(name, value))
    return found


def _constant(name: str, value: ast.expr) -> dict[str, Any]:
    try:
        return {name: ast.literal_eval(value)}
    except ValueError:
        return {}  # computed: nothing that names a revision


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        yield from (one for one in value if isinstance(one, str))
