"""Reading the file and the variables that override it."""

from pathlib import Path
from typing import Final

import pytest

from tillhook.core.config.errors import ConfigError
from tillhook.core.config.loading import load
from tillhook.core.config.system import System

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tillhook.toml"


def test_an_empty_file_gives_the_defaults(file: Path) -> None:
    file.write_text("")
    loaded = load(file, {})
    assert loaded.system.database == System().database
    assert loaded.system.server.base_url == "http://127.0.0.1:8000"
    assert loaded.layers.store_types() == ()


def test_the_file_is_the_one_that_the_variable_names(file: Path) -> None:
    file.write_text('[tillhook]\ndatabase = "sqlite:///x.db"')
    assert load(environ={"TILLHOOK_CONFIG": str(file)}).system.database == "sqlite:///x.db"


def test_without_a_variable_it_is_the_one_in_the_working_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[tillhook]\ndatabase = "sqlite:///x.db"')
    monkeypatch.chdir(file.parent)
    assert load(environ={}).system.database == "sqlite:///x.db"


def test_variables_override_the_file(file: Path) -> None:
    file.write_text('[tillhook]\ndatabase = "sqlite:///x.db"\nserver = { port = 1, threads = 3 }')
    environ = {
        "TILLHOOK_DATABASE_URL": "postgresql+psycopg://h/db",
        "TILLHOOK_HOST": "0.0.0.0",
        "TILLHOOK_PORT": "9000",
    }
    system = load(file, environ).system
    assert system.database == "postgresql+psycopg://h/db"
    assert (system.server.host, system.server.port, system.server.threads) == ("0.0.0.0", 9000, 3)
    assert system.server.base_url == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("host", "address"), [("::", "http://[::1]:8000"), ("::1", "http://[::1]:8000"), ("pos", "http://pos:8000")]
)
def test_the_base_url_is_made_of_host_and_port(file: Path, host: str, address: str) -> None:
    file.write_text(f'[tillhook]\nserver.host = "{host}"')
    assert load(file, {}).system.server.base_url == address


def test_a_base_url_that_is_written_is_kept(file: Path) -> None:
    file.write_text('[tillhook]\nserver.base_url = "https://shop.example"')
    assert load(file, {}).system.server.base_url == "https://shop.example"


def test_a_variable_that_cannot_be_used_is_named(file: Path) -> None:
    file.write_text("")
    with pytest.raises(ConfigError, match="environment: TILLHOOK_PORT: Expected `int`, got `str`"):
        load(file, {"TILLHOOK_PORT": "eighty"})
    with pytest.raises(ConfigError, match="environment: TILLHOOK_PORT: Expected `int` <= 65535"):
        load(file, {"TILLHOOK_PORT": "70000"})


def test_a_missing_file_says_what_to_do(file: Path) -> None:
    with pytest.raises(ConfigError, match="no such file: run this in the folder that holds it, or name it in the var"):
        load(file, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[tillhook]\na = = 1", "is not TOML: .*line 2"),
        (b"\xff\xfe", "is not TOML: "),
        (b"tillhook = 3", "tillhook: must be a table"),
        (b"[tillhook]\nserver.prot = 1", r"tillhook\.server\.prot: there is no such setting \(did you mean 'port'\?\)"),
        (b"[tillhook]\nlog.level = 'loud'", r"tillhook\.log\.level: Invalid enum value 'loud'"),
        (
            b"[tillhook]\npayments.inquire_seconds = [5, 0]",
            r"tillhook\.payments\.inquire_seconds\[1\]: Expected `int` >= 1",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_where(file: Path, text: bytes, says: str) -> None:
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=says) as refused:
        load(file, {})
    assert str(refused.value).startswith(str(file))


def test_a_folder_instead_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


@pytest.mark.parametrize("region", ["DK", "SE"])
def test_the_configuration_of_the_demonstration_can_be_used(region: str) -> None:
    layers = load(ROOT / "tillhook.toml", {}).layers
    settings = layers.shop_settings("demo", region, None, installed=layers.plugin_names())
    assert settings.plugins == ("issuer", "tax", "sandbox", "receipts", "demo")
    assert settings.payment.gateway == "sandbox"
    assert settings.tax.calculator == "tables"


def test_a_patience_with_providers_shorter_than_a_call_can_take_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tillhook.toml"
    file.write_text("[tillhook]\npayments.call_seconds = 20.0\noutside = { timeout_seconds = 5, retries = 2 }\n")
    with pytest.raises(ConfigError, match=r"tillhook\.payments\.call_seconds: must be at least 26"):
        load(file, {})


@pytest.mark.parametrize(("duty", "lease"), [(60, 60), (45, 30), (90, 60)])
def test_a_duty_that_may_outlast_its_lease_is_refused(tmp_path: Path, duty: int, lease: int) -> None:
    file = tmp_path / "tillhook.toml"
    file.write_text(f"[tillhook]\nhooks.duty_seconds = {duty}\nwork.lease_seconds = {lease}\n")
    with pytest.raises(ConfigError, match=rf"hooks\.duty_seconds: must be less than work\.lease_seconds, .* {lease}"):
        load(file, {})


def test_a_duty_without_a_limit_can_be_configured(tmp_path: Path) -> None:
    file = tmp_path / "tillhook.toml"
    file.write_text("[tillhook]\nhooks.duty_seconds = 0\nwork.lease_seconds = 1\n")
    assert load(file, {}).system.hooks.duty_seconds == 0
