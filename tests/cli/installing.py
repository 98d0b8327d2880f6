"""What ``pip install --no-deps`` does, without an index: built by the backend that the project names, then unpacked."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

_BUILD = "import importlib, sys; getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(sys.argv[3])"


def install(project: Path, site: Path, *, editable: bool = False) -> None:
    """Build the wheel of ``project`` with the tools of this environment and put what it holds into ``site``."""
    backend = tomllib.loads((project / "pyproject.toml").read_text())["build-system"]["build-backend"]
    with tempfile.TemporaryDirectory() as made:
        hook = "build_editable" if editable else "build_wheel"
        command = [sys.executable, "-c", _BUILD, backend, hook, made]
        done = subprocess.run(command, cwd=project, env=_plain(os.environ), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (wheel,) = Path(made).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """The tools must be those of this environment, whatever is put in front of them."""
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PATH": f"{Path(sys.prefix, 'bin')}{os.pathsep}{kept.get('PATH', '')}"}
