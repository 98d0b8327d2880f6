"""What every identity provider keeps: only tokens meant for us, only roles that were given, only public keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import pytest
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet
from msgspec.structs import replace

from tillhook.core.domain.problems import Problem
from tillhook.core.plugins.shapes import fits
from tillhook.core.roles.offers import IdentityProvider, Principal, TokenIssuer
from tillhook.core.roles.outside import NoAnswer, NotReached
from tillhook.core.testing.contracts.offered import OfferedContract
from tillhook.core.testing.subject import Subject
from tillhook.core.testing.troubles import WITHOUT_ANSWER, Line, Trouble

OUR_ROLES: Final = frozenset({"shopper", "guest", "staff", "device", "operator"})
NOON: Final = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a key that only its owner may know (RFC 7518 §6)."""
_STRANGERS: Final = ("admin", "root", "*", "Operator", "OPERATOR", "operator ", "staff,operator", "")
_OTHERS: Final[tuple[Mapping[str, Any], ...]] = (
    {"aud": "somebody-else", "azp": "somebody-else", "client_id": "somebody-else"},
    {"aud": ["somebody-else", "account"], "azp": "somebody-else"},
    {"aud": {}, "azp": []},
    {"aud": None, "azp": None, "client_id": None},
    {},
)
"""Claims that say for whom a token is, none of which says us."""
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


