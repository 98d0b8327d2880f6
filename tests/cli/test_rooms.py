"""What plugins bring to the command line: their tables, their commands, their schedules and topics."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Folder
from tests.plugins.guests import Installer

LISTED = '["issuer", "tax", "sandbox", "receipts", "demo"]'

GUEST = '''
import click
from tillhook import Plugin, PluginCommand, PluginTables, Schedule, hookimpl, not_found


@click.command()
@click.option("-h", "--how", default="well")
@click.pass_obj
def fail(errand, how):
    """Fail in a way of one's choice."""
    if how == "click":
        raise click.ClickException("no more paper")
    if how == "problem":
        raise not_found("There is no shelf 7.")
    if how == "unknown":
        raise KeyError("shelf\\n8")
    click.echo(f"{errand.store.store_id} {errand.store_type} {errand.region} {errand.now:%Y}")


class Guest(Plugin):
    """Chores: something to do.

    More of it."""

    @hookimpl
    def commands(self):
        return (PluginCommand(fail),)
'''

TABLES = """
    @hookimpl
    def tables(self):
        return (PluginTables("chores", "chores_tables"),)

    @hookimpl
    def schedules(self):
        return (Schedule("sweep", 90, self.sweep),)

    def sweep(self, errand):
        if errand.region == "DK":
            raise OSError("the broom is broken")
"""

REVISION = """
from alembic import op
import sqlalchemy as sa

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("chores_shelf", sa.Column("id", sa.Integer(), primary_key=True))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Installs the guest ``chores``, or another entry point of it; its folder of migrations is returned."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def put(source: str = GUEST, name: str = "chores", revision: str = REVISION) -> Path:
        Installer(folder)(name, source, entry=name)
        migrations = folder / "chores_tables" / "migrations"
        migrations.mkdir(parents=True)
        (folder / "chores_tables" / "__init__.py").touch()
        (migrations / "0001_shelves.py").write_text(revision)
        return migrations

    yield put
    for name in [name for name in sys.modules if name.startswith(("guest_", "chores_tables"))]:
        del sys.modules[name]


def switch_on(folder: Folder, *plugins: str) -> None:
    folder.change(LISTED, LISTED.replace("]", "".join(f', "{name}"' for name in plugins) + "]"))


def tables(folder: Folder) -> set[str]:
    with closing(sqlite3.connect(folder.database)) as db:
        return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


# --- tables


def test_upgrading_migrates_the_core_then_every_plugin(folder: Folder) -> None:
    switch_on(folder, "points")
    said = folder.ok("db", "upgrade").splitlines()

    assert "upgraded from empty to revision" in said[0]
    assert said[1] == "tables of plugin 'points' 0.1.0: upgraded from none to revision 0001"
    assert "nothing to do, at revision 0001" in folder.ok("db", "upgrade").splitlines()[1]
    assert {"points_member", "alembic_version_points"} <= tables(folder)


def test_nothing_is_served_until_the_tables_of_a_new_plugin_are_made(shop: Folder) -> None:
    switch_on(shop, "points")

    for command in (["stores", "list"], ["serve", "--port", "0"], ["work", "--once"], ["db", "status"]):
        line = shop.refused(*command)
        assert "the tables of plugin 'points' 0.1.0 are at none, it needs 0001: run `tillhook db upgrade`" in line
    shop.ok("db", "upgrade")
    assert "points\t0.1.0\t0001\t0001\tup to date" in shop.ok("db", "status").splitlines()


def test_the_demonstration_makes_them_itself(folder: Folder) -> None:
    switch_on(folder, "points")
    folder.ok("demo")
    assert "points_member" in tables(folder)


def test_what_a_plugin_that_is_switched_off_left_stays_and_is_told(folder: Folder) -> None:
    switch_on(folder, "points")
    folder.ok("demo")
    folder.change(', "points"', "")

    said = folder.ok("db", "status")
    assert "points\t\t0001\t\tleft behind, plugin not used" in said
    assert "points: its data stays as it is, in points_entry, points_member" in said
    folder.ok("db", "upgrade")
    assert "points_member" in tables(folder)
    (core, left) = json.loads(folder.ok("db", "status", "--json"))
    assert (core["tables_of"], core["state"]) == ("core", "up to date")
    assert (left["tables_of"], left["tables"]) == ("points", ["points_entry", "points_member"])


def test_a_plugin_whose_migration_fails_is_named_and_the_others_are_migrated(
    folder: Folder, install: Callable[..., Path]
) -> None:
    install(GUEST + TABLES, revision=REVISION.replace('"chores_shelf"', '"loot"'))
    switch_on(folder, "chores", "points")

    line = folder.refused("db", "upgrade")
    assert "plugin 'chores' 1.0: revision 0001 (chores_tables/migrations/0001_shelves.py) touches what is not" in line
    assert "it makes loot" in line
    assert "loot" not in tables(folder)
    assert {"store", "points_member"} <= tables(folder)


def test_tables_under_another_name_than_the_plugins_quarantine_it(folder: Folder, install: Callable[..., Path]) -> None:
    install(GUEST + TABLES.replace('"chores",', '"points",'))
    switch_on(folder, "chores")
    result = folder.run("db", "upgrade")
    assert "a plugin's tables bear its own name: 'chores'" in result.stderr
    assert "the tables of its plugins were not looked at" in result.stderr


# --- commands


def test_a_plugins_command_runs_in_the_store_that_is_named(folder: Folder, install: Callable[..., Path]) -> None:
    install()
    switch_on(folder, "chores")
    folder.ok("demo")
    assert folder.ok("chores", "--store", "sto_demo_se", "fail").startswith("sto_demo_se demo SE 20")


def test_a_command_may_use_an_option_of_help_for_itself(folder: Folder, install: Callable[..., Path]) -> None:
    install()
    switch_on(folder, "chores")
    folder.ok("demo")
    assert folder.ok("chores", "--store", "sto_demo_se", "fail", "-h", "well").startswith("sto_demo_se demo SE 20")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("click", "plugin 'chores': no more paper"),
        ("problem", "plugin 'chores': There is no shelf 7."),
        ("unknown", "plugin 'chores' failed: KeyError: 'shelf\\n8' (--debug before the command shows where)"),
    ],
)
def test_a_command_that_fails_is_one_line_that_names_the_plugin(
    folder: Folder, install: Callable[..., Path], how: str, says: str
) -> None:
    install()
    switch_on(folder, "chores")
    folder.ok("demo")
    assert folder.refused("chores", "--store", "sto_demo_se", "fail", "--how", how) == says


def test_a_store_need_only_be_named_where_there_are_several(folder: Folder, install: Callable[..., Path]) -> None:
    install()
    folder.add(f"""["demo/DK/sto_demo_dk"]\nplugins = {LISTED.replace("]", ', "chores"]')}""")
    folder.ok("demo")
    assert folder.ok("chores", "fail").startswith("sto_demo_dk ")
    line = folder.refused("chores", "--store", "sto_demo_se", "fail", code=2)
    assert line == "plugin 'chores' is not switched on for store sto_demo_se (demo/SE)"

    folder.change(LISTED, LISTED.replace("]", ', "chores"]'))
    line = folder.refused("chores", "fail", code=2)
    assert line.startswith("Name a --store: sto_demo_dk, sto_demo_se.")


def test_a_store_that_does_not_exist_is_named(folder: Folder, install: Callable[..., Path]) -> None:
    install()
    switch_on(folder, "chores")
    folder.ok("demo")
    assert "'sto_none'" in folder.refused("chores", "--store", "sto_none", "fail")


def test_help_shows_the_plugins_and_needs_neither_store_nor_database(
    folder: Folder, install: Callable[..., Path]
) -> None:
    install()
    switch_on(folder, "chores")
    whole = folder.ok("--help")
    section = whole.split("Commands of plugins")[1]
    assert "chores  Chores: something to do" in section
    assert "receipts" not in section, "it has no commands"
    assert "fail  Fail in a way of one's choice." in folder.ok("chores", "--help")
    assert "--how" in folder.ok("chores", "fail", "--help")
    assert not folder.database.exists()


def test_a_plugin_named_like_a_command_is_told_so_and_takes_nothing_away(
    folder: Folder, install: Callable[..., Path]
) -> None:
    install(name="orders")
    switch_on(folder, "orders")
    said = " ".join(folder.run("--help").output.split())
    assert "orders cannot be called: 'orders' is a command of tillhook; rename the entry point" in said
    assert "Look at an order" in folder.ok("orders", "--help")
    assert "plugin\twarn\torders has commands that cannot be called" in folder.run("doctor").stdout


def test_a_plugin_that_is_on_nowhere_has_no_commands(folder: Folder, install: Callable[..., Path]) -> None:
    install()
    line = folder.refused("chores", "fail", code=2)
    assert line == "plugin 'chores' is installed, but no store type has it among its `plugins`"
    assert "No such command 'choes'" in folder.refused("choes", "fail", code=2)


def test_a_plugin_that_is_on_and_not_installed_is_named(folder: Folder) -> None:
    switch_on(folder, "chores")
    folder.ok("db", "upgrade")
    assert "names it, but it is not installed" in folder.refused("chores", "fail")


def test_a_plugin_without_commands_says_so(folder: Folder) -> None:
    assert folder.refused("tax", "rates", code=1) != ""
    folder.ok("demo")
    assert folder.refused("tax", "--store", "sto_demo_dk", "rates", code=2) == "plugin 'tax' has no commands"


def test_the_kill_switch_switches_commands_off(
    folder: Folder, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    switch_on(folder, "chores")
    folder.ok("demo")
    monkeypatch.setenv("TILLHOOK_DISABLE", "chores")
    assert "chores is switched off" in folder.refused("chores", "--store", "sto_demo_dk", "fail")


def test_points_are_looked_up_and_expired_on_the_command_line(folder: Folder) -> None:
    switch_on(folder, "points")
    folder.ok("demo")
    line = folder.refused("points", "--store", "sto_demo_dk", "balance", "cus_nobody")
    assert line == "plugin 'points': nobody of the scheme demo is called cus_nobody"
    assert folder.ok("points", "--store", "sto_demo_dk", "expire") == "no points have expired\n"


# --- schedules and topics


def test_schedules_are_listed_run_and_their_failures_shown(folder: Folder, install: Callable[..., Path]) -> None:
    install(GUEST + TABLES)
    switch_on(folder, "chores")
    folder.ok("demo")
    header, first, second = folder.ok("schedules").splitlines()
    assert header == "plugin\tschedule\tplace\tevery\tlast run (utc)\tresult\tnext (utc)"
    assert first == "chores\tsweep\tdemo/DK\t90 seconds\t\tnever ran\tat once"
    assert second.startswith("chores\tsweep\tdemo/SE")

    assert folder.ok("schedules", "run", "chores", "sweep", "--place", "demo/SE") == "chores sweep in demo/SE: done\n"
    line = folder.refused("schedules", "run", "chores", "sweep")
    assert line == "chores sweep in demo/DK: OSError: the broom is broken"

    dk, se = json.loads(folder.ok("schedules", "--json"))
    assert (dk["result"], se["result"]) == ("failed: OSError: the broom is broken", "ok")
    assert dk["last_finished_at"] is not None
    doctor = folder.ok("doctor")
    assert "schedules\twarn\t1 failed: chores sweep in demo/DK failed: OSError: the broom is broken" in doctor


def test_a_schedule_that_does_not_exist_is_told_which_do(folder: Folder, install: Callable[..., Path]) -> None:
    install(GUEST + TABLES)
    switch_on(folder, "chores")
    folder.ok("demo")
    line = folder.refused("schedules", "run", "chores", "swep", code=2)
    assert line == "plugin 'chores' has no schedule 'swep'; there are: chores sweep (demo/DK), chores sweep (demo/SE)"


def test_due_schedules_are_part_of_working_once(folder: Folder) -> None:
    switch_on(folder, "points")
    folder.ok("demo")
    assert "2 schedules run" in folder.ok("work", "--once")
    assert "0 schedules run" in folder.ok("work", "--once")
    assert "\t1 day\t" in folder.ok("schedules")


def test_topics_are_listed_with_what_they_carry_and_where(folder: Folder) -> None:
    assert folder.ok("db", "upgrade")
    assert folder.ok("topics") == "no plugin that is switched on declares a topic\n"
    switch_on(folder, "points")
    folder.ok("demo")
    assert folder.ok("topics").splitlines() == [
        "topic\tdirection\tkey\tmessage\tplugin\tplaces",
        "points.changed\tproduces\tcustomer_id\tPointsChanged\tpoints\tdemo/DK, demo/SE",
        "points.import\tconsumes\tcustomer_id\tImportedBalance\tpoints\tdemo/DK, demo/SE",
    ]
