"""Finding what is installed. Nothing that a plugin does at import gets further than its own line of the report."""

import sys
from pathlib import Path

import pytest

from tests.plugins.guests import STORE, Installer, Lent, Till, configured
from tests.plugins.guests import found as installed
from tillhook.core.plugins.discovery import Found, discover, switched_off
from tillhook.core.plugins.host import Host
from tillhook.core.roles.shop_settings import CORE_KEYS

GOOD = "from tillhook import Plugin\nclass Guest(Plugin):\n    pass\n"


def by_name(wanted: set[str] | None = None, **environ: str) -> dict[str, Found]:
    return {one.name: one for one in discover(wanted, environ)}


def guest(hooks: str, head: str = "", above: str = "") -> str:
    """A module with one plugin class that has these lines in its body."""
    return f"from tillhook import *\n{head}\nclass Guest({above}Plugin):\n    {hooks}\n"


def test_an_installed_plugin_is_found_with_its_distribution_and_version(install: Installer) -> None:
    install("acme-till", GOOD, entry="till", version="2.7")
    found = by_name({"till"})["till"]
    assert (found.distribution, found.version, found.value) == ("acme-till", "2.7", "guest_acme_till:Guest")
    assert found.plugin_class is not None
    assert found.plugin_class.__name__ == "Guest"
    assert found.reason == ""


def test_a_plugin_that_is_installed_later_is_found_at_once(install: Installer) -> None:
    install("acme-one", GOOD, entry="one")
    assert "two" not in by_name()
    install("acme-two", GOOD, entry="two")
    assert by_name()["two"].plugin_class is not None


def test_a_plugin_that_nobody_wants_is_listed_but_not_imported(install: Installer) -> None:
    install("acme-loud", "raise RuntimeError('imported')", entry="loud")
    found = by_name(set())["loud"]
    assert (found.plugin_class, found.reason) == (None, "")
    assert "guest_acme_loud" not in sys.modules


