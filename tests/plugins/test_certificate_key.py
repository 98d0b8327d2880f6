"""The key that signs certificates: made once, for nobody else, and whose signatures count."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OKPKey

from tillhook.core.plugins import certificate
from tillhook.core.plugins.certificate import key_at, trusted_here

KEY = OKPKey.generate_key("Ed25519", private=True)


def test_a_key_is_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    at = tmp_path / "var" / "key.json"
    made = key_at(at)
    assert stat.S_IMODE(at.stat().st_mode) == 0o600
    assert key_at(at).thumbprint() == made.thumbprint()
    assert [path.name for path in at.parent.iterdir()] == ["key.json"]


def test_of_many_that_make_a_key_at_once_all_get_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them have seen that there is none."""
    together = threading.Barrier(4)
    make = certificate._make_key

    def make_together(file: Path) -> None:
        together.wait(10)
        make(file)

    monkeypatch.setattr(certificate, "_make_key", make_together)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(key_at(tmp_path / "key.json").thumbprint())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 4


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    at = tmp_path / "key.json"
    key_at(at)
    at.chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        key_at(at)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "{}",
        json.dumps(KEY.as_dict(private=False)),
        json.dumps(OKPKey.generate_key("X25519", private=True).as_dict(private=True)),
        json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=True)),
    ],
    ids=["nothing", "null", "a list", "no fields", "a public key", "another curve", "another kind"],
)
def test_a_key_that_is_none_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    at = tmp_path / "key.json"
    at.write_text(content)
    at.chmod(0o600)
    with pytest.raises(ValueError, match="remove it to have a new one made"):
        key_at(at)
    assert at.read_text() == content


def test_trusted_are_the_systems_own_key_and_those_of_the_settings(tmp_path: Path) -> None:
    at = tmp_path / "key.json"
    assert trusted_here(str(at), ("a",)) == {"a"}
    assert not at.exists()
    own = key_at(at).thumbprint()
    assert trusted_here(str(at), ("a",)) == {"a", own}
