"""Alerts in a chat: each one is posted to an incoming webhook."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import islice
from typing import Final, Literal

from tillhook import (
    Alert,
    Config,
    NoAnswer,
    Notifier,
    NotReached,
    Outside,
    Permanent,
    Plugin,
    RetryLater,
    Secret,
    hookimpl,
)

__all__ = ["Chat", "ChatSettings"]

MOST_TITLE: Final = 200
MOST_TEXT: Final = 3000
MOST_FACTS: Final = 20
MOST_FACT: Final = 300
"""Characters, and facts, of a message; chats cut what is longer, or refuse it."""

_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of what is obeyed and not read: controls, signs that turn the direction of writing."""
_NO_NAME: Final = "@\u200b"
"""An ``@`` that is followed by nothing visible is no mention of anybody."""


class ChatSettings(Config, frozen=True, kw_only=True):
    """Where alerts go, and which."""

    webhook_url: Secret
    """The address of the webhook; whoever knows it can post."""
    channel: str = ""
    """Where the webhook shall post, if it lets that be chosen; empty: where it posts anyway."""
    levels: tuple[Literal["high", "low", "test"], ...] = ("high",)
    """Which alerts are posted."""


class _Webhook:
    """The notifier that is offered."""

    name = "chat"

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings

    def send(self, alert: Alert, outside: Outside) -> None:
        """Post an alert, if its level is posted.

        Raises NotReached, NoAnswer, RetryLater (too many messages), or Permanent for a webhook that refuses it.
        """
        settings = self._settings
        if alert.channel not in settings.levels:
            return
        message = {"text": _message(alert)} | ({"channel": settings.channel} if settings.channel else {})
        # Whoever knows the address can post, and what the outside raises names it: so it is raised anew.
        try:
            answer = outside.request("POST", settings.webhook_url.reveal(), json=message)
        except NotReached:
            raise NotReached("the chat's webhook was not reached: is chat.webhook_url right?") from None
        except NoAnswer:
            raise NoAnswer("the chat's webhook gave no answer: the alert may have arrived") from None
        if answer.status in {408, 425, 429}:
            raise RetryLater(f"the chat takes no more messages for now: it answered {answer.status}", seconds=60)
        if not 200 <= answer.status < 300:
            raise Permanent(f"the chat refused the alert with {answer.status}: look at its webhook")


class Chat(Plugin):
    """Posts alerts to a chat: the notifier ``chat``."""

    hookspec_version = 2
    Settings = ChatSettings
    settings: ChatSettings

    @hookimpl
    def notifiers(self) -> Sequence[Notifier]:
        return (_Webhook(self.settings),)


def _message(alert: Alert) -> str:
    facts = [
        f"• {_safe(name, MOST_FACT)}: {_safe(fact, MOST_FACT)}"
        for name, fact in islice(alert.facts.items(), MOST_FACTS)
    ]
    more = len(alert.facts) - len(facts)
    parts = [f"*{_safe(alert.title, MOST_TITLE)}*", _safe(alert.text, MOST_TEXT), *facts]
    return "\n".join(part for part in [*parts, f"… and {more} more" if more else ""] if part)


def _safe(text: str, most: int) -> str:
    """The text on one line: cut, without signs that steer, and with nothing that calls somebody or makes a link."""
    kept = "".join(at for at in " ".join(text.split()) if unicodedata.category(at) not in _STEERING)
    cut = kept if len(kept) <= most else f"{kept[:most]}…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", _NO_NAME)
