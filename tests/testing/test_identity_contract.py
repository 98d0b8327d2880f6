"""The contract of identity providers notices each broken promise; the issuer in memory here keeps them all."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from msgspec.structs import replace

from tests.testing.broken import broken_promises
from tillhook import Answer, IdentityProvider, NoAnswer, NotReached, Outside, Plugin, Principal, hookimpl
from tillhook.core.testing.contracts.identity import IdentityContract
from tillhook.core.testing.outside import RecordingOutside

KEY = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
ROLES = frozenset({"shopper", "guest", "staff", "device", "operator"})
KEYS_AT = "https://id.acme.example/keys"


class SoundProvider:
    """Makes tokens, and publishes its key elsewhere."""

    name = "acme"
    issuer = "https://id.acme.example"
    algorithms: tuple[str, ...] = ("ES256",)

    def keys(self, outside: Outside) -> Mapping[str, Any]:
        answer = outside.request("GET", KEYS_AT)
        if answer.status != 200:
            raise NoAnswer(f"{KEYS_AT} answered {answer.status}")
        found: Mapping[str, Any] = answer.json()
        return found

    def accepts(self, claims: Mapping[str, Any]) -> bool:
        return claims.get("aud") == "tillhook"

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        who, stores = claims.get("sub"), claims.get("stores")
        if not isinstance(who, str) or not who:
            raise ValueError("there is no subject (sub)")
        roles = self.roles(claims)
        if not roles:
            raise ValueError("there are no roles")
        customer = claims.get("user_id")
        bound = frozenset(at for at in stores if isinstance(at, str)) if isinstance(stores, list) else None
        return Principal(who, roles, self.issuer, customer if isinstance(customer, str) else None, bound)

    def roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        found = claims.get("roles")
        return frozenset(at for at in found if isinstance(at, str)) & ROLES if isinstance(found, list) else frozenset()

    def issue(self, principal: Principal, *, now: datetime, seconds: int) -> str:
        if seconds < 1:
            raise ValueError(f"a token lives for a second at least, not for {seconds}")
        if principal.issuer != self.issuer:
            raise ValueError(f"{self.issuer} makes no tokens for {principal.issuer}")
        return self.signed(principal, now, seconds)

    def signed(self, principal: Principal, now: datetime, seconds: int) -> str:
        claims = {
            "iss": self.issuer,
            "sub": principal.subject,
            "aud": "tillhook",
            "exp": int((now + timedelta(seconds=seconds)).timestamp()),
            "roles": sorted(principal.roles),
            "user_id": principal.customer_id,
            "stores": sorted(principal.stores or ()),
        }
        return jwt.encode({"alg": "ES256", "kid": KEY.kid}, claims, KEY)


class Acme(Plugin):
    provider: ClassVar[Any] = SoundProvider

    @hookimpl
    def identity_providers(self) -> Sequence[IdentityProvider]:
        return (self.provider(),)


class AcmeContract(IdentityContract):
    plugin = Acme
    claims: ClassVar[Mapping[str, Any]] = {"sub": "anna", "aud": "tillhook", "roles": ["staff", "baker"]}
    roles_at = ("roles",)
    grants = frozenset({"staff"})
    key: ClassVar[Mapping[str, Any]] = KEY.as_dict(private=False)
    examples = 10

    def lend(self) -> RecordingOutside:
        return RecordingOutside(Answer(200, {}, msgspec.json.encode({"keys": [self.key]})))


class TestAcme(AcmeContract):
    examples = 30


def with_provider(provider: type) -> type[Plugin]:
    return type(f"With{provider.__name__}", (Acme,), {"provider": provider})


class SharesASecret(SoundProvider):
    algorithms = ("ES256", "HS256")


class BrokenByASharedSecret(AcmeContract):
    plugin = with_provider(SharesASecret)
    breaks: ClassVar[set[str]] = {"test_only_public_keys_verify_its_tokens"}


class AcceptsAnybody(SoundProvider):
    def accepts(self, claims: Mapping[str, Any]) -> bool:
        return claims.get("aud", "tillhook") == "tillhook"


class BrokenByAudience(AcmeContract):
    plugin = with_provider(AcceptsAnybody)
    breaks: ClassVar[set[str]] = {"test_a_token_that_is_meant_for_another_is_not_accepted"}


class AcceptsNobody(SoundProvider):
    def accepts(self, claims: Mapping[str, Any]) -> bool:
        return False


class BrokenByNobody(AcmeContract):
    plugin = with_provider(AcceptsNobody)
    breaks: ClassVar[set[str]] = {
        "test_a_token_that_is_meant_for_us_is_accepted",
        "test_whom_a_token_was_made_for_is_read_out_of_it_again",
        "test_a_token_ends_when_it_was_said_to",
    }


class TrustsText(SoundProvider):
    """``"operator"`` is read as a list of roles, too."""

    def roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        found = claims.get("roles")
        return frozenset({found}) & ROLES if isinstance(found, str) else super().roles(claims)


class BrokenByText(AcmeContract):
    plugin = with_provider(TrustsText)
    breaks: ClassVar[set[str]] = {"test_claims_without_a_list_of_roles_give_none"}


class ForgivesSpelling(SoundProvider):
    def roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        found = claims.get("roles")
        spelt = [at.strip().lower() for at in found if isinstance(at, str)] if isinstance(found, list) else found
        return super().roles({**claims, "roles": spelt})


class BrokenBySpelling(AcmeContract):
    plugin = with_provider(ForgivesSpelling)
    breaks: ClassVar[set[str]] = {"test_a_role_that_is_not_known_is_not_taken_for_one_of_ours"}


class LooksElsewhere(SoundProvider):
    def roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        return super().roles(claims) or super().roles({"roles": claims.get("groups")})


class BrokenByGroups(AcmeContract):
    plugin = with_provider(LooksElsewhere)
    breaks: ClassVar[set[str]] = {"test_roles_elsewhere_in_the_token_do_not_count"}


class NamesNobody(SoundProvider):
    def principal(self, claims: Mapping[str, Any]) -> Principal:
        return super().principal({**claims, "sub": str(claims.get("sub") or "nobody")})


class BrokenBySubjects(AcmeContract):
    plugin = with_provider(NamesNobody)
    breaks: ClassVar[set[str]] = {"test_claims_without_a_subject_name_nobody"}


class TrustsTheForm(SoundProvider):
    def principal(self, claims: Mapping[str, Any]) -> Principal:
        return Principal(claims["sub"], self.roles(claims), self.issuer, claims.get("user_id"))


class BrokenByTheForm(AcmeContract):
    plugin = with_provider(TrustsTheForm)
    examples = 100
    breaks: ClassVar[set[str]] = {
        "test_claims_without_a_subject_name_nobody",
        "test_no_claims_whatever_break_it",
        "test_whom_a_token_was_made_for_is_read_out_of_it_again",
    }


class AnotherIssuer(SoundProvider):
    def principal(self, claims: Mapping[str, Any]) -> Principal:
        return replace(super().principal(claims), issuer=str(claims.get("iss", "")))


class BrokenByAnIssuer(AcmeContract):
    plugin = with_provider(AnotherIssuer)
    breaks: ClassVar[set[str]] = {"test_its_claims_give_the_roles_that_they_should"}


class BrokenByAPrivateKey(AcmeContract):
    key: ClassVar[Mapping[str, Any]] = KEY.as_dict(private=True)
    breaks: ClassVar[set[str]] = {"test_its_keys_can_be_used_and_are_public"}


class MakesKeysUp(SoundProvider):
    def keys(self, outside: Outside) -> Mapping[str, Any]:
        try:
            return super().keys(outside)
        except (NotReached, NoAnswer):
            return {"keys": []}


class BrokenByNoKeys(AcmeContract):
    plugin = with_provider(MakesKeysUp)
    breaks: ClassVar[set[str]] = {
        "test_keys_that_cannot_be_had_are_not_made_up",
        "test_an_answer_that_is_no_key_set_is_no_answer",
    }


class LivesForADay(SoundProvider):
    def signed(self, principal: Principal, now: datetime, seconds: int) -> str:
        return super().signed(principal, now, 86_400)


class BrokenByALongLife(AcmeContract):
    plugin = with_provider(LivesForADay)
    breaks: ClassVar[set[str]] = {"test_a_token_ends_when_it_was_said_to"}


class ForgetsStores(SoundProvider):
    def signed(self, principal: Principal, now: datetime, seconds: int) -> str:
        return super().signed(replace(principal, stores=None), now, seconds)


class BrokenByStores(AcmeContract):
    plugin = with_provider(ForgetsStores)
    breaks: ClassVar[set[str]] = {"test_whom_a_token_was_made_for_is_read_out_of_it_again"}


class SignsForAll(SoundProvider):
    def issue(self, principal: Principal, *, now: datetime, seconds: int) -> str:
        return self.signed(principal, now, seconds)


class BrokenBySigningForAll(AcmeContract):
    plugin = with_provider(SignsForAll)
    breaks: ClassVar[set[str]] = {
        "test_a_token_without_a_life_is_not_made",
        "test_no_token_is_made_in_the_name_of_another_issuer",
    }


BROKEN = [suite for name, suite in list(globals().items()) if name.startswith("Broken")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return broken_promises(__file__, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("suite", BROKEN)
def test_a_broken_promise_is_noticed_and_no_other(suite: Any, broken: dict[str, set[str]]) -> None:
    assert broken[suite.__name__] == suite.breaks
