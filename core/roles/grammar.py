"""The grammar of hooks: five kinds, told apart by the form of the name, each with its own way of being called.

==================  ======================  =============================================  ======================
kind                form of the name        called                                         when one raises
==================  ======================  =============================================  ======================
offer               plural noun             once per store type, at start                  plugin is quarantined
question            noun + ``_for``         in the request; the first answer wins          ``block`` or ``degrade``
question to all     plural noun + ``_for``  in the request; every answer counts            ``block`` or ``degrade``
duty                imperative              after the commit, one durable row per plugin   retried, then dead letter
news                past participle         after the commit                               logged
==================  ======================  =============================================  ======================
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import pluggy
from msgspec import Struct

PROJECT: Final = "tillhook"
HOOKSPEC_VERSION: Final = 2
"""Raised when a hook changes so that a plugin made for the one before would misunderstand it."""

F = TypeVar("F", bound=Callable[..., Any])

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a method of a plugin as the implementation of the hook of the same name."""

_hookspec = pluggy.HookspecMarker(PROJECT)
_KIND = "tillhook_kind"


class Kind(StrEnum):
    OFFER = "offer"
    QUESTION = "question"
    QUESTION_TO_ALL = "question to all"
    DUTY = "duty"
    NEWS = "news"


class Policy(StrEnum):
    """What the request does when a question raises: BLOCK refuses it, DEGRADE goes on as if it had no answer."""

    BLOCK = "block"
    DEGRADE = "degrade"


class HookKind(Struct, frozen=True):
    """A hook's place in the grammar."""

    kind: Kind
    policy: Policy | None = None


def _mark(kind: HookKind) -> Callable[[F], F]:
    def mark(function: F) -> F:
        setattr(function, _KIND, kind)
        return _hookspec(firstresult=kind.kind is Kind.QUESTION)(function)

    return mark


offer = _mark(HookKind(Kind.OFFER))
duty = _mark(HookKind(Kind.DUTY))
news = _mark(HookKind(Kind.NEWS))


def question(policy: Policy) -> Callable[[F], F]:
    return _mark(HookKind(Kind.QUESTION, policy))


def question_to_all(policy: Policy) -> Callable[[F], F]:
    return _mark(HookKind(Kind.QUESTION_TO_ALL, policy))


def kind_of(function: Any) -> HookKind:
    """The kind a hook was declared with. Raises TypeError for a function that is no hook."""
    kind = getattr(function, _KIND, None)
    if not isinstance(kind, HookKind):
        raise TypeError(f"{function!r} is not a hook of tillhook")
    return kind
