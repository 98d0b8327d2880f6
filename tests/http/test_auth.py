"""Which tokens are believed."""

import base64
import hmac
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.http.parts import ISSUER, NOON, Clock, Provider, claims, ec_key, token, verifier
from tillhook.core.domain.problems import Problem
from tillhook.core.http.auth import LEEWAY, LONGEST_TOKEN, REMEMBERED_FOR, Caller, Offer, Verifier
from tillhook.core.roles.offers import Principal
from tillhook.core.testing.outside import RecordingOutside

KEY = ec_key()
SOON = int(NOON.timestamp())


def refusal(subject: Verifier, value: bytes) -> str:
    with pytest.raises(Problem) as refused:
        subject.verify(value)
    assert refused.value.code == "unauthenticated"
    return refused.value.detail


def segment(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def test_a_good_token_names_its_caller() -> None:
    who = verifier(Provider(KEY)).verify(token(KEY))
    assert (who.subject, who.roles, who.issuer) == ("anna", frozenset({"shopper"}), ISSUER)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exp": SOON - LEEWAY - 1}, "expired"),
        ({"exp": None}, "no expiry"),
        ({"exp": "tomorrow"}, "not a number"),
        ({"exp": True}, "not a number"),
        ({"nbf": SOON + LEEWAY + 1}, "not valid yet"),
        ({"iat": SOON + LEEWAY + 1}, "not valid yet"),
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": ["a", "b"]}, "issuer"),
        ({"aud": "another"}, "another application"),
        ({"sub": None}, "names nobody"),
    ],
)
def test_a_token_is_refused_for_what_it_says(changes: dict[str, Any], says: str) -> None:
    assert says in refusal(verifier(Provider(KEY)), token(KEY, claims(**changes)))


@pytest.mark.parametrize(
    "changes", [{"exp": SOON - LEEWAY + 1}, {"nbf": SOON + LEEWAY - 1}, {"iat": SOON + LEEWAY - 1}]
)
def test_clocks_may_differ_by_the_leeway(changes: dict[str, Any]) -> None:
    assert verifier(Provider(KEY)).verify(token(KEY, claims(**changes))).subject == "anna"


def test_a_token_signed_with_another_key_is_refused() -> None:
    assert "signature" in refusal(verifier(Provider(KEY)), token(ec_key("one")))


def test_a_changed_token_is_refused() -> None:
    head, _, signature = token(KEY).split(b".")
    changed = b".".join([head, segment(claims(sub="mallory")), signature])
    assert "signature" in refusal(verifier(Provider(KEY)), changed)


def test_a_token_that_names_no_key_is_refused() -> None:
    assert "kid" in refusal(verifier(Provider(KEY)), token(KEY, kid=None))


@pytest.mark.parametrize("name", ["none", "None", "HS256"])
def test_an_unsigned_token_is_refused_whatever_it_calls_its_algorithm(name: str) -> None:
    unsigned = b".".join([segment({"alg": name, "kid": "one"}), segment(claims()), b""])
    assert "algorithm" in refusal(verifier(Provider(KEY)), unsigned)


def test_a_public_key_is_not_a_shared_secret() -> None:
    """The RS/HS confusion: signing with the published key as if it were a password."""
    published = RSAKey.generate_key(2048, {"kid": "one"})
    said = segment({"alg": "HS256", "kid": "one"}) + b"." + segment(claims())
    mac = hmac.digest(published.as_pem(private=False), said, "sha256")
    forged = said + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")
    assert "algorithm" in refusal(verifier(Provider(published, algorithms=("RS256",))), forged)
    assert "algorithm" in refusal(verifier(Provider(published, algorithms=("RS256", "HS256"))), forged)


def test_an_algorithm_that_the_provider_did_not_pin_is_refused() -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "one"})
    good = token(rsa, alg="RS256")
    assert verifier(Provider(rsa, algorithms=("RS256",))).verify(good).subject == "anna"
    assert "algorithm" in refusal(verifier(Provider(rsa, algorithms=("ES256",))), good)


def test_a_key_is_used_with_its_own_algorithm_only() -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "one", "alg": "PS256"})
    signed = token(RSAKey.import_key({**rsa.as_dict(private=True), "alg": "RS256"}), alg="RS256")
    assert "not meant" in refusal(verifier(Provider(rsa, algorithms=("RS256", "PS256"))), signed)


def test_a_provider_that_has_only_shared_secrets_is_believed_nothing() -> None:
    secret = OctKey.import_key("0123456789abcdef0123456789abcdef", {"kid": "one"})
    assert "algorithm" in refusal(verifier(Provider(algorithms=("HS256",))), token(secret, alg="HS256"))


@pytest.mark.parametrize("value", [b"", b".", b"..", b"a.b.c", b"\xff.\xff.\xff", b"a" * (LONGEST_TOKEN + 1)])
def test_what_is_no_token_is_refused(value: bytes) -> None:
    assert "token is" in refusal(verifier(Provider(KEY)), value)


def test_claims_nested_beyond_reason_are_refused() -> None:
    deep = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":' + b"[" * 2000 + b"]" * 2000 + b"}").rstrip(b"=")
    assert "not a signed JWT" in refusal(verifier(Provider(KEY)), deep + b"." + deep + b".AA")


@given(st.binary(max_size=300))
def test_no_bytes_whatever_break_the_verifier(value: bytes) -> None:
    refusal(verifier(Provider(KEY)), value)


