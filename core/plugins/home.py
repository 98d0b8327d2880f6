"""Where a plugin's code is: the outermost package, or the single module, on the way to its class."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

_COMPILED: Final = "__pycache__"


class Home(Struct, frozen=True):
    """A package or a single module, which is all that is looked at of a plugin."""

    name: str
    """As it is imported."""
    origin: Path
    """The module's file, or the ``__init__.py`` of the package."""

    @classmethod
    def of(cls, module: str) -> Home:
        """The home of a module: of ``acme.tills.corner`` it is ``acme``, or ``acme.tills`` if ``acme`` is a namespace.

        Raises LookupError when there is no such package or it is no file.
        """
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            try:
                spec = importlib.util.find_spec(name)
            except (ImportError, ValueError) as error:
                raise LookupError(f"the package {name!r} cannot be found: {error}") from error
            if spec is None:
                raise LookupError(f"there is no package {name!r}")
            if spec.has_location and spec.origin:
                return cls(name, Path(spec.origin))
        raise LookupError(f"{module!r} is a namespace without a module in it")

    @property
    def is_package(self) -> bool:
        return self.origin.stem == "__init__"

    @property
    def folder(self) -> Path:
        """Of the package; of a single module, the folder that holds it beside others."""
        return self.origin.parent

    def files(self) -> Iterator[tuple[str, Path]]:
        """(name, file) of all that belongs to it, in the order of the names, without what Python compiled."""
        if not self.is_package:
            yield self.origin.name, self.origin
            return
        below = {at.relative_to(self.folder): at for at in self.folder.rglob("*") if at.is_file()}
        yield from sorted((path.as_posix(), at) for path, at in below.items() if _COMPILED not in path.parts)
