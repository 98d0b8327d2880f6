"""Certificates: what is signed is read back; whatever is changed, by hand or by time, makes them count for nothing."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey
from msgspec.structs import replace

from tillhook.core.plugins.certificate import (
    LARGEST,
    Certificate,
    Checked,
    Tier,
    code_of,
    file_of,
    read,
    signed,
    tier_of,
)
from tillhook.core.plugins.home import Home

PACKAGE = "certified_acme"
GOLD = Certificate(
    plugin="acme",
    distribution="tillhook-acme",
    version="1.0",
    code="-",
    tillhook="0.1.0",
    hookspec_version=2,
    issued_at=datetime(2026, 3, 14, 12, 30, 15, 250_000, tzinfo=UTC),
    tier=Tier.GOLD,
    rules=(Checked("promises", Tier.BRONZE, True, "every promise is kept"),),
    hooks=("payment_gateways",),
    exercised=("payment_gateways.authorise", "payment_gateways.capture"),
    capabilities={"acme": ({"methods": ["card"], "refunds": True, "read_lag": "PT0S"},)},
    suites={"PaymentGatewayContract": {"passed": 300, "skipped": 2, "failed": 0}},
    faults={"acme": {"authorise × refused": "passed"}},
    milliseconds={"payment_gateways.authorise": 0.1 + 0.2},
    import_milliseconds=12.5,
)
KEY = OKPKey.generate_key("Ed25519", private=True)
OTHER_KEY = OKPKey.generate_key("Ed25519", private=True)


def b64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package."""
    folder = tmp_path / "site" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("A = 1\n")
    (folder / "words.toml").write_text("a = 1\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


@pytest.fixture
def file(package: Path, tmp_path: Path) -> Path:
    """The certificate of the package as it is now, by a key that is trusted."""
    made = file_of(tmp_path, "acme")
    made.write_bytes(signed(replace(GOLD, code=code_of(Home.of(PACKAGE))), KEY))
    return made


def held(file: Path, version: str = "1.0", *trusted: str) -> tuple[Tier, str]:
    return tier_of(file.parent, "acme", version, f"{PACKAGE}.till", trusted or (KEY.thumbprint(),))


def refused(file: Path) -> str:
    """Why a certificate counts for nothing."""
    tier, reason = held(file)
    assert tier is Tier.NONE
    assert str(file) in reason
    return reason


def change(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found, indent=2))


# --- as it was made


def test_what_was_signed_is_read_back_and_counts(file: Path) -> None:
    assert held(file) == (Tier.GOLD, "")
    found = read(file, [KEY.thumbprint()])
    assert (found.reason, found.thumbprint) == ("", KEY.thumbprint())
    assert replace(found.certificate, code="-") == GOLD


def test_the_file_can_be_read_by_people_and_shows_no_private_key(file: Path) -> None:
    text = file.read_text()
    assert '    "plugin": "acme",\n' in text
    assert set(json.loads(text)["key"]) == {"crv", "kty", "x"}
    assert KEY.as_dict(private=True)["d"] not in text


def test_white_space_and_the_order_of_names_do_not_matter(file: Path) -> None:
    def reversed_deep(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: reversed_deep(at) for name, at in reversed(value.items())}
        return value

    file.write_text(json.dumps(reversed_deep(json.loads(file.read_text()))).replace("{", "{\r\n"))
    assert held(file) == (Tier.GOLD, "")


def test_without_a_certificate_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert tier_of(tmp_path, "acme", "1.0", PACKAGE, ()) == (Tier.NONE, "")


def test_a_plugins_name_leads_nowhere_else(tmp_path: Path) -> None:
    assert file_of(tmp_path, "../acme").parent == tmp_path


def test_tiers_are_ordered() -> None:
    assert Tier.GOLD.reaches(Tier.SILVER)
    assert Tier.SILVER.reaches(Tier.SILVER)
    assert not Tier.NONE.reaches(Tier.BRONZE)


# --- changed by hand


