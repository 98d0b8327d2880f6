"""Why promises are skipped, and what an author can do about it."""

from __future__ import annotations

import re
from typing import Final

NO_LINES: Final = "neither a simulator is named nor details that break a call"
"""A fault matrix without any way to bring a fault about."""

_NOT_GIVEN: Final = "not given: "
_NAME_ONE: Final = "name a `simulator` of the provider in its PaymentGatewayContract"
_SIMULATED: Final = {
    NO_LINES: _NAME_ONE,
    "no simulator is named, so no line can be cut": _NAME_ONE,
    "no simulator is named that sends webhooks": "name a `simulator` that sends the provider's webhooks",
}
_OF_THE_PLUGIN: Final = re.compile(
    r"it (does not|declares no|has no) .+"
    r"|.+ (is|are) (not )?declared"
    r"|captures are (not )?separate"
    r"|nothing is ever only held"
    r"|no currency has fewer decimals at the provider"
    r"|the provider (knows|signs|sends) no .+"
    r"|the calculator taxes every code"
    r"|no cassettes are named"
    r"|no details lose an answer"
)
"""What a plugin does not have, or its provider cannot do: nothing that a test could show."""


def what_to_do(reason: str) -> str:
    """So that a promise is not skipped for this reason; empty when nothing can be done about it."""
    if reason in _SIMULATED:
        return _SIMULATED[reason]
    if reason.startswith(_NOT_GIVEN):
        return f"give its suite {reason.removeprefix(_NOT_GIVEN)}"
    return "" if _OF_THE_PLUGIN.fullmatch(reason) else f"do not skip what the suites promise ({reason})"
