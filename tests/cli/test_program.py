"""The command itself: help, errors in one line, a quick start."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tests.cli.conftest import Folder
from tillhook import __version__
from tillhook.core.cli import main
from tillhook.core.cli.program import Program

SLOW = {"alembic", "httpx", "litestar", "rich", "sqlalchemy", "structlog", "uvicorn"}


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield (*above, name)


@pytest.mark.parametrize("command", tuple(commands(main)), ids=" ".join)
def test_the_help_of_every_command_has_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])

    assert result.exit_code == 0
    assert "Example" in result.output
    example = result.output.split("Example")[1].split("Options:")[0]
    assert "tillhook " in example
    assert " ".join(command) in example


def test_help_loads_nothing_slow() -> None:
    code = f"import sys, tillhook.core.cli; print(*{SLOW!r} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_without_a_command_it_shows_its_help() -> None:
    result = CliRunner().invoke(main, [])

    assert result.exit_code == 2
    assert "serve --demo" in result.output


def test_it_says_its_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"tillhook {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["serve", "--port", "seventy"], "'seventy' is not a valid integer"),
        (["serve", "--frobnicate"], "No such option '--frobnicate'"),
        (["items", "import"], "Missing argument 'FILE'"),
        (["token", "--role", "emperor"], "'emperor' is not one of"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(folder: Folder, arguments: list[str], says: str) -> None:
    line = folder.refused(*arguments, code=2)

    assert says in line
    assert line.endswith("--help)")


def test_an_option_of_the_program_after_the_command_is_told_its_place(folder: Folder) -> None:
    assert "write --config before the command" in folder.refused("serve", "--config", "tillhook.toml", code=2)


def test_a_missing_configuration_is_one_line_that_says_what_to_do(folder: Folder) -> None:
    folder.configuration.unlink()

    for command in (["demo"], ["serve"], ["db", "status"], ["plugins"], ["config", "check"]):
        line = folder.refused(*command, code=2)
        assert line.startswith("tillhook.toml: no such file")
        assert "TILLHOOK_CONFIG" in line


def test_the_configuration_may_be_named(folder: Folder) -> None:
    folder.configuration.rename(folder.path / "other.toml")

    assert "other.toml: no fault" in folder.ok("--config", "other.toml", "config", "check")


def test_a_configuration_that_is_no_file_or_no_toml_is_one_line(folder: Folder) -> None:
    folder.configuration.write_text("[demo\n")
    assert "tillhook.toml: is not TOML" in folder.refused("demo", code=2)
    folder.configuration.write_bytes(b"\xff\xfe\x00")
    assert "tillhook.toml: is not TOML" in folder.refused("demo", code=2)
    folder.configuration.unlink()
    folder.configuration.mkdir()
    assert "tillhook.toml: cannot be read: Is a directory" in folder.refused("demo", code=2)


@pytest.fixture
def broken() -> Program:
    """A program with a command that fails in a way that nobody expects."""
    program = Program("tillhook", params=[click.Option(["--debug"], is_flag=True, expose_value=False)])

    @program.command()
    def fail() -> None:
        raise KeyError("a\nb")

    return program


def test_what_nobody_expects_is_one_line_too(broken: Program) -> None:
    result = CliRunner().invoke(broken, ["fail"])

    assert result.exit_code == 1
    assert result.stderr.startswith("tillhook: this should not happen: KeyError: ")
    assert len(result.stderr.splitlines()) == 1


def test_debug_shows_where_it_happened(broken: Program) -> None:
    result = CliRunner().invoke(broken, ["--debug", "fail"])

    assert result.exit_code == 1
    assert 'raise KeyError("a\\nb")' in result.stderr
