"""What ``pip install`` of the pages comes to without an index: ``python -m tests.docs.offline install …``.

Projects are built by their own backends and unpacked into the environment that is active; what an index would give
is linked from the environment that runs the tests.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

from tests.cli.installing import install

_OURS = re.compile(r"tillhook|__pycache__|.*\.pth$|.*_virtualenv")


def main(arguments: list[str]) -> None:
    """Raises SystemExit for what the pages have no use for."""
    command, *projects = arguments
    editable = "--editable" in projects
    if command != "install" or [at for at in projects if at.startswith("-") and at != "--editable"]:
        raise SystemExit(f"not understood: pip {' '.join(arguments)}")
    environment = Path(os.environ["VIRTUAL_ENV"])
    (site,) = environment.glob("lib/python3*/site-packages")
    for project in (Path(at.partition("[")[0]) for at in projects if at != "--editable"):
        install(project, site, editable=editable)
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        if not _OURS.match(one.name) and not (site / one.name).exists():
            (site / one.name).symlink_to(one)
    for script in scripts(site):
        _write(environment, script)


def scripts(site: Path) -> list[EntryPoint]:
    """The commands that what is installed brings with it."""
    return [
        point
        for one in distributions(path=[str(site)])
        for point in one.entry_points
        if point.group == "console_scripts" and one.name in {"tillhook", "pytest"}
    ]


def _write(environment: Path, script: EntryPoint) -> None:
    path = environment / "bin" / script.name
    lines = (f"#!{environment}/bin/python", "import sys", f"from {script.module} import {script.attr}")
    path.write_text("\n".join((*lines, f"sys.exit({script.attr}())\n")))
    path.chmod(0o755)


if __name__ == "__main__":
    main(sys.argv[1:])
