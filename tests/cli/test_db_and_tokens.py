"""``tillhook db`` and ``tillhook token``."""

import base64
import json
import sqlite3
from typing import Any

import pytest

from tests.cli.conftest import Folder
from tillhook.core.storage.database import Database
from tillhook.core.storage.health import wanted_revision
from tillhook.core.storage.migrating import status


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def test_status_is_1_until_the_database_is_upgraded(folder: Folder) -> None:
    assert "there is no such database yet" in folder.refused("db", "status")
    assert "upgraded from empty to revision" in folder.ok("db", "upgrade")
    assert "up to date, at revision" in folder.ok("db", "status")
    assert "nothing to do" in folder.ok("db", "upgrade")


def test_the_revision_told_from_the_file_names_is_the_one_that_alembic_means(folder: Folder) -> None:
    folder.ok("db", "upgrade")
    db = Database(f"sqlite:///{folder.database}")
    try:
        assert wanted_revision() == status(db).head
    finally:
        db.close()


def test_a_database_of_a_newer_version_is_left_alone(folder: Folder) -> None:
    folder.ok("db", "upgrade")
    with sqlite3.connect(folder.database) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()

    assert "at revision 9999, this version needs" in folder.refused("db", "status")
    assert "does not know" in folder.refused("db", "upgrade")


def test_a_database_that_cannot_be_opened_is_named(folder: Folder) -> None:
    folder.database.mkdir(parents=True)

    line = folder.refused("db", "upgrade")
    assert line == "sqlite:///var/tillhook.db: unable to open database file"


def test_a_file_that_is_no_database_is_named(folder: Folder) -> None:
    folder.database.parent.mkdir()
    folder.database.write_text("something else entirely, and long enough for a header of SQLite" * 40)

    assert folder.refused("db", "status") == "sqlite:///var/tillhook.db: file is not a database"


@pytest.mark.parametrize(
    ("url", "says", "code"),
    [
        ("nonsense", "is no database's URL", 2),
        ("mysql://till:hunter2@db/till", "'mysql' is not supported", 2),
        ("sqlite://", "in-memory", 2),
        ("postgresql+psycopg://till:hunter2@127.0.0.1:1/till", "refused", 1),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line_without_its_password(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, url: str, says: str, code: int
) -> None:
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", url)

    for command in (["db", "upgrade"], ["demo"]):
        line = folder.refused(*command, code=code)
        assert says in line
        assert "hunter2" not in line


def test_a_token_is_all_that_is_printed(shop: Folder) -> None:
    said = shop.ok("token")

    assert len(said.splitlines()) == 1
    assert claims(said)["realm_access"]["roles"] == ["shopper"]
    assert claims(said)["user_id"] != claims(shop.ok("token"))["user_id"]


def test_a_token_is_for_whom_and_for_how_long_one_says(shop: Folder) -> None:
    shopper = claims(shop.ok("token", "--customer", "cus_7", "--hours", "0.5"))
    staff = claims(shop.ok("token", "--role", "staff", "--store", "sto_demo_dk", "--store", "sto_demo_se"))

    assert (shopper["user_id"], shopper["exp"] - shopper["iat"]) == ("cus_7", 1800)
    assert sorted(staff["stores"]) == ["sto_demo_dk", "sto_demo_se"]
    assert "user_id" not in staff


@pytest.mark.parametrize("role", ["staff", "device"])
def test_who_is_bound_to_stores_must_name_them(folder: Folder, role: str) -> None:
    assert f"a {role} token is for certain stores" in folder.refused("token", "--role", role, code=2)


def test_a_store_that_does_not_exist_gets_no_token(shop: Folder) -> None:
    assert "'sto_none'" in shop.refused("token", "--role", "staff", "--store", "sto_none")


def test_a_life_that_is_too_long_is_refused(shop: Folder) -> None:
    assert "no token could be made" in shop.refused("token", "--hours", "100000")


def test_without_an_issuer_there_are_no_tokens(shop: Folder) -> None:
    shop.change('"issuer", ', "")

    assert "makes tokens: switch on one that does (`issuer`)" in shop.refused("token")
