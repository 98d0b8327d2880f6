"""What is counted, and that labels stay bounded."""

import os
import subprocess
import sys
from pathlib import Path

from tillhook.core.telemetry import metrics


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_request_counts_once_with_its_time() -> None:
    labels = {"method": "GET", "route": "/orders/{order_id}"}
    before = value("tillhook_http_requests_total", **labels, status="200")
    metrics.http_request("GET", "/orders/{order_id}", 200, 0.25)
    assert value("tillhook_http_requests_total", **labels, status="200") == before + 1
    assert value("tillhook_http_request_seconds_sum", **labels) >= 0.25


def test_invented_methods_share_one_label() -> None:
    for name in ("BREW", "SIP"):
        metrics.http_request(name, "unmatched", 405, 0.001)
    assert value("tillhook_http_requests_total", method="other", route="unmatched", status="405") == 2
    assert b"BREW" not in metrics.exposition()


def test_a_failing_hook_is_counted_as_a_call_and_as_a_failure() -> None:
    metrics.hook_call("acme", "fulfil_order", 0.01)
    metrics.hook_call("acme", "fulfil_order", 0.01, True)
    assert value("tillhook_hook_seconds_count", plugin="acme", hook="fulfil_order") == 2
    assert value("tillhook_hook_failures_total", plugin="acme", hook="fulfil_order") == 1


def test_a_call_that_was_cut_is_counted_by_plugin_and_hook() -> None:
    metrics.hook_cut("acme", "scan_for")
    assert value("tillhook_hook_cuts_total", plugin="acme", hook="scan_for") == 1


def test_outside_calls_payments_and_orders_are_counted_by_what_came_of_them() -> None:
    metrics.outside_call("acme", "2xx", 0.1)
    metrics.outside_call("acme", "ReadTimeout: after 10 s", 10.0)
    metrics.payment("acme", "unknown")
    metrics.order_completed("counted_here")
    assert value("tillhook_outside_calls_total", plugin="acme", result="2xx") == 1
    assert value("tillhook_outside_calls_total", plugin="acme", result="failed") == 1, (
        "words would be labels without end"
    )
    assert value("tillhook_payments_total", gateway="acme", outcome="unknown") == 1
    assert value("tillhook_orders_completed_total", store_type="counted_here") == 1


def test_the_state_of_deliveries_is_what_was_told_last() -> None:
    metrics.deliveries({"open": 3, "dead": 1})
    metrics.deliveries({"open": 0})
    assert (value("tillhook_deliveries", state="open"), value("tillhook_deliveries", state="dead")) == (0, 1)


def test_the_numbers_of_several_processes_are_summed(tmp_path: Path) -> None:
    count = (
        "from tillhook.core.telemetry import metrics; metrics.order_completed('demo'); "
        "print(metrics.exposition().decode())"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    texts = [
        subprocess.run(
            [sys.executable, "-c", count], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert 'tillhook_orders_completed_total{store_type="demo"} 2.0' in texts[1]