@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c", "zip"]),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.text(max_size=4), max_size=2)
        ),
    ),
    said=st.dictionaries(
        st.sampled_from(["iss", "exp", "sub", "aud", "nbf"]),
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.just(ISSUER), st.text(max_size=8)),
    ),
)
def test_no_header_and_no_claims_break_the_verifier(header: dict[str, Any], said: dict[str, Any]) -> None:
    value = b".".join([segment({"alg": "ES256", "kid": "one", **header}), segment({"iss": ISSUER, **said}), b"A" * 86])
    refusal(verifier(Provider(KEY)), value)


@pytest.mark.parametrize(
    "header", ["alg", ["alg"], 5, None, {"alg": ["ES256"], "kid": "one"}, {"alg": "ES256", "kid": []}]
)
def test_a_header_that_is_no_header_is_refused(header: object) -> None:
    refusal(verifier(Provider(KEY)), b".".join([segment(header), segment(claims()), b"A" * 86]))


# --- remembering


def test_a_verified_token_is_known_until_it_is_verified_again() -> None:
    clock = Clock()
    subject = verifier(Provider(KEY), clock=clock)
    good = token(KEY)
    assert subject.known(good) is None
    who = subject.verify(good)
    assert subject.known(good) is who
    clock.advance(REMEMBERED_FOR)
    assert subject.known(good) is None


def test_a_verified_token_is_not_known_beyond_its_expiry() -> None:
    clock = Clock()
    subject = verifier(Provider(KEY), clock=clock)
    short = token(KEY, claims(exp=SOON + 10))
    subject.verify(short)
    clock.advance(10 + LEEWAY)
    assert subject.known(short) is None
    assert "expired" in refusal(subject, token(KEY, claims(exp=SOON + 9)))


def test_only_so_many_tokens_are_remembered() -> None:
    subject = verifier(Provider(KEY), remembered=2)
    tokens = [token(KEY, claims(sub=name)) for name in ("anna", "bert", "carl")]
    for value in tokens:
        subject.verify(value)
    assert [subject.known(value) is not None for value in tokens] == [False, True, True]


def test_a_refused_token_is_not_remembered() -> None:
    subject = verifier(Provider(KEY))
    bad = token(KEY, claims(aud="another"))
    refusal(subject, bad)
    assert subject.known(bad) is None


# --- several shops, one issuer


def caller(provider: Provider, **changes: Any) -> Caller:
    return verifier(provider).verify(token(KEY, claims(**changes)))


def test_a_token_counts_in_a_shop_whose_provider_accepts_it() -> None:
    assert caller(Provider(KEY)).vouched_by([Provider(KEY, issuer="https://other.example"), Provider(KEY)])


def test_a_token_for_one_retailer_counts_nothing_at_another_of_the_same_issuer() -> None:
    mine = Provider(KEY, audience="till")
    assert not caller(mine).vouched_by([Provider(KEY, audience="another retailer")])
    assert not caller(mine).vouched_by([Provider(KEY, issuer="https://other.example")])
    assert not caller(mine).vouched_by([])


class Renaming(Provider):
    """The same issuer, believed by a retailer for whom its roles mean something else."""

    def principal(self, claims: Any) -> Principal:
        return Principal(claims["sub"], frozenset({"operator"}), self.issuer)


def test_roles_that_only_another_retailer_reads_into_a_token_do_not_count() -> None:
    assert not verifier(Renaming(KEY)).verify(token(KEY)).vouched_by([Provider(KEY)])


def test_two_shops_with_different_audiences_share_an_issuer() -> None:
    subject = verifier(Provider(KEY, audience="one"), Provider(KEY, audience="two"))
    assert subject.verify(token(KEY, claims(aud="two"))).subject == "anna"
    assert "another application" in refusal(subject, token(KEY, claims(aud="three")))


def test_a_second_plugin_cannot_speak_for_an_issuer_that_has_one() -> None:
    class Impostor(Provider):
        pass

    forged = ec_key("forged")
    subject = verifier(Provider(KEY), Impostor(forged, audience="till"))
    assert "no key" in refusal(subject, token(forged))


def test_an_issuer_that_a_new_shop_brings_is_found_after_a_while() -> None:
    clock = Clock()
    offered: list[Provider] = []
    subject = Verifier(lambda: [Offer(provider, RecordingOutside()) for provider in offered], clock)
    assert "issuer" in refusal(subject, token(KEY))
    offered.append(Provider(KEY))
    assert "issuer" in refusal(subject, token(KEY)), "the shops are not asked at every stranger's knock"
    clock.advance(31)
    assert subject.verify(token(KEY)).subject == "anna"


def test_many_first_callers_at_once_are_all_let_in() -> None:
    subject = verifier(Provider(KEY))
    good = token(KEY)
    together = threading.Barrier(8)
    seen: list[str] = []

    def knock() -> None:
        together.wait()
        seen.append(subject.verify(good).subject)

    run_all([knock] * 8)
    assert seen == ["anna"] * 8


def run_all(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_caller_shows_who_it_is_and_nothing_else_of_the_token() -> None:
    who = caller(Provider(KEY), email="anna@example.com")
    assert repr(who) == f"Caller('anna' of '{ISSUER}', ['shopper'])"


def test_jose_agrees_with_the_tokens_that_these_tests_make() -> None:
    assert jwt.decode(token(KEY).decode(), KEY, algorithms=["ES256"]).claims["sub"] == "anna"
