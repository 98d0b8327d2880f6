"""Calling the payment provider, never inside a transaction. Whatever happens becomes an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from tillhook.core.domain.payment import NotSent, Operation, Outcome, Unknown
from tillhook.core.domain.problems import Problem, gateway_unavailable
from tillhook.core.plugins.guard import HookRefused, said_of
from tillhook.core.roles import gateway as role
from tillhook.core.roles.outside import NotReached, Outside
from tillhook.core.services.platform import Platform
from tillhook.core.services.settling import Case

log = structlog.get_logger("tillhook.payments")

INQUIRE = "inquire"


def gateway_of(case: Case) -> role.PaymentGateway:
    """The gateway that the payment belongs to, wherever new ones go now: no other knows what became of it.

    Raises ``gateway_unavailable`` when no plugin offers it any more.
    """
    for offered in case.shop.offers("payment_gateways"):
        gateway: role.PaymentGateway = offered.thing
        if gateway.name == case.payment.gateway:
            return gateway
    raise gateway_unavailable(
        f"Order {case.order.order_id} is to be paid through {case.payment.gateway!r}, which is not offered any more; "
        "cancel it and order again.",
        gateway=case.payment.gateway,
    )


def lent(case: Case) -> Outside:
    """What the payment's gateway may reach. Raises as ``gateway_of``."""
    return case.shop.outside(case.shop.owner(gateway_of(case)))


def ask_gateway(platform: Platform, case: Case, verb: str, request: role.PaymentRequest) -> Outcome:
    """Call one verb. Whatever happens becomes an outcome: certainly not reached, or not known.

    What is returned may be no outcome at all: ``answers.understood`` reads it.
    """
    platform.checkpoint(f"gateway.{verb}.before")
    seconds = platform.system.payments.call_seconds
    try:
        outcome: Outcome = case.shop.use(gateway_of(case), verb, request, lent(case), seconds=seconds)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - what is not understood is unknown, whatever it is
        if isinstance(error, NotReached | HookRefused) and verb != INQUIRE:
            outcome = NotSent(f"not reached: {error}")
        else:
            # That a question was not sent says nothing about what it asked for.
            # The text of a foreign exception may hold what it must not; its type and ours are enough to go on.
            log.warning("gateway call failed", gateway=case.payment.gateway, verb=verb, error=type(error).__name__)
            outcome = Unknown(f"{verb} {said_of(error) or f'ended in {type(error).__name__}'}")
    platform.checkpoint(f"gateway.{verb}.after")
    return outcome


def open_session(platform: Platform, case: Case, request: role.SessionRequest) -> role.PaymentSession:
    """Have the provider open a session. Raises ``gateway_unavailable``, or the gateway's own problem."""
    gateway = gateway_of(case)
    try:
        seconds = platform.system.payments.call_seconds
        opened = case.shop.use(gateway, "create_session", request, lent(case), seconds=seconds)
        return msgspec.convert(msgspec.to_builtins(opened), role.PaymentSession)
    except Problem:
        raise
    except Exception as error:
        why = said_of(error) or type(error).__name__
        log.warning("payment session failed", gateway=gateway.name, order_id=case.order.order_id, error=why)
        raise gateway_unavailable(
            "The payment provider did not open a session; nothing was charged. Try again.", gateway=gateway.name
        ) from error


def payment_request(
    case: Case, operation: Operation, details: Mapping[str, Any] | None = None, return_url: str = ""
) -> role.PaymentRequest:
    """An operation as the gateway is asked for it."""
    return role.PaymentRequest(
        operation_id=operation.operation_id,
        merchant_reference=case.payment.payment_id,
        idempotency_key=operation.idempotency_key,
        amount=operation.amount,
        payment_method=case.payment.payment_method,
        psp_reference=operation.psp_reference,
        details=details or {},
        return_url=return_url,
    )
