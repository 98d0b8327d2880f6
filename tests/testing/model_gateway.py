"""The package that ``tillhook new gateway acmepay`` writes, written to a folder of its own and importable."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from tillhook.core.scaffold.templates import KINDS, package
from tillhook.core.scaffold.writing import write_folder


def written(folder: Path) -> Path:
    """The package as the command writes it, in ``folder``."""
    write_folder(folder, package(KINDS["gateway"], "acmepay", {}))
    return folder


def announced(folder: Path) -> Path:
    """What makes it an installed distribution, once ``folder`` is on ``sys.path``: configurations can switch it on."""
    about = folder / "tillhook_acmepay-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tillhook-acmepay\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[tillhook]\nacmepay = tillhook_acmepay:Acmepay\n")
    return folder


def _importable() -> Path:
    root = Path(tempfile.mkdtemp(prefix="acmepay-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    source = written(root / "package") / "src"
    sys.path.append(str(source))
    return source


SOURCE: Final = _importable()
"""What stands on ``sys.path``; it is removed when the process ends."""

import tillhook_acmepay.gateway as model  # noqa: E402 - it can be imported from here on
from tillhook_acmepay import Acmepay, AcmepayGateway, AcmepaySettings  # noqa: E402
from tillhook_acmepay.simulator import APPROVE, DECLINE, AcmepaySimulator  # noqa: E402

__all__ = [
    "APPROVE",
    "DECLINE",
    "SOURCE",
    "Acmepay",
    "AcmepayGateway",
    "AcmepaySettings",
    "AcmepaySimulator",
    "announced",
    "model",
    "written",
]
