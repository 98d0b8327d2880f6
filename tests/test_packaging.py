"""What is published: one package, `tillhook`, with everything in it and nothing beside it."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

import tillhook
from tests.test_house import ROOT, lines_that_say, repository_files, shown

TOP_LEVEL: Final = ("core", "migrations", "hookspecs.py", "app.py")
FACE: Final = {"tillhook/__init__.py", "tillhook/__main__.py", "tillhook/py.typed"}
MEMBERS: Final = sorted(
    path.parent for place in ("plugins", "retailers") for path in ROOT.glob(f"{place}/*/pyproject.toml")
)

REGISTRIES: Final = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.(?:npmjs|yarnpkg)|npmmirror\.com|proxy\.golang\.org|crates\.io"
)
MACHINE_PATHS: Final = re.compile(r"(?<![\w.:/}-])/(?:root|home|Users|work|opt|mnt|builds|workspace)/\w|[A-Z]:\\Users")


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def build(target: str, source: Path, into: Path) -> Path:
    """Build with the tools of this environment: nothing is downloaded, nothing is written outside ``into``."""
    into.mkdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = into.iterdir()
    return built


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel") / "dist")


@pytest.fixture(scope="module")
def wheel_from_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", ROOT, place / "dist")) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and newer want it said
        archive.extractall(place)
    (source,) = place.glob("tillhook-*")
    return build("wheel", source, place / "wheel")


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel: Path) -> None:
    """A top-level ``core`` or ``app`` would be shadowed by a plugin author's own folder of that name."""
    tops = {name.split("/")[0] for name in contents(wheel)}
    assert tops == {"tillhook", f"tillhook-{tillhook.__version__}.dist-info"}


def test_the_wheel_holds_every_file_of_the_tree(wheel: Path) -> None:
    tree = {name for name in shown(repository_files()) if name.split("/")[0] in TOP_LEVEL}
    assert {name for name in contents(wheel) if name.startswith("tillhook/")} == {
        f"tillhook/{name}" for name in tree
    } | FACE


def test_a_wheel_built_from_the_source_archive_is_the_same(wheel: Path, wheel_from_sdist: Path) -> None:
    assert contents(wheel_from_sdist) == contents(wheel)


def test_the_links_of_the_editable_install_lead_to_the_top_level() -> None:
    links = {path.name: path.readlink().as_posix() for path in (ROOT / "src/tillhook").iterdir() if path.is_symlink()}
    assert links == {name: f"../../{name}" for name in TOP_LEVEL}


def test_the_version_is_said_once_more_and_the_same() -> None:
    assert tillhook.__version__ == project(ROOT)["project"]["version"]


@pytest.mark.parametrize("folder", MEMBERS, ids=lambda folder: folder.name)
def test_a_plugin_package_is_named_after_its_folder_and_has_one_entry_point(folder: Path) -> None:
    described = project(folder)
    assert described["project"]["name"] == f"tillhook-{folder.name}"
    assert described["build-system"]["build-backend"] == "uv_build"
    (entry,) = described["project"]["entry-points"]["tillhook"].items()
    assert entry[0] == folder.name
    assert entry[1].startswith(f"tillhook_{folder.name}:")
    assert (folder / f"src/tillhook_{folder.name}/py.typed").is_file()


def test_import_linter_watches_every_plugin_package() -> None:
    rules = project(ROOT)["tool"]["importlinter"]
    plugins = {f"tillhook_{folder.name}" for folder in MEMBERS}
    contracts = {contract["id"]: contract for contract in rules["contracts"]}
    assert set(rules["root_packages"]) == {"tillhook"} | plugins
    assert set(contracts["guests"]["forbidden_modules"]) == plugins
    assert set(contracts["front-door"]["source_modules"]) == plugins
    assert set(contracts["strangers"]["modules"]) == plugins


def test_the_constraints_name_a_version_and_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[\w.!+]+( ; .+)?", line)] == []
    assert "uv.lock" not in shown(repository_files())


def test_nothing_in_the_repository_names_a_package_registry_or_a_folder_of_one_machine() -> None:
    assert lines_that_say(REGISTRIES, repository_files()) == []
    assert lines_that_say(MACHINE_PATHS, repository_files()) == []
