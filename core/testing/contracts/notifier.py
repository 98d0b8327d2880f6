"""What every notifier keeps: an alert leaves once or fails aloud, and says nothing that it must not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import unquote_plus

import pytest
from hypothesis import strategies as st

from tillhook.core.domain.aftersale import Alert
from tillhook.core.roles.duties import RetryLater
from tillhook.core.roles.offers import Notifier
from tillhook.core.roles.outside import NoAnswer, NotReached
from tillhook.core.testing.contracts.offered import OfferedContract
from tillhook.core.testing.strategies import names
from tillhook.core.testing.subject import Subject
from tillhook.core.testing.troubles import WITHOUT_ANSWER, Line, Trouble

CHANNELS: Final = ("high", "low", "test")
_REFUSALS: Final = (400, 401, 403, 404, 410, 413, 429)
_ALERT: Final = Alert("high", "A payment is open", "Order ord_1 waits for its provider.", {"store": "0001"})
_CONTROLS: Final = "\x00\x07\x08\x1b[2J\x7f\x9b\u202e\u2066"
"""What a terminal, or the direction of writing, would obey."""


class NotifierContract(OfferedContract):
    """Inherit it and name the plugin and its settings::

        class TestAcmeChat(NotifierContract):
            plugin = AcmeChat
            settings = {"webhook_url": "env:ACME_CHAT_URL"}
            mentions = ("@everyone",)

    ``lend`` says how the other side answers, if not with ``200 {}``.
    """

    proves = ("notifiers",)
    offer = "notifiers"
    notifier_name: ClassVar[str] = ""
    """Which notifier, for a plugin that offers several."""
    channels: ClassVar[Sequence[str]] = CHANNELS
    """The channels of alerts that it carries with these settings; of the others nothing leaves."""
    calls: ClassVar[int] = 1
    """How many calls or messages one alert takes."""
    longest: ClassVar[int] = 64 * 1024
    """Bytes of a message at most."""
    mentions: ClassVar[Sequence[str]] = ()
    """Texts that call people at the other side; none of an alert's may reach it as it is."""

    @pytest.fixture
    def notifier(self, subject: Subject) -> Notifier:
        found: Notifier = self.picked(subject, self.notifier_name)
        return found

    def test_it_is_a_notifier_with_a_name(self, notifier: Notifier) -> None:
        assert isinstance(notifier, Notifier)
        assert notifier.name

    @pytest.mark.parametrize("channel", CHANNELS)
    def test_an_alert_leaves_once_if_its_channel_is_carried(self, notifier: Notifier, channel: str) -> None:
        @self.for_any(_alerts(channel))
        def check(alert: Alert) -> None:
            line = self.sent(notifier, alert)
            left = len(line.changing) + len(line.messages)
            wanted = self.calls if channel in self.channels else 0
            assert left == wanted, f"{left} calls and messages, not {wanted}"

        check()

    def test_what_the_alert_says_arrives(self, notifier: Notifier) -> None:
        said = self.said(notifier, self.alert())
        for words in (_ALERT.title, _ALERT.text, "store", "0001"):
            assert words in said, f"{words!r} does not arrive"

    def test_the_same_alert_twice_is_said_twice_alike(self, notifier: Notifier) -> None:
        assert self.said(notifier, self.alert()) == self.said(notifier, self.alert())

    # --- failing aloud

    @pytest.mark.parametrize("trouble", WITHOUT_ANSWER)
    def test_an_alert_that_got_no_answer_is_not_taken_for_sent(self, notifier: Notifier, trouble: Trouble) -> None:
        line = Line(self.lend()).trouble(trouble)
        failure = self.failed(notifier, line)
        if line.cut is not None:
            known = isinstance(failure, NotReached | NoAnswer | RetryLater)
            assert known, f"after {trouble} it raises {failure!r}: let NotReached and NoAnswer pass"
            reached = isinstance(failure, NotReached)
            assert not reached or trouble is Trouble.NOT_REACHED, (
                f"after {trouble} it raises {failure!r}: it may have arrived"
            )

    @pytest.mark.parametrize("status", _REFUSALS)
    def test_an_alert_that_was_refused_is_not_taken_for_sent(self, notifier: Notifier, status: int) -> None:
        line = Line(self.lend()).trouble(status)
        failure = self.failed(notifier, line)
        assert line.cut is None or failure is not None, f"it was answered {status} and claims to have sent it"

    # --- what arrives is safe

    def test_a_message_has_an_end(self, notifier: Notifier) -> None:
        long = Alert(
            self.carried, "W" * 10_000, "a very long text " * 60_000, {f"fact {at}": "x" * 5_000 for at in range(200)}
        )
        line = self.sent(notifier, long)
        sizes = [*(len(at.body) for at in line.calls), *(len(at.value) for at in line.messages)]
        assert max(sizes, default=0) <= self.longest, f"a message of {max(sizes)} bytes; the most is {self.longest}"
        assert line.effects, "a long alert is not sent at all"

    def test_nothing_that_steers_a_terminal_or_the_writing_arrives(self, notifier: Notifier) -> None:
        steering = f"before{_CONTROLS}after"
        said = self.said(notifier, Alert(self.carried, steering, steering, {steering: steering}))
        found = sorted({at for at in said if at in _CONTROLS and not at.isprintable()})
        assert found == [], f"{found} arrive"

    def test_an_alert_calls_nobody_by_what_it_quotes(self, notifier: Notifier) -> None:
        if not self.mentions:
            pytest.skip("it declares no mentions")
        for mention in self.mentions:
            assert mention not in self.said(notifier, self.alert()), (
                f"{mention} stands in every message: declare another"
            )
            quoting = f"the shopper {mention} said {mention}"
            said = self.said(notifier, Alert(self.carried, quoting, quoting, {quoting: quoting}))
            assert mention not in said, f"{mention} arrives as it is and calls people"

    # --- words of this suite

    @property
    def carried(self) -> str:
        return self.channels[0]

    def alert(self) -> Alert:
        return Alert(self.carried, _ALERT.title, _ALERT.text, _ALERT.facts)

    def sent(self, notifier: Notifier, alert: Alert) -> Line:
        """Send an alert; what went over the line."""
        line = Line(self.lend())
        answer: Any = self.use("send", lambda: notifier.send(alert, line), line.told)
        assert answer is None, f"send answers {answer!r}"
        return line

    def said(self, notifier: Notifier, alert: Alert) -> str:
        """All texts that reach the other side with an alert."""
        line = self.sent(notifier, alert)
        return "\n".join(
            text
            for body in (*(at.body for at in line.calls), *(at.value for at in line.messages))
            for text in _texts(body)
        )

    def failed(self, notifier: Notifier, line: Line) -> Exception | None:
        return self.failure("send", lambda: notifier.send(self.alert(), line), line.told)


def _alerts(channel: str) -> st.SearchStrategy[Alert]:
    facts = st.dictionaries(names, names, max_size=3)
    return st.builds(Alert, st.just(channel), names, names | st.just(""), facts)


def _texts(body: bytes) -> Iterator[str]:
    """Every text of a body, as its reader gets it: of JSON the names and texts, else the whole (as a form, too)."""
    text = body.decode(errors="replace")
    try:
        yield from _words(json.loads(text))
    except ValueError:
        yield from (text, unquote_plus(text))


def _words(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for name, at in value.items():
                yield name
                yield from _words(at)
        case list():
            for at in value:
                yield from _words(at)