OTHER_VALUES: dict[str, Any] = {
    "plugin": "acmf",
    "distribution": "other",
    "version": "1.1",
    "code": "0" * 64,
    "tillhook": "9.9",
    "hookspec_version": 1,
    "issued_at": "2027-01-01T00:00:00Z",
    "tier": "silver",
    "rules": [],
    "hooks": ["poslog_for"],
    "exercised": [],
    "capabilities": {},
    "suites": {},
    "faults": {"acme": {"authorise × refused": "failed"}},
    "milliseconds": {"payment_gateways.authorise": 0.3},
    "import_milliseconds": 12.6,
}


def test_every_field_is_among_those_that_are_changed_here() -> None:
    assert set(OTHER_VALUES) == set(Certificate.__struct_fields__)


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_a_field_that_was_changed_is_noticed(file: Path, field: str) -> None:
    change(file, lambda found: found["certificate"].update({field: OTHER_VALUES[field]}))
    assert "its signature does not hold" in refused(file)


def test_a_field_that_was_taken_away_or_added_is_noticed(file: Path) -> None:
    whole = file.read_text()
    change(file, lambda found: found["certificate"].pop("tier"))
    assert "no certificate" in refused(file)
    file.write_text(whole)
    change(file, lambda found: found["certificate"].update(audited="yes"))
    assert "no certificate" in refused(file)
    file.write_text(whole)
    change(file, lambda found: found["key"].update(audited="yes"))
    assert "no certificate" in refused(file)
    file.write_text(whole)
    change(file, lambda found: found.update(note="trust me"))
    assert "no certificate" in refused(file)
    file.write_text(whole)
    change(file, lambda found: found["certificate"]["rules"][0].update(note="trust me"))
    assert "no certificate" in refused(file)


def test_a_signature_of_another_certificate_is_noticed(file: Path) -> None:
    other = json.loads(signed(replace(GOLD, plugin="other"), KEY))
    change(file, lambda found: found.update(signature=other["signature"]))
    assert "its signature does not hold" in refused(file)


@pytest.mark.parametrize("signature", ["", ".", "..", "a.b", "a.b.c.d", "a..b", "é..é"])
def test_a_signature_that_is_none_is_noticed(file: Path, signature: str) -> None:
    change(file, lambda found: found.update(signature=signature))
    refused(file)


def test_a_key_that_was_swapped_is_noticed(file: Path) -> None:
    change(file, lambda found: found.update(key=OTHER_KEY.as_dict(private=False)))
    assert "its signature does not hold" in refused(file)


def test_a_key_that_nobody_trusts_is_named(file: Path) -> None:
    file.write_bytes(signed(read(file, ()).certificate, OTHER_KEY))
    assert f"it is signed by the key {OTHER_KEY.thumbprint()}, which is not trusted here" in refused(file)
    assert held(file, "1.0", KEY.thumbprint(), OTHER_KEY.thumbprint()) == (Tier.GOLD, "")


def test_a_private_key_inside_is_noticed(file: Path) -> None:
    change(file, lambda found: found.update(key=KEY.as_dict(private=True)))
    assert "it shows the private key that signed it" in refused(file)


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"kty": "OKP"},
        {"kty": "OKP", "crv": "Ed25519", "x": "?"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "OKP", "crv": 7, "x": 7},
        OKPKey.generate_key("X25519", private=False).as_dict(),
        OKPKey.generate_key("Ed448", private=False).as_dict(),
        ECKey.generate_key("P-256", private=False).as_dict(),
        OctKey.generate_key(256).as_dict(),
    ],
    ids=["nothing", "a kind", "no base64", "too short", "numbers", "X25519", "Ed448", "P-256", "a shared secret"],
)
def test_a_key_of_another_kind_is_noticed(file: Path, key: dict[str, Any]) -> None:
    change(file, lambda found: found.update(key=key))
    refused(file)


def with_header(file: Path, header: dict[str, Any], mark: Callable[[str], str]) -> None:
    """The signature with another header; ``mark`` signs what the header and the certificate are together."""
    content = msgspec.json.encode(read(file, ()).certificate, order="deterministic")
    head = b64(json.dumps(header).encode())
    signature = f"{head}..{mark(f'{head}.{b64(content)}')}"
    change(file, lambda found: found.update(signature=signature))


