"""Where a plugin's code is: a package, a single module, a package in a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tillhook.core.plugins.certificate import code_of
from tillhook.core.plugins.home import Home

PACKAGE = "home_of_acme"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_a_package_is_all_its_files_in_the_order_of_their_names(package: Path) -> None:
    for path in ("b/c.toml", "b/__init__.py", "b-a.py", "__pycache__/x.pyc", "b/__pycache__/y.pyc"):
        (package / path).parent.mkdir(exist_ok=True)
        (package / path).touch()
    names = [name for name, _ in Home.of(f"{PACKAGE}.b.c").files()]
    assert names == ["__init__.py", "b-a.py", "b/__init__.py", "b/c.toml"]


def test_a_package_may_be_installed_below_a_folder_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "__pycache__" / "oddly_placed"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(folder.parent))
    assert [name for name, _ in Home.of("oddly_placed").files()] == ["__init__.py"]


def test_what_cannot_be_found_is_named(package: Path) -> None:
    with pytest.raises(LookupError, match="there is no package 'no_such_package'"):
        Home.of("no_such_package.till")


def test_a_single_module_is_certified_alone(package: Path) -> None:
    """Beside it stand others' modules."""
    (package.parent / "home_module.py").write_text("B = 1\n")
    home = Home.of("home_module")
    before = code_of(home)
    assert [name for name, _ in home.files()] == ["home_module.py"]
    (package / "__init__.py").write_text("A = 2\n")
    assert code_of(home) == before
    (package.parent / "home_module.py").write_text("B = 2\n")
    assert code_of(home) != before


def test_of_a_namespace_the_package_in_it_is_certified(package: Path) -> None:
    inner = package.parent / "home_space" / "inner"
    inner.mkdir(parents=True)
    (inner / "__init__.py").write_text("")
    assert Home.of("home_space.inner.till").name == "home_space.inner"
    with pytest.raises(LookupError, match="is a namespace without a module in it"):
        Home.of("home_space")
