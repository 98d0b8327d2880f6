"""The contract of notifiers notices each broken promise, and a notifier that keeps them all passes."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from tests.testing.broken import broken_promises
from tillhook import (
    Alert,
    Answer,
    Config,
    NoAnswer,
    Notifier,
    NotReached,
    Outside,
    Permanent,
    Plugin,
    Secret,
    hookimpl,
)
from tillhook.core.testing.contracts.notifier import CHANNELS, NotifierContract


class Settings(Config, frozen=True):
    api_key: Secret


class SoundNotifier:
    """Posts an alert to a pager under its own key."""

    name = "acme"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def send(self, alert: Alert, outside: Outside) -> None:
        answer = self.post(outside, self.message(alert))
        if answer.status >= 300:
            raise Permanent(f"the pager refused the alert with {answer.status}")

    def post(self, outside: Outside, message: dict[str, Any]) -> Answer:
        headers = {"Authorization": f"Bearer {self.settings.api_key.reveal()}"}
        return outside.request("POST", "https://pager.example/pages", headers=headers, json=message)

    def message(self, alert: Alert) -> dict[str, Any]:
        facts = dict(list(alert.facts.items())[:10])
        return {
            "title": self.safe(alert.title)[:100],
            "text": self.safe(alert.text)[:1000],
            "facts": {self.safe(name)[:100]: self.safe(at)[:100] for name, at in facts.items()},
        }

    def safe(self, text: str) -> str:
        return "".join(at for at in text if at.isprintable()).replace("@all", "all")


class Acme(Plugin):
    Settings = Settings
    settings: Settings
    notifier: ClassVar[Any] = SoundNotifier

    @hookimpl
    def notifiers(self) -> Sequence[Notifier]:
        return (self.notifier(self.settings),)


class AcmeContract(NotifierContract):
    plugin = Acme
    settings: ClassVar[Mapping[str, Any]] = {"api_key": "env:ACME_KEY"}
    mentions = ("@all",)
    examples = 5


class TestAcme(AcmeContract):
    pass


def with_notifier(notifier: type) -> type[Plugin]:
    return type(f"With{notifier.__name__}", (Acme,), {"notifier": notifier})


ONCE = "test_an_alert_leaves_once_if_its_channel_is_carried"


class SendsTwice(SoundNotifier):
    def post(self, outside: Outside, message: dict[str, Any]) -> Answer:
        super().post(outside, message)
        return super().post(outside, message)


class BrokenByTwo(AcmeContract):
    plugin = with_notifier(SendsTwice)
    breaks: ClassVar[set[str]] = {ONCE}


class KeepsQuiet(SoundNotifier):
    def send(self, alert: Alert, outside: Outside) -> None:
        if alert.channel != "test":
            super().send(alert, outside)


class BrokenByQuiet(AcmeContract):
    plugin = with_notifier(KeepsQuiet)
    breaks: ClassVar[set[str]] = {ONCE}


class TestWithoutTest(AcmeContract):
    plugin = with_notifier(KeepsQuiet)
    channels = ("high", "low")


class BrokenByCarryingMore(AcmeContract):
    channels = CHANNELS[:2]
    breaks: ClassVar[set[str]] = {ONCE}


class ForgetsFacts(SoundNotifier):
    def message(self, alert: Alert) -> dict[str, Any]:
        return {**super().message(alert), "facts": {}}


class BrokenByForgetting(AcmeContract):
    plugin = with_notifier(ForgetsFacts)
    breaks: ClassVar[set[str]] = {"test_what_the_alert_says_arrives"}


class Counts(SoundNotifier):
    sent = 0

    def message(self, alert: Alert) -> dict[str, Any]:
        self.sent += 1
        return {**super().message(alert), "number": f"#{self.sent}"}


class BrokenByCounting(AcmeContract):
    plugin = with_notifier(Counts)
    breaks: ClassVar[set[str]] = {"test_the_same_alert_twice_is_said_twice_alike"}


class SwallowsFailures(SoundNotifier):
    def send(self, alert: Alert, outside: Outside) -> None:
        try:
            super().send(alert, outside)
        except (NotReached, NoAnswer, Permanent):
            return


class BrokenBySwallowing(AcmeContract):
    plugin = with_notifier(SwallowsFailures)
    breaks: ClassVar[set[str]] = {
        "test_an_alert_that_got_no_answer_is_not_taken_for_sent",
        "test_an_alert_that_was_refused_is_not_taken_for_sent",
    }


class SaysNotReached(SoundNotifier):
    def post(self, outside: Outside, message: dict[str, Any]) -> Answer:
        try:
            return super().post(outside, message)
        except NoAnswer:
            raise NotReached("nobody was there") from None


class BrokenByNotReached(AcmeContract):
    plugin = with_notifier(SaysNotReached)
    breaks: ClassVar[set[str]] = {"test_an_alert_that_got_no_answer_is_not_taken_for_sent"}


class ReadsNoStatus(SoundNotifier):
    def send(self, alert: Alert, outside: Outside) -> None:
        self.post(outside, self.message(alert))


class BrokenByReadingNoStatus(AcmeContract):
    plugin = with_notifier(ReadsNoStatus)
    breaks: ClassVar[set[str]] = {"test_an_alert_that_was_refused_is_not_taken_for_sent"}


class HasNoEnd(SoundNotifier):
    def message(self, alert: Alert) -> dict[str, Any]:
        return {**super().message(alert), "text": self.safe(alert.text)}


class BrokenByLength(AcmeContract):
    plugin = with_notifier(HasNoEnd)
    breaks: ClassVar[set[str]] = {"test_a_message_has_an_end"}


class PassesControlsOn(SoundNotifier):
    def safe(self, text: str) -> str:
        return text.replace("@all", "all")


class BrokenByControls(AcmeContract):
    plugin = with_notifier(PassesControlsOn)
    breaks: ClassVar[set[str]] = {"test_nothing_that_steers_a_terminal_or_the_writing_arrives"}


class CallsPeople(SoundNotifier):
    def safe(self, text: str) -> str:
        return "".join(at for at in text if at.isprintable())


class BrokenByMentions(AcmeContract):
    plugin = with_notifier(CallsPeople)
    breaks: ClassVar[set[str]] = {"test_an_alert_calls_nobody_by_what_it_quotes"}


class LogsItsKey(SoundNotifier):
    def post(self, outside: Outside, message: dict[str, Any]) -> Answer:
        answer = super().post(outside, message)
        if answer.status == 401:
            logging.getLogger("acme").warning("refused %s", self.settings.api_key.reveal())
        return answer


class BrokenByALog(AcmeContract):
    plugin = with_notifier(LogsItsKey)
    breaks: ClassVar[set[str]] = {"test_an_alert_that_was_refused_is_not_taken_for_sent"}


class RaisesItsAddress(SoundNotifier):
    """Its key stands in the address, and in whatever is raised about it."""

    def post(self, outside: Outside, message: dict[str, Any]) -> Answer:
        address = f"https://pager.example/{self.settings.api_key.reveal()}"
        try:
            return outside.request("POST", address, json=message)
        except NoAnswer as failure:
            raise NoAnswer(f"{address}: no answer") from failure


class BrokenByAnAddress(AcmeContract):
    plugin = with_notifier(RaisesItsAddress)
    breaks: ClassVar[set[str]] = {"test_an_alert_that_got_no_answer_is_not_taken_for_sent"}


BROKEN = [suite for name, suite in list(globals().items()) if name.startswith("Broken")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    return broken_promises(__file__, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("suite", BROKEN)
def test_a_broken_promise_is_noticed_and_no_other(suite: Any, broken: dict[str, set[str]]) -> None:
    assert broken[suite.__name__] == suite.breaks
