"""Alerts in a chat: which are posted, how they look, what a webhook that refuses them means."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from tillhook import Alert, Answer, NoAnswer, Notifier, Permanent, RetryLater
from tillhook.core.testing.contracts import NotifierContract
from tillhook.core.testing.outside import RecordingOutside
from tillhook.core.testing.subject import PLANTED, build
from tillhook_chat import Chat

SETTINGS: Mapping[str, Any] = {"webhook_url": "env:CHAT_URL", "levels": ["high", "low", "test"]}


class TestChat(NotifierContract):
    plugin = Chat
    settings = SETTINGS
    mentions = ("@channel", "@here", "@everyone", "<!channel>", "<@U0952>", "<https://evil.example|invoice>")
    cassettes = "cassettes/"


class TestOnlyWhatIsHigh(NotifierContract):
    plugin = Chat
    settings: ClassVar[Mapping[str, Any]] = {"webhook_url": "env:CHAT_URL", "channel": "#shops-dk"}
    channels: ClassVar[Sequence[str]] = ("high",)


def posted(alert: Alert, outside: RecordingOutside | None = None, **settings: Any) -> dict[str, Any]:
    """What is posted for an alert."""
    outside = RecordingOutside() if outside is None else outside
    notifier(**settings).send(alert, outside)
    (call,) = outside.calls
    assert (call.method, call.url) == ("POST", PLANTED)
    found: dict[str, Any] = msgspec.json.decode(call.body)
    return found


def notifier(**settings: Any) -> Notifier:
    (found,) = build(Chat, {**SETTINGS, **settings}, Path()).notifiers()
    return found


def test_a_message_has_a_title_a_text_and_a_line_for_each_fact() -> None:
    alert = Alert("high", "Payment open", "Order ord_1 waits\nsince noon.", {"store": "0001", "amount": "23.99 EUR"})
    text = "*Payment open*\nOrder ord_1 waits since noon.\n• store: 0001\n• amount: 23.99 EUR"
    assert posted(alert) == {"text": text}


def test_the_channel_is_named_where_it_is_set() -> None:
    assert posted(Alert("low", "A", "B"), channel="#shops-dk") == {"text": "*A*\nB", "channel": "#shops-dk"}


def test_what_an_alert_quotes_calls_nobody() -> None:
    assert posted(Alert("low", "@here", "<!channel> & co"))["text"] == "*@\u200bhere*\n&lt;!channel&gt; &amp; co"


def test_what_is_too_long_is_cut_and_said_to_be() -> None:
    alert = Alert("high", "t" * 201, "x" * 3001, {f"fact {at}": "v" for at in range(23)})
    lines = posted(alert)["text"].splitlines()
    assert lines[:2] == [f"*{'t' * 200}…*", f"{'x' * 3000}…"]
    assert lines[-2:] == ["• fact 19: v", "… and 3 more"]


@pytest.mark.parametrize(("status", "raised"), [(429, RetryLater), (404, Permanent), (302, Permanent)])
def test_a_webhook_that_refuses_says_whether_it_is_worth_trying_again(status: int, raised: type[Exception]) -> None:
    with pytest.raises(raised, match=str(status)):
        posted(Alert("high", "A", "B"), RecordingOutside(Answer(status, {}, b"no_service")))


def test_no_answer_is_not_taken_for_sent() -> None:
    outside = RecordingOutside()
    outside.answer(NoAnswer("the line broke"))
    with pytest.raises(NoAnswer):
        posted(Alert("high", "A", "B"), outside)


def test_a_level_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"levels\[0\].*hihg"):
        notifier(levels=["hihg"])
