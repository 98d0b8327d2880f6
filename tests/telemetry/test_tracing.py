"""Spans: only when wanted, joined to whoever asked for the work."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.http import routes
from tests.http.parts import client, server
from tillhook.core.telemetry import tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"


def trace_and_span(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    assert tracing.set_up(SimpleSpanProcessor(exporter))
    yield exporter
    tracing.shut_down()


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_traced_unless_an_endpoint_is_named() -> None:
    assert tracing.set_up() is False
    assert tracing.on() is False
    with tracing.span("work") as span:
        assert span is None


def test_a_span_has_its_attributes_and_its_parent(spans: InMemorySpanExporter) -> None:
    with tracing.span("outer", parent={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}), tracing.span("inner", n=1):
        pass
    inner, outer = spans.get_finished_spans()
    assert (inner.name, dict(inner.attributes or {})) == ("inner", {"n": 1})
    assert inner.parent is not None
    assert trace_and_span(outer) == (TRACE, f"{inner.parent.span_id:016x}")


def test_an_exception_marks_its_span_as_failed(spans: InMemorySpanExporter) -> None:
    with pytest.raises(RuntimeError), tracing.span("work"):
        raise RuntimeError("no")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


def test_a_request_is_a_span_named_by_its_route(spans: InMemorySpanExporter) -> None:
    with client(server(*routes.EVERY)) as api:
        api.get("/parcels/one", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /parcels/{parcel_id}"
    assert trace_and_span(span)[0] == TRACE
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/parcels/{parcel_id}",
        "http.response.status_code": 200,
    }