def test_a_distribution_whose_metadata_are_no_text_is_quarantined_and_the_others_are_found(install: Installer) -> None:
    install("acme-bad", GOOD, entry="bad")
    install("acme-good", GOOD, entry="good")
    (install.folder / "acme_bad-1.0.dist-info" / "METADATA").write_bytes(b"Metadata-Version: 2.1\nName: \xff\xfe\n")

    found = by_name({"bad", "good"})
    [torn] = [one for one in found.values() if one.reason.startswith("its metadata cannot be read: ")]
    assert torn.distribution == "acme_bad-1.0.dist-info"
    assert found["good"].plugin_class is not None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import no_such_library",
            "it needs the module 'no_such_library', which is not installed: install it (guest_acme_bad.py:1)",
        ),
        ("raise SystemExit(3)", "SystemExit while importing guest_acme_bad:Guest: 3"),
        ("assert 1 == 2, 'odd'", "AssertionError while importing guest_acme_bad:Guest: odd"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "Odd while importing guest_acme_bad:Guest: x"),
        ("def broken(:", "SyntaxError while importing guest_acme_bad:Guest"),
        (
            "Other = 1",
            "its entry point bad = guest_acme_bad:Guest leads nowhere: guest_acme_bad has no 'Guest'",
        ),
        ("Guest = 42", "guest_acme_bad:Guest is no class that inherits tillhook.Plugin"),
        ("class Guest: pass", "guest_acme_bad:Guest is no class that inherits tillhook.Plugin"),
        (
            guest("@hookimpl\n    def fulfill_order(self, order): ..."),
            "Guest.fulfill_order is marked @hookimpl, but there is no such hook",
        ),
        (guest("def fulfil_order(self, order): ..."), "Guest.fulfil_order overrides a hook: mark it with @hookimpl"),
        (
            guest("...", "class Mixed:\n    @hookimpl\n    def fulfill_order(self, order): ...", above="Mixed, "),
            "hook fulfill_order: there is no such hook (did you mean fulfil_order?)",
        ),
        (
            guest("...", "class Mixed:\n    def fulfil_order(self, order): ...", above="Mixed, "),
            "hook fulfil_order: overrides a hook, mark it with @hookimpl",
        ),
        (
            guest("@hookimpl\n    def fulfil_order(self, ordr): ..."),
            "hook fulfil_order: takes 'ordr', the hook has order, store, outside",
        ),
        (
            guest("@hookimpl\n    async def order_created(self, order): ..."),
            "hook order_created: must be a plain function",
        ),
        (guest("@hookimpl\n    def item_feeds(self): yield 1"), "hook item_feeds: must be a plain function"),
        (guest("@hookimpl(tryfirst=True)\n    def item_feeds(self): ..."), "hook item_feeds: tryfirst is not possible"),
        (guest("Settings = dict"), "its Settings must be a class that inherits tillhook.Config"),
        (
            guest("hookspec_version = 99"),
            "made for hooks of version 99, these are version 2",
        ),
        (guest("def __eq__(self, other): return True"), "it defines __eq__: plugins are told apart by identity"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_quarantined_and_the_others_are_loaded(
    install: Installer, source: str, reason: str
) -> None:
    install("acme-bad", source, entry="bad", version="0.3")
    install("acme-good", GOOD, entry="good")
    found = by_name()
    assert found["bad"].plugin_class is None
    assert reason in found["bad"].reason
    assert (found["bad"].distribution, found["bad"].version) == ("acme-bad", "0.3")
    assert found["good"].plugin_class is not None


def test_an_interrupt_at_the_keyboard_is_not_taken_for_a_plugins_fault(install: Installer) -> None:
    install("acme-slow", "raise KeyboardInterrupt", entry="slow")
    with pytest.raises(KeyboardInterrupt):
        discover({"slow"}, {})


def test_two_distributions_of_one_name_are_both_quarantined_and_named(install: Installer) -> None:
    install("acme-one", GOOD, entry="till", version="1.0")
    install("other-one", GOOD, entry="till", version="2.0")
    claims = [one for one in discover(None, {}) if one.name == "till"]
    assert [one.plugin_class for one in claims] == [None, None]
    assert {one.distribution for one in claims} == {"acme-one", "other-one"}
    for one in claims:
        assert "claimed twice" in one.reason
        assert "acme-one 1.0" in one.reason
        assert "other-one 2.0" in one.reason
    assert "guest_acme_one" not in sys.modules


def test_a_distribution_that_is_on_the_path_twice_counts_once(
    install: Installer, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-till", GOOD, entry="till", version="1.0")
    second = tmp_path_factory.mktemp("second")
    monkeypatch.syspath_prepend(str(second))
    Installer(second)("Acme_Till", GOOD, entry="till", version="2.0")
    found = [one for one in discover(None, {}) if one.name == "till"]
    assert [(one.version, one.reason) for one in found] == [("2.0", "")]


@pytest.mark.parametrize("name", sorted(CORE_KEYS))
def test_a_plugin_that_takes_a_name_of_the_core_is_refused(install: Installer, name: str) -> None:
    install("acme-greedy", GOOD, entry=name)
    assert by_name()[name].plugin_class is None
    assert "is a name of the core: rename the entry point" in by_name()[name].reason


def test_a_plugin_that_is_switched_off_is_imported_all_the_same_as_its_duties_must_be_known(install: Installer) -> None:
    install("acme-off", GOOD, entry="off")
    install("acme-torn", "raise RuntimeError('torn')", entry="torn")
    install("acme-good", GOOD, entry="good")
    found = by_name(None, TILLHOOK_DISABLE="other, off,torn,")
    assert (found["off"].off, found["off"].reason) == (True, "")
    assert found["off"].plugin_class is not None
    assert (found["torn"].off, found["torn"].plugin_class) == (True, None)
    assert "RuntimeError while importing" in found["torn"].reason
    assert found["good"].off is False


def test_the_variable_that_switches_off_is_read_with_blanks_and_empty_names() -> None:
    assert switched_off({"TILLHOOK_DISABLE": " points, chat,,"}) == {"points", "chat"}
    assert switched_off({}) == frozenset()


def test_of_two_hundred_installed_plugins_only_those_that_are_named_are_imported(install: Installer) -> None:
    for number in range(200):
        install(f"acme-{number}", GOOD, entry=f"guest{number}")
    found = by_name({"guest7", "guest9"})
    assert sum(name.startswith("guest") for name in found) == 200
    assert {name for name in sys.modules if name.startswith("guest_")} == {"guest_acme_7", "guest_acme_9"}


def test_one_question_touches_only_those_that_implement_it_however_many_are_installed(install: Installer) -> None:
    asks = guest("@hookimpl\n    def transaction_id_for(self, number): ...")
    for number in range(200):
        install(f"acme-{number}", asks if number % 2 else GOOD, entry=f"guest{number}")
    on = ["guest7", "guest8", "guest9"]
    called: list[str] = []
    host = Host(
        configured({"demo": {"plugins": ["till", *on]}}),
        [*discover(on, {}), installed("till", Till)],
        Lent,
        lambda plugin, hook, seconds, failed: called.append(plugin),
    )

    host.shop(STORE).ask("transaction_id_for", order=None, number=7, store=STORE)
    assert called == ["guest7", "guest9"]
    host.shop(STORE).tell("order_created", order=None, store=STORE)
    assert called == ["guest7", "guest9"]


def test_an_import_that_hangs_is_left_behind_and_named_with_its_line(install: Installer) -> None:
    install("acme-hangs", "import time\n\nwhile True: time.sleep(0.01)\n", entry="hangs")
    install("acme-good", GOOD, entry="good")
    found = {one.name: one for one in discover({"hangs", "good"}, {}, import_seconds=0.2)}
    assert found["hangs"].plugin_class is None
    assert found["hangs"].reason == (
        "the import of guest_acme_hangs:Guest did not end within 0.2 s: it hangs at guest_acme_hangs.py:3 in <module>"
    )
    assert found["good"].plugin_class is not None


def test_a_distribution_whose_entry_points_cannot_be_read_is_named(install: Installer) -> None:
    install.describe("acme-torn", "[tillhook]\nthis line says nothing\n")
    install("acme-good", GOOD, entry="good")
    found = by_name()
    assert "its entry_points.txt cannot be read" in found["acme-torn"].reason
    assert found["good"].plugin_class is not None


def test_a_distribution_without_metadata_is_loaded_all_the_same(install: Installer) -> None:
    install("acme-bare", GOOD, entry="bare")
    next(Path(install.folder).glob("*.dist-info/METADATA")).unlink()
    assert by_name()["bare"].plugin_class is not None
