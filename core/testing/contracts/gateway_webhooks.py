"""Webhooks: only what the provider signed is read, in any order, however often; whatever else comes is refused."""

from __future__ import annotations

import hmac
import secrets
import sys
from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from msgspec import Struct

from tillhook.core.domain.payment import event_of
from tillhook.core.roles.gateway import Notification, PaymentGateway
from tillhook.core.testing.contracts.gateway_subject import GatewaySubject, Stage
from tillhook.core.testing.simulators import WebhookSimulator

OTHER_KEY: Final = "the-secret-of-somebody-else"
SLACK_SECONDS: Final = 60
"""Beyond the tolerance: the test does not turn on the second."""


class Posted(Struct, frozen=True):
    """One webhook as it comes in."""

    headers: Mapping[str, str]
    body: bytes


class WebhookPromises(GatewaySubject):
    """What is posted to everybody's address is believed only when it is signed."""

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"amount": 1999}', b"\xff\xfe"])
    def test_a_webhook_that_is_not_signed_is_refused(self, gateway: PaymentGateway, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            gateway.read_webhook({"Content-Type": "application/json"}, body)

    def test_a_webhook_tells_what_happened_to_which_payment(self, stage: Stage) -> None:
        posted = self.posted(stage)
        told = [self.read(stage, at.headers, at.body) for at in posted]
        assert {at.merchant_reference for at in told} == {"pay_1"}
        assert all(at.notification_id for at in told)
        assert len({at.notification_id for at in told}) == len(told), "two notifications have one id"
        for at in told:
            amount = getattr(at.outcome, "amount", self.money(1999))
            assert amount == self.money(1999), f"it tells of {amount}"
            assert at.event is event_of(at.outcome), f"{at.event} is not what {at.outcome} says"

    def test_a_webhook_that_comes_again_reads_the_same(self, stage: Stage) -> None:
        for at in self.posted(stage):
            first = self.read(stage, at.headers, at.body)
            assert self.read(stage, at.headers, at.body) == first

    def test_webhooks_may_come_in_any_order(self, stage: Stage) -> None:
        posted = self.posted(stage)
        forwards = {at.body: self.read(stage, at.headers, at.body) for at in posted}
        backwards = {at.body: self.read(stage, at.headers, at.body) for at in reversed(posted)}
        assert forwards == backwards

    def test_a_webhook_that_is_sent_again_later_reads_the_same(self, stage: Stage) -> None:
        """Signed anew when it is sent again, as providers do after hours without an answer."""
        simulator = self.telling(stage)
        for at in self.posted(stage):
            first = self.read(stage, at.headers, at.body)
            if stage.world is not None:
                stage.world.advance(1)
            assert self.read(stage, simulator.sign(at.body), at.body) == first

    def test_the_case_of_header_names_does_not_matter(self, stage: Stage) -> None:
        for at in self.posted(stage):
            first = self.read(stage, at.headers, at.body)
            for cased in (str.lower, str.upper, str.title):
                headers = {cased(name): value for name, value in at.headers.items()}
                assert self.read(stage, headers, at.body) == first

    def test_a_webhook_with_a_wrong_signature_is_refused(self, stage: Stage) -> None:
        simulator = self.telling(stage)
        for at in self.posted(stage):
            for what, headers in _wrongly_signed(simulator, at):
                self.must_refuse(stage, Posted(headers, at.body), what)

    def test_a_webhook_signed_with_another_secret_is_refused(self, stage: Stage) -> None:
        simulator = self.telling(stage)
        for at in self.posted(stage):
            self.must_refuse(stage, Posted(simulator.sign(at.body, secret=OTHER_KEY), at.body), "another secret")

    def test_a_webhook_whose_body_was_changed_by_one_byte_is_refused(self, stage: Stage) -> None:
        for at in self.posted(stage):
            for what, body in _tampered(at.body):
                self.must_refuse(stage, Posted(at.headers, body), what)

    def test_a_signed_webhook_that_makes_no_sense_is_refused(self, stage: Stage) -> None:
        simulator = self.telling(stage)
        for body in (b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"amount": 1999}'):
            self.must_refuse(stage, Posted(simulator.sign(body), body), f"the body {body!r}")

    def test_a_webhook_signed_too_long_ago_or_in_the_future_is_refused(self, stage: Stage) -> None:
        simulator = self.telling(stage)
        tolerance = simulator.webhook_tolerance
        if tolerance is None or stage.world is None:
            pytest.skip("the provider signs no time")
        now, beyond = stage.world.clock().timestamp(), tolerance.total_seconds() + SLACK_SECONDS
        for at in self.posted(stage):
            within = simulator.sign(at.body, at=now - tolerance.total_seconds() / 2)
            # What it says is for the promises of repetition; here it is only not too old.
            assert self.read(stage, within, at.body).event is self.read(stage, at.headers, at.body).event
            self.must_refuse(stage, Posted(simulator.sign(at.body, at=now - beyond), at.body), "too old")
            self.must_refuse(stage, Posted(simulator.sign(at.body, at=now + beyond), at.body), "in the future")

    def test_signatures_are_compared_in_constant_time(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """By ``hmac.compare_digest``, wherever it was imported to."""
        compared: list[object] = []
        compare = hmac.compare_digest

        def counting(one: bytes, other: bytes) -> bool:
            compared.append(one)
            return compare(one, other)

        posted = self.posted(stage)
        for module in [hmac, secrets, *sys.modules.values()]:
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if value is compare:
                    monkeypatch.setattr(module, name, counting)
        for at in posted:
            compared.clear()
            self.read(stage, at.headers, at.body)
            assert compared, "the signature was compared with ==, which takes longer the more of it is right"

    # --- words

    def telling(self, stage: Stage) -> WebhookSimulator:
        """Whoever posts webhooks; override it for a provider without a simulator."""
        simulator: object = stage.simulator
        if not isinstance(simulator, WebhookSimulator):
            if simulator is not None:
                pytest.skip("the provider sends no webhooks")
            pytest.skip("no simulator is named that sends webhooks")
        return simulator

    def posted(self, stage: Stage) -> list[Posted]:
        """What the provider posts about a payment that is authorised and captured."""
        simulator = self.telling(stage)
        self.taken(stage.gateway, stage.outside)
        posted = [Posted(dict(headers), body) for headers, body in simulator.webhooks]
        assert posted, "the simulator posted nothing about a payment that was taken"
        return posted

    def must_refuse(self, stage: Stage, posted: Posted, what: str) -> None:
        try:
            read: Notification = self.read(stage, posted.headers, posted.body)
        except ValueError:
            return
        except Exception as error:  # noqa: BLE001 - anything else would be answered 500, and sent again
            pytest.fail(f"{what}: it raised {type(error).__name__}, not ValueError")
        pytest.fail(f"{what}: it was believed, {read}")


def _wrongly_signed(simulator: WebhookSimulator, posted: Posted) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The headers with a signature that is missing, empty, of other letters, cut short, or changed in one place."""
    foreign = simulator.sign(posted.body, secret=OTHER_KEY)
    signing = [name for name, value in posted.headers.items() if foreign.get(name) != value]
    for name in signing:
        value = posted.headers[name]
        yield f"{name} is missing", {at: text for at, text in posted.headers.items() if at != name}
        changes = {
            "empty": "",
            "no signature at all": "nonsense",
            "not ASCII": f"{value[:-1]}é",
            "cut short": value[: len(value) // 2],
            "changed in the last place": value[:-1] + ("0" if value[-1] != "0" else "1"),
            "a comma only": ",",
        }
        for what, text in changes.items():
            yield f"{name} is {what}", {**posted.headers, name: text}


def _tampered(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The signature is over the raw bytes, so a space is as much of a change as a digit."""
    yield "a space at the end", body + b" "
    yield "a line break in front", b"\n" + body
    yield "no spaces", body.replace(b" ", b"") if b" " in body else body.replace(b":", b": ")
    yield "another amount", body.replace(b"1999", b"9999") if b"1999" in body else body[:-1]
    yield "cut short", body[:-1]
    yield "nothing left", b""
