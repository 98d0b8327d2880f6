"""Walk every route of an app with every role and with no token at all; for any app made by ``build``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from litestar.testing import TestClient

from tillhook.core.http.admission import handlers
from tillhook.core.http.auth import PUBLIC
from tillhook.core.http.server import Server
from tillhook.core.roles.people import ROLES


def trespasses(app: Server, tokens: Mapping[str, str]) -> list[str]:
    """Every route that lets in whom it should not, or keeps out whom it should let in; ``tokens`` by role.

    What a handler itself refuses (a foreign store, a missing basket) is its own affair: only the refusal of a role
    carries the member ``roles``.
    """
    assert set(tokens) == ROLES
    found = []
    with TestClient(app, raise_server_exceptions=False) as client:
        for method, template, handler in handlers(app):
            path = re.sub(r"\{[^}]*\}", "1", template)
            roles: frozenset[str] = handler.opt["roles"]
            for role, token in [(None, None), *sorted(tokens.items())]:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = client.request(method, path, headers=headers, follow_redirects=False)
                passed = _passed(answer.status_code, answer)
                allowed = roles == PUBLIC or role in roles
                if passed != allowed:
                    who = role or "nobody"
                    found.append(f"{method} {template}: {who} was {'let in' if passed else 'kept out'}")
    return found


def _passed(status: int, answer: Any) -> bool:
    """A page sends strangers to sign in, and says to others in words which roles it needs."""
    if answer.headers.get("location", "").startswith("/pages/sign-in?next="):
        return False
    page = answer.headers.get("content-type", "").startswith("text/html")
    return status != 401 and not (
        status == 403 and ("one of the roles" in answer.text if page else "roles" in answer.json())
    )