class IdentityContract(OfferedContract):
    """Inherit it, name the plugin and its settings, and show the claims of a token that is meant for us::

        class TestAcmeId(IdentityContract):
            plugin = AcmeId
            settings = {"issuer": "https://id.acme.example", "audiences": ["tillhook"]}
            claims = {"sub": "user_1", "aud": "tillhook", "realm_access": {"roles": ["staff"]}}
            grants = {"staff"}

    ``lend`` says what the issuer answers when it is asked for its keys.
    """

    proves = ("identity_providers",)
    offer = "identity_providers"
    provider_name: ClassVar[str] = ""
    """Which provider, for a plugin that offers several."""
    claims: ClassVar[Mapping[str, Any]]
    """Of a token that is meant for us, as the issuer writes it."""
    grants: ClassVar[frozenset[str] | set[str]]
    """The roles that these claims give."""
    roles_at: ClassVar[Sequence[str]] = ("realm_access", "roles")
    """Where the list of roles stands in the claims."""
    grants_anybody: ClassVar[frozenset[str] | set[str]] = frozenset()
    """The roles of somebody who has none in the token, if the settings give them."""

    @pytest.fixture
    def provider(self, subject: Subject) -> IdentityProvider:
        found: IdentityProvider = self.picked(subject, self.provider_name)
        return found

    # --- what it declares

    def test_it_is_an_identity_provider_with_a_name_and_an_issuer(self, provider: IdentityProvider) -> None:
        assert isinstance(provider, IdentityProvider)
        assert provider.name
        assert provider.issuer

    def test_only_public_keys_verify_its_tokens(self, provider: IdentityProvider) -> None:
        from tillhook.core.http.auth import ASYMMETRIC

        assert provider.algorithms, "it declares no algorithm"
        shared = sorted(set(provider.algorithms) - ASYMMETRIC)
        assert shared == [], f"{', '.join(shared)}: whoever can verify could sign as well"

    # --- whose tokens

    def test_a_token_that_is_meant_for_us_is_accepted(self, provider: IdentityProvider) -> None:
        assert self.accepts(provider, self.claims)

    @pytest.mark.parametrize("other", _OTHERS)
    def test_a_token_that_is_meant_for_another_is_not_accepted(
        self, provider: IdentityProvider, other: Mapping[str, Any]
    ) -> None:
        bare = {name: at for name, at in self.claims.items() if name not in ("aud", "azp", "client_id")}
        assert not self.accepts(provider, {**bare, **other}), f"a token with {other} is accepted"

    # --- what they say

    def test_its_claims_give_the_roles_that_they_should(self, provider: IdentityProvider) -> None:
        who = self.principal(provider, self.claims)
        assert who.roles == self.grants
        assert who.subject
        assert who.issuer == provider.issuer, "the principal names another issuer"

    @pytest.mark.parametrize("roles", [None, [], "operator", {"operator": True}, [["operator"]], 7])
    def test_claims_without_a_list_of_roles_give_none(self, provider: IdentityProvider, roles: object) -> None:
        assert self.granted(provider, roles) <= set(self.grants_anybody), f"roles {roles!r}"

    @pytest.mark.parametrize("role", _STRANGERS)
    def test_a_role_that_is_not_known_is_not_taken_for_one_of_ours(self, provider: IdentityProvider, role: str) -> None:
        found = self.granted(provider, [role]) & OUR_ROLES
        assert found <= set(self.grants_anybody), f"{role!r} gives {', '.join(sorted(found))}"

    def test_roles_elsewhere_in_the_token_do_not_count(self, provider: IdentityProvider) -> None:
        elsewhere = {"roles": ["operator"], "groups": ["operator"], "scope": "operator", "role": "operator"}
        strange = {name: at for name, at in elsewhere.items() if name != self.roles_at[0]}
        claims = _without(self.claims, self.roles_at) | strange
        assert "operator" not in self.roles_of(provider, claims)

    @pytest.mark.parametrize("sub", [None, "", 7, ["user_1"]])
    def test_claims_without_a_subject_name_nobody(self, provider: IdentityProvider, sub: object) -> None:
        failure = self.failure("principal", lambda: provider.principal({**self.claims, "sub": sub}))
        assert isinstance(failure, ValueError), f"sub {sub!r}: expected a ValueError, got {failure!r}"

    def test_no_claims_whatever_break_it(self, provider: IdentityProvider) -> None:
        names = sorted({*self.claims, "aud", "azp", "sub", "typ", "stores", "user_id"})

        @self.for_any(st.dictionaries(st.sampled_from(names), _anything))
        def check(changes: dict[str, Any]) -> None:
            claims = {**self.claims, **changes}
            assert self.accepts(provider, claims) in {True, False}
            failure = self.failure("principal", lambda: provider.principal(claims))
            assert failure is None or isinstance(failure, ValueError), f"{claims} raise {failure!r}"
            if failure is None:
                assert fits(provider.principal(claims), Principal)

        check()

    # --- keys

    def test_its_keys_can_be_used_and_are_public(self, provider: IdentityProvider) -> None:
        keys = self.keys(provider, Line(self.lend()))["keys"]
        assert keys, "it has no keys"
        for key in keys:
            private = sorted(_PRIVATE & set(key))
            assert private == [], f"key {key.get('kid')!r} shows what only its owner may know: {', '.join(private)}"
            assert key.get("kty") != "oct", f"key {key.get('kid')!r} is a shared secret"
            assert key.get("kid"), "a key without an id (kid) is never found"
        KeySet.import_key_set({"keys": list(keys)})

    @pytest.mark.parametrize("trouble", WITHOUT_ANSWER)
    def test_keys_that_cannot_be_had_are_not_made_up(self, provider: IdentityProvider, trouble: Trouble) -> None:
        line = Line(self.lend()).trouble(trouble)
        failure = self.failure("keys", lambda: provider.keys(line), line.told)
        if line.cut is not None:
            known = isinstance(failure, NotReached | NoAnswer)
            assert known, f"after {trouble} it raises {failure!r}: let NotReached and NoAnswer pass"

    @pytest.mark.parametrize("status", [401, 404, 429])
    def test_an_answer_that_is_no_key_set_is_no_answer(self, provider: IdentityProvider, status: int) -> None:
        line = Line(self.lend()).trouble(status)
        failure = self.failure("keys", lambda: provider.keys(line), line.told)
        assert line.cut is None or failure is not None, f"it was answered {status} and claims to have the keys"

    # --- making tokens

    def test_whom_a_token_was_made_for_is_read_out_of_it_again(self, provider: IdentityProvider) -> None:
        issuer = self.issuer(provider)
        who = self.somebody(provider)
        caller = self.verified(provider, self.issue(issuer, who, 600), NOON)
        assert replace(who, issuer=caller.issuer) == Principal(
            caller.subject, caller.roles, caller.issuer, caller.customer_id, caller.stores
        )

    def test_a_token_ends_when_it_was_said_to(self, provider: IdentityProvider) -> None:
        issuer = self.issuer(provider)
        token = self.issue(issuer, self.somebody(provider), 600)
        self.verified(provider, token, NOON + timedelta(seconds=599))
        with pytest.raises(Problem, match="unauthenticated"):
            self.verified(provider, token, NOON + timedelta(hours=1))

    def test_a_token_that_was_changed_is_not_believed(self, provider: IdentityProvider) -> None:
        issuer = self.issuer(provider)
        header, _, signature = self.issue(issuer, self.somebody(provider), 600).split(".")
        other = self.issue(issuer, replace(self.somebody(provider), subject="another"), 600).split(".")[1]
        with pytest.raises(Problem, match="unauthenticated"):
            self.verified(provider, f"{header}.{other}.{signature}", NOON)

    def test_a_token_names_its_key(self, provider: IdentityProvider) -> None:
        token = self.issue(self.issuer(provider), self.somebody(provider), 600)
        header = jws.extract_compact(token.encode()).headers()
        assert header["alg"] in provider.algorithms
        assert header.get("kid") in {key["kid"] for key in self.keys(provider, Line(self.lend()))["keys"]}

    @pytest.mark.parametrize("seconds", [0, -1])
    def test_a_token_without_a_life_is_not_made(self, provider: IdentityProvider, seconds: int) -> None:
        issuer, who = self.issuer(provider), self.somebody(provider)
        failure = self.failure("issue", lambda: issuer.issue(who, now=NOON, seconds=seconds))
        assert isinstance(failure, ValueError), f"{seconds} seconds: expected a ValueError, got {failure!r}"

    def test_no_token_is_made_in_the_name_of_another_issuer(self, provider: IdentityProvider) -> None:
        issuer, who = self.issuer(provider), replace(self.somebody(provider), issuer="https://another.example")
        failure = self.failure("issue", lambda: issuer.issue(who, now=NOON, seconds=60))
        assert isinstance(failure, ValueError), f"expected a ValueError, got {failure!r}"

    # --- words of this suite

    def accepts(self, provider: IdentityProvider, claims: Mapping[str, Any]) -> bool:
        return self.use("accepts", lambda: provider.accepts(claims))

    def principal(self, provider: IdentityProvider, claims: Mapping[str, Any]) -> Principal:
        return self.use("principal", lambda: provider.principal(claims))

    def keys(self, provider: IdentityProvider, line: Line) -> Mapping[str, Any]:
        return self.use("keys", lambda: provider.keys(line), line.told)

    def roles_of(self, provider: IdentityProvider, claims: Mapping[str, Any]) -> frozenset[str]:
        """The roles that claims give; none when they name nobody."""
        found: list[Principal] = []
        failure = self.failure("principal", lambda: found.append(provider.principal(claims)))
        assert failure is None or isinstance(failure, ValueError), f"expected a ValueError, got {failure!r}"
        return found[0].roles if found else frozenset()

    def granted(self, provider: IdentityProvider, roles: object) -> frozenset[str]:
        """What ``roles`` in the place of the list give."""
        claims = _without(self.claims, self.roles_at)
        if roles is not None:
            at = claims
            for name in self.roles_at[:-1]:
                at = at.setdefault(name, {})
            at[self.roles_at[-1]] = roles
        return self.roles_of(provider, claims)

    def issuer(self, provider: IdentityProvider) -> TokenIssuer:
        if not isinstance(provider, TokenIssuer):
            pytest.skip("it does not make tokens")
        return provider

    def somebody(self, provider: IdentityProvider) -> Principal:
        return Principal("user_1", frozenset({"staff"}), provider.issuer, "cus_1", frozenset({"sto_1", "sto_2"}))

    def issue(self, issuer: TokenIssuer, who: Principal, seconds: int) -> str:
        return self.use("issue", lambda: issuer.issue(who, now=NOON, seconds=seconds))

    def verified(self, provider: IdentityProvider, token: str, now: datetime) -> Principal:
        """Whom the core takes the bearer of a token for. Raises ``unauthenticated``."""
        from tillhook.core.http.auth import Offer, Verifier

        offer = Offer(provider, self.lend())
        return Verifier(lambda: [offer], lambda: now).verify(token.encode())


def _without(claims: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The claims without what stands at ``path``; tables on the way are copied."""
    name, *rest = path
    found = {key: at for key, at in claims.items() if rest or key != name}
    if rest and isinstance(found.get(name), Mapping):
        found[name] = _without(found[name], rest)
    return found
