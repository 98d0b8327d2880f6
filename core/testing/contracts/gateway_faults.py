"""The fault matrix: every verb, cut at every phase of every call that it makes, read as the core reads it.

A promise is one test for each (verb, phase). With a simulator all of them run; without one, those that ``faults`` can
bring about.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tillhook.core.domain.payment import Declined, NotSent, Outcome, Verb
from tillhook.core.roles.gateway import PaymentSession
from tillhook.core.testing.contracts.gateway_operation import Carried
from tillhook.core.testing.contracts.gateway_subject import Books, GatewaySubject, Stage
from tillhook.core.testing.world import World
from tillhook.core.testing.world_phases import CERTAIN, Phase

NOTHING: Final = Books(0, 0, 0)


class FaultPromises(GatewaySubject):
    """What is not known stays open, and is settled in the end, with one effect."""

    def test_a_call_that_is_cut_is_never_called_failed_nor_done_if_it_is_not(
        self, verb: Verb, phase: Phase, tmp_path: Path
    ) -> None:
        for carried in self.cut_at(verb, phase, tmp_path):
            self.must_be_honest(carried, carried.said, phase)

    def test_a_call_that_was_cut_is_settled_in_the_end_with_one_effect(
        self, verb: Verb, phase: Phase, tmp_path: Path
    ) -> None:
        for carried in self.cut_at(verb, phase, tmp_path):
            said = carried.settle()
            assert carried.right(said), f"not settled as done; {carried.told()}"
            assert carried.happened, f"not exactly one effect; {carried.told()}"
            assert carried.within_bounds(), f"more than was authorised, or captured; {carried.told()}"

    def test_a_second_fault_on_the_first_inquiry_changes_nothing(
        self, verb: Verb, phase: Phase, tmp_path: Path
    ) -> None:
        for second in Phase:
            for carried in self.cut_at(verb, phase, tmp_path):
                self.world_of(carried.stage).cut(second)
                carried.wait()
                said = carried.inquire()
                assert carried.open(said) or (carried.right(said) and carried.happened), (
                    f"cut again at {second.value}, the inquiry must say nothing; {carried.told()}"
                )
                self.world_of(carried.stage).mend()
                assert carried.right(carried.settle()), f"not settled as done after {second.value}; {carried.told()}"
                assert carried.happened, f"not exactly one effect after {second.value}; {carried.told()}"

    def test_every_retry_of_an_operation_bears_its_own_key(self, verb: Verb, phase: Phase, tmp_path: Path) -> None:
        for carried in self.cut_at(verb, phase, tmp_path):
            self.world_of(carried.stage)
            if not carried.able.idempotency_keys:
                pytest.skip("the provider knows no idempotency keys: the core inquires before it tries again")
            carried.settle()
            assert carried.right(carried.ask()), f"sent again it is not answered as before; {carried.told()}"
            assert carried.happened, f"sent again it had a second effect; {carried.told()}"
            keys = {self.key_of(at) for at in carried.exchanges if at.method != "GET"} - {""}
            assert len(keys) == 1, f"one operation has one key, not {sorted(keys)}"
            others = {self.key_of(at) for at in carried.stage.asked()[: -len(carried.exchanges)]}
            assert not keys & others, f"the key {keys} was used for another operation before"

    def test_an_inquiry_that_is_cut_says_nothing_about_what_it_asks(self, phase: Phase, tmp_path: Path) -> None:
        for verb in Verb:
            stage = self.able_to(verb, tmp_path)
            if stage is None:
                continue
            carried = Carried(self, stage, verb)
            carried.ask()
            self.world_of(stage).cut(phase)
            calls = len(stage.asked())
            carried.wait()
            said = carried.inquire()
            assert len(stage.asked()) > calls, "an inquiry that makes no call cannot know"
            assert carried.open(said) or carried.right(said), f"an inquiry that was cut says {said}"
            never = carried.heard("inquire", self.request("never"))
            assert carried.open(never), f"an inquiry that was cut says {never} of what never was"

    def test_a_session_that_is_cut_takes_nothing_and_can_be_asked_for_again(self, phase: Phase, tmp_path: Path) -> None:
        stage = self.staged(tmp_path)
        world = self.world_of(stage)
        world.cut(phase)
        try:
            opened = self.call(stage, "create_session", self.session_request())
        except Exception:  # noqa: BLE001 - whatever it is, the shopper is told to try again
            opened = None
        assert opened is None or isinstance(opened, PaymentSession), opened
        assert opened is None or opened.client_secret, "a session of an answer that was cut has no client_secret"
        world.mend()
        world.advance(3600)
        again = self.call(stage, "create_session", self.session_request())
        assert again.client_secret
        assert self.books(stage) == NOTHING, world.transcript()

    # --- bringing it about

    def cut_at(self, verb: Verb, phase: Phase, folder: Path) -> Iterator[Carried]:
        """The verb's operation, asked for and cut: for each call that it makes once, from that call on."""
        stage = self.able_to(verb, folder)
        if stage is None:
            pytest.skip(f"{verb.value.lower()} is not declared")
        if stage.world is None:
            yield self._cut_by_details(stage, verb, phase)
            return
        for call in range(self._calls_of(verb, stage)):
            stage = self.staged(folder)
            carried = Carried(self, stage, verb)
            world = self.world_of(stage)
            world.cut(phase, skip=call)
            carried.ask()
            world.mend()
            yield carried

    def _calls_of(self, verb: Verb, stage: Stage) -> int:
        """How many calls the verb makes when all is well; found out once for each test."""
        known: dict[Verb, int] = vars(self).setdefault("_calls", {})
        if verb not in known:
            whole = Carried(self, stage, verb)
            whole.ask()
            known[verb] = len(whole.exchanges)
        assert known[verb], f"{verb.value.lower()} makes no call, so there is nothing that could be cut"
        return known[verb]

    def able_to(self, verb: Verb, folder: Path) -> Stage | None:
        """A stage for a verb; None when the gateway does not declare it."""
        stage = self.staged(folder)
        able = stage.gateway.capabilities
        declared = able.refunds if verb is Verb.REFUND else verb is Verb.AUTHORISE or able.separate_capture
        return stage if declared else None

    def world_of(self, stage: Stage) -> World:
        if stage.world is None:
            pytest.skip("no simulator is named, so no line can be cut")
        return stage.world

    def must_be_honest(self, carried: Carried, said: Outcome, phase: Phase) -> None:
        """Of a call that was cut: done only if it is, certainly not sent only if that is certain, never failed."""
        assert not isinstance(said, Declined), f"what is not known was called failed; {carried.told()}"
        if isinstance(said, NotSent):
            assert phase in CERTAIN, f"it cannot know that nothing arrived; {carried.told()}"
            assert carried.untouched, f"something happened; {carried.told()}"
        elif not carried.open(said):
            assert carried.right(said), f"that is no answer to {carried.verb.value.lower()}; {carried.told()}"
            assert carried.happened, f"it did not happen; {carried.told()}"
        assert carried.within_bounds(), f"more than was authorised, or captured; {carried.told()}"

    def _cut_by_details(self, stage: Stage, verb: Verb, phase: Phase) -> Carried:
        carried = Carried(self, stage, verb)
        carried.ask_with(self.faults[phase])
        return carried
