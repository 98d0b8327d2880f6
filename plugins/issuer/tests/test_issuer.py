"""The embedded issuer: one key for all processes, tokens like Keycloak's."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from tillhook import IdentityProvider, Principal, TokenIssuer
from tillhook.core.testing.contracts import IdentityContract
from tillhook.core.testing.outside import RecordingOutside
from tillhook_issuer import EmbeddedIssuer, Issuer, IssuerSettings, KeyFile

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
ISSUER = "http://127.0.0.1/issuer"
STAFF = Principal("sofie", frozenset({"staff"}), ISSUER, "cus_1", frozenset({"sto_2", "sto_1"}))


class TestIssuer(IdentityContract):
    plugin = Issuer
    settings: ClassVar[Mapping[str, Any]] = {"key_file": "{tmp}/issuer.json"}
    claims: ClassVar[Mapping[str, Any]] = {"sub": "sofie", "aud": "tillhook", "realm_access": {"roles": ["staff"]}}
    grants = frozenset({"staff"})


def offered(folder: Path) -> EmbeddedIssuer:
    (provider,) = Issuer(IssuerSettings(key_file=str(folder / "keys" / "issuer.json"))).identity_providers()
    assert isinstance(provider, EmbeddedIssuer)
    return provider


@pytest.fixture
def issuer(tmp_path: Path) -> EmbeddedIssuer:
    return offered(tmp_path)


def read(issuer: EmbeddedIssuer, token: str) -> dict[str, Any]:
    """The claims, verified with nothing but what the issuer publishes."""
    published = KeySet.import_key_set(issuer.keys(RecordingOutside()))  # type: ignore[arg-type]
    return jwt.decode(token, published, algorithms=list(issuer.algorithms)).claims


def test_it_is_an_identity_provider_that_makes_tokens(issuer: EmbeddedIssuer) -> None:
    assert isinstance(issuer, IdentityProvider)
    assert isinstance(issuer, TokenIssuer)


def test_a_token_says_what_keycloaks_would(issuer: EmbeddedIssuer) -> None:
    claims = read(issuer, issuer.issue(STAFF, now=NOON, seconds=600))
    moment = int(NOON.timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": ISSUER,
        "sub": "sofie",
        "aud": "tillhook",
        "azp": "tillhook",
        "typ": "Bearer",
        "iat": moment,
        "exp": moment + 600,
        "preferred_username": "sofie",
        "realm_access": {"roles": ["staff"]},
        "user_id": "cus_1",
        "stores": ["sto_1", "sto_2"],
    }


names = st.text(min_size=1, max_size=20)


@given(
    who=st.builds(
        Principal,
        subject=names,
        roles=st.frozensets(names),
        issuer=st.just(ISSUER),
        customer_id=st.none() | names,
        stores=st.none() | st.frozensets(names),
    )
)
def test_whoever_a_token_was_made_for_is_read_out_of_it_again(
    who: Principal, tmp_path_factory: pytest.TempPathFactory
) -> None:
    issuer = offered(tmp_path_factory.getbasetemp() / "shared")
    claims = read(issuer, issuer.issue(who, now=NOON, seconds=60))
    assert issuer.accepts(claims)
    assert issuer.principal(claims) == who


def test_two_tokens_are_never_the_same(issuer: EmbeddedIssuer) -> None:
    assert issuer.issue(STAFF, now=NOON, seconds=60) != issuer.issue(STAFF, now=NOON, seconds=60)


@pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
def test_a_life_beyond_the_limit_is_refused(issuer: EmbeddedIssuer, seconds: int) -> None:
    with pytest.raises(ValueError, match="lives between"):
        issuer.issue(STAFF, now=NOON, seconds=seconds)


def test_no_token_is_made_in_the_name_of_another_issuer(issuer: EmbeddedIssuer) -> None:
    with pytest.raises(ValueError, match="makes no tokens for"):
        issuer.issue(Principal("sofie", frozenset(), "https://id.example"), now=NOON, seconds=60)


@pytest.mark.parametrize("audience", ["another", None, ["tillhook"]])
def test_a_token_for_somebody_else_is_not_accepted(issuer: EmbeddedIssuer, audience: object) -> None:
    assert not issuer.accepts({"aud": audience})


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": ""},
        {"sub": 5, "realm_access": {"roles": []}},
        {"sub": "a"},
        {"sub": "a", "realm_access": []},
        {"sub": "a", "realm_access": {"roles": "operator"}},
        {"sub": "a", "realm_access": {"roles": [1]}},
        {"sub": "a", "realm_access": {"roles": []}, "user_id": 7},
        {"sub": "a", "realm_access": {"roles": []}, "stores": "sto_1"},
    ],
)
def test_claims_of_another_form_name_nobody(issuer: EmbeddedIssuer, claims: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"there (is|are) no|user_id is"):
        issuer.principal(claims)


# --- the key file


def test_the_key_is_made_when_it_is_first_needed_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    issuer = offered(tmp_path)
    file = tmp_path / "keys" / "issuer.json"
    assert not file.exists()
    issuer.keys(RecordingOutside())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_what_is_published_holds_nothing_private(issuer: EmbeddedIssuer) -> None:
    (published,) = issuer.keys(RecordingOutside())["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_the_key_stays_the_same_over_a_restart(tmp_path: Path) -> None:
    token = offered(tmp_path).issue(STAFF, now=NOON, seconds=60)
    assert read(offered(tmp_path), token)["sub"] == "sofie"


def test_threads_that_need_the_key_first_end_with_one_key(tmp_path: Path) -> None:
    files = [KeyFile(tmp_path / "issuer.json") for _ in range(8)]
    together = threading.Barrier(len(files))
    kids: list[str | None] = []

    def first(file: KeyFile) -> None:
        together.wait()
        kids.append(file.key().kid)

    threads = [threading.Thread(target=first, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kids) == len(files)
    assert len(set(kids)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["issuer.json"]


def test_processes_that_need_the_key_first_end_with_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from tillhook_issuer import KeyFile; sys.stdin.readline(); print(KeyFile(sys.argv[1]).key().kid)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "issuer.json")]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    kids = {racer.communicate()[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert len(kids) == 1


def test_losing_the_race_means_taking_the_winners_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winner, loser = KeyFile(tmp_path / "issuer.json"), KeyFile(tmp_path / "issuer.json")
    link = os.link

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        winner.key()
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert loser.key().kid == winner.key().kid
    assert [path.name for path in tmp_path.iterdir()] == ["issuer.json"]


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    offered(tmp_path).keys(RecordingOutside())
    (tmp_path / "keys" / "issuer.json").chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        offered(tmp_path).keys(RecordingOutside())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        json.dumps(RSAKey.generate_key(2048).as_dict(private=True)),
        json.dumps(ECKey.generate_key("P-384").as_dict(private=True)),
        json.dumps(ECKey.generate_key("P-256").as_dict(private=False)),
    ],
    ids=["empty", "no key", "RSA", "another curve", "public only"],
)
def test_a_file_that_holds_no_such_key_says_which_and_what_to_do(tmp_path: Path, content: str) -> None:
    file = tmp_path / "issuer.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ValueError, match=r"issuer\.json holds no .* remove it"):
        KeyFile(file).key()
