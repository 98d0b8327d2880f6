"""No secret of the settings and no card number shows in what a gateway says, whatever breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tillhook.core.domain.payment import Outcome, Verb
from tillhook.core.roles.gateway import PaymentGateway
from tillhook.core.roles.outside import Outside
from tillhook.core.testing.contracts.gateway_subject import OUTCOMES, GatewaySubject, Stage
from tillhook.core.testing.planted import PLANTED, PLANTED_CARD
from tillhook.core.testing.world_phases import Phase

CARD: Final = {"card_number": PLANTED_CARD, "cvc": PLANTED}
"""Beside what the author says, in case the device sends more than the gateway wants."""
CUT: Final = 3
"""Calls; then the lines are whole, and what the provider answers is listened to as well."""


class SecretPromises(GatewaySubject):
    """What is planted is listened for in answers, exceptions, logs, the journal and the transcript."""

    def test_no_answer_shows_a_secret(self, gateway: PaymentGateway, outside: Outside) -> None:
        outcomes: list[Outcome] = [
            gateway.authorise(self.request("a1", details=self.approve), outside),
            gateway.authorise(self.request("a2", details=self.decline, reference="pay_2"), outside),
            gateway.inquire(self.request("never"), outside),
        ]
        assert all(isinstance(outcome, OUTCOMES) for outcome in outcomes)
        assert PLANTED not in repr((outcomes, gateway.capabilities, vars(gateway)))

    def test_whatever_is_cut_no_secret_is_shown_and_no_connection_opened(self, phase: Phase, tmp_path: Path) -> None:
        stage = self.staged(tmp_path)
        if stage.world is None:
            pytest.skip("no simulator is named, so no line can be cut")
        stage.world.cut(phase, times=CUT)
        self.guarded_call(stage, "create_session", self.session_request())
        for details in (self.approve, self.decline):
            self.guarded_call(stage, "authorise", self.request("a1", details={**details, **CARD}))
        self.guarded_call(stage, "inquire", self.request("a1"))
        for verb in Verb:
            self.guarded_call(stage, verb.value.lower(), self.request(verb.value, psp_reference="psp_1"))
        with pytest.raises(ValueError, match=r"."):
            self.guard.call("read_webhook", lambda: stage.gateway.read_webhook({"x-signature": "x"}, b"{}"))

    def guarded_call(self, stage: Stage, verb: str, request: Any) -> None:
        """One call; whatever it answers or raises is listened to, and so is all that is written down meanwhile."""
        world = stage.world
        assert world is not None
        try:
            self.guard.call(
                verb,
                lambda: getattr(stage.gateway, verb)(request, stage.outside),
                lambda: f"{world.journal!r} {world.transcript()}",
            )
        except AssertionError:
            raise
        except Exception:  # noqa: BLE001 - what it means is another promise; its words were listened to
            return
