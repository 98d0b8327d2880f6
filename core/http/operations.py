"""Routes for whoever runs the server: is it alive, is it ready, what does it measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from tillhook.core.domain.problems import not_ready
from tillhook.core.http.auth import PUBLIC
from tillhook.core.http.work import Workers
from tillhook.core.telemetry import metrics

Check = Callable[[], str]
"""Empty when the part works, else what is missing, in words that may be shown to anybody."""
OPERATIONS: Final = "Operations"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("tillhook.http")


class Health(Struct, frozen=True):
    status: str


class Readiness(Struct, frozen=True):
    status: str
    checks: dict[str, str]


def operation_routes(
    workers: Workers, checks: Mapping[str, Check], before_metrics: Callable[[], None]
) -> list[HTTPRouteHandler]:
    """``/health``, ``/ready`` and ``/metrics``."""

    @get("/health", opt={"roles": PUBLIC}, tags=[OPERATIONS], summary="Is the process alive?")
    async def health() -> Health:
        """Answers as long as the process can answer anything; asks nothing else."""
        return Health("ok")

    @get("/ready", opt={"roles": PUBLIC}, tags=[OPERATIONS], summary="Can it work?")
    async def ready() -> Readiness:
        """Whether everything that requests need is there; 503 `not_ready` names what is not."""
        results = await workers.run(_run, checks)
        missing = {name: result for name, result in results.items() if result != "ok"}
        if missing:
            raise not_ready("; ".join(f"{name}: {reason}" for name, reason in missing.items()), checks=results)
        return Readiness("ready", results)

    @get("/metrics", opt={"roles": PUBLIC}, include_in_schema=False)
    async def prometheus() -> Response[bytes]:
        """Metrics in Prometheus' text format."""
        await workers.run(before_metrics)
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    return [health, ready, prometheus]


def _run(checks: Mapping[str, Check]) -> dict[str, str]:
    results = {}
    for name, check in checks.items():
        try:
            results[name] = check() or "ok"
        except Exception as error:  # noqa: BLE001 - whatever it is, that part is not ready
            log.warning("not_ready", check=name, error=repr(error))
            results[name] = f"failed ({type(error).__name__})"
    return results
