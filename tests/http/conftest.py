"""Log lines of the server under test go where a test can read them, not to the terminal."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from tillhook.core.telemetry import logs


@pytest.fixture(autouse=True)
def lines() -> Iterator[io.StringIO]:
    """Everything that was logged, one JSON object a line."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.set_up("debug", "json", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
