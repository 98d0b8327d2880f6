"""What every retailer's plugin keeps: right answers for any sale, the same answer twice, nothing past ``outside``."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tillhook.core.domain.completed import CompletedOrder, PosLog
from tillhook.core.domain.receipt import Receipt, ReceiptType
from tillhook.core.domain.receipt_render import columns, render_html, render_text
from tillhook.core.domain.store import Store
from tillhook.core.plugins.inspection import faults_of
from tillhook.core.roles.grammar import Kind, kind_of
from tillhook.core.roles.outside import Answer, NoAnswer
from tillhook.core.testing.arguments import arguments_for
from tillhook.core.testing.documents import names_line, shows_amount, shows_number
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.shapes import fits, promised
from tillhook.core.testing.strategies import order_of, sales
from tillhook.core.testing.subject import PLANTED, Subject, build
from tillhook.hookspecs import HOOKS, Plugin

PAPER: Final = (48, 42, 32)
"""Columns of the usual receipt printers."""
_MISSPELT: Final = "no_such_setting_anywhere"


class RetailerContract:
    """Inherit it and name the plugin and its settings::

        class TestAcme(RetailerContract):
            plugin = Acme
            settings = {"workstation_id": "900"}

    What the plugin does not implement is skipped. A plugin that calls its back office also says how that answers
    (``lend``).
    """

    plugin: ClassVar[type[Plugin]]
    settings: ClassVar[Mapping[str, Any]] = {}
    examples: ClassVar[int] = 30
    """Generated sales for each promise."""

    def lend(self) -> RecordingOutside:
        """What duties may call; override it to answer as the retailer's back office does."""
        return RecordingOutside()

    def tenders_of(self, document: PosLog) -> Sequence[int] | None:
        """Override it to read the minor units of each tender from a document; None: they are not checked."""
        return None

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return Subject(build(self.plugin, self.settings, tmp_path))

    @pytest.fixture(autouse=True)
    def only_the_lent_outside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        forbid_connections(monkeypatch, self.plugin.__name__)

    # --- settings

    def test_the_plugin_has_no_fault_that_would_keep_it_out(self) -> None:
        assert faults_of(self.plugin) == []

    def test_a_misspelt_setting_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=_MISSPELT):
            build(self.plugin, {**self.settings, _MISSPELT: "x"}, tmp_path)

    def test_no_setting_shows_a_secret(self, subject: Subject) -> None:
        plugin = subject.plugin
        assert PLANTED not in f"{plugin!r} {plugin.settings!r} {plugin.settings} {vars(plugin)!r}"

    # --- every hook

    def test_every_offer_is_what_it_says(self, subject: Subject) -> None:
        offers = self.implemented(subject, Kind.OFFER)
        for hook in offers:
            offered = subject.call(hook)
            assert fits(offered, promised(hook)), f"{hook} offers {offered!r}"
            names = [at.name for at in offered if hasattr(at, "name")]
            assert len(names) == len(set(names)), f"{hook} offers one name twice: {names}"

    def test_every_hook_answers_any_sale_with_what_it_promises(self, subject: Subject) -> None:
        hooks = [hook for hook in subject.hooks if kind_of(HOOKS[hook]).kind is not Kind.OFFER]

        @self.for_any(sales(), st.data())
        def check(sale: tuple[CompletedOrder, Store], data: st.DataObject) -> None:
            for hook in hooks:
                arguments = data.draw(arguments_for(hook, self.numbered(subject, sale), self.lend()), hook)
                answer = self.ask(subject, hook, **arguments)
                assert fits(answer, promised(hook)), f"{hook} answered {answer!r}"

        check()

    # --- the transaction number and the transaction log

    def test_two_numbers_are_never_written_alike(self, subject: Subject) -> None:
        self.needs(subject, "transaction_id_for")

        @self.for_any(sales(), st.lists(st.integers(1, 9_999_999), min_size=2, max_size=50, unique=True))
        def check(sale: tuple[CompletedOrder, Store], numbers: list[int]) -> None:
            order, store = order_of(sale[0]), sale[1]
            written = [self.ask(subject, "transaction_id_for", order=order, number=at, store=store) for at in numbers]
            if written != [None] * len(numbers):
                assert all(written)
                assert len(set(written)) == len(numbers)

        check()

    def test_the_same_sale_gives_the_same_document(self, subject: Subject, tmp_path: Path) -> None:
        self.needs(subject, "poslog_for")
        other = Subject(build(self.plugin, self.settings, tmp_path))

        @self.for_any(sales())
        def check(sale: tuple[CompletedOrder, Store]) -> None:
            order, store = self.numbered(subject, sale)
            first = self.ask(subject, "poslog_for", order=order, store=store)
            assert self.ask(subject, "poslog_for", order=order, store=store) == first
            assert self.ask(other, "poslog_for", order=order, store=store) == first

        check()

    def test_the_document_shows_the_number_every_line_and_the_total(self, subject: Subject) -> None:
        self.needs(subject, "poslog_for")

        @self.for_any(sales())
        def check(sale: tuple[CompletedOrder, Store]) -> None:
            order, store = self.numbered(subject, sale)
            log = self.ask(subject, "poslog_for", order=order, store=store)
            if log is None:
                return
            number = order.transaction_id_poslog
            assert number in log.document or shows_number(log.document, order.transaction_number), f"no {number}"
            assert [line.gtin for line in order.lines if not names_line(log.document, line)] == []
            assert shows_amount(log, order.total), f"the total {order.total} does not appear"
            tenders = self.tenders_of(log)
            assert tenders is None or sum(tenders) == order.total.minor

        check()

    # --- duties

    def test_a_duty_done_twice_is_done_the_same_way(self, subject: Subject) -> None:
        def check(hook: str, arguments: dict[str, Any]) -> None:
            outside = self.lend()
            arguments |= {"outside": outside}
            first = self.ask(subject, hook, **arguments)
            calls, messages = outside.effects
            assert self.ask(subject, hook, **arguments) == first
            assert outside.effects == (calls * 2, messages * 2), f"{hook} says something else the second time"

        self.for_each_duty(subject, check)

    def test_a_duty_that_got_no_answer_does_not_claim_to_be_done(self, subject: Subject) -> None:
        def check(hook: str, arguments: dict[str, Any]) -> None:
            outside = self.lend()
            self.ask(subject, hook, **(arguments | {"outside": outside}))
            if outside.calls:
                failure = self.failure_of(subject, hook, arguments | {"outside": Unanswering()})
                assert failure is not None, f"{hook} claims to be done, and nobody had answered"

        self.for_each_duty(subject, check)

    # --- receipts

    def test_receipts_fit_the_paper(self, subject: Subject) -> None:
        if not {"receipt_for", "receipt_fields_for"} & set(subject.hooks):
            pytest.skip("it writes no receipts")

        @self.for_any(sales(), st.sampled_from(ReceiptType))
        def check(sale: tuple[CompletedOrder, Store], receipt_type: ReceiptType) -> None:
            for receipt in self.receipts(subject, sale, receipt_type):
                for width in PAPER:
                    lines = render_text(receipt, width).splitlines()
                    assert [line for line in lines if columns(line) > width] == []
                assert PLANTED not in render_html(receipt)

        check()

    def test_the_receipt_of_a_sale_shows_what_was_charged(self, subject: Subject) -> None:
        self.needs(subject, "receipt_for")

        @self.for_any(sales())
        def check(sale: tuple[CompletedOrder, Store]) -> None:
            order, store = self.numbered(subject, sale)
            receipt = self.ask(subject, "receipt_for", receipt_type=ReceiptType.ORDER, order=order, store=store)
            if receipt is not None:
                text = render_text(receipt, PAPER[0])
                assert shows_amount(PosLog("text/plain", text), order.total, minor=False), text

        check()

    # --- words of this suite

    def for_any(self, *given_by: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
        quietly = settings(deadline=None, max_examples=self.examples, suppress_health_check=(HealthCheck.too_slow,))
        return lambda check: quietly(given(*given_by)(check))

    def implemented(self, subject: Subject, kind: Kind) -> list[str]:
        return [hook for hook in subject.hooks if kind_of(HOOKS[hook]).kind is kind]

    def needs(self, subject: Subject, hook: str) -> None:
        if hook not in subject.hooks:
            pytest.skip(f"it does not implement {hook}")

    def for_each_duty(self, subject: Subject, check: Callable[[str, dict[str, Any]], None]) -> None:
        duties = self.implemented(subject, Kind.DUTY)
        if not duties:
            pytest.skip("it has no duties")

        @self.for_any(sales(), st.data())
        def check_each(sale: tuple[CompletedOrder, Store], data: st.DataObject) -> None:
            for hook in duties:
                check(hook, data.draw(arguments_for(hook, self.numbered(subject, sale), self.lend()), hook))

        check_each()

    def numbered(self, subject: Subject, sale: tuple[CompletedOrder, Store]) -> tuple[CompletedOrder, Store]:
        """The sale with its transaction number written as the plugin writes it."""
        order, store = sale
        written: str | None = None
        if "transaction_id_for" in subject.hooks:
            number = order.transaction_number
            written = self.ask(subject, "transaction_id_for", order=order_of(order), number=number, store=store)
        return replace(order, transaction_id_poslog=written or str(order.transaction_number)), store

    def receipts(
        self, subject: Subject, sale: tuple[CompletedOrder, Store], receipt_type: ReceiptType
    ) -> list[Receipt]:
        """The plugin's receipt of a type, and one of only the rows that it adds to others' receipts."""
        order, store = self.numbered(subject, sale)
        arguments = {"receipt_type": receipt_type, "order": order, "store": store}
        found: list[Receipt] = []
        if "receipt_for" in subject.hooks:
            receipt = self.ask(subject, "receipt_for", **arguments)
            found += [] if receipt is None else [receipt]
        if "receipt_fields_for" in subject.hooks:
            rows = self.ask(subject, "receipt_fields_for", **arguments)
            found.append(Receipt(receipt_type, "Receipt", "en", tuple(rows)))
        return found

    def ask(self, subject: Subject, hook: str, **arguments: Any) -> Any:
        """Call a hook; neither its answer nor what it raises may show a secret of the settings."""
        try:
            answer = subject.call(hook, **arguments)
        except Exception as error:
            if PLANTED in f"{error} {error!r}":
                raise AssertionError(f"{hook} raises an error that shows a secret") from None
            raise
        assert PLANTED not in repr(answer), f"{hook} answers with a secret"
        return answer

    def failure_of(self, subject: Subject, hook: str, arguments: dict[str, Any]) -> Exception | None:
        """What a hook raises; a broken promise of this suite is no answer and passes."""
        try:
            self.ask(subject, hook, **arguments)
        except AssertionError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, it was raised
            return failure
        return None


def forbid_connections(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """From now on a plugin that opens a connection of its own breaks the contract."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError(f"{who} opens a connection of its own; it may only use `outside`")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Unanswering(RecordingOutside):
    """An outside that takes every call and never answers."""

    def request(self, method: str, url: str, **rest: Any) -> Answer:
        super().request(method, url, **rest)
        raise NoAnswer(f"{method} was not answered in time")
