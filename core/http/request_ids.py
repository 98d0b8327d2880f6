"""The id of a request: the caller's own, or one of ours."""

from __future__ import annotations

import re
from typing import Final

from litestar.types import Scope

REQUEST_ID: Final = "x-request-id"
_REQUEST_ID_SHAPE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


def acceptable_request_id(value: bytes) -> str | None:
    """The caller's own request id, if it has a shape that can do no harm in logs and headers."""
    return value.decode() if _REQUEST_ID_SHAPE.fullmatch(value) else None


def request_id_of(scope: Scope) -> str:
    """The id that the edge gave the request."""
    return str(scope["state"]["request_id"])
