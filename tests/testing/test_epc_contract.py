"""The contract for tagged goods notices each broken promise, and a plugin that keeps them all passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.testing.promises import is_noticed
from tillhook import CompletedOrder, Config, Fulfilled, Outside, Plugin, Refund, RetryLater, hookimpl
from tillhook.core.testing.contracts import EpcContract


class Gates(Plugin):
    """Keeps every promise; the plugins below break one each."""

    Settings = Config

    @hookimpl
    def mark_epcs_sold(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return self.tell(outside, "sold", order.epcs)

    @hookimpl
    def mark_epcs_unsold(self, refund: Refund, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return self.tell(outside, "returned", [epc for line in refund.lines for epc in line.epcs])

    def tell(self, outside: Outside, state: str, epcs: Sequence[str]) -> Fulfilled | None:
        if epcs:
            answer = outside.request("PUT", f"https://gates.example/{state}", json=list(epcs))
            if answer.status != 200:
                raise RetryLater(f"the gates answered {answer.status}")
        return None


class GatesContract(EpcContract):
    plugin = Gates
    most_calls = 1


class TestGates(GatesContract):
    examples = 10


class TestASoldOnlyVendor(EpcContract):
    """What is not implemented is not promised: its refunds are never told."""

    class SoldOnly(Plugin):
        @hookimpl
        def mark_epcs_sold(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
            if order.epcs:
                outside.publish("gates", key=order.store_id, value=list(order.epcs))
            return None

    plugin = SoldOnly
    examples = 10


class HexVendor(Gates):
    def tell(self, outside: Outside, state: str, epcs: Sequence[str]) -> Fulfilled | None:
        return super().tell(outside, state, [f"SGTIN/{epc.rpartition(':')[2].replace('.', '-')}" for epc in epcs])


class TestAVendorWhoWritesTagsInAFormOfItsOwn(EpcContract):
    plugin = HexVendor
    examples = 10

    def epcs_in(self, text: str) -> Sequence[str]:
        written = text.partition(" ")[2].strip('[]"').split('","')
        return [f"urn:epc:id:sgtin:{one.removeprefix('SGTIN/').replace('-', '.')}" for one in written if one]


class LosesThePiecesAfterTheFirst(Gates):
    @hookimpl
    def mark_epcs_sold(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return self.tell(outside, "sold", order.epcs[:1])


class NamesThemTwice(Gates):
    @hookimpl
    def mark_epcs_sold(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return self.tell(outside, "sold", order.epcs * 2)


class NamesAnother(Gates):
    @hookimpl
    def mark_epcs_sold(self, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return self.tell(outside, "sold", (*order.epcs, "urn:epc:id:sgtin:9521234.000101.77"))


class CallsForNothing(Gates):
    def tell(self, outside: Outside, state: str, epcs: Sequence[str]) -> Fulfilled | None:
        outside.request("PUT", f"https://gates.example/{state}", json=list(epcs))
        return None


class OneCallForEach(Gates):
    def tell(self, outside: Outside, state: str, epcs: Sequence[str]) -> Fulfilled | None:
        for epc in epcs:
            super().tell(outside, state, [epc])
        return None


class StopsAtAHundred(Gates):
    def tell(self, outside: Outside, state: str, epcs: Sequence[str]) -> Fulfilled | None:
        return super().tell(outside, state, epcs[:100])


class ReturnsTheWholeOrder(Gates):
    @hookimpl
    def mark_epcs_unsold(self, refund: Refund, order: CompletedOrder, outside: Outside) -> Fulfilled | None:
        return self.tell(outside, "returned", order.epcs)


class SaysSoldForBoth(Gates):
    def tell(self, outside: Outside, state: str, epcs: Sequence[str]) -> Fulfilled | None:
        return super().tell(outside, "sold", epcs)


BROKEN = [
    (LosesThePiecesAfterTheFirst, "test_every_piece_of_the_order_is_named_once_and_no_other", "sgtin"),
    (NamesThemTwice, "test_every_piece_of_the_order_is_named_once_and_no_other", "sgtin"),
    (NamesAnother, "test_every_piece_of_the_order_is_named_once_and_no_other", "000101.77"),
    (CallsForNothing, "test_an_order_without_tags_calls_nobody", "gates.example/sold"),
    (CallsForNothing, "test_a_refund_without_tags_calls_nobody", "gates.example/returned"),
    (OneCallForEach, "test_a_large_order_is_named_whole_in_few_calls", "500 calls for 500 tags"),
    (StopsAtAHundred, "test_a_large_order_is_named_whole_in_few_calls", "sgtin"),
    (ReturnsTheWholeOrder, "test_only_the_pieces_of_the_refund_are_named", "sgtin"),
    (SaysSoldForBoth, "test_sold_and_back_are_told_apart", "which of them it was"),
]


@pytest.mark.parametrize(("broken", "promise", "because"), BROKEN)
def test_a_broken_promise_is_noticed(broken: type[Plugin], promise: str, because: str, tmp_path: Path) -> None:
    is_noticed(GatesContract, broken, promise, because, tmp_path)


def test_a_retailer_without_tags_has_no_business_with_this_suite(tmp_path: Path) -> None:
    class Untagged(Plugin):
        settings: Mapping[str, Any]

    promise = "test_it_implements_what_this_suite_is_for"
    is_noticed(GatesContract, Untagged, promise, "none of mark_epcs_sold, mark_epcs_unsold", tmp_path)
