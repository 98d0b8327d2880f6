"""The hooks of a shop's plugins, ready to be called one by one: pluggy calls, and answers are held against promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pluggy
from msgspec import Struct

from tillhook.core.plugins import shapes
from tillhook.core.plugins.guard import Bulkhead, Guard, Turn
from tillhook.core.plugins.offers import OfferError
from tillhook.core.plugins.whereabouts import in_brackets, of_hook
from tillhook.core.roles.grammar import PROJECT, Kind, kind_of
from tillhook.hookspecs import HOOKS, Hooks, Plugin


class WrongAnswer(Exception):
    """A plugin answered something else than its hook promises."""


class Member(Struct, frozen=True):
    """One plugin of a shop."""

    name: str
    version: str
    instance: Plugin
    muted: bool = False
    """Switched off: it is asked and told nothing; its duties are planned all the same, and wait."""
    silent: tuple[str, ...] = ()
    """The hooks that it implements, of one that is switched off. Its ``instance`` is then none of its own."""


class _Caller(Struct, frozen=True):
    """One hook of one plugin, as pluggy calls it."""

    hook: str
    member: Member
    caller: Callable[..., Any]
    first_result: bool
    look: shapes.Look | None
    """Holds an answer against what the hook promises; None: what is offered is looked at with the other offers."""

    def __call__(self, **arguments: Any) -> Any:
        """pluggy gives the answer itself when the first one wins, else a list of the answers that are not None.

        Raises WrongAnswer.
        """
        answer = self.caller(**arguments)
        if not self.first_result:
            answer = answer[0] if answer else None
        if answer is None:
            return None
        if self.look is None:
            return tuple(answer)
        found = self.look(answer)
        if found:
            where = in_brackets(of_hook(type(self.member.instance), self.hook))
            promised = shapes.written(self.hook)
            raise WrongAnswer(
                f"plugin {self.member.name} {self.member.version} must answer {self.hook} with {promised}, "
                f"it answered {found}{where}"
            )
        return answer


def turns_of(members: Sequence[Member], store_type: str, guard: Guard) -> dict[str, tuple[Turn, ...]]:
    """Every hook's implementers, in the order of ``members``. Raises OfferError for one that pluggy refuses."""
    pluggy_manager = pluggy.PluginManager(PROJECT)
    pluggy_manager.add_hookspecs(Hooks)
    for member in members:
        try:
            pluggy_manager.register(member.instance, member.name)
        except pluggy.PluginValidationError as error:
            raise OfferError(member.name, " ".join(str(error).split())) from error
    instances = {member.instance for member in members}
    found: dict[str, tuple[Turn, ...]] = {}
    for hook in HOOKS:
        shared = getattr(pluggy_manager.hook, hook)
        functions = {one.plugin_name: one.function for one in shared.get_hookimpls()}
        kind = kind_of(HOOKS[hook]).kind
        look = None if kind is Kind.OFFER or not functions else shapes.looking_for(shapes.promised(hook))
        turns = []
        for member in members:
            if member.name in functions:
                others = instances - {member.instance}
                own = pluggy_manager.subset_hook_caller(hook, others) if len(functions) > 1 else shared
                call = _Caller(hook, member, own, kind is Kind.QUESTION, look)
                bulkhead = guard.bulkhead(member.name, store_type)
                turns.append(turn_of(member, hook, store_type, bulkhead, call, functions[member.name]))
        found[hook] = tuple(turns)
    return found


def turn_of(
    member: Member, hook: str, store_type: str, bulkhead: Bulkhead, function: Callable[..., Any], written: Any
) -> Turn:
    """``written`` is the plugin's own function, in whatever module it stands."""
    modules = (type(member.instance).__module__, getattr(written, "__module__", None) or "")
    return Turn(member.name, member.version, hook, store_type, modules, bulkhead, function)
