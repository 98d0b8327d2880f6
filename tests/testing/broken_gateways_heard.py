"""Gateways that let a secret slip or believe a webhook that they should not; see ``broken_gateways``."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import logging
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from tests.testing import gateway_promises as p
from tests.testing.model_gateway import AcmepayGateway, model
from tillhook import (
    Captured,
    Declined,
    NoAnswer,
    Notification,
    Outcome,
    Outside,
    PaymentEvent,
    PaymentRequest,
    Pending,
)

log = logging.getLogger("tillhook_acmepay")
numbers = itertools.count()

# --- webhooks


class BelievesEveryWebhook(AcmepayGateway):
    breaks = frozenset(
        {p.UNSIGNED, p.WRONG_SIGNATURE, p.OTHER_SECRET, p.TAMPERED, p.NONSENSE, p.STALE, p.CONSTANT_TIME, p.SECRETS}
    )

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        return Notification(
            notification_id=hashlib.sha256(raw_body).hexdigest(),
            merchant_reference="pay_1",
            event=PaymentEvent.PENDING,
            outcome=Pending(),
        )


class BelievesEverySignature(AcmepayGateway):
    breaks = frozenset({p.WRONG_SIGNATURE, p.OTHER_SECRET, p.TAMPERED})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        stamp = str(int(self._clock()))
        if not any("," in value for value in headers.values()):
            raise ValueError("no signature")
        given = next(value for value in headers.values() if "," in value)
        with suppress(ValueError):
            stamp = str(int(given.partition(",")[0].removeprefix("t=")))
        signed = model.sign(raw_body, stamp, self._webhook_secret.reveal())
        return super().read_webhook({model.SIGNATURE_HEADER: f"t={stamp},v1={signed}"}, raw_body)


class BelievesAnotherSecret(AcmepayGateway):
    breaks = frozenset({p.OTHER_SECRET})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        stamp = str(int(time.time()))
        given = next((value for value in headers.values() if value.startswith("t=")), "")
        other = model.sign(raw_body, given.partition(",")[0].removeprefix("t="), "the-secret-of-somebody-else")
        if given.endswith(other):
            headers = {
                model.SIGNATURE_HEADER: f"t={stamp},v1={model.sign(raw_body, stamp, self._webhook_secret.reveal())}"
            }
        return super().read_webhook(headers, raw_body)


class SignsWhatItParsed(AcmepayGateway):
    """Spaces are lost, so a body that was changed only in them is believed."""

    breaks = frozenset({p.TAMPERED})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        with suppress(ValueError):
            raw_body = json.dumps(json.loads(raw_body)).encode()
        return super().read_webhook(headers, raw_body)


class ComparesText(AcmepayGateway):
    """``compare_digest`` of text raises TypeError for what is not ASCII."""

    breaks = frozenset({p.WRONG_SIGNATURE})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        for value in headers.values():
            hmac.compare_digest(value, "")
        return super().read_webhook(headers, raw_body)


class ComparesWithEquals(AcmepayGateway):
    breaks = frozenset({p.CONSTANT_TIME})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        known = {name.lower(): value for name, value in headers.items()}
        stamp, _, signature = known.get(model.SIGNATURE_HEADER.lower(), "").partition(",")
        stamp = stamp.removeprefix("t=")
        if signature != f"v1={model.sign(raw_body, stamp, self._webhook_secret.reveal())}":
            raise ValueError("not signed")
        if abs(self._clock() - int(stamp)) > model.TOLERANCE_SECONDS:
            raise ValueError("too old")
        try:
            webhook = msgspec.json.decode(raw_body, type=model.Webhook)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValueError("unreadable") from error
        outcome = model.read_operation(webhook.operation)
        event = PaymentEvent.CAPTURED if isinstance(outcome, Captured) else PaymentEvent.AUTHORISED
        return Notification(notification_id=webhook.event_id, merchant_reference="pay_1", event=event, outcome=outcome)


class RaisesAsItReads(AcmepayGateway):
    breaks = frozenset({p.NONSENSE})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        try:
            return super().read_webhook(headers, raw_body)
        except ValueError as error:
            if isinstance(error.__cause__, msgspec.MsgspecError):
                raise LookupError("no field event_id") from None  # noqa: TRY004 - it is what is wrong with it
            raise


class LooksForTheHeaderAsItIsWritten(AcmepayGateway):
    breaks = frozenset({p.HEADER_CASE})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        known = {name: value for name, value in headers.items() if name == model.SIGNATURE_HEADER}
        return super().read_webhook(known, raw_body)


class IgnoresTheTime(AcmepayGateway):
    breaks = frozenset({p.STALE})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        known = {name.lower(): value for name, value in headers.items()}
        stamp = known.get(model.SIGNATURE_HEADER.lower(), "").partition(",")[0].removeprefix("t=")
        self._clock = lambda: float(stamp)
        return super().read_webhook(headers, raw_body)


class NamesANotificationAnewEachTime(AcmepayGateway):
    breaks = frozenset({p.AGAIN, p.ANY_ORDER, p.LATER, p.HEADER_CASE})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        return replace(super().read_webhook(headers, raw_body), notification_id=str(next(numbers)))


class NamesANotificationByItsSignature(AcmepayGateway):
    """What is sent again later is signed anew."""

    breaks = frozenset({p.LATER})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        told = super().read_webhook(headers, raw_body)
        signed = sorted(value for name, value in headers.items() if name.lower() != "content-type")
        return replace(told, notification_id=hashlib.sha256(repr(signed).encode()).hexdigest())


class CountsOnTheOrder(AcmepayGateway):
    """Keeps state: what was captured is not authorised any more, whatever a late notification says."""

    breaks = frozenset({p.ANY_ORDER})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        told = super().read_webhook(headers, raw_body)
        seen: list[str] = vars(self).setdefault("_seen", [])
        seen.append(told.notification_id)
        backwards = len(seen) > 1 and int(seen[-2][4:]) > int(seen[-1][4:])
        return replace(told, outcome=Pending(), event=PaymentEvent.PENDING) if backwards else told


class TellsOfAnotherPayment(AcmepayGateway):
    breaks = frozenset({p.TELLS})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        return replace(super().read_webhook(headers, raw_body), merchant_reference="ord_1")


class TellsAnotherEvent(AcmepayGateway):
    breaks = frozenset({p.TELLS})

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        return replace(super().read_webhook(headers, raw_body), event=PaymentEvent.DECLINED)


# --- secrets


class LogsWhatTheDeviceSent(AcmepayGateway):
    breaks = frozenset({p.SECRETS})

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        log.info("authorising %s", dict(request.details))
        return super().authorise(request, outside)


class RaisesWithTheKey(AcmepayGateway):
    breaks = frozenset({p.SECRETS})

    def _ask(self, *given: Any) -> Outcome:
        try:
            return super()._ask(*given)
        except NoAnswer as error:
            raise NoAnswer(f"{error}, with {self._headers()}") from error


class AnswersWithTheKey(AcmepayGateway):
    breaks = frozenset({p.ANSWERS_SECRET, p.SECRETS})

    def _ask(self, *given: Any) -> Outcome:
        outcome = super()._ask(*given)
        return replace(outcome, message=str(self._headers())) if isinstance(outcome, Declined) else outcome


class OpensAConnectionOfItsOwn(AcmepayGateway):
    breaks = frozenset({p.SECRETS})

    def inquire(self, request: PaymentRequest, outside: Outside) -> Outcome:
        with suppress(OSError):
            urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)
        return super().inquire(request, outside)
