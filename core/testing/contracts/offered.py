"""Words of the suites that are about one thing that a plugin offers: pick it, call it under guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from tillhook.core.testing.contracts.plugin import PluginContract
from tillhook.core.testing.recorder import RECORDER
from tillhook.core.testing.subject import Subject

T = TypeVar("T")


class OfferedContract(PluginContract):
    """A suite whose promises are about one thing that is offered under the hook named by ``offer``."""

    offer: ClassVar[str]

    def picked(self, subject: Subject, name: str) -> Any:
        """The thing of this name; without a name there must be one thing only."""
        offered = list(self.ask(subject, self.offer))
        named = [at for at in offered if name in ("", at.name)]
        assert len(named) == 1, f"{name!r} must name one of the {self.offer}: {[at.name for at in offered]}"
        RECORDER.picks(self.offer, named[0].name, [at.name for at in offered])
        return named[0]

    def use(self, verb: str, function: Callable[[], T], told: Callable[[], str] = str) -> T:
        """Call a verb of the thing; whatever it lets slip, or that it hangs, breaks the promise at hand.

        ``told`` gives what it has told the journal and the bus so far.
        """

        def timed() -> T:
            with RECORDER.call(f"{self.offer}.{verb}"):
                return function()

        return self.guard.call(f"{self.plugin.__name__}.{self.offer}.{verb}", timed, told)

    def failure(self, verb: str, function: Callable[[], Any], told: Callable[[], str] = str) -> Exception | None:
        """What a verb raises; a broken promise of this suite is no answer and passes."""
        try:
            self.use(verb, function, told)
        except AssertionError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, it was raised
            return failure
        return None
