"""OpenTelemetry spans, when the extra ``otel`` is installed and an exporter is named in the environment; else nothing.

Set ``OTEL_EXPORTER_OTLP_ENDPOINT`` to switch them on; the other ``OTEL_*`` variables (sampler, service name, headers)
hold as OpenTelemetry documents them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Tracer

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

_tracer: Tracer | None = None


def wanted() -> bool:
    return any(os.environ.get(name) for name in ENDPOINTS)


def set_up(processor: SpanProcessor | None = None) -> bool:
    """Start to trace if that is wanted and possible; says whether. ``processor`` replaces the OTLP exporter.

    Raises RuntimeError when an endpoint is named but the extra is not installed.
    """
    global _tracer  # noqa: PLW0603 - one tracer for the process, as there is one exporter
    if processor is None and not wanted():
        return False
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError as error:
        raise RuntimeError("OTEL_EXPORTER_OTLP_ENDPOINT is set, but tillhook[otel] is not installed.") from error
    name = os.environ.get("OTEL_SERVICE_NAME", "tillhook")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}), shutdown_on_exit=processor is None)
    provider.add_span_processor(processor or _exporter())
    _tracer = provider.get_tracer("tillhook")
    return True


def _exporter() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


def shut_down() -> None:
    """Stop tracing. Spans not yet sent are sent at exit."""
    global _tracer  # noqa: PLW0603
    _tracer = None


def on() -> bool:
    """Whether spans are made; ask before computing attributes."""
    return _tracer is not None


@contextmanager
def span(name: str, *, parent: Mapping[str, str] | None = None, **attributes: Any) -> Iterator[Any]:
    """A span around a piece of work; yields it, or None when tracing is off. An exception marks it as failed.

    ``parent`` holds the W3C headers (``traceparent``) of whoever asked for the work.
    """
    if _tracer is None:
        yield None
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(parent) if parent else None
    with _tracer.start_as_current_span(name, context=context, attributes=attributes) as current:
        yield current
