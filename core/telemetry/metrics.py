"""Metrics in Prometheus' text format. Labels are bounded: route templates, plugin and hook names, states; never ids.

With ``PROMETHEUS_MULTIPROC_DIR`` set, the numbers of all server processes on the machine are summed.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
REGISTRY: Final = CollectorRegistry()
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

_ANSWERED: Final = frozenset({"1xx", "2xx", "3xx", "4xx", "5xx"})
_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)

_requests = Counter("tillhook_http_requests", "Requests answered.", ["method", "route", "status"], registry=REGISTRY)
_request_seconds = Histogram(
    "tillhook_http_request_seconds", "Time to answer.", ["method", "route"], buckets=_QUICK, registry=REGISTRY
)
_hook_seconds = Histogram(
    "tillhook_hook_seconds", "Time in plugins.", ["plugin", "hook"], buckets=_QUICK, registry=REGISTRY
)
_hook_failures = Counter("tillhook_hook_failures", "Plugins that raised.", ["plugin", "hook"], registry=REGISTRY)
_hook_cuts = Counter(
    "tillhook_hook_cuts", "Calls of plugins that were cut at their time limit.", ["plugin", "hook"], registry=REGISTRY
)
_outside_seconds = Histogram(
    "tillhook_outside_seconds", "Time of plugins' outside calls.", ["plugin"], buckets=_SLOW, registry=REGISTRY
)
_outside_calls = Counter(
    "tillhook_outside_calls", "Plugins' outside calls by result.", ["plugin", "result"], registry=REGISTRY
)
_payments = Counter("tillhook_payments", "Answers of payment gateways.", ["gateway", "outcome"], registry=REGISTRY)
_orders = Counter("tillhook_orders_completed", "Orders completed.", ["store_type"], registry=REGISTRY)
_deliveries = Gauge(
    "tillhook_deliveries",
    "Deliveries (duties, events) by state.",
    ["state"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)


@lru_cache(maxsize=4096)
def _request_children(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _requests.labels(method, route, str(status)), _request_seconds.labels(method, route)


def http_request(method: str, route: str, status: int, seconds: float) -> None:
    """One answered request; ``route`` is the template (``/orders/v1/{order_id}``), never the address."""
    count, time = _request_children(method if method in METHODS else "other", route, status)
    count.inc()
    time.observe(seconds)


def hook_call(plugin: str, hook: str, seconds: float, failed: bool = False) -> None:
    """One call of a hook of one plugin."""
    _hook_seconds.labels(plugin, hook).observe(seconds)
    if failed:
        _hook_failures.labels(plugin, hook).inc()


def hook_cut(plugin: str, hook: str) -> None:
    """One call of a hook that did not end in time."""
    _hook_cuts.labels(plugin, hook).inc()


def outside_call(plugin: str, result: str, seconds: float) -> None:
    """One call to the outside world; ``result`` is ``2xx`` … ``5xx``, anything else counts as ``failed``."""
    _outside_seconds.labels(plugin).observe(seconds)
    _outside_calls.labels(plugin, result if result in _ANSWERED else "failed").inc()


def payment(gateway: str, outcome: str) -> None:
    """One answer of a payment gateway, by the name of its outcome."""
    _payments.labels(gateway, outcome).inc()


def order_completed(store_type: str) -> None:
    _orders.labels(store_type).inc()


def deliveries(counts: dict[str, int]) -> None:
    """How many deliveries are in each state now; a state that is left out is not changed."""
    for state, count in counts.items():
        _deliveries.labels(state).set(count)


def exposition() -> bytes:
    """All metrics as Prometheus reads them."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
