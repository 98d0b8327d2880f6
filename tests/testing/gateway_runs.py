"""Running the gateway suite on one gateway, promise by promise, as pytest would, and saying which of them broke."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tillhook.core.testing.contracts import PaymentGatewayContract, PluginContract
from tillhook.core.testing.contracts.gateway_faults import FaultPromises
from tillhook.core.testing.world_phases import Phase

ENOUGH: Final = (Phase.REFUSED, Phase.BEFORE_SEND, Phase.STRAY, Phase.PORTAL, Phase.AFTER_EFFECT)
"""Phases at which each broken gateway breaks that breaks at any."""
TWICE: Final = (Phase.AFTER_EFFECT,)
"""Of those, the one that is followed by a second fault at every phase: the most work of the suite."""


def promises(suite: type[PaymentGatewayContract]) -> list[str]:
    """The promises of gateways; not those of any plugin, which have tests of their own."""
    found = [name for name in dir(suite) if name.startswith("test_") and not hasattr(PluginContract, name)]
    return [name for name in found if "cassette" not in name]


def broken_promises(
    suite: type[PaymentGatewayContract], folder: Path, *, webhooks_only: bool = False
) -> dict[str, str]:
    """Promise → how it broke, the first time.

    ``webhooks_only``: of a gateway that differs in ``read_webhook`` alone, the matrix of the other verbs is left out.
    """
    one = suite()
    broken: dict[str, str] = {}
    with one.prepared(folder):
        for promise in promises(suite):
            if webhooks_only and hasattr(FaultPromises, promise):
                continue
            for case in _cases(one, getattr(suite, promise)):
                how = _breaks(one, promise, case, folder)
                if how:
                    broken.setdefault(promise, f"{case}: {how}")
    return broken


def _breaks(one: PaymentGatewayContract, promise: str, case: dict[str, Any], folder: Path) -> str:
    function = getattr(one, promise)
    wanted = inspect.signature(function).parameters
    with pytest.MonkeyPatch.context() as monkeypatch:
        given = {"tmp_path": folder, "monkeypatch": monkeypatch, **case}
        if wanted.keys() & {"stage", "gateway", "outside"}:
            stage = one.staged(folder)
            given |= {"stage": stage, "gateway": stage.gateway, "outside": stage.outside}
        try:
            function(**{name: given[name] for name in wanted})
        except pytest.skip.Exception:
            return ""
        except (Exception, pytest.fail.Exception) as failure:  # noqa: BLE001 - how it broke is what is asked
            return f"{type(failure).__name__}: {failure}"
    return ""


def _cases(one: PaymentGatewayContract, function: Any) -> Iterator[dict[str, Any]]:
    """Every case of a promise, of the matrix those at enough phases."""
    wanted = inspect.signature(function).parameters
    names = [name for name in ("verb", "phase") if name in wanted]
    marked = [mark.args for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    if names:
        enough = TWICE if "second_fault" in function.__name__ else ENOUGH
        for case in one.matrix(with_verbs="verb" in names):
            if case.values[-1] in enough:
                yield dict(zip(names, case.values, strict=True))
    elif marked:
        ((name, values),) = marked
        yield from ({name: value} for value in values)
    else:
        yield {}