def test_a_header_that_asks_for_no_signature_is_refused(file: Path) -> None:
    with_header(file, {"alg": "none"}, lambda text: "")
    assert "its signature does not hold" in refused(file)


def test_a_header_that_takes_the_public_key_for_a_shared_secret_is_refused(file: Path) -> None:
    shared = OctKey.import_key(urlsafe_b64decode(KEY.as_dict(private=False)["x"] + "="))

    def mark(text: str) -> str:
        head, _, content = text.partition(".")
        del head
        made = jws.serialize_compact({"alg": "HS256"}, urlsafe_b64decode(content + "=="), shared, algorithms=["HS256"])
        return made.rpartition(".")[2]

    with_header(file, {"alg": "HS256"}, mark)
    assert "its signature does not hold" in refused(file)


@pytest.mark.parametrize(
    "header", [{}, {"alg": 7}, {"alg": ["Ed25519"]}, {"alg": "Ed25519", "crit": ["b64"], "b64": False}]
)
def test_a_header_that_makes_no_sense_is_refused(file: Path, header: dict[str, Any]) -> None:
    with_header(file, header, lambda text: "AAAA")
    assert "its signature does not hold" in refused(file)


def test_a_signature_that_brings_its_own_content_along_is_refused(file: Path) -> None:
    made = jws.serialize_compact({"alg": "Ed25519"}, b"something else", KEY, algorithms=["Ed25519"])
    change(file, lambda found: found.update(signature=made))
    assert "it brings along" in refused(file)


# --- no certificate at all


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"gold",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"certificate": {}, "signature": "..", "key": {}}',
        b"[" * 9999,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_certificate_is_said_so(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert "is no certificate" in refused(file)


def test_a_file_that_is_too_large_is_not_read(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b" " * LARGEST)
    assert f"larger than {LARGEST} bytes" in refused(file)


def test_a_folder_in_its_place_is_named(file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert "Is a directory" in refused(file)


# --- changed by time


@pytest.mark.parametrize("what", ["changed", "added", "removed", "renamed"])
def test_code_that_changed_after_it_was_certified_loses_its_tier(file: Path, package: Path, what: str) -> None:
    words = package / "words.toml"
    match what:
        case "changed":
            words.write_text("a = 2\n")
        case "added":
            (package / "more.py").write_text("")
        case "removed":
            words.unlink()
        case _:
            words.rename(package / "wordz.toml")
    assert "the code has changed since; run `tillhook certify acme` again" in refused(file)


def test_what_python_compiles_changes_nothing(file: Path, package: Path) -> None:
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"1")
    assert held(file) == (Tier.GOLD, "")


def test_code_that_moved_from_one_file_to_the_next_is_other_code(package: Path) -> None:
    before = code_of(Home.of(PACKAGE))
    (package / "__init__.py").write_text("")
    (package / "words.toml").write_text("A = 1\na = 1\n")
    assert code_of(Home.of(PACKAGE)) != before


def test_another_version_loses_its_tier(file: Path) -> None:
    assert held(file, "1.1") == (Tier.NONE, f"{file}: it is of acme 1.0, installed is acme 1.1")


def test_a_certificate_under_another_plugins_name_is_not_its(file: Path) -> None:
    file.rename(file_of(file.parent, "beta"))
    tier, reason = tier_of(file.parent, "beta", "1.0", PACKAGE, [KEY.thumbprint()])
    assert (tier, reason.partition(": ")[2]) == (Tier.NONE, "it is of acme 1.0, installed is beta 1.0")


def test_code_that_is_gone_is_said_so(file: Path) -> None:
    tier, reason = tier_of(file.parent, "acme", "1.0", "no_such_package_anywhere", [KEY.thumbprint()])
    assert tier is Tier.NONE
    assert "there is no package 'no_such_package_anywhere'" in reason
